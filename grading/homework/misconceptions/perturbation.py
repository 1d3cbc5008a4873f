"""Wrong versions of occlusion and of LIME's surrogate, as students have written them."""

from collections.abc import Callable

import torch
from torch import Tensor

from ...verdict.exercise import Misconception
from ...words import Text
from .sentences import OWN_OUTPUT, PREDICTED_CLASS, WHERE_IS_TARGET, WHICH_VALUE, WORK_ON_A_CLONE

# ---------------------------------------------------------------------------------------------------------- occlusion


def scores(model: Callable[[Tensor], Tensor], x: Tensor, target: Tensor) -> Tensor:
    """(N,) score of each row's class."""
    with torch.no_grad():
        return model(x).gather(1, target[:, None])[:, 0]


def spread(values: Tensor) -> Tensor:
    return values[:, None, None, None]


def hide(x: Tensor, rows: slice, columns: slice, value: Tensor | float = 0.0) -> Tensor:
    """Return a copy of x (N, C, H, W) with a window set to a value."""
    hidden = x.clone()
    hidden[:, :, rows, columns] = value
    return hidden


def occluded(
    hidden: Callable[[Tensor, slice, slice], Tensor] = hide,
    drop: Callable[[Tensor, Tensor], Tensor] = lambda whole, masked: whole - masked,
    step: Callable[[int, int], int] = lambda window, stride: stride,
    width: Callable[[int], int] = lambda window: window,
    end: int = 1,
    divide: Callable[[Tensor], Tensor | float] = lambda count: count,
    score: Callable = scores,
    classes: Callable[[Callable, Tensor, Tensor], Tensor] = lambda model, x, target: target,
) -> Callable:
    """Return an occlusion with another way to hide, effect, stride, window, end of the range, average or score."""

    def wrong(model, inputs, target, window, stride):
        chosen = classes(model, inputs, target)
        total, count = torch.zeros_like(inputs[:, :1]), torch.zeros_like(inputs[:1, :1])
        whole = score(model, inputs, chosen)
        for top in range(0, inputs.shape[2] - window + end, step(window, stride)):
            for left in range(0, inputs.shape[3] - window + end, step(window, stride)):
                rows, columns = slice(top, top + width(window)), slice(left, left + width(window))
                masked = score(model, hidden(inputs, rows, columns), chosen)
                total[:, :, rows, columns] += spread(drop(whole, masked))
                count[:, :, rows, columns] += 1
        return total / torch.as_tensor(divide(count)).clamp(min=1)

    return wrong


def last_wins(model, inputs, target, window, stride):
    result, whole = torch.zeros_like(inputs[:, :1]), scores(model, inputs, target)
    for top in range(0, inputs.shape[2] - window + 1, stride):
        for left in range(0, inputs.shape[3] - window + 1, stride):
            rows, columns = slice(top, top + window), slice(left, left + window)
            result[:, :, rows, columns] = spread(whole - scores(model, hide(inputs, rows, columns), target))
    return result


def never_restored(model, inputs, target, window, stride):
    hidden = inputs.clone()

    def more(x: Tensor, rows: slice, columns: slice) -> Tensor:
        hidden[:, :, rows, columns] = 0
        return hidden

    return occluded(more)(model, inputs, target, window, stride)


def in_place(model, inputs, target, window, stride):
    def changed(x: Tensor, rows: slice, columns: slice) -> Tensor:
        x[:, :, rows, columns] = 0
        return x

    return occluded(changed)(model, inputs, target, window, stride)


def kept(x: Tensor, rows: slice, columns: slice) -> Tensor:
    shown = torch.zeros_like(x)
    shown[:, :, rows, columns] = x[:, :, rows, columns]
    return shown


def first_channel_hidden(x: Tensor, rows: slice, columns: slice) -> Tensor:
    hidden = x.clone()
    hidden[:, 0, rows, columns] = 0
    return hidden


def probabilities(model: Callable, x: Tensor, target: Tensor) -> Tensor:
    return scores(lambda x: model(x).softmax(dim=1), x, target)


def predicted(model: Callable, x: Tensor, target: Tensor) -> Tensor:
    return model(x).argmax(dim=1)


