"""Questions 25 to 30: how a reader's tokens and the senses of 蘋果 move apart, layer by layer."""

import numpy as np
import torch

from hw_xai.explain import cosine_similarity, euclidean_distance, project
from hw_xai.language.corpus import APPLE_FIRST, APPLE_SECOND, APPLE_SENSES, APPLE_SENTENCES, reading_passages
from hw_xai.language.layers import hidden_states
from hw_xai.language.senses import word_vectors
from hw_xai.language.tokens import Encoded, encode, token_at, tokens_between

from . import Evidence, above, alike, below, correlation, largest
from .shipped import Shipped

# ----------------------------------------------------------------------------------------------------------- a reader


def q25(shipped: Shipped) -> Evidence:
    """At which layer is the answer furthest from the rest of the passage?"""
    read, states = _reading(shipped)
    example = reading_passages()[0]
    answer = list(tokens_between(read, example.start, example.start + len(example.answer), 1))
    rest = [t for t in range(len(read)) if read.segments[t] == 1 and not read.special[t] and t not in answer]
    middle = states[:, rest].mean(1, keepdim=True)  # (L + 1, 1, D)
    spread = (states[:, rest] - middle).norm(dim=-1).mean(1)
    distance = (states[:, answer].mean(1) - middle[:, 0]).norm(dim=-1) / spread  # (L + 1,)
    return largest({f"layer_{layer}": float(distance[layer]) for layer in (0, 1, 2, 4)}, clear=0.5)


def q26(shipped: Shipped) -> Evidence:
    """Which words of question and passage lie together, and where?"""
    read, states = _reading(shipped)
    asked, told = token_at(read, "born", 1)[0], token_at(read, "born", 2)[0]
    example = reading_passages()[0]
    answer = tokens_between(read, example.start, example.start + len(example.answer), 1)[0]
    passage = [t for t in range(len(read)) if read.segments[t] == 1 and not read.special[t]]

    def likeness(layer: int, token: int) -> torch.Tensor:
        return cosine_similarity(states[layer, token], states[layer, passage])

    def lead(layer: int, token: int, other: int) -> torch.Tensor:
        """By how much a token is more like another than like the next best of the passage."""
        rows = likeness(layer, token)
        rivals = [i for i, t in enumerate(passage) if t not in (token, other)]
        return rows[passage.index(other)] - rows[rivals].max()

    return {
        "same_word_early": above(lead(0, asked, told), 0, 0.05),
        "answer_early": above(lead(0, asked, answer), 0, 0.05),
        "equal_early": alike(states[0, asked], states[0, told]),
        "answer_late": above(likeness(4, answer).median(), 0.5, 0.2),
    }


def q27(shipped: Shipped) -> Evidence:
    """What does a projection to a plane keep?"""
    _, states = _reading(shipped)
    vectors = states[-1].to(torch.float64).numpy()  # (T, D)
    flat = project(vectors, "pca")
    again = project(vectors, "pca", seed=shipped.seed + 1)
    true, drawn = euclidean_distance(vectors), euclidean_distance(flat.points)
    pairs = np.triu_indices(len(vectors), 1)
    shrunk = drawn[pairs] / true[pairs]
    assert flat.explained_variance is not None  # of "pca"
    return {
        "never_farther": below(shrunk.max(), 1.01, 0.005),
        "near_is_near": above(shrunk.min(), 0.5, 0.2),
        "all_variance": above(flat.explained_variance.sum(), 0.95, 0.03),
        "repeatable": alike(torch.from_numpy(np.abs(again.points)), torch.from_numpy(np.abs(flat.points))),
    }


def _reading(shipped: Shipped) -> tuple[Encoded, torch.Tensor]:
    """The first question with its passage, and the reader's states (L + 1, T, D)."""
    example = reading_passages()[0]
    [read] = encode(shipped.reader, example.question, example.passage)
    [states] = hidden_states(shipped.reader, [read])
    return read, states


# -------------------------------------------------------------------------------------------------- the ten sentences


def q28(shipped: Shipped) -> Evidence:
    """Where do the two senses of 蘋果 separate?"""
    first, second = _apples(shipped, APPLE_FIRST), _apples(shipped, APPLE_SECOND)
    return {
        "cosine_second_last": above(_nearest_is_kin(-cosine_similarity(second[-1])), 0.8, 0.15),
        "euclid_first_last": above(_nearest_is_kin(euclidean_distance(first[-1])), 0.8, 0.15),
        "cosine_second_start": above(_nearest_is_kin(-cosine_similarity(second[0])), 0.8, 0.15),
        "euclid_first_start": above(_nearest_is_kin(euclidean_distance(first[0])), 0.8, 0.15),
    }


def q29(shipped: Shipped) -> Evidence:
    """How does a pair of different senses at the same place go through the layers?"""
    first = _apples(shipped, APPLE_FIRST)
    pair = [float(cosine_similarity(layer[2], layer[8])) for layer in first]
    start, last = pair[0], pair[-1]
    return {
        "rises": above(last - start, 0.1, 0.05),
        "falls": below(last - start, -0.1, 0.05),
        "equal": above(min(pair), 0.97, 0.02),
        "opposite": below(last, -0.5, 0.3),
    }


def q30(shipped: Shipped) -> Evidence:
    """What matters at layer 0?"""
    first = [torch.from_numpy(layer) for layer in _apples(shipped, APPLE_FIRST)]
    pairs = [(i, j) for i in range(10) for j in range(i)]
    vectors = first[0]

    def gaps(same_place: bool) -> list[float]:
        chosen = [(i, j) for i, j in pairs if (APPLE_FIRST[i] == APPLE_FIRST[j]) is same_place]
        return [float((vectors[i] - vectors[j]).norm() / vectors.norm(dim=1).mean()) for i, j in chosen]

    kin = torch.tensor([[float(a == b) for b in APPLE_SENSES] for a in APPLE_SENSES])
    return {
        "same_place": below(max(gaps(True)), 1e-3, 5e-4),
        "other_place": above(min(gaps(False)), 0.1, 0.05),
        "neighbours": -alike(vectors[2], vectors[8]),
        "sense": above(correlation(torch.from_numpy(cosine_similarity(vectors.numpy())), kin), 0.6, 0.2),
    }


def _apples(shipped: Shipped, places: tuple[int, ...]) -> np.ndarray:
    """The vectors of one character in the ten sentences: (L + 1, 10, D)."""
    return word_vectors(shipped.bert, APPLE_SENTENCES, [(place, place + 1) for place in places])[0]


def _nearest_is_kin(distances: np.ndarray) -> float:
    """The share of sentences whose nearest has the same sense."""
    distances = distances.copy()
    np.fill_diagonal(distances, np.inf)
    senses = np.array(APPLE_SENSES)
    return float((senses[distances.argmin(1)] == senses).mean())
