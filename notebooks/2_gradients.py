# %% [markdown] lang="en"
# # 2 · Explanations from gradients
# **Goal**: write three explainers that ask the network's own gradient: saliency, SmoothGrad, integrated gradients.
# **About 60 minutes.** You need: `torch`, and what a gradient is.
#
# The network is a function: a picture goes in, 11 *scores* come out, one for each class of food. So it has a gradient
# with respect to the picture, and `torch` can compute it: the same machinery that trains the weights, pointed at the pixels.

# %% [markdown] lang="zh-TW"
# # 2 · 用梯度來解釋
# **目標**：寫出三種利用網路自身梯度的解釋方法：顯著圖、SmoothGrad、積分梯度。
# **約 60 分鐘。** 你需要會用 `torch`，並知道什麼是梯度。
#
# 網路是一個函數：輸入一張圖片，輸出 11 個*分數*，每種食物一個。所以它對圖片也有梯度，而 `torch` 算得出來：
# 和訓練權重用的是同一套工具，只是這次對準的是像素。

# %%
import torch

from hw_xai.show import compare
from hw_xai.vision import load
from hw_xai.vision.dishes.synthetic import SyntheticFood11
from hw_xai.vision.preprocess import preprocessing

model = load("foodnet-synthetic")
dishes = SyntheticFood11(11, size=128, seed=7, transform=preprocessing())
chosen = [2, 5, 8]
inputs = torch.stack([dishes[i][0] for i in chosen])  # (3, 3, 128, 128), values in [0, 1]
masks = [dishes.mask(i) for i in chosen]  # where the food is: these dishes are drawn, so we know
with torch.no_grad():
    target = model(inputs).argmax(dim=1)  # (3,) the class the network chooses for each
names = [model.classes[t] for t in target]
print(names)

# %% [markdown] lang="en"
# ## Saliency: the slope of a score
# Change one pixel a little. How much does the score of the class move? That is
#
# $$\text{saliency} = \left|\frac{\partial\, \text{score}_\text{target}}{\partial\, \text{inputs}}\right|$$
#
# The score is the number *before* softmax: after it, a class can also rise because the others fall.
#
# **Exercise.** About 5 lines, 5 minutes. A batch comes in, and each picture has a class of its own in `target`.

# %% [markdown] lang="zh-TW"
# ## 顯著圖：分數的斜率
# 把一個像素稍微改一下，這個類別的分數會動多少？這就是
#
# $$\text{saliency} = \left|\frac{\partial\, \text{score}_\text{target}}{\partial\, \text{inputs}}\right|$$
#
# 這裡的分數是 softmax *之前*的數值：經過 softmax 之後，其他類別下降也會讓這個類別上升。
#
# **練習。** 約 5 行，5 分鐘。輸入是一整批圖片，每張圖片在 `target` 裡有自己的類別。


# %% exercise="saliency"
def saliency(model, inputs, target):
    """Return |∂ score / ∂ inputs|.

    inputs: (N, 3, H, W)   target: LongTensor (N,)   returns: (N, 3, H, W), never negative
    """
    # BEGIN SOLUTION
    x = inputs.detach().clone().requires_grad_()
    score = model(x).gather(1, target[:, None]).sum()  # rows do not mix, so the sum keeps their gradients apart
    (slope,) = torch.autograd.grad(score, x)
    return slope.abs()
    # END SOLUTION


# %% check="saliency"
check("saliency", saliency)

# %% [markdown] lang="en"
# <details><summary>"element 0 of tensors does not require grad"</summary>
#
# Gradients flow only to tensors that asked for them *before* the forward pass: see `requires_grad_()`.
# Ask a copy: the caller's tensor should be as it was.
# </details>
# <details><summary>My second call gives larger numbers than the first</summary>
#
# `.backward()` *adds* to `.grad` each time. `torch.autograd.grad(y, x)` returns the gradient and leaves nothing behind.
# </details>
# <details><summary>Right for one picture, wrong for two</summary>
#
# `scores[:, target]` is a table of all pairs. You want one number per row: row 0 at `target[0]`, row 1 at `target[1]`.
# Look at `gather`, or index the rows too.
# </details>

