"""Is this photo unlike anything the network was trained on? Distances to the dishes that it knows.

Covers: pictures whose features lie far from every dish of the training, in a layer of textures and in the last one.
Does not cover: pictures that share their look with food, such as round things on a table; and nothing here says that
a near photo is classified rightly. How sure the scores are (softmax, energy) tells next to nothing of this: a network
that learned only food is as sure of a brick wall.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import UserError
from .networks import read_tensors, write_tensors


def layers_of(model: nn.Module) -> tuple[str, str]:
    """Return the names of the two layers that are looked at: three before the last of `model.features`, and the last.

    UserError for a network without such a sequence.
    """
    features = getattr(model, "features", None)
    if not isinstance(features, nn.Sequential) or len(features) < 4:
        raise UserError(f"`model` must have `features`, a sequence of at least 4 layers, got {type(model).__name__}")
    return f"features.{len(features) - 4}", f"features.{len(features) - 1}"


@torch.no_grad()
def statistics_of(model: nn.Module, inputs: Tensor, layers: Sequence[str]) -> tuple[list[Tensor], Tensor]:
    """Return, for inputs (N, 3, H, W), each layer's mean and spread over the positions, (N, 2D), and the scores (N, C).

    The spread tells what the mean hides: a page of text and a plate may be as bright on average.
    """
    kept: dict[str, Tensor] = {}

    def keep(name: str):
        def hook(_, __, maps: Tensor) -> None:
            kept[name] = torch.cat([maps.mean((2, 3)), maps.std((2, 3), correction=0)], 1)

        return hook

    handles = [model.get_submodule(name).register_forward_hook(keep(name)) for name in layers]
    try:
        scores = model(inputs)
    finally:
        for handle in handles:
            handle.remove()
    return [kept[name] for name in layers], scores


@dataclass(frozen=True)
class Directions:
    """What is familiar in one layer: mean directions (K, D) of groups, and how directions vary: whitening (D, D).

    `centre` and `scale` are where food that was held out lies, so that two layers' distances can be added.
    """

    means: Tensor
    whitening: Tensor
    centre: float = 0.0
    scale: float = 1.0

    def distance(self, features: Tensor) -> Tensor:
        """Return the Mahalanobis distance of features (N, D) to the nearest group, (N,), less centre, by scale.

        Features are taken by direction, whose spread is nearer to a Gaussian's (Mahalanobis++, arXiv 2505.18032).
        """
        if features.ndim != 2 or features.shape[1] != self.means.shape[1]:
            raise UserError(f"`features` must be (N, {self.means.shape[1]}), got {tuple(features.shape)}")
        whitened = F.normalize(features.float(), dim=1) @ self.whitening
        return (torch.cdist(whitened, self.means @ self.whitening).min(1).values - self.centre) / self.scale


def learn_directions(features: Tensor, groups: Tensor, shrink: float = 0.1) -> Directions:
    """Return what the training's features (N, D) say is familiar; LongTensor groups (N,), such as dishes.

    One covariance for all groups (Lee et al. 2018, arXiv 1807.03888), shrunk by `shrink` towards a multiple of the
    identity, so that directions that never vary do not decide.
    """
    if features.ndim != 2 or groups.shape != features.shape[:1] or len(features) < 2:
        raise UserError(
            f"`features` must be (N, D) with `groups` (N,), N at least 2, got {tuple(features.shape)} and "
            f"{tuple(groups.shape)}"
        )
    unit = F.normalize(features.double(), dim=1)
    _, row = groups.unique(return_inverse=True)
    counts = torch.bincount(row)
    means = torch.zeros(len(counts), unit.shape[1], dtype=torch.float64).index_add_(0, row, unit) / counts[:, None]
    around = unit - means[row]
    covariance = around.T @ around / len(unit)
    even = covariance.diagonal().mean() * torch.eye(len(covariance), dtype=torch.float64)
    covariance = (1 - shrink) * covariance + shrink * even
    values, vectors = torch.linalg.eigh(covariance)
    return Directions(means.float(), (vectors * values.clamp(min=1e-12).rsqrt()).float())


@dataclass(frozen=True)
class Familiar:
    """What a network knows, by layer; beyond `threshold` a picture counts as unknown."""

    layers: tuple[str, ...]
    directions: tuple[Directions, ...]
    threshold: float = float("inf")

    def distance(self, statistics: Sequence[Tensor]) -> Tensor:
        """Return how far pictures lie from what is known, (N,): the sum of the layers' distances."""
        if len(statistics) != len(self.directions):
            raise UserError(f"`statistics` must be of {len(self.directions)} layers, got {len(statistics)}")
        each = [known.distance(features) for known, features in zip(self.directions, statistics, strict=True)]
        return torch.stack(each).sum(dim=0)

    def unknown(self, statistics: Sequence[Tensor]) -> Tensor:
        """Return which pictures lie beyond the threshold, bool (N,)."""
        return self.distance(statistics) > self.threshold


