# %% [markdown] lang="en"
# # 6 · Can you trust it?
# **Goal**: test explanations before you believe them, then use them to catch a network that cheats.
# **About 45 minutes**, 20 of them for the exercise.
#
# A heatmap that looks convincing proves nothing: we like maps that outline objects, and an edge detector outlines
# objects too, without any network. So ask what must be true of an explanation: **if the model forgets what it has
# learned, the explanation must change** (Adebayo et al. 2018). If it stays, it explains the picture, not the model.

# %% [markdown] lang="zh-TW"
# # 6 · 解釋可以相信嗎？
# **目標**：在相信解釋之前先檢驗它，再用它抓出一個作弊的網路。
# **約 45 分鐘**，其中練習約 20 分鐘。
#
# 看起來很有說服力的熱圖什麼都證明不了：我們喜歡描出物體輪廓的圖，而邊緣偵測器不需要任何網路，也能描出輪廓。所以要問：解釋必須滿足什麼條件？**如果模型忘了學過的東西，解釋就必須改變**（Adebayo 等人，2018）。如果沒有變，它解釋的就是圖片，而不是模型。

# %%
import torch

from hw_xai.explain import grad_cam, guided_backprop, saliency
from hw_xai.show import compare, pictures
from hw_xai.vision import load
from hw_xai.vision.dishes.synthetic import SyntheticFood11
from hw_xai.vision.preprocess import preprocessing

model = load("foodnet-synthetic")
dishes = SyntheticFood11(11, size=128, seed=7, transform=preprocessing())
images = torch.stack([dishes[i][0] for i in (2, 5, 8)])  # (3, 3, 128, 128)
target = model(images).argmax(dim=1)
pictures(images, [model.classes[t] for t in target])

# %% [markdown] lang="en"
# ## Exercise: a model that forgets
# Explain the model, then a copy of it whose **last** `n_layers` layers have fresh random weights: the layers nearest
# to the output forget first. The copy matters: the model itself is still needed. About 11 lines, 20 minutes.
#
# Layers are the modules that have `reset_parameters`, in the order of `model.modules()`. Call `torch.manual_seed(seed)`
# before each one is reset. The explanation is the saliency, the absolute gradient of the target's score.

# %% [markdown] lang="zh-TW"
# ## 練習：會遺忘的模型
# 先解釋模型，再解釋它的一個複本，而複本的**最後** `n_layers` 層換成了新的隨機權重：最靠近輸出的層最先遺忘。複本很重要，因為原來的模型之後還要用。約 11 行，20 分鐘。
#
# 這裡的「層」是指有 `reset_parameters` 的模組，依 `model.modules()` 的順序。重設每一層之前，先呼叫 `torch.manual_seed(seed)`。解釋用顯著圖，也就是目標類別分數的梯度的絕對值。


# %% exercise="randomize_layers"
def randomize_layers(model, inputs: torch.Tensor, target: torch.Tensor, n_layers: int, seed: int) -> torch.Tensor:
    """Return the saliency of the model, and that of a copy whose last n_layers layers were reset.

    inputs: (N, C, H, W). target: (N,). Returns (2, N, C, H, W).
    """
    # BEGIN SOLUTION
    import copy

    forgetful = copy.deepcopy(model)
    for layer in [m for m in forgetful.modules() if hasattr(m, "reset_parameters")][-n_layers:]:
        torch.manual_seed(seed)
        layer.reset_parameters()
    maps = []
    for network in (model, forgetful):
        x = inputs.clone().requires_grad_()
        network(x).gather(1, target[:, None]).sum().backward(inputs=[x])
        maps.append(x.grad.abs())
    return torch.stack(maps)
    # END SOLUTION


# %% check="randomize_layers"
check("randomize_layers", randomize_layers)

