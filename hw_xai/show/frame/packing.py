"""What the pages on sentences share: arrays packed for the browser, numbers as JSON, one file written whole."""

import base64
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ...files import atomic
from .colours import NIGHT, PAPER, css_gradient, over, table
from .templates import load_template


def packed(values: ArrayLike) -> dict:
    """Pack unsigned integers of any shape as deflated base64, which `unpack` of packing.js reads.

    Attention as JSON takes a hundred times the bytes: it is mostly zeros, and three digits of it are seen.
    """
    values = np.asarray(values)
    if values.dtype not in (np.uint8, np.uint16, np.uint32):
        raise ValueError(f"`values` must be uint8, uint16 or uint32, got {values.dtype}")
    raw = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<")).tobytes()
    data = base64.b64encode(zlib.compress(raw, 9)).decode()
    return {"shape": list(values.shape), "bits": 8 * values.itemsize, "data": data}


def shares(values: ArrayLike, bits: int = 8) -> np.ndarray:
    """Write numbers of 0 to 1 as unsigned integers: off by at most half of 1 / (2^bits − 1)."""
    return np.round(np.clip(np.asarray(values, dtype=float), 0, 1) * (2**bits - 1)).astype(f"uint{bits}")


def whole(values: ArrayLike) -> np.ndarray:
    """Return indices in the smallest unsigned type that holds them."""
    values = np.asarray(values)
    return values.astype(np.min_scalar_type(int(values.max(initial=0))))


def rounded(values: ArrayLike, digits: int = 4) -> Any:
    """Return nested lists of rounded numbers, None for NaN, which JSON does not know."""
    values = np.asarray(values, dtype=float)
    if values.ndim:
        return [rounded(row, digits) for row in values]
    return None if np.isnan(values) else round(float(values), digits)


def write_page(path: str | Path, template: str, **values: object) -> Path:
    """Write a page that asks no network for anything, whole or not at all, and return its path."""
    html = load_template(template).render(
        gradient={"signed": css_gradient(True), "unsigned": css_gradient(False)},
        palette=over(table(False), NIGHT).tolist(),
        night=NIGHT,
        paper=PAPER,
        **values,
    )
    with atomic(path) as temporary:
        temporary.write_text(html, encoding="utf-8", newline="\n")
    return Path(path)
