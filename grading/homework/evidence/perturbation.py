"""Questions 1 to 4: what hiding parts of a dish tells."""

from functools import cache

import torch
from torch import Tensor

from hw_xai.core.protocols import Model
from hw_xai.explain import lime_surrogates, occlusion, superpixels
from hw_xai.explain.surrogate import Surrogate

from . import Evidence, above, alike, below, largest
from .shipped import Shipped

GREY = 0.5


def q1(shipped: Shipped) -> Evidence:
    """Whose score falls most when the table is hidden?"""

    def drop(dish: int) -> float:
        image = shipped.dishes[dish][None]
        only_food = torch.where(shipped.masks[dish], image, GREY)
        return float(shipped.score(image, dish) - shipped.score(only_food, dish))

    return largest({f"dish_{dish}": drop(dish) for dish in (3, 0, 8, 2)}, clear=0.3)


def q2(shipped: Shipped) -> Evidence:
    """What do the signs of LIME say?"""
    found = _lime(shipped)
    image = shipped.dishes[0][None]
    food = shipped.masks[0][None].to(shipped.dtype)

    def drop(superpixel: Tensor) -> float:
        hidden = torch.where(found.segments == superpixel, image.mean((2, 3), keepdim=True), image)
        return float(shipped.score(image, 0) - shipped.score(hidden, 0))

    def share_on_food(weights: Tensor) -> float:
        return float((weights * food).sum() / weights.sum())

    green, red = found.attribution.clamp(min=0), -found.attribution.clamp(max=0)
    return {
        "green_supports": above(drop(found.coefficients.argmax()), 0, 0.1),
        "green_is_food": above(share_on_food(green), 0.9, 0.1),
        "red_opposes": below(drop(found.coefficients.argmin()), 0, 0.03),
        "red_is_food": above(share_on_food(red), 0.5, 0.1),
    }


def q3(shipped: Shipped) -> Evidence:
    """What does LIME need, and what does it give?"""
    found = _lime(shipped)

    def without_gradient(inputs: Tensor) -> Tensor:
        return torch.from_numpy(shipped.model(inputs).detach().numpy().copy())

    other = (int(shipped.targets[0]) + 1) % 11
    return {
        "outputs_suffice": alike(_lime(shipped, without_gradient).coefficients, found.coefficients),
        "seed_matters": -alike(_lime(shipped, seed=shipped.seed + 1).coefficients, found.coefficients),
        "exact": above(found.r2, 0.99, 0.01),
        "any_class": alike(_lime(shipped, target=other).coefficients, found.coefficients),
    }


def q4(shipped: Shipped) -> Evidence:
    """On which dish does the largest share of the map speak against the class?"""

    def against(dish: int) -> float:
        found = occlusion(shipped.model, shipped.dishes[dish][None], window=32, stride=16, fill=GREY)
        return float(-found.clamp(max=0).sum() / found.abs().sum())

    return largest({f"dish_{dish}": against(dish) for dish in (7, 6, 3, 2)}, clear=0.1)


@cache
def _lime(
    shipped: Shipped, model: Model | None = None, target: int | None = None, seed: int | None = None
) -> Surrogate:
    """LIME of dish 0 with few, large superpixels."""
    target = int(shipped.targets[0]) if target is None else target
    seed = shipped.seed if seed is None else seed
    regions = superpixels("slic", n_segments=16)
    [found] = lime_surrogates(
        model or shipped.model, shipped.dishes[:1], target, segments=regions, n_samples=200, seed=seed
    )
    return found
