"""Which words a score comes from: every explainer of `hw_xai.explain` on a sentence, its tokens merged into words.

A BERT becomes an ordinary model (N, T, D) -> (N, C) over word embeddings, before position, segment and normalization.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..core.arguments import check_count
from ..core.batches import BATCH_SIZE
from ..core.model import resolve_target
from ..errors import UserError, nearest
from ..explain.gradients import gradient, input_x_gradient, integrated_gradients, smooth_grad
from .bert import Bert
from .layers import as_encoded, lent, padded
from .masks import Place
from .questions import (
    Score,
    class_scores,
    explained,
    question,
    sentence_vector,
    similarity_to,
    token_scores,
    variant_scores,
    word_score,
)
from .tokens import Encoded, Word

__all__ = [
    "METHODS",
    "EmbeddingModel",
    "Score",
    "TokenAttribution",
    "attribute_tokens",
    "class_scores",
    "embedding_model",
    "merged",
    "pad_baseline",
    "question",
    "sentence_vector",
    "similarity_to",
    "token_scores",
    "variant_scores",
    "word_embeddings",
    "word_score",
]


@dataclass(frozen=True)
class TokenAttribution:
    """One number for each word: what it adds to the score (or, for gradients, how much the score moves with it)."""

    words: tuple[Word, ...]
    scores: Tensor  # (W,)
    explained: str  # what the score is
    value: float  # the score of the sentence as it is


# ------------------------------------------------------------------------------------------------------ as one model


class EmbeddingModel(nn.Module):
    """Word embeddings (N, T, D) of one sentence's tokens -> scores (N, C): what `hw_xai.explain` takes."""

    def __init__(self, bert: Bert, encoded: Encoded, score: Score):
        super().__init__()
        self.model = bert.model  # a submodule, so that explainers find what to lend and to give back
        self.bert, self.encoded, self.score = bert, encoded, score

    def forward(self, embeddings: Tensor) -> Tensor:
        n, length, _ = embeddings.shape
        if length != len(self.encoded):
            raise ValueError(f"`inputs` must hold {len(self.encoded)} token embeddings per row, got {length}")
        mask = torch.ones(n, length, dtype=torch.long, device=embeddings.device)
        segments = torch.tensor(self.encoded.type_ids, device=mask.device).expand(n, -1)
        where = torch.tensor(self.score.tokens, dtype=torch.long, device=mask.device).expand(n, -1)
        output = self.bert(inputs_embeds=embeddings, attention_mask=mask, segments=segments, output_hidden_states=True)
        return self.score.of(output, mask, where)


def embedding_model(bert: Bert, encoded: Encoded, score: Score) -> EmbeddingModel:
    """Return the model from word embeddings (N, T, D) of this sentence to scores (N, C)."""
    return EmbeddingModel(bert, encoded, score)


def word_embeddings(bert: Bert, encoded: Encoded) -> Tensor:
    """Return what `embedding_model` takes for the sentence itself: (1, T, D), before position and normalization."""
    with torch.no_grad():
        return bert.word_embeddings(padded(bert, [encoded])["input_ids"])


def pad_baseline(bert: Bert, encoded: Encoded, keep: Sequence[int] = ()) -> Tensor:
    """Return the sentence with nothing in it, for integrated gradients: [PAD] in place of every word, (1, T, D).

    Special tokens, and those of `keep`, stay: a sentence without [CLS] is none, and a mask is the question itself.
    """
    hidden = [t for t in range(len(encoded)) if not encoded.special[t] and t not in keep]
    return word_embeddings(bert, encoded.put(hidden, *bert.blank))


# ------------------------------------------------------------------------------------------------------------ methods


def attribute_tokens(
    bert: Bert,
    sentence: str | Encoded,
    method: str = "ig",
    *,
    word: Place | None = None,
    occurrence: int | None = None,
    reference: str | None = None,
    score: Score | None = None,
    target: int | None = None,
    batch_size: int = BATCH_SIZE,
    **options: Any,
) -> TokenAttribution:
    """Return what each word of the sentence does to a score.

    method, with its own options: "gradient", "input_x_gradient", "smooth_grad" (n_samples, noise_level, seed), "ig"
    (n_steps), "occlusion" (fill) or "lime" (n_samples, seed); see the functions below. What is explained, unless
    `score` says it, is told in `question`. target: another class, label or token than the predicted one.
    """
    if method not in METHODS:
        raise UserError(f'`method` must be one of {", ".join(METHODS)}, got "{method}".{nearest(method, METHODS)}')
    [encoded] = as_encoded(bert, sentence)
    if score is None:
        encoded, score = question(bert, encoded, word, occurrence, reference)
    with lent(bert):
        scores = variant_scores(bert, [(encoded, score.tokens)], score, batch_size)  # (1, C)
        target = int(resolve_target(scores, None if target is None else torch.tensor([target])))
        values = METHODS[method](bert, encoded, score, target, batch_size=batch_size, **options)  # (W,)
    value = float(scores[0, target])
    return TokenAttribution(tuple(encoded.words), values.cpu(), explained(bert, score, target), value)


def merged(encoded: Encoded, per_token: Tensor) -> Tensor:
    """Sum what belongs to one word: (T,) -> (W,)."""
    return torch.stack([per_token[list(word.tokens)].sum() for word in encoded.words])


def _gradient(bert: Bert, encoded: Encoded, score: Score, target: int, *, batch_size: int) -> Tensor:
    """How much the score moves with a word: the gradient's length at each of its tokens. Unsigned."""
    model, inputs = embedding_model(bert, encoded, score), word_embeddings(bert, encoded)
    return merged(encoded, gradient(model, inputs, target, batch_size=batch_size)[0].norm(dim=-1))


