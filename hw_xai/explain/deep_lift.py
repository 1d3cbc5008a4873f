"""DeepLIFT: the difference of a score to that of a baseline, handed back through the network without a rest."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from ..core.batches import explaining
from ..core.model import known_target, of_target, slope
from ..core.protocols import Model, Target
from .backward_rules import (
    ACTIVATIONS,
    AVERAGING,
    LARGEST,
    MOVING,
    WEIGHTED,
    ByRule,
    Ruled,
    argument,
    carried_back,
    carries,
    scores_seen,
)
from .gradients import Baselines, as_baselines

ELEMENTWISE = ACTIVATIONS | {"exp", "log", "sqrt", "rsqrt", "square", "pow", "abs", "erf", "reciprocal", "neg"}
PRODUCTS = {"mul", "matmul", "bmm"}
LINEAR = {*MOVING, *AVERAGING, *WEIGHTED, "add", "sub", "rsub", "mul", "div", "matmul", "bmm", "neg"}
TOLERANCE = 1e-2  # of the score, for what must add up to its difference


def deep_lift(
    model: Model,
    inputs: Tensor,
    target: Target = None,
    *,
    baselines: Baselines = None,
    batch_size: int | None = None,
) -> Tensor:
    """DeepLIFT by the rescale rule: (inputs − baselines) · multipliers, which add up to the difference of scores.

    The gradient, with each activation's slope replaced by Δout / Δin to the baseline, so that no saturation hides a
    cause; the winners of a maximum, of both inputs, share its difference; of a product each factor has the mean of the
    other. baselines: as for `integrated_gradients`. ValueError for operations without such a rule, as softmax or
    LayerNorm. Two forward passes and one backward pass per baseline. Shrikumar et al. 2017, arXiv 1704.02685.

    >>> from hw_xai.explain import deep_lift
    >>> from hw_xai.testing import pictures, small_network
    >>> deep_lift(small_network(), pictures(), target=2).shape
    torch.Size([3, 3, 16, 16])
    """
    references = as_baselines(baselines, inputs)  # B × (N, ...)

    def lifted(x: Tensor, target: Tensor | None, *references: Tensor) -> Tensor:  # (n, ...) -> (n, ...)
        target = known_target(model, x, target)
        parts = [_to_one(model, x, reference, target) for reference in references]
        return torch.stack(parts).mean(dim=0)

    with explaining(model, inputs, target, batch_size, *references) as chunks:
        return torch.cat([lifted(x, t, *refs) for x, t, *refs in chunks])


def _to_one(model: Model, x: Tensor, reference: Tensor, target: Tensor) -> Tensor:
    with torch.enable_grad():
        before, x = Rescaling(), x.detach().requires_grad_()
        there = _score(before, model, reference.clone().requires_grad_(), target).detach()  # (n,)
        here = _score(Rescaling(before.seen), model, x, target)  # (n,)
        multipliers = slope(here.sum(), x).contiguous()
    found = (x.detach() - reference) * multipliers
    gap = found.flatten(1).sum(dim=1) - (here.detach() - there)
    if (gap.abs() > TOLERANCE * torch.maximum(here.detach().abs(), there.abs())).any():
        expected = "let DeepLIFT see all that it does"
        raise ValueError(f"`model` must {expected}, got attributions that do not add up to its score: is it compiled?")
    return found


def _score(mode: Ruled, model: Model, x: Tensor, target: Tensor) -> Tensor:
    return of_target(scores_seen(mode, model, x), target)


class Seen(NamedTuple):
    """An operation on the baseline."""

    name: str
    inputs: list[Tensor]  # those that depend on the model's inputs
    output: Tensor


class Rescaling(Ruled):
    """Notes what the operations make of a baseline; or, with the notes of another pass, goes back by their rules."""

    method = "DeepLIFT"

    def __init__(self, reference: list[Seen] | None = None):
        super().__init__()
        self.seen: list[Seen] = []
        self.reference = None if reference is None else iter(reference)

    def follow(self, name: str, function: Callable, args: tuple, kwargs: dict):
        places = [place for place, value in enumerate(args) if isinstance(value, Tensor) and carries(value)]
        product = name in PRODUCTS and len(places) == 2
        ruled = name in ELEMENTWISE - LINEAR or name in LARGEST
        if not product and not (ruled and places == [0]):
            linear = name in LINEAR and not (name == "div" and places != [0])
            if linear or name == "batch_norm" and not argument("training", 5, args, kwargs):
                return function(*args, **kwargs)
            return self.unknown(name, function, args, kwargs)

        given = [args[place] for place in places]
        inputs = [tensor.detach().clone() for tensor in given]  # before anything works in place

        def apply(*values: Tensor) -> Tensor:
            replaced = list(args)
            for place, value in zip(places, values, strict=True):
                replaced[place] = value
            return function(*replaced, **kwargs)

        if self.reference is None:
            output = function(*args, **kwargs)
            if not isinstance(output, Tensor):
                return self.unknown(name, function, args, kwargs)
            self.seen.append(Seen(name, inputs, output.detach().clone()))
            return output
        before = next(self.reference, None)
        if before is None or before.name != name or any(a.shape != b.shape for a, b in zip(before.inputs, inputs)):  # noqa: B905
            expected = "do the same whatever its inputs are for DeepLIFT"
            raise ValueError(f"`model` must {expected}, got another operation than for the baselines: {name}")
        output = apply(*(tensor.clone() for tensor in inputs)).detach()
        way = _by_means if product else _by_winners if name in LARGEST else _by_differences
        return ByRule.apply(output.clone, lambda arriving: way(apply, inputs, output, before, arriving), *given)


def _by_differences(apply: Callable, inputs: list[Tensor], output: Tensor, before: Seen, arriving: Tensor) -> list:
    """Δout / Δin of each element; the slope where they hardly differ."""
    difference = inputs[0] - before.inputs[0]
    same = _hardly(difference, inputs[0], before.inputs[0])
    multiplier = (output - before.output) / torch.where(same, 1, difference)
    if same.any():
        (slopes,) = carried_back(apply, inputs, torch.ones_like(output))
        multiplier = torch.where(same, slopes, multiplier)
    return [arriving * multiplier]


def _by_winners(apply: Callable, inputs: list[Tensor], output: Tensor, before: Seen, arriving: Tensor) -> list:
    """The winner among the inputs answers for what the maximum of both exceeds the baseline's, its winner the rest."""
    larger = torch.maximum(output, before.output)
    (here,) = carried_back(apply, inputs, arriving * (larger - before.output))
    (there,) = carried_back(apply, before.inputs, arriving * (output - larger))
    (slopes,) = carried_back(apply, inputs, arriving)
    difference = inputs[0] - before.inputs[0]
    same = _hardly(difference, inputs[0], before.inputs[0])
    return [torch.where(same, slopes, (here + there) / torch.where(same, 1, difference))]


def _by_means(apply: Callable, inputs: list[Tensor], output: Tensor, before: Seen, arriving: Tensor) -> list:
    """Δ(ab) = Δa · mean(b) + mean(a) · Δb."""
    means = [(a + b) / 2 for a, b in zip(inputs, before.inputs, strict=True)]
    return list(carried_back(apply, means, arriving))


def _hardly(difference: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Where a difference is so small that rounding would decide a quotient."""
    scale = torch.maximum(a.abs(), b.abs()).clamp(min=1)
    return difference.abs() <= torch.finfo(difference.dtype).eps ** 0.5 * scale
