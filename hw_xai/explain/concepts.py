"""Concepts that people name, such as stripes or a logo: does a class's score rise along them, more than by chance?"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from scipy.special import stdtr
from torch import Tensor, nn

from ..core.arguments import described
from ..core.batches import explaining
from ..core.layers import record
from ..core.maps import channels_first
from ..core.model import score_of_target, scores_of, slope
from ..core.protocols import Layer, Model, Target
from .cam import map_layer, starting_at

HELD_OUT = 1 / 3  # of the pictures: for the accuracy


class ConceptReport(NamedTuple):
    """What TCAV says of one concept and one class."""

    score: float  # mean of scores
    scores: Tensor  # (R,) share of the inputs whose score rises along the concept, told from each of the random sets
    random_scores: Tensor  # (R,) the same of a random set instead of the concept: what chance gives
    accuracy: float  # of telling the concept's held-out pictures from random ones: near 0.5 there is no such direction
    p_value: float  # of a t-test of scores against random_scores; above 0.05 the score says nothing


def tcav(
    model: Model,
    inputs: Tensor,
    target: Target,
    concept: Tensor,
    random: Sequence[Tensor],
    *,
    layer: Layer = None,
    batch_size: int | None = None,
) -> ConceptReport:
    """Share of inputs (N, ...) whose score rises when the layer's activations go where the concept lies.

    concept: (M, ...) inputs that show it; random: R ≥ 3 batches (M, ...) that do not, but are like them otherwise.
    layer: None is the last map. For each random set a ridge regression tells both in the layer's activations; its
    weights are the concept's direction v, and ∂ score / ∂ activations · v > 0 is counted. The same with random sets in
    place of the concept shows what chance gives. One forward and one backward pass per input, one forward pass per
    picture of a concept. Kim et al. 2018, arXiv 1711.11279.

    >>> from hw_xai.explain import tcav
    >>> from hw_xai.testing import pictures, small_network
    >>> sets = [pictures() + i / 10 for i in range(4)]
    >>> tcav(small_network(), pictures(), 2, sets[0].flip(3), sets, layer="block").scores.shape
    torch.Size([4])
    """
    if not isinstance(random, list | tuple) or len(random) < 3:
        got = len(random) if isinstance(random, list | tuple) else described(random)
        raise ValueError(f"`random` must be a list of at least 3 batches, got {got}")
    for name, given in (("concept", concept), *(("random", one) for one in random)):
        if not isinstance(given, Tensor) or given.shape[1:] != inputs.shape[1:] or len(given) < 3:
            expected = f"batches of at least 3 inputs of shape {tuple(inputs.shape[1:])}"
            raise ValueError(f"`{name}` must be {expected}, got {described(given)}")
    layer = map_layer(model, layer, inputs)
    slopes = _slopes(model, inputs, target, layer, batch_size)  # (N, D)
    shown = _activations(model, concept, layer, batch_size)  # (M, D)
    others = [_activations(model, one, layer, batch_size) for one in random]
    found = [_direction(shown, other) for other in others]
    chance = [_direction(one, others[(i + 1) % len(others)]) for i, one in enumerate(others)]
    scores, by_chance = (
        torch.tensor([float((slopes @ direction > 0).double().mean()) for direction, _ in rows]).double()
        for rows in (found, chance)
    )
    accuracy = float(np.mean([right for _, right in found]))
    return ConceptReport(float(scores.mean()), scores, by_chance, accuracy, _p_value(scores, by_chance))


def _activations(model: Model, inputs: Tensor, layer: nn.Module, batch_size: int | None) -> Tensor:
    """Return what the layer makes of inputs: (M, D) on the CPU."""
    rows = []
    with explaining(model, inputs, None, batch_size) as chunks:
        for x, _ in chunks:
            with record(model, [layer]) as recording:
                scores_of(model, x)
            rows.append(channels_first(recording[layer], layer, x).flatten(1).double().cpu())
    return torch.cat(rows)


def _slopes(model: Model, inputs: Tensor, target: Target, layer: nn.Module, batch_size: int | None) -> Tensor:
    """Return ∂ score / ∂ what the layer gives: (N, D) on the CPU."""
    rows = []
    with explaining(model, inputs, target, batch_size) as chunks:
        for x, wanted in chunks:
            with torch.enable_grad(), starting_at([layer]), record(model, [layer]) as recording:
                score = score_of_target(model, x, wanted).sum()
                slopes = slope(score, recording[layer])
            rows.append(channels_first(slopes, layer, x).flatten(1).double().cpu())
    return torch.cat(rows)


def _direction(shown: Tensor, other: Tensor) -> tuple[Tensor, float]:
    """Return the direction (D,) from other activations (M, D) to those that show a concept, and its accuracy."""
    n_held = [max(1, round(len(rows) * HELD_OUT)) for rows in (shown, other)]
    parts = [(rows[:-n], rows[-n:]) for rows, n in zip((shown, other), n_held, strict=True)]
    learned, held = (torch.cat(rows) for rows in zip(*parts, strict=True))
    signs = [torch.cat([torch.ones(len(a)), -torch.ones(len(b))]).double() for a, b in zip(*parts, strict=True)]
    mean = learned.mean(dim=0)
    centred = learned - mean  # (m, D): far more columns than rows, so the ridge is solved among the rows
    alike = centred @ centred.T
    ridge = alike.diagonal().mean().clamp(min=torch.finfo(alike.dtype).tiny)  # whatever the layer's unit
    direction = centred.T @ torch.linalg.solve(alike + ridge * torch.eye(len(alike)).to(alike), signs[0])
    right = ((held - mean) @ direction > 0) == (signs[1] > 0)
    return direction, float(right.double().mean())


def _p_value(a: Tensor, b: Tensor) -> float:
    """Return p of Welch's t-test; where neither varies, 0 for other means and 1 for the same."""
    errors = [float(one.var()) / len(one) for one in (a, b)]  # squared
    difference = abs(float(a.mean() - b.mean()))
    if sum(errors) == 0:
        return float(difference == 0)
    freedom = sum(errors) ** 2 / sum(e**2 / (len(one) - 1) for e, one in zip(errors, (a, b), strict=True))
    return float(2 * stdtr(freedom, -difference / sum(errors) ** 0.5))
