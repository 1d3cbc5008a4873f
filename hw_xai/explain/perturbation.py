"""Explanations from what the score does when parts of an input are hidden: any function is a model, no gradient needed.

Each input is explained on its own, batch_size masked copies at a time. The scores are taken as the model gives them:
to explain probabilities, wrap it: `lambda x: model(x).softmax(dim=1)`.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from numbers import Real

import numpy as np
import torch
from torch import Tensor, nn

from ..core.arguments import check_batch_size, check_count, described
from ..core.batches import explaining, progress_bar
from ..core.memory import fitting_chunks
from ..core.model import known_target, score_of_target
from ..core.preparing import prepared
from ..core.protocols import Model, Target
from ..core.randomness import generator
from .fills import Fill, Filler, as_fills, axes_of, spatial_axes

# ---------------------------------------------------------------------------------------------------------- occlusion


def occlusion(
    model: Model,
    inputs: Tensor,
    target: Target = None,
    *,
    window: float = 16,
    stride: float = 8,
    fill: Fill = "zero",
    batch_size: int | None = None,
    progress: bool = False,
) -> Tensor:
    """score(inputs) − score(inputs with a window hidden), averaged over the windows that cover an element.

    (N, C, H, W) -> (N, 1, H, W); sequences (N, T, D) -> (N, T, 1); signals (N, C, T) of a module with a Conv1d ->
    (N, 1, T); tables (N, F) -> (N, F). window, stride: elements, or as a float in (0, 1] the share of each side. The
    last window of a row is moved back to end at the edge, so all have the same size (Captum cuts it off). fill: "zero",
    "channel_mean", "blur", "inpaint"; a number; a tensor that broadcasts to inputs, such as the data set's mean colour
    (C, 1, 1); or a function of one input (1, ...) and the hidden elements, True in (k, 1, H, W). One forward pass for
    each window and one for the input; one more when target is None. Zeiler and Fergus 2013, arXiv 1311.2901.

    >>> from hw_xai.explain import occlusion
    >>> from hw_xai.testing import pictures, small_network
    >>> occlusion(small_network(), pictures(), window=8, stride=8).shape
    torch.Size([3, 1, 16, 16])
    """
    check_batch_size(batch_size)

    def occluded(x: Tensor, target: Tensor | None, fill: Filler) -> Tensor:  # (1, C, H, W) -> (1, 1, H, W)
        target = known_target(model, x, target)
        covers = [cover.to(x.device) for cover in window_covers(x.shape[1:], window, stride, axes)]
        grid = [len(cover) for cover in covers]
        map_shape = [size if axis in axes else 1 for axis, size in enumerate(x.shape)]

        def hidden(chunk: range) -> Tensor:  # (k, 1, H, W)
            return windows_at(covers, chunk).reshape(len(chunk), *map_shape[1:])

        masked = hidden_scores(model, x, target, math.prod(grid), hidden, fill, batch_size, progress)
        drops = score_of_target(model, x, target) - masked
        return mean_over_windows(drops.reshape(grid), covers).reshape(map_shape).to(x)

    with explaining(model, inputs, target, 1) as rows:
        axes = axes_of(model, inputs)
        n_windows = window_count(inputs.shape[1:], window, stride, axes)
        with prepared(model, inputs, n_windows * len(inputs)):
            fills = as_fills(fill, inputs, axes)
            return torch.cat([occluded(x, t, f) for (x, t), f in zip(rows, fills, strict=True)])


def window_covers(shape: Sequence[int], window: float, stride: float, axes: range | None = None) -> list[Tensor]:
    """Return for each spatial axis of an input of this shape which elements each window covers: bool (n_windows, size).

    The windows of an input are all combinations of one window per axis. axes: None for what is usual.
    """
    covers = []
    for axis in axes or spatial_axes(len(shape) + 1):
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


def window_count(shape: Sequence[int], window: float, stride: float, axes: range | None = None) -> int:
    """Return how many windows hide a part of an input of this shape (C, H, W)."""
    return math.prod(len(cover) for cover in window_covers(shape, window, stride, axes))


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
    batch_size: int | None = None,
    progress: bool = False,
) -> Tensor:
    """Σ score(inputs ⊙ M) · M / (n_samples · p) over random soft masks M: the mean score while an element is seen.

    (N, C, H, W) -> (N, 1, H, W). A mask is a grid of cells × cells squares, each open with probability p, enlarged
    bilinearly and shifted at random. The map carries the mean score as an offset: compare places, not methods.
    n_samples forward passes; one more when target is None. The authors take 4000 to 8000 masks and the probability
    of the class as its score. Petsiuk et al. 2018, arXiv 1806.07421.

    >>> from hw_xai.explain import rise
    >>> from hw_xai.testing import pictures, small_network
    >>> rise(small_network(), pictures(), n_samples=20).shape
    torch.Size([3, 1, 16, 16])
    """
    check_count("n_samples", n_samples)
    check_count("cells", cells)
    check_batch_size(batch_size)
    if isinstance(p, bool) or not isinstance(p, Real) or not 0 < p <= 1:
        raise ValueError(f"`p` must be a number in (0, 1], got {described(p)}")

    def averaged(x: Tensor, target: Tensor | None) -> Tensor:  # (1, C, H, W) -> (1, 1, H, W)
        target = known_target(model, x, target)
        total = 0
        with progress_bar(n_samples, "masks", progress) as bar:
            chunks = fitting_chunks(model, n_samples, batch_size)
            for masks in soft_masks(x, n_samples, cells, p, seed, chunks):  # (k, 1, H, W)
                scores = score_of_target(model, x * masks, target.expand(len(masks)))
                total = total + torch.tensordot(scores.to(x), masks, dims=1)
                bar.update(len(masks))
        return total[None] / (n_samples * p)

    with explaining(model, inputs, target, 1) as rows, prepared(model, inputs, n_samples * len(inputs)):
        if inputs.ndim != 4:
            raise ValueError(f"`inputs` must be pictures (N, C, H, W), got shape {tuple(inputs.shape)}")
        return torch.cat([averaged(x, t) for x, t in rows])


def soft_masks(x: Tensor, n_samples: int, cells: int, p: float, seed: int, chunks: Iterable[range]) -> Iterator[Tensor]:
    """Yield RISE's masks for x (1, C, H, W), those of one chunk at a time: (k, 1, H, W) in [0, 1].

    Masks come in pairs, one open where the other is shut: each is drawn like the authors', their sum has less noise.
    """
    source = generator(seed)
    pairs = -(-n_samples // 2)
    uniform = torch.rand((pairs, 1, cells, cells), generator=source)
    grids = (torch.cat([uniform, 1 - uniform], dim=1).flatten(0, 1) < p).to(x)  # (2·pairs, cells, cells)
    sides = [(-(-size // cells), size) for size in x.shape[2:]]  # the cell's and the picture's, in pixels
    shifts = [torch.randint(cell, (pairs, 1), generator=source).repeat_interleave(2, dim=0) for cell, _ in sides]
    enlarge = [_enlargement(cells, cell).to(x) for cell, _ in sides]  # ((cells + 1) · cell, cells)
    for chunk in chunks:
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


# -------------------------------------------------------------------------------------------------------------- parts


def hidden_scores(
    model: Model,
    x: Tensor,
    target: Tensor,
    n: int,
    hidden: Callable[[range], Tensor],
    fill: Filler,
    batch_size: int | None,
    progress: bool,
) -> Tensor:
    """Return the scores (n,) of x (1, ...) with n sets of elements hidden; hidden(chunk): bool (k, ...)."""
    scores = []
    with progress_bar(n, "masked inputs", progress) as bar:
        for chunk in fitting_chunks(model, n, batch_size):
            mask = hidden(chunk)
            masked = torch.where(mask, fill(mask), x)  # (k, ...)
            scores.append(score_of_target(model, masked, target.expand(len(masked))))
            bar.update(len(chunk))
    return torch.cat(scores)
