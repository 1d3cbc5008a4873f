# %% [markdown] lang="en"
# # 3 · What the filters see, and where
# **Goal**: look inside the network: where does a filter respond, what does it look for, and which places of the last
# layer decide? **About 60 minutes.**
#
# A convolutional layer is a stack of filters (*channels*). Each makes a small map of the picture: large numbers where
# it finds what it looks for. Early layers see edges and colours, late ones parts of food.

# %% [markdown] lang="zh-TW"
# # 3 · 濾波器看到什麼、在哪裡看到
# **目標**：看看網路的內部：一個濾波器對哪裡有反應？它在找什麼？最後一層的哪些位置做了決定？**約 60 分鐘。**
#
# 卷積層是一疊濾波器（*通道*）。每個濾波器都把圖片變成一張小圖：找到它要找的東西的地方，數值就大。
# 前面的層看邊緣和顏色，後面的層看食物的局部。

# %%
import torch

from hw_xai.show import compare, pictures
from hw_xai.vision import load
from hw_xai.vision.dishes.synthetic import SyntheticFood11
from hw_xai.vision.preprocess import preprocessing

model = load("foodnet-synthetic")
dishes = SyntheticFood11(11, size=128, seed=7, transform=preprocessing())
chosen = [2, 5, 8]
inputs = torch.stack([dishes[i][0] for i in chosen])  # (3, 3, 128, 128), values in [0, 1]
masks = [dishes.mask(i) for i in chosen]
with torch.no_grad():
    target = model(inputs).argmax(dim=1)  # (3,)
names = [model.classes[t] for t in target]
early, late = model.features[0], model.features[14]  # the first layer and the last
print(names)

# %% [markdown] lang="en"
# ## The activation of a filter
# PyTorch lets you listen to a layer: a **forward hook** is called with what the layer returns. Hang it up, run the
# model, take it down again; a hook that stays goes on listening for ever.
#
# **Exercise.** About 5 lines, 10 minutes. Return the map of one channel as it is: not enlarged, not normalized. Let
# gradients through (no `detach`, no `no_grad`): the next exercise climbs them.

# %% [markdown] lang="zh-TW"
# ## 濾波器的活化（activation）
# PyTorch 可以讓你旁聽某一層：**前向掛鉤**（forward hook）會收到這一層的輸出。掛上、執行模型、再取下；
# 沒取下的掛鉤會一直聽下去。
#
# **練習。** 約 5 行，10 分鐘。原樣回傳一個通道的圖：不放大、不正規化。讓梯度通過（不要 `detach` 或 `no_grad`）：
# 下一個練習要沿著梯度往上爬。


# %% exercise="filter_activation"
def filter_activation(model, inputs, layer, channel):
    """Return what one channel of a layer makes of the inputs.

    inputs: (N, 3, H, W)   layer: a module of the model   channel: int   returns: (N, 1, h, w)
    """
    # BEGIN SOLUTION
    seen = []
    handle = layer.register_forward_hook(lambda module, arguments, output: seen.append(output))
    try:
        model(inputs)
    finally:
        handle.remove()  # also when the model fails
    return seen[0][:, channel : channel + 1]
    # END SOLUTION


# %% check="filter_activation"
check("filter_activation", filter_activation)

# %% [markdown] lang="en"
# <details><summary>My result has three dimensions</summary>
#
# `x[:, 3]` drops a dimension. A slice of length one keeps it.
# </details>
# <details><summary>My result never changes, whatever picture I give</summary>
#
# Is an old hook still there, filling the same list? Remove it, and use a new list in each call.
# </details>

# %% [markdown] lang="zh-TW"
# <details><summary>我的結果是三維的</summary>
#
# `x[:, 3]` 會去掉一維。長度為一的切片會保留它。
# </details>
# <details><summary>不管給什麼圖片，結果都一樣</summary>
#
# 是不是舊的掛鉤還在，一直往同一個串列裡放？請取下它，並且每次呼叫都用新的串列。
# </details>

# %% picture="filter_activation"
maps = {f"first layer, {k}": filter_activation(model, inputs, early, k).detach() for k in (6, 9)}
maps |= {f"last layer, {k}": filter_activation(model, inputs, late, k).detach() for k in (13, 44)}
compare(inputs, maps, captions=names)

# %% [markdown] lang="en"
# The first layer has 64 × 64 places, the last one 8 × 8: each of its places has seen most of the picture.
#
# ## Activation maximization: what does it look for?
# Turn the question round. Keep the weights and change the *picture*, so that the channel's mean activation grows:
#
# $$x \leftarrow \text{clamp}\Big(x + \text{lr} \cdot \frac{g}{\text{RMS}(g)},\; 0,\; 1\Big), \qquad
# g = \frac{\partial\, \text{mean activation}}{\partial x}, \qquad \text{RMS}(g) = \sqrt{\text{mean}(g^2)}$$
#
# Dividing by the RMS of each picture's own gradient makes all steps equally long.
#
# **Exercise.** About 10 lines, 20 minutes. Your `filter_activation` helps. Leave `start` as it is.

