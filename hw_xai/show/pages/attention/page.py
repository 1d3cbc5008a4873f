"""One page on where a BERT looks: head view, all heads, what each does, hidden words, nearest tokens of a corpus."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...frame.packing import packed, rounded, shares, whole, write_page


@dataclass(frozen=True)
class MaskView:
    """What a model expects at each token once it is hidden, alone and with each other token; K candidates each.

    The last candidate is the token that stands there. `pairs` is None for a sentence that is too long for it.
    """

    candidates: np.ndarray  # (T, K) indices of `vocabulary`
    probabilities: np.ndarray  # (T, K)
    pair_candidates: np.ndarray | None  # (T, T, K): token t asked for, token u hidden as well
    pair_before: np.ndarray | None  # (T, T, K) only t hidden
    pair_after: np.ndarray | None  # (T, T, K) both hidden


@dataclass(frozen=True)
class NearestView:
    """The n nearest tokens of a corpus to each token: indices of `Corpus.tokens`, the nearest first."""

    plain: np.ndarray  # (T, L + 1, n)
    plain_similarity: np.ndarray  # (T, L + 1, n) cosine
    masked: np.ndarray | None  # (T, L + 1, n) the same for each token when it is hidden
    masked_similarity: np.ndarray | None
    by_head: np.ndarray | None  # (T, L, H, m) by what one head writes
    by_head_similarity: np.ndarray | None


@dataclass(frozen=True)
class SentenceView:
    """One sentence, or a pair, as a model reads it."""

    text: str
    tokens: Sequence[str]  # (T,)
    special: Sequence[bool]  # (T,)
    words: Sequence[Sequence[int]]  # the tokens of each word
    attention: np.ndarray  # (L, H, T, T)
    rollout: np.ndarray  # (L, T, T) from the input up to each layer
    notices: Sequence[str] = ()
    masks: MaskView | None = None
    nearest: NearestView | None = None
    asked: Sequence[int] = ()  # tokens to hide when the page opens: the first is asked for
    relevance: np.ndarray | None = None  # (L, T, T) what the guess at each token rests on, up to each layer


@dataclass(frozen=True)
class HeadsView:
    """What each head does, measured on many sentences."""

    kinds: Sequence[str]  # (K,)
    shares: np.ndarray  # (L, H, K) of its attention
    even: np.ndarray  # (K,) the same if it looked everywhere alike
    dominant: np.ndarray  # (L, H) index of the kind that gets most of its attention, -1 where none stands out
    entropy: np.ndarray  # (L, H) 0 for one token, 1 for all alike
    n_sentences: int
    pronouns: np.ndarray | None = None  # (L, H) how often a pronoun looks at its noun most
    pronoun_chance: float = 0.0
    n_pronouns: int = 0

    @property
    def strength(self) -> np.ndarray:
        """The share of its attention that the dominant kind gets, 0 where there is none: (L, H)."""
        chosen = np.take_along_axis(np.asarray(self.shares), np.maximum(self.dominant, 0)[..., None], axis=-1)[..., 0]
        return np.where(np.asarray(self.dominant) < 0, 0.0, chosen)

    @property
    def names(self) -> list[list[str]]:
        """The dominant kind with its share, such as "previous token (0.83)", or "": (L, H)."""
        rows = zip(np.asarray(self.dominant).tolist(), self.strength, strict=True)
        return [
            ["" if kind < 0 else f"{self.kinds[kind]} ({share:.2f})" for kind, share in zip(*row, strict=True)]
            for row in rows
        ]


@dataclass(frozen=True)
class Corpus:
    """What `NearestView` points into."""

    sentences: Sequence[tuple[Sequence[str], Sequence[str], str]]  # words, their parts of speech, what joins them
    tokens: np.ndarray  # (N, 2) sentence and word of each token
    megabytes: float  # size of the index


def write_attention_page(
    path: str | Path,
    model: str,
    sentences: Sequence[SentenceView],
    heads: HeadsView,
    vocabulary: Sequence[str] = (),
    corpus: Corpus | None = None,
    unavailable: Sequence[str] = (),
    causal: bool = False,
) -> Path:
    """Write the page and return its path.

    unavailable: a sentence for each view that this model cannot give. causal: no token looks at those behind it, which
    is drawn as hatched.
    """
    used = _Used(corpus)
    data = {
        "sentences": [_sentence(sentence, used) for sentence in sentences],
        "heads": _heads(heads),
        "vocabulary": list(vocabulary),
        "corpus": used.as_json(),
        "causal": causal,
    }
    return write_page(
        path,
        "attention.html.j2",
        title="Where does BERT look?",
        model=model,
        sentences=sentences,
        notices=list(dict.fromkeys(notice for sentence in sentences for notice in sentence.notices)),
        heads=heads,
        n_layers=len(heads.names),
        n_heads=len(heads.names[0]),
        corpus=corpus,
        has_masks=any(sentence.masks for sentence in sentences),
        has_relevance=any(sentence.relevance is not None for sentence in sentences),
        unavailable=unavailable,
        causal=causal,
        data=data,
    )


class _Used:
    """The tokens and sentences of the corpus that the page points to, numbered anew: the rest stays behind."""

    def __init__(self, corpus: Corpus | None):
        self.corpus = corpus
        self.tokens: dict[int, int] = {}
        self.sentences: dict[int, int] = {}

    def renumber(self, indices: np.ndarray) -> np.ndarray:
        unique, inverse = np.unique(indices, return_inverse=True)
        numbers = [self.tokens.setdefault(int(i), len(self.tokens)) for i in unique]
        return whole(np.array(numbers)[inverse].reshape(indices.shape))

    def as_json(self) -> dict | None:
        if self.corpus is None:
            return None
        places = [self.corpus.tokens[i].tolist() for i in self.tokens]
        tokens = [[self.sentences.setdefault(s, len(self.sentences)), word] for s, word in places]
        return {"tokens": tokens, "sentences": [self.corpus.sentences[s] for s in self.sentences]}


def _sentence(view: SentenceView, used: _Used) -> dict:
    n_layers, n_heads, n_tokens, _ = view.attention.shape
    if len(view.tokens) != n_tokens or view.rollout.shape != (n_layers, n_tokens, n_tokens):
        raise ValueError(
            f"`attention` must be (L, H, T, T) and `rollout` (L, T, T) for {len(view.tokens)} tokens, "
            f"got {view.attention.shape} and {view.rollout.shape}"
        )
    return {
        "text": view.text,
        "tokens": list(view.tokens),
        "special": [bool(flag) for flag in view.special],
        "words": [list(map(int, word)) for word in view.words],
        "attention": packed(shares(view.attention)),
        "rollout": packed(shares(view.rollout)),
        "relevance": None if view.relevance is None else packed(shares(view.relevance)),
        "masks": None if view.masks is None else _masks(view.masks),
        "nearest": None if view.nearest is None else _nearest(view.nearest, used),
        "asked": [int(t) for t in view.asked],
    }


def _masks(view: MaskView) -> dict:
    found = {
        "candidates": packed(whole(view.candidates)),
        "probabilities": packed(shares(view.probabilities, 16)),
        "pairs": None,
    }
    if view.pair_candidates is not None and view.pair_before is not None and view.pair_after is not None:
        found["pairs"] = {
            "candidates": packed(whole(view.pair_candidates)),
            "before": packed(shares(view.pair_before, 16)),
            "after": packed(shares(view.pair_after, 16)),
        }
    return found


def _nearest(view: NearestView, used: _Used) -> dict:
    columns = {
        "plain": (view.plain, view.plain_similarity),
        "masked": (view.masked, view.masked_similarity),
        "byHead": (view.by_head, view.by_head_similarity),
    }
    return {
        name: None
        if indices is None or similarity is None
        else {"tokens": packed(used.renumber(indices)), "similarity": packed(shares(similarity))}
        for name, (indices, similarity) in columns.items()
    }


def _heads(heads: HeadsView) -> dict:
    return {
        "kinds": list(heads.kinds),
        "names": heads.names,
        "strength": rounded(heads.strength, 3),
        "shares": rounded(heads.shares, 3),
        "even": rounded(heads.even, 3),
        "entropy": rounded(heads.entropy, 3),
        "pronouns": None if heads.pronouns is None else rounded(heads.pronouns, 3),
        "chance": round(heads.pronoun_chance, 3),
    }
