"""Wrong versions of saliency, SmoothGrad and integrated gradients, as students have written them."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ...verdict.exercise import Misconception
from ...words import Text
from .sentences import (
    AFTER_SOFTMAX,
    ALONE_OR_AMONG_OTHERS,
    AS_IT_IS_USED,
    CROSS_ENTROPY,
    IS_ALPHA_USED,
    LEFT_IN_TRAINING,
    NORMALIZATION_IS_DRAWING,
    OWN_OUTPUT,
    PREDICTED_CLASS,
    RETURN_IN_LOOP,
    SHRINKS_WITH_BATCH,
    WHERE_IS_TARGET,
)


def slope(score: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Return ∂ Σ score(x) / ∂ x."""
    x = x.detach().clone().requires_grad_()
    return torch.autograd.grad(score(x).sum(), x)[0]


def gradient(model: nn.Module, inputs: Tensor, target: Tensor) -> Tensor:
    return slope(lambda x: model(x).gather(1, target[:, None]), inputs)


def noisy_gradients(model, inputs, target, n_samples, sigma, seed) -> list[Tensor]:
    """Return the gradients at n_samples noisy copies; sigma is a number or (N, 1, 1, 1)."""
    source = torch.Generator().manual_seed(seed)
    noise = (torch.randn(inputs.shape, generator=source) for _ in range(n_samples))
    return [gradient(model, inputs + sigma * draw, target) for draw in noise]


def mean_of(maps: list[Tensor]) -> Tensor:
    return torch.stack(maps).mean(dim=0)


def value_range(inputs: Tensor) -> Tensor:
    """Return max − min of each input, (N, 1, 1, 1)."""
    return (inputs.flatten(1).amax(dim=1) - inputs.flatten(1).amin(dim=1)).reshape(-1, 1, 1, 1)


def path_gradients(model, inputs, target, baselines, alphas) -> Tensor:
    """Return the mean gradient at these points of the path."""
    return mean_of([gradient(model, baselines + float(a) * (inputs - baselines), target) for a in alphas])


def midpoints(n_steps: int) -> Tensor:
    return (torch.arange(n_steps) + 0.5) / n_steps


def in_training(model: nn.Module, compute: Callable[[], Tensor]) -> Tensor:
    """Compute with the model in train mode, where BatchNorm takes the batch's own statistics."""
    model.train()
    return compute()


# ----------------------------------------------------------------------------------------------------------- saliency

SALIENCY = [
    Misconception(
        "abs_missing",
        gradient,
        Text(
            "this is the signed gradient: its absolute value is missing",
            "這是帶正負號的梯度：沒有取絕對值",
        ),
        Text(
            "should a pixel that lowers the score count less than none?", "會讓分數下降的像素，重要性應該比零還低嗎？"
        ),
    ),
    Misconception(
        "squared",
        lambda model, inputs, target: gradient(model, inputs, target).square(),
        Text("this is the squared gradient, not its absolute value", "這是梯度的平方，不是絕對值"),
        Text("which function turns −2 into 2?", "哪個函數把 −2 變成 2？"),
    ),
    Misconception(
        "softmax",
        lambda model, inputs, target: slope(lambda x: model(x).softmax(dim=1).gather(1, target[:, None]), inputs).abs(),
        AFTER_SOFTMAX,
        OWN_OUTPUT,
    ),
    Misconception(
        "cross_entropy",
        lambda model, inputs, target: slope(
            lambda x: nn.functional.cross_entropy(model(x), target, reduction="none"), inputs
        ).abs(),
        CROSS_ENTROPY,
        Text("the loss also depends on all the other classes", "損失還取決於其他所有類別"),
    ),
    Misconception(
        "mean_over_batch",
        lambda model, inputs, target: gradient(model, inputs, target).abs() / len(inputs),
        SHRINKS_WITH_BATCH,
        ALONE_OR_AMONG_OTHERS,
    ),
    Misconception(
        "predicted_class",
        lambda model, inputs, target: gradient(model, inputs, model(inputs).argmax(dim=1)).abs(),
        PREDICTED_CLASS,
        WHERE_IS_TARGET,
    ),
    Misconception(
        "all_classes",
        lambda model, inputs, target: slope(model, inputs).abs(),
        Text("you differentiate the sum of all classes' scores", "你對所有類別分數的總和微分"),
        Text("pick one score in each row before you differentiate", "微分之前，先在每一列挑出一個分數"),
    ),
    Misconception(
        "all_pairs",
        lambda model, inputs, target: slope(lambda x: model(x)[:, target], inputs).abs(),
        Text(
            "scores[:, target] pairs every picture with every target: each map mixes all of their classes",
            "scores[:, target] 讓每張圖片都配上每個 target：每張圖都混進了其他圖片的類別",
        ),
        Text(
            "row 0 at target[0], row 1 at target[1]: see gather",
            "第 0 列取 target[0]，第 1 列取 target[1]：請看 gather",
        ),
    ),
    Misconception(
        "first_target",
        lambda model, inputs, target: gradient(model, inputs, target[:1].expand(len(inputs))).abs(),
        Text("every picture is explained for the first picture's class", "每張圖片都用第一張圖片的類別來解釋"),
        Text("`target` has one class for each picture", "`target` 為每張圖片各給一個類別"),
    ),
    Misconception(
        "max_over_channels",
        lambda model, inputs, target: gradient(model, inputs, target).abs().amax(dim=1, keepdim=True),
        Text(
            "the maximum over colours is taken already: drawing does that, the result keeps the shape of `inputs`",
            "你已經對顏色取了最大值：那是畫圖時才做的，結果要保持 `inputs` 的形狀",
        ),
        Text("compare the shape of your result with that of `inputs`", "比較你的結果與 `inputs` 的形狀"),
    ),
    Misconception(
        "normalized",
        lambda model, inputs, target: stretched(gradient(model, inputs, target).abs()),
        Text("your map is stretched to 0…1: its values no longer are gradients", "你的圖被拉伸到 0…1：數值不再是梯度"),
        NORMALIZATION_IS_DRAWING,
    ),
    Misconception(
        "train_mode",
        lambda model, inputs, target: in_training(model, lambda: gradient(model, inputs, target).abs()),
        LEFT_IN_TRAINING,
        AS_IT_IS_USED,
    ),
    Misconception(
        "times_inputs",
        lambda model, inputs, target: (gradient(model, inputs, target) * inputs).abs(),
        Text("this is input × gradient", "這是「輸入 × 梯度」"),
        Text(
            "saliency asks what a change would do, whatever the pixel's value is",
            "顯著性問的是改變會造成什麼影響，與像素本身的值無關",
        ),
    ),
]