# %% [markdown] lang="zh-TW"
# 第一層有 64 × 64 個位置，最後一層只有 8 × 8 個：它的每個位置都看過大半張圖片。
#
# ## 活化最大化：它在找什麼？
# 把問題反過來。權重不動，改變*圖片*，讓這個通道的平均活化值變大：
#
# $$x \leftarrow \text{clamp}\Big(x + \text{lr} \cdot \frac{g}{\text{RMS}(g)},\; 0,\; 1\Big), \qquad
# g = \frac{\partial\, \text{mean activation}}{\partial x}, \qquad \text{RMS}(g) = \sqrt{\text{mean}(g^2)}$$
#
# 除以每張圖片自己的梯度的 RMS，讓每一步都一樣長。
#
# **練習。** 約 10 行，20 分鐘。可以使用你的 `filter_activation`。`start` 要維持原狀。


# %% exercise="maximize_activation"
def maximize_activation(model, layer, channel, start, n_steps, lr):
    """Return pictures that drive the mean activation of a channel up, by n_steps steps from `start`.

    start: (N, 3, H, W) in [0, 1]   channel: int   returns: (N, 3, H, W) in [0, 1]
    """
    # BEGIN SOLUTION
    x = start
    for _ in range(n_steps):
        x = x.detach().clone().requires_grad_()
        means = filter_activation(model, x, layer, channel).mean(dim=(1, 2, 3))  # (N,)
        (g,) = torch.autograd.grad(means.sum(), x)
        rms = g.square().mean(dim=(1, 2, 3), keepdim=True).sqrt()
        x = (x + lr * g / rms).clamp(0, 1)
    return x.detach()
    # END SOLUTION


# %% check="maximize_activation"
check("maximize_activation", maximize_activation)

# %% [markdown] lang="en"
# <details><summary>The activation falls instead of rising</summary>
#
# Optimizers walk downhill. Here you want up: add the gradient.
# </details>
# <details><summary>Right for the first call, wrong for the second</summary>
#
# Has `start` been changed? `x += …` writes into the caller's tensor.
# </details>
# <details><summary>"One of the differentiated tensors appears to not have been used"</summary>
#
# The new `x` is not the one you gave the model. In each step: detach, ask for gradients, run, then take the gradient
# with respect to *this* `x`.
# </details>

# %% [markdown] lang="zh-TW"
# <details><summary>活化值不升反降</summary>
#
# 最佳化器是往下走的。這裡要往上：把梯度加上去。
# </details>
# <details><summary>第一次呼叫對，第二次就錯</summary>
#
# `start` 被改掉了嗎？`x += …` 會直接寫進呼叫者的張量。
# </details>
# <details><summary>出現「One of the differentiated tensors appears to not have been used」</summary>
#
# 新的 `x` 不是你交給模型的那一個。每一步：detach、要求梯度、執行，然後對*這一個* `x` 求梯度。
# </details>

# %% [markdown] lang="en"
# **Predict first:** will the pictures of the first layer look like food? Those of the last one?

# %% [markdown] lang="zh-TW"
# **先猜猜看**：第一層的圖片會像食物嗎？最後一層的呢？

# %% picture="maximize_activation"
torch.manual_seed(0)
start = 0.5 + 0.05 * torch.randn(1, 3, 128, 128)  # grey, with a little noise
dreams, captions = [], []
for word, layer, channels in (("first", early, (6, 9, 20)), ("last", late, (13, 33, 44))):
    for channel in channels:
        dreams += maximize_activation(model, layer, channel, start, n_steps=25, lr=0.05)
        captions.append(f"{word} layer, {channel}")
pictures(dreams, captions, columns=3)

# %% [markdown] lang="en"
# Pixels are free to do what no photo does: fine stripes and dots that excite the filter and mean nothing to you.
# Libraries hold the pictures back (shaking, turning, coarse waves first); `hw_xai.explain.maximize_activation` does so.

# %% [markdown] lang="zh-TW"
# 像素可以做出照片裡不會有的事：細密的條紋和斑點，讓濾波器反應強烈，對你卻毫無意義。
# 函式庫會約束這些圖片（抖動、旋轉、先畫低頻的粗略形狀）；`hw_xai.explain.maximize_activation` 就是這樣做的。

# %% [markdown] lang="en"
# ## Questions
# **Predict first**: write your guess down. Then **run**: a few lines in a cell of your own tell. Then **answer**, in the
# last cell of this notebook. The dishes are numbered from 0; `dishes.mask(i)` says where the food of dish i is. Names in
# `code` are those of the library: `explain` has what you wrote, with more options. This notebook holds questions 14–17.

# %% [markdown] lang="zh-TW"
# ## 問題
# **先猜**：寫下你的猜測。再**執行**：在自己的儲存格裡寫幾行就知道。然後在本筆記本的最後一格**作答**。
# 每道菜從 0 開始編號；`dishes.mask(i)` 告訴你第 i 道菜的食物在哪裡。以 `code` 字型寫的是函式庫裡的名稱：
# 你寫的方法 `explain` 裡都有，選項更多。本筆記本有第 14–17 題。