# %% [markdown] lang="zh-TW"
# <details><summary>出現「element 0 of tensors does not require grad」</summary>
#
# 張量必須在前向傳遞*之前*就要求梯度，才收得到梯度：請看 `requires_grad_()`。
# 請用複本來要求，呼叫者的張量應該維持原狀。
# </details>
# <details><summary>第二次呼叫得到的數字比第一次大</summary>
#
# `.backward()` 每次都會*累加*到 `.grad`。`torch.autograd.grad(y, x)` 直接回傳梯度，不留下任何東西。
# </details>
# <details><summary>一張圖片對，兩張就錯</summary>
#
# `scores[:, target]` 是所有配對的表格。你要的是每一列一個數字：第 0 列取 `target[0]`，第 1 列取 `target[1]`。
# 請看 `gather`，或是把列的索引也寫上。
# </details>

# %% picture="saliency"
compare(inputs, {"saliency": saliency(model, inputs, target)}, captions=names, masks=masks)

# %% [markdown] lang="en"
# The white outline is the food. The three colours of a pixel were joined to one number by taking the largest, and each
# map was scaled to its own range of values: **strengths of two pictures cannot be compared here**.

# %% [markdown] lang="zh-TW"
# 白色輪廓是食物的位置。每個像素的三個顏色取最大值合成一個數字，而每張圖都依自己的數值範圍縮放：
# **因此這裡不能比較兩張圖片之間的強度**。

# %% [markdown] lang="en"
# ## Questions
# **Predict first**: write your guess down. Then **run**: a few lines in a cell of your own tell. Then **answer**, in the
# last cell of this notebook. The dishes are numbered from 0; `dishes.mask(i)` says where the food of dish i is. Names in
# `code` are those of the library: `explain` has what you wrote, with more options. This notebook holds questions 5–13 and
# 18–20; notebook 3 holds 14–17.

# %% [markdown] lang="zh-TW"
# ## 問題
# **先猜**：寫下你的猜測。再**執行**：在自己的儲存格裡寫幾行就知道。然後在本筆記本的最後一格**作答**。
# 每道菜從 0 開始編號；`dishes.mask(i)` 告訴你第 i 道菜的食物在哪裡。以 `code` 字型寫的是函式庫裡的名稱：
# 你寫的方法 `explain` 裡都有，選項更多。本筆記本有第 5–13 題和第 18–20 題，第 3 本有第 14–17 題。

# %%
from hw_xai import explain

print("the library:", ", ".join(explain.METHODS))
all_dishes = torch.stack([dishes[i][0] for i in range(len(dishes))])  # (11, 3, 128, 128)
# a place for your own tries, such as this one; help(explain.saliency) lists the options
for i in (0, 1):
    value = explain.saliency(model, all_dishes[i : i + 1]).max()
    print(i, f"{value:.3f}")

# %% [markdown] questions="5-9"

# %% [markdown] lang="en"
# ## SmoothGrad: average away the wrinkles
# The score of a deep network is a wrinkled landscape: the slope changes from one step to the next. SmoothGrad takes the
# mean slope over many pictures that look the same to you:
#
# $$\frac{1}{n}\sum_{i=1}^{n} \frac{\partial\,\text{score}}{\partial\,\text{inputs}}(\text{inputs} + \varepsilon_i), \qquad
# \varepsilon_i \sim \mathcal N(0, \sigma^2), \qquad \sigma = \text{noise\_level} \cdot (\max - \min)$$
#
# max and min are those of *each* picture. σ is a standard deviation. The result keeps its sign.
#
# **Exercise.** About 7 lines, 15 minutes. Draw the noise from a `torch.Generator` with the given seed, so that the
# same seed gives the same map. The largest value of each picture is `inputs.amax(dim=(1, 2, 3), keepdim=True)`.

# %% [markdown] lang="zh-TW"
# ## SmoothGrad：把皺紋平均掉
# 深層網路的分數像一片起皺的地形：每走一步，斜率就變。SmoothGrad 對許多張在你看來都一樣的圖片，取斜率的平均：
#
# $$\frac{1}{n}\sum_{i=1}^{n} \frac{\partial\,\text{score}}{\partial\,\text{inputs}}(\text{inputs} + \varepsilon_i), \qquad
# \varepsilon_i \sim \mathcal N(0, \sigma^2), \qquad \sigma = \text{noise\_level} \cdot (\max - \min)$$
#
# max 和 min 是*每一張*圖片自己的。σ 是標準差。結果保留正負號。
#
# **練習。** 約 7 行，15 分鐘。請用給定種子的 `torch.Generator` 抽取雜訊，讓相同的種子得到相同的圖。
# 每張圖片的最大值可以寫成 `inputs.amax(dim=(1, 2, 3), keepdim=True)`。


