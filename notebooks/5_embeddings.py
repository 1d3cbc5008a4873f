# %% [markdown] lang="en"
# # 5 · What do the vectors know?
# **Goal**: see in which layer a BERT tells apple the fruit from Apple the company, and where a reader finds its answer,
# without fooling yourself. **About 50 minutes**, 20 of them for three short exercises.
#
# After every layer each token is a **vector**, a point in a space of 96 dimensions (768 in BERT-base). Layer 0 knows
# the word and its position only. Each layer then mixes in a bit of the sentence: the same word in two sentences becomes
# two points. If the two meanings lie apart, the model has noticed the difference.

# %% [markdown] lang="zh-TW"
# # 5 · 向量知道些什麼？
# **目標**：看看 BERT 到第幾層才分得出水果的蘋果和蘋果公司、閱讀模型又在哪一層找到答案，而且不要騙了自己。
# **約 50 分鐘**，其中三題小練習約 20 分鐘。
#
# 經過每一層之後，每個詞元都是一個**向量**，也就是 96 維空間裡的一個點（BERT-base 是 768 維）。第 0 層只知道是哪個詞、在什麼位置；之後每一層都混進一點句子的內容，於是同一個詞在兩個句子裡變成兩個點。如果兩種意思的點分開了，就表示模型注意到了差別。

# %%
import torch

from hw_xai.language.bert import load_bert
from hw_xai.language.corpus import APPLE_FIRST, APPLE_SECOND, APPLE_SENSES, APPLE_SENTENCES
from hw_xai.language.senses import word_vectors
from hw_xai.show.figures.sentences import projection_figure, similarity_figure

bert = load_bert("built-in")
for i, (text, sense) in enumerate(zip(APPLE_SENTENCES, APPLE_SENSES, strict=True)):
    print(i, f"{sense:8}", text)

vectors = {}  # of one character: (layers, sentences, dimensions)
for character, places in (("蘋", APPLE_FIRST), ("果", APPLE_SECOND)):
    found, _ = word_vectors(bert, APPLE_SENTENCES, [(place, place + 1) for place in places])
    vectors[character] = torch.from_numpy(found)
print("果:", tuple(vectors["果"].shape), "layers, sentences, dimensions")

# %% [markdown] lang="en"
# ## Two ways to say "alike"
# The **cosine similarity** compares directions and ignores lengths: 1 for the same direction, 0 for a right angle.
# The **Euclidean distance** is the length of the difference: 0 for the same point, and it has no upper end.
#
# $$\cos(a, b) = \frac{a \cdot b}{\lVert a \rVert \, \lVert b \rVert} \qquad\qquad
# d(a, b) = \lVert a - b \rVert = \sqrt{\textstyle\sum_i (a_i - b_i)^2}$$
#
# Write both for all pairs at once, each row of `a` with each row of `b`. 3 and 2 lines, 5 minutes each.

# %% [markdown] lang="zh-TW"
# ## 「相像」的兩種說法
# **餘弦相似度**比較方向，不管長度：方向相同是 1，直角是 0。**歐氏距離**是兩者之差的長度：同一個點是 0，而且沒有上限。
#
# $$\cos(a, b) = \frac{a \cdot b}{\lVert a \rVert \, \lVert b \rVert} \qquad\qquad
# d(a, b) = \lVert a - b \rVert = \sqrt{\textstyle\sum_i (a_i - b_i)^2}$$
#
# 請一次寫出所有配對：`a` 的每一列與 `b` 的每一列。各約 3 行與 2 行，各 5 分鐘。


