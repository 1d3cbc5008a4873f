"""Explanations from what the score does when parts of an input are hidden: any function is a model, no gradient needed.

Each input is explained on its own, batch_size masked copies at a time. The scores are taken as the model gives them:
to explain probabilities, wrap it: `lambda x: model(x).softmax(dim=1)`.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from numbers import Real

import numpy as np
import torch
from torch import Tensor, nn

from .contract import (
    BATCH_SIZE,
    Model,
    Target,
    check_count,
    described,
    even_chunks,
    explaining,
    generator,
    known_target,
    progress_bar,
    score_of_target,
)
from .fills import Fill, Filler, as_fills, constant, spatial_axes
from .surrogate import Segments, as_regions, region_means

Worth = Callable[[Tensor], Tensor]  # which regions are shown (n, K) -> scores (n,), float64 on the CPU

# ---------------------------------------------------------------------------------------------------------- occlusion


def occlusion(
    model: Model,
    inputs: Tensor,
    target: Target = None,
    *,
    window: float = 16,
    stride: float = 8,
    fill: Fill = "zero",
    batch_size: int = BATCH_SIZE,
    progress: bool = False,
) -> Tensor:
    """score(inputs) − score(inputs with a window hidden), averaged over the windows that cover an element.

    (N, C, H, W) -> (N, 1, H, W); sequences (N, T, D) -> (N, T, 1); tables (N, F) -> (N, F). window, stride: elements,
    or as a float in (0, 1] the share of each side. The last window of a row is moved back to end at the edge, so all
    have the same size (Captum cuts it off). fill: "zero", "channel_mean", "blur", "inpaint"; a number; a tensor that
    broadcasts to inputs, such as the data set's mean colour (C, 1, 1); or a function of one input (1, ...) and the
    hidden elements, True in (k, 1, H, W). One forward pass for each window and one for the input; one more when target
    is None. Zeiler and Fergus 2013, arXiv 1311.2901.
    """
    check_count("batch_size", batch_size)

    def occluded(x: Tensor, target: Tensor | None, fill: Filler) -> Tensor:  # (1, C, H, W) -> (1, 1, H, W)
        target = known_target(model, x, target)
        covers = [cover.to(x.device) for cover in window_covers(x.shape[1:], window, stride)]
        grid = [len(cover) for cover in covers]
        map_shape = [size if axis in spatial_axes(x.ndim) else 1 for axis, size in enumerate(x.shape)]

        def hidden(chunk: range) -> Tensor:  # (k, 1, H, W)
            return windows_at(covers, chunk).reshape(len(chunk), *map_shape[1:])

        masked = hidden_scores(model, x, target, math.prod(grid), hidden, fill, batch_size, progress)
        drops = score_of_target(model, x, target) - masked
        return mean_over_windows(drops.reshape(grid), covers).reshape(map_shape).to(x)

    with explaining(model, inputs, target, 1) as rows:
        return torch.cat([occluded(x, t, f) for (x, t), f in zip(rows, as_fills(fill, inputs), strict=True)])


def window_covers(shape: Sequence[int], window: float, stride: float) -> list[Tensor]:
    """Return for each spatial axis of an input of this shape which elements each window covers: bool (n_windows, size).

    The windows of an input are all combinations of one window per axis.
    """
    covers = []
    for axis in spatial_axes(len(shape) + 1):
        size = shape[axis - 1]
        width, step = _elements("window", window, size), _elements("stride", stride, size)
        if width > size:
            raise ValueError(f"`window` must be at most {size}, the side of the inputs, got {width}")
        if step > width:
            raise ValueError(f"`stride` must be at most the window's {width}, so that all is covered, got {step}")
        first = torch.tensor([*range(0, size - width, step), size - width])[:, None]
        place = torch.arange(size)
        covers.append((first <= place) & (place < first + width))
    return covers


def window_count(shape: Sequence[int], window: float, stride: float) -> int:
    """Return how many windows hide a part of an input of this shape (C, H, W)."""
    return math.prod(len(cover) for cover in window_covers(shape, window, stride))


def windows_at(covers: list[Tensor], chunk: range) -> Tensor:
    """Return the windows numbered chunk.start to chunk.stop − 1, row after row: bool (k, H, W)."""
    # not torch's unravel_index: its first call imports symbolic algebra, for two seconds
    places = np.unravel_index(np.asarray(chunk), [len(cover) for cover in covers])
    windows = torch.ones(len(chunk), dtype=torch.bool, device=covers[0].device)
    for cover, place in zip(covers, places, strict=True):
        ones = [1] * (windows.ndim - 1)
        windows = windows[..., None] & cover[torch.from_numpy(place).to(cover.device)].reshape(len(chunk), *ones, -1)
    return windows


def mean_over_windows(values: Tensor, covers: list[Tensor]) -> Tensor:
    """Average one value per window over the windows that cover an element: (n_windows, n_windows) -> (H, W)."""
    for cover in covers:  # the windows form a grid: their mean is a mean along one axis, then along the next
        values = torch.tensordot(values, cover.to(values) / cover.sum(dim=0), dims=([0], [0]))
    return values


def _elements(name: str, length: float, size: int) -> int:
    """Return a length in elements: an int as it is, a float as a share of size, at least one."""
    if isinstance(length, float) and 0 < length <= 1:
        return max(1, round(length * size))
    if isinstance(length, int) and not isinstance(length, bool) and length >= 1:
        return length
    expected = "an integer of at least 1 or a float in (0, 1], a share of the side"
    raise ValueError(f"`{name}` must be {expected}, got {described(length)}")


# --------------------------------------------------------------------------------------------------------------- RISE


def rise(
    model: Model,
    inputs: Tensor,
    target: Target = None,
    *,
    n_samples: int = 4000,
    cells: int = 7,
    p: float = 0.5,
    seed: int = 0,
    batch_size: int = BATCH_SIZE,
    progress: bool = False,
) -> Tensor:
    """Σ score(inputs ⊙ M) · M / (n_samples · p) over random soft masks M: the mean score while an element is seen.

    (N, C, H, W) -> (N, 1, H, W). A mask is a grid of cells × cells squares, each open with probability p, enlarged
    bilinearly and shifted at random. The map carries the mean score as an offset: compare places, not methods.
    n_samples forward passes; one more when target is None. The authors take 4000 to 8000 masks and the probability
    of the class as its score. Petsiuk et al. 2018, arXiv 1806.07421.
    """
    check_count("n_samples", n_samples)
    check_count("cells", cells)
    check_count("batch_size", batch_size)
    if isinstance(p, bool) or not isinstance(p, Real) or not 0 < p <= 1:
        raise ValueError(f"`p` must be a number in (0, 1], got {described(p)}")

    def averaged(x: Tensor, target: Tensor | None) -> Tensor:  # (1, C, H, W) -> (1, 1, H, W)
        target = known_target(model, x, target)
        total = 0
        with progress_bar(n_samples, "masks", progress) as bar:
            for masks in soft_masks(x, n_samples, cells, p, seed, batch_size):  # (k, 1, H, W)
                scores = score_of_target(model, x * masks, target.expand(len(masks)))
                total = total + torch.tensordot(scores.to(x), masks, dims=1)
                bar.update(len(masks))
        return total[None] / (n_samples * p)

    with explaining(model, inputs, target, 1) as rows:
        if inputs.ndim != 4:
            raise ValueError(f"`inputs` must be pictures (N, C, H, W), got shape {tuple(inputs.shape)}")
        return torch.cat([averaged(x, t) for x, t in rows])


def soft_masks(x: Tensor, n_samples: int, cells: int, p: float, seed: int, batch_size: int) -> Iterator[Tensor]:
    """Yield RISE's masks for x (1, C, H, W), at most batch_size at a time: (k, 1, H, W) in [0, 1].

    Masks come in pairs, one open where the other is shut: each is drawn like the authors', their sum has less noise.
    """
    source = generator(seed)
    pairs = -(-n_samples // 2)
    uniform = torch.rand((pairs, 1, cells, cells), generator=source)
    grids = (torch.cat([uniform, 1 - uniform], dim=1).flatten(0, 1) < p).to(x)  # (2·pairs, cells, cells)
    sides = [(-(-size // cells), size) for size in x.shape[2:]]  # the cell's and the picture's, in pixels
    shifts = [torch.randint(cell, (pairs, 1), generator=source).repeat_interleave(2, dim=0) for cell, _ in sides]
    enlarge = [_enlargement(cells, cell).to(x) for cell, _ in sides]  # ((cells + 1) · cell, cells)
    for chunk in even_chunks(n_samples, batch_size):
        rows = slice(chunk.start, chunk.stop)
        down, across = (
            matrix[(shift[rows] + torch.arange(size)).to(x.device)]  # (k, size, cells)
            for matrix, shift, (_, size) in zip(enlarge, shifts, sides, strict=True)
        )
        yield (down @ grids[rows] @ across.mT)[:, None]


def _enlargement(cells: int, cell: int) -> Tensor:
    """Return the matrix ((cells + 1) · cell, cells) that enlarges one axis: bilinear is linear along each axis."""
    identity = torch.eye(cells, dtype=torch.float64)[None]  # (1, cells, cells)
    return nn.functional.interpolate(identity, size=(cells + 1) * cell, mode="linear", align_corners=False)[0].T


# ------------------------------------------------------------------------------------------------------------ Shapley


@dataclass(frozen=True)
class ShapleyValues:
    """What each region of one input adds to its score, and how sure that is."""

    segments: Tensor  # LongTensor (1, ...) that broadcasts against the input: the region of every element, 0 to K-1
    values: Tensor  # (K,) with Σ values = score − hidden_score
    standard_errors: Tensor  # (K,) of the sampling: 0 when exact, NaN when there were too few samples to tell
    score: float  # of the whole input
    hidden_score: float  # with every region hidden
    target: int

    @property
    def attribution(self) -> Tensor:
        """Return the value of each element's region, in the shape of segments."""
        return self.values[self.segments]


