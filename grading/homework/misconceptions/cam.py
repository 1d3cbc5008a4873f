"""Wrong versions of Grad-CAM, as students have written them."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ...verdict.exercise import Misconception
from ...words import Text
from .gradients import mean_of, stretched
from .sentences import (
    AFTER_SOFTMAX,
    ALONE_OR_AMONG_OTHERS,
    CROSS_ENTROPY,
    MEAN_NOT_MAX,
    NORMALIZATION_IS_DRAWING,
    OWN_OUTPUT,
    PREDICTED_CLASS,
    SHRINKS_WITH_BATCH,
    WHERE_IS_TARGET,
)


def class_score(scores: Tensor, target: Tensor) -> Tensor:
    return scores.gather(1, target[:, None])


def enlarge(small: Tensor, size: tuple[int, int], **how) -> Tensor:
    return nn.functional.interpolate(small, size, **(how or {"mode": "bilinear", "align_corners": False}))


def cam(
    weigh: Callable[[Tensor], Tensor] = lambda slopes: slopes.mean(dim=(2, 3), keepdim=True),
    combine: Callable[[Tensor, Tensor], Tensor] = lambda weights, maps: (weights * maps).sum(dim=1, keepdim=True),
    positive: Callable[[Tensor], Tensor] = torch.relu,
    resize: Callable[[Tensor, tuple[int, int]], Tensor] = enlarge,
    score: Callable[[Tensor, Tensor], Tensor] = class_score,
    layer_of: Callable[[nn.Module, nn.Module], nn.Module] = lambda model, layer: layer,
) -> Callable:
    """Return a Grad-CAM with other weights, another sum over channels, ReLU, enlargement, score or layer."""

    def wrong(model, inputs, target, layer):
        seen: dict[str, Tensor] = {}
        hook = layer_of(model, layer).register_forward_hook(lambda _, got, given: seen.update(maps=given))
        values = score(model(inputs), target).sum()
        hook.remove()
        maps = seen["maps"]
        slopes = torch.autograd.grad(values, maps)[0]
        return resize(positive(combine(weigh(slopes), maps)), inputs.shape[2:]).detach()

    return wrong


def last_convolution(model: nn.Module, layer: nn.Module) -> nn.Module:
    return [m for m in model.modules() if isinstance(m, nn.Conv2d)][-1]


GRAD_CAM = [
    Misconception(
        "relu_missing",
        cam(positive=lambda summed: summed),
        Text("the ReLU at the end is missing", "少了最後的 ReLU"),
        Text("only what speaks for the class is to be seen", "應該只看得到支持該類別的部分"),
    ),
    Misconception(
        "absolute",
        cam(positive=torch.abs),
        Text("you take the absolute value instead of the ReLU", "你取了絕對值，而不是 ReLU"),
        Text("what speaks against the class must vanish", "反對該類別的部分應該消失"),
    ),
    Misconception(
        "relu_before_sum",
        cam(combine=lambda weights, maps: (weights * maps).relu().sum(dim=1, keepdim=True)),
        Text("the ReLU is applied to each channel before the sum", "ReLU 在加總之前就套用到每個通道上了"),
        Text("channels for and against may cancel first", "支持與反對的通道要先互相抵消"),
    ),
    Misconception(
        "max_weights",
        cam(weigh=lambda slopes: slopes.amax(dim=(2, 3), keepdim=True)),
        Text("the weights are the largest gradients instead of the mean", "權重用了最大的梯度，而不是平均"),
        MEAN_NOT_MAX,
    ),
    Misconception(
        "sum_weights",
        cam(weigh=lambda slopes: slopes.sum(dim=(2, 3), keepdim=True)),
        Text("the weights are the sum of the gradients instead of the mean", "權重用了梯度的總和，而不是平均"),
        Text("a larger map must not get larger weights", "圖比較大，權重不應該跟著變大"),
    ),
    Misconception(
        "weights_over_batch",
        cam(weigh=lambda slopes: slopes.mean(dim=(0, 2, 3), keepdim=True)),
        Text(
            "the weights are averaged over the batch: all pictures get the same",
            "權重對批次取了平均：所有圖片共用同一組",
        ),
        Text("which dimensions of (N, K, h, w) are the places?", "(N, K, h, w) 的哪幾維是位置？"),
    ),
    Misconception(
        "absolute_weights",
        cam(weigh=lambda slopes: slopes.mean(dim=(2, 3), keepdim=True).abs()),
        Text(
            "the weights are made positive: channels against the class count for it",
            "權重被取了絕對值：反對的通道也被當成支持",
        ),
        Text("a weight may be negative", "權重可以是負的"),
    ),
    Misconception(
        "positive_gradients",
        cam(weigh=lambda slopes: slopes.relu().mean(dim=(2, 3), keepdim=True)),
        Text(
            "negative gradients are dropped before the mean (Grad-CAM++ is like that)",
            "負的梯度在平均之前被丟掉了（Grad-CAM++ 才這樣做）",
        ),
        Text("the ReLU belongs at the end", "ReLU 應該放在最後"),
    ),
    Misconception(
        "no_mean",
        cam(weigh=lambda slopes: slopes),
        Text(
            "maps and gradients are multiplied place by place, without the mean (that is HiResCAM)",
            "活化圖與梯度逐點相乘，沒有先取平均（那是 HiResCAM）",
        ),
        Text("one weight for each channel", "每個通道一個權重"),
    ),
    Misconception(
        "gradients_only",
        cam(combine=lambda weights, maps: (weights * torch.ones_like(maps)).sum(dim=1, keepdim=True)),
        Text(
            "the weights are added up without the maps: the picture is flat",
            "權重直接加總，沒有乘上活化圖：結果是一片平坦",
        ),
        Text("what do the weights weigh?", "權重是用來加權什麼的？"),
    ),
    Misconception(
        "maps_only",
        cam(combine=lambda weights, maps: maps.sum(dim=1, keepdim=True)),
        Text("the maps are added up without weights: the class plays no part", "活化圖直接加總，沒有權重：與類別無關"),
        Text("what is the gradient for?", "梯度是做什麼用的？"),
    ),
    Misconception(
        "mean_over_channels",
        cam(combine=lambda weights, maps: (weights * maps).mean(dim=1, keepdim=True)),
        Text("the channels are averaged instead of added up", "各通道被平均，而不是加總"),
        Text("Σ, not mean", "是 Σ，不是平均"),
    ),
    Misconception(
        "softmax",
        cam(score=lambda scores, target: class_score(scores.softmax(dim=1), target)),
        AFTER_SOFTMAX,
        OWN_OUTPUT,
    ),
    Misconception(
        "cross_entropy",
        cam(score=lambda scores, target: nn.functional.cross_entropy(scores, target, reduction="none")),
        CROSS_ENTROPY,
        Text("the loss falls where the score rises", "分數上升時，損失會下降"),
    ),
    Misconception(
        "predicted_class",
        cam(score=lambda scores, target: scores.amax(dim=1)),
        PREDICTED_CLASS,
        WHERE_IS_TARGET,
    ),
    Misconception(
        "mean_over_batch",
        cam(score=lambda scores, target: class_score(scores, target) / len(scores)),
        SHRINKS_WITH_BATCH,
        ALONE_OR_AMONG_OTHERS,
    ),
    Misconception(
        "not_enlarged",
        cam(resize=lambda small, size: small),
        Text("the map still has the layer's resolution", "你的圖仍是該層的解析度"),
        Text("it is to be laid over the picture", "它要疊在圖片上"),
    ),
    Misconception(
        "nearest",
        cam(resize=lambda small, size: enlarge(small, size, mode="nearest")),
        Text("the map is enlarged in blocks, not bilinearly", "你的圖是一塊一塊放大的，不是雙線性"),
        Text("interpolate has a mode", "interpolate 有 mode 這個引數"),
    ),
    Misconception(
        "corners_aligned",
        cam(resize=lambda small, size: enlarge(small, size, mode="bilinear", align_corners=True)),
        Text("the map is enlarged with aligned corners: it is slightly shifted", "放大時對齊了角落：圖會稍微偏移"),
        Text("leave align_corners as it is by default", "align_corners 請維持預設值"),
    ),
    Misconception(
        "normalized",
        cam(resize=lambda small, size: stretched(enlarge(small, size)).nan_to_num()),
        Text("your map is stretched to 0…1", "你的圖被拉伸到 0…1"),
        NORMALIZATION_IS_DRAWING,
    ),
    Misconception(
        "layer_ignored",
        cam(layer_of=last_convolution),
        Text("you always take the last convolution: `layer` is not used", "你永遠使用最後一個卷積層：沒有用到 `layer`"),
        Text("where in your function is `layer` used?", "你的函式在哪裡用到了 `layer`？"),
    ),
    Misconception(
        "same_for_all",
        lambda model, inputs, target, layer: mean_of(list(cam()(model, inputs, target, layer).split(1))).expand(
            len(inputs), -1, -1, -1
        ),
        Text("the maps are averaged over the batch", "各張圖對批次取了平均"),
        Text("each picture gets a map of its own", "每張圖片要有自己的圖"),
    ),
]
