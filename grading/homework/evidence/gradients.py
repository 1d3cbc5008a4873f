"""Questions 5 to 13 and 18 to 20: saliency, SmoothGrad, integrated gradients."""

import math

import torch
from torch import Tensor

from hw_xai.evaluate import rank_correlation
from hw_xai.explain import (
    completeness_gap,
    gradient,
    input_x_gradient,
    integrated_gradients,
    occlusion,
    saliency,
    smooth_grad,
)

from . import Evidence, above, alike, below, correlation, largest, nearest, ranks
from .shipped import Shipped

DISH = 2
NOISY = 7  # the dish of the question about noise: noise itself is called a dessert, as dish 2 is

# ----------------------------------------------------------------------------------------------------------- saliency


def q5(shipped: Shipped) -> Evidence:
    """Why is each map drawn on a scale of its own?"""
    maps = saliency(shipped.model, shipped.dishes).amax(1)  # (11, 128, 128)
    low, peaks = maps.amin((1, 2)), maps.amax((1, 2))
    drawn = (maps - low[:, None, None]) / (peaks - low)[:, None, None]
    return {
        "faint": above((peaks.max() / peaks.min()).log2(), 2, 0.5),
        "negative": below(maps.min() / peaks.max(), -0.05, 0.04),
        "reordered": -alike(ranks(drawn[DISH]), ranks(maps[DISH])),
        "comparable": above((drawn.amax((1, 2)).max() / drawn.amax((1, 2)).min()).log2(), 1, 0.5),
    }


def q6(shipped: Shipped) -> Evidence:
    """On which dish does the food stand out most?"""

    def contrast(dish: int) -> float:
        found = saliency(shipped.model, shipped.dishes[dish][None]).amax(1, keepdim=True)
        return float(found[0][shipped.masks[dish]].mean() / found.mean())

    return largest({f"dish_{dish}": contrast(dish) for dish in (2, 9, 4, 8)}, clear=0.4)


def q7(shipped: Shipped) -> Evidence:
    """Of what is it the derivative?"""
    dish, target = shipped.dishes[DISH][None], int(shipped.targets[DISH])

    def of(model) -> Tensor:
        return saliency(model, dish, target)

    def unit(found: Tensor) -> Tensor:
        return found / found.max()

    plain, probability = of(shipped.model), of(lambda x: shipped.model(x).softmax(1))
    return {
        "probability": alike(unit(probability), unit(plain)),
        "doubled": alike(of(lambda x: 2 * shipped.model(x)), 2 * plain),
        "shifted": alike(of(lambda x: shipped.model(x) + 3), plain),
        "negated": alike(of(lambda x: -shipped.model(x)), plain),
    }


def q8(shipped: Shipped) -> Evidence:
    """On which dish do saliency and occlusion agree most?"""

    def agreement(dish: int) -> float:
        image = shipped.dishes[dish][None]
        sensitive = saliency(shipped.model, image).amax(1, keepdim=True)
        hidden = occlusion(shipped.model, image, window=16, stride=16, fill=0.5)
        pooled = [torch.nn.functional.avg_pool2d(found, 16) for found in (sensitive, hidden)]  # (1, 1, 8, 8)
        return float(rank_correlation(*(values.flatten()[None] for values in pooled)))

    return largest({f"dish_{dish}": agreement(dish) for dish in (2, 6, 7, 3)}, clear=0.1)


def q9(shipped: Shipped) -> Evidence:
    """How far does a gradient see?"""
    dish = shipped.dishes[DISH][None]
    slope = gradient(shipped.model, dish)
    score = shipped.score(dish, DISH)

    def error(step: Tensor) -> Tensor:
        """What the gradient gets wrong about a step, as a share of the change."""
        change = shipped.score(dish + step, DISH) - score
        return ((slope * step).sum() - change).abs() / change.abs()

    small = 0.01 * slope / slope.norm()
    rising = float((slope > 0).to(shipped.dtype).mean())
    return {
        "small_step": below(error(small), 0.3, 0.1),
        "black": below(error(-dish), 0.3, 0.1),
        "sign_of_gradient": below((shipped.score(dish - small, DISH) - score) / (slope * small).sum(), -0.5, 0.25),
        "sign_of_saliency": above(max(rising, 1 - rising), 0.9, 0.2),
    }


# --------------------------------------------------------------------------------------------------------- SmoothGrad


def q10(shipped: Shipped) -> Evidence:
    """Which limits does SmoothGrad have?"""
    plain = gradient(shipped.model, shipped.dishes[DISH][None])
    signed = _smooth(shipped, 8)
    return {
        "no_noise": alike(_smooth(shipped, 3, noise_level=0), plain),
        "one_sample": alike(_smooth(shipped, 1), plain),
        "absolute": alike(_smooth(shipped, 8, explain=saliency), signed.abs()),
        "seed": -alike(_smooth(shipped, 8, seed=shipped.seed + 1), signed),
    }


def q11(shipped: Shipped) -> Evidence:
    """What do four times as many samples do to the difference between two runs?"""

    def difference(n_samples: int) -> float:
        return float((_smooth(shipped, n_samples) - _smooth(shipped, n_samples, seed=shipped.seed + 1)).norm())

    ratio = math.log2(difference(20) / difference(5))
    return nearest(ratio, {"same": 0, "quarter": -2, "half": -1, "double": 1})


