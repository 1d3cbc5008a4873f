"""Wrong versions of a step of cascading randomization, as students have written them."""

import copy
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from ...verdict.exercise import Misconception
from ...words import Text
from .gradients import gradient


def layers_of(model: nn.Module) -> list[nn.Module]:
    return [m for m in model.modules() if hasattr(m, "reset_parameters")]


def reset(layers: Sequence[nn.Module], seed: int) -> None:
    for layer in layers:
        seeded_once([layer], seed)


def seeded_once(layers: Sequence[nn.Module], seed: int) -> None:
    torch.manual_seed(seed)
    for layer in layers:
        layer.reset_parameters()  # type: ignore[operator]  # `layers_of` chose them by it; nn.Module knows no such method


def saliency(model: nn.Module, inputs: Tensor, target: Tensor) -> Tensor:
    return gradient(model, inputs, target).abs()


def forgetting(
    choose: Callable[[list[nn.Module], int], Sequence[nn.Module]] = lambda layers, n: layers[-n:],
    forget: Callable[[Sequence[nn.Module], int], None] = reset,
    explain: Callable = saliency,
    copied: Callable[[nn.Module], nn.Module] = copy.deepcopy,
    show: Callable[[Tensor, Tensor], Tensor] = lambda before, after: torch.stack([before, after]),
    classes: Callable[[nn.Module, Tensor, Tensor], Tensor] = lambda model, inputs, target: target,
) -> Callable:
    """Return a step that forgets other layers, or in another way, or explains or shows something else."""

    def wrong(model, inputs, target, n_layers, seed):
        before = explain(model, inputs, target)
        forgetful = copied(model)
        forget(choose(layers_of(forgetful), n_layers), seed)
        return show(before, explain(forgetful, inputs, classes(forgetful, inputs, target)))

    return wrong


def zeroed(layers: Sequence[nn.Module], seed: int) -> None:
    for layer in layers:
        for parameter in layer.parameters():
            parameter.data.zero_()


def noise_added(layers: Sequence[nn.Module], seed: int) -> None:
    torch.manual_seed(seed)
    for layer in layers:
        for parameter in layer.parameters():
            parameter.data.add_(0.1 * torch.randn_like(parameter))


def in_training(model: nn.Module) -> nn.Module:
    return copy.deepcopy(model).train()


def compared_too_late(model, inputs, target, n_layers, seed):
    reset(layers_of(model)[-n_layers:], seed)
    return torch.stack([saliency(model, inputs, target)] * 2)