OCCLUSION = [
    Misconception(
        "sign_reversed",
        occluded(drop=lambda whole, masked: masked - whole),
        Text("the sign is reversed: what the class needs comes out negative", "正負號反了：該類別需要的部分變成負的"),
        Text(
            "where hiding lowers the score, the map must be positive",
            "遮住之後分數下降的地方，圖上應該是正的",
        ),
    ),
    Misconception(
        "score_not_drop",
        occluded(drop=lambda whole, masked: masked),
        Text(
            "this is the score of the hidden picture, not by how much it fell",
            "這是遮住之後的分數，而不是分數下降了多少",
        ),
        Text("compare with the score of the whole picture", "要與完整圖片的分數比較"),
    ),
    Misconception(
        "absolute",
        occluded(drop=lambda whole, masked: (whole - masked).abs()),
        Text("you take absolute values: the sign is lost", "你取了絕對值：正負號不見了"),
        Text("a part of the picture can also speak against the class", "圖片的某個部分也可以反對這個類別"),
    ),
    Misconception(
        "filled_with_mean",
        occluded(lambda x, rows, columns: hide(x, rows, columns, x.mean(dim=(2, 3), keepdim=True))),
        Text("the window is filled with the picture's mean colour", "視窗被填上了圖片的平均顏色"),
        WHICH_VALUE,
    ),
    Misconception(
        "filled_with_white",
        occluded(lambda x, rows, columns: hide(x, rows, columns, 1.0)),
        Text("the window is filled with ones, which is white", "視窗被填上了 1，也就是白色"),
        WHICH_VALUE,
    ),
    Misconception(
        "filled_with_grey",
        occluded(lambda x, rows, columns: hide(x, rows, columns, 0.5)),
        Text("the window is filled with 0.5, which is grey", "視窗被填上了 0.5，也就是灰色"),
        WHICH_VALUE,
    ),
    Misconception(
        "kept_instead",
        occluded(kept),
        Text("you hide everything except the window", "你遮住了視窗以外的所有地方"),
        Text("what must be zero: the window or the rest?", "該變成零的是視窗，還是其餘的部分？"),
    ),
    Misconception(
        "one_channel_hidden",
        occluded(first_channel_hidden),
        Text("only the first colour is hidden", "只遮住了第一個顏色"),
        Text("a hidden place shows none of its three colours", "被遮住的地方，三個顏色都不應該看得見"),
    ),
    Misconception(
        "sum_not_mean",
        occluded(divide=lambda count: 1.0),
        Text(
            "overlapping windows are added up, not averaged: the middle gets more than the edge",
            "重疊的視窗被加總而不是平均：中間得到的比邊緣多",
        ),
        Text("count how many windows cover each pixel", "數一數每個像素被多少個視窗蓋住"),
    ),
    Misconception(
        "divided_by_largest_count",
        occluded(divide=lambda count: count.max()),
        Text(
            "you divide all pixels by the same number, though fewer windows cover those at the edge",
            "你把所有像素都除以同一個數，但蓋住邊緣的視窗比較少",
        ),
        Text("count how many windows cover each pixel", "數一數每個像素被多少個視窗蓋住"),
    ),
    Misconception(
        "last_wins",
        last_wins,
        Text("each window overwrites the ones before it", "每個視窗都覆蓋掉了前面的視窗"),
        Text("where windows overlap, their mean is asked for", "視窗重疊的地方，要的是它們的平均"),
    ),
    Misconception(
        "last_window_missing",
        occluded(end=0),
        Text(
            "the last window of each row and column is missing: your range ends one too early",
            "每一列與每一欄的最後一個視窗不見了：你的 range 早了一步結束",
        ),
        Text(
            "some pixels are never hidden: where does the last window start? The end of a range does not belong to it",
            "有些像素從來沒有被遮過：最後一個視窗從哪裡開始？range 的終點不包含在內",
        ),
    ),
    Misconception(
        "windows_cut",
        lambda model, inputs, target, window, stride: occluded(end=window)(model, inputs, target, window, stride),
        Text(
            "your last windows reach beyond the edge and are cut there: they hide less than a whole window",
            "你最後的幾個視窗超出邊緣而被切掉：遮住的比一整個視窗少",
        ),
        Text(
            "where must the last window start so that it ends at the edge?",
            "最後一個視窗要從哪裡開始，才會剛好貼齊邊緣？",
        ),
    ),
    Misconception(
        "window_too_small",
        occluded(width=lambda window: window - 1),
        Text("your window is one pixel too small", "你的視窗小了一個像素"),
        Text("how many elements does x[2:5] have?", "x[2:5] 有幾個元素？"),
    ),
    Misconception(
        "stride_ignored",
        occluded(step=lambda window, stride: window),
        Text("the windows do not overlap: `stride` is not used", "視窗沒有重疊：沒有用到 `stride`"),
        Text("by how much does a window move?", "視窗每次移動多少？"),
    ),
    Misconception(
        "stride_one",
        occluded(step=lambda window, stride: 1),
        Text("the window moves by one pixel: `stride` is not used", "視窗每次只移動一個像素：沒有用到 `stride`"),
        Text("range takes a third argument", "range 可以有第三個引數"),
    ),
    Misconception(
        "never_restored",
        never_restored,
        Text(
            "what was hidden stays hidden: in the end the whole picture is black",
            "遮住的地方沒有還原：到最後整張圖片都是黑的",
        ),
        Text("hide each window in a fresh copy", "每個視窗都要在一份新的複本上遮"),
    ),
    Misconception(
        "in_place",
        in_place,
        Text("you hide the windows in `inputs` itself", "你直接在 `inputs` 上遮住視窗"),
        WORK_ON_A_CLONE,
    ),
    Misconception(
        "softmax",
        occluded(score=probabilities),
        Text("you compare probabilities after a softmax, not scores", "你比較的是 softmax 之後的機率，而不是分數"),
        OWN_OUTPUT,
    ),
    Misconception(
        "predicted_class",
        occluded(classes=predicted),
        PREDICTED_CLASS,
        WHERE_IS_TARGET,
    ),
    Misconception(
        "shape_of_inputs",
        lambda model, inputs, target, window, stride: occluded()(model, inputs, target, window, stride).expand_as(
            inputs
        ),
        Text("one map per picture is asked for, not one per colour", "每張圖片只要一張圖，而不是每個顏色一張"),
        Text("a window hides all colours at once", "一個視窗會同時遮住所有顏色"),
    ),
]

