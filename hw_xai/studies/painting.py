"""Parts of a picture covered by hand: what the network sees then."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ..explain.fills import Fill, as_fills


def painted(inputs: Tensor, masks: Tensor, fills: Sequence[Fill]) -> Tensor:
    """Return inputs (1, C, H, W) with what each of the masks (K, h, w) bool covers shown as its fill says.

    fills: one for each mask, as for `hw_xai.explain.occlusion`. One after the other: a later stroke lies on what the
    earlier ones left. Masks of another size are stretched, without new values in between.
    """
    for mask, fill in zip(masks, fills, strict=True):
        sized = torch.nn.functional.interpolate(mask[None, None].float(), inputs.shape[2:], mode="nearest-exact") > 0.5
        hidden = sized.to(inputs.device)  # (1, 1, H, W)
        if hidden.any():
            (filler,) = as_fills(fill, inputs)
            inputs = torch.where(hidden, filler(hidden), inputs)
    return inputs
