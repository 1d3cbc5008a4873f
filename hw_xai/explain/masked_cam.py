"""Class activation maps from many passes: a layer's maps become masks, and the class's probability weights them.

All take (model, inputs, target=None): inputs (N, C, H, W) with 0 for nothing to see -> (N, 1, H, W), never negative.
Each input is explained on its own, batch_size masked copies at a time. probabilities: "softmax" of the scores,
"sigmoid" of each, None for scores as they are; "auto" is what `meaning_of` finds.
"""

import math
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from ..core.arguments import check_amount, check_batch_size, described
from ..core.batches import explaining, progress_bar
from ..core.layers import CONVOLUTIONS, find_layer, hooked, record
from ..core.lending import lent
from ..core.maps import as_maps, last_map, layout_of
from ..core.memory import fitting_chunks
from ..core.model import as_probabilities, check_probabilities, meaning_of, resolve_target, scores_of
from ..core.preparing import prepared
from ..core.protocols import Layer, Model, Probabilities, Target
from .cam import enlarged, map_layer, maps_of, spatial, starting_at, weighted_sum_of

Layers = Sequence[nn.Module | str] | None
See = Callable[[Tensor, Callable[[Tensor], Tensor]], Tensor]  # maps (K, h, w), mask from enlarged map -> p (K, C)
# maps (K, h, w), probabilities (C,), class, See -> maps (K, h, w) to sum up, and their weights (K,)
Weigh = Callable[[Tensor, Tensor, int, See], tuple[Tensor, Tensor]]


def score_cam(
    model: Model,
    inputs: Tensor,
    target: Target = None,
    *,
    layer: Layer = None,
    batch_size: int | None = None,
    probabilities: Probabilities = "auto",
    progress: bool = False,
) -> Tensor:
    """ReLU(Σₖ wₖ Aₖ), where the weight of a map is the probability of the class when only the map's places are seen.

    wₖ = p(inputs ⊙ mₖ), mₖ the enlarged map Aₖ stretched to [0, 1]: the authors' program, without the softmax over
    channels that other libraries take and that makes the weights nearly equal. layer: None is `last_map`. One forward
    pass for the maps and one for each map that is not constant. Wang et al. 2019, arXiv 1910.01279.

    >>> from hw_xai.explain import score_cam
    >>> from hw_xai.testing import pictures, small_network
    >>> score_cam(small_network(), pictures(), layer="block").shape
    torch.Size([3, 1, 16, 16])
    """

    def weigh(maps: Tensor, p: Tensor, index: int, see: See) -> tuple[Tensor, Tensor]:
        maps = maps[varies(maps)]
        return maps, see(maps, stretched)[:, index]

    return _weighted_maps(weigh, model, inputs, target, layer, batch_size, progress, probabilities).clamp(min=0)


def sidu(
    model: Model,
    inputs: Tensor,
    target: Target = None,
    *,
    layer: Layer = None,
    batch_size: int | None = None,
    probabilities: Probabilities = "auto",
    progress: bool = False,
) -> Tensor:
    """Σₖ SDₖ · Uₖ · Mₖ: masks that leave the class's probability as it was, and whose predictions are unlike others'.

    Mₖ is where map Aₖ > 0.1, enlarged; Pₖ all probabilities of inputs ⊙ Mₖ, P those of inputs; similarity
    SDₖ = exp(−(P − Pₖ)² / (2 · 0.25²)) of the class; uniqueness Uₖ = Σⱼ ‖Pₖ − Pⱼ‖, stretched to [0, 1] over k.
    layer: None is `last_map`. One forward pass for the maps and one for each different mask. Muddamsetty et al. 2021,
    arXiv 2101.10710.

    >>> from hw_xai.explain import sidu
    >>> from hw_xai.testing import pictures, small_network
    >>> sidu(small_network(), pictures(), layer="block").shape
    torch.Size([3, 1, 16, 16])
    """

    def weigh(maps: Tensor, p: Tensor, index: int, see: See) -> tuple[Tensor, Tensor]:
        masks = (maps > 0.1).to(maps)
        different, which = masks.unique(dim=0, return_inverse=True)  # dead channels share one empty mask: one pass
        seen = see(different, lambda mask: mask)[which]  # (K, C)
        similarity = (-(p - seen)[:, index].square() / (2 * 0.25**2)).exp()  # (K,)
        # not through matrix products: they lose half of the digits of small distances
        distances = torch.cdist(seen, seen, compute_mode="donot_use_mm_for_euclid_dist")  # (K, K)
        uniqueness = stretched(distances.sum(dim=1)[None])[0]  # (K,)
        return masks, similarity * uniqueness

    return _weighted_maps(weigh, model, inputs, target, layer, batch_size, progress, probabilities)


