"""Vectors as points in a plane, by PCA, t-SNE or UMAP, and how far such a plot can be believed.

No plot stands alone: a projection comes with what it loses.
"""

import importlib.util
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..core.arguments import check_choice, check_count, described
from ..errors import how_to_add
from .embeddings import Array, as_rows, transformed

LEAST = {"pca": 2, "tsne": 3, "umap": 4}  # vectors that a method needs
MANY_POINTS = 5_000  # from here on openTSNE is about four times faster than scikit-learn


@dataclass(frozen=True)
class Projection:
    """Points to draw, and how far their distances can be believed."""

    points: np.ndarray  # (n, n_components)
    explained_variance: np.ndarray | None  # (n_components,) shares of the variance; None for all but PCA
    trustworthiness: float  # 1 when the nearest points were near before, about 0.5 for random places
    method: str
    library: str  # what computed the points ...
    settings: dict  # ... and the arguments it was given


def project(
    vectors: Array,
    method: str = "pca",
    *,
    n_components: int = 2,
    seed: int = 0,
    perplexity: float | None = None,
    n_neighbors: int | None = None,
) -> Projection:
    """Project vectors (n, d) to points (n, n_components) by "pca", "tsne" or "umap".

    perplexity (t-SNE) and n_neighbors (UMAP): None fits them to n: min(30, (n − 1) / 3) and min(15, n − 1). Needs
    2 vectors, t-SNE 3, UMAP 4; above 5,000 t-SNE is computed by openTSNE where that is installed. Vectors that are
    equal up to rounding lie at the origin, with no variance to explain. Only PCA's distances are distances; t-SNE and
    UMAP keep neighbours.
    """
    vectors = as_rows("vectors", vectors).detach().cpu().double().numpy()
    check_count("n_components", n_components)
    check_count("seed", seed, least=0)
    settings_of: dict[str, Callable[..., tuple[str, dict]]] = {
        "pca": pca_settings,
        "tsne": tsne_settings,
        "umap": umap_settings,
    }
    check_choice("method", method, settings_of)
    for name, value, owner in (("perplexity", perplexity, "tsne"), ("n_neighbors", n_neighbors, "umap")):
        if value is not None and method != owner:
            raise ValueError(f'`{name}` must be left out unless method is "{owner}", got {value!r} for "{method}"')
    if vectors.ndim != 2 or len(vectors) < LEAST[method]:
        raise ValueError(f"`vectors` must be (n, d) with n of at least {LEAST[method]}, got shape {vectors.shape}")
    most = min(3, *vectors.shape)
    if n_components > most:
        raise ValueError(f"`n_components` must be at most {most} for vectors {vectors.shape}, got {n_components}")

    chosen = perplexity if method == "tsne" else n_neighbors
    library, settings = settings_of[method](len(vectors), n_components, seed, chosen)
    if not transformed(vectors, vectors, "centred").any():
        variance = np.zeros(n_components) if method == "pca" else None
        return Projection(np.zeros((len(vectors), n_components)), variance, 1.0, method, library, settings)
    points, variance = _fit(library, method, vectors, settings)
    return Projection(points, variance, trustworthiness(vectors, points), method, library, settings)


def pca_settings(n: int, n_components: int, seed: int, chosen: None) -> tuple[str, dict]:
    """Return the library and its arguments: the exact solver, whose result no seed changes."""
    return "scikit-learn", {"n_components": n_components, "svd_solver": "full"}


def tsne_settings(n: int, n_components: int, seed: int, perplexity: float | None) -> tuple[str, dict]:
    """Return the library and its arguments, perplexity fitted to n."""
    perplexity = max(1.0, min(30.0, (n - 1) / 3)) if perplexity is None else perplexity
    if isinstance(perplexity, bool) or not isinstance(perplexity, int | float) or not 1 <= perplexity < n:
        raise ValueError(
            f"`perplexity` must be at least 1 and below the number of vectors ({n}), got {described(perplexity)}"
        )
    common = {"n_components": n_components, "perplexity": perplexity, "random_state": seed}
    if n > MANY_POINTS and n_components < 3 and _has_opentsne(n):  # it is fast in one and two dimensions only
        return "openTSNE", {**common, "initialization": "pca"}
    return "scikit-learn", {**common, "init": "pca", "learning_rate": "auto"}