def stretched(maps: Tensor) -> Tensor:
    low, high = (f(maps.flatten(1), dim=1).reshape(-1, 1, 1, 1) for f in (torch.amin, torch.amax))
    return (maps - low) / (high - low)


# --------------------------------------------------------------------------------------------------------- SmoothGrad


def image_averaged(model, inputs, target, n_samples, noise_level, seed):
    source = torch.Generator().manual_seed(seed)
    sigma = noise_level * value_range(inputs)
    return gradient(
        model, mean_of([inputs + sigma * torch.randn(inputs.shape, generator=source) for _ in range(n_samples)]), target
    )


def accumulated_noise(model, inputs, target, n_samples, noise_level, seed):
    source, total, x = torch.Generator().manual_seed(seed), torch.zeros_like(inputs), inputs
    for _ in range(n_samples):
        x = x + noise_level * value_range(inputs) * torch.randn(inputs.shape, generator=source)
        total = total + gradient(model, x, target)
    return total / n_samples


def with_sigma(sigma_of: Callable, reduce: Callable = mean_of, each: Callable = lambda g: g) -> Callable:
    """Return a SmoothGrad with another σ, another reduction, or something done to each gradient."""

    def wrong(model, inputs, target, n_samples, noise_level, seed):
        sigma = sigma_of(noise_level, value_range(inputs))
        return reduce([each(g) for g in noisy_gradients(model, inputs, target, n_samples, sigma, seed)])

    return wrong


def right_sigma(level: float, width: Tensor) -> Tensor:
    return level * width