# %% exercise="smooth_grad"
def smooth_grad(model, inputs, target, n_samples, noise_level, seed):
    """Return the mean gradient over n_samples noisy copies of the inputs.

    inputs: (N, 3, H, W)   target: LongTensor (N,)   returns: (N, 3, H, W), signed
    """
    # BEGIN SOLUTION
    generator = torch.Generator().manual_seed(seed)
    pixels = (1, 2, 3)
    sigma = noise_level * (inputs.amax(pixels, keepdim=True) - inputs.amin(pixels, keepdim=True))  # (N, 1, 1, 1)
    total = torch.zeros_like(inputs)
    for _ in range(n_samples):
        x = (inputs + sigma * torch.randn(inputs.shape, generator=generator)).requires_grad_()
        score = model(x).gather(1, target[:, None]).sum()
        total += torch.autograd.grad(score, x)[0]
    return total / n_samples
    # END SOLUTION


# %% check="smooth_grad"
check("smooth_grad", smooth_grad)

# %% [markdown] lang="en"
# <details><summary>My map is as noisy as the plain gradient</summary>
#
# Is the noise inside the loop, new for each draw? And is it the *gradients* you average? The mean of the noisy pictures
# is the picture itself.
# </details>
# <details><summary>My map is never negative</summary>
#
# An absolute value inside the loop keeps the noise that should cancel. Here no absolute value is asked for.
# </details>
# <details><summary>My map has the right look, but "check" says the noise has the wrong size</summary>
#
# `torch.randn` has standard deviation 1: multiply it by σ itself, not by σ². The range is that of each picture, not of
# the batch.
# </details>

# %% [markdown] lang="zh-TW"
# <details><summary>我的圖和單純的梯度一樣雜亂</summary>
#
# 雜訊是在迴圈裡、每次重新抽取的嗎？平均的是*梯度*嗎？把有雜訊的圖片平均起來，就只是原來的圖片。
# </details>
# <details><summary>我的圖沒有負值</summary>
#
# 在迴圈裡取絕對值，會留下原本應該互相抵消的雜訊。這裡並沒有要求取絕對值。
# </details>
# <details><summary>圖看起來對，但 check 說雜訊的大小不對</summary>
#
# `torch.randn` 的標準差是 1：請乘上 σ 本身，不是 σ²。範圍要用每張圖片自己的，不是整批的。
# </details>

# %% picture="smooth_grad"
maps = {"saliency": saliency(model, inputs, target)}
for noise_level in (0.05, 0.2):
    maps[f"SmoothGrad {noise_level}"] = smooth_grad(model, inputs, target, 15, noise_level, seed=0).abs()
compare(inputs, maps, captions=names, masks=masks)

# %% [markdown] lang="en"
# **Try it:** what happens with `noise_level` 1.0, and what with one single sample? Write down your guess before you run it.

# %% [markdown] lang="zh-TW"
# **試試看**：`noise_level` 設為 1.0 會怎樣？只抽一次又會怎樣？執行之前先寫下你的猜測。

# %% [markdown] questions="10-13"

# %% [markdown] lang="en"
# ## Integrated gradients: walk the whole way
# A slope at one point says nothing about *how far* the score has come. So start at a baseline (a black picture), walk
# straight to the input, and collect the slope on the way:
#
# $$(\text{inputs} - \text{baselines}) \cdot \int_0^1 \frac{\partial\,\text{score}}{\partial\,\text{inputs}}
# \big(\text{baselines} + \alpha\,(\text{inputs} - \text{baselines})\big)\, d\alpha$$
#
# What you get for it is **completeness**: all values add up to score(inputs) − score(baselines). Nothing is left out.
#
# **Exercise.** About 8 lines, 15 minutes. Take the integral as a mean over `n_steps` points: cut the path into
# `n_steps` equal pieces and stand in the *middle* of each.

