"""Vectors as dots in a plane, one plane for each layer: what the pages that draw them share."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

N_NEIGHBOURS = 5


@dataclass(frozen=True)
class Plane:
    """One layer's projection (n, 2), and what it is worth."""

    points: np.ndarray
    explained_variance: Sequence[float] | np.ndarray | None
    trustworthiness: float

    @property
    def worth(self) -> str:
        """Return how far the plot can be believed, in a sentence."""
        trust = f"trustworthiness {self.trustworthiness:.2f}"
        if self.explained_variance is None:
            return f"{trust}: 1 when nearest points were nearest before, about 0.5 at random."
        first, second = self.explained_variance
        return f"{first + second:.0%} of the variance is in this plane ({first:.0%} + {second:.0%}); {trust}."


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