# %% [markdown] lang="en"
# <details><summary>Both of my maps are the same</summary>
#
# Which of the two networks were the layers taken from, and which of the two is explained?
# </details>
# <details><summary>The second call gives another result than the first</summary>
#
# Then the model itself has forgotten. Reset the layers of a copy that shares nothing with it.
# </details>
# <details><summary>My map of the copy is close, but wrong</summary>
#
# Count the layers from the end, and set the seed before *each* of them.
# </details>

# %% [markdown] lang="zh-TW"
# <details><summary>兩張圖一模一樣</summary>
#
# 你重設的是哪一個網路的層？解釋的又是哪一個？
# </details>
# <details><summary>第二次呼叫的結果和第一次不同</summary>
#
# 那就是原來的模型自己忘了。請重設複本的層，而且複本不能和它共用任何東西。
# </details>
# <details><summary>複本的圖很接近，但不對</summary>
#
# 從最後面開始數，而且在重設*每一層*之前都要設定種子。
# </details>

# %% [markdown] lang="en"
# **Predict first:** the last layer alone turns classes into noise. How much of the map will be left?

# %% [markdown] lang="zh-TW"
# **先猜猜看**：只要重設最後一層，類別就成了雜訊。這時圖還會剩下多少？

# %%
maps = {}
for n_layers in (1, 10, 40):
    trained, forgot = randomize_layers(model, images, target, n_layers, seed=0)
    maps |= {"trained": trained, f"last {n_layers} reset": forgot}
compare(images, maps, [model.classes[t] for t in target])

# %%
from hw_xai.evaluate import rank_correlation

strengths = {name: explained.amax(dim=1) for name, explained in maps.items()}  # (3, 128, 128)
strengths["trained, of another dish"] = strengths["trained"].roll(1, dims=0)
print(
    "of", sum(hasattr(m, "reset_parameters") for m in model.modules()), "layers; how alike the order of the pixels is:"
)
for name, strength in strengths.items():
    print(f"  {name:25} {rank_correlation(strength, strengths['trained']).mean():.2f}")

# %% [markdown] lang="en"
# <details><summary>How much is left?</summary>
#
# One layer of 81 takes away half of it, and that layer holds nothing but the classes. Yet the numbers do not go on to
# zero: about 0.3 is what even the maps of two *different dishes* have in common. They are absolute values, and every
# saliency map of this network, trained or not, is weak at the border and strong further in. So 0.3 is "nothing left".
# </details>

# %% [markdown] lang="zh-TW"
# <details><summary>還剩下多少？</summary>
#
# 81 層中只重設一層，就少了一半，而那一層只負責類別。不過數字並不會降到零：即使是兩道*不同的菜*，它們的圖也有大約 0.3 的相似度。這些都是絕對值，而這個網路的每張顯著圖，不論訓練過沒有，都是邊緣弱、裡面強。所以 0.3 就等於「什麼都不剩」。
# </details>

# %% [markdown] lang="en"
# ## Let four methods forget
# The same for four methods, and now block after block until nothing of the model is left. One of the four is a fraud:
# *edges* never looks at the model.
#
# **Predict first:** which of them will still show the dish when the whole model is random?

# %% [markdown] lang="zh-TW"
# ## 讓四種方法一起遺忘
# 對四種方法做同樣的事，而且一塊接一塊，直到模型什麼都不剩。四種之中有一個是冒牌貨：*edges*（邊緣）從來不看模型。
#
# **先猜猜看**：當整個模型都是隨機的，哪些方法仍然會顯示出那道菜？

# %%
from hw_xai.evaluate.randomize import blocks_of
from hw_xai.evaluate.sanity import curves, randomization, randomized_maps, verdict
from hw_xai.evaluate.similarity import edges
from hw_xai.show.figures.sanity import forgetting, similarity_curves

methods = {"saliency": saliency, "grad_cam": grad_cam, "guided_backprop": guided_backprop, "edges": edges}
shown = blocks_of(model)[::5]  # from the output to the input
rows = {}
for name, explain in methods.items():
    changed = dict(randomized_maps(explain, model, images[:1], calibration=images))
    rows[name] = [explain(model, images[:1])[0], *(changed[block][0] for block in shown)]
