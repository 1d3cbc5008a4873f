"""What every score asks of attributions first: that they fit, are finite, and say one number per place."""

import torch
from torch import Tensor

from ..core.arguments import described
from ..explain.fills import spatial_axes


def per_place(attributions: Tensor, inputs: Tensor, axes: range | None = None) -> Tensor:
    """Sum attributions over the channels: (N, C or 1, H, W) for inputs (N, C, H, W) -> (N, H·W); (N, T, D) -> (N, T).

    axes: the spatial ones, None for what is usual.

    With their signs: contributions of the channels of a place add up, and a place that is red for and blue against
    the class is neither. Take `.abs()` before where size is meant. Raises ValueError for another shape, and for NaN.
    """
    if not isinstance(attributions, Tensor) or not attributions.is_floating_point():
        raise ValueError(f"`attributions` must be a floating tensor, got {described(attributions)}")
    if attributions.numel() == 0:
        raise ValueError(f"`attributions` must hold at least one map, got shape {tuple(attributions.shape)}")
    spatial = axes or spatial_axes(inputs.ndim)
    fits = attributions.ndim == inputs.ndim and all(
        size == wanted or (size == 1 and axis > 0 and axis not in spatial)
        for axis, (size, wanted) in enumerate(zip(attributions.shape, inputs.shape, strict=True))
    )
    if not fits:
        expected = f"one map for each of the inputs {tuple(inputs.shape)}, of their size"
        raise ValueError(f"`attributions` must be {expected}, got shape {tuple(attributions.shape)}")
    if not attributions.isfinite().all():
        raise ValueError("`attributions` must be finite, got NaN or infinite values")
    channels = [axis for axis in range(1, inputs.ndim) if axis not in spatial]
    attributions = attributions.detach()
    return (attributions.sum(channels) if channels else attributions).flatten(1)


def place_shape(inputs: Tensor, axes: range | None = None) -> list[int]:
    """Return the shape of one map that broadcasts against inputs: (N, C, H, W) -> [1, H, W]; (N, T, D) -> [T, 1]."""
    spatial = axes or spatial_axes(inputs.ndim)
    return [inputs.shape[axis] if axis in spatial else 1 for axis in range(1, inputs.ndim)]


def random_tie_order(values: Tensor, source: torch.Generator) -> Tensor:
    """Return the place of each value in descending order, ties at random: (N, P) -> LongTensor (N, P) of 0 … P−1.

    The rows share the draw, so that a row's result does not depend on its neighbours.
    """
    shuffled = torch.randperm(values.shape[1], generator=source).to(values.device)
    order = shuffled[values[:, shuffled].argsort(dim=1, descending=True, stable=True)]
    return order.argsort(dim=1)