# ----------------------------------------------------------------------------------------------------------- surrogate


def ridge(masks: Tensor, scores: Tensor, weights: Tensor, alpha: float, mean_weights: Tensor | None = None) -> Tensor:
    """Weighted ridge regression with a free intercept; mean_weights: those of the means that are subtracted."""
    share = weights if mean_weights is None else mean_weights
    share = (share / share.sum())[:, None]
    masks, scores = masks - (share * masks).sum(dim=0), scores[:, None] - (share * scores[:, None]).sum(dim=0)
    return solved(masks, scores[:, 0], weights, alpha)


def solved(masks: Tensor, scores: Tensor, weights: Tensor, alpha: float) -> Tensor:
    """(K,): ridge regression through the origin."""
    weighted = weights[:, None] * masks
    return torch.linalg.solve(masks.T @ weighted + alpha * torch.eye(masks.shape[1]), weighted.T @ scores)


def with_ones(masks: Tensor) -> Tensor:
    return torch.cat([masks, torch.ones(len(masks), 1)], dim=1)


def mean_difference(masks: Tensor, scores: Tensor, weights: Tensor, alpha: float) -> Tensor:
    shown, hidden = weights[:, None] * masks, weights[:, None] * (1 - masks)
    return shown.T @ scores / shown.sum(dim=0) - hidden.T @ scores / hidden.sum(dim=0)


def weighted_on_one_side(masks: Tensor, scores: Tensor, weights: Tensor, alpha: float) -> Tensor:
    share = weights / weights.sum()
    masks, scores = masks - share @ masks, scores - share @ scores
    return torch.linalg.solve(
        masks.T @ (weights[:, None] * masks) + alpha * torch.eye(masks.shape[1]), masks.T @ scores
    )