SMOOTH_GRAD = [
    Misconception(
        "sum_not_mean",
        with_sigma(right_sigma, reduce=lambda maps: torch.stack(maps).sum(dim=0)),
        Text("you add the gradients up but do not divide by their number", "你把梯度加總了，但沒有除以個數"),
        Text("twice as many draws must not give twice the map", "抽樣次數加倍，圖的數值不應該加倍"),
    ),
    Misconception(
        "image_averaged",
        image_averaged,
        Text("you average the noisy pictures and take one gradient", "你先平均了加雜訊的圖片，再求一次梯度"),
        Text("what is to be averaged: pictures or gradients?", "要平均的是圖片還是梯度？"),
    ),
    Misconception(
        "one_sample",
        lambda model, inputs, target, n_samples, noise_level, seed: with_sigma(right_sigma)(
            model, inputs, target, 1, noise_level, seed
        ),
        Text("only one noisy copy is used, whatever `n_samples` is", "不論 `n_samples` 是多少，你只用了一張雜訊圖片"),
        RETURN_IN_LOOP,
    ),
    Misconception(
        "no_noise",
        with_sigma(lambda level, width: 0),
        Text("no noise is added: this is the plain gradient", "沒有加上雜訊：這只是一般的梯度"),
        Text("is the noisy copy the one you differentiate at?", "你是在加了雜訊的那一張上微分的嗎？"),
    ),
    Misconception(
        "absolute",
        with_sigma(right_sigma, each=torch.abs),
        Text("you average absolute gradients: the signs no longer cancel", "你平均的是梯度的絕對值：正負無法互相抵消"),
        Text("SmoothGrad averages the signed gradients", "SmoothGrad 平均的是帶正負號的梯度"),
    ),
    Misconception(
        "absolute_at_the_end",
        with_sigma(right_sigma, reduce=lambda maps: mean_of(maps).abs()),
        Text(
            "you take the absolute value of the mean: SmoothGrad keeps its sign",
            "你取了平均的絕對值：SmoothGrad 要保留正負號",
        ),
        Text("drawing may need absolute values, the method does not", "畫圖時也許需要絕對值，方法本身不需要"),
    ),
    Misconception(
        "squared",
        with_sigma(right_sigma, each=torch.square),
        Text(
            "you average squared gradients (that is SmoothGrad-Squared)",
            "你平均的是梯度的平方（那是 SmoothGrad-Squared）",
        ),
        Text("SmoothGrad averages the signed gradients", "SmoothGrad 平均的是帶正負號的梯度"),
    ),
    Misconception(
        "sigma_squared",
        with_sigma(lambda level, width: (level * width) ** 2),
        Text("you pass σ² where the standard deviation σ belongs", "應該放標準差 σ 的地方，你放了 σ²"),
        Text("randn has standard deviation 1: by what must it be multiplied?", "randn 的標準差是 1：應該乘上什麼？"),
    ),
    Misconception(
        "range_ignored",
        with_sigma(lambda level, width: level),
        Text("σ does not depend on the input's range", "σ 沒有考慮輸入的數值範圍"),
        Text("`noise_level` is a share of max − min of each picture", "`noise_level` 是占每張圖片 max − min 的比例"),
    ),
    Misconception(
        "range_of_batch",
        lambda model, inputs, target, n_samples, noise_level, seed: with_sigma(
            lambda level, width: level * (inputs.max() - inputs.min())
        )(model, inputs, target, n_samples, noise_level, seed),
        Text("σ comes from the range of the whole batch", "σ 用了整批圖片的數值範圍"),
        Text(
            "a picture alone and the same picture among others must get the same amount of noise",
            "同一張圖片單獨算或與別的圖片一起算，雜訊的大小必須相同",
        ),
    ),
    Misconception(
        "divided_by_range",
        with_sigma(lambda level, width: level / width),
        Text(
            "you divide by the input's range instead of multiplying by it",
            "你除以了輸入的數值範圍，而不是乘上它",
        ),
        Text("a picture with a wider range needs more noise, not less", "數值範圍較大的圖片需要更多雜訊，而不是更少"),
    ),
    Misconception(
        "uniform_noise",
        lambda model, inputs, target, n_samples, noise_level, seed: mean_of(
            [
                gradient(model, inputs + noise_level * value_range(inputs) * draw, target)
                for draw in torch.rand(n_samples, *inputs.shape, generator=torch.Generator().manual_seed(seed))
            ]
        ),
        Text(
            "your noise is uniform between 0 and 1: it makes every picture brighter",
            "你的雜訊是 0 到 1 的均勻分布：它讓每張圖片都變亮",
        ),
        Text("rand is not randn", "rand 不是 randn"),
    ),
    Misconception(
        "accumulated_noise",
        accumulated_noise,
        Text(
            "each draw adds noise to the noisy copy before it: the picture walks away",
            "每次都在前一張加了雜訊的圖片上再加雜訊：圖片越走越遠",
        ),
        Text("start each draw from `inputs`", "每次抽樣都要從 `inputs` 開始"),
    ),
    Misconception(
        "seed_ignored",
        lambda model, inputs, target, n_samples, noise_level, seed: with_sigma(right_sigma)(
            model, inputs, target, n_samples, noise_level, 0
        ),
        Text("`seed` does not decide the noise", "雜訊不是由 `seed` 決定的"),
        Text("a torch.Generator of your own, seeded with `seed`", "用自己的 torch.Generator，並以 `seed` 設定種子"),
    ),
]

# ------------------------------------------------------------------------------------------------ integrated gradients


def on_path(alphas_of: Callable[[int], Tensor], factor: Callable[[Tensor, Tensor], Tensor | float]) -> Callable:
    """Return an IG that takes its gradients at these points and multiplies their mean by factor(inputs, baselines)."""

    def wrong(model, inputs, target, baselines, n_steps):
        return factor(inputs, baselines) * path_gradients(model, inputs, target, baselines, alphas_of(n_steps))

    return wrong