def shapley(
    model: Model,
    inputs: Tensor,
    target: Target = None,
    *,
    segments: Segments = None,
    method: str = "permutation",
    n_samples: int = 1000,
    fill: Fill | None = None,
    seed: int = 0,
    batch_size: int = BATCH_SIZE,
    progress: bool = False,
) -> Tensor:
    """Shapley value of each region: what showing it adds to the score, on average over all orders of showing them.

    (N, C, H, W) -> (N, 1, H, W); the values of an input's regions sum to score(inputs) − score(all hidden), and every
    element of a region gets its whole value. segments: as for `lime`. fill: as for `occlusion`, None for the region's
    own mean. method: "permutation" averages over pairs of a random order and its reverse, and gives a region without
    influence exactly 0; "kernel" (Kernel SHAP) is a regression on pairs of a random subset and its complement, with
    noise of one size on all regions; "exact" takes all subsets, of at most 12 regions. Forward passes for each input
    with K regions: 2^K for "exact", else at most n_samples, but no fewer than the 2K of one pair of orders; one more
    when target is None. Štrumbelj and Kononenko 2014, KAIS 41; Lundberg and Lee 2017, arXiv 1705.07874.
    """
    options = {"segments": segments, "method": method, "n_samples": n_samples, "fill": fill, "seed": seed}
    found = shapley_values(model, inputs, target, **options, batch_size=batch_size, progress=progress)
    return torch.cat([one.attribution for one in found])


