"""What embeddings show: distances, projections with their quality, and whether a word's senses separate, per layer.

Arrays in, arrays out. No number stands alone: a projection comes with what it loses, a separation with the same
measure on an untrained model, on the position in the sentence and for the most frequent sense.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .contract import check_count, described

Array = np.ndarray | Tensor

MANY_POINTS = 5_000  # from here on openTSNE is about four times faster than scikit-learn


# ----------------------------------------------------------------------------------------------------------- distances


def cosine_similarity(a: Array, b: Array | None = None) -> Array:
    """Cosine of the angle between each row of a and each row of b: (n, d), (m, d) -> (n, m); b None is a.

    A vector (d,) in place of a matrix leaves out its dimension: two vectors give one number. numpy gives numpy, torch
    gives torch. The cosine with a zero vector is 0.
    """
    return _pairwise(lambda a, b: (_unit(a) @ _unit(b).mT).clamp(-1, 1), a, b)


def euclidean_distance(a: Array, b: Array | None = None) -> Array:
    """Length of the difference between each row of a and each row of b: (n, d), (m, d) -> (n, m); b None is a.

    Vectors and kinds as for `cosine_similarity`. Differences are taken first: equal rows are exactly 0 apart.
    """
    return _pairwise(lambda a, b: torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist"), a, b)


def _unit(x: Tensor) -> Tensor:
    """Scale each row to length 1, and leave a zero row zero: (n, d) -> (n, d)."""
    x = x / x.abs().amax(dim=1, keepdim=True).clamp(min=torch.finfo(x.dtype).tiny)  # no square overflows
    return x / x.norm(dim=1, keepdim=True).clamp(min=0.5)  # 1 or more unless the row is zero


def _pairwise(measure, a: Array, b: Array | None) -> Array:
    """Apply measure (n, d), (m, d) -> (n, m) to vectors or matrices of either kind."""
    as_numpy = not isinstance(a, Tensor)
    a = _as_rows("a", a)
    b = a if b is None else _as_rows("b", b).to(a)
    if a.shape[-1] != b.shape[-1]:
        raise ValueError(f"`a` and `b` must have the same number of columns, got {tuple(a.shape)} and {tuple(b.shape)}")
    # half precision keeps three digits: compute in single
    wide = torch.promote_types(a.dtype, torch.float32)
    result = measure(torch.atleast_2d(a).to(wide), torch.atleast_2d(b).to(wide)).to(a.dtype)
    result = result.reshape(a.shape[:-1] + b.shape[:-1])
    return result.detach().numpy()[()] if as_numpy else result


def _as_rows(name: str, value: Array) -> Tensor:
    """Return a vector or matrix as a floating tensor (d,) or (n, d)."""
    try:
        rows = value if isinstance(value, Tensor) else torch.from_numpy(np.array(value))
    except (TypeError, ValueError):  # of objects or of rows of different lengths
        raise ValueError(f"`{name}` must be a vector (d,) or a matrix (n, d), got {described(value)}") from None
    if rows.ndim not in (1, 2) or rows.numel() == 0:
        raise ValueError(f"`{name}` must be a vector (d,) or a matrix (n, d), got shape {tuple(rows.shape)}")
    rows = rows if rows.is_floating_point() else rows.double()
    if not rows.isfinite().all():
        raise ValueError(f"`{name}` must be finite, got NaN or infinite values")
    return rows


# ---------------------------------------------------------------------------------------------------------- projection


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
    3 vectors, UMAP 4; above 5,000 t-SNE is computed by openTSNE where that is installed. Vectors that are equal up to
    rounding lie at the origin, with no variance to explain. Only PCA's distances are distances; t-SNE and UMAP keep
    neighbours.
    """
    vectors = _as_rows("vectors", vectors).detach().cpu().double().numpy()
    check_count("n_components", n_components)
    check_count("seed", seed, least=0)
    settings_of = {"pca": pca_settings, "tsne": tsne_settings, "umap": umap_settings}
    if method not in settings_of:
        raise ValueError(f'`method` must be "pca", "tsne" or "umap", got {described(method)}')
    for name, value, owner in (("perplexity", perplexity, "tsne"), ("n_neighbors", n_neighbors, "umap")):
        if value is not None and method != owner:
            raise ValueError(f'`{name}` must be left out unless method is "{owner}", got {value!r} for "{method}"')
    least = 4 if method == "umap" else 3
    if vectors.ndim != 2 or len(vectors) < least:
        raise ValueError(f"`vectors` must be (n, d) with n of at least {least}, got shape {vectors.shape}")
    most = min(3, *vectors.shape)
    if n_components > most:
        raise ValueError(f"`n_components` must be at most {most} for vectors {vectors.shape}, got {n_components}")

    chosen = perplexity if method == "tsne" else n_neighbors
    library, settings = settings_of[method](len(vectors), n_components, seed, chosen)
    if not _transformed(vectors, vectors, "centred").any():
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
    import importlib.util

    if importlib.util.find_spec("openTSNE") is not None:
        return True
    advice = 'scikit-learn takes about four times as long, pip install "hw-xai[fast]"'
    warnings.warn(f"openTSNE is not installed for {n} points: {advice}", stacklevel=4)
    return False


