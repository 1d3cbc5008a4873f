"""Wrong versions of the exercises about BERT: rollout, attribution of tokens, similarities, projection."""

from collections.abc import Callable

import torch
from torch import Tensor

from ...verdict.exercise import Misconception
from ...words import Text
from .gradients import midpoints, path_gradients
from .sentences import IS_ALPHA_USED

# ------------------------------------------------------------------------------------------------------------ rollout


def rollout(
    residual: float = 0.5,
    fuse: Callable[[Tensor], Tensor] = lambda layers: layers.mean(dim=1),
    later_first: bool = True,
    normalize: bool = True,
) -> Callable:
    """Return a rollout with another share of the residual, fusion of heads (L, H, T, T) -> (L, T, T), or order."""

    def wrong(attentions: Tensor) -> Tensor:
        eye = torch.eye(attentions.shape[-1])
        total = eye
        for layer in fuse(attentions):
            mixed = residual * eye + (1 - residual) * layer
            mixed = mixed / mixed.sum(dim=-1, keepdim=True) if normalize else mixed
            total = mixed @ total if later_first else total @ mixed
        return total

    return wrong


def residual_added(attentions: Tensor) -> Tensor:
    total = eye = torch.eye(attentions.shape[-1])
    for layer in attentions.mean(dim=1):
        total = (layer + eye) @ total
    return total


ATTENTION_ROLLOUT = [
    Misconception(
        "residual_missing",
        rollout(residual=0.0),
        Text("the residual connection is left out", "漏掉了殘差連接"),
        Text(
            "half of what a token is after a layer is what it was before", "一個詞元經過一層之後，有一半仍是原來的自己"
        ),
    ),
    Misconception(
        "wrong_order",
        rollout(later_first=False),
        Text("the layers are multiplied in the wrong order", "各層相乘的順序反了"),
        Text(
            "what the last layer reads has passed through all the layers before it",
            "最後一層讀到的東西，已經通過前面所有的層",
        ),
    ),
    Misconception(
        "last_layer_only",
        lambda attentions: rollout()(attentions[-1:]),
        Text("only the last layer is used", "只用了最後一層"),
        Text("multiply one matrix per layer", "每一層都要乘上一個矩陣"),
    ),
    Misconception(
        "layers_averaged",
        lambda attentions: (0.5 * torch.eye(attentions.shape[-1]) + 0.5 * attentions.mean(dim=1)).mean(dim=0),
        Text("the layers are averaged instead of multiplied", "各層被平均了，而不是相乘"),
        Text("information passes through the layers one after another", "資訊是一層接著一層傳遞的"),
    ),
    Misconception(
        "max_over_heads",
        rollout(fuse=lambda layers: layers.amax(dim=1) / layers.amax(dim=1).sum(dim=-1, keepdim=True)),
        Text("you take the largest of the heads instead of their mean", "你取了各個頭的最大值，而不是平均"),
        Text("all heads count alike here", "在這裡每個頭都一樣重要"),
    ),
    Misconception(
        "first_head_only",
        rollout(fuse=lambda layers: layers[:, 0]),
        Text("only the first head is used", "只用了第一個頭"),
        Text("which dimension of (L, H, T, T) are the heads?", "(L, H, T, T) 的哪一維是頭？"),
    ),
    Misconception(
        "not_normalized",
        residual_added,
        Text(
            "you add the identity but do not divide by 2: the rows sum to a power of two",
            "你加上了單位矩陣但沒有除以 2：每列的總和變成 2 的次方",
        ),
        Text("each row must remain a distribution", "每一列都必須是一個分布"),
    ),
    Misconception(
        "transposed",
        lambda attentions: rollout()(attentions).T,
        Text("the result is transposed", "結果被轉置了"),
        Text("row i says where token i looks", "第 i 列表示詞元 i 看向哪裡"),
    ),
    Misconception(
        "elementwise",
        lambda attentions: (0.5 * torch.eye(attentions.shape[-1]) + 0.5 * attentions.mean(dim=1)).prod(dim=0),
        Text("the layers are multiplied element by element", "各層是逐元素相乘的"),
        Text("* is not @", "* 不是 @"),
    ),
]