def learn_familiar(layers: Sequence[str], statistics: Sequence[Tensor], dishes: Tensor) -> Familiar:
    """Return what the training's statistics (as `statistics_of` gives them) say is familiar.

    dishes LongTensor (N,). The last layer knows dishes; earlier ones, which know textures, food as a whole.
    """
    whole = torch.zeros_like(dishes)
    learned = [
        learn_directions(features, dishes if i == len(layers) - 1 else whole) for i, features in enumerate(statistics)
    ]
    return Familiar(tuple(layers), tuple(learned))


def with_threshold(familiar: Familiar, held_out: Sequence[Sequence[Tensor]], false_alarms: float = 0.1) -> Familiar:
    """Return it with the threshold beyond which `false_alarms` of held-out food lie.

    `held_out` gives the statistics of several groups of food that was not trained on; each group counts the same.
    """
    if not 0 < false_alarms < 1:
        raise UserError(f"`false_alarms` must be between 0 and 1, got {false_alarms:g}")
    weight = torch.cat([torch.full((len(group[0]),), 1 / len(group[0])) for group in held_out])
    weight = weight / weight.sum()
    placed = []
    for i, known in enumerate(familiar.directions):
        known = replace(known, centre=0.0, scale=1.0)
        distance = torch.cat([known.distance(group[i]) for group in held_out])
        centre = (weight * distance).sum()
        scale = (weight * (distance - centre).square()).sum().sqrt().clamp(min=1e-12)
        placed.append(replace(known, centre=centre.item(), scale=scale.item()))
    placed_familiar = replace(familiar, directions=tuple(placed))
    distance = torch.cat([placed_familiar.distance(group) for group in held_out])
    order = distance.argsort()
    first = int(torch.searchsorted(weight[order].cumsum(0), 1 - false_alarms).clamp(max=len(order) - 1))
    return replace(placed_familiar, threshold=distance[order[first]].item())


def energy(scores: Tensor, temperature: float = 1.0) -> Tensor:
    """Return −T · log Σ exp(score / T) of scores (N, C), higher where less is known (arXiv 2010.03759), (N,)."""
    return -temperature * torch.logsumexp(scores / temperature, dim=1)


def area_under_curve(known: Tensor, unknown: Tensor) -> float:
    """Return how often an unknown picture's figure (M,) is above a known one's (N,): 0.5 is chance, 1 perfect."""
    above = (unknown[:, None] > known[None]).double() + 0.5 * (unknown[:, None] == known[None]).double()
    return float(above.mean())


def save_familiar(familiar: Familiar, path: str | Path) -> None:
    """Write it beside the network's weights, half precision, as safetensors."""
    tensors: dict[str, Tensor] = {}
    facts = {"layers": ",".join(familiar.layers), "threshold": repr(familiar.threshold)}
    for layer, known in zip(familiar.layers, familiar.directions, strict=True):
        tensors |= {f"{layer}.means": known.means.half(), f"{layer}.whitening": known.whitening.half()}
        facts |= {f"{layer}.centre": repr(known.centre), f"{layer}.scale": repr(known.scale)}
    write_tensors(path, tensors, facts)


def load_familiar(path: str | Path) -> Familiar:
    """Read what `save_familiar` wrote; UserError for anything else."""
    tensors, facts = read_tensors(Path(path))
    try:
        layers = tuple(facts["layers"].split(","))
        directions = [
            Directions(
                tensors[f"{layer}.means"].float(),
                tensors[f"{layer}.whitening"].float(),
                float(facts[f"{layer}.centre"]),
                float(facts[f"{layer}.scale"]),
            )
            for layer in layers
        ]
        return Familiar(layers, tuple(directions), float(facts["threshold"]))
    except (KeyError, ValueError):
        raise UserError(f"{path} must hold what is familiar to a network: what save_familiar wrote") from None


def judge_photos(model: nn.Module, familiar: Familiar, inputs: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """Return the calibrated probabilities (N, C) and which of inputs (N, 3, H, W) are unknown, bool (N,)."""
    statistics, scores = statistics_of(model, inputs, familiar.layers)
    return (scores / temperature).softmax(1), familiar.unknown(statistics)