def _fit(library: str, method: str, vectors: np.ndarray, settings: dict) -> tuple[np.ndarray, np.ndarray | None]:
    """Return points (n, n_components), and for PCA the explained shares of the variance."""
    if method == "pca":
        from sklearn.decomposition import PCA

        pca = PCA(**settings)
        return pca.fit_transform(vectors), pca.explained_variance_ratio_
    if library == "openTSNE":
        from openTSNE import TSNE

        return np.array(TSNE(**settings).fit(vectors), dtype=float), None
    if method == "tsne":
        from sklearn.manifold import TSNE

        return TSNE(**settings).fit_transform(vectors).astype(float), None
    with warnings.catch_warnings():
        # it regrets that tensorflow is missing, which only a part that is not used here needs
        warnings.filterwarnings("ignore", message="Tensorflow not installed", category=ImportWarning)
        from umap import UMAP
    return UMAP(**settings).fit_transform(vectors).astype(float), None


def trustworthiness(vectors: np.ndarray, points: np.ndarray, n_neighbors: int = 5) -> float:
    """Return how far the nearest points (n, k) were also nearest among the vectors (n, d): 1 for all of them.

    scikit-learn's measure, in bounded memory and blind to the order of equal vectors; n_neighbors is lowered
    for fewer than 2 · n_neighbors + 1 points. Venna & Kaski 2001.
    """
    from sklearn.metrics import pairwise_distances_chunked
    from sklearn.neighbors import NearestNeighbors

    n = len(vectors)
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


# ------------------------------------------------------------------------------------------------------ sense analysis

TRANSFORMS = ("raw", "centred", "z-scored")


@dataclass(frozen=True)
class Separation:
    """How well senses separate in S layers of one model, for each of V transforms: arrays (V, S)."""

    knn: np.ndarray  # accuracy of the k nearest neighbours by cosine, a vector never its own neighbour
    nearest: np.ndarray  # accuracy of the single nearest neighbour
    silhouette: np.ndarray  # by cosine: 1 for tight senses far apart, 0 for mixed ones
    cosine_within: np.ndarray  # mean over pairs of the same sense
    cosine_across: np.ndarray  # mean over pairs of different senses
    euclidean_within: np.ndarray
    euclidean_across: np.ndarray
    self_similarity: np.ndarray  # mean cosine over all pairs: how little the context changes the word
    random_similarity: np.ndarray  # mean cosine over pairs of arbitrary tokens, the anisotropy; NaN when not given
    cka: np.ndarray  # (S, S) similarity of the layers' geometry, of the raw vectors