# ----------------------------------------------------------------------------------------------------- tokens' shares


def token_wrong(
    factor: Callable[[Tensor, Tensor], Tensor | float] = lambda inputs, baselines: inputs - baselines,
    alphas_of: Callable[[int], Tensor] = midpoints,
    reduce: Callable[[Tensor], Tensor] = lambda a: a.sum(dim=2),
    start: Callable[[Tensor], Tensor] = lambda baselines: baselines,
) -> Callable:
    """Return a token IG with another factor, rule, reduction over the embedding, or start of the path."""

    def wrong(model, inputs_embeds, target, baselines, n_steps):
        first = start(baselines)
        mean = path_gradients(model, inputs_embeds, target, first, alphas_of(n_steps))
        return reduce(factor(inputs_embeds, first) * mean)

    return wrong


TOKEN_IG = [
    Misconception(
        "difference_missing",
        token_wrong(factor=lambda inputs, baselines: 1.0),
        Text("× (inputs − baselines) is missing", "少了 × (inputs − baselines)"),
        Text("do the tokens' shares add up to the difference of the scores?", "各詞元的貢獻加起來等於分數的差嗎？"),
    ),
    Misconception(
        "baseline_zero",
        token_wrong(start=torch.zeros_like),
        Text("the path starts at zero instead of at the padding", "路徑從零開始，而不是從填充詞元開始"),
        Text("what is `baselines` for?", "`baselines` 是做什麼用的？"),
    ),
    Misconception(
        "norm",
        token_wrong(reduce=lambda a: a.norm(dim=2)),
        Text("you take the length over the embedding: the sign is lost", "你取了嵌入維度上的長度：正負號不見了"),
        Text("a token can also speak against the class", "詞元也可以反對這個類別"),
    ),
    Misconception(
        "mean",
        token_wrong(reduce=lambda a: a.mean(dim=2)),
        Text("you average over the embedding instead of adding up", "你在嵌入維度上取了平均，而不是加總"),
        Text("do the tokens' shares add up to the difference of the scores?", "各詞元的貢獻加起來等於分數的差嗎？"),
    ),
    Misconception(
        "absolute",
        token_wrong(reduce=lambda a: a.abs().sum(dim=2)),
        Text("you add up absolute values: the sign is lost", "你加總了絕對值：正負號不見了"),
        Text("a token can also speak against the class", "詞元也可以反對這個類別"),
    ),
    Misconception(
        "over_tokens",
        token_wrong(reduce=lambda a: a.sum(dim=1)),
        Text("you add up over the tokens instead of over the embedding", "你對詞元加總，而不是對嵌入維度"),
        Text("which dimension of (N, T, D) must remain?", "(N, T, D) 的哪一維要保留？"),
    ),
    Misconception(
        "not_reduced",
        token_wrong(reduce=lambda a: a),
        Text(
            "one number per token is asked for, not one per embedding dimension",
            "每個詞元要一個數字，而不是每個嵌入維度一個",
        ),
        Text("add up over the last dimension", "對最後一維加總"),
    ),
    Misconception(
        "gradient_at_input",
        token_wrong(alphas_of=lambda n: torch.ones(1)),
        Text("all gradients are taken at the input", "梯度全都取在輸入處"),
        IS_ALPHA_USED,
    ),
]

# ------------------------------------------------------------------------------------------- similarity and distance


def unit(x: Tensor) -> Tensor:
    return x / x.norm(dim=1, keepdim=True)