# %% exercise="cosine_similarity"
def cosine_similarity(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Return the cosine of the angle between each row of a and each row of b: (n, d), (m, d) -> (n, m)."""
    # BEGIN SOLUTION
    a = a / a.norm(dim=1, keepdim=True)
    b = b / b.norm(dim=1, keepdim=True)
    return a @ b.T
    # END SOLUTION


# %% check="cosine_similarity"
check("cosine_similarity", cosine_similarity)


# %% exercise="euclidean_distance"
def euclidean_distance(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Return the length of the difference of each row of a and each row of b: (n, d), (m, d) -> (n, m)."""
    # BEGIN SOLUTION
    differences = a[:, None] - b[None]  # (n, m, d)
    return differences.norm(dim=2)
    # END SOLUTION


# %% check="euclidean_distance"
check("euclidean_distance", euclidean_distance)

# %% [markdown] lang="en"
# <details><summary>My cosines are larger than 1</summary>
#
# A cosine is the scalar product of two vectors of length 1. Was each *row* divided by its own length, in `a` and in `b`?
# </details>
# <details><summary>I get (n, d) or one number instead of (n, m)</summary>
#
# Every row of `a` meets every row of `b`. Give `a` an empty dimension in the middle and let broadcasting do the rest, or
# use a matrix product.
# </details>
# <details><summary>My cosines look right, but the order is turned around</summary>
#
# A *similarity* is large for what is alike, a *distance* is small.
# </details>

# %% [markdown] lang="zh-TW"
# <details><summary>我的餘弦大於 1</summary>
#
# 餘弦是兩個長度為 1 的向量的內積。`a` 和 `b` 的每一*列*，是否都除以自己的長度了？
# </details>
# <details><summary>得到 (n, d) 或一個數字，而不是 (n, m)</summary>
#
# `a` 的每一列都要遇上 `b` 的每一列。在 `a` 中間插入一個空的維度，其餘交給廣播（broadcasting）；或者使用矩陣乘法。
# </details>
# <details><summary>餘弦看起來對，但大小順序反了</summary>
#
# *相似度*是越像越大，*距離*是越像越小。
# </details>

# %% [markdown] lang="en"
# ## Ten sentences of 蘋果
# Sentences 0–4 are about fruit, 5–9 about the company. Each square below compares the ten 果 with each other.
#
# **Predict first:** from which layer on will you see two bright blocks? In layer 0 the model has read no context at
# all: why are not all cosines 1 there?

# %% [markdown] lang="zh-TW"
# ## 十個有「蘋果」的句子
# 第 0–4 句講水果，第 5–9 句講公司。下面每個方塊，都是把十個「果」互相比較。
#
# **先猜猜看**：從第幾層開始，會看到兩個明亮的區塊？第 0 層還沒有讀到任何上下文，為什麼餘弦並不全是 1？

# %%
labels = [f"{i} {sense}" for i, sense in enumerate(APPLE_SENSES)]


def compared(measure, character: str):
    """Compare the ten with each other in every layer: (layers, 10, 10)."""
    return torch.stack([measure(layer, layer) for layer in vectors[character]]).numpy()


similarity_figure(compared(cosine_similarity, "果"), labels, "cosine, 果")

# %%
similarity_figure(compared(euclidean_distance, "果"), labels, "distance, 果")

# %%
similarity_figure(compared(cosine_similarity, "蘋"), labels, "cosine, 蘋")

# %% [markdown] lang="en"
# The same as numbers: the mean over pairs of two fruits, of two companies, and of one of each.

# %% [markdown] lang="zh-TW"
# 用數字看同一件事：兩個都是水果、兩個都是公司，以及一個水果配一個公司的平均。

# %%
pairs = torch.ones(5, 5).triu(1).bool()  # each pair once, nothing with itself
for character in vectors:
    for name, measure in (("cosine", cosine_similarity), ("distance", euclidean_distance)):
        print(f"{character} {name}: fruit–fruit, company–company, across")
        for layer, m in enumerate(torch.from_numpy(compared(measure, character))):
            print(
                f"  layer {layer}: {m[:5, :5][pairs].mean():5.2f} {m[5:, 5:][pairs].mean():5.2f} {m[:5, 5:].mean():5.2f}"
            )

# %% [markdown] lang="en"
# <details><summary>What you should see</summary>
#
# Layer 0: a pattern that has nothing to do with meaning. Sentences 0 and 7 are exactly alike: both begin with 今天買了,
# so 蘋 stands at the same place. Layer 1: still mixed. From layer 2 on the two blocks appear, and in layers 3 and 4 they
# are clear. The distance tells the same story in dark instead of bright, but its scale changes from layer to layer:
# compare distances within a layer only.
# </details>

# %% [markdown] lang="zh-TW"
# <details><summary>應該會看到什麼</summary>
#
# 第 0 層：圖案和意思無關。第 0 句和第 7 句完全相同，因為都以「今天買了」開頭，「蘋」站在同一個位置。第 1 層：還混在一起。從第 2 層開始出現兩個區塊，第 3、4 層就很清楚。距離說的是同一件事，只是用暗代替亮，但它的尺度逐層改變：距離只能在同一層之內比較。
# </details>

# %% [markdown] lang="en"
# ## Do not fool yourself: the control
# Ten points in 96 dimensions are easily told apart. So ask the same of a model that has **learned nothing**: same
# shape, random weights. And ask how far the mere position in the sentence gets you.
#
# `1-NN`: in how many of the ten sentences is the nearest other one of the same sense? Half of them would be guessing.
# The numbers in parentheses belong to the untrained control.

# %% [markdown] lang="zh-TW"
# ## 別騙了自己：對照組
# 在 96 維的空間裡，十個點很容易分開。所以要拿同樣的問題去問一個**什麼都沒學過**的模型：架構相同，權重隨機。也要問：單靠在句子裡的位置，能做到什麼程度？
#
# `1-NN`：十句當中，有多少句的最近鄰居與它意思相同？亂猜會對一半。括號裡的數字屬於未訓練的對照組。

# %%
from hw_xai.language.senses import apple_reports

report = apple_reports(bert)["果"]
print(report.table("raw"))

# %% [markdown] lang="en"
# <details><summary>What you should see</summary>
#
# The trained model reaches 1.0 from layer 2 on; the untrained one climbs to 0.7 without knowing anything, because words
# nearby leak into every vector. The distance between 0.7 and 1.0 is what was learned, and with ten sentences each step
# is 0.1. Look at the last line too: the mere position gives 0.70 by `5-NN`, as much as the control ever gets and more
# than the trained model has in layers 0 and 1. A cosine alone says little: all means of the control are
# above 0.7.
# </details>

# %% [markdown] lang="zh-TW"
# <details><summary>應該會看到什麼</summary>
#
# 訓練過的模型從第 2 層起達到 1.0；沒訓練過的模型什麼都不懂，卻也爬到 0.7，因為附近的詞會滲進每個向量。0.7 與 1.0 之間的差距才是學到的東西，而只有十個句子時，每差一句就是 0.1。也請看最後一行：單靠位置，`5-NN` 就有 0.70，和對照組最好的結果一樣，比訓練過的模型在第 0、1 層還高。單看一個餘弦說明不了什麼：對照組的平均全都在 0.7 以上。
# </details>

# %% [markdown] lang="en"
# ## Exercise: projection by PCA
# To *see* the points we need two dimensions of the 96. **Principal component analysis** keeps those in which the points
# spread most. Move the mean to the origin, find the axes, and measure each point along the first of them:
#
# $$X_c = X - \bar x, \qquad X_c = U \Sigma V^{\mathsf T}, \qquad Y = X_c \, V_{:, 1 \dots k}$$
#
# `torch.linalg.svd` gives you $U$, $\Sigma$ and $V^{\mathsf T}$. About 4 lines, 10 minutes. The sign of an axis is free.

# %% [markdown] lang="zh-TW"
# ## 練習：以 PCA 投影
# 要*看見*這些點，必須把 96 維降到兩維。**主成分分析**（PCA）保留各點散得最開的方向：把平均移到原點、找出各軸，再量出每個點在前幾個軸上的位置：
#
# $$X_c = X - \bar x, \qquad X_c = U \Sigma V^{\mathsf T}, \qquad Y = X_c \, V_{:, 1 \dots k}$$
#
# `torch.linalg.svd` 會給你 $U$、$\Sigma$ 和 $V^{\mathsf T}$。約 4 行，10 分鐘。軸的正負號不拘。


# %% exercise="pca_projection"
def pca_projection(vectors: torch.Tensor, n_components: int) -> torch.Tensor:
    """Return the points along the axes of largest variance, the largest first: (n, d) -> (n, n_components)."""
    # BEGIN SOLUTION
    centred = vectors - vectors.mean(dim=0)
    _, _, axes = torch.linalg.svd(centred, full_matrices=False)  # (min(n, d), d): one axis a row
    return centred @ axes[:n_components].T
    # END SOLUTION


# %% check="pca_projection"
check("pca_projection", pca_projection)

# %% [markdown] lang="en"
# <details><summary>My cloud is far from the origin</summary>
#
# PCA asks how points spread around their *mean*. What does the first axis point at, if the mean is not taken away?
# </details>
# <details><summary>The shape is right, the picture is not</summary>
#
# `svd` returns $V^{\mathsf T}$, not $V$. Are the axes its rows or its columns?
# </details>
# <details><summary>All my columns have the same spread</summary>
#
# The columns of $U$ all have length 1. How long the points are along each axis stands in $\Sigma$.
# </details>

# %% [markdown] lang="zh-TW"
# <details><summary>我的點離原點很遠</summary>
#
# PCA 問的是各點如何散布在*平均*的周圍。如果沒有先減去平均，第一個軸會指向哪裡？
# </details>
# <details><summary>形狀對了，圖卻不對</summary>
#
# `svd` 回傳的是 $V^{\mathsf T}$，不是 $V$。各軸是它的列，還是它的欄？
# </details>
# <details><summary>我的每一欄都散得一樣開</summary>
#
# $U$ 的每一欄長度都是 1；各點沿著每個軸散得多開，寫在 $\Sigma$ 裡。
# </details>

# %% [markdown] lang="en"
# **Predict first:** in which layer can you draw a straight line between the fruit and the company? Below each picture
# stands how much of the spread two dimensions show: the rest is hidden from you.

# %% [markdown] lang="zh-TW"
# **先猜猜看**：在哪一層可以用一條直線把水果和公司分開？每張圖下面寫著兩個維度顯示了多少散布：其餘的你看不到。


# %%
def planes(layers: torch.Tensor):
    """Project every layer (n, d) to two dimensions, and say how much of the variance they show."""
    points = [pca_projection(layer, 2) for layer in layers]
    shown = [p.var(dim=0).sum() / layer.var(dim=0).sum() for p, layer in zip(points, layers, strict=True)]
    return torch.stack(points).numpy(), [f"{share:.0%} of the variance" for share in shown]


points, captions = planes(vectors["果"])
projection_figure(points, APPLE_SENSES, captions)

# %% [markdown] lang="en"
# ## Where does a reader find its answer?
# Another model reads a question together with a passage and marks the answer. Each dot below is a token of the
# question, of the passage, or of the right answer.
#
# **Predict first:** in which layer does the answer leave the crowd? And in which does each word of the question lie
# next to the same word of the passage?

# %% [markdown] lang="zh-TW"
# ## 閱讀模型在哪裡找到答案？
# 另一個模型同時閱讀問題和文章，並標出答案。下面每個點是問題、文章或正確答案的一個詞元。
#
# **先猜猜看**：在哪一層，答案會脫離其他的點？又在哪一層，問題裡的每個詞會緊鄰文章裡的同一個詞？

# %%
from hw_xai.language.corpus import reading_passages
from hw_xai.language.layers import hidden_states
from hw_xai.language.reading import answer
from hw_xai.language.tokens import encode, tokens_between

reader = load_bert("built-in-reader")
examples = reading_passages()
for i, example in enumerate(examples):
    said = answer(reader, example.question, example.passage).text
    mark = "✔" if said == example.answer else "✘"
    print(f"{i:2} {mark} {example.question} — {said}" + ("" if mark == "✔" else f" (right: {example.answer})"))

# %%
number = 0  # choose another question here


def read(number: int):
    """Return each layer's vectors of the words (layers, n, d), the words, and what each belongs to."""
    example = examples[number]
    [encoded] = encode(reader, [example.question], [example.passage])
    right = tokens_between(encoded, example.start, example.start + len(example.answer), segment=1)
    words = [t for t in range(len(encoded)) if not encoded.special[t]]
    groups = ["answer" if t in right else ("question", "passage")[encoded.segments[t]] for t in words]
    [states] = hidden_states(reader, [encoded])
    return states[:, words], [encoded.tokens[t] for t in words], groups


print(examples[number].passage)
print(examples[number].question, "—", examples[number].answer)
states, words, groups = read(number)
points, captions = planes(states)
projection_figure(points, groups, captions)

# %% [markdown] lang="en"
# Two dimensions may hide what 96 show, so measure both in all of them: how far the answer lies from the other words,
# as a multiple of the usual distance, and how many words of the question have the same word of the passage nearest.

# %% [markdown] lang="zh-TW"
# 兩個維度可能藏住 96 維裡的東西，所以在全部維度裡測量這兩件事：答案離其他詞有多遠（是一般距離的幾倍），以及問題裡有多少詞，在文章中最近的就是同一個詞。


# %%
def measured(number: int) -> None:
    states, words, groups = read(number)
    of = {name: torch.tensor([group == name for group in groups]) for name in ("question", "answer")}
    passage = [i for i, group in enumerate(groups) if group != "question"]
    asked = [i for i, group in enumerate(groups) if group == "question" and words[i] in {words[j] for j in passage}]
    for layer, vectors in enumerate(states):
        distances = euclidean_distance(vectors, vectors)
        far = distances[of["answer"]][:, ~of["answer"]].mean() / distances.mean()
        nearest = cosine_similarity(vectors[asked], vectors[passage]).argmax(dim=1)
        same = sum(words[i] == words[passage[j]] for i, j in zip(asked, nearest, strict=True))
        print(f"  layer {layer}: answer {far:.1f} times as far, {same} of {len(asked)} words beside themselves")


for number in (0, 8, 13):
    print(examples[number].question)
    measured(number)

# %% [markdown] lang="en"
# <details><summary>What you should see</summary>
#
# Early layers put equal words together, whatever they are needed for. Later ones give that up, and in the last layer the
# answer lies two to three and a half times as far away as words usually lie: that is all the model needs to mark it. The last of the
# three questions is answered wrongly, and yet the right answer stands apart: every name does. A clear picture is no
# proof of a right answer.
# </details>

# %% [markdown] lang="zh-TW"
# <details><summary>應該會看到什麼</summary>
#
# 前面的層把相同的詞放在一起，不管它們有什麼用。後面的層放棄了這一點；到了最後一層，答案離其他詞的距離是一般的兩倍到三倍半，而模型只需要這樣就能標出它。三題中的最後一題答錯了，正確答案卻仍然遠離其他的點：每個名字都是如此。圖很清楚，不代表答案是對的。
# </details>

# %% [markdown] lang="en"
# Now the questions. This cell is a bench for them: predict, then put in what is asked for, then run it. Where two
# sentences are equally near, this cell takes the first and the table above draws lots: so 3 of 10 here and 0.40 there.

# %% [markdown] lang="zh-TW"
# 接著是問題。下面這一格是你的工作檯：先猜，再換成題目問的，再執行。如果兩個句子一樣近，這一格取前面的那一句，上面的表則用抽籤決定：所以這裡是 10 句中的 3 句，那裡是 0.40。

# %%
states, words, groups = read(0)
first, second = (i for i, word in enumerate(words) if word == "born")
print("born in question and passage:", *(f"{cosine_similarity(v, v)[first, second]:.2f}" for v in states))
for character in vectors:
    cosines = torch.from_numpy(compared(cosine_similarity, character))  # (layers, 10, 10)
    print(f"{character} of sentences 3 and 5:", *(f"{c:.2f}" for c in cosines[:, 3, 5]))
    nearest = (cosines - 2 * torch.eye(10)).argmax(dim=2)  # nothing is its own neighbour
    same = [sum(APPLE_SENSES[i] == APPLE_SENSES[j] for i, j in enumerate(row)) for row in nearest]
    print(f"{character}, nearest of the same sense:", *same)

# %% [markdown] questions="25-30"

# %% [markdown] lang="en"
# **At this point you have** measured what the layers of a BERT tell apart, next to a model that knows nothing. That
# habit is the subject of the last notebook: can you trust an explanation?

# %% [markdown] lang="zh-TW"
# **到這裡，你已經**測量過 BERT 的各層分得出什麼，並且放在一個什麼都不懂的模型旁邊比較。這個習慣正是最後一本筆記本的主題：解釋可以相信嗎？
