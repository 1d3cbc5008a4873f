"""What a browser sends becomes a picture or a mask, within limits. No path from the browser is ever looked at.

Covers: bytes, pixels, kinds of values. Does not cover: faults of Pillow's own decoders.
"""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..errors import UserError
from ..vision.reading import read_photo_bytes

MOST_BYTES = 24 * 2**20  # of a photo: more than any phone makes
MOST_PIXELS = 64_000_000
MOST_REQUEST = 2**20  # bytes of any other request
MOST_STROKES = 24  # of different fills, one after the other
MOST_SIDE = 512  # of a mask
FILLS: dict[str, Any] = {"grey": 0.5, "channel_mean": "channel_mean", "blur": "blur", "inpaint": "inpaint", "zero": 0.0}


def read_picture(content: bytes) -> Image.Image:
    """Return an uploaded photo; UserError for what is none or is too large."""
    return read_photo_bytes(content, "the photo", MOST_PIXELS)


@dataclass(frozen=True)
class Paint:
    """What was painted over a picture."""

    masks: Tensor  # (K, h, w) bool
    fills: tuple[str, ...]  # K names of FILLS

    @property
    def key(self) -> tuple:
        """What tells it from other paint."""
        return (self.fills, self.masks.shape, np.packbits(self.masks.numpy()).tobytes())

    @property
    def values(self) -> list[Any]:
        """The fills as the methods take them."""
        return [FILLS[fill] for fill in self.fills]


def read_paint(strokes: Any) -> Paint:
    """Return the paint that a page sends: [{fill, side, bits}], bits: (side, side) in base64."""
    if not isinstance(strokes, list) or len(strokes) > MOST_STROKES:
        raise UserError(f"the paint must be a list of at most {MOST_STROKES} layers")
    masks, fills = [], []
    for stroke in strokes:
        if not isinstance(stroke, Mapping) or stroke.get("fill") not in FILLS:
            raise UserError(f"the paint must be one of {', '.join(FILLS)}")
        masks.append(_mask(stroke.get("side"), stroke.get("bits")))
        fills.append(stroke["fill"])
    if len({mask.shape for mask in masks}) > 1:
        raise UserError("all layers of the paint must have one size")
    return Paint(torch.from_numpy(np.stack(masks)) if masks else torch.zeros(0, 1, 1, dtype=torch.bool), tuple(fills))


def _mask(side: Any, bits: Any) -> np.ndarray:
    if isinstance(side, bool) or not isinstance(side, int) or not 1 <= side <= MOST_SIDE or not isinstance(bits, str):
        raise UserError(f"the mask of the paint must have a side of 1 to {MOST_SIDE}")
    try:
        packed = np.frombuffer(base64.b64decode(bits, validate=True), np.uint8)
    except (binascii.Error, ValueError):
        raise UserError("the mask of the paint must be base64") from None
    if len(packed) != -(-side * side // 8):
        raise UserError(f"the mask of the paint must have {side} × {side} bits")
    return np.unpackbits(packed, count=side * side).astype(bool).reshape(side, side)
