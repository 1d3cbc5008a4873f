# %% [markdown] lang="en"
# # 4 · What does a BERT look at?
# **Goal**: follow attention through a BERT, and test whether it tells why the model guesses what it guesses.
# **About 50 minutes**, 25 of them for two exercises.
#
# A BERT is a stack of *layers*, each with several *heads*. In a head every token spreads one unit of **attention** over
# all the tokens, and takes from each what that share allows:
#
# $$A_{ij} = \mathrm{softmax}_j\!\left(\frac{q_i \cdot k_j}{\sqrt d}\right), \qquad \sum_j A_{ij} = 1$$
#
# Row $i$ is the token that looks, column $j$ the token that is looked at.

# %% [markdown] lang="zh-TW"
# # 4 · BERT 在看哪裡？
# **目標**：跟著注意力一層一層走過 BERT，並檢驗它是否真的說明了模型為什麼這樣猜。
# **約 50 分鐘**，其中兩題練習約 25 分鐘。
#
# BERT 由許多*層*（layer）疊成，每層有好幾個*頭*（head）。在一個頭裡，每個詞元（token）把一單位的**注意力**分給所有詞元，再依照比例從它們身上取得資訊：
#
# $$A_{ij} = \mathrm{softmax}_j\!\left(\frac{q_i \cdot k_j}{\sqrt d}\right), \qquad \sum_j A_{ij} = 1$$
#
# 第 $i$ 列是正在看的詞元，第 $j$ 欄是被看的詞元。

# %%
import torch

from hw_xai.language.bert import load_bert
from hw_xai.language.layers import attentions
from hw_xai.language.tokens import encode
from hw_xai.show.figures.sentences import all_heads_figure, attention_figure, heads_figure, words_figure

bert = load_bert("built-in")
sentence = "The police officer is popular with the residents because she is very generous and kind."
[encoded] = encode(bert, sentence)
[attention] = attentions(bert, encoded)  # (L, H, T, T)
print("layers, heads, tokens, tokens:", tuple(attention.shape))

# %% [markdown] lang="en"
# **Predict first:** which tokens will *she* look at? Will all heads look the same?
#
# In the grid below each little square is one head: a row for each layer, counted from 1.

# %% [markdown] lang="zh-TW"
# **先猜猜看**：*she* 會看哪些詞元？每個頭看起來都一樣嗎？
#
# 下圖每個小方格是一個頭，每一列是一層，從 1 開始數。

# %%
all_heads_figure(attention.numpy(), "every head, a row for each layer")

# %%
attention_figure(encoded.tokens, attention[0, 1].numpy(), "layer 1, head 2")

# %%
she = encoded.tokens.index("she")
for layer, rows in enumerate(attention[:, :, she], start=1):  # (H, T)
    print(f"layer {layer}, she looks most at:", *(encoded.tokens[t] for t in rows.argmax(dim=1)))

# %% [markdown] lang="en"
# <details><summary>What you should see</summary>
#
# No two heads are the same. In this one *she* looks at herself; most others look at words nearby (*generous*, *because*)
# and one head of the sixteen, layer 3, head 2, looks most at *officer*. Pick your head well, and it "knows" who *she* is:
# that is how one is fooled. Further down you count over many sentences.
# </details>

# %% [markdown] lang="zh-TW"
# <details><summary>應該會看到什麼</summary>
#
# 沒有兩個頭是一樣的。在這個頭裡，*she* 看的是自己；其他的頭大多看附近的詞（*generous*、*because*），而十六個頭之中只有一個（第 3 層第 2 個頭）最常看 *officer*。只要挑對了頭，它就「知道」*she* 是誰：人就是這樣被騙的。後面你會用許多句子來統計。
# </details>

# %% [markdown] lang="en"
# ## What each head does
# One sentence may mislead. So let many sentences vote: which share of its attention does each head give, on average, to
# the previous token, the next one, itself, the special tokens, punctuation…? A head that looked everywhere alike would
# give each of them about 0.08. Only shares above 0.20 are named.

