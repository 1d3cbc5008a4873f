"""How strange an input looks to the network once a part of it is hidden: the price of every perturbation method."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..core.arguments import check_batch_size
from ..core.batches import explaining
from ..core.layers import find_layer, record
from ..core.memory import fitting_chunks
from ..core.model import scores_of
from ..core.protocols import Layer
from .fills import Fill, as_fills, spatial_axes
from .perturbation import window_covers, windows_at


def fill_shift(
    model: nn.Module,
    inputs: Tensor,
    *,
    fills: Sequence[Fill] = ("zero", "channel_mean", "blur", "inpaint"),
    window: float = 16,
    stride: float = 16,
    layer: Layer = None,
    batch_size: int | None = None,
) -> Tensor:
    """Mean over windows of ‖features(a window hidden) − features(inputs)‖ / ‖features(inputs)‖, for each fill.

    (N, C, H, W) -> (len(fills), N). The features are the means of a layer's maps, by default of the last convolution's.
    Hiding the same windows takes away the same things, so what one fill moves more than another is of its own making.
    fills, window, stride: as for `occlusion`. One forward pass for each input, window and fill, and one for each input.
    Hooker et al. 2018, arXiv 1806.10758, on why it matters.
    """
    check_batch_size(batch_size)

    def features(x: Tensor) -> Tensor:  # (n, ...) -> (n, channels)
        with record(model, [layer]) as seen:
            scores_of(model, x)
        found = seen[layer]
        return found.flatten(2).mean(dim=2) if found.ndim > 2 else found

    with explaining(model, inputs, None, 1) as rows:
        layer = find_layer(model, layer)
        covers = [cover.to(inputs.device) for cover in window_covers(inputs.shape[1:], window, stride)]
        n_windows = torch.Size([len(cover) for cover in covers]).numel()
        map_shape = [size if axis in spatial_axes(inputs.ndim) else 1 for axis, size in enumerate(inputs.shape)][1:]
        fillers = zip(*(as_fills(fill, inputs) for fill in fills), strict=True)  # N × one for each fill
        shifts = []
        for (x, _), of_input in zip(rows, fillers, strict=True):
            clean = features(x)  # (1, channels)
            moved = torch.zeros(len(fills)).to(clean)
            for chunk in fitting_chunks(model, n_windows, batch_size):
                hidden = windows_at(covers, chunk).reshape(len(chunk), *map_shape)
                for i, fill in enumerate(of_input):
                    moved[i] += (features(torch.where(hidden, fill(hidden), x)) - clean).norm(dim=1).sum()
            shifts.append(moved / n_windows / clean.norm())
        return torch.stack(shifts, dim=1)
