"""Whether the senses of a word separate, layer by layer.

No number stands alone: a separation comes with the same measure on an untrained model, on the position in the sentence
and for the most frequent sense.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..core.arguments import check_count, described
from .embeddings import TRANSFORMS, Array, cosine_similarity, transformed, unit


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

    @property
    def best_layer(self) -> int:
        """The layer whose raw vectors tell the senses apart best, by k-NN and where that is equal by the silhouette."""
        return int(np.lexsort((np.nan_to_num(self.model.silhouette[0], nan=-1), self.model.knn[0]))[-1])

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
        columns = {t: name for t, name in columns.items() if not np.isnan(getattr(self.model, name)).all()}  # not given
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
    k: int | None = None,
    seed: int = 0,
) -> SenseReport:
    """Judge in every layer how well the senses of a word separate, beside an untrained model and the position alone.

    hidden_states (S, n, d): S = L + 1 layers of one word in n sentences; labels (n,): its senses, each at least twice.
    control (S, n, d): the same of an untrained model. position (n,): the word's place in its sentence. others,
    control_others (S, m, d): arbitrary tokens, whose mean cosine tells how much of a similarity is no more than
    anisotropy. train (n,): true for the vectors to find neighbours among; the rest is judged, and all else is computed
    on the rest only. k: None for 5, or one less than the smallest sense has: more neighbours than a sense can give
    would vote it down in a perfect model. seed decides between equally near neighbours. Memory grows with n².

    Every measure is given of the raw vectors, of centred ones, and of z-scored ones, which keeps a few dimensions of
    large variance from dominating the cosine (Timkey & van Schijndel 2021, arXiv 2109.04404); mean and deviation are
    those of the train vectors, or of all without `train`. Ethayarajh 2019, arXiv 1909.00512, for the anisotropy.
    """
    hidden_states = _as_layers("hidden_states", hidden_states)
    _, n, _ = hidden_states.shape
    control = _as_layers("control", control, hidden_states.shape[:2])
    check_count("seed", seed, least=0)
    places = np.asarray(position, dtype=float)
    if places.shape != (n,) or not np.isfinite(places).all():
        raise ValueError(f"`position` must be {n} finite numbers, one for each vector, got shape {places.shape}")
    senses, judged, pool = _split(labels, train, n)
    if k is None:
        k = max(1, min(5, int(np.bincount(senses[pool]).min()) - 1))
    check_count("k", k)
    most = len(pool) - (train is None)
    if k > most:
        raise ValueError(f"`k` must be at most {most}, the neighbours that there are, got {k}")

    # a rank among equally near neighbours for each pair: in file order they would all be of the first sense
    jitter = np.random.default_rng(seed).random((n, n))
    neighbours = _Neighbours(senses, judged, pool, jitter)
    counts = np.bincount(senses[judged])
    by_position = np.abs(places[:, None] - places)
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
            vectors = transformed(states, states[neighbours.pool], transform)
            cosine = cosine_similarity(vectors)  # (n, n)
            cosines = cosine[np.ix_(judged, judged)]
            points = torch.from_numpy(vectors[judged])
            distances = torch.cdist(points, points).numpy()
            random = np.nan
            if others is not None:
                random = _mean_cosine(transformed(others[layer], others[layer], transform))
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


def _mean_cosine(vectors: np.ndarray) -> float:
    """Mean cosine over all pairs of different rows: (Σ unit)² holds them all, without a matrix of m²."""
    rows = unit(torch.from_numpy(vectors)).numpy()
    m = len(rows)
    return float((np.square(rows.sum(axis=0)).sum() - np.square(rows).sum()) / (m * (m - 1)))


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
    centred = np.stack([transformed(states, states, "centred") for states in hidden_states])
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
    given = np.asarray(labels)
    if given.shape != (n,):
        raise ValueError(f"`labels` must be {n} names, one for each vector, got shape {given.shape}")
    names, senses = np.unique(given, return_inverse=True)
    if train is None:
        judged = pool = np.arange(n)
    else:
        in_pool = np.asarray(train)
        if in_pool.shape != (n,) or in_pool.dtype != bool or not in_pool.any():
            raise ValueError(
                f"`train` must be {n} booleans and true for some, got {in_pool.dtype} of shape {in_pool.shape}"
            )
        judged, pool = np.flatnonzero(~in_pool), np.flatnonzero(in_pool)
    counts = np.bincount(senses[judged], minlength=len(names))
    if len(names) < 2 or counts.min() < 2:
        got = ", ".join(f"{name}: {count}" for name, count in zip(names, counts, strict=True))
        raise ValueError(f"`labels` must name at least 2 senses with at least 2 judged vectors each, got {got}")
    return senses, judged, pool
