"""Questions 14 to 17: what channels respond to, and class activation maps."""

import torch

from hw_xai.explain import cam, filter_activation, grad_cam, maximize_activation

from . import Evidence, above, alike, correlation, largest
from .shipped import Shipped

FIRST, LAST = "features.0", "features.14"
CHANNEL = 0
DISH = 2


def q14(shipped: Shipped) -> Evidence:
    """Which dish excites a channel of the last block most?"""
    found = filter_activation(shipped.model, shipped.dishes, LAST, CHANNEL).mean((1, 2, 3))  # (11,)
    return largest({f"dish_{dish}": float(found[dish] / found.max()) for dish in (8, 2, 1, 6)}, clear=0.2)


def q15(shipped: Shipped) -> Evidence:
    """How do a block near the input and one near the output differ?"""
    dish = shipped.dishes[DISH][None]
    touched = dish.clone()
    touched[..., 64, 64] = 1 - touched[..., 64, 64]

    def places(layer: str) -> tuple[float, float]:
        """How many places a map has, and the share of them that one changed pixel changes."""
        before, after = (filter_activation(shipped.model, x, layer, CHANNEL) for x in (dish, touched))
        seen = before[0, 0] + after[0, 0] > 0
        return before.numel(), float(((before != after)[0, 0] & seen).to(torch.float64).sum() / seen.sum())

    (n_first, first), (n_last, last) = places(FIRST), places(LAST)
    return {
        "finer": above(torch.tensor(n_first / n_last).log2(), 3, 1),
        "sees_all_first": above(first, 0.5, 0.2),
        "sees_all_last": above(last, 0.5, 0.2),
        "same_size": above(-abs(torch.tensor(n_first / n_last).log2()), -1, 0.5),
    }


def q16(shipped: Shipped) -> Evidence:
    """What does activation maximization make?"""
    dish = shipped.dishes[DISH][None]
    start = dish.clone()

    def excited(pictures: torch.Tensor) -> torch.Tensor:
        return filter_activation(shipped.model, pictures, LAST, CHANNEL).mean((1, 2, 3))

    def made(n_steps: int, seed: int = shipped.seed, **options) -> torch.Tensor:
        options = {"size": (3, 64, 64), **options}
        return maximize_activation(shipped.model, LAST, CHANNEL, n_steps=n_steps, seed=seed, **options)

    one, other, short = made(12), made(12, shipped.seed + 1), made(1)
    made(1, inputs=start)
    reached, early = (excited(pictures.to(shipped.dtype)) for pictures in (one, short))
    return {
        "one_picture": above(correlation(one, other), 0.9, 0.2),
        "photo_changed": -alike(start, dish),
        "beyond_dishes": above((reached / excited(shipped.dishes).max()).log2(), 0, 0.3),
        "steps_help": above((reached / early).log2(), 0, 0.5),
    }


def q17(shipped: Shipped) -> Evidence:
    """What do CAM and Grad-CAM say of this network?"""
    dish, target = shipped.dishes[DISH][None], int(shipped.targets[DISH])
    map_, gradient_map = cam(shipped.model, dish, target), grad_cam(shipped.model, dish, target)
    bias = shipped.model.get_parameter("fc.bias")[target].detach()
    return {
        "adds_up": alike(map_.mean() + bias, shipped.score(dish, DISH)[0]),
        "same_places": above(correlation(gradient_map, map_.clamp(min=0)), 0.9, 0.05),
        "negative": above(-gradient_map.min() / gradient_map.max(), 0.1, 0.05),
        "any_class": above(correlation(cam(shipped.model, dish, (target + 1) % 11), map_), 0.9, 0.1),
    }