def difference(inputs: Tensor, baselines: Tensor) -> Tensor:
    return inputs - baselines


def running_sum(model, inputs, target, baselines, n_steps):
    total = 0
    for alpha in midpoints(n_steps):
        total = total + (inputs - baselines) * gradient(model, baselines + alpha * (inputs - baselines), target)
    return total


INTEGRATED_GRADIENTS = [
    Misconception(
        "difference_missing",
        on_path(midpoints, lambda inputs, baselines: 1.0),
        Text(
            "the factor (inputs − baselines) is missing",
            "少了因子 (inputs − baselines)",
        ),
        Text(
            "do your attributions add up to f(inputs) − f(baselines)?",
            "你的歸因加起來等於 f(inputs) − f(baselines) 嗎？",
        ),
    ),
    Misconception(
        "times_inputs",
        on_path(midpoints, lambda inputs, baselines: inputs),
        Text("you multiply by inputs instead of inputs − baselines", "你乘的是 inputs，而不是 inputs − baselines"),
        Text("an input that equals its baseline must get nothing", "與基準相同的輸入不應得到任何歸因"),
    ),
    Misconception(
        "left_sum",
        on_path(lambda n: torch.arange(n) / n, difference),
        Text(
            "this is a left Riemann sum: it starts at the baseline and never reaches the end",
            "這是左黎曼和：從基準開始，卻到不了終點",
        ),
        Text("take the middle of each step", "取每一步的中點"),
    ),
    Misconception(
        "right_sum",
        on_path(lambda n: (torch.arange(n) + 1) / n, difference),
        Text("this is a right Riemann sum: it never sees the start of a step", "這是右黎曼和：看不到每一步的起點"),
        Text("take the middle of each step", "取每一步的中點"),
    ),
    Misconception(
        "baseline_zero",
        lambda model, inputs, target, baselines, n_steps: on_path(midpoints, difference)(
            model, inputs, target, torch.zeros_like(inputs), n_steps
        ),
        Text("your path starts at zero, whatever `baselines` is", "不論 `baselines` 是什麼，你的路徑都從零開始"),
        Text("where does α = 0 lead?", "α = 0 時在哪裡？"),
    ),
    Misconception(
        "path_ignores_baseline",
        lambda model, inputs, target, baselines, n_steps: (
            (inputs - baselines) * path_gradients(model, inputs, target, torch.zeros_like(inputs), midpoints(n_steps))
        ),
        Text(
            "the points on your path are α · inputs: they leave `baselines` out",
            "你的路徑上的點是 α · inputs：沒有用到 `baselines`",
        ),
        Text("write the point that is half-way between baseline and input", "寫出基準與輸入正中間的那一點"),
    ),
    Misconception(
        "not_averaged",
        running_sum,
        Text("you add the steps up but do not divide by n_steps", "你把每一步加總了，但沒有除以 n_steps"),
        Text("twice as many steps must not give twice the map", "步數加倍，圖的數值不應該加倍"),
    ),
    Misconception(
        "gradient_at_input",
        on_path(lambda n: torch.ones(1), difference),
        Text(
            "all your gradients are taken at the input: this is input × gradient",
            "你的梯度全都取在輸入處：這是「輸入 × 梯度」",
        ),
        IS_ALPHA_USED,
    ),
    Misconception(
        "absolute",
        lambda model, inputs, target, baselines, n_steps: on_path(midpoints, difference)(
            model, inputs, target, baselines, n_steps
        ).abs(),
        Text("integrated gradients keep their sign", "積分梯度要保留正負號"),
        Text(
            "can absolute values add up to f(inputs) − f(baselines)?",
            "絕對值加起來能等於 f(inputs) − f(baselines) 嗎？",
        ),
    ),
    Misconception(
        "softmax",
        lambda model, inputs, target, baselines, n_steps: on_path(midpoints, difference)(
            lambda x: model(x).softmax(dim=1), inputs, target, baselines, n_steps
        ),
        Text(
            "you integrate the probability after a softmax, not the class's score",
            "你積分的是 softmax 之後的機率，而不是該類別的分數",
        ),
        OWN_OUTPUT,
    ),
    Misconception(
        "wrong_direction",
        on_path(midpoints, lambda inputs, baselines: baselines - inputs),
        Text("your signs are reversed: baselines − inputs", "你的正負號反了：baselines − inputs"),
        Text("which way does the path go?", "路徑往哪個方向走？"),
    ),
    Misconception(
        "linspace_mean",
        on_path(lambda n: torch.linspace(0, 1, n), difference),
        Text("both ends of the path get the full weight of an inner point", "路徑的兩個端點得到了和內部的點一樣的權重"),
        Text("take the middle of each step, or give both ends half the weight", "取每一步的中點，或讓兩端的權重減半"),
    ),
]