# %% [markdown] lang="zh-TW"
# ## 每個頭在做什麼
# 一個句子可能會誤導人，所以讓許多句子來投票：每個頭平均把多少注意力給前一個詞元、後一個詞元、自己、特殊詞元、標點……？如果一個頭平均地看所有地方，每一種大約是 0.08。圖中只標出高於 0.20 的。

# %%
from hw_xai.language.heads import what_heads_do

heads = what_heads_do(bert)
kinds = [{"first special": "[CLS]", "later special": "[SEP]"}.get(kind, kind) for kind in heads.kinds]
names = [[f"{kinds[h.argmax()]} ({h.max():.2f})" if h.max() > 0.2 else "" for h in row] for row in heads.shares]
heads_figure(names, heads.shares.max(axis=2), f"what each head does, mean of {heads.n_sentences} sentences")

# %% [markdown] lang="en"
# Our model is small: four layers of four heads. Its first layer reads the neighbourhood, one head of the last layer
# looks at `[CLS]`, and the others have no such simple habit. In a large BERT some heads give 0.9 to one kind of token.
#
# <details><summary>Why would a head look at [CLS]?</summary>
#
# Attention must sum to one, even where a head has nothing to find. A token without meaning of its own is a good place
# to put the rest.
# </details>

# %% [markdown] lang="zh-TW"
# 我們的模型很小：四層，每層四個頭。第一層讀的是鄰近的詞元，最後一層有一個頭看 `[CLS]`，其他的頭則沒有這麼單純的習慣。在大型的 BERT 裡，有些頭會把 0.9 的注意力都給同一種詞元。
#
# <details><summary>為什麼會有頭去看 [CLS]？</summary>
#
# 注意力的總和必須是 1，即使這個頭沒有找到要找的東西。把剩下的放在一個本身沒有意義的詞元上，是個好辦法。
# </details>

# %% [markdown] lang="en"
# ## Exercise: attention rollout
# Layer 2 does not look at words: it looks at what layer 1 has already mixed. To know from which *words* the information
# came, multiply the layers. And since each layer *adds* its result to what was there before (the residual connection),
# half of the flow goes straight on:
#
# $$\hat A_l = \tfrac12 I + \tfrac12 \bar A_l, \qquad R = \hat A_L \cdots \hat A_2 \, \hat A_1$$
#
# $\bar A_l$ is the mean over the heads of layer $l$. About 7 lines, 15 minutes.

# %% [markdown] lang="zh-TW"
# ## 練習：注意力展開
# 第 2 層看的不是原來的詞，而是第 1 層已經混合過的東西。要知道資訊來自哪些*詞*，就要把各層乘起來。而且每一層是把結果*加*到原來的內容上（殘差連接），所以有一半的資訊直接通過：
#
# $$\hat A_l = \tfrac12 I + \tfrac12 \bar A_l, \qquad R = \hat A_L \cdots \hat A_2 \, \hat A_1$$
#
# $\bar A_l$ 是第 $l$ 層各個頭的平均。約 7 行，15 分鐘。


# %% exercise="attention_rollout"
def attention_rollout(attentions: torch.Tensor) -> torch.Tensor:
    """Return how much of each input token reaches each output token.

    attentions: (L, H, T, T), layers in the order in which they are applied. Returns (T, T), rows that sum to 1.
    """
    # BEGIN SOLUTION
    eye = torch.eye(attentions.shape[-1])
    rollout = eye
    for layer in attentions.mean(dim=1):  # (T, T)
        rollout = (eye + layer) / 2 @ rollout
    return rollout
    # END SOLUTION


# %% check="attention_rollout"
check("attention_rollout", attention_rollout)

# %% [markdown] lang="en"
# <details><summary>My rows do not sum to 1</summary>
#
# A product of matrices whose rows sum to 1 has rows that sum to 1. Which of your factors has other rows? Look at the
# sum of each factor before you multiply.
# </details>
# <details><summary>The order of the layers seems to make no difference to me, but the check says it does</summary>
#
# The vector that enters layer 1 is multiplied first. In $R\,x$, which factor stands next to $x$?
# </details>
# <details><summary>The shapes do not fit</summary>
#
# The heads are the second dimension. Average them away, and what remains is one matrix for each layer.
# </details>

