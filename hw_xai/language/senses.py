"""Does a model tell the senses of a word apart? The shipped sentences in `sense_report`, beside an untrained twin."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from ..core.randomness import random_states_preserved
from ..explain.separation import SenseReport, sense_report
from .bert import Bert
from .corpus import APPLE_FIRST, APPLE_SECOND, APPLE_SENSES, APPLE_SENTENCES, sense_sets
from .layers import hidden_states
from .spelling import readable_vocabulary
from .tokens import encode, tokens_between


def untrained(bert: Bert, seed: int = 0) -> Bert:
    """Return a model of the same shape and tokenizer with random weights: the control."""
    with random_states_preserved():
        torch.manual_seed(seed)
        model = type(bert.model)(bert.model.config)
    return Bert(f"untrained {bert.name}", model.eval(), bert.tokenizer)


def word_vectors(
    bert: Bert, sentences: Sequence[str], spans: Sequence[tuple[int, int]]
) -> tuple[np.ndarray, list[int]]:
    """Return the mean vector of a span of characters in every layer, (L + 1, n, D), and the first token of each."""
    encoded = encode(bert, sentences)
    places = [tokens_between(e, *span) for e, span in zip(encoded, spans, strict=True)]
    states = hidden_states(bert, encoded)
    vectors = torch.stack([layers[:, list(at)].mean(1) for layers, at in zip(states, places, strict=True)], dim=1)
    return vectors.numpy(), [at[0] for at in places]


def sense_reports(bert: Bert, control: Bert | None = None) -> dict[str, SenseReport]:
    """Return word -> report: held-out sentences, each judged by its 5 nearest of the train split."""
    control = control or untrained(bert)
    reports = {}
    for word, sentences in sense_sets().items():
        texts = [s.text for s in sentences]
        spans = [(s.start, s.start + len(s.word)) for s in sentences]
        vectors, position = word_vectors(bert, texts, spans)
        reports[word] = sense_report(
            vectors,
            [s.sense for s in sentences],
            control=word_vectors(control, texts, spans)[0],
            position=position,
            train=[s.split == "train" for s in sentences],
        )
    return reports


def apple_reports(bert: Bert, control: Bert | None = None) -> dict[str, SenseReport]:
    """Return 蘋 and 果 -> report on the homework's ten sentences, each judged by the nine others."""
    control = control or untrained(bert)
    reports = {}
    for character, places in (("蘋", APPLE_FIRST), ("果", APPLE_SECOND)):
        spans = [(place, place + 1) for place in places]
        vectors, position = word_vectors(bert, APPLE_SENTENCES, spans)
        others = word_vectors(control, APPLE_SENTENCES, spans)[0]
        # five of each sense: the four others of its own outvote one of the other sense
        reports[character] = sense_report(vectors, APPLE_SENSES, control=others, position=position, k=5)
    return reports


def separation_table(words: Mapping[str, SenseReport], apples: Mapping[str, SenseReport]) -> list[dict[str, float]]:
    """Return for each layer the means over words, the control's beside them, and 1-NN on the ten sentences."""

    def mean(side: str, measure: str) -> np.ndarray:
        return np.mean([getattr(getattr(report, side), measure)[0] for report in words.values()], axis=0)  # raw vectors

    columns = {
        "knn": mean("model", "knn"),
        "control_knn": mean("control", "knn"),
        "silhouette": mean("model", "silhouette"),
        "control_silhouette": mean("control", "silhouette"),
        "apple_first": apples["蘋"].model.nearest[0],
        "apple_second": apples["果"].model.nearest[0],
    }
    return [dict(zip(columns, map(float, row), strict=True)) for row in zip(*columns.values(), strict=True)]


def spelled(bert: Bert, word: str) -> list[str]:
    """Return the pieces of a word that the vocabulary lacks, [] where it is one token or one a character."""
    [encoded] = encode(bert, [word])
    vocabulary = readable_vocabulary(bert.tokenizer, bert.n_tokens)
    found = [vocabulary[i] for i, special in zip(encoded.ids, encoded.special, strict=True) if not special]
    known = bert.tokenizer.unk_token not in found and len(found) <= (1 if word.isascii() else len(word))
    return [] if known else found


def language_of(word: str) -> str:
    """Return "en" or "zh"."""
    return "en" if word.isascii() else "zh"