# %%
from hw_xai import explain

print("the library:", ", ".join(explain.METHODS))
all_dishes = torch.stack([dishes[i][0] for i in range(len(dishes))])  # (11, 3, 128, 128)
# a place for your own tries, such as this one; help(explain.filter_activation) lists the options
for i in (0, 1):
    value = explain.filter_activation(model, all_dishes[i : i + 1], "features.5", channel=3).max()
    print(i, f"{value:.2f}")

# %% [markdown] questions="14-16"

# %% [markdown] lang="en"
# ## Grad-CAM: which places of the last layer decide?
# The last layer has hundreds of maps $A_k$. Weigh each by how much the score likes it, add them up, and keep what
# speaks for the class:
#
# $$\text{ReLU}\Big(\sum_k w_k A_k\Big), \qquad w_k = \text{mean over places of } \frac{\partial\,\text{score}}{\partial A_k}$$
#
# **Exercise.** About 10 lines, 20 minutes. Enlarge the result to the size of the inputs at the very end, with
# `torch.nn.functional.interpolate(…, mode="bilinear", align_corners=False)`.

# %% [markdown] lang="zh-TW"
# ## Grad-CAM：最後一層的哪些位置做了決定？
# 最後一層有幾百張圖 $A_k$。依照分數有多「喜歡」它來給每張圖一個權重，加起來，再留下支持這個類別的部分：
#
# $$\text{ReLU}\Big(\sum_k w_k A_k\Big), \qquad w_k = \text{mean over places of } \frac{\partial\,\text{score}}{\partial A_k}$$
#
# **練習。** 約 10 行，20 分鐘。最後才把結果放大到輸入的大小，使用
# `torch.nn.functional.interpolate(…, mode="bilinear", align_corners=False)`。


# %% exercise="grad_cam"
def grad_cam(model, inputs, target, layer):
    """Return ReLU(Σ w · maps) of a layer, enlarged.

    inputs: (N, 3, H, W)   target: LongTensor (N,)   layer: a module of the model   returns: (N, 1, H, W), never negative
    """
    # BEGIN SOLUTION
    seen = []
    handle = layer.register_forward_hook(lambda module, arguments, output: seen.append(output))
    try:
        scores = model(inputs)
    finally:
        handle.remove()
    maps = seen[0]  # (N, K, h, w)
    (slopes,) = torch.autograd.grad(scores.gather(1, target[:, None]).sum(), maps)
    weights = slopes.mean(dim=(2, 3), keepdim=True)  # (N, K, 1, 1)
    cam = (weights * maps).sum(dim=1, keepdim=True).relu()
    return torch.nn.functional.interpolate(cam, size=inputs.shape[2:], mode="bilinear", align_corners=False).detach()
    # END SOLUTION


# %% check="grad_cam"
check("grad_cam", grad_cam)

# %% [markdown] lang="en"
# <details><summary>My map is all zeros</summary>
#
# ReLU of each map on its own is not ReLU of the sum. And is it the *score* of the class, or the loss? The loss falls
# where the score rises.
# </details>
# <details><summary>My map covers the whole picture</summary>
#
# The weight of a map is the *mean* of its gradient over the places: one number per map and picture.
# </details>

# %% [markdown] lang="zh-TW"
# <details><summary>我的圖全是零</summary>
#
# 對每張圖各做 ReLU，並不等於對總和做 ReLU。還有，用的是這個類別的*分數*，還是損失？分數上升時，損失是下降的。
# </details>
# <details><summary>我的圖蓋住了整張圖片</summary>
#
# 一張圖的權重，是它的梯度在各個位置的*平均*：每張圖片、每個通道一個數字。
# </details>

# %% picture="grad_cam"
with torch.no_grad():
    second = model(inputs).topk(2, dim=1).indices[:, 1]  # the class that comes next
maps = {f"layer {i}": grad_cam(model, inputs, target, model.features[i]) for i in (5, 11, 14)}
maps["second class"] = grad_cam(model, inputs, second, model.features[14])
compare(
    inputs, maps, captions=[f"{a}, then {model.classes[b]}" for a, b in zip(names, second, strict=True)], masks=masks
)

# %% [markdown] lang="en"
# The white outline is the food. Only 8 × 8 numbers lie behind the map of the last layer: Grad-CAM tells you *where*,
# gradients (notebook 2) tell you *which edges*.

# %% [markdown] lang="zh-TW"
# 白色輪廓是食物。最後一層的圖背後只有 8 × 8 個數字：Grad-CAM 告訴你*在哪裡*，梯度（第 2 本筆記本）告訴你*是哪些邊緣*。

# %% [markdown] questions="17"

# %% [markdown] lang="en"
# **At this point you have** three ways to look inside: where a filter responds, what it looks for, and which places
# decide. Next: a network that reads (notebook 4).

# %% [markdown] lang="zh-TW"
# **到這裡，你已經有了**三種看進內部的方法：濾波器對哪裡有反應、它在找什麼、哪些位置做了決定。
# 接下來：會閱讀的網路（第 4 本筆記本）。