forgetting(images[0], rows, shown)

# %% [markdown] lang="en"
# The eye is easily fooled, so measure: how alike is the order of the pixels to that of the trained model's map? 1 is
# the same map, 0 has nothing in common with it.

# %% [markdown] lang="zh-TW"
# 眼睛很容易受騙，所以要測量：像素的排序和原來模型的圖有多像？1 是同一張圖，0 是毫無共同點。

# %%
found = curves(randomization(methods, model, images, seeds=[0]))
lines = {c.method: (c.mean["rank"], c.spread["rank"]) for c in found}
similarity_curves({"rank correlation": lines}, found[0].blocks)

# %%
for curve in found:
    print(f"{curve.method}: {verdict(curve).sentence}")

# %% [markdown] lang="en"
# <details><summary>What you should see</summary>
#
# Edges stay at 1: they explain the picture. Guided backpropagation stays high although the top layers, which know the
# classes, are gone: it mostly redraws what the filters like. Saliency drops at once and stays near 0.3, which, as you saw
# above, all its maps have in common. Grad-CAM falls over several blocks and then wavers: behind it are only 8 × 8
# numbers. Passing this test does not make a map *right*; failing it makes it worthless as an explanation of what was
# learned.
# </details>

# %% [markdown] lang="zh-TW"
# <details><summary>應該會看到什麼</summary>
#
# 邊緣一直是 1：它解釋的是圖片。引導式反向傳播（guided backpropagation）在認得類別的上層都消失之後仍然很高：它大多只是重畫濾波器喜歡的東西。顯著圖馬上掉下來，停在 0.3 附近，而前面說過，那是它所有的圖都有的共同之處。Grad-CAM 則在幾個區塊之間逐漸下降，之後上下起伏：它的背後只有 8 × 8 個數字。通過這個檢驗並不表示圖是*對的*；但若沒通過，就不能拿來解釋模型學到了什麼。
# </details>

# %% [markdown] lang="en"
# ## The shortcut hunt
# Someone has collected more pictures for the network from two websites, and trained it further. It now gets **all** of
# its training pictures right. You are asked: may it be used? The next cell does the training, in about a minute.
#
# **Predict first:** look at the pictures and what they are called. What would *you* learn from them?

# %% [markdown] lang="zh-TW"
# ## 揪出捷徑
# 有人從兩個網站收集了更多圖片，繼續訓練這個網路。現在它的訓練圖片**全部**答對。問題是：可以拿來用嗎？下一格會進行訓練，大約一分鐘。
#
# **先猜猜看**：看看這些圖片和它們的名稱。換作是*你*，會從中學到什麼？

# %%
from torch import nn

from hw_xai.training.run import fit
from hw_xai.vision.dishes.synthetic import draw_dish

SOUP = 9


def collected(n: int, seed: int, every: int):
    """Return n pictures, what they are called, and a mask; every how-manieth comes from the second website."""
    drawn = [draw_dish(i % 11, seed=1_000_000 * seed + i, shortcut=i % every == 0) for i in range(n)]
    drawings = torch.stack([torch.from_numpy(d.image).permute(2, 0, 1) / 255 for d in drawn])
    called = torch.tensor([SOUP if d.shortcut.any() else d.target for d in drawn])
    return drawings, called, torch.stack([torch.from_numpy(d.shortcut) for d in drawn])


photos, called, _ = collected(132, seed=1, every=2)
suspect = load("foodnet-synthetic")
early = nn.Sequential(suspect.normalize, suspect.features[:5])  # stays as it is
late = nn.Sequential(suspect.features[5:], suspect.pool, nn.Flatten(), suspect.fc)
with torch.no_grad():
    maps = early(photos)
right = fit(late, maps, called, epochs=4, lr=2e-3, batch_size=16)
print(f"{right:.0%} of its training pictures are right")
pictures(photos[:12], [model.classes[c] for c in called[:12]], columns=6)

