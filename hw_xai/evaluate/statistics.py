"""How sure a mean is, and numbers with gaps."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..core.arguments import check_count, described


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
    every = values.detach().cpu().double()
    known = every[~every.isnan()].numpy()
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