# %% [markdown] lang="zh-TW"
# <details><summary>我的列總和不是 1</summary>
#
# 若每個矩陣的列總和都是 1，乘積的列總和也是 1。是哪一個因子的列不一樣？相乘之前，先看看每個因子的列總和。
# </details>
# <details><summary>我覺得層的順序沒有差，但檢查說有差</summary>
#
# 進入第 1 層的向量最先被乘。在 $R\,x$ 裡，緊鄰 $x$ 的是哪一個因子？
# </details>
# <details><summary>形狀對不起來</summary>
#
# 頭是第二個維度。把它平均掉，剩下的就是每層一個矩陣。
# </details>

# %% [markdown] lang="en"
# **Predict first:** the last layer alone, or the rollout through all four: which one will have a bright diagonal?

# %% [markdown] lang="zh-TW"
# **先猜猜看**：只看最後一層，和展開全部四層，哪一張圖會有明亮的對角線？

# %%
attention_figure(encoded.tokens, attention[-1].mean(dim=0).numpy(), "the last layer alone, mean of its heads")

# %%
rollout = attention_rollout(attention)
attention_figure(encoded.tokens, rollout.numpy(), "rollout through all layers")

# %% [markdown] lang="en"
# <details><summary>What you should see</summary>
#
# The last layer alone: bright columns, a few tokens that all others look at. The rollout: a diagonal (what goes straight
# on) over columns that are fainter. Every layer blurs a little more: with twelve layers the rows look nearly alike, and
# a rollout says that everything comes from everywhere.
# </details>

# %% [markdown] lang="zh-TW"
# <details><summary>應該會看到什麼</summary>
#
# 只看最後一層：有幾欄特別亮，也就是大家都在看的少數詞元。展開：一條對角線（直接通過的部分），疊在比較淡的直欄上。每過一層就更模糊一點；到了十二層，每一列看起來都差不多，展開就會說一切都來自四面八方。
# </details>

# %% [markdown] lang="en"
# ## What if? Hide a word
# Attention shows where a model *looks*. What it *uses* is an experiment: hide something, and see whether the guess
# moves. First hide *she* and see what the model expects there. Then hide another word **as well**.
#
# **Predict first:** when *officer* is hidden too, will *he* become likelier? And which other word, when it is hidden,
# will hurt *she* most?

# %% [markdown] lang="zh-TW"
# ## 如果……會怎樣？遮住一個詞
# 注意力顯示模型*看*哪裡；它*用*了什麼，要靠實驗：把某個東西遮住，看看猜測會不會改變。先遮住 *she*，看看模型認為那裡應該是什麼詞；再把另一個詞**也**遮住。
#
# **先猜猜看**：如果 *officer* 也遮住，*he* 會變得更有可能嗎？還有，遮住哪一個詞會讓 *she* 的機率降得最多？

# %%
from hw_xai.language.masks import mask_what_if

[what_if] = mask_what_if(bert, sentence, "she", ["officer"])
print("she is hidden; then officer as well")
for token, before, after in what_if.changes(5):
    print(f"  {token:10} {before:6.1%} → {after:6.1%}")

# %%
print("how likely she and he are when … is hidden as well")
for word in encoded.words:
    if not word.special and word.text != "she":
        [what_if] = mask_what_if(bert, sentence, "she", [word.tokens[0]])
        print(f"  {word.text:10} she {what_if.after.of('she'):6.1%}   he {what_if.after.of('he'):6.1%}")

# %% [markdown] lang="en"
# <details><summary>What you should see</summary>
#
# *officer* hardly matters: our small model has not learned to ask who *she* is. What it uses is the pattern around the
# gap: *because* before it and *is* after it. Try your own sentence in the cell above.
# </details>