def sise(
    model: Model,
    inputs: Tensor,
    target: Target = None,
    *,
    layers: Layers = None,
    mu: float = 0.0,
    batch_size: int | None = None,
    probabilities: Probabilities = "auto",
    progress: bool = False,
) -> Tensor:
    """Maps of several layers as masks, fused from the fine to the coarse: details only where deeper layers agree.

    In each layer the maps that are not constant and whose mean gradient αₖ of the class's probability exceeds
    mu · max α are enlarged and stretched to masks mₖ; they give V = Σₖ p(inputs ⊙ mₖ) · mₖ / Σmₖ, stretched. Then
    E = V of the first layer and, layer after layer, E ← E + V where V is above Otsu's threshold, else 0. A layer that
    keeps no map is left out.
    layers: modules or dotted paths, from shallow to deep; None is `block_layers` of the input, for which one more
    forward pass is made. One forward and one backward pass for the maps, one forward pass for each map that is kept.
    Sattarzadeh et al. 2020, arXiv 2010.00672.

    >>> from hw_xai.explain import sise
    >>> from hw_xai.testing import pictures, small_network
    >>> sise(small_network(), pictures()).shape
    torch.Size([3, 1, 16, 16])
    """
    check_amount("mu", mu)
    return _fused(lambda alphas: alphas > mu, model, inputs, target, layers, batch_size, progress, probabilities)


def ada_sise(
    model: Model,
    inputs: Tensor,
    target: Target = None,
    *,
    layers: Layers = None,
    batch_size: int | None = None,
    probabilities: Probabilities = "auto",
    progress: bool = False,
) -> Tensor:
    """SISE, with as many maps as matter: those whose mean gradient is above Otsu's threshold of the positive ones.

    Fewer passes for nearly the same picture. Options and passes as for `sise`. Sudhakar et al. 2021, arXiv 2102.07799.

    >>> from hw_xai.explain import ada_sise
    >>> from hw_xai.testing import pictures, small_network
    >>> ada_sise(small_network(), pictures()).shape
    torch.Size([3, 1, 16, 16])
    """

    def above_otsu(alphas: Tensor) -> Tensor:
        return alphas >= otsu(alphas[alphas > 0])

    return _fused(above_otsu, model, inputs, target, layers, batch_size, progress, probabilities)


# ------------------------------------------------------------------------------------------------------------- layers


def block_layers(model: Model, x: Tensor) -> list[nn.Module]:
    """Return the last layer of each block, from shallow to deep; runs the model once on x (1, C, H, W).

    A block is all that happens at one size of map, from a change of resolution to the next: of the sizes at which
    convolutions give out their maps, each one's last module that runs once.
    """
    if not isinstance(model, nn.Module):
        raise ValueError(f"`layers` must be given for a model that is no module, got {described(model)}")
    ran: list[tuple[nn.Module, tuple[int, ...]]] = []

    def note(module: nn.Module, output: Tensor) -> None:
        layout = layout_of(output, module, x) if isinstance(output, Tensor) else None
        ran.append((module, () if layout is None else layout.grid))

    with lent(model), hooked([module for module in model.modules() if module is not model], note):
        scores_of(model, x)
    modules = [module for module, _ in ran]
    kinds = (*CONVOLUTIONS, nn.LayerNorm)
    sizes = {size for module, size in ran if isinstance(module, kinds) and math.prod(size) > 1}
    last = {size: module for module, size in ran if size in sizes and modules.count(module) == 1}
    if not last:
        raise ValueError(f"`layers` must be given for a model without convolution modules, got {described(model)}")
    deepest = last_map(model, x)  # behind it a ViT looks at its class token only
    return [deepest if (deepest, size) in ran else module for size, module in last.items()]


