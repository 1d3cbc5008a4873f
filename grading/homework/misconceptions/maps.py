"""Wrong versions of a filter's activation and of activation maximization, as students have written them."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ...verdict.exercise import Misconception
from ...words import Text
from .gradients import in_training, slope, stretched
from .sentences import (
    AS_IT_IS_USED,
    COUNTED_FROM_ZERO,
    LEFT_IN_TRAINING,
    MEAN_NOT_MAX,
    NORMALIZATION_IS_DRAWING,
    RETURN_IN_LOOP,
    WHERE_IS_CHANNEL,
    WORK_ON_A_CLONE,
)


def maps_of(model: nn.Module, x: Tensor, layer: nn.Module, which: str = "output") -> Tensor:
    """Return what the layer gives for x, or what it gets."""
    seen: dict[str, Tensor] = {}
    hook = layer.register_forward_hook(lambda _, got, given: seen.update(input=got[0], output=given))
    try:
        model(x)
    finally:
        hook.remove()
    return seen[which]


# ------------------------------------------------------------------------------------------------ a filter's activation


def activation(
    pick: Callable[[Tensor, int], Tensor] = lambda maps, channel: maps[:, channel : channel + 1],
    then: Callable[[Tensor], Tensor] = lambda chosen: chosen,
    which: str = "output",
) -> Callable:
    """Return a filter activation that picks another part of the maps, or does something more with it."""

    def wrong(model, inputs, layer, channel):
        return then(pick(maps_of(model, inputs, layer, which), channel))

    return wrong


FILTER_ACTIVATION = [
    Misconception(
        "input_of_layer",
        activation(which="input"),
        Text("you show what goes into the layer, not what comes out", "你顯示的是進入這一層的資料，而不是它的輸出"),
        Text("a forward hook is called with (module, input, output)", "forward hook 收到的是 (module, input, output)"),
    ),
    Misconception(
        "counted_from_one",
        activation(lambda maps, channel: maps[:, channel - 1 : channel]),
        Text("this is the channel before the one asked for", "這是題目要的前一個通道"),
        COUNTED_FROM_ZERO,
    ),
    Misconception(
        "next_channel",
        activation(lambda maps, channel: maps[:, channel + 1 : channel + 2]),
        Text("this is the channel after the one asked for", "這是題目要的後一個通道"),
        COUNTED_FROM_ZERO,
    ),
    Misconception(
        "row_not_channel",
        activation(lambda maps, channel: maps[channel]),
        Text(
            "you take one picture of the batch instead of one channel of each picture",
            "你取了批次裡的一張圖片，而不是每張圖片的一個通道",
        ),
        Text("which dimension of (N, K, h, w) are the channels?", "(N, K, h, w) 的哪一維是通道？"),
    ),
    Misconception(
        "channel_dimension_lost",
        activation(lambda maps, channel: maps[:, channel]),
        Text(
            "the channel's dimension is lost: the result must be (N, 1, h, w)",
            "通道的維度不見了：結果應為 (N, 1, h, w)",
        ),
        Text("x[:, 3] drops a dimension, a slice keeps it", "x[:, 3] 會去掉一維，切片則會保留"),
    ),
    Misconception(
        "mean_of_channels",
        activation(lambda maps, channel: maps.mean(dim=1, keepdim=True)),
        Text("this is the mean of all channels", "這是所有通道的平均"),
        WHERE_IS_CHANNEL,
    ),
    Misconception(
        "all_channels",
        activation(lambda maps, channel: maps),
        Text("you return all channels of the layer", "你回傳了這一層的所有通道"),
        WHERE_IS_CHANNEL,
    ),
    Misconception(
        "mean_over_places",
        activation(then=lambda chosen: chosen.mean(dim=(2, 3), keepdim=True)),
        Text("you average over the places: a map is asked for", "你對位置取了平均：題目要的是一張圖"),
        Text("where does the filter respond?", "濾波器在哪裡有反應？"),
    ),
    Misconception(
        "rectified",
        activation(then=lambda chosen: chosen.clamp(min=0)),
        Text(
            "negative values are cut off: the layer's own output is asked for",
            "負值被截掉了：題目要的是這一層本身的輸出",
        ),
        Text("is there a ReLU in the layer that you were given?", "給你的那一層裡有 ReLU 嗎？"),
    ),
    Misconception(
        "absolute",
        activation(then=torch.abs),
        Text("the sign is lost", "正負號不見了"),
        Text("a filter can also answer with less than nothing", "濾波器的反應也可以是負的"),
    ),
    Misconception(
        "normalized",
        activation(then=stretched),
        Text(
            "your map is stretched to 0…1: its values no longer are activations", "你的圖被拉伸到 0…1：數值不再是活化值"
        ),
        NORMALIZATION_IS_DRAWING,
    ),
    Misconception(
        "enlarged",
        lambda model, inputs, layer, channel: nn.functional.interpolate(
            activation()(model, inputs, layer, channel), inputs.shape[2:], mode="bilinear"
        ),
        Text(
            "your map is enlarged: the layer's own resolution is asked for",
            "你的圖被放大了：題目要的是這一層本身的解析度",
        ),
        Text("enlarging belongs to drawing", "放大是畫圖的工作"),
    ),
    Misconception(
        "first_picture_only",
        activation(then=lambda chosen: chosen[:1].expand_as(chosen)),
        Text("every picture gets the map of the first one", "每張圖片都得到第一張圖片的圖"),
        Text("the batch has several pictures", "批次裡有好幾張圖片"),
    ),
    Misconception(
        "train_mode",
        lambda model, inputs, layer, channel: in_training(model, lambda: activation()(model, inputs, layer, channel)),
        LEFT_IN_TRAINING,
        AS_IT_IS_USED,
    ),
]

# ---------------------------------------------------------------------------------------------- activation maximization


def mean_map(maps: Tensor, channel: int) -> Tensor:
    return maps[:, channel].mean(dim=(1, 2))


def rms(g: Tensor) -> Tensor:
    return g.square().mean(dim=(1, 2, 3), keepdim=True).sqrt()


def ascent(
    goal: Callable[[Tensor, int], Tensor] = mean_map,
    direction: Callable[[Tensor], Tensor] = lambda g: g / rms(g),
    limit: Callable[[Tensor], Tensor] = lambda x: x.clamp(0, 1),
    finish: Callable[[Tensor], Tensor] = lambda x: x,
    steps: Callable[[int], int] = lambda n: n,
) -> Callable:
    """Return an ascent with another goal (N, K, h, w) -> (N,), step, limit after each step, or number of steps."""

    def wrong(model, layer, channel, start, n_steps, lr):
        x = start
        for _ in range(steps(n_steps)):
            g = slope(lambda x: goal(maps_of(model, x, layer), channel), x)
            x = limit(x + lr * direction(g))
        return finish(x)

    return wrong


def same_gradient(model, layer, channel, start, n_steps, lr):
    g = slope(lambda x: mean_map(maps_of(model, x, layer), channel), start)
    x = start
    for _ in range(n_steps):
        x = (x + lr * g / rms(g)).clamp(0, 1)
    return x


def accumulated(model, layer, channel, start, n_steps, lr):
    x, total = start, torch.zeros_like(start)
    for _ in range(n_steps):
        total = total + slope(lambda x: mean_map(maps_of(model, x, layer), channel), x)
        x = (x + lr * total / rms(total)).clamp(0, 1)
    return x


MAXIMIZE_ACTIVATION = [
    Misconception(
        "descent",
        ascent(direction=lambda g: -g / rms(g)),
        Text("your picture walks downhill: it makes the activation smaller", "你的圖片在走下坡：活化值越來越小"),
        Text("optimizers minimize", "最佳化器做的是最小化"),
    ),
    Misconception(
        "not_normalized",
        ascent(direction=lambda g: g),
        Text("the gradient is not divided by its RMS", "梯度沒有除以它的 RMS"),
        Text("`lr` is meant as the typical change of a pixel in one step", "`lr` 指的是每一步像素的典型變化量"),
    ),
    Misconception(
        "divided_by_norm",
        ascent(direction=lambda g: g / g.flatten(1).norm(dim=1).reshape(-1, 1, 1, 1)),
        Text("you divide by the length of the gradient instead of its RMS", "你除的是梯度的長度，而不是它的 RMS"),
        Text("the R, the M and the S: which one is missing?", "R、M、S 之中少了哪一個？"),
    ),
    Misconception(
        "divided_by_max",
        ascent(direction=lambda g: g / g.abs().amax(dim=(1, 2, 3), keepdim=True)),
        Text(
            "you divide by the largest value of the gradient instead of its RMS", "你除的是梯度的最大值，而不是它的 RMS"
        ),
        Text("the R, the M and the S", "想一想 R、M、S 各代表什麼"),
    ),
    Misconception(
        "divided_by_variance",
        ascent(direction=lambda g: g / g.square().mean(dim=(1, 2, 3), keepdim=True)),
        Text("you divide by the mean square: the root is missing", "你除的是均方：沒有開根號"),
        Text("what does the R of RMS stand for?", "RMS 的 R 代表什麼？"),
    ),
    Misconception(
        "sign_of_gradient",
        ascent(direction=torch.sign),
        Text(
            "you use only the sign of the gradient: every pixel moves equally far",
            "你只用了梯度的正負號：每個像素都移動一樣遠",
        ),
        Text("divide by one number per picture", "每張圖片除以一個數字"),
    ),
    Misconception(
        "not_clamped",
        ascent(limit=lambda x: x),
        Text("the picture leaves the range 0…1", "圖片超出了 0…1 的範圍"),
        Text("what must happen at the end of each step?", "每一步的最後應該做什麼？"),
    ),
    Misconception(
        "clamped_at_the_end",
        ascent(limit=lambda x: x, finish=lambda x: x.clamp(0, 1)),
        Text("you clamp once at the end instead of after each step", "你只在最後截斷一次，而不是每一步之後"),
        Text("the network must never see a value that no picture has", "不該讓網路看到圖片不會有的值"),
    ),
    Misconception(
        "one_step",
        ascent(steps=lambda n: 1),
        Text("only one step is made, whatever `n_steps` is", "不論 `n_steps` 是多少，你只走了一步"),
        RETURN_IN_LOOP,
    ),
    Misconception(
        "one_step_more",
        ascent(steps=lambda n: n + 1),
        Text("you make one step too many", "你多走了一步"),
        Text("how often does range(n) run?", "range(n) 會執行幾次？"),
    ),
    Misconception(
        "one_step_less",
        ascent(steps=lambda n: n - 1),
        Text("you make one step too few", "你少走了一步"),
        Text("how often does range(1, n) run?", "range(1, n) 會執行幾次？"),
    ),
    Misconception(
        "same_gradient",
        same_gradient,
        Text(
            "the gradient is taken once, at the start, and used in every step", "梯度只在起點算了一次，每一步都用同一個"
        ),
        Text("where has the picture got to by now?", "圖片現在走到哪裡了？"),
    ),
    Misconception(
        "accumulated",
        accumulated,
        Text("the gradients of earlier steps are added: they are not set to zero", "前面各步的梯度被累加了：沒有歸零"),
        Text(
            "what does backward() do with a .grad that is there already?", "backward() 遇到已經存在的 .grad 會怎麼做？"
        ),
    ),
    Misconception(
        "whole_layer",
        ascent(lambda maps, channel: maps.mean(dim=(1, 2, 3))),
        Text("you maximize the mean of all channels", "你最大化的是所有通道的平均"),
        WHERE_IS_CHANNEL,
    ),
    Misconception(
        "next_channel",
        ascent(lambda maps, channel: mean_map(maps, channel + 1)),
        Text("you maximize the channel after the one asked for", "你最大化的是題目要的後一個通道"),
        COUNTED_FROM_ZERO,
    ),
    Misconception(
        "strongest_place",
        ascent(lambda maps, channel: maps[:, channel].amax(dim=(1, 2))),
        Text(
            "you maximize the strongest place of the map instead of its mean", "你最大化的是圖上最強的位置，而不是平均"
        ),
        MEAN_NOT_MAX,
    ),
    Misconception(
        "squared",
        ascent(lambda maps, channel: maps[:, channel].square().mean(dim=(1, 2))),
        Text(
            "you maximize the squared activation: strong negative ones count as well",
            "你最大化的是活化值的平方：很負的值也算進去了",
        ),
        Text("there is no square in what is maximized", "要最大化的量裡沒有平方"),
    ),
    Misconception(
        "from_black",
        lambda model, layer, channel, start, n_steps, lr: ascent()(
            model, layer, channel, torch.zeros_like(start), n_steps, lr
        ),
        Text("your picture begins black instead of at `start`", "你的圖片從全黑開始，而不是從 `start`"),
        Text("where in your function is `start` used?", "你的函式在哪裡用到了 `start`？"),
    ),
    Misconception(
        "start_changed",
        lambda model, layer, channel, start, n_steps, lr: start.copy_(
            ascent()(model, layer, channel, start, n_steps, lr)
        ),
        Text(
            "you change `start` itself: the second run begins where the first one ended",
            "你改動了 `start` 本身：第二次執行從第一次結束的地方開始",
        ),
        WORK_ON_A_CLONE,
    ),
    Misconception(
        "batch_normalized_together",
        ascent(direction=lambda g: g / g.square().mean().sqrt()),
        Text(
            "one RMS is taken over the whole batch: the pictures influence each other",
            "整個批次共用一個 RMS：圖片之間會互相影響",
        ),
        Text("each picture has its own gradient", "每張圖片有自己的梯度"),
    ),
]