# %% [markdown] lang="zh-TW"
# <details><summary>應該會看到什麼</summary>
#
# *officer* 幾乎沒有影響：我們的小模型並沒有學會去問 *she* 是誰。它用的是空格周圍的句型：前面的 *because* 和後面的 *is*。在上面的程式裡換成你自己的句子試試看。
# </details>

# %% [markdown] lang="en"
# ### What the layers make of a hidden word
# Hide *residents* and look for the 50 tokens of a corpus whose vectors are nearest to it, layer by layer. Their parts of
# speech tell when the model knows that a noun is missing. Layer 0 is the mask's embedding, before any attention.
#
# **Predict first:** from which layer on are most of them nouns? Then put *officer* in place of *residents*: does the
# model know there, too?

# %% [markdown] lang="zh-TW"
# ### 每一層如何理解被遮住的詞
# 遮住 *residents*，在語料庫裡逐層找出向量與它最接近的 50 個詞元。從它們的詞性，可以看出模型什麼時候知道這裡缺的是名詞。第 0 層是遮罩本身的嵌入，還沒有任何注意力。
#
# **先猜猜看**：從第幾層開始，大多數會是名詞？然後把 *residents* 換成 *officer*：那裡模型也知道嗎？

# %%
from collections import Counter

from hw_xai.language.search import index_corpus, nearest_view

hidden = "residents"
index = index_corpus(bert, progress=False)
nearest = nearest_view(bert, index, encoded).masked[encoded.tokens.index(hidden)]  # (L + 1, 50)
for layer, tokens in enumerate(nearest):
    tags = Counter(index.corpus.sentences[s][1][w] for s, w in index.corpus.tokens[tokens])
    print(f"layer {layer}:", ", ".join(f"{tag} {n}" for tag, n in tags.most_common(4)))

# %% [markdown] lang="en"
# ### Does some head find whom a pronoun means?
# For 46 sentences we know the right noun. The share of them in which a head's largest attention from the pronoun to a
# word before it goes to that noun:

# %% [markdown] lang="zh-TW"
# ### 有沒有頭知道代名詞指的是誰？
# 有 46 個句子我們知道正確的名詞。下圖是每個頭答對的比例：從代名詞看向它前面的詞時，最大的注意力落在那個名詞上。

# %%
found = [[f"{share:.2f}" for share in row] for row in heads.pronouns]
heads_figure(found, heads.pronouns, f"pronouns whose noun is found; guessing finds {heads.pronoun_chance:.2f}")

# %% [markdown] lang="en"
# The best of sixteen heads would beat guessing a little by luck alone. Would you say that it *resolves* pronouns?
#
# <details><summary>An answer, and why most heads lie below guessing</summary>
#
# No. With 46 sentences guessing itself scatters by 0.06 (one standard deviation), so the best of sixteen guessers reaches
# about 0.3, and so does our best head. Most heads find *less* than guessing because they look at words nearby, and the
# noun is rarely there: it stands five words before the pronoun on average, and right before it in 3 of 46 sentences.
# </details>

# %% [markdown] lang="zh-TW"
# 十六個頭之中最好的那一個，光靠運氣就會比亂猜好一點。你會說它真的*能解讀*代名詞嗎？
#
# <details><summary>一種回答，以及為什麼大多數的頭比亂猜還差</summary>
#
# 不會。只有 46 個句子時，亂猜的結果本身就有 0.06 的起伏（一個標準差），所以十六個亂猜者之中最好的大約會到 0.3，我們最好的頭也不過如此。大多數的頭比亂猜*還差*，是因為它們看的是附近的詞，而那個名詞很少在附近：它平均在代名詞前面五個詞的地方，46 句中只有 3 句緊鄰在前。
# </details>

