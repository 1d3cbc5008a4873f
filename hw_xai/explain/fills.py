"""What a hidden part of an input shows instead. The answer of a perturbation method is about this choice too.

Spatial axes are those that a window moves along: H and W of pictures (N, C, H, W), T of sequences (N, T, D) and of
signals (N, C, T) that a Conv1d reads, F of tables (N, F). The other axes are channels: they are hidden together.
"""

from collections.abc import Callable
from functools import partial
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from ..core.arguments import like_inputs
from ..core.lending import borrowed, lent
from ..core.model import called
from ..core.protocols import Model
from ..errors import nearest

Fill = Literal["zero", "channel_mean", "blur", "inpaint"] | float | Tensor | Callable[[Tensor, Tensor], Tensor]
Filler = Callable[[Tensor], Tensor]  # which elements are hidden (k, ...) -> what they show, broadcasts to (k, ...)

BLUR = 0.1  # σ as a share of the side: nothing of the size of a window is left to see


def as_fills(fill: Fill, inputs: Tensor, axes: range | None = None) -> list[Filler]:
    """Return for each input, whose spatial axes are known, the function that says what its hidden elements show.

    fill: "zero", "channel_mean", "blur" or "inpaint"; a number; a tensor that broadcasts to inputs, such as the colour
    (C, 1, 1) of the data set's mean; or a function of one input (1, ...) and the hidden elements, True in (k, ...).
    """
    inputs = inputs.detach()
    if isinstance(fill, str):
        fill = _named(fill, inputs.ndim)
        fill = fill if fill is inpainted else fill(inputs, axes)
    if callable(fill):
        return [partial(_answer, fill, x) for x in inputs.split(1)]
    return [partial(constant, value) for value in like_inputs("fill", fill, inputs).split(1)]


def constant(value: Tensor, hidden: Tensor) -> Tensor:
    """Show value, whatever else is hidden."""
    return value


def spatial_axes(ndim: int) -> range:
    """Return the axes of a batch (N, ...) that a window moves along."""
    return range(2, ndim) if ndim > 3 else range(1, 2)


def axes_of(model: Model, inputs: Tensor) -> range:
    """Return the spatial axes of inputs (N, ...) as the model reads them: a module with a Conv1d may take (N, C, T)."""
    usual = spatial_axes(inputs.ndim)
    modules = model.modules() if inputs.ndim == 3 and isinstance(model, nn.Module) else []
    first = next((module for module in modules if isinstance(module, nn.Conv1d)), None)
    if first is None or first.in_channels != inputs.shape[1]:
        return usual
    if inputs.shape[1] != inputs.shape[2]:
        return range(2, 3)
    seen: list[Tensor] = []  # as many channels as steps: does the convolution get the inputs turned round?
    with torch.no_grad(), lent(model), borrowed(first).register_forward_pre_hook(lambda _, args: seen.extend(args[:1])):
        called(borrowed(model), inputs[:1])
    turned = bool(seen) and seen[0].shape == inputs[:1].shape and torch.equal(seen[0], inputs[:1].mT.to(seen[0]))
    return usual if turned else range(2, 3)


def zeros(x: Tensor, axes: range | None = None) -> Tensor:
    """Return zeros (n, ...)."""
    return torch.zeros_like(x)


def channel_means(x: Tensor, axes: range | None = None) -> Tensor:
    """Replace each element by the mean of its channel: (n, C, H, W) -> (n, C, H, W)."""
    return x.mean(tuple(axes or spatial_axes(x.ndim)), keepdim=True).expand_as(x)


def blurred(x: Tensor, axes: range | None = None) -> Tensor:
    """Blur with a Gaussian of σ = BLUR · side along each spatial axis, up to the edge: (n, ...) -> (n, ...)."""
    for axis in axes or spatial_axes(x.ndim):
        place = torch.arange(x.shape[axis], device=x.device, dtype=x.dtype)
        weight = torch.exp(-((place[:, None] - place) ** 2) / (2 * (BLUR * len(place)) ** 2))
        weight = weight / weight.sum(dim=0)  # also at the edge, where part of the bell lies outside
        x = (x.transpose(axis, -1) @ weight).transpose(axis, -1)
    return x


def inpainted(x: Tensor, hidden: Tensor) -> Tensor:
    """Continue the picture into its hidden pixels: (1, C, H, W), (k, 1 or C, H, W) -> (k, C, H, W).

    OpenCV's inpainting with a radius of 3 pixels, on the CPU; a channel with nothing left to see gets its mean.
    Telea 2004, Journal of Graphics Tools 9.
    """
    import cv2  # late: OpenCV, for this fill only

    picture = x[0].double().cpu().numpy()  # (C, H, W)
    low, high = picture.min((1, 2), keepdims=True), picture.max((1, 2), keepdims=True)
    # OpenCV adds up to 1.4 grey levels along edges: nothing on 0 to 65535, more than all on 0 to 1, which it takes too
    step = np.maximum(high - low, 1e-300) / 65535
    levels = ((picture - low) / step).round().astype(np.uint16)
    masks = hidden.expand(len(hidden), *picture.shape).cpu().numpy().astype(np.uint8)  # (k, C, H, W)
    painted = np.empty(masks.shape)
    for row, channel in np.ndindex(masks.shape[:2]):
        level, mask = levels[channel], masks[row, channel]
        painted[row, channel] = level.mean() if mask.all() else cv2.inpaint(level, mask, 3, cv2.INPAINT_TELEA)
    return torch.from_numpy(painted * step + low).to(x)


# the name, what it does, the least dimensions of inputs that it makes sense for
_NAMED: dict[str, tuple[Callable[..., Tensor], int]] = {
    "zero": (zeros, 2),
    "channel_mean": (channel_means, 3),
    "blur": (blurred, 3),
    "inpaint": (inpainted, 4),
}


def _named(name: str, ndim: int) -> Callable[..., Tensor]:
    if name not in _NAMED:
        names = ", ".join(f'"{known}"' for known in _NAMED)
        raise ValueError(
            f'`fill` must be {names}, a number, a tensor or a function, got "{name}".{nearest(name, _NAMED)}'
        )
    function, least = _NAMED[name]
    if ndim < least or (function is inpainted and ndim > 4):
        kinds = {3: "inputs with spatial axes and channels, (N, T, D) or (N, C, H, W)", 4: "pictures (N, C, H, W)"}
        raise ValueError(f'`inputs` must be {kinds[least]} for the fill "{name}", got {ndim} dimensions')
    return function


def _answer(function: Callable[[Tensor, Tensor], Tensor], x: Tensor, hidden: Tensor) -> Tensor:
    return like_inputs("fill", function(x, hidden), x.expand(len(hidden), *x.shape[1:]))