COSINE_SIMILARITY = [
    Misconception(
        "dot_product",
        lambda a, b: a @ b.T,
        Text("this is the dot product: longer vectors get larger values", "這是內積：越長的向量得到越大的值"),
        Text("a cosine does not depend on the lengths", "餘弦值與長度無關"),
    ),
    Misconception(
        "one_side_normalized",
        lambda a, b: unit(a) @ b.T,
        Text("only the first vectors are scaled to length 1", "只有第一組向量被縮放成長度 1"),
        Text("both lengths belong in the denominator", "兩個長度都要放進分母"),
    ),
    Misconception(
        "distance",
        lambda a, b: 1 - unit(a) @ unit(b).T,
        Text("this is the cosine distance 1 − cos, not the similarity", "這是餘弦距離 1 − cos，而不是相似度"),
        Text("what must a vector's similarity with itself be?", "向量與自己的相似度應該是多少？"),
    ),
    Misconception(
        "centred",
        lambda a, b: unit(a - a.mean(dim=1, keepdim=True)) @ unit(b - b.mean(dim=1, keepdim=True)).T,
        Text("this is the correlation: the means are subtracted first", "這是相關係數：先減去了平均"),
        Text("the angle is measured from the origin", "角度是從原點量起的"),
    ),
    Misconception(
        "squared_lengths",
        lambda a, b: (a @ b.T) / (a.square().sum(dim=1)[:, None] * b.square().sum(dim=1)[None]),
        Text("you divide by the squared lengths: the square root is missing", "你除的是長度的平方：沒有開根號"),
        Text("what is the length of (3, 4)?", "(3, 4) 的長度是多少？"),
    ),
    Misconception(
        "whole_matrix",
        lambda a, b: (a @ b.T) / (a.norm() * b.norm()),
        Text(
            "you divide by the length of the whole matrix instead of each vector's",
            "你除的是整個矩陣的長度，而不是每個向量的長度",
        ),
        Text("norm needs to know along which dimension", "norm 需要知道沿著哪一維計算"),
    ),
    Misconception(
        "absolute",
        lambda a, b: (unit(a) @ unit(b).T).abs(),
        Text("the sign is lost: opposite vectors have the cosine −1", "正負號不見了：相反的向量餘弦值是 −1"),
        Text("there is no absolute value in the formula", "公式裡沒有絕對值"),
    ),
]

EUCLIDEAN_DISTANCE = [
    Misconception(
        "squared",
        lambda a, b: torch.cdist(a, b).square(),
        Text("this is the squared distance: the square root is missing", "這是距離的平方：沒有開根號"),
        Text("how far is (3, 4) from the origin?", "(3, 4) 離原點多遠？"),
    ),
    Misconception(
        "manhattan",
        lambda a, b: torch.cdist(a, b, p=1),
        Text("this is the Manhattan distance: absolute differences added up", "這是曼哈頓距離：把差的絕對值加起來"),
        Text("the straight line is shorter than the way around the blocks", "直線比繞街走更短"),
    ),
    Misconception(
        "mean_square",
        lambda a, b: torch.cdist(a, b) / a.shape[1] ** 0.5,
        Text("you average the squares instead of adding them up", "你把平方取了平均，而不是加總"),
        Text("sum, not mean", "是 sum，不是 mean"),
    ),
    Misconception(
        "similarity",
        lambda a, b: 1 / (1 + torch.cdist(a, b)),
        Text("this is a similarity: near vectors get large values", "這是相似度：越近的向量值越大"),
        Text("how far is a vector from itself?", "向量離自己有多遠？"),
    ),
    Misconception(
        "normalized",
        lambda a, b: torch.cdist(unit(a), unit(b)),
        Text("the vectors are scaled to length 1 first: that measures the angle", "向量先被縮放成長度 1：那量的是角度"),
        Text("Euclidean distance depends on the lengths", "歐氏距離與長度有關"),
    ),
    Misconception(
        "lengths_difference",
        lambda a, b: (a.norm(dim=1)[:, None] - b.norm(dim=1)[None]).abs(),
        Text("this is the difference of the lengths, not the length of the difference", "這是長度的差，而不是差的長度"),
        Text("subtract first", "先相減"),
    ),
    Misconception(
        "cosine",
        lambda a, b: unit(a) @ unit(b).T,
        Text("this is the cosine similarity", "這是餘弦相似度"),
        Text("how far is a vector from itself?", "向量離自己有多遠？"),
    ),
    Misconception(
        "transposed",
        lambda a, b: torch.cdist(b, a),
        Text("rows and columns are exchanged", "列與欄對調了"),
        Text("entry [i, j] belongs to a[i] and b[j]", "第 [i, j] 項屬於 a[i] 與 b[j]"),
    ),
]

