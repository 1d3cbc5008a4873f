"""What each attention head does, over many sentences: which kind of token it looks at, and whether it finds nouns."""

import math
from dataclasses import dataclass

import numpy as np
import torch

from ..explain.attention import (
    AntecedentAccuracy,
    TokenInfo,
    antecedent_accuracy,
    attention_entropy,
    dominant_kinds,
    head_statistics,
    is_punctuation,
)
from .bert import Bert
from .corpus import TaggedSentence, pronoun_sentences, search_corpus
from .layers import attentions
from .search import words_of_tokens
from .spelling import readable_vocabulary
from .tokens import Encoded, encode, tokens_between

N_SENTENCES = 120  # of the search corpus


@dataclass(frozen=True)
class HeadSummary:
    """What each head does, measured on many sentences."""

    kinds: tuple[str, ...]  # K kinds of token
    shares: np.ndarray  # (L, H, K) of its attention
    even: np.ndarray  # (K,) the same if it looked everywhere alike
    dominant: np.ndarray  # (L, H) index of the kind that gets most of its attention, -1 where none stands out
    entropy: np.ndarray  # (L, H) 0 for one token, 1 for all alike
    n_sentences: int
    pronouns: np.ndarray | None  # (L, H) how often a pronoun looks at its noun most
    pronoun_chance: float
    n_pronouns: int


def what_heads_do(bert: Bert) -> HeadSummary:
    """Return the statistics of each head over sentences of the search corpus, and of the pronoun set."""
    corpus = search_corpus()
    chosen = corpus[:: math.ceil(len(corpus) / N_SENTENCES)]
    encoded = encode(bert, [sentence.text for sentence in chosen])
    # a model may know one language only
    known = [i for i, e in enumerate(encoded) if bert.tokenizer.unk_token_id not in e.ids] or range(len(encoded))
    tokens = [TokenInfo(_read(bert, encoded[i]), encoded[i].special, tags_of(chosen[i], encoded[i])) for i in known]
    found = attentions(bert, [encoded[i] for i in known])
    statistics = head_statistics(found, tokens)
    entropies = (attention_entropy(a, normalized=True)[..., 1:-1].mean(-1) for a in found)  # (L, H) each
    entropy = sum(entropies, torch.zeros(())) / len(found)
    pronouns = _pronouns(bert)
    return HeadSummary(
        kinds=statistics.kinds,
        shares=statistics.shares.numpy(),
        even=statistics.even.numpy(),
        dominant=dominant_kinds(statistics).numpy(),
        entropy=entropy.numpy(),
        n_sentences=len(known),
        pronouns=pronouns.accuracy.numpy() if pronouns else None,
        pronoun_chance=pronouns.chance if pronouns else 0.0,
        n_pronouns=pronouns.n if pronouns else 0,
    )


def tags_of(sentence: TaggedSentence, encoded: Encoded) -> list[str]:
    """Return the part of speech of each token, "" for special ones; of a word of several tokens the first has it."""
    tags, before = [], None
    for word in words_of_tokens(sentence, encoded):
        tags.append("" if word is None else "X" if word == before else sentence.tags[word])
        before = word
    return tags


def _pronouns(bert: Bert) -> AntecedentAccuracy | None:
    """Return how often each head's largest attention from a pronoun to a word before it goes to its noun."""
    cases = pronoun_sentences()
    encoded = encode(bert, [case.text for case in cases])
    kept, places, nouns, candidates = [], [], [], []
    for case, e in zip(cases, encoded, strict=True):
        if bert.tokenizer.unk_token_id in e.ids:
            continue
        place = tokens_between(e, case.pronoun_start, case.pronoun_start + len(case.pronoun))[0]
        noun = tokens_between(e, case.antecedent_start, case.antecedent_start + len(case.antecedent))
        before = [t for t, token in enumerate(_read(bert, e)[:place]) if not e.special[t] and not is_punctuation(token)]
        if set(noun) < set(before):
            kept.append(e)
            places.append(place)
            nouns.append(noun)
            candidates.append(before)
    return antecedent_accuracy(attentions(bert, kept), places, nouns, candidates) if kept else None


def _read(bert: Bert, encoded: Encoded) -> list[str]:
    """Return the tokens as people read them: a comma is one, however the vocabulary spells it."""
    vocabulary = readable_vocabulary(bert.tokenizer, bert.n_tokens)
    return [vocabulary[i] for i in encoded.ids]