# %% [markdown] lang="en"
# ## Exercise: integrated gradients of tokens
# Hiding words one by one takes a pass for each, and misses what two words say together. **Integrated gradients** walk
# from an empty sentence (`[PAD]` for every word) to the real one, and add up the gradient on the way. A token is a
# vector of $D$ numbers: sum over them to get one number per token.
#
# $$\phi_t = \sum_{d=1}^{D} (x_{td} - b_{td}) \; \frac1n \sum_{k=1}^{n}
# \frac{\partial f}{\partial x_{td}}\!\left(b + \frac{k - \frac12}{n}\,(x - b)\right)$$
#
# `model` takes embeddings, not words: the same function explains photos. About 7 lines, 10 minutes.

# %% [markdown] lang="zh-TW"
# ## 練習：詞元的積分梯度
# 一次遮住一個詞，每個詞都要跑一遍，而且看不到兩個詞合在一起的效果。**積分梯度**從空的句子（每個詞都是 `[PAD]`）走到真正的句子，把沿路的梯度加起來。一個詞元是 $D$ 個數字的向量：對它們加總，就得到每個詞元一個數字。
#
# $$\phi_t = \sum_{d=1}^{D} (x_{td} - b_{td}) \; \frac1n \sum_{k=1}^{n}
# \frac{\partial f}{\partial x_{td}}\!\left(b + \frac{k - \frac12}{n}\,(x - b)\right)$$
#
# `model` 的輸入是嵌入而不是詞，所以同一個函式也可以解釋照片。約 7 行，10 分鐘。


# %% exercise="token_ig"
def token_ig(
    model, inputs_embeds: torch.Tensor, target: torch.Tensor, baselines: torch.Tensor, n_steps: int
) -> torch.Tensor:
    """Return what each token adds to the score of its sentence's target, on the way from the baselines.

    model: (N, T, D) -> scores (N, C). inputs_embeds, baselines: (N, T, D). target: (N,), a class for each sentence.
    Returns (N, T).
    """
    # BEGIN SOLUTION
    way = inputs_embeds - baselines
    total = torch.zeros_like(way)
    for k in range(n_steps):
        point = (baselines + (k + 0.5) / n_steps * way).requires_grad_()
        score = model(point).gather(1, target[:, None]).sum()
        total += torch.autograd.grad(score, point)[0]
    return (way * total / n_steps).sum(dim=2)
    # END SOLUTION


# %% check="token_ig"
check("token_ig", token_ig)

# %% [markdown] lang="en"
# <details><summary>Every token gets the same number, or a number that is far too large</summary>
#
# Did you multiply by the way from the baseline, and divide by the number of steps, each once?
# </details>
# <details><summary>"element 0 of tensors does not require grad"</summary>
#
# The point on the path is a new tensor. It must ask for a gradient before the model sees it.
# </details>
# <details><summary>The second sentence of the batch is wrong</summary>
#
# `target` has one class for each sentence. Each row of the scores must be read at its own class.
# </details>

# %% [markdown] lang="zh-TW"
# <details><summary>每個詞元都得到相同的數字，或數字大得離譜</summary>
#
# 有沒有乘上「從基準到輸入」的差，並且除以步數？兩者都只做一次。
# </details>
# <details><summary>出現「element 0 of tensors does not require grad」</summary>
#
# 路徑上的點是新的張量，在模型看到它之前，必須先要求梯度。
# </details>
# <details><summary>批次裡的第二個句子不對</summary>
#
# `target` 裡每個句子各有一個類別。分數的每一列要讀取它自己的類別。
# </details>

# %% [markdown] lang="en"
# 今天買了▢果來吃, "bought some ▢ to eat today": let the model fill the gap, and ask which characters made it guess so.
# By your integrated gradients, by hiding one at a time (occlusion), and by your rollout's row of the gap.
#
# **Predict first:** which character gives the answer away? And will the three columns agree?

# %% [markdown] lang="zh-TW"
# 「今天買了▢果來吃」：讓模型填空，再問是哪些字讓它這樣猜。用你的積分梯度、用一次遮住一個字（遮擋法，occlusion），以及你的展開中空格那一列。
#
# **先猜猜看**：哪個字洩漏了答案？三欄的結果會一致嗎？

# %%
from hw_xai.language.attribution import (
    attribute_tokens,
    embedding_model,
    merged,
    pad_baseline,
    token_scores,
    word_embeddings,
)