def shapley_values(
    model: Model,
    inputs: Tensor,
    target: Target = None,
    *,
    segments: Segments = None,
    method: str = "permutation",
    n_samples: int = 1000,
    fill: Fill | None = None,
    seed: int = 0,
    batch_size: int = BATCH_SIZE,
    progress: bool = False,
) -> list[ShapleyValues]:
    """Return the values behind `shapley` for each input, with their standard errors. Options as there."""
    if method not in tuple(ESTIMATORS):
        raise ValueError(f'`method` must be "permutation", "kernel" or "exact", got {described(method)}')
    check_count("n_samples", n_samples, least=4)
    check_count("seed", seed, least=0)
    check_count("batch_size", batch_size)

    def shared_out(x: Tensor, target: Tensor | None, regions: Tensor, fill: Filler | None) -> ShapleyValues:
        target = known_target(model, x, target)
        n_regions = int(regions.max()) + 1
        fill = fill or partial(constant, region_means(x, regions))

        def worth(shown: Tensor, progress: bool = progress) -> Tensor:  # which regions are shown (n, K) -> scores (n,)
            hide = ~shown.to(x.device)

            def hidden(chunk: range) -> Tensor:  # (k, *regions.shape[1:])
                return hide[chunk.start : chunk.stop, regions[0]]

            scores = hidden_scores(model, x, target, len(shown), hidden, fill, batch_size, progress)
            return scores.double().cpu()

        none_and_all = worth(torch.tensor([[False], [True]]).expand(2, n_regions), progress=False)  # (2,)
        if n_regions == 1:
            values, errors = none_and_all.diff(), torch.zeros(1)
        else:
            values, errors = ESTIMATORS[method](worth, none_and_all, n_regions, n_samples, generator(seed))
        hidden_score, score = none_and_all.tolist()
        return ShapleyValues(regions, values.to(x), errors.to(x), score, hidden_score, int(target))

    with explaining(model, inputs, target, 1) as rows:
        regions = as_regions(segments, inputs)  # N × (1, ...)
        fills = [None] * len(inputs) if fill is None else as_fills(fill, inputs)
        return [shared_out(x, t, r, f) for (x, t), r, f in zip(rows, regions, fills, strict=True)]


