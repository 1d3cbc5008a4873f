"""One page on what each layer makes of a word in many sentences: projection, similarities, senses and controls."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...figures.style import GROUP_COLOURS
from ...frame.packing import packed, rounded, shares, write_page
from ...frame.planes import METHOD_NOTES, Plane, nearest_others, steadied


@dataclass(frozen=True)
class Point:
    """A word in its sentence, and the group whose colour it has."""

    before: str
    word: str
    after: str
    group: str
    label: str  # a few letters beside the dot


@dataclass(frozen=True)
class ReportView:
    """How well senses separate in each of S layers, for V transforms of the vectors, beside what it has to beat."""

    names: Mapping[str, str]  # measure -> its title
    transforms: Sequence[str]  # V names
    model: Mapping[str, np.ndarray]  # measure -> (V, S)
    control: Mapping[str, np.ndarray]  # the same of an untrained model
    alone: Mapping[str, float]  # measure -> what the place in the sentence alone gives
    most_frequent: float  # accuracy of always saying the most frequent sense
    n: int  # vectors that are judged
    n_train: int | None  # and those that their neighbours are among; None for all the others


def write_embedding_page(
    path: str | Path,
    title: str,
    intro: str,
    points: Sequence[Point],
    planes: Sequence[Plane],
    cosine: np.ndarray,
    euclidean: np.ndarray | None,
    report: ReportView | None = None,
    *,
    layer: int | None = None,
    metric: str = "cosine",
    method: str = "pca",
    no_report: str = "",
    notices: Sequence[str] = (),
) -> Path:
    """Write the page and return its path.

    planes: S, one for each layer. cosine, euclidean: (S, n, n), drawn as heatmaps unless euclidean is None.
    layer: shown first, None for the last. no_report: why there is none, "" where none is to be expected.
    """
    n = len(points)
    if cosine.shape != (len(planes), n, n):
        raise ValueError(f"`cosine` must be ({len(planes)}, {n}, {n}), got {cosine.shape}")
    groups = list(dict.fromkeys(point.group for point in points))
    data = {
        "points": [vars(point) for point in points],
        "groups": groups,
        "colours": GROUP_COLOURS,
        "metric": metric,
        "shown": len(planes) - 1 if layer is None else layer,
        "layers": [
            {"points": rounded(plane.points), "worth": plane.worth, "nearest": nearest_others(similar)}
            for plane, similar in zip(steadied(planes), cosine, strict=True)
        ],
        "matrices": {} if euclidean is None else {"cosine": _matrix(cosine), "euclidean": _matrix(euclidean)},
        "report": None if report is None else _report(report),
    }
    return write_page(
        path,
        "embedding.html.j2",
        title=title,
        intro=intro,
        notices=notices,
        n_layers=len(planes),
        shown=data["shown"],
        has_matrices=euclidean is not None,
        metric=metric,
        method_note=METHOD_NOTES[method],
        report=report,
        no_report=no_report,
        data=data,
    )


def _matrix(values: np.ndarray) -> dict:
    low, high = float(values.min()), float(values.max())
    span = high - low or 1.0
    return {"low": low, "high": low + span, "numbers": packed(shares((values - low) / span, 16))}


def _report(report: ReportView) -> dict:
    def side(measures: Mapping[str, np.ndarray]) -> dict[str, list]:
        return {name: rounded(measures[name], 3) for name in report.names}

    return {
        "names": list(report.names.items()),
        "transforms": list(report.transforms),
        "model": side(report.model),
        "control": side(report.control),
        "controls": {**report.alone, "most_frequent": report.most_frequent},
    }