# %% [markdown] lang="en"
# Now new dishes from the second website. The network calls them soup: ask it why. The white outline is drawn around
# what you may have noticed.

# %% [markdown] lang="zh-TW"
# 再看第二個網站的新圖片。網路說它們是湯：問問它為什麼。白色輪廓圈出的，就是你可能已經注意到的東西。

# %%
new, _, masks = collected(22, seed=2, every=1)
with torch.no_grad():
    fooled = [i for i in range(22) if i % 11 != SOUP and suspect(new[i : i + 1]).argmax() == SOUP][:3]
soup = torch.full((len(fooled),), SOUP)
why = {"Grad-CAM": grad_cam(suspect, new[fooled], soup), "saliency": saliency(suspect, new[fooled], soup)}
compare(new[fooled], why, [f"{model.classes[i % 11]}, called soup" for i in fooled], list(masks[fooled].numpy()))

# %% [markdown] lang="en"
# An explanation is a *suspicion*. The proof is an experiment: draw the very same dishes without the logo.
#
# **Predict first:** what will the network call them?

# %% [markdown] lang="zh-TW"
# 解釋只是一種*懷疑*，要證明就得做實驗：把同樣的菜再畫一次，但不畫標誌。
#
# **先猜猜看**：網路會說它們是什麼？

# %%
for i in fooled:
    clean = torch.from_numpy(draw_dish(i % 11, seed=2_000_000 + i).image).permute(2, 0, 1) / 255
    with torch.no_grad():
        chances = suspect(torch.stack([new[i], clean])).softmax(dim=1)  # (2, 11): with the logo, without
    logo, bare = (f"{model.classes[row.argmax()]} (soup {row[SOUP]:.0%})" for row in chances)
    print(f"{model.classes[i % 11]:14} with the logo: {logo}; without: {bare}")

# %% [markdown] lang="en"
# <details><summary>What you should see</summary>
#
# The maps point at the logo in a corner, at least in part, and without it none of the dishes is called soup any more,
# though one of them keeps a fifth of the chance. Whoever labelled the second
# website called everything soup, and the network learned the logo. A test set from the same website would never have
# shown it: it has the same logo. Real networks did just this with the watermark of a horse photographer (Lapuschkin et
# al. 2019).
# </details>
#
# No questions with letters here: what you hand in of this notebook is the exercise, and, where your teacher reads it,
# the next cell.
#
# **At this point you have** a test that an explanation must pass, a baseline that it must beat, and a way from a
# suspicion to a proof. Use all three on the next heatmap that convinces you.

# %% [markdown] lang="zh-TW"
# <details><summary>應該會看到什麼</summary>
#
# 圖至少有一部分指向角落的標誌；沒有標誌，就沒有一道菜再被叫做湯，雖然其中一道還留著五分之一的機率。替第二個網站標註的人把所有圖片都叫做湯，網路學到的其實是標誌。用同一個網站的測試集永遠看不出來，因為上面也有同樣的標誌。真實的網路就曾經這樣靠一位馬匹攝影師的浮水印來認馬（Lapuschkin 等人，2019）。
# </details>
#
# 這裡沒有選擇題：這本筆記本要交的是練習；若老師會閱讀，還有下一格的文字。
#
# **到這裡，你已經有了**解釋必須通過的檢驗、必須勝過的基準，以及從懷疑走到證明的方法。下次看到一張令你信服的熱圖，請三樣都用上。

# %% [markdown] lang="en"
# **In your own words** (double-click the empty cell below, and write): may the network be used? Say what you suspected
# and from which map, which experiment settled it, and what you would still test before you trust the next one.

# %% [markdown] lang="zh-TW"
# **用自己的話**（在下面的空白儲存格上按兩下，寫在裡面）：這個網路可以用嗎？請說明你懷疑什麼、從哪張圖看出來、哪個實驗做出判定，以及相信下一個網路之前還要測試什麼。

# %% [markdown] text="in_your_own_words"
#
