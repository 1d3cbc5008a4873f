"""Explanations from the gradient of a score with respect to the inputs: what would change it, and how much.

All of them take (model, inputs, target=None) and return the inputs' shape; target None means the predicted class.
"""

import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal, cast, get_args

import numpy as np
import torch
from torch import Tensor

from ..core.arguments import check_amount, check_choice, check_count, described, like_inputs
from ..core.batches import explaining, weighted_sum
from ..core.lending import borrowed
from ..core.model import graph_nodes, known_target, score_of_target, slope
from ..core.preparing import prepared
from ..core.protocols import Explainer, Model, Target
from ..core.randomness import gaussian

Rule = Literal["midpoint", "gauss_legendre", "trapezoid"]
Baselines = Tensor | float | Sequence[Tensor | float] | None


def gradient(model: Model, inputs: Tensor, target: Target = None, *, batch_size: int | None = None) -> Tensor:
    """∂ score / ∂ inputs.

    One forward and one backward pass. Simonyan et al. 2013, arXiv 1312.6034.

    >>> from hw_xai.explain import gradient
    >>> from hw_xai.testing import pictures, small_network
    >>> gradient(small_network(), pictures(), target=2).shape
    torch.Size([3, 3, 16, 16])
    """
    with explaining(model, inputs, target, batch_size) as chunks, prepared(model, inputs, len(inputs)):
        return torch.cat([differentiate(model, x, t) for x, t in chunks])


def saliency(model: Model, inputs: Tensor, target: Target = None, *, batch_size: int | None = None) -> Tensor:
    """|∂ score / ∂ inputs|: how much the score moves with each element, in whichever direction.

    One forward and one backward pass. Simonyan et al. 2013, arXiv 1312.6034.

    >>> from hw_xai.explain import saliency
    >>> from hw_xai.testing import pictures, small_network
    >>> saliency(small_network(), pictures()).shape
    torch.Size([3, 3, 16, 16])
    """
    return gradient(model, inputs, target, batch_size=batch_size).abs()


def input_x_gradient(model: Model, inputs: Tensor, target: Target = None, *, batch_size: int | None = None) -> Tensor:
    """inputs · ∂ score / ∂ inputs: what each element adds to the score, if the model were linear.

    One forward and one backward pass. Shrikumar et al. 2016, arXiv 1605.01713.

    >>> from hw_xai.explain import input_x_gradient
    >>> from hw_xai.testing import pictures, small_network
    >>> input_x_gradient(small_network(), pictures(), target=2).shape
    torch.Size([3, 3, 16, 16])
    """
    return gradient(model, inputs, target, batch_size=batch_size) * inputs.detach()


def smooth_grad(
    model: Model,
    inputs: Tensor,
    target: Target = None,
    *,
    n_samples: int = 50,
    noise_level: float = 0.15,
    explain: Explainer = gradient,
    seed: int = 0,
    batch_size: int | None = None,
    progress: bool = False,
) -> Tensor:
    """Mean of explain(inputs + noise), noise ~ N(0, σ²) with σ = noise_level · (max − min) of each input.

    explain: any explainer, e.g. `saliency`, or `partial(integrated_gradients, n_steps=10)`. A constant input has
    σ = 0. n_samples forward and backward passes; one more forward pass to predict the class when target is None.
    Smilkov et al. 2017, arXiv 1706.03825.

    >>> from hw_xai.explain import smooth_grad
    >>> from hw_xai.testing import pictures, small_network
    >>> smooth_grad(small_network(), pictures(), n_samples=4, noise_level=0.1, seed=0).shape
    torch.Size([3, 3, 16, 16])
    """
    check_count("n_samples", n_samples)
    check_amount("noise_level", noise_level)
    own = explain in (gradient, saliency, input_x_gradient)  # others may look into the model, or hook it

    def smoothed(x: Tensor, target: Tensor | None) -> Tensor:  # (n, ...), (n,) -> (n, ...)
        target = known_target(model, x, target)
        sigma = noise_level * value_range(x)  # (n, 1, ...)
        noisy = (x + sigma * noise for noise in gaussian(x, n_samples, seed))  # n_samples × (n, ...)
        weights = [1 / n_samples] * n_samples

        def explained(points: Tensor, target: Tensor) -> Tensor:  # (k·n, ...), (k·n,) -> (k·n, ...)
            return explain(borrowed(model), points, target, **({"batch_size": len(points)} if own else {}))

        return weighted_sum(model, explained, noisy, weights, target, batch_size, progress)

    passes = n_samples * len(inputs) * own
    with explaining(model, inputs, target, batch_size) as chunks, prepared(model, inputs, passes):
        return torch.cat([smoothed(x, t) for x, t in chunks])


