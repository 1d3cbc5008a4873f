# %% [markdown] lang="en"
# # 1 · Hide a part and see what happens
# **Goal**: write two explainers that need no gradient, only the network's answers: occlusion, and the heart of LIME.
# **About 50 minutes.**
#
# You do not have to open a machine to learn what it looks at. Cover a part of the picture and ask again: if the score
# falls, that part spoke *for* the class; if it rises, the part spoke *against* it.

# %% [markdown] lang="zh-TW"
# # 1 · 遮住一塊，看看會怎樣
# **目標**：寫出兩種不需要梯度、只需要網路回答的解釋方法：遮擋法，以及 LIME 的核心。
# **約 50 分鐘。**
#
# 想知道一台機器在看哪裡，不必拆開它。遮住圖片的一部分再問一次：如果分數下降，那一塊*支持*這個類別；
# 如果分數上升，那一塊*反對*這個類別。

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
masks_of_food = [dishes.mask(i) for i in chosen]  # these dishes are drawn, so we know where the food is
with torch.no_grad():
    target = model(inputs).argmax(dim=1)  # (3,) the class the network chooses for each
names = [model.classes[t] for t in target]
print(names)

# %% [markdown] lang="en"
# ## Occlusion: one window at a time
# Slide a square window over the picture. At each place, set all that is inside to zero (black) and write down the drop
#
# $$\text{score}(\text{inputs}) - \text{score}(\text{inputs with the window hidden})$$
#
# A pixel lies under several windows: it gets the **mean** of their drops.
#
# **Exercise.** About 12 lines, 20 minutes. `stride` is the way from one window to the next. The last window ends
# exactly at the edge: with a side of 12, a window of 4 and a stride of 2 there are 5 places, 0, 2, 4, 6 and 8. (Here the
# stride always divides side − window; nothing is left over.)

# %% [markdown] lang="zh-TW"
# ## 遮擋法：一次遮一個視窗
# 讓一個正方形視窗滑過圖片。在每個位置，把視窗裡的值全部設為零（黑色），記下分數下降多少：
#
# $$\text{score}(\text{inputs}) - \text{score}(\text{inputs with the window hidden})$$
#
# 一個像素會被好幾個視窗遮到：它得到的是這些下降量的**平均**。
#
# **練習。** 約 12 行，20 分鐘。`stride` 是相鄰兩個視窗的距離。最後一個視窗剛好貼齊邊緣：
# 邊長 12、視窗 4、步幅 2 時，共有 5 個位置：0、2、4、6、8。（這裡的步幅一定能整除「邊長減視窗」，不會有剩餘。）


# %% exercise="occlusion"
@torch.no_grad()
def occlusion(model, inputs, target, window, stride):
    """Return for each pixel the mean drop of the score over the windows that hide it.

    inputs: (N, 3, H, W)   target: LongTensor (N,)   returns: (N, 1, H, W), signed
    """
    # BEGIN SOLUTION
    total, count = torch.zeros_like(inputs[:, :1]), torch.zeros_like(inputs[:, :1])
    before = model(inputs).gather(1, target[:, None])  # (N, 1)
    for top in range(0, inputs.shape[2] - window + 1, stride):
        for left in range(0, inputs.shape[3] - window + 1, stride):
            place = (..., slice(top, top + window), slice(left, left + window))
            hidden = inputs.clone()
            hidden[place] = 0
            total[place] += (before - model(hidden).gather(1, target[:, None]))[:, :, None, None]
            count[place] += 1
    return total / count
    # END SOLUTION


# %% check="occlusion"
check("occlusion", occlusion)

# %% [markdown] lang="en"
# <details><summary>My map gets darker and darker towards one corner, or the second call differs from the first</summary>
#
# Do the windows pile up? Each one must be cut out of a fresh copy; `hidden = inputs` is no copy.
# </details>
# <details><summary>A stripe at the right or lower edge is empty, or "nan"</summary>
#
# Nothing was hidden there, and 0 / 0 is nan. Count on paper where the last window starts: does your `range` stop one
# place too early?
# </details>
# <details><summary>The colours are swapped: the food is blue</summary>
#
# A part that speaks for the class makes the score *fall* when it is hidden. Before minus after.
# </details>

# %% [markdown] lang="zh-TW"
# <details><summary>我的圖越往某個角落越深，或第二次呼叫的結果和第一次不同</summary>
#
# 是不是視窗越積越多？每次都要從新的複本上遮；`hidden = inputs` 並沒有複製。
# </details>
# <details><summary>右緣或下緣有一條是空的，或出現 nan</summary>
#
# 那裡從來沒被遮過，而 0 / 0 就是 nan。在紙上數一數最後一個視窗從哪裡開始：你的 `range` 是不是早停了一格？
# </details>
# <details><summary>顏色相反：食物是藍色的</summary>
#
# 支持這個類別的部分被遮住時，分數會*下降*。是遮之前減去遮之後。
# </details>