@dataclass(frozen=True)
class SenseReport:
    """The separation of senses in a model, beside what it has to beat."""

    model: Separation
    control: Separation  # the same of the untrained model
    position_knn: float  # what the place in the sentence alone gives away
    position_nearest: float
    most_frequent: float  # accuracy of always saying the most frequent sense
    k: int
    n: int  # vectors that are judged ...
    n_train: int | None  # ... and those that their neighbours are among; None for all but the judged one itself

    def table(self, transform: str | None = None) -> str:
        """Return one line per layer, the untrained control in parentheses; None for a block for each transform."""
        if transform is not None and transform not in TRANSFORMS:
            choices = ", ".join(f'"{name}"' for name in TRANSFORMS)
            raise ValueError(f"`transform` must be None or one of {choices}, got {described(transform)}")
        blocks = [self._block(name) for name in (TRANSFORMS if transform is None else [transform])]
        among = "leaving one out" if self.n_train is None else f"among {self.n_train} others"
        notes = [
            f"(…) the same of the untrained control; {self.n} vectors, neighbours by cosine, {among}",
            f"position alone: {self.k}-NN {self.position_knn:.2f}, 1-NN {self.position_nearest:.2f}; "
            f"always the most frequent sense: {self.most_frequent:.2f}",
        ]
        return "\n\n".join([*blocks, "\n".join(notes)])

    def _block(self, transform: str) -> str:
        row = TRANSFORMS.index(transform)
        columns = {
            f"{self.k}-NN": "knn",
            "1-NN": "nearest",
            "silhouette": "silhouette",
            "cos same": "cosine_within",
            "cos other": "cosine_across",
            "cos random": "random_similarity",
            "dist same": "euclidean_within",
            "dist other": "euclidean_across",
        }
        lines = [f"{transform:>8}" + "".join(f"{title:>14}" for title in columns)]
        values = [(getattr(self.model, name), getattr(self.control, name)) for name in columns.values()]
        for layer in range(self.model.knn.shape[1]):
            cells = (f"{_short(mine[row, layer]):>6} {f'({_short(other[row, layer])})':>7}" for mine, other in values)
            lines.append(f"{f'layer {layer}':>8}" + "".join(cells))
        return "\n".join(lines)


def _short(value: float) -> str:
    if np.isnan(value):
        return "–"
    return f"{round(value, 2) + 0:.2f}" if abs(value) < 10 else f"{value:.1f}"  # + 0 makes 0 of -0


def sense_report(
    hidden_states: Array,
    labels: Sequence,
    *,
    control: Array,
    position: Sequence[int],
    others: Array | None = None,
    control_others: Array | None = None,
    train: Sequence[bool] | None = None,
    k: int = 5,
    seed: int = 0,
) -> SenseReport:
    """Judge in every layer how well the senses of a word separate, beside an untrained model and the position alone.

    hidden_states (S, n, d): S = L + 1 layers of one word in n sentences; labels (n,): its senses, each at least twice.
    control (S, n, d): the same of an untrained model. position (n,): the word's place in its sentence. others,
    control_others (S, m, d): arbitrary tokens, whose mean cosine tells how much of a similarity is no more than
    anisotropy. train (n,): true for the vectors to find neighbours among; the rest is judged, and all else is computed
    on the rest only. seed decides between equally near neighbours. Memory grows with n².

    Every measure is given of the raw vectors, of centred ones, and of z-scored ones, which keeps a few dimensions of
    large variance from dominating the cosine (Timkey & van Schijndel 2021, arXiv 2109.04404); mean and deviation are
    those of the train vectors, or of all without `train`. Ethayarajh 2019, arXiv 1909.00512, for the anisotropy.
    """
    hidden_states = _as_layers("hidden_states", hidden_states)
    _, n, _ = hidden_states.shape
    control = _as_layers("control", control, hidden_states.shape[:2])
    check_count("seed", seed, least=0)
    position = np.asarray(position, dtype=float)
    if position.shape != (n,) or not np.isfinite(position).all():
        raise ValueError(f"`position` must be {n} finite numbers, one for each vector, got shape {position.shape}")
    senses, judged, pool = _split(labels, train, n)
    check_count("k", k)
    most = len(pool) - (train is None)
    if k > most:
        raise ValueError(f"`k` must be at most {most}, the neighbours that there are, got {k}")

    # a rank among equally near neighbours for each pair: in file order they would all be of the first sense
    jitter = np.random.default_rng(seed).random((n, n))
    neighbours = _Neighbours(senses, judged, pool, jitter)
    counts = np.bincount(senses[judged])
    by_position = np.abs(position[:, None] - position)
    return SenseReport(
        model=_separation(hidden_states, _as_others("others", others, hidden_states), neighbours, k),
        control=_separation(control, _as_others("control_others", control_others, control), neighbours, k),
        position_knn=neighbours.accuracy(by_position, k),
        position_nearest=neighbours.accuracy(by_position, 1),
        most_frequent=float(counts.max() / counts.sum()),
        k=k,
        n=len(judged),
        n_train=None if train is None else len(pool),
    )