RANDOMIZE_LAYERS = [
    Misconception(
        "model_changed",
        forgetting(copied=lambda model: model),
        Text(
            "you randomize the model itself: when it is asked again, it has forgotten already",
            "你把模型本身隨機化了：下次再用時，它已經忘光了",
        ),
        Text("work on a copy that shares no weights", "請在一份不共用權重的複本上操作"),
    ),
    Misconception(
        "compared_too_late",
        compared_too_late,
        Text(
            "both maps come from the model that has forgotten",
            "兩張圖都來自已經遺忘的模型",
        ),
        Text("do the copy and the model share their weights?", "複本與模型是不是共用了權重？"),
    ),
    Misconception(
        "nothing_forgotten",
        forgetting(choose=lambda layers, n: []),
        Text("nothing is randomized: both maps are the same", "什麼都沒有隨機化：兩張圖一樣"),
        Text("is the copy the one you explain?", "你解釋的是那份複本嗎？"),
    ),
    Misconception(
        "first_layers",
        forgetting(choose=lambda layers, n: layers[:n]),
        Text("the first layers are randomized instead of the last ones", "被隨機化的是前面的層，而不是最後的層"),
        Text("the cascade begins at the output", "逐層隨機化是從輸出端開始的"),
    ),
    Misconception(
        "one_layer_only",
        forgetting(choose=lambda layers, n: [layers[-n]]),
        Text(
            "only one layer is randomized, not all those behind it too",
            "只隨機化了一層，它後面的層沒有一起隨機化",
        ),
        Text("layers[-n] and layers[-n:] are not the same", "layers[-n] 與 layers[-n:] 不一樣"),
    ),
    Misconception(
        "one_layer_more",
        forgetting(choose=lambda layers, n: layers[-n - 1 :]),
        Text("one layer too many is randomized", "多隨機化了一層"),
        Text("how many elements does x[-3:] have?", "x[-3:] 有幾個元素？"),
    ),
    Misconception(
        "one_layer_less",
        forgetting(choose=lambda layers, n: layers[len(layers) - n + 1 :]),
        Text("one layer too few is randomized", "少隨機化了一層"),
        Text("how many elements does x[-3:] have?", "x[-3:] 有幾個元素？"),
    ),
    Misconception(
        "all_layers",
        forgetting(choose=lambda layers, n: layers),
        Text("all layers are randomized, whatever `n_layers` is", "不論 `n_layers` 是多少，你把所有層都隨機化了"),
        Text("where in your function is `n_layers` used?", "你的函式在哪裡用到了 `n_layers`？"),
    ),
    Misconception(
        "norm_forgotten",
        forgetting(choose=lambda layers, n: [m for m in layers if not isinstance(m, nn.BatchNorm2d)][-n:]),
        Text("BatchNorm is left out, but it has learned something too", "漏掉了 BatchNorm，但它也學到了東西"),
        Text("which modules have reset_parameters?", "哪些模組有 reset_parameters？"),
    ),
    Misconception(
        "zeroed",
        forgetting(forget=zeroed),
        Text("the weights are set to zero instead of random numbers", "權重被設成零，而不是隨機數"),
        Text("a network of zeros has no gradient to compare", "全是零的網路沒有梯度可以比較"),
    ),
    Misconception(
        "noise_added",
        forgetting(forget=noise_added),
        Text(
            "noise is added to the weights: what was learned is still there",
            "你在權重上加了雜訊：學到的東西還在",
        ),
        Text("draw the weights anew", "權重要重新抽"),
    ),
    Misconception(
        "seed_ignored",
        forgetting(forget=lambda layers, seed: reset(layers, 0)),
        Text("`seed` does not decide the new weights", "新的權重不是由 `seed` 決定的"),
        Text("torch.manual_seed(seed)", "torch.manual_seed(seed)"),
    ),
    Misconception(
        "seeded_once",
        forgetting(forget=seeded_once),
        Text(
            "the seed is set once, not before each layer: as good a forgetting, but not the one asked for",
            "種子只設了一次，而不是在每一層之前都設：這樣也會遺忘，但不是題目要的那一種",
        ),
        Text("is torch.manual_seed inside your loop?", "torch.manual_seed 在迴圈裡面嗎？"),
    ),
    Misconception(
        "train_mode",
        forgetting(copied=in_training),
        Text(
            "the copy is left in train mode: BatchNorm then mixes the pictures",
            "複本停在訓練模式：BatchNorm 會把圖片混在一起",
        ),
        Text("compare two models that are used in the same way", "要比較以同樣方式使用的兩個模型"),
    ),
    Misconception(
        "abs_missing",
        forgetting(explain=gradient),
        Text("these are signed gradients: the absolute value is missing", "這是帶正負號的梯度：沒有取絕對值"),
        Text("you have written a saliency already", "你已經寫過顯著圖了"),
    ),
    Misconception(
        "order_swapped",
        forgetting(show=lambda before, after: torch.stack([after, before])),
        Text("the two maps are swapped", "兩張圖的順序反了"),
        Text("first before, then after", "先是之前，再是之後"),
    ),
    Misconception(
        "predicted_class",
        forgetting(classes=lambda model, inputs, target: model(inputs).argmax(dim=1)),
        Text(
            "the copy explains the class that it predicts itself, not `target`",
            "複本解釋的是它自己預測的類別，而不是 `target`",
        ),
        Text("only one thing may change between the two maps", "兩張圖之間只能有一件事不同"),
    ),
    Misconception(
        "only_after",
        forgetting(show=lambda before, after: after),
        Text("only one of the two maps is returned", "只回傳了兩張圖中的一張"),
        Text("there is nothing to compare it with", "沒有可以比較的對象"),
    ),
    Misconception(
        "difference",
        forgetting(show=lambda before, after: after - before),
        Text("the difference of the maps is returned, not both", "回傳的是兩張圖的差，而不是兩張圖"),
        Text("torch.stack", "torch.stack"),
    ),
]