# %% [markdown] lang="zh-TW"
# ## 積分梯度：走完整段路
# 單一點的斜率，並不能說明分數已經走了*多遠*。所以從基準（全黑的圖片）出發，沿直線走到輸入，一路收集斜率：
#
# $$(\text{inputs} - \text{baselines}) \cdot \int_0^1 \frac{\partial\,\text{score}}{\partial\,\text{inputs}}
# \big(\text{baselines} + \alpha\,(\text{inputs} - \text{baselines})\big)\, d\alpha$$
#
# 換來的是**完備性**：所有值加起來等於 score(inputs) − score(baselines)，沒有遺漏。
#
# **練習。** 約 8 行，15 分鐘。把積分寫成 `n_steps` 個點的平均：把路徑切成 `n_steps` 等份，站在每一份的*正中間*。


# %% exercise="integrated_gradients"
def integrated_gradients(model, inputs, target, baselines, n_steps):
    """Return (inputs − baselines) · the mean gradient on the straight path between them.

    inputs, baselines: (N, 3, H, W)   target: LongTensor (N,)   returns: (N, 3, H, W), signed
    """
    # BEGIN SOLUTION
    total = torch.zeros_like(inputs)
    for step in range(n_steps):
        alpha = (step + 0.5) / n_steps
        x = (baselines + alpha * (inputs - baselines)).requires_grad_()
        score = model(x).gather(1, target[:, None]).sum()
        total += torch.autograd.grad(score, x)[0]
    return (inputs - baselines) * total / n_steps
    # END SOLUTION


# %% check="integrated_gradients"
check("integrated_gradients", integrated_gradients)

# %% [markdown] lang="en"
# <details><summary>My values do not add up to the difference of the scores</summary>
#
# Two usual reasons: the factor in front of the integral is missing, or all points of the path lie half a step too early
# or too late. With 2 steps, α should be ¼ and ¾.
# </details>
# <details><summary>Right for a black baseline only</summary>
#
# The path must start at the baseline: α = 0 gives `baselines`, α = 1 gives `inputs`.
# </details>

# %% [markdown] lang="zh-TW"
# <details><summary>所有值加起來不等於分數的差</summary>
#
# 常見的原因有兩個：漏掉了積分前面的因子，或是路徑上的點都早了或晚了半步。走 2 步時，α 應該是 ¼ 和 ¾。
# </details>
# <details><summary>只有黑色基準才對</summary>
#
# 路徑必須從基準出發：α = 0 得到 `baselines`，α = 1 得到 `inputs`。
# </details>

# %%
black = torch.zeros_like(inputs[:1])
with torch.no_grad():
    difference = (model(inputs[:1]) - model(black))[0, target[0]].item()
for n_steps in (2, 5, 20, 60):
    total = integrated_gradients(model, inputs[:1], target[:1], black, n_steps).sum().item()
    print(f"{n_steps:3} steps: the map adds up to {total:6.2f}, the scores differ by {difference:6.2f}")

# %% picture="integrated_gradients"
maps = {
    "saliency": saliency(model, inputs, target),
    "|SmoothGrad|": smooth_grad(model, inputs, target, 15, 0.2, seed=0).abs(),
    "integrated gradients": integrated_gradients(model, inputs, target, torch.zeros_like(inputs), 15),
}
compare(inputs, maps, captions=names, masks=masks)

# %% [markdown] lang="en"
# In the last column red speaks for the class and blue against it. The two others have no such colours: the sign of a
# gradient says only which way to *change* a pixel so that the score rises, not whether what is there speaks for it.
#
# Look at the darkest parts of a picture: what does the factor (inputs − baselines) do there?

# %% [markdown] lang="zh-TW"
# 在最後一欄裡，紅色支持這個類別，藍色反對。前兩欄沒有這種顏色：梯度的正負號只說像素該往哪個方向*改變*，分數才會上升；
# 它並不表示圖上原有的東西支持這個類別。
#
# 看看圖片最暗的地方：因子 (inputs − baselines) 在那裡做了什麼？

# %% [markdown] questions="18-20"

# %% [markdown] lang="en"
# **At this point you have** three explainers of your own that work on any network you can differentiate, and a test
# (completeness) that tells you by a number whether one of them is wrong. Next: look inside the network (notebook 3).

# %% [markdown] lang="zh-TW"
# **到這裡，你已經有了**三個自己寫的解釋方法，任何可以微分的網路都能用；還有一項檢驗（完備性），用一個數字就能看出寫錯了沒有。
# 接下來：看看網路的內部（第 3 本筆記本）。