LIME_WEIGHTS = [
    Misconception(
        "weights_ignored",
        lambda masks, scores, weights, alpha: ridge(masks, scores, torch.ones_like(weights), alpha),
        Text(
            "all samples count alike: `weights` is not used, so the surrogate is not local",
            "所有樣本都一樣重要：沒有用到 `weights`，代理模型就不是局部的",
        ),
        Text(
            "a sample that hides nearly everything should count little",
            "幾乎全部被遮住的樣本，應該不太重要",
        ),
    ),
    Misconception(
        "penalty_missing",
        lambda masks, scores, weights, alpha: ridge(masks, scores, weights, 0.0),
        Text("this is least squares without the penalty `alpha`", "這是沒有懲罰項 `alpha` 的最小平方法"),
        Text("what stands on the diagonal in the formula?", "公式裡對角線上的是什麼？"),
    ),
    Misconception(
        "intercept_missing",
        solved,
        Text("the fit is forced through the origin: there is no intercept", "擬合被迫通過原點：少了截距"),
        Text(
            "with all regions hidden the score is not 0",
            "所有區域都遮住時，分數並不是 0",
        ),
    ),
    Misconception(
        "intercept_penalized",
        lambda masks, scores, weights, alpha: solved(with_ones(masks), scores, weights, alpha)[:-1],
        Text("the penalty also pulls the intercept to zero", "懲罰項也把截距拉向零了"),
        Text("only the coefficients of the regions are penalized", "只有區域的係數要受懲罰"),
    ),
    Misconception(
        "intercept_returned",
        lambda masks, scores, weights, alpha: torch.cat([torch.zeros(1), ridge(masks, scores, weights, alpha)]),
        Text("you return the intercept too: one number too many", "你把截距也回傳了：多了一個數字"),
        Text("one coefficient for each region", "每個區域一個係數"),
    ),
    Misconception(
        "weights_squared",
        lambda masks, scores, weights, alpha: ridge(masks, scores, weights.square(), alpha),
        Text(
            "the weights come in squared: you multiply both masks and scores by them",
            "權重被平方了：你把遮罩與分數都乘上了權重",
        ),
        Text("each squared error is multiplied by its weight once", "每個平方誤差只乘上一次權重"),
    ),
    Misconception(
        "weights_squared_after_centring",
        lambda masks, scores, weights, alpha: ridge(masks, scores, weights.square(), alpha, weights),
        Text(
            "the means are right, but then the weights come in squared: both masks and scores are multiplied by them",
            "平均是對的，但之後權重被平方了：遮罩與分數都乘上了權重",
        ),
        Text("each squared error is multiplied by its weight once", "每個平方誤差只乘上一次權重"),
    ),
    Misconception(
        "weights_normalized",
        lambda masks, scores, weights, alpha: ridge(masks, scores, weights / weights.sum(), alpha),
        Text(
            "the weights are scaled to sum to 1: against them the penalty is too strong",
            "權重被縮放成總和 1：相形之下懲罰太重了",
        ),
        Text("take the weights as they are", "直接使用給定的權重"),
    ),
    Misconception(
        "centred_without_weights",
        lambda masks, scores, weights, alpha: ridge(masks, scores, weights, alpha, torch.ones_like(weights)),
        Text("the means that you subtract are not weighted", "你減去的平均沒有加權"),
        Text("the intercept is fitted to the weighted samples too", "截距也要對加權後的樣本擬合"),
    ),
    Misconception(
        "weighted_on_one_side",
        weighted_on_one_side,
        Text(
            "the weights stand on one side of the normal equation only",
            "權重只出現在正規方程式的一邊",
        ),
        Text("XᵀWX on the left; and on the right?", "左邊是 XᵀWX；那右邊呢？"),
    ),
    Misconception(
        "penalty_times_samples",
        lambda masks, scores, weights, alpha: ridge(masks, scores, weights, alpha * len(masks)),
        Text(
            "the errors are averaged instead of added up: the penalty is too strong by the number of samples",
            "誤差被平均而不是加總：懲罰因此重了「樣本數」倍",
        ),
        Text("sum, not mean", "是 sum，不是 mean"),
    ),
    Misconception(
        "penalty_halved",
        lambda masks, scores, weights, alpha: ridge(masks, scores, weights, alpha / 2),
        Text("the penalty is halved", "懲罰項被減半了"),
        Text("where does the 2 of the derivative go on both sides?", "微分得到的 2，在兩邊各到哪裡去了？"),
    ),
    Misconception(
        "masks_inverted",
        lambda masks, scores, weights, alpha: ridge(1 - masks, scores, weights, alpha),
        Text("1 stands for hidden in your version: all signs are reversed", "在你的版本裡 1 代表遮住：正負號全反了"),
        Text("masks is 1 where a region is shown", "masks 為 1 的地方是看得見的區域"),
    ),
    Misconception(
        "mean_difference",
        mean_difference,
        Text(
            "this compares the mean score with and without each region, one at a time; no model is fitted",
            "這是逐一比較有無各區域時的平均分數，並沒有擬合模型",
        ),
        Text("all regions are fitted together", "所有區域要一起擬合"),
    ),
    Misconception(
        "absolute",
        lambda masks, scores, weights, alpha: ridge(masks, scores, weights, alpha).abs(),
        Text("the sign is lost: for and against look alike", "正負號不見了：支持與反對分不出來"),
        Text("a region can also speak against the class", "區域也可以反對這個類別"),
    ),
]