# %% [markdown] lang="en"
# **Predict first:** which will look better, a large window or a small one? What does each of them miss?

# %% [markdown] lang="zh-TW"
# **先猜猜看**：大視窗和小視窗，哪一個的圖比較好看？它們各自會漏掉什麼？

# %% picture="occlusion"
maps = {f"window {w}": occlusion(model, inputs, target, window=w, stride=16) for w in (48, 32, 16)}
compare(inputs, maps, captions=names, masks=masks_of_food)

# %% [markdown] lang="en"
# Red spoke for the class, blue against it. A large window finds the place, a small one finds single parts but may hide too
# little to matter. Neither sees parts that only count *together*.
#
# ## LIME: many parts at a time, and a simple model
# A window is a poor shape. LIME cuts the picture into **superpixels**, patches of one colour, hides a *random half* of
# them, asks the network, and does so hundreds of times. Then it fits a simple model to the answers:
#
# $$\text{score} \approx b + \sum_k c_k \cdot \text{mask}_k$$
#
# $c_k$ is what showing patch $k$ adds. The next two cells do the cutting and the asking for you.

# %% [markdown] lang="zh-TW"
# 紅色支持這個類別，藍色反對。大視窗找得到位置；小視窗找得到個別的小部分，但可能遮得太少，起不了作用。
# 只有*一起*才有影響的部分，兩者都看不出來。
#
# ## LIME：一次遮很多塊，再擬合一個簡單的模型
# 視窗的形狀不太理想。LIME 把圖片切成**超像素**（顏色相近的小塊），*隨機遮住一半*，問網路一次，如此重複幾百次。
# 然後用一個簡單的模型去擬合這些回答：
#
# $$\text{score} \approx b + \sum_k c_k \cdot \text{mask}_k$$
#
# $c_k$ 是「露出第 $k$ 塊」所增加的分數。下面兩格已經替你切好、問好。

# %%
from skimage.segmentation import slic

picture = inputs[0]  # (3, 128, 128)
segments = torch.from_numpy(
    slic(picture.permute(1, 2, 0).numpy(), n_segments=40, compactness=10, sigma=1, start_label=0)
)
n_patches = int(segments.max()) + 1  # segments (128, 128): the number of each pixel's patch

torch.manual_seed(16)
masks = (torch.rand(300, n_patches) < 0.5).float()  # (S, K): 1 shows a patch, 0 hides it
masks[0] = 1  # the whole picture is one of the samples
print(f"{n_patches} patches; sample 1 shows {int(masks[1].sum())} of them")

# %%
grey = picture.mean(dim=(1, 2), keepdim=True)  # (3, 1, 1): what a hidden patch shows
shown = masks[:, None, segments.long()]  # (S, 1, 128, 128)
with torch.no_grad():
    batches = [model(picture * part + grey * (1 - part)) for part in shown.split(50)]
scores = torch.cat(batches)[:, target[0]]  # (S,)

distance = 1 - masks.mean(dim=1).sqrt()  # how far a sample is from the whole picture
weights = torch.exp(-(distance**2) / (2 * 0.25**2))  # (S,): near ones count more
print(f"scores from {scores.min():.1f} to {scores.max():.1f}; the whole picture has {scores[0]:.1f}")

# %% [markdown] lang="en"
# **Exercise.** About 5 lines, 15 minutes. Find the coefficients $c$ with the smallest
#
# $$\sum_s w_s \,(\text{score}_s - b - \text{mask}_s \cdot c)^2 + \alpha \sum_k c_k^2$$
#
# The intercept $b$ is free: α does not hold it back. The trick: subtract from masks and scores their **weighted means**;
# then $b$ is gone. With $X$ and $y$ the centred ones and $W$ the weights on a diagonal, the answer solves
#
# $$(X^\top W X + \alpha I)\; c = X^\top W y$$

# %% [markdown] lang="zh-TW"
# **練習。** 約 5 行，15 分鐘。找出讓下式最小的係數 $c$：
#
# $$\sum_s w_s \,(\text{score}_s - b - \text{mask}_s \cdot c)^2 + \alpha \sum_k c_k^2$$
#
# 截距 $b$ 不受限制：α 不會壓住它。訣竅是把 masks 和 scores 各自減去它們的**加權平均**，$b$ 就消失了。
# 令 $X$、$y$ 為減去平均之後的值，$W$ 為對角線上放權重的矩陣，答案滿足
#
# $$(X^\top W X + \alpha I)\; c = X^\top W y$$