def _smooth_grad(
    bert: Bert,
    encoded: Encoded,
    score: Score,
    target: int,
    *,
    n_samples: int = 50,
    noise_level: float = 0.15,
    seed: int = 0,
    batch_size: int,
) -> Tensor:
    """The same for the mean gradient over n_samples noisy copies of the embeddings. Unsigned."""
    model, inputs = embedding_model(bert, encoded, score), word_embeddings(bert, encoded)
    slopes = smooth_grad(
        model, inputs, target, n_samples=n_samples, noise_level=noise_level, seed=seed, batch_size=batch_size
    )
    return merged(encoded, slopes[0].norm(dim=-1))


def _input_x_gradient(bert: Bert, encoded: Encoded, score: Score, target: int, *, batch_size: int) -> Tensor:
    """What each word adds to the score, if the model were linear in its word embeddings."""
    model, inputs = embedding_model(bert, encoded, score), word_embeddings(bert, encoded)
    return merged(encoded, input_x_gradient(model, inputs, target, batch_size=batch_size)[0].sum(-1))


def _integrated_gradients(
    bert: Bert, encoded: Encoded, score: Score, target: int, *, n_steps: int = 50, batch_size: int
) -> Tensor:
    """What each word adds on the way from [PAD]: all together, the score's difference between there and here."""
    model, inputs = embedding_model(bert, encoded, score), word_embeddings(bert, encoded)
    baselines = pad_baseline(bert, encoded, keep=score.tokens)
    found = integrated_gradients(model, inputs, target, baselines=baselines, n_steps=n_steps, batch_size=batch_size)
    return merged(encoded, found[0].sum(-1))


def _occlusion(
    bert: Bert, encoded: Encoded, score: Score, target: int, *, fill: str | None = None, batch_size: int
) -> Tensor:
    """What the score loses when a word is masked (fill "mask") or left out ("delete"); 0 for what cannot be hidden.

    fill None: masked, by a model that knows a mask.
    """
    fill = fill or ("delete" if bert.tokenizer.mask_token_id is None else "mask")
    if fill not in ("mask", "delete"):
        raise UserError(f'`fill` must be "mask" or "delete", got "{fill}"')
    words = encoded.words
    features = _features(encoded, score)
    if fill == "delete":
        variants = [_without(encoded, score, words[w].tokens) for w in features]
    else:
        mask = bert.tokenizer.mask_token
        variants = [(encoded.put(words[w].tokens, bert.mask_id, mask), score.tokens) for w in features]
    scores = variant_scores(bert, [(encoded, score.tokens), *variants], score, batch_size)[:, target]
    return _on_words(len(words), features, scores[0] - scores[1:])


def _lime(
    bert: Bert,
    encoded: Encoded,
    score: Score,
    target: int,
    *,
    n_samples: int = 1000,
    seed: int = 0,
    batch_size: int,
) -> Tensor:
    """Weight of each word in a linear model of the score, fitted to n_samples copies with random words deleted.

    Samples, kernel and regression are those of the lime package's LimeTextExplainer with the same seed, except that
    a word that occurs twice counts as two. Ribeiro et al. 2016, arXiv 1602.04938.
    """
    from lime.lime_text import LimeTextExplainer  # late: seconds to load, for LIME only
    from sklearn.metrics import pairwise_distances  # late: seconds to load, for LIME only

    check_count("n_samples", n_samples, least=2)
    words, features = encoded.words, _features(encoded, score)
    package = LimeTextExplainer(random_state=seed)
    shown = np.ones((n_samples, len(features)))
    n_hidden = package.random_state.randint(1, len(features) + 1, n_samples - 1)
    for row, n in zip(shown[1:], n_hidden, strict=True):
        row[package.random_state.choice(len(features), n, replace=False)] = 0
    hidden = [[t for j in np.flatnonzero(row == 0) for t in words[features[j]].tokens] for row in shown]
    variants = [_without(encoded, score, tokens) for tokens in hidden]
    scores = variant_scores(bert, variants, score, batch_size)[:, target]
    distances = 100 * pairwise_distances(shown, shown[:1], metric="cosine").ravel()  # the package's scale for text
    _, weights, _, _ = package.base.explain_instance_with_data(
        shown, scores.cpu().numpy()[:, None], distances, 0, len(features), feature_selection="none"
    )
    found = torch.zeros(len(features))
    for feature, weight in weights:
        found[feature] = float(weight)
    return _on_words(len(words), features, found)


METHODS: dict[str, Callable[..., Tensor]] = {
    "gradient": _gradient,
    "input_x_gradient": _input_x_gradient,
    "smooth_grad": _smooth_grad,
    "ig": _integrated_gradients,
    "occlusion": _occlusion,
    "lime": _lime,
}


# -------------------------------------------------------------------------------------------------------------- parts


def _features(encoded: Encoded, score: Score) -> list[int]:
    """Return the indices of the words that may be hidden."""
    found = [w for w, word in enumerate(encoded.words) if not word.special and not set(word.tokens) & set(score.tokens)]
    if not found:
        raise UserError("there must be a word besides the one that is explained, got none")
    return found


def _without(encoded: Encoded, score: Score, hidden: Sequence[int]) -> tuple[Encoded, tuple[int, ...]]:
    """Return the sentence without these tokens, and where the score's tokens are then."""
    left = [t for t in range(len(encoded)) if t not in hidden]
    return encoded.keep(left), tuple(left.index(t) for t in score.tokens)


def _on_words(n_words: int, features: Sequence[int], values: Tensor) -> Tensor:
    """Return one number per word, 0 where it is no feature."""
    found = torch.zeros(n_words)
    found[features] = values.float().cpu()
    return found
