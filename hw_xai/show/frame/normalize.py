"""From attributions to numbers a colour can stand for. Nothing else in hw_xai normalizes."""

import numpy as np
from numpy.typing import ArrayLike


def to_map(attribution: ArrayLike, signed: bool | None = None) -> np.ndarray:
    """Reduce (N,C,H,W) to (N,H,W) and (C,H,W) to (H,W): the sum over channels when signed, else the maximum.

    Signed evidence of the three colours may cancel, so it is added before anything takes its absolute value.
    An (H,W) map is returned as it is. NaN becomes 0 (no evidence) and ±inf the largest finite strength.
    """
    values = _finite(attribution)
    if values.ndim == 2:
        return values
    if values.ndim not in (3, 4):
        raise ValueError(f"`attribution` must be (H,W), (C,H,W) or (N,C,H,W), got the shape {values.shape}")
    if signed is None:
        signed = is_signed(values)
    return values.sum(axis=-3) if signed else values.max(axis=-3)


def is_signed(values: ArrayLike) -> bool:
    """Tell whether any value is below zero."""
    return bool((_finite(values) < 0).any())


def limits(maps: ArrayLike, percentile: float = 99, signed: bool | None = None) -> tuple[float, float]:
    """Return the values (low, high) at which the colours end, so that a few extreme pixels do not drown the rest.

    Signed: high is the percentile of |values| and low = -high, so that 0 lies in the middle.
    Unsigned: the percentiles from both ends; such a map only says which pixels matter more than others.
    A map whose few nonzero pixels all lie beyond the percentile ends at its extreme values; a constant unsigned
    map and an all-zero signed one say nothing and give low == high.
    """
    if not 50 < percentile <= 100:
        raise ValueError(f"`percentile` must be above 50 and at most 100, got {percentile}")
    values = _finite(maps)
    if values.size == 0:
        raise ValueError(f"`maps` must hold at least one value, got the shape {values.shape}")
    if is_signed(values) if signed is None else signed:
        strength = np.abs(values)
        high = float(np.percentile(strength, percentile)) or float(strength.max())
        return -high, high
    low, high = (float(value) for value in np.percentile(values, [100 - percentile, percentile]))
    return (low, high) if low < high else (float(values.min()), float(values.max()))


def scale(
    attribution: ArrayLike, percentile: float = 99, shared: bool = False, signed: bool | None = None
) -> np.ndarray:
    """Scale maps (..., H,W) for display: signed ones to [-1,1] around 0, unsigned ones to [0,1].

    Each (H,W) map gets its own limits, or all of them the same when `shared`: only then may their strengths
    be compared. `signed=None` looks whether any value is negative. Maps that say nothing become zeros.
    """
    values = _finite(attribution)
    if values.ndim < 2:
        raise ValueError(f"`attribution` must be (..., H,W), got the shape {values.shape}")
    if signed is None:
        signed = is_signed(values)
    if values.ndim > 2 and not shared:
        return np.stack([scale(one, percentile, signed=signed) for one in values])
    return stretch(values, *limits(values, percentile, signed))


def stretch(values: ArrayLike, low: float, high: float) -> np.ndarray:
    """Map [low, high] to [-1,1] when low is -high, else to [0,1], and clip what lies beyond."""
    values = _finite(values)
    if low == high:
        return np.zeros_like(values)
    if low == -high:
        return np.clip(values / high, -1, 1)
    return np.clip((values - low) / (high - low), 0, 1)


def _finite(values: ArrayLike) -> np.ndarray:
    """Return float64 values of an array or tensor, with NaN as 0 and ±inf as the strongest finite value."""
    if hasattr(values, "detach"):
        values = values.detach().cpu().float()
    values = np.asarray(values, dtype=np.float64)
    finite = np.isfinite(values)
    if finite.all():
        return values
    strongest = float(np.abs(values[finite]).max(initial=0.0)) or 1.0
    return np.nan_to_num(values, nan=0.0, posinf=strongest, neginf=-strongest)
