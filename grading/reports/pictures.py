"""Yours, expected and the difference for a page: maps as small PNGs, rows of numbers as bars and points in an SVG.

Covers: lists that are ragged, empty or no numbers; NaN, infinite and huge values; too many values.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hw_xai.show.frame.images import heatmap_uri
from hw_xai.show.frame.normalize import is_signed, limits, stretch

from ..verdict.results import OutputPair
from ..words import Text

YOURS, EXPECTED, DIFFERENCE = Text("yours", "你的"), Text("expected", "預期的"), Text("difference", "差異")
MOST_VALUES = 64 * 64
MOST_BARS, MOST_POINTS = 48, 500
HUGE = 1e300  # differences of larger values are more than a float holds
SIDE = 168  # pixels of a page that the longer side of a map takes, about


@dataclass(frozen=True)
class Map:
    """One heatmap: its data URI, the size it is shown at, the values at the ends of its colours, and its own ends."""

    caption: Text
    uri: str
    signed: bool
    size: tuple[int, int]  # width, height
    colours: tuple[str, str]  # at the ends of the colour bar
    values: tuple[str, str]  # least and greatest
    shape: str
    odd: int = 0  # values that are NaN or infinite


@dataclass(frozen=True)
class Bars:
    """Two rows of numbers as bars; a bar is (x, y, width, height) in units of the SVG."""

    yours: Sequence[tuple[float, float, float, float]]
    expected: Sequence[tuple[float, float, float, float]]
    zero: float
    high: str
    low: str
    count: int


@dataclass(frozen=True)
class Points:
    """Two sets of points in one plane; a point is (x, y) in units of the SVG."""

    yours: Sequence[tuple[float, float]]
    expected: Sequence[tuple[float, float]]
    origin: tuple[float, float]
    size: tuple[float, float]  # width, height
    count: int


WIDTH, HEIGHT = 460, 120  # of the bars
PLANE = 240  # the longer side of the points


def drawn(picture: OutputPair | None, of_points: bool = False) -> list[Map] | Bars | Points | None:
    """Return what a page draws of a picture: three maps, two where the shapes differ, bars, or None for nothing.

    of_points: the rows are points, whose first two coordinates are drawn.
    """
    if picture is None:
        return None
    yours, expected = array_of(picture.yours), array_of(picture.expected)
    if expected is None and yours is None:
        return None
    difference = None
    if yours is not None and expected is not None and yours.shape == expected.shape:
        if yours.ndim == 1 and len(yours) <= MOST_BARS:
            return _bars(yours, expected)
        if of_points and yours.ndim == 2 and yours.shape[1] >= 2 and len(yours) <= MOST_POINTS:
            return _points(yours[:, :2], expected[:, :2])
        with np.errstate(invalid="ignore"):  # ∞ − ∞ is NaN, and said so below the map
            difference = np.atleast_2d(yours - expected)
    present = [(c, np.atleast_2d(v)) for c, v in ((YOURS, yours), (EXPECTED, expected)) if v is not None]
    signed = any(is_signed(values) for _, values in present)
    ends = _ends([values for _, values in reversed(present)], signed)
    maps = [_map(caption, values, signed, ends) for caption, values in present]
    if difference is not None:
        maps.append(_map(DIFFERENCE, difference, True, _ends([difference], True)))
    return maps


def array_of(values: object) -> np.ndarray | None:
    """Return nested lists as an array (K,) or (H, W) of float64, None for anything that is not such numbers."""
    try:
        array = np.array(values, dtype=np.float64)
    except (ValueError, TypeError, OverflowError):
        return None
    if array.ndim not in (1, 2) or not 2 <= array.size <= MOST_VALUES:
        return None
    return np.where(np.isfinite(array), np.clip(array, -HUGE, HUGE), array)


def _ends(maps: Sequence[np.ndarray], signed: bool) -> tuple[float, float]:
    """Return the limits of the first map that is not the same everywhere: the expected one, if it can."""
    ends = (0.0, 0.0)
    for values in maps:
        ends = limits(values, percentile=100, signed=signed)
        if ends[0] < ends[1]:
            break
    return ends


def _map(caption: Text, values: np.ndarray, signed: bool, ends: tuple[float, float]) -> Map:
    height, width = values.shape
    each = max(1, round(SIDE / max(values.shape)))
    finite = values[np.isfinite(values)]
    least, greatest = (finite.min(), finite.max()) if finite.size else (np.nan, np.nan)
    return Map(
        caption,
        heatmap_uri(stretch(values, *ends), signed),
        signed,
        (width * each, height * each),
        (_short(ends[0]), _short(ends[1])),
        (_short(least), _short(greatest)),
        f"{height} × {width}",
        int(values.size - finite.size),
    )


def _bars(yours: np.ndarray, expected: np.ndarray) -> Bars:
    both = _in_reach(yours, expected)
    low, high = min(0.0, float(both.min())), max(0.0, float(both.max()))
    tall = HEIGHT / ((high - low) or 1)
    step = WIDTH / len(yours)

    def bars(row: np.ndarray, shift: float) -> list[tuple[float, float, float, float]]:
        return [
            (
                round(step * (i + shift), 2),
                round(tall * (high - max(value, 0)), 2),
                round(0.4 * step, 2),
                round(tall * abs(value), 2),
            )
            for i, value in enumerate(row.tolist())
        ]

    return Bars(bars(both[0], 0.08), bars(both[1], 0.52), round(tall * high, 2), _short(high), _short(low), len(yours))


def _points(yours: np.ndarray, expected: np.ndarray) -> Points:
    both = _in_reach(yours, expected) * (1, -1)  # in an SVG y grows downwards
    low, high = np.minimum(both.min(axis=(0, 1)), 0), np.maximum(both.max(axis=(0, 1)), 0)
    scale = PLANE / ((high - low).max() or 1)
    places = np.round((both - low) * scale, 1)
    mine, theirs = ([(x, y) for x, y in rows] for rows in places.tolist())
    origin, size = (tuple(row) for row in (np.round(np.stack([-low, high - low]) * scale, 1) + 0.0).tolist())
    return Points(mine, theirs, origin, size, len(yours))


def _in_reach(yours: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Return both as one array; the expected values decide the scale: one huge value of yours would hide all others."""
    reach = 3 * float(np.abs(_finite(expected)).max(initial=0)) or float(np.abs(_finite(yours)).max(initial=0))
    return np.clip(np.stack([_finite(yours), _finite(expected)]), -reach, reach)


def _finite(values: np.ndarray) -> np.ndarray:
    return np.nan_to_num(values, nan=0.0, posinf=HUGE, neginf=-HUGE)


def _short(value: float) -> str:
    text = f"{float(value) + 0.0:.3g}"  # + 0.0: there is no −0
    return "–" if text == "nan" else text.replace("-", "−", 1)
