"""Is this photo unlike anything the network was trained on? A distance to the dishes that it knows.

Covers: pictures whose features lie far from every dish of the training. Does not cover: pictures that share their
look with food, such as round things on a table; and nothing here says that a near photo is classified rightly.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import UserError
from .networks import read_tensors, write_tensors


@torch.no_grad()
def features_of(model: nn.Module, inputs: Tensor) -> tuple[Tensor, Tensor]:
    """Return what the last linear layer takes and gives for inputs (N, 3, H, W): (N, D) and the scores (N, C)."""
    last = next((layer for layer in reversed(list(model.modules())) if isinstance(layer, nn.Linear)), None)
    if last is None:
        raise UserError(f"`model` must end in a linear layer, got {type(model).__name__}")
    kept: list[Tensor] = []
    handle = last.register_forward_pre_hook(lambda _, arguments: kept.append(arguments[0]))
    try:
        scores = model(inputs)
    finally:
        handle.remove()
    return kept[-1].flatten(1), scores


@dataclass(frozen=True)
class Familiar:
    """What a network knows: the mean direction of each dish's features, and in which directions dishes vary anyway.

    means (K, D) and whitening (D, D) are float32; `threshold` is the distance above which a photo counts as unknown.
    """

    means: Tensor
    whitening: Tensor
    threshold: float = float("inf")

    def distance(self, features: Tensor) -> Tensor:
        """Return the Mahalanobis distance of features (N, D) to the nearest dish, (N,).

        Features are taken by direction, whose spread is nearer to a Gaussian's (Mahalanobis++, arXiv 2505.18032).
        """
        if features.ndim != 2 or features.shape[1] != self.means.shape[1]:
            raise UserError(f"`features` must be (N, {self.means.shape[1]}), got {tuple(features.shape)}")
        whitened = F.normalize(features.float(), dim=1) @ self.whitening
        return torch.cdist(whitened, self.means @ self.whitening).min(1).values

    def unknown(self, features: Tensor) -> Tensor:
        """Return which of features (N, D) lie beyond the threshold, bool (N,)."""
        return self.distance(features) > self.threshold


def learn_familiar(features: Tensor, dishes: Tensor, shrink: float = 0.05) -> Familiar:
    """Return what the training's features (N, D) say is familiar; dishes LongTensor (N,) groups them.

    One covariance for all dishes (Lee et al. 2018, arXiv 1807.03888), shrunk by `shrink` towards a multiple of the
    identity, so that directions that never vary do not decide.
    """
    if features.ndim != 2 or dishes.shape != features.shape[:1] or len(features) < 2:
        raise UserError(
            f"`features` must be (N, D) with `dishes` (N,), N at least 2, got {tuple(features.shape)} and "
            f"{tuple(dishes.shape)}"
        )
    unit = F.normalize(features.double(), dim=1)
    _, row = dishes.unique(return_inverse=True)
    counts = torch.bincount(row)
    means = torch.zeros(len(counts), unit.shape[1], dtype=torch.float64).index_add_(0, row, unit) / counts[:, None]
    around = unit - means[row]
    covariance = around.T @ around / len(unit)
    scale = covariance.diagonal().mean()
    covariance = (1 - shrink) * covariance + shrink * scale * torch.eye(len(covariance), dtype=torch.float64)
    values, vectors = torch.linalg.eigh(covariance)
    whitening = vectors * values.clamp(min=1e-12).rsqrt()
    return Familiar(means.float(), whitening.float())


def with_threshold(familiar: Familiar, held_out: Tensor, false_alarms: float = 0.1) -> Familiar:
    """Return it with the threshold beyond which `false_alarms` of held-out food, features (N, D), lie."""
    if not 0 < false_alarms < 1:
        raise UserError(f"`false_alarms` must be between 0 and 1, got {false_alarms:g}")
    threshold = torch.quantile(familiar.distance(held_out), 1 - false_alarms).item()
    return Familiar(familiar.means, familiar.whitening, threshold)


def energy(scores: Tensor, temperature: float = 1.0) -> Tensor:
    """Return −T · log Σ exp(score / T) of scores (N, C), higher where less is known (arXiv 2010.03759), (N,)."""
    return -temperature * torch.logsumexp(scores / temperature, dim=1)


def area_under_curve(known: Tensor, unknown: Tensor) -> float:
    """Return how often an unknown picture's figure (M,) is above a known one's (N,): 0.5 is chance, 1 perfect."""
    above = (unknown[:, None] > known[None]).double() + 0.5 * (unknown[:, None] == known[None]).double()
    return float(above.mean())


def save_familiar(familiar: Familiar, path: str | Path) -> None:
    """Write it beside the network's weights, half precision, as safetensors."""
    tensors = {"means": familiar.means.half(), "whitening": familiar.whitening.half()}
    write_tensors(path, tensors, {"threshold": repr(familiar.threshold)})


def load_familiar(path: str | Path) -> Familiar:
    """Read what `save_familiar` wrote; UserError for anything else."""
    tensors, facts = read_tensors(Path(path))
    if tensors.keys() != {"means", "whitening"} or "threshold" not in facts:
        raise UserError(f"{path} must hold means, whitening and a threshold: what save_familiar wrote")
    return Familiar(tensors["means"].float(), tensors["whitening"].float(), float(facts["threshold"]))


def score_photos(model: Callable, familiar: Familiar, inputs: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """Return the calibrated probabilities (N, C) and which of inputs (N, 3, H, W) are unknown, bool (N,)."""
    features, scores = features_of(model, inputs)
    return (scores / temperature).softmax(1), familiar.unknown(features)