def integrated_gradients(
    model: Model,
    inputs: Tensor,
    target: Target = None,
    *,
    baselines: Baselines = None,
    n_steps: int = 50,
    method: Rule = "midpoint",
    batch_size: int | None = None,
    progress: bool = False,
) -> Tensor:
    """(inputs − baselines) · ∫₀¹ ∂ score / ∂ inputs at baselines + α (inputs − baselines) dα.

    baselines: a number or a tensor that broadcasts against inputs; None is zeros; a list of them is averaged over.
    method: "midpoint", "gauss_legendre" or "trapezoid", each with n_steps points on the path. n_steps forward and
    backward passes per baseline; one more forward pass when target is None. Sundararajan et al. 2017, arXiv 1703.01365.

    >>> from hw_xai.explain import integrated_gradients
    >>> from hw_xai.testing import pictures, small_network
    >>> integrated_gradients(small_network(), pictures(), target=2, n_steps=8).shape
    torch.Size([3, 3, 16, 16])
    """
    alphas, weights = path_rule(method, n_steps)
    references = as_baselines(baselines, inputs)  # B × (N, ...)

    def integrated(x: Tensor, target: Tensor | None, *references: Tensor) -> Tensor:  # (n, ...) -> (n, ...)
        target = known_target(model, x, target)
        total = torch.zeros_like(x)
        for reference in references:
            path = (reference + alpha * (x - reference) for alpha in alphas)  # n_steps × (n, ...)
            slopes = partial(differentiate, model)
            mean_gradient = weighted_sum(model, slopes, path, weights, target, batch_size, progress)
            total += (x - reference) * mean_gradient
        return total / len(references)

    passes = n_steps * len(references) * len(inputs)
    with explaining(model, inputs, target, batch_size, *references) as chunks, prepared(model, inputs, passes):
        return torch.cat([integrated(x, t, *refs) for x, t, *refs in chunks])


def completeness_gap(
    attribution: Tensor,
    model: Model,
    inputs: Tensor,
    target: Target = None,
    baselines: Baselines = None,
    *,
    batch_size: int | None = None,
) -> Tensor:
    """Σ attribution − (score(inputs) − score(baselines)), one number per input: (N,). Zero when nothing is left out.

    baselines: as for `integrated_gradients`. Compare it with the score difference: under 1 % is good.
    """
    if not isinstance(attribution, Tensor) or len(attribution) != len(inputs):
        raise ValueError(f"`attribution` must have one row per input, got {described(attribution)}")

    def score_difference(x: Tensor, target: Tensor | None, *references: Tensor) -> Tensor:
        target = known_target(model, x, target)
        at_references = sum(score_of_target(model, reference, target) for reference in references) / len(references)
        return score_of_target(model, x, target) - at_references

    with explaining(model, inputs, target, batch_size, *as_baselines(baselines, inputs)) as chunks:
        differences = torch.cat([score_difference(x, t, *references) for x, t, *references in chunks])
    return attribution.flatten(1).sum(dim=1) - differences