def by_permutation(
    worth: Worth, none_and_all: Tensor, n_regions: int, n_samples: int, source: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Show the regions one after the other, in random orders and their reverses; average what each one adds."""
    n_pairs = max(1, (n_samples - 2) // (2 * (n_regions - 1)))
    ranks = random_ranks(n_pairs, n_regions, source)
    ranks = torch.stack([ranks, n_regions - 1 - ranks], dim=1).flatten(0, 1)  # (2·n_pairs, K)
    shown = ranks[:, None, :] < torch.arange(1, n_regions)[:, None]  # (2·n_pairs, K−1, K): after 1 ... K−1 steps
    ends = none_and_all.expand(len(ranks), 2)
    between = worth(shown.flatten(0, 1)).reshape(shown.shape[:2])
    steps = torch.cat([ends[:, :1], between, ends[:, 1:]], dim=1).diff(dim=1)  # (2·n_pairs, K): what a step adds
    gains = steps.gather(1, ranks).unflatten(0, (n_pairs, 2)).mean(dim=1)  # (n_pairs, K): what a region adds
    spread = gains.std(dim=0) if n_pairs > 1 else torch.full((n_regions,), math.nan)
    return gains.mean(dim=0), spread / math.sqrt(n_pairs)


def by_regression(
    worth: Worth, none_and_all: Tensor, n_regions: int, n_samples: int, source: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Fit score ≈ hidden_score + Σ of the shown regions' values to pairs of a random subset and its complement.

    A size s of K regions is drawn with the weight that makes this least squares problem Shapley's: 1 / (s (K − s)).
    """
    n_pairs, sizes = (n_samples - 2) // 2, torch.arange(1, n_regions)
    drawn = torch.multinomial(1 / (sizes * (n_regions - sizes)), n_pairs, replacement=True, generator=source)
    subsets = random_ranks(n_pairs, n_regions, source) < sizes[drawn, None]  # (n_pairs, K)
    shown = torch.stack([subsets, ~subsets], dim=1).flatten(0, 1)  # (2·n_pairs, K)
    hidden_score, total = none_and_all[0], none_and_all.diff()

    share = shown.double().mean(dim=1, keepdim=True)  # (2·n_pairs, 1)
    design = shown.double() - share  # its rows sum to zero and so does the solution: `total` is kept exactly
    excess = worth(shown) - hidden_score - share[:, 0] * total  # over sharing out `total` evenly
    inverse = torch.linalg.pinv(design)  # (K, 2·n_pairs)
    deviations = inverse @ excess  # (K,)
    residuals = excess - design @ deviations
    pushes = (inverse * residuals).unflatten(1, (n_pairs, 2)).sum(dim=2)  # (K, n_pairs): each pair's pull on a value
    free = n_pairs - (n_regions - 1)
    correction = n_pairs / free if free > 0 else math.nan
    return total / n_regions + deviations, (correction * pushes.square().sum(dim=1)).sqrt()


def by_enumeration(
    worth: Worth, none_and_all: Tensor, n_regions: int, n_samples: int, source: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Σ over all subsets S without region k of |S|! (K − |S| − 1)! / K! · (score of S and k − score of S)."""
    if n_regions > 12:
        raise ValueError(f'`segments` must have at most 12 regions for the method "exact", got {n_regions}')
    shown = (torch.arange(2**n_regions)[:, None] >> torch.arange(n_regions)) % 2 == 1  # (2^K, K)
    worths = torch.cat([none_and_all[:1], worth(shown[1:-1]), none_and_all[1:]])
    size = shown.sum(dim=1)
    # of all K! orders, those that show region k right after a subset of size s are one in so many
    one_in = torch.tensor([n_regions * math.comb(n_regions - 1, s) for s in range(n_regions)]).double()
    with_k, without_k = 1 / one_in[(size - 1).clamp(min=0)], 1 / one_in[size.clamp(max=n_regions - 1)]  # (2^K,)
    weights = torch.where(shown, with_k[:, None], -without_k[:, None])  # (2^K, K)
    return worths @ weights, torch.zeros(n_regions)


ESTIMATORS = {"permutation": by_permutation, "kernel": by_regression, "exact": by_enumeration}


def random_ranks(n: int, n_regions: int, source: torch.Generator) -> Tensor:
    """Return the place of each region in n random orders: (n, K)."""
    return torch.rand((n, n_regions), generator=source, dtype=torch.float64).argsort(dim=1)


def shapley_passes(method: str, n_samples: int, n_regions: int) -> int:
    """Return how many masked inputs `shapley` looks at."""
    if n_regions == 1:
        return 2
    if method == "exact":
        return 2**n_regions
    pair = 2 * (n_regions - 1) if method == "permutation" else 2  # of orders, or of subsets
    return 2 + max(1, (n_samples - 2) // pair) * pair


# -------------------------------------------------------------------------------------------------------------- parts


def hidden_scores(
    model: Model,
    x: Tensor,
    target: Tensor,
    n: int,
    hidden: Callable[[range], Tensor],
    fill: Filler,
    batch_size: int,
    progress: bool,
) -> Tensor:
    """Return the scores (n,) of x (1, ...) with n sets of elements hidden; hidden(chunk): bool (k, ...)."""
    scores = []
    with progress_bar(n, "masked inputs", progress) as bar:
        for chunk in even_chunks(n, batch_size):
            mask = hidden(chunk)
            masked = torch.where(mask, fill(mask), x)  # (k, ...)
            scores.append(score_of_target(model, masked, target.expand(len(masked))))
            bar.update(len(chunk))
    return torch.cat(scores)
