"""One page on what each layer makes of a word in many sentences: projection, similarities, senses and controls."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ....explain.embeddings import TRANSFORMS
from ....explain.separation import SenseReport
from ...figures.sentences import GROUP_COLOURS
from ...frame.packing import packed, rounded, shares, write_page

MEASURES = {
    "nearest": "1-NN accuracy",
    "knn": "k-NN accuracy",
    "silhouette": "silhouette",
    "cosine_within": "cosine, same sense",
    "cosine_across": "cosine, other sense",
    "random_similarity": "cosine, random pairs",
    "euclidean_within": "distance, same sense",
    "euclidean_across": "distance, other sense",
}
N_NEIGHBOURS = 5


@dataclass(frozen=True)
class Point:
    """A word in its sentence, and the group whose colour it has."""

    before: str
    word: str
    after: str
    group: str
    label: str  # a few letters beside the dot


@dataclass(frozen=True)
class Plane:
    """One layer's projection (n, 2), and what it is worth."""

    points: np.ndarray
    explained_variance: Sequence[float] | None
    trustworthiness: float

    @property
    def worth(self) -> str:
        """Return how far the plot can be believed, in a sentence."""
        trust = f"trustworthiness {self.trustworthiness:.2f}"
        if self.explained_variance is None:
            return f"{trust}: 1 when nearest points were nearest before, about 0.5 at random."
        first, second = self.explained_variance
        return f"{first + second:.0%} of the variance is in this plane ({first:.0%} + {second:.0%}); {trust}."


def write_embedding_page(
    path: str | Path,
    title: str,
    intro: str,
    points: Sequence[Point],
    planes: Sequence[Plane],
    cosine: np.ndarray,
    euclidean: np.ndarray | None,
    report: SenseReport | None = None,
    *,
    metric: str = "cosine",
    method: str = "pca",
    no_report: str = "",
    notices: Sequence[str] = (),
) -> Path:
    """Write the page and return its path.

    planes: S, one for each layer; cosine, euclidean: (S, n, n), drawn as heatmaps unless euclidean is None. no_report
    says why there is no report, "" where none is to be expected.
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
        has_matrices=euclidean is not None,
        metric=metric,
        method_note=METHOD_NOTES[method],
        report=report,
        no_report=no_report,
        data=data,
    )


METHOD_NOTES = {
    "pca": "PCA: a shadow of the vectors on the plane where they spread most. Distances are true within the plane and "
    "blind to all outside it.",
    "tsne": "t-SNE keeps neighbours, not distances: the gaps between clusters and their sizes mean nothing.",
    "umap": "UMAP keeps neighbours, not distances: the gaps between clusters and their sizes mean little.",
}


def steadied(planes: Sequence[Plane]) -> list[Plane]:
    """Mirror each plane so that it resembles the layer before: which way an axis points is chance."""
    steady = [planes[0]]
    for plane in planes[1:]:
        signs = np.where((plane.points * steady[-1].points).sum(axis=0) < 0, -1, 1)
        steady.append(Plane(plane.points * signs, plane.explained_variance, plane.trustworthiness))
    return steady


def nearest_others(similar: np.ndarray) -> list[list[list]]:
    """Return for each point its nearest others with their cosines; (n, n)."""
    order = np.argsort(-similar - 10 * -np.eye(len(similar)), axis=1)[:, : min(N_NEIGHBOURS, len(similar) - 1)]
    return [[[int(k), round(float(row[k]), 3)] for k in near] for row, near in zip(similar, order, strict=True)]


def _matrix(values: np.ndarray) -> dict:
    low, high = float(values.min()), float(values.max())
    span = high - low or 1.0
    return {"low": low, "high": low + span, "numbers": packed(shares((values - low) / span, 16))}


def _report(report: SenseReport) -> dict:
    names = MEASURES | {"knn": f"{report.k}-NN accuracy"}
    if np.isnan(report.model.random_similarity).all():
        del names["random_similarity"]

    def side(separation: object) -> Mapping[str, list]:
        return {name: rounded(getattr(separation, name), 3) for name in names}

    return {
        "names": list(names.items()),
        "transforms": list(TRANSFORMS),
        "model": side(report.model),
        "control": side(report.control),
        "controls": {
            "knn": report.position_knn,
            "nearest": report.position_nearest,
            "most_frequent": report.most_frequent,
        },
    }