# --------------------------------------------------------------------------------------------------------- projection


def components(vectors: Tensor) -> Tensor:
    """Return the principal axes (k, d) of vectors (n, d) that are centred or not."""
    return torch.linalg.svd(vectors, full_matrices=False)[2]


def centre(vectors: Tensor) -> Tensor:
    return vectors - vectors.mean(dim=0)


PCA_PROJECTION = [
    Misconception(
        "not_centred",
        lambda vectors, n_components: vectors @ components(vectors)[:n_components].T,
        Text(
            "the vectors are not centred: the first axis points at their mean", "向量沒有置中：第一個軸指向它們的平均"
        ),
        Text("subtract something before the SVD", "在 SVD 之前先減去某個東西"),
    ),
    Misconception(
        "centred_for_axes_only",
        lambda vectors, n_components: vectors @ components(centre(vectors))[:n_components].T,
        Text(
            "the axes are right, but the vectors that you project are not centred", "軸是對的，但你投影的向量沒有置中"
        ),
        Text("use the centred vectors twice", "置中後的向量要用兩次"),
    ),
    Misconception(
        "smallest_first",
        lambda vectors, n_components: centre(vectors) @ components(centre(vectors))[-n_components:].flip(0).T,
        Text("you keep the directions of the smallest variance", "你保留的是變異最小的方向"),
        Text("eigh sorts its eigenvalues upwards", "eigh 的特徵值是由小到大排列的"),
    ),
    Misconception(
        "whitened",
        lambda vectors, n_components: torch.linalg.svd(centre(vectors), full_matrices=False)[0][:, :n_components],
        Text(
            "these are the left singular vectors: all axes got the same spread",
            "這是左奇異向量：所有軸的散布程度都變成一樣",
        ),
        Text("multiply by the singular values, or project on the axes", "乘上奇異值，或投影到軸上"),
    ),
    Misconception(
        "first_columns",
        lambda vectors, n_components: centre(vectors)[:, :n_components],
        Text(
            "these are the first columns of the vectors, not their principal components",
            "這是向量的前幾欄，而不是主成分",
        ),
        Text("along which direction do the points spread most?", "這些點沿著哪個方向散布得最廣？"),
    ),
    Misconception(
        "axes_transposed",
        lambda vectors, n_components: centre(vectors) @ components(centre(vectors))[:, :n_components],
        Text("the matrix of axes is used the wrong way round", "軸的矩陣用反了"),
        Text("svd returns Vh, whose rows are the axes", "svd 回傳的是 Vh，它的列才是軸"),
    ),
    Misconception(
        "standardized",
        lambda vectors, n_components: (
            (scaled := centre(vectors) / vectors.std(dim=0)) @ components(scaled)[:n_components].T
        ),
        Text(
            "each column is divided by its standard deviation first: that is the PCA of another cloud",
            "每一欄先除以標準差了：那是另一群點的 PCA",
        ),
        Text("centre, but do not scale", "置中，但不要縮放"),
    ),
    Misconception(
        "rows_centred",
        lambda vectors, n_components: (
            (rows := vectors - vectors.mean(dim=1, keepdim=True)) @ components(rows)[:n_components].T
        ),
        Text(
            "you subtract each vector's own mean instead of the mean vector",
            "你減去了每個向量自己的平均，而不是平均向量",
        ),
        Text("along which dimension is the mean taken?", "平均是沿著哪一維取的？"),
    ),
]