def umap_settings(n: int, n_components: int, seed: int, n_neighbors: int | None) -> tuple[str, dict]:
    """Return the library and its arguments, n_neighbors fitted to n."""
    n_neighbors = min(15, n - 1) if n_neighbors is None else n_neighbors
    if isinstance(n_neighbors, bool) or not isinstance(n_neighbors, int) or not 2 <= n_neighbors < n:
        raise ValueError(
            f"`n_neighbors` must be an integer from 2 to {n - 1} for {n} vectors, got {described(n_neighbors)}"
        )
    # one job: with several, the same seed gives different points
    return "umap", {"n_components": n_components, "n_neighbors": n_neighbors, "random_state": seed, "n_jobs": 1}


def _has_opentsne(n: int) -> bool:
    if importlib.util.find_spec("openTSNE") is not None:
        return True
    message = f"openTSNE is not installed for {n} points, scikit-learn takes about four times as long"
    warnings.warn(f"{message}: {how_to_add('fast')}", stacklevel=4)
    return False


def _fit(library: str, method: str, vectors: np.ndarray, settings: dict) -> tuple[np.ndarray, np.ndarray | None]:
    """Return points (n, n_components), and for PCA the explained shares of the variance."""
    if method == "pca":
        from sklearn.decomposition import PCA  # late: seconds to load; `import hw_xai.explain` does without

        pca = PCA(**settings)
        return pca.fit_transform(vectors), pca.explained_variance_ratio_
    if library == "openTSNE":
        from openTSNE import TSNE  # late: the extra fast

        return np.array(TSNE(**settings).fit(vectors), dtype=float), None
    if method == "tsne":
        from sklearn.manifold import TSNE  # late: seconds to load; `import hw_xai.explain` does without

        return TSNE(**settings).fit_transform(vectors).astype(float), None
    with warnings.catch_warnings():
        # it regrets that tensorflow is missing, which only a part that is not used here needs
        warnings.filterwarnings("ignore", message="Tensorflow not installed", category=ImportWarning)
        from umap import UMAP  # late: compiles for seconds when it loads
    return UMAP(**settings).fit_transform(vectors).astype(float), None


def trustworthiness(vectors: np.ndarray, points: np.ndarray, n_neighbors: int = 5) -> float:
    """Return how far the nearest points (n, k) were also nearest among the vectors (n, d): 1 for all of them.

    scikit-learn's measure, in bounded memory and blind to the order of equal vectors; n_neighbors is lowered
    for fewer than 2 · n_neighbors + 1 points. Venna & Kaski 2001.
    """
    # late: seconds to load; `import hw_xai.explain` does without
    from sklearn.metrics import pairwise_distances_chunked
    from sklearn.neighbors import NearestNeighbors  # late: seconds to load; `import hw_xai.explain` does without

    n = len(vectors)
    if n < 3:
        return 1.0  # each is the other's nearest, wherever they lie
    k = min(n_neighbors, (n - 1) // 2)
    nearest = NearestNeighbors(n_neighbors=k).fit(points).kneighbors(return_distance=False)  # (n, k)

    def surplus(distances: np.ndarray, start: int) -> np.ndarray:  # (rows, n) -> (rows,)
        rows = np.arange(len(distances))
        distances[rows, start + rows] = np.inf  # no vector is its own neighbour
        ranks = [
            1 + (distances < distances[rows, neighbour][:, None]).sum(axis=1)
            for neighbour in nearest[start : start + len(rows)].T
        ]
        return np.maximum(np.array(ranks) - k, 0).sum(axis=0)

    chunks = pairwise_distances_chunked(vectors, reduce_func=surplus, working_memory=64)  # MiB
    penalty = sum(chunk.sum() for chunk in chunks)
    return float(1 - penalty * 2 / (n * k * (2 * n - 3 * k - 1)))