@dataclass(frozen=True)
class _Neighbours:
    """Which vectors are judged, and by which."""

    senses: np.ndarray  # (n,) 0 to C-1
    judged: np.ndarray  # indices
    pool: np.ndarray  # indices
    jitter: np.ndarray  # (n, n) in [0, 1)

    def accuracy(self, distances: np.ndarray, k: int) -> float:
        """Return the share of judged vectors whose k nearest in the pool vote for their sense; distances (n, n)."""
        # equal tokens come out of a model in float32 with differences of rounding: below 1e-6 they are a tie
        distances = np.round(distances, 6) + 1e-7 * self.jitter
        np.fill_diagonal(distances, np.inf)
        distances = distances[np.ix_(self.judged, self.pool)]
        nearest = np.argsort(distances, axis=1)[:, :k]
        votes = np.zeros((len(self.judged), self.senses.max() + 1))
        # an equal vote goes to the sense that has the nearer neighbour
        weights = np.broadcast_to(1 + 1e-3 * 0.5 ** np.arange(k), nearest.shape)
        np.add.at(votes, (np.arange(len(nearest))[:, None], self.senses[self.pool][nearest]), weights)
        return float((votes.argmax(axis=1) == self.senses[self.judged]).mean())


def _separation(hidden_states: np.ndarray, others: np.ndarray | None, neighbours: _Neighbours, k: int) -> Separation:
    """Measure every layer (n, d) of hidden_states (S, n, d), raw, centred and z-scored."""
    judged, senses = neighbours.judged, neighbours.senses[neighbours.judged]
    same = senses[:, None] == senses
    pairs = np.triu(np.ones_like(same), 1)  # each pair once, nothing with itself
    rows = []
    for layer, states in enumerate(hidden_states):
        for transform in TRANSFORMS:
            vectors = _transformed(states, states[neighbours.pool], transform)
            cosine = cosine_similarity(vectors)  # (n, n)
            cosines = cosine[np.ix_(judged, judged)]
            points = torch.from_numpy(vectors[judged])
            distances = torch.cdist(points, points).numpy()
            random = np.nan
            if others is not None:
                random = _mean_cosine(_transformed(others[layer], others[layer], transform))
            rows.append(
                {
                    "knn": neighbours.accuracy(1 - cosine, k),
                    "nearest": neighbours.accuracy(1 - cosine, 1),
                    "silhouette": silhouette(1 - cosines, senses),
                    "cosine_within": cosines[same & pairs].mean(),
                    "cosine_across": cosines[~same & pairs].mean(),
                    "euclidean_within": distances[same & pairs].mean(),
                    "euclidean_across": distances[~same & pairs].mean(),
                    "self_similarity": cosines[pairs].mean(),
                    "random_similarity": random,
                }
            )
    shape = (len(hidden_states), len(TRANSFORMS))
    arrays = {name: np.array([row[name] for row in rows]).reshape(shape).T for name in rows[0]}  # (V, S)
    return Separation(**arrays, cka=linear_cka(hidden_states[:, judged]))


def _transformed(vectors: np.ndarray, reference: np.ndarray, transform: str) -> np.ndarray:
    """Return vectors (n, d) raw, centred, or z-scored by the mean and deviation of reference (m, d)."""
    if transform == "raw":
        return vectors
    centred = vectors - reference.mean(axis=0)
    # at the scale of rounding a dimension is constant, and dividing by it would make noise of equal vectors
    deviation = reference.std(axis=0)
    constant = deviation <= 1e-6 * np.sqrt(np.square(reference).mean())
    centred[:, constant] = 0
    return centred if transform == "centred" else centred / np.where(constant, 1, deviation)


def _mean_cosine(vectors: np.ndarray) -> float:
    """Mean cosine over all pairs of different rows: (Σ unit)² holds them all, without a matrix of m²."""
    unit = _unit(torch.from_numpy(vectors)).numpy()
    m = len(unit)
    return float((np.square(unit.sum(axis=0)).sum() - np.square(unit).sum()) / (m * (m - 1)))