# --------------------------------------------------------------------------------------------------------------- SISE


def _fused(
    keep: Callable[[Tensor], Tensor],
    model: Model,
    inputs: Tensor,
    target: Target,
    layers: Layers,
    batch_size: int | None,
    progress: bool,
    probabilities: Probabilities,
) -> Tensor:
    """Explain by SISE; keep: αₖ / max α (K,) of a layer, of which at least one is positive -> which to use (K,)."""
    check_batch_size(batch_size)
    check_probabilities(probabilities)
    if layers is not None and (isinstance(layers, str | nn.Module) or not layers):
        raise ValueError(f"`layers` must be a list of modules or dotted paths, got {described(layers)}")
    named = None if layers is None else [find_layer(model, layer) for layer in layers]

    def fused(x: Tensor, target: Tensor | None) -> Tensor:  # (1, C, H, W) -> (1, 1, H, W)
        chosen = block_layers(model, x) if named is None else named
        index, maps, alphas, meaning = maps_and_slopes(model, chosen, x, target, probabilities)
        # a dead channel may well have the steepest slope, and shows nothing: out with it before the choice
        alive = [(m[varies(m)], a[varies(m)]) for m, a in zip(maps, alphas, strict=True)]
        kept = [m[keep(a / a.max())] for m, a in alive if (a > 0).any()]
        total = x.new_zeros(1, 1, *x.shape[2:])
        with prepared(model, x, sum(map(len, kept))):
            for place, candidates in enumerate(kept):
                view = torch.zeros_like(total)  # Σₖ p(x ⊙ mₖ) · mₖ / Σmₖ
                for masks, p in seen_through(model, x, candidates, stretched, batch_size, progress, meaning):
                    shares = masks / masks.sum(dim=spatial(masks), keepdim=True)  # (k, 1, H, W)
                    view += torch.tensordot(p[:, index], shares, dims=1)
                view = stretched(view)
                total = view if place == 0 else (total + view) * (view >= otsu(view))
        return total

    with explaining(model, inputs, target, 1) as rows:
        return torch.cat([fused(x, t) for x, t in rows])


def maps_and_slopes(
    model: Model, layers: list[nn.Module], x: Tensor, target: Tensor | None, probabilities: Probabilities
) -> tuple[int, list[Tensor], list[Tensor], Probabilities]:
    """Return the class, each layer's maps (K, h, w) for x (1, C, H, W), the means α (K,) of their gradients, and what

    makes probabilities of the scores."""
    with torch.enable_grad(), starting_at(layers), record(model, layers) as recording:
        scores = scores_of(model, x)
        index = int(resolve_target(scores, target))
        maps = [maps_of(recording, layer, x).detach()[0] for layer in layers]
        outputs = [recording[layer] for layer in layers]
        # of log p: 1/p times the gradient of p, which matters to no comparison, and less prone to vanish
        meaning = meaning_of(model, scores.detach(), probabilities)
        logs: dict[Probabilities, Tensor] = {"softmax": scores.log_softmax(dim=1), "sigmoid": logsigmoid(scores)}
        log_p = logs.get(meaning, scores)[0, index]
        slopes: Sequence[Tensor | None] = [None] * len(layers)
        if log_p.requires_grad:
            slopes = torch.autograd.grad(log_p, outputs, allow_unused=True)
    of_maps = [as_maps(s, layer, x) for s, layer in zip(slopes, layers, strict=True) if s is not None]
    if len(of_maps) < len(layers):
        cause = "(is there a detach(), no_grad() or argmax behind it?)"
        raise ValueError(f"`layers` must all lead to the scores, got one that they do not depend on {cause}")
    return index, maps, [s.mean(dim=spatial(s))[0] for s in of_maps], meaning