def q12(shipped: Shipped) -> Evidence:
    """What does more noise do?"""
    dish = shipped.dishes[NOISY][None]
    plain = gradient(shipped.model, dish)

    def kept(noise_level: float) -> float:
        """The share of noisy copies that are still called the same."""
        source = torch.Generator().manual_seed(shipped.seed)
        noise = torch.randn((40, *dish.shape[1:]), generator=source).to(dish)
        with torch.no_grad():
            guesses = shipped.model(dish + noise_level * (dish.max() - dish.min()) * noise).argmax(1)
        return float((guesses == shipped.targets[NOISY]).to(torch.float64).mean())

    little, much = _smooth(shipped, 16, dish, noise_level=0.002), _smooth(shipped, 16, dish, noise_level=0.3)
    return {
        "kept_little": above(kept(0.01), 0.8, 0.1),
        "kept_much": above(kept(1.0), 0.5, 0.2),
        "near_gradient": above(correlation(little, plain) - correlation(much, plain), 0, 0.1),
        "same_map": above(correlation(little, much), 0.7, 0.2),
    }


def q13(shipped: Shipped) -> Evidence:
    """Which wrong versions can be told from the right one?"""
    dish = shipped.dishes[DISH][None]
    right = _smooth(shipped, 16)
    source = torch.Generator().manual_seed(shipped.seed)
    noise = torch.randn((16, *dish.shape[1:]), generator=source).to(dish)
    mean_picture = (dish + 0.15 * (dish.max() - dish.min()) * noise).mean(0, keepdim=True)
    return {
        "of_mean_picture": alike(gradient(shipped.model, mean_picture, shipped.targets[DISH : DISH + 1]), right),
        "variance": alike(_smooth(shipped, 16, noise_level=0.15**2), right),
        "linear": alike(smooth_grad(_linear(shipped), dish, 0, n_samples=4), gradient(_linear(shipped), dish, 0)),
        "flat": alike(
            smooth_grad(shipped.model, torch.full_like(dish, 0.5), 0, n_samples=4),
            gradient(shipped.model, torch.full_like(dish, 0.5), 0),
        ),
    }


def _smooth(shipped: Shipped, n_samples: int, dish: Tensor | None = None, **options) -> Tensor:
    options = {"seed": shipped.seed, "noise_level": 0.15, **options}
    dish = shipped.dishes[DISH][None] if dish is None else dish
    return smooth_grad(shipped.model, dish, n_samples=n_samples, **options)


def _linear(shipped: Shipped):
    """A model whose score is a weighted sum of the pixels."""
    source = torch.Generator().manual_seed(shipped.seed)
    weights = torch.randn((3 * 128 * 128, 2), generator=source).to(shipped.dtype)
    return lambda inputs: inputs.flatten(1) @ weights


# ----------------------------------------------------------------------------------------------- integrated gradients


def q18(shipped: Shipped) -> Evidence:
    """What do ten times as many steps do to the completeness gap?"""
    five, fifty = (_gap(shipped, n_steps) for n_steps in (5, 50))
    ratio = fifty / five
    return {
        "smaller": below(ratio, 0.5, 0.15),
        "same": below(abs(ratio - 1), 0.2, 0.1),
        "larger": above(ratio, 1.5, 0.3),
        "zero": below(fifty, 1e-5, 1e-5 / 2),
    }


def q19(shipped: Shipped) -> Evidence:
    """Which baselines leave a black plate without attribution?"""
    plate = shipped.dishes[DISH][None].clone()
    plate[..., :32, :32] = 0

    def unexplained(baseline: Tensor | float) -> float:
        found = integrated_gradients(shipped.model, plate, baselines=baseline, n_steps=8)[..., :32, :32]
        return below(found.abs().max(), 1e-6, 5e-7)

    return {
        "white": unexplained(1.0),
        "black": unexplained(0.0),
        "grey": unexplained(0.5),
        "itself": unexplained(plate),
    }


def q20(shipped: Shipped) -> Evidence:
    """On what does the path decide?"""
    dish = shipped.dishes[DISH][None]
    linear = _linear(shipped)
    found = integrated_gradients(shipped.model, dish, n_steps=20)
    back = integrated_gradients(
        shipped.model, torch.zeros_like(dish), shipped.targets[DISH : DISH + 1], baselines=dish, n_steps=20
    )
    white = integrated_gradients(shipped.model, dish, baselines=1.0, n_steps=20)
    return {
        "linear": alike(integrated_gradients(linear, dish, 0, n_steps=1), input_x_gradient(linear, dish, 0)),
        "reversed": above(-correlation(back, found), 0.9, 0.05),
        "any_baseline": above(correlation(white, found), 0.9, 0.2),
        "end_only": alike(input_x_gradient(shipped.model, dish), found),
    }


def _gap(shipped: Shipped, n_steps: int) -> float:
    """The completeness gap of dishes 0 and 1 together, as a share of what is to be explained."""
    dishes = shipped.dishes[:2]
    found = integrated_gradients(shipped.model, dishes, n_steps=n_steps)
    gap = completeness_gap(found, shipped.model, dishes)
    return float(gap.abs().sum() / found.flatten(1).sum(1).abs().sum())
