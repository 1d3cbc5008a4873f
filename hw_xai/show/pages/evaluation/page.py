"""One page that ranks explanations: a table that sorts, curves, verdicts, and the maps themselves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from ...frame.images import heatmap_uri, photo_uri, to_rgb
from ...frame.normalize import scale
from ...frame.packing import write_page


class Mean(Protocol):
    """A mean and the interval around it; NaN where there is none."""

    @property
    def mean(self) -> float: ...
    @property
    def low(self) -> float: ...
    @property
    def high(self) -> float: ...
    @property
    def n(self) -> int: ...


class Heading(Protocol):
    """What a column means, and whether its best value is the high or the low one."""

    @property
    def title(self) -> str: ...
    @property
    def best(self) -> str: ...
    @property
    def meaning(self) -> str: ...


@dataclass(frozen=True)
class Row:
    """One method: its scores, without those that are not defined for it."""

    name: str
    title: str
    baseline: bool  # shown for comparison: it cannot win
    cells: Mapping[str, Mean]
    verdict: str = ""
    sentence: str = ""


@dataclass(frozen=True)
class Curves:
    """A line for every method over the same points."""

    title: str
    along: str  # what the points are
    ticks: Sequence[str]  # at the first and last point, or at each
    lines: Mapping[str, Sequence[float]]


@dataclass(frozen=True)
class Strip:
    """One picture and its maps (S, H, W) by every method; blocks: S headings where there are several."""

    image: np.ndarray  # as `to_rgb` takes it
    caption: str
    maps: Mapping[str, np.ndarray]
    signed: Sequence[str]  # the methods whose negative values speak against
    blocks: Sequence[str] = ()


def write_evaluation_page(
    path: str | Path,
    title: str,
    intro: str,
    columns: Mapping[str, Heading],
    rows: Sequence[Row],
    *,
    curves: Sequence[Curves] = (),
    strips: Sequence[Strip] = (),
    grids: Sequence[Strip] = (),
    notices: Sequence[str] = (),
    thresholds: tuple[float, float] = (0.99, 0.5),
) -> Path:
    """Write the page, whole or not at all, and return its path. thresholds: of the verdicts, to be seen."""
    winners = {key: best(column, key, rows) for key, column in columns.items()}
    return write_page(
        path,
        "evaluation.html.j2",
        title=title,
        intro=intro,
        notices=notices,
        columns=columns,
        rows=[vars(row) | {"cells": {k: _cell(k, row, columns, rows, winners) for k in row.cells}} for row in rows],
        titles={row.name: row.title for row in rows},
        curves=[_drawn(one) for one in curves],
        strips=[_strip(one) for one in strips],
        grids=[_strip(one) for one in grids],
        thresholds=thresholds,
    )


def best(column: Heading, key: str, rows: Sequence[Row]) -> set[str]:
    """Return which methods have the best mean of a column, baselines aside; none where all are alike."""
    values = {row.name: row.cells[key].mean for row in rows if key in row.cells and not row.baseline}
    if len(set(values.values())) < 2:
        return set()
    top = (max if column.best == "high" else min)(values.values())
    return {name for name, value in values.items() if value == top}


def goodness(column: Heading, key: str, rows: Sequence[Row]) -> dict[str, float]:
    """Return each method's place in a column: 1 for the best, 0 for the worst; all in order, equal values alike."""
    values = {row.name: row.cells[key].mean for row in rows if key in row.cells}
    ordered = sorted(set(values.values()), reverse=column.best == "low")
    return {name: ordered.index(value) / max(1, len(ordered) - 1) for name, value in values.items()}


def as_text(value: float) -> str:
    """Write a number for a table: three digits of it, or three places, without an exponent."""
    digits = 0 if abs(value) >= 99.95 else 1 if abs(value) >= 9.995 else 2 if abs(value) >= 0.0995 else 3
    return "–" if value != value else f"{value:.{digits}f}".replace("-0.000", "0.000")


def _cell(key: str, row: Row, columns: Mapping, rows: Sequence[Row], winners: Mapping[str, set[str]]) -> dict:
    cell = row.cells[key]
    return {
        "value": cell.mean,
        "text": as_text(cell.mean),
        "around": "" if cell.low != cell.low else f"{as_text(cell.low)} – {as_text(cell.high)}",
        "n": cell.n,
        "best": row.name in winners[key],
        "tint": round(100 * goodness(columns[key], key, rows)[row.name]),
    }


# -------------------------------------------------------------------------------------------------------------- curves

WIDTH, HEIGHT = 320, 180  # of the plot, in units of its SVG


def _drawn(curves: Curves) -> dict:
    """Turn lines into the points of SVG polylines; gaps where a value is not defined are bridged."""
    values = [value for line in curves.lines.values() for value in line if value == value]
    low, high = min(0.0, *values), max(1.0, *values)

    def points(line: Sequence[float]) -> str:
        at = [(WIDTH * i / max(1, len(line) - 1), HEIGHT * (high - v) / (high - low)) for i, v in enumerate(line)]
        return " ".join(f"{x:.1f},{y:.1f}" for x, y in at if y == y)

    places = [round(WIDTH * i / max(1, len(curves.ticks) - 1), 1) for i in range(len(curves.ticks))]
    return vars(curves) | {
        "ticks": list(zip(places, curves.ticks, strict=True)),
        "zero": round(HEIGHT * high / (high - low), 1),
        "low": as_text(low),
        "lines": {name: points(line) for name, line in curves.lines.items()},
    }


def _strip(strip: Strip) -> dict:
    def uris(name: str, maps: np.ndarray) -> list[str]:
        signed = name in strip.signed
        return [heatmap_uri(scale(one, signed=signed), signed) for one in maps]

    return vars(strip) | {
        "image": photo_uri(to_rgb(strip.image)),
        "maps": {name: uris(name, maps) for name, maps in strip.maps.items()},
    }
