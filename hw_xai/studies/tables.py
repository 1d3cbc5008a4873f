"""The numbers behind a page, for a spreadsheet or numpy: they lie beside it."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from ..files import atomic


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> Path:
    """Write a table; a byte-order mark tells spreadsheets that it is UTF-8, and NaN is an empty cell."""
    with atomic(path) as temporary, temporary.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows([_cell(value) for value in row] for row in rows)
    return path


def write_npz(path: Path, arrays: Mapping[str, ArrayLike]) -> Path:
    """Write named arrays, compressed; texts are stored as such and need no pickle."""
    with atomic(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **{name: np.asarray(values) for name, values in arrays.items()})
    return path


def _cell(value: object) -> object:
    if isinstance(value, float | np.floating):
        return "" if np.isnan(value) else f"{float(value):.6g}"
    text = str(value)
    # a spreadsheet would run what looks like a formula
    return f"'{text}" if isinstance(value, str) and text[:1] in ("=", "+", "-", "@") and len(text) > 1 else value