# %% exercise="lime_weights"
def lime_weights(masks, scores, weights, alpha):
    """Return the coefficients of the weighted ridge regression of scores on masks, with a free intercept.

    masks: (S, K) of 0 and 1   scores, weights: (S,)   returns: (K,)
    """
    # BEGIN SOLUTION
    share = weights / weights.sum()
    x, y = masks - share @ masks, scores - share @ scores  # centred: the intercept is gone
    weighted = x.T * weights  # (K, S)
    return torch.linalg.solve(weighted @ x + alpha * torch.eye(masks.shape[1]), weighted @ y)
    # END SOLUTION


# %% check="lime_weights"
check("lime_weights", lime_weights)

# %% [markdown] lang="en"
# <details><summary>All my coefficients are much too large, or all have one sign</summary>
#
# Then they have to explain the height of the scores as well: the intercept is missing, or α holds it back.
# </details>
# <details><summary>Nearly right, but not quite</summary>
#
# Are the means *weighted* too? Do the weights come in once, not squared, on both sides? Is α added to the diagonal only?
# </details>
# <details><summary>"expected m1 and m2 to have the same dtype"</summary>
#
# Make what you add the same type as what came in: `torch.eye(k, dtype=masks.dtype)`.
# </details>

# %% [markdown] lang="zh-TW"
# <details><summary>係數全都太大，或全是同號</summary>
#
# 那是因為它們還得解釋分數本身的高度：少了截距，或截距被 α 壓住了。
# </details>
# <details><summary>差一點點就對了</summary>
#
# 平均也有*加權*嗎？權重在等號兩邊是不是都只乘一次、沒有平方？α 是不是只加在對角線上？
# </details>
# <details><summary>出現「expected m1 and m2 to have the same dtype」</summary>
#
# 自己加進去的張量要和輸入同型別：`torch.eye(k, dtype=masks.dtype)`。
# </details>

# %% picture="lime_weights"
c = lime_weights(masks, scores, weights, alpha=1.0)
compare([picture], {"LIME": [c[segments.long()]]}, captions=names[:1], masks=masks_of_food[:1])  # each patch its own c

# %% [markdown] lang="en"
# Red patches speak for the class, blue ones against it, as above. (The library's own figure of LIME, `superpixels` in
# `hw_xai.show`, draws them in green and red, as LIME's authors do.)
#
# Is the simple model any good? Two quick tests: fit it to each half of the samples and compare, and see how much of the
# scores it explains.

# %% [markdown] lang="zh-TW"
# 和前面一樣，紅色的小塊支持這個類別，藍色的反對。（函式庫自己的 LIME 圖，也就是 `hw_xai.show` 的 `superpixels`，
# 則和 LIME 的作者一樣，畫成綠色與紅色。）
#
# 這個簡單的模型可靠嗎？兩個快速的檢驗：用前後兩半的樣本各擬合一次，互相比較；再看看它解釋了多少分數的變化。

# %%
first, second = (lime_weights(masks[h], scores[h], weights[h], alpha=1.0) for h in (slice(0, 150), slice(150, 300)))
print(f"two halves agree: correlation {torch.corrcoef(torch.stack([first, second]))[0, 1]:.2f}")
fitted = masks @ c
print(f"of the scores it follows: correlation {torch.corrcoef(torch.stack([fitted, scores]))[0, 1]:.2f}")

# %% [markdown] lang="en"
# ## Questions
# **Predict first**: write your guess down. Then **run**: a few lines in a cell of your own tell. Then **answer**, in the
# last cell of this notebook. The dishes are numbered from 0; `dishes.mask(i)` says where the food of dish i is. Names in
# `code` are those of the library: `explain` has what you wrote, with more options.

# %% [markdown] lang="zh-TW"
# ## 問題
# **先猜**：寫下你的猜測。再**執行**：在自己的儲存格裡寫幾行就知道。然後在本筆記本的最後一格**作答**。
# 每道菜從 0 開始編號；`dishes.mask(i)` 告訴你第 i 道菜的食物在哪裡。以 `code` 字型寫的是函式庫裡的名稱：
# 你寫的方法 `explain` 裡都有，選項更多。

# %%
from hw_xai import explain

print("the library:", ", ".join(explain.METHODS))
all_dishes = torch.stack([dishes[i][0] for i in range(len(dishes))])  # (11, 3, 128, 128)
# a place for your own tries, such as this one; help(explain.occlusion) lists the options
for i in (0, 1):
    value = explain.occlusion(model, all_dishes[i : i + 1], window=64, stride=64).max()
    print(i, f"{value:.2f}")

# %% [markdown] questions="1-4"

# %% [markdown] lang="en"
# **At this point you have** two explainers that work on any machine that answers: no gradient, no weights, no layers.
# They cost hundreds of questions per picture. Next: one backward pass (notebook 2).

# %% [markdown] lang="zh-TW"
# **到這裡，你已經有了**兩種解釋方法，任何會回答的機器都能用：不需要梯度、權重或層。
# 代價是每張圖片要問好幾百次。接下來：只要一次反向傳遞（第 2 本筆記本）。
