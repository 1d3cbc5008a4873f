"""Correlations of many rows at once: Pearson's, and Spearman's of their ranks."""

import torch
from torch import Tensor, nn

from .arguments import described

ROWS = 16  # ranked at once: the memory of more is for nothing


def pearson(a: Tensor, b: Tensor) -> Tensor:
    """Return Pearson's r of each row of a and b: (N, n), (N, n) -> (N,) float64; NaN where one is constant."""
    deviations = []
    for values in (a, b):
        rounding = 16 * torch.finfo(values.dtype).eps * values.abs().amax(dim=1, keepdim=True)
        deviation = values.double() - values.double().mean(dim=1, keepdim=True)
        deviations.append(torch.where((deviation.abs() > rounding).any(dim=1, keepdim=True), deviation, torch.nan))
    return _cosine(*deviations)


def rank_correlation(a: Tensor, b: Tensor) -> Tensor:
    """Spearman's ρ of each row of a with the same row of b: (N, ...), (N, ...) -> (N,) float64.

    Ties get the mean of their ranks, as in scipy. NaN where a or b is constant: what orders nothing agrees with
    nothing and disagrees with nothing, and a 0 would pass for "these maps are unrelated". Numbers are compared in
    their own precision. Raises ValueError for NaN or infinite values. Spearman 1904, American Journal of Psychology 15.
    """
    for name, maps in (("a", a), ("b", b)):
        if not isinstance(maps, Tensor) or not maps.is_floating_point() or maps.ndim < 2 or maps[:1].numel() < 2:
            raise ValueError(f"`{name}` must be a floating tensor (N, ...) of maps, got {described(maps)}")
        if not torch.stack(maps.aminmax()).isfinite().all():  # one pass over the maps, where isfinite() makes three
            raise ValueError(f"`{name}` must be finite, got NaN or infinite values")
    if a.shape != b.shape:
        raise ValueError(f"`b` must be maps of the shape of `a`, {tuple(a.shape)}, got shape {tuple(b.shape)}")
    pairs = zip(a.detach().flatten(1).split(ROWS), b.detach().flatten(1).split(ROWS), strict=True)
    return torch.cat([_cosine(centred_ranks(x), centred_ranks(y)) for x, y in pairs])


def centred_ranks(rows: Tensor) -> Tensor:
    """Return twice the distance of each value's rank to the mean rank of its row, ties alike: (N, n) float64."""
    n = rows.shape[1]
    ordered, order = rows.sort(dim=1)
    place = torch.arange(n, device=rows.device).expand_as(rows)
    changes = ordered.diff(dim=1) != 0  # (N, n − 1)
    begins, ends = (nn.functional.pad(changes, sides, value=True) for sides in ((1, 0), (0, 1)))
    first = torch.where(begins, place, 0).cummax(dim=1).values  # of the values that are alike
    last = torch.where(ends, place, n).flip(1).cummin(dim=1).values.flip(1)
    ranks = (first + last + 1 - n).double()
    return torch.empty_like(ranks).scatter_(1, order, ranks)


def _cosine(a: Tensor, b: Tensor) -> Tensor:
    """Return the cosine of each row of a and b: (N, n), (N, n) -> (N,); NaN where one is zero."""
    return (a * b).sum(dim=1) / (a.square().sum(dim=1) * b.square().sum(dim=1)).sqrt()
