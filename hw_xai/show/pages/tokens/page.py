"""One page on what each word of a sentence does to a score, by several methods side by side."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...frame.colours import PAPER, levels, over, table
from ...frame.packing import write_page

_STRONG = np.array([138, 59, 18])  # the accent of the light page: strength without a sign


@dataclass(frozen=True)
class MethodView:
    """One method's numbers (W,), or why there are none; `gap` is the completeness gap where there is one."""

    title: str
    text: str
    values: np.ndarray | None
    signed: bool
    gap: float | None = None
    error: str | None = None


@dataclass(frozen=True)
class SentenceScores:
    """A sentence as W words, the score that is explained, and the methods' answers."""

    text: str
    words: Sequence[tuple[str, bool]]  # and whether it is a special token
    explained: str
    value: float
    methods: Sequence[MethodView]
    hidden: str = ""  # which word the model does not see, in a sentence


def write_token_page(
    path: str | Path, title: str, intro: str, sentences: Sequence[SentenceScores], notices: Sequence[str] = ()
) -> Path:
    """Write the page and return its path."""
    shown = [_sentence(sentence) for sentence in sentences]
    return write_page(path, "tokens.html.j2", title=title, intro=intro, sentences=shown, notices=notices)


def _sentence(sentence: SentenceScores) -> dict:
    found = [method.values for method in sentence.methods if method.error is None and method.values is not None]
    return vars(sentence) | {
        "words": [{"text": text, "special": special} for text, special in sentence.words],
        "methods": [_method(method, len(sentence.words)) for method in sentence.methods],
        "agreement": rank_agreement(found).tolist() if len(found) > 1 else [],
    }


def _method(method: MethodView, n_words: int) -> dict:
    if method.error is not None:
        return vars(method)
    values = np.asarray(method.values, dtype=float)
    if values.shape != (n_words,):
        raise ValueError(f"`values` of {method.title} must be ({n_words},), got {values.shape}")
    scaled = values / (np.abs(values).max() or 1)
    if method.signed:
        colours = over(table(True)[levels(scaled, signed=True)], PAPER)  # (W, 3)
    else:
        colours = (255 + np.clip(scaled, 0, 1)[:, None] * (_STRONG - 255)).round().astype(int)
    dark = colours @ np.array([0.299, 0.587, 0.114]) < 140
    written = [f"rgb({r} {g} {b})" for r, g, b in colours.tolist()]
    return vars(method) | {
        "numbers": values.tolist(),
        "total": float(values.sum()),
        "scaled": scaled.tolist(),
        "colours": written,
        "inks": ["#fff" if is_dark else "#1f1d1a" for is_dark in dark],
        "bars": [("#d0392b" if value > 0 else "#2f6fe0") if method.signed else "var(--accent)" for value in values],
    }


def rank_agreement(values: Sequence[np.ndarray]) -> np.ndarray:
    """Return the rank correlation of strengths (W,) between M methods, (M, M); 0 where all are alike."""
    ranks = np.stack([_ranks(np.abs(row).round(9)) for row in values])
    ranks = ranks - ranks.mean(axis=1, keepdims=True)
    lengths = np.linalg.norm(ranks, axis=1)
    products = np.outer(lengths, lengths)
    return np.divide(ranks @ ranks.T, products, out=np.zeros_like(products), where=products > 0)


def _ranks(values: np.ndarray) -> np.ndarray:
    """Return the rank of each value, equal ones sharing their mean rank."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (counts.cumsum() - (counts - 1) / 2)[place]
