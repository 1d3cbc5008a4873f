"""What `evaluate` puts to the test, and by which options: the catalog's explainers, and explanations to beat."""

import inspect
import zlib
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ...core.protocols import Explainer, Model
from ...core.randomness import generator
from ...evaluate.similarity import edges
from ...explain import METHODS
from ...training.run import seed_of

# Fewer passes than the methods' own defaults: 200 images by all methods shall not take an afternoon, and the mean over
# the images forgives some noise in each map. LIME and Shapley share regions so large that few samples tell them apart.
SEGMENTS = {"n_segments": 16, "compactness": 10.0}
OPTIONS: dict[str, dict[str, Any]] = {  # keywords of unlike functions
    "smooth_grad": {"n_samples": 12},
    "integrated_gradients": {"n_steps": 12},  # the column Gap tells what so few leave out
    "occlusion": {"window": 0.25, "stride": 0.125},
    "rise": {"n_samples": 96},
    "lime": {"n_samples": 128},
    "shapley": {"n_samples": 100},
    "sise": {"mu": 0.5},  # of a layer's maps only those with at least this share of the largest gradient
}
BY_SIZE = ("gradient", "smooth_grad", "guided_backprop", "guided_grad_cam")  # the sign says which way to change a pixel
ADDS_UP = (
    "input_x_gradient",
    "integrated_gradients",
    "deep_lift",
)  # Σ attribution = score(inputs) − score(black), or so they say


def noise(model: Model, inputs: Tensor, target: Tensor, *, seed: int = 0) -> Tensor:
    """Return random numbers, others for every picture: what says nothing at all. (N, 1, H, W)."""
    seeds = [seed_of(seed, zlib.crc32(x.detach().cpu().numpy().tobytes())) for x in inputs]
    return torch.stack([torch.rand((1, *inputs.shape[2:]), generator=generator(s)) for s in seeds]).to(inputs)


@dataclass(frozen=True)
class Baseline:
    """An explanation that looks at no model: a method worth its passes must beat it."""

    title: str
    function: Explainer | None  # None: the true mask of the image
    signed: bool = False


BASELINES = {
    "random": Baseline("Random map", noise),
    "edges": Baseline("Edge detector", edges),
    "mask": Baseline("True mask", None),
}


def method_names(known_masks: bool = True) -> list[str]:
    """Return what can be evaluated: the explainers of the catalog and the baselines."""
    explainers = [name for name, method in METHODS.items() if method.explainer and method.locality == "local"]
    return explainers + [name for name in BASELINES if known_masks or name != "mask"]


def title_of(name: str) -> str:
    return (METHODS.get(name) or BASELINES[name]).title


def is_signed(name: str) -> bool:
    return (METHODS.get(name) or BASELINES[name]).signed


def options_of(name: str, seed: int) -> dict[str, Any]:
    """Return the options by which a method is called, as far as JSON can tell them."""
    if name not in METHODS:
        return {"seed": seed} if name == "random" else {}
    known = inspect.signature(METHODS[name].function).parameters
    segments = {"segments": SEGMENTS} if "segments" in known else {}
    return OPTIONS.get(name, {}) | segments | ({"seed": seed} if "seed" in known else {})