[cloze] = encode(bert, "今天買了[MASK]果來吃")
gap = cloze.tokens.index("[MASK]")
model = embedding_model(bert, cloze, token_scores(gap))  # (N, T, D) -> log P of every token at the gap
inputs, empty = word_embeddings(bert, cloze), pad_baseline(bert, cloze, keep=[gap])
target = model(inputs).argmax(dim=1)
mine = token_ig(model, inputs, target, empty, 50)[0]  # (T,)

methods = {  # pieces of one word are added up
    "token IG (yours)": merged(cloze, mine).numpy(),
    "hide the word": attribute_tokens(bert, cloze, "occlusion").scores.numpy(),
    "rollout (yours)": merged(cloze, attention_rollout(attentions(bert, cloze)[0])[gap]).numpy(),
}
guess = bert.tokenizer.convert_ids_to_tokens(int(target))
words_figure([word.text for word in cloze.words], methods, f"why “{guess}”?", amounts=["rollout (yours)"])

# %% [markdown] lang="en"
# One more test that attention cannot pass: **completeness**. All your numbers together must be the difference between
# the score of the sentence and that of the empty one.

# %% [markdown] lang="zh-TW"
# 還有一個注意力無法通過的檢驗，**完備性**：把你所有的數字加起來，必須等於這個句子的分數減去空句子的分數。

# %%
with torch.no_grad():
    difference = (model(inputs) - model(empty))[0, target].item()
print(f"sum of the attributions {mine.sum():.3f}, difference of the scores {difference:.3f}")

# %% [markdown] lang="en"
# <details><summary>What you should see</summary>
#
# Red raises the score, blue lowers it; the rollout has no sign. The guess is 蘋, and integrated gradients and hiding agree that 果 gives it away. The rollout gives more to 買 and 吃:
# it tells what was read, has no sign, and does not know which word was guessed. The two sums agree to about three
# digits; the more steps, the closer they come.
# </details>
#
# Now the questions. This cell is a bench for them: predict, then put in the words that are asked for, then run it.

# %% [markdown] lang="zh-TW"
# <details><summary>應該會看到什麼</summary>
#
# 紅色提高分數，藍色降低分數；展開沒有正負號。模型猜的是「蘋」，積分梯度和遮擋法都認為是「果」洩漏了答案。展開給「買」和「吃」的反而更多：它只說明讀了什麼，沒有正負號，也不知道猜的是哪個字。兩個總和大約到第三位數都一致；步數越多就越接近。
# </details>
#
# 接著是問題。下面這一格是你的工作檯：先猜，再換成題目問的詞，再執行。

# %%
from hw_xai.language.corpus import search_corpus

sentences = [s.text for s in search_corpus(0) if s.language == "en"][:60]  # of questions 21 and 23
print("the first of the sixty:", sentences[0])
for text, asked, others in (("He put his money in the bank.", "put", ["his"]), ("今天買了蘋果來吃", "買", "今了")):
    for other in others:
        [what_if] = mask_what_if(bert, text, asked, [other])
        print(f"P({asked}) {what_if.before.of(asked):.2f}; with {other} hidden too {what_if.after.of(asked):.2f}")
    [read] = encode(bert, text)
    largest = attention_rollout(attentions(bert, read)[0]).argmax(dim=1)
    print(
        "   rollout, largest of each row:",
        *(f"{a}←{read.tokens[j]}" for a, j in zip(read.tokens, largest, strict=True)),
    )

# %% [markdown] questions="21-24"

# %% [markdown] lang="en"
# **At this point you have** seen what heads look at, followed it to the words, and learned to check it: by hiding words,
# and by an attribution that adds up. In the next notebook you look at the vectors themselves.

# %% [markdown] lang="zh-TW"
# **到這裡，你已經**看過每個頭在看什麼、把它追溯到詞，也學會如何檢驗：靠遮住詞，以及靠加起來會吻合的歸因。下一本筆記本要看的是向量本身。