def silhouette(distances: np.ndarray, senses: np.ndarray) -> float:
    """Mean of (b − a) / max(a, b): a the mean distance to the own sense, b to the nearest other one; (n, n), (n,).

    A vector alone in its sense counts 0. Rousseeuw 1987.
    """
    _, senses, size = np.unique(senses, return_inverse=True, return_counts=True)
    member = np.eye(len(size), dtype=bool)[senses]  # (n, C)
    sums = (distances * ~np.eye(len(distances), dtype=bool)) @ member  # (n, C)
    a = sums[member] / np.maximum(size[senses] - 1, 1)
    b = np.where(member, np.inf, sums / size).min(axis=1)
    largest = np.maximum(a, b)
    values = np.divide(b - a, largest, out=np.zeros_like(a), where=(largest > 0) & (size[senses] > 1))
    return float(values.mean())


def linear_cka(hidden_states: np.ndarray) -> np.ndarray:
    """Similarity of the layers' geometry: (S, n, d) -> (S, S); 1 for a rotation and a factor, 0 for unrelated.

    Without the bias that makes any two layers alike when n is small beside d, so it may fall a little below 0. A
    layer of equal vectors gives 0. Needs 4 vectors, NaN for fewer. Kornblith et al. 2019, arXiv 1905.00414; Nguyen et
    al. 2021, arXiv 2010.15327.
    """
    n = hidden_states.shape[1]
    if n < 4:
        return np.full((len(hidden_states), len(hidden_states)), np.nan)
    centred = np.stack([_transformed(states, states, "centred") for states in hidden_states])
    gram = centred @ centred.transpose(0, 2, 1)  # (S, n, n)
    off_diagonal = ~np.eye(n, dtype=bool)
    gram *= off_diagonal
    means = gram.sum(axis=2, keepdims=True) / (n - 2)
    gram -= means + means.transpose(0, 2, 1) - means.sum(axis=1, keepdims=True) / (n - 1)
    return cosine_similarity((gram * off_diagonal).reshape(len(gram), -1))


# --------------------------------------------------------------------------------------------------------------- checks


def _as_layers(name: str, value: Array, expected: tuple[int, int] | None = None) -> np.ndarray:
    """Return hidden states (S, n, d) as float64, checked; expected: the (S, n) that they must have."""
    states = value.detach().cpu().double().numpy() if isinstance(value, Tensor) else np.asarray(value, dtype=float)
    shape = "(layers, n, d)" if expected is None else f"({expected[0]}, {expected[1]}, d), as hidden_states have"
    if states.ndim != 3 or states.size == 0 or (expected is not None and states.shape[:2] != tuple(expected)):
        raise ValueError(f"`{name}` must be {shape}, got shape {states.shape}")
    if not np.isfinite(states).all():
        raise ValueError(f"`{name}` must be finite, got NaN or infinite values")
    return states


def _as_others(name: str, value: Array | None, hidden_states: np.ndarray) -> np.ndarray | None:
    """Return the states of arbitrary tokens (S, m, d) with m of at least 2, or None."""
    if value is None:
        return None
    states = _as_layers(name, value)
    n_layers, _, d = hidden_states.shape
    if states.shape[::2] != (n_layers, d) or states.shape[1] < 2:
        raise ValueError(f"`{name}` must be ({n_layers}, m, {d}) with m of at least 2, got shape {states.shape}")
    return states


def _split(labels: Sequence, train: Sequence[bool] | None, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the senses as numbers (n,), the indices of judged vectors and of those to find neighbours among."""
    labels = np.asarray(labels)
    if labels.shape != (n,):
        raise ValueError(f"`labels` must be {n} names, one for each vector, got shape {labels.shape}")
    names, senses = np.unique(labels, return_inverse=True)
    if train is None:
        judged = pool = np.arange(n)
    else:
        train = np.asarray(train)
        if train.shape != (n,) or train.dtype != bool or not train.any():
            raise ValueError(
                f"`train` must be {n} booleans and true for some, got {train.dtype} of shape {train.shape}"
            )
        judged, pool = np.flatnonzero(~train), np.flatnonzero(train)
    counts = np.bincount(senses[judged], minlength=len(names))
    if len(names) < 2 or counts.min() < 2:
        got = ", ".join(f"{name}: {count}" for name, count in zip(names, counts, strict=True))
        raise ValueError(f"`labels` must name at least 2 senses with at least 2 judged vectors each, got {got}")
    return senses, judged, pool
