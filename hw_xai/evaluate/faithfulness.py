"""Does the explanation tell what the model uses? Hide what it calls important, and look at what the model says.

All take (model, inputs, attributions, target=None, *, options) and keep the promises of every explainer; attributions
are one map per input, of its size, summed over the channels with their signs. probabilities: "softmax" of the scores,
"sigmoid" of each, None for scores as they are; "auto" is what `meaning_of` finds. A constant map is defined everywhere:
it hides in a random order, or shows nothing. `completeness_gap` of `hw_xai.explain` belongs to these scores too.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from numbers import Real
from typing import NamedTuple, TypedDict, Unpack

import torch
from torch import Tensor

from ..core.arguments import check_amount, check_count, check_inputs, described
from ..core.batches import BATCH_SIZE, explaining
from ..core.model import (
    as_probabilities,
    check_probabilities,
    known_target,
    meaning_of,
    resolve_target,
    scores_of,
)
from ..core.protocols import Explainer, Model, Probabilities, Target
from ..core.randomness import generator
from ..core.statistics import pearson
from ..explain.fills import Fill, Filler, as_fills, axes_of
from ..explain.gradients import value_range
from ..explain.masked_cam import stretched
from ..explain.perturbation import hidden_scores
from ..explain.shapley import random_ranks
from .maps import per_place, place_shape, random_tie_order

SHARES = (1.0, 0.5, 0.15)

# ---------------------------------------------------------------------------------------------------- average drop, IC


class Confidence(NamedTuple):
    """The probability of the class for the input, and for what the largest shares of its map let through."""

    whole: Tensor  # (N,)
    masked: Tensor  # (N, S), one column per share

    @property
    def drop(self) -> Tensor:
        """Return max(0, p − p̂) / p: (N, S), 0 at best; its mean is the average drop."""
        return (1 - self.masked / self.whole[:, None]).clamp(min=0)

    @property
    def increase(self) -> Tensor:
        """Return whether p̂ > p: (N, S) of 0 and 1; its mean is the increase in confidence."""
        return (self.masked > self.whole[:, None]).to(self.whole)


def masked_confidence(
    model: Model,
    inputs: Tensor,
    attributions: Tensor,
    target: Target = None,
    *,
    shares: Sequence[float] = SHARES,
    probabilities: Probabilities = "auto",
    batch_size: int = BATCH_SIZE,
) -> Confidence:
    """Probability of the class for inputs and for m ⊙ inputs, m the map stretched to [0, 1], 0 but in its top share.

    inputs (N, C, H, W) with 0 for nothing to see. Places equal to the last that is let through pass as well. A
    constant map lets nothing through. 1 + S forward passes for S shares. For both scores below in the same passes.
    """
    check_shares(shares)
    check_probabilities(probabilities)
    check_inputs(inputs)
    axes = axes_of(model, inputs)

    def seen(x: Tensor, target: Tensor | None, maps: Tensor) -> Tensor:  # (n, ...), (n,), (n, P) -> (n, 1 + S)
        scores = scores_of(model, x)
        index, maps = resolve_target(scores, target)[:, None], stretched(maps)
        meaning = meaning_of(model, scores, probabilities)
        columns = [as_probabilities(scores, meaning).gather(1, index)]
        for share in shares:
            last = maps.topk(max(1, round(share * maps.shape[1])), dim=1).values[:, -1:]  # (n, 1)
            mask = torch.where(maps >= last, maps, 0).reshape(-1, *place_shape(x, axes))
            columns.append(as_probabilities(scores_of(model, x * mask), meaning).gather(1, index))
        return torch.cat(columns, dim=1)

    with mapped(model, inputs, attributions, target, batch_size) as chunks:
        values = torch.cat([seen(x, t, maps) for x, t, maps in chunks])
    return Confidence(values[:, 0], values[:, 1:])


class ConfidenceOptions(TypedDict, total=False):
    """The options of `masked_confidence`, for the two scores that are read from it."""

    shares: Sequence[float]
    probabilities: Probabilities
    batch_size: int


def average_drop(
    model: Model, inputs: Tensor, attributions: Tensor, target: Target = None, **options: Unpack[ConfidenceOptions]
) -> Tensor:
    """How much of the class's probability is lost when only the map's top shares are seen: (N, S), mean over N is AD.

    max(0, p − p̂) / p for each share, 100 %, 50 % and 15 %; options as for `masked_confidence`. Papers give percents.
    Chattopadhay et al. 2017, arXiv 1710.11063; the shares of Gkartzonika et al. 2022, arXiv 2209.11189.
    """
    return masked_confidence(model, inputs, attributions, target, **options).drop


def increase_in_confidence(
    model: Model, inputs: Tensor, attributions: Tensor, target: Target = None, **options: Unpack[ConfidenceOptions]
) -> Tensor:
    """Whether the probability is larger when only the map's top shares are seen: 0 or 1 (N, S), mean over N is IC.

    Options and papers as for `average_drop`.
    """
    return masked_confidence(model, inputs, attributions, target, **options).increase


# ----------------------------------------------------------------------------------------------- insertion and deletion


def deletion(
    model: Model,
    inputs: Tensor,
    attributions: Tensor,
    target: Target = None,
    *,
    n_steps: int = 20,
    fill: Fill = "zero",
    probabilities: Probabilities = "auto",
    seed: int = 0,
    batch_size: int = BATCH_SIZE,
    progress: bool = False,
) -> Tensor:
    """Probability of the class while the places are hidden, from the largest attribution down: (N, n_steps + 1).

    From nothing hidden to all hidden, in steps of equal size. A good explanation falls at once: the smaller
    `area_under` it, the better. Ties are hidden in a random order that seed decides. fill: as for `occlusion`; the
    answer is about the fill too. n_steps + 1 forward passes; one more when target is None. Petsiuk et al. 2018,
    arXiv 1806.07421.
    """
    asked = model, inputs, attributions, target
    return _curve(False, *asked, n_steps, fill, probabilities, seed, batch_size, progress)


def insertion(
    model: Model,
    inputs: Tensor,
    attributions: Tensor,
    target: Target = None,
    *,
    n_steps: int = 20,
    fill: Fill = "blur",
    probabilities: Probabilities = "auto",
    seed: int = 0,
    batch_size: int = BATCH_SIZE,
    progress: bool = False,
) -> Tensor:
    """Probability of the class while the places are shown, from the largest attribution down: (N, n_steps + 1).

    As `deletion`, from all hidden to nothing hidden; the larger `area_under` it, the better. The authors start from a
    blurred picture: on black, the edge of what is shown is itself a shape to recognize.
    """
    asked = model, inputs, attributions, target
    return _curve(True, *asked, n_steps, fill, probabilities, seed, batch_size, progress)


def area_under(curves: Tensor) -> Tensor:
    """Return the area under curves over [0, 1], by the trapezoid rule: (N, S) -> (N,)."""
    if not isinstance(curves, Tensor) or curves.ndim != 2 or curves.shape[1] < 2:
        raise ValueError(f"`curves` must be a tensor (N, S) of at least two steps, got {described(curves)}")
    return torch.trapezoid(curves, dim=1) / (curves.shape[1] - 1)


def _curve(
    shown_first: bool,
    model: Model,
    inputs: Tensor,
    attributions: Tensor,
    target: Target,
    n_steps: int,
    fill: Fill,
    probabilities: Probabilities,
    seed: int,
    batch_size: int,
    progress: bool,
) -> Tensor:
    check_count("n_steps", n_steps)
    check_count("batch_size", batch_size)
    check_probabilities(probabilities)
    check_inputs(inputs)
    axes = axes_of(model, inputs)

    def followed(x: Tensor, target: Tensor | None, maps: Tensor, fill: Filler) -> Tensor:  # (1, ...) -> (1, S)
        target = known_target(model, x, target)
        rank = random_tie_order(maps, generator(seed))  # (1, P)
        counts = torch.linspace(0, maps.shape[1], n_steps + 1, dtype=torch.float64).round().to(rank.device)

        def hidden(chunk: range) -> Tensor:  # (k, 1, H, W)
            reached = rank < counts[chunk.start : chunk.stop, None]
            return (~reached if shown_first else reached).reshape(len(chunk), *place_shape(x, axes))

        meaning: list[Probabilities] = []

        def probable(x: Tensor) -> Tensor:
            scores = scores_of(model, x)
            if not meaning:
                meaning.append(meaning_of(model, scores, probabilities))
            return as_probabilities(scores, meaning[0])

        return hidden_scores(probable, x, target, n_steps + 1, hidden, fill, batch_size, progress)[None]

    with mapped(model, inputs, attributions, target, 1) as rows:
        return torch.cat([followed(*row, f) for row, f in zip(rows, as_fills(fill, inputs, axes), strict=True)])


# -------------------------------------------------------------------------------------------------------- sensitivity-n


def sensitivity_n(
    model: Model,
    inputs: Tensor,
    attributions: Tensor,
    target: Target = None,
    *,
    shares: Sequence[float] = (0.25,),
    n_subsets: int = 40,
    cells: int | None = 16,
    fill: Fill = "zero",
    seed: int = 0,
    batch_size: int = BATCH_SIZE,
    progress: bool = False,
) -> Tensor:
    """Correlation of what random subsets are said to contribute, and what the score loses without them: (N, S).

    Pearson's r over n_subsets subsets of a share of all cells, of Σ attribution and score(inputs) − score(hidden), for
    each share; 1 for a linear model and its contributions. cells: how many there are along each spatial axis; None for
    single elements, as in the paper, whose random subsets look all alike in a picture. NaN where either side is
    constant: a constant map, a model that does not care. fill: as for `occlusion`. S · n_subsets + 1 forward passes;
    one more when target is None. Ancona et al. 2018, arXiv 1711.06104.
    """
    check_shares(shares)
    check_count("n_subsets", n_subsets, least=3)
    check_count("batch_size", batch_size)
    if cells is not None:
        check_count("cells", cells)
    check_inputs(inputs)
    axes = axes_of(model, inputs)
    region = regions_of_cells(place_shape(inputs, axes), cells)  # (P,)
    n_regions = int(region.max()) + 1
    source = generator(seed)
    sizes = [max(1, round(share * n_regions)) for share in shares for _ in range(n_subsets)]
    subsets = random_ranks(len(sizes), n_regions, source) < torch.tensor(sizes)[:, None]  # (S·n_subsets, K)
    taken = torch.cat([torch.zeros(1, n_regions, dtype=torch.bool), subsets]).to(inputs.device)  # the first: nothing

    def correlations(x: Tensor, target: Tensor | None, maps: Tensor, fill: Filler) -> Tensor:  # (1, ...) -> (1, S)
        target = known_target(model, x, target)

        def hidden(chunk: range) -> Tensor:  # (k, 1, H, W)
            return taken[chunk.start : chunk.stop, region].reshape(len(chunk), *place_shape(x, axes))

        scores = hidden_scores(model, x, target, len(taken), hidden, fill, batch_size, progress).to(maps)
        sums = maps.new_zeros(n_regions).index_add(0, region.to(maps.device), maps[0])
        claimed, lost = subsets.to(maps) @ sums, scores[0] - scores[1:]
        return pearson(claimed.unflatten(0, (-1, n_subsets)), lost.unflatten(0, (-1, n_subsets)))[None]

    with mapped(model, inputs, attributions, target, 1) as rows:
        return torch.cat([correlations(*row, f) for row, f in zip(rows, as_fills(fill, inputs, axes), strict=True)])


def regions_of_cells(shape: Sequence[int], cells: int | None) -> Tensor:
    """Return which cell of a regular grid each element of a map of this shape lies in: LongTensor (P,)."""
    region = torch.zeros(1, dtype=torch.long)
    for size in shape:
        n_cells = size if cells is None else min(cells, size)
        along = torch.arange(size) * n_cells // size
        region = (region[:, None] * n_cells + along).flatten()
    return region


# ------------------------------------------------------------------------------------------------------------ stability


class Stability(NamedTuple):
    """How much a map moves when its input trembles: ‖map of the noisy input − map‖ / ‖map‖, 0 at best."""

    largest: Tensor  # (N,)
    mean: Tensor  # (N,)


def stability(
    model: Model,
    inputs: Tensor,
    explain: Explainer,
    target: Target = None,
    *,
    noise_level: float = 0.02,
    n_samples: int = 5,
    seed: int = 0,
    batch_size: int = BATCH_SIZE,
) -> Stability:
    """Relative change of explain(model, inputs, target) under uniform noise too small to see: largest and mean, (N,).

    noise_level: of the largest noise, as a fraction of each input's range; the model's own prediction for the clean
    input is explained throughout. NaN where the map of the clean input is zero. n_samples + 1 explanations; one
    forward pass more when target is None. For options of the explainer give `partial(explain, layer=…)`. The largest
    is max-sensitivity ÷ ‖map‖, estimated by sampling: more samples can only raise it. Yeh et al. 2019,
    arXiv 1901.09392.
    """
    check_amount("noise_level", noise_level)
    check_count("n_samples", n_samples)
    with explaining(model, inputs, target, batch_size) as chunks:
        target = torch.cat([known_target(model, x, t) for x, t in chunks])
    inputs, source = inputs.detach(), generator(seed)
    reach = noise_level * value_range(inputs)  # (N, 1, ...)
    clean = maps_of(explain, model, inputs, target)
    changes = []
    for _ in range(n_samples):
        noise = 2 * torch.rand((1, *inputs.shape[1:]), generator=source, dtype=torch.float64) - 1  # shared by the rows
        noisy = maps_of(explain, model, inputs + reach * noise.to(inputs), target)
        changes.append((noisy - clean).norm(dim=1))
    size = clean.norm(dim=1)
    relative = torch.stack(changes) / torch.where(size > 0, size, torch.nan)  # (n_samples, N)
    return Stability(relative.amax(dim=0), relative.mean(dim=0))


def maps_of(explain: Explainer, model: Model, inputs: Tensor, target: Tensor) -> Tensor:
    """Return the maps of an explainer, one row of elements for each input: (N, E)."""
    if not callable(explain):
        raise ValueError(f"`explain` must be an explainer f(model, inputs, target), got {described(explain)}")
    maps = explain(model, inputs, target)
    per_place(
        maps, inputs, axes_of(model, inputs)
    )  # to check them only: a change from one channel to another is a change
    return maps.detach().flatten(1)


# --------------------------------------------------------------------------------------------------------------- parts


@contextmanager
def mapped(
    model: Model, inputs: Tensor, attributions: Tensor, target: Target, batch_size: int
) -> Iterator[Iterator[tuple[Tensor, Tensor | None, Tensor]]]:
    """`explaining`, with the checked attribution of each place: yields (x, target, maps (n, P))."""
    check_inputs(inputs)
    maps = per_place(attributions, inputs, axes_of(model, inputs)).to(inputs.device)
    with explaining(model, inputs, target, batch_size, maps) as chunks:
        yield chunks


def check_shares(shares: Sequence[float]) -> None:
    """Raise ValueError unless shares are a list of numbers in (0, 1]."""
    listed = isinstance(shares, list | tuple)
    if not listed or not shares or not all(isinstance(s, Real) and 0 < s <= 1 for s in shares):
        raise ValueError(f"`shares` must be a list of numbers in (0, 1], got {shares!r}")
