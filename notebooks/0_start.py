# %% [markdown] lang="en"
# # 0 · Your first heatmap
# **Goal**: see why a network calls a picture what it calls it. **About 10 minutes.**
#
# A network gives each class a *score*. A **saliency** map asks: which pixels would change the score most, if they
# changed a little? It is the absolute gradient of the score with respect to the input.

# %% [markdown] lang="zh-TW"
# # 0 · 第一張熱圖
# **目標**：看看網路為什麼把一張圖片判成那個類別。**約 10 分鐘。**
#
# 網路給每個類別一個*分數*。**顯著圖**（saliency）問的是：哪些像素只要稍微改變，分數就會變動最多？它是分數對輸入的梯度的絕對值。

# %%
from hw_xai.vision import load
from hw_xai.vision.dishes.synthetic import SyntheticFood11
from hw_xai.vision.preprocess import preprocessing

model = load("foodnet-synthetic")
dishes = SyntheticFood11(11, size=128, seed=7, transform=preprocessing())
image, truth = dishes[2]
scores = model(image[None])
print("the network sees:", model.classes[scores.argmax()], "| it is:", model.classes[truth])

# %%
from hw_xai.explain import saliency
from hw_xai.show import heatmap

heatmap(image, saliency(model, image[None])[0], title="saliency", mask=dishes.mask(2))

# %% [markdown] lang="en"
# The white outline is where the food is: the picture is drawn by a program, so for once the truth is known.
#
# **Predict first:** if you paint over the table beside the dish, will the score change? The next notebook tests it.
#
# <details><summary>My map looks like noise</summary>
#
# A gradient is taken at one point only, and the score of a deep network wrinkles from pixel to pixel. Notebook 2 shows
# two ways to smooth it.
# </details>
#
# **At this point you have** a network, a picture, a prediction and an explanation of it.

# %% [markdown] lang="zh-TW"
# 白色輪廓是食物所在的地方：這張圖片是程式畫的，所以我們難得知道正確答案。
#
# **先猜猜看**：如果把盤子旁邊的桌面塗掉，分數會改變嗎？下一本筆記本會檢驗。
#
# <details><summary>我的圖看起來像雜訊</summary>
#
# 梯度只在一個點上計算，而深層網路的分數起伏細碎：像素稍有不同，梯度就不同。第 2 本筆記本會介紹兩種平滑的方法。
# </details>
#
# **到這裡，你已經有了**一個網路、一張圖片、一個預測，以及對它的解釋。
