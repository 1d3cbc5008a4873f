"""What embeddings show: how alike vectors are, and what centring and scaling change about it.

Arrays in, arrays out. See `projection` for plots of them, and `separation` for the senses of a word.
"""

from collections.abc import Callable
from typing import overload

import numpy as np
import torch
from torch import Tensor

from ..core.arguments import described

Array = np.ndarray | Tensor

TRANSFORMS = ("raw", "centred", "z-scored")


@overload
def cosine_similarity(a: np.ndarray, b: Array | None = None) -> np.ndarray: ...
@overload
def cosine_similarity(a: Tensor, b: Array | None = None) -> Tensor: ...
def cosine_similarity(a: Array, b: Array | None = None) -> Array:
    """Cosine of the angle between each row of a and each row of b: (n, d), (m, d) -> (n, m); b None is a.

    A vector (d,) in place of a matrix leaves out its dimension: two vectors give one number. numpy gives numpy, torch
    gives torch. The cosine with a zero vector is 0.
    """
    return _pairwise(lambda a, b: (unit(a) @ unit(b).mT).clamp(-1, 1), a, b)


@overload
def euclidean_distance(a: np.ndarray, b: Array | None = None) -> np.ndarray: ...
@overload
def euclidean_distance(a: Tensor, b: Array | None = None) -> Tensor: ...
def euclidean_distance(a: Array, b: Array | None = None) -> Array:
    """Length of the difference between each row of a and each row of b: (n, d), (m, d) -> (n, m); b None is a.

    Vectors and kinds as for `cosine_similarity`. Differences are taken first: equal rows are exactly 0 apart.
    """
    return _pairwise(lambda a, b: torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist"), a, b)


def unit(x: Tensor) -> Tensor:
    """Scale each row to length 1, and leave a zero row zero: (n, d) -> (n, d)."""
    x = x / x.abs().amax(dim=1, keepdim=True).clamp(min=torch.finfo(x.dtype).tiny)  # no square overflows
    return x / x.norm(dim=1, keepdim=True).clamp(min=0.5)  # 1 or more unless the row is zero


def _pairwise(measure: Callable[[Tensor, Tensor], Tensor], a: Array, b: Array | None) -> Array:
    """Apply measure (n, d), (m, d) -> (n, m) to vectors or matrices of either kind."""
    as_numpy = not isinstance(a, Tensor)
    a = as_rows("a", a)
    b = a if b is None else as_rows("b", b).to(a)
    if a.shape[-1] != b.shape[-1]:
        raise ValueError(f"`a` and `b` must have the same number of columns, got {tuple(a.shape)} and {tuple(b.shape)}")
    # half precision keeps three digits: compute in single
    wide = torch.promote_types(a.dtype, torch.float32)
    result = measure(torch.atleast_2d(a).to(wide), torch.atleast_2d(b).to(wide)).to(a.dtype)
    result = result.reshape(a.shape[:-1] + b.shape[:-1])
    return result.detach().numpy()[()] if as_numpy else result


def as_rows(name: str, value: Array) -> Tensor:
    """Return a vector or matrix as a floating tensor (d,) or (n, d)."""
    try:
        rows = value if isinstance(value, Tensor) else torch.from_numpy(np.array(value))
    except (TypeError, ValueError):  # of objects or of rows of different lengths
        raise ValueError(f"`{name}` must be a vector (d,) or a matrix (n, d), got {described(value)}") from None
    if rows.ndim not in (1, 2) or rows.numel() == 0:
        raise ValueError(f"`{name}` must be a vector (d,) or a matrix (n, d), got shape {tuple(rows.shape)}")
    rows = rows if rows.is_floating_point() else rows.double()
    if not rows.isfinite().all():
        raise ValueError(f"`{name}` must be finite, got NaN or infinite values")
    return rows


def transformed(vectors: np.ndarray, reference: np.ndarray, transform: str) -> np.ndarray:
    """Return vectors (n, d) raw, centred, or z-scored by the mean and deviation of reference (m, d)."""
    if transform == "raw":
        return vectors
    centred = vectors - reference.mean(axis=0)
    # at the scale of rounding a dimension is constant, and dividing by it would make noise of equal vectors
    deviation = reference.std(axis=0)
    constant = deviation <= 1e-6 * np.sqrt(np.square(reference).mean())
    centred[:, constant] = 0
    return centred if transform == "centred" else centred / np.where(constant, 1, deviation)