def otsu(values: Tensor) -> float:
    """Return the smallest of the upper values, when values are cut in two where the classes' means differ most.

    Exact, over all cuts between different values: no histogram. Otsu 1979.
    """
    ordered = values.flatten().double().sort().values
    lower = torch.arange(1, len(ordered)).to(ordered)  # how many values lie below each cut
    upper, sums = len(ordered) - lower, ordered.cumsum(dim=0)
    gap = (sums[-1] - sums[:-1]) / upper - sums[:-1] / lower
    between = lower * upper * gap.square() * (ordered.diff() > 0)  # the variance between the classes, but for a factor
    return float(ordered[int(between.argmax()) + 1 if (ordered[-1:] > ordered[:1]).any() else 0])


# -------------------------------------------------------------------------------------------------------------- parts


def _weighted_maps(
    weigh: Weigh,
    model: Model,
    inputs: Tensor,
    target: Target,
    layer: Layer,
    batch_size: int | None,
    progress: bool,
    probabilities: Probabilities,
) -> Tensor:
    """Return Σₖ wₖ Aₖ for each input, enlarged to its size, with the maps and weights that weigh finds."""
    check_batch_size(batch_size)
    check_probabilities(probabilities)
    layer = map_layer(model, layer, inputs)

    def weighted(x: Tensor, target: Tensor | None) -> Tensor:  # (1, C, H, W) -> (1, 1, H, W)
        maps, scores = maps_and_scores(model, layer, x)  # (1, K, h, w), (1, C)

        meaning = meaning_of(model, scores, probabilities)

        def see(maps: Tensor, shape: Callable[[Tensor], Tensor]) -> Tensor:  # (K, h, w) -> (K, C)
            with prepared(model, x, len(maps)):
                seen = seen_through(model, x, maps, shape, batch_size, progress, meaning)
                return torch.cat([x.new_zeros(0, scores.shape[1]), *(p for _, p in seen)])

        maps, weights = weigh(maps[0], as_probabilities(scores, meaning)[0], int(resolve_target(scores, target)), see)
        return enlarged(weighted_sum_of(maps[None], weights[None]), x)

    with explaining(model, inputs, target, 1) as rows:
        return torch.cat([weighted(x, t) for x, t in rows])


def maps_and_scores(model: Model, layer: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the layer's maps (N, K, h, w) and the scores (N, C) of x (N, C, H, W)."""
    with record(model, [layer]) as recording:
        scores = scores_of(model, x)
    return maps_of(recording, layer, x), scores


def seen_through(
    model: Model,
    x: Tensor,
    maps: Tensor,
    shape: Callable[[Tensor], Tensor],
    batch_size: int | None,
    progress: bool,
    meaning: Probabilities,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield masks (k, 1, H, W), the maps (K, h, w) enlarged and shaped, with the probabilities (k, C) of x ⊙ masks."""
    with progress_bar(len(maps), "masks", progress) as bar:
        for chunk in fitting_chunks(model, len(maps), batch_size):
            masks = shape(enlarged(maps[chunk.start : chunk.stop, None], x))
            yield masks, as_probabilities(scores_of(model, x * masks), meaning)
            bar.update(len(chunk))


def stretched(values: Tensor) -> Tensor:
    """Map the values of each row (n, ...) linearly to [0, 1]; a row that is constant becomes zeros."""
    dims = tuple(range(1, values.ndim))
    low, high = values.amin(dims, keepdim=True), values.amax(dims, keepdim=True)
    return torch.where(high > low, (values - low) / (high - low), 0)


def varies(maps: Tensor) -> Tensor:
    """Return which of the maps (K, h, w) are not constant: bool (K,)."""
    return maps.flatten(1).amax(dim=1) > maps.flatten(1).amin(dim=1)
