"""What a masked language model puts in a word's place, and how that moves when another word is hidden as well."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import UserError
from .bert import Bert
from .layers import as_encoded, lent, padded
from .spelling import readable_vocabulary
from .tokens import Encoded, token_at

Place = str | int  # a word of the sentence, or the index of a token


@dataclass(frozen=True)
class Prediction:
    """What the model expects at one masked token."""

    position: int
    hidden: str  # the token that stood there
    vocabulary: tuple[str, ...]  # as people read it, see `readable_vocabulary`
    probabilities: Tensor  # (V,), sums to one

    def top(self, n: int = 10) -> list[tuple[str, float]]:
        """Return the n likeliest tokens with their probabilities."""
        values, ids = self.probabilities.topk(min(n, len(self.vocabulary)))
        return [(self.vocabulary[i], p) for i, p in zip(ids.tolist(), values.tolist(), strict=True)]

    def of(self, token: str) -> float:
        """Return the probability of a token of the vocabulary."""
        if token not in self.vocabulary:
            raise UserError(f'"{token}" is no token of the vocabulary: longer words are put together from several')
        return float(self.probabilities[self.vocabulary.index(token)])


@dataclass(frozen=True)
class WhatIf:
    """One masked token, before and after other words are masked too."""

    before: Prediction
    after: Prediction

    def changes(self, n: int = 10) -> list[tuple[str, float, float]]:
        """Return (token, probability before, after) for all that are among the n likeliest on either side."""
        tokens = dict.fromkeys(token for side in (self.before, self.after) for token, _ in side.top(n))
        return [(token, self.before.of(token), self.after.of(token)) for token in tokens]


def fill_mask(
    bert: Bert,
    sentence: str | Encoded,
    place: Place | None = None,
    *,
    occurrence: int | None = None,
    also_masked: Sequence[Place] = (),
) -> list[Prediction]:
    """Mask a word and return what the model expects there, one prediction for each of its tokens.

    place: a word, the index of a token, or None for the masks that the sentence already holds. occurrence: which of
    several places of the word. also_masked: other words to hide at the same time.
    """
    if bert.head != "masked-lm":
        raise UserError(f"{bert.name} cannot fill in words: choose a masked language model such as built-in")
    [encoded] = as_encoded(bert, sentence)
    asked = masks_in(bert, encoded) if place is None else places(encoded, place, occurrence)
    hidden = [*asked, *(t for other in also_masked for t in places(encoded, other))]
    masked = encoded.put(hidden, bert.mask_id, bert.tokenizer.mask_token)
    with lent(bert), torch.no_grad():
        logits = bert(**padded(bert, [masked])).logits[0, list(asked)].cpu()  # (P, V)
    vocabulary = readable_vocabulary(bert.tokenizer, logits.shape[1])
    return [
        Prediction(t, vocabulary[encoded.ids[t]], vocabulary, row.softmax(-1))
        for t, row in zip(asked, logits, strict=True)
    ]


def mask_what_if(
    bert: Bert,
    sentence: str | Encoded,
    place: Place | None,
    also_masked: Sequence[Place],
    occurrence: int | None = None,
) -> list[WhatIf]:
    """Return for each token of a word what is expected there, and what when `also_masked` are hidden too."""
    [encoded] = as_encoded(bert, sentence)
    before = fill_mask(bert, encoded, place, occurrence=occurrence)
    after = fill_mask(bert, encoded, place, occurrence=occurrence, also_masked=also_masked)
    return [WhatIf(*sides) for sides in zip(before, after, strict=True)]


def masks_in(bert: Bert, encoded: Encoded) -> tuple[int, ...]:
    """Return where the sentence itself holds mask tokens; raise UserError if nowhere."""
    found = tuple(t for t, i in enumerate(encoded.ids) if i == bert.mask_id)
    if not found:
        mask = bert.tokenizer.mask_token
        raise UserError(f'name a word to mask, or write {mask} into the sentence, got "{" / ".join(encoded.texts)}"')
    return found


def places(encoded: Encoded, place: Place, occurrence: int | None = None) -> tuple[int, ...]:
    """Return the tokens that a word or an index means."""
    if isinstance(place, str):
        return token_at(encoded, place, occurrence)
    if not 0 <= place < len(encoded) or encoded.special[place]:
        raise UserError(f'token {place} must be a token of a word of "{" / ".join(encoded.texts)}"')
    return (place,)
