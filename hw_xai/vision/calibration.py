"""How sure a classifier may be: temperature, calibration error, and intervals of a share."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import UserError


def _check(scores: Tensor, target: Tensor) -> None:
    if scores.ndim != 2 or target.shape != scores.shape[:1] or not len(target):
        raise UserError(
            f"`scores` must be (N, C) and `target` (N,), N at least 1, got {tuple(scores.shape)} and "
            f"{tuple(target.shape)}"
        )


def fitted_temperature(scores: Tensor, target: Tensor, weight: Tensor | None = None) -> float:
    """Return the temperature T > 0 under which softmax(scores / T) gives the targets the highest likelihood.

    scores (N, C), target LongTensor (N,), weight (N,) of each photo, all the same by default. The loss is convex in
    1 / T, so that a search by thirds finds its minimum (Guo et al. 2017, arXiv 1706.04599). T stays in [0.05, 20].
    """
    _check(scores, target)
    weight = torch.ones(len(target)) if weight is None else weight
    scores, weight = scores.double(), weight.double() / weight.double().sum()

    def loss(inverse: float) -> float:
        return float((weight * F.cross_entropy(scores * inverse, target, reduction="none")).sum())

    low, high = 1 / 20, 20.0
    for _ in range(100):
        a, b = low + (high - low) / 3, high - (high - low) / 3
        low, high = (low, b) if loss(a) < loss(b) else (a, high)
    return 2 / (low + high)


def calibration_error(scores: Tensor, target: Tensor, n_bins: int = 15) -> float:
    """Return the expected calibration error of softmax(scores (N, C)): how far sureness is from being right.

    Bins of equal width over the largest probability; in each |mean probability − share right|, weighted by its photos.
    """
    _check(scores, target)
    sure, predicted = scores.double().softmax(1).max(1)
    right = (predicted == target).double()
    bins = (sure * n_bins).long().clamp(max=n_bins - 1)
    gap = torch.zeros(n_bins, dtype=torch.float64).index_add_(0, bins, sure - right)
    return float(gap.abs().sum() / len(target))


def share_interval(n_right: int, n: int, z: float = 1.96) -> tuple[float, float]:
    """Return Wilson's interval of the share n_right / n (95 % by default): right also near 0 and 1 and for small n."""
    if not 0 <= n_right <= n or n == 0:
        raise UserError(f"a share needs 0 <= n_right <= n and n at least 1, got {n_right} of {n}")
    share, spread = n_right / n, z * z / n
    middle = (share + spread / 2) / (1 + spread)
    half = z / (1 + spread) * math.sqrt(share * (1 - share) / n + spread / (4 * n))
    return max(0.0, middle - half), min(1.0, middle + half)


def interval_over_groups(right: Tensor, groups: Tensor, n_draws: int = 2000, seed: int = 0) -> tuple[float, float]:
    """Return the 95 % interval of the share that is right, each group (a dish) counting the same.

    right (N,) of 0 and 1; groups LongTensor (N,). Draws groups with replacement, not photos: two photos of one dish
    tell less than photos of two. Percentile bootstrap.
    """
    if right.shape != groups.shape or right.ndim != 1 or not len(right):
        raise UserError(f"`right` and `groups` must be (N,), got {tuple(right.shape)} and {tuple(groups.shape)}")
    _, row = groups.unique(return_inverse=True)
    sums = torch.zeros(int(row.max()) + 1, dtype=torch.float64).index_add_(0, row, right.double())
    shares = sums / torch.bincount(row)
    generator = torch.Generator().manual_seed(seed)
    drawn = shares[torch.randint(len(shares), (n_draws, len(shares)), generator=generator)].mean(1)
    low, high = torch.quantile(drawn, torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()
    return low, high