def guided_backprop(model: Model, inputs: Tensor, target: Target = None, *, batch_size: int | None = None) -> Tensor:
    """The gradient, with every negative gradient that arrives at a ReLU set to zero on its way back.

    A picture of what the filters like rather than of the decision: it hardly changes when the last layers are
    randomised (Adebayo et al. 2018). Works for ReLU modules, in place or reused, and for functional ReLU; raises
    ValueError for other activations, where it would be the plain gradient under another name. One forward and one
    backward pass. Springenberg et al. 2014, arXiv 1412.6806.

    >>> from hw_xai.explain import guided_backprop
    >>> from hw_xai.testing import pictures, small_network
    >>> guided_backprop(small_network(), pictures(), target=2).shape
    torch.Size([3, 3, 16, 16])
    """
    with explaining(model, inputs, target, batch_size) as chunks:
        return torch.cat([differentiate(model, x, t, before_backward=_guide) for x, t in chunks])


# ------------------------------------------------------------------------------------------------------------- parts


def differentiate(
    model: Model, x: Tensor, target: Tensor | None, *, before_backward: Callable[[Tensor], None] | None = None
) -> Tensor:
    """∂ score / ∂ x for one batch: (n, ...) -> (n, ...). No gradient of a parameter is computed.

    before_backward: called with the scores (n,) while their graph is alive.
    """
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        score = score_of_target(model, x, target)  # (n,)
        if before_backward is not None:
            before_backward(score)
        return slope(score.sum(), x).contiguous()  # of a prepared model it may come channels_last


def value_range(x: Tensor) -> Tensor:
    """Return max − min of each row: (n, ...) -> (n, 1, ...)."""
    dims = tuple(range(1, x.ndim))
    return x.amax(dims, keepdim=True) - x.amin(dims, keepdim=True)


def path_rule(method: Rule, n_steps: int) -> tuple[list[float], list[float]]:
    """Return the n_steps points in [0, 1] of a quadrature rule and their weights, which sum to 1."""
    check_choice("method", method, get_args(Rule))
    check_count("n_steps", n_steps, least=2 if method == "trapezoid" else 1)
    if method == "gauss_legendre":
        points, weights = np.polynomial.legendre.leggauss(n_steps)  # on [−1, 1]
        points, weights = (points + 1) / 2, weights / 2
    elif method == "trapezoid":
        points, weights = np.linspace(0, 1, n_steps), np.full(n_steps, 1 / (n_steps - 1))
        weights[[0, -1]] /= 2
    else:
        points, weights = (np.arange(n_steps) + 0.5) / n_steps, np.full(n_steps, 1 / n_steps)
    return points.tolist(), weights.tolist()


def as_baselines(baselines: Baselines, inputs: Tensor) -> list[Tensor]:
    """Return the baselines as a list of tensors like inputs (N, ...)."""
    if isinstance(baselines, Sequence) and not isinstance(baselines, str):  # a string is one mistake, not its letters
        several = list(baselines)
    else:
        several = [cast("Tensor | float", 0.0 if baselines is None else baselines)]
    if not several:
        raise ValueError("`baselines` must hold at least one baseline, got an empty list")
    return [like_inputs("baselines", baseline, inputs) for baseline in several]


# by the names of their nodes in the graph; sigmoid and softmax are left alone: they are gates and outputs
_OTHER_ACTIVATIONS = {
    "LeakyRelu", "RreluWithNoise", "PreluKernel", "Elu", "Celu", "Gelu", "Silu", "Mish", "Hardtanh", "Hardswish",
    "Softplus", "Tanh", "Threshold", "Clamp", "ClampMin",
}  # fmt: skip


def _guide(score: Tensor) -> None:
    """Let every ReLU in the graph behind score pass on only the positive part of the gradient that reaches it."""
    nodes = [(node, re.sub(r"Backward\d*$", "", node.name())) for node in graph_nodes(score)]
    relus = [node for node, name in nodes if name == "Relu"]
    others = {name for _, name in nodes} & _OTHER_ACTIVATIONS
    if not relus or others:
        got = " and ".join(sorted(others)) or "none at all"
        raise ValueError(f"`model` must use ReLU as its only activation for guided backpropagation, got {got}")
    for node in relus:
        # on the graph instead of on modules: functional, reused and in-place ReLUs are all the same here,
        # and the hooks vanish with the graph, whatever happens
        node.register_prehook(lambda gradients: tuple(g.clamp(min=0) for g in gradients))
