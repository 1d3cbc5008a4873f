"""The numbers behind the scores: rank correlation of many maps at once, and how sure a mean is."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..core.arguments import check_count, described


def rank_correlation(a: Tensor, b: Tensor) -> Tensor:
    """Spearman's ρ of each row of a with the same row of b: (N, ...), (N, ...) -> (N,) float64.

    Ties get the mean of their ranks, as in scipy. NaN where a or b is constant: what orders nothing agrees with
    nothing and disagrees with nothing, and a 0 would pass for "these maps are unrelated". Numbers are compared in
    their own precision, halves in float32; on the CPU, with as many threads as torch. Raises ValueError for NaN or
    infinite values. Spearman 1904, American Journal of Psychology 15.
    """
    from .ranks import correlate_rows  # compiled on first use

    for name, maps in (("a", a), ("b", b)):
        if not isinstance(maps, Tensor) or not maps.is_floating_point() or maps.ndim < 2 or maps[:1].numel() < 2:
            raise ValueError(f"`{name}` must be a floating tensor (N, ...) of maps, got {described(maps)}")
        if not torch.stack(maps.aminmax()).isfinite().all():  # one pass over the maps, where isfinite() makes three
            raise ValueError(f"`{name}` must be finite, got NaN or infinite values")
    if a.shape != b.shape:
        raise ValueError(f"`b` must be maps of the shape of `a`, {tuple(a.shape)}, got shape {tuple(b.shape)}")
    n_threads, found = torch.get_num_threads(), torch.empty(len(a), dtype=torch.float64)
    double = torch.float64 in (a.dtype, b.dtype)
    rows = [_bits(maps, double) for maps in (a, b)]
    if n_threads == 1:
        correlate_rows(*rows, found.numpy())
    else:
        pieces = zip(*(np.array_split(part, n_threads) for part in (*rows, found.numpy())), strict=True)
        with ThreadPoolExecutor(n_threads) as pool:
            list(pool.map(lambda piece: correlate_rows(*piece), pieces))
    return found.to(a.device)


def _bits(maps: Tensor, double: bool) -> np.ndarray:
    """Return maps as rows (N, n) of the integers that have the same bits."""
    maps = maps.detach().cpu().flatten(1).to(torch.float64 if double else torch.float32)
    return maps.numpy().view(np.uint64 if double else np.uint32)


class Interval(NamedTuple):
    """A mean and how far it may be off."""

    mean: float
    low: float
    high: float
    n: int  # how many values it is the mean of


def mean_interval(values: Tensor, *, level: float = 0.95, n_resamples: int = 2000, seed: int = 0) -> Interval:
    """Mean of values (N,) with the interval in which `level` of the means of resampled values lie.

    NaN stands for a score that is not defined for its input and is left out; n says how many were left. Without any,
    all is NaN; with one, the interval is. The percentile bootstrap: no assumption on the distribution, a little narrow
    below about 20 values. Efron and Tibshirani 1993, An Introduction to the Bootstrap.
    """
    check_count("n_resamples", n_resamples)
    check_count("seed", seed, least=0)
    if isinstance(level, bool) or not isinstance(level, float) or not 0 < level < 1:
        raise ValueError(f"`level` must be a number between 0 and 1, got {described(level)}")
    if not isinstance(values, Tensor) or not values.is_floating_point() or values.ndim != 1 or values.isinf().any():
        raise ValueError(f"`values` must be a floating tensor (N,) of finite or NaN scores, got {described(values)}")
    known = values.detach().cpu().double()
    known = known[~known.isnan()].numpy()
    mean = float(known.mean()) if len(known) else np.nan
    if len(known) < 2:
        return Interval(mean, np.nan, np.nan, len(known))
    source = np.random.default_rng(seed)
    # how often each value is drawn, rather than which: one row of counts per resample
    counts = source.multinomial(len(known), np.full(len(known), 1 / len(known)), size=n_resamples)
    low, high = np.quantile(counts @ known / len(known), [(1 - level) / 2, (1 + level) / 2])
    return Interval(mean, float(low), float(high), len(known))


def with_nan(values: Sequence) -> Tensor:
    """Return numbers, or rows of equally many, as a float64 tensor, with NaN where there is None."""
    return torch.from_numpy(np.array(values, dtype=np.float64))
