"""Sentences as tokens that remember where they stood: characters, words, segments."""

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..errors import UserError, nearest
from .bert import Bert


@dataclass(frozen=True)
class Word:
    """Tokens that belong together, as they stand in the sentence; a Chinese character is a word of its own."""

    text: str
    tokens: tuple[int, ...]
    segment: int
    special: bool


@dataclass(frozen=True)
class Encoded:
    """One sentence, or a pair, as tokens. All tuples have one entry per token, T in number."""

    texts: tuple[str, ...]  # the sentence, and the second of a pair
    ids: tuple[int, ...]
    tokens: tuple[str, ...]  # as the vocabulary spells them
    offsets: tuple[tuple[int, int], ...]  # characters of texts[segment]; (0, 0) for special tokens
    word_ids: tuple[int | None, ...]  # the tokenizer's words, counted anew in the second text
    segments: tuple[int, ...]  # 0 or 1: which text; a special token belongs to the text that it closes
    type_ids: tuple[int, ...]  # what the model is told of the segments
    special: tuple[bool, ...]
    replaced: tuple[bool, ...]  # whether another token, such as the mask, was put there
    notices: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def words(self) -> list[Word]:
        """The tokens merged into words."""
        groups: list[list[int]] = []
        for t in range(len(self)):
            if groups and self._continues(t):
                groups[-1].append(t)
            else:
                groups.append([t])
        return [self._word(group) for group in groups]

    @property
    def letter_by_letter(self) -> list[str]:
        """The words of an alphabet that the vocabulary can only spell out."""
        return [word.text for word in self.words if 2 < len(word.text) == len(word.tokens) and word.text.isalpha()]

    def _continues(self, t: int) -> bool:
        if self.special[t] or self.special[t - 1] or self.segments[t] != self.segments[t - 1]:
            return False
        if self.offsets[t][0] < self.offsets[t - 1][1]:
            return True  # bytes of one character
        # a tokenizer that cuts at spaces takes a whole Chinese sentence for one word
        chinese = _is_chinese(self._text(t - 1) + self._text(t))
        return self.word_ids[t] == self.word_ids[t - 1] and not chinese

    def _text(self, t: int) -> str:
        start, end = self.offsets[t]
        return self.texts[self.segments[t]][start:end]

    def _word(self, group: list[int]) -> Word:
        first, last = group[0], group[-1]
        text = self.texts[self.segments[first]][self.offsets[first][0] : self.offsets[last][1]].strip()
        if any(self.replaced[t] for t in group):  # what the model reads, not what stood there
            text = "".join(self.tokens[t] if self.replaced[t] else self._text(t).strip() for t in group)
        special = self.special[first]
        spelled = self.tokens[first].replace("Ġ", "␣").replace("▁", "␣")  # a space that is a token of its own
        return Word(text or spelled, tuple(group), self.segments[first], special)

    def keep(self, tokens: Sequence[int]) -> "Encoded":
        """Return the sentence with only these tokens."""
        columns = ("ids", "tokens", "offsets", "word_ids", "segments", "type_ids", "special", "replaced")
        return replace(self, **{name: tuple(getattr(self, name)[t] for t in tokens) for name in columns})

    def put(self, tokens: Sequence[int], token_id: int, spelling: str) -> "Encoded":
        """Return the sentence with another token, such as the mask, at these places."""
        ids = tuple(token_id if t in tokens else old for t, old in enumerate(self.ids))
        spelled = tuple(spelling if t in tokens else old for t, old in enumerate(self.tokens))
        changed = tuple(t in tokens or old for t, old in enumerate(self.replaced))
        return replace(self, ids=ids, tokens=spelled, replaced=changed)


def _is_chinese(text: str) -> bool:
    return any("\u3400" <= character <= "\u9fff" for character in text)


def encode(bert: Bert, sentences: str | Sequence[str], pairs: str | Sequence[str] | None = None) -> list[Encoded]:
    """Cut sentences, or pairs of them, into tokens that keep their characters, words and segments.

    A sentence longer than the model reads is cut off with a warning; what the vocabulary does not know is noted in
    `.notices`. Raises UserError for an empty sentence.
    """
    sentences = [sentences] if isinstance(sentences, str) else list(sentences)
    pairs = [pairs] if isinstance(pairs, str) else pairs if pairs is None else list(pairs)
    if not sentences:
        raise UserError("there must be at least one sentence, got none")
    if pairs is not None and len(pairs) != len(sentences):
        raise UserError(f"there must be one second text per sentence, got {len(pairs)} for {len(sentences)}")
    for text in (*sentences, *(pairs or ())):
        if not text.strip():
            raise UserError("a sentence must hold at least one word, got an empty one")
    found = bert.tokenizer(sentences, pairs, truncation=True, max_length=bert.max_length).encodings
    texts = zip(sentences, pairs, strict=True) if pairs else ((sentence,) for sentence in sentences)
    return [_encoded(bert, text, encoding) for text, encoding in zip(texts, found, strict=True)]


def _encoded(bert: Bert, texts: tuple[str, ...], encoding: Any) -> Encoded:
    segments: list[int] = []
    current = 0
    for sequence in encoding.sequence_ids:
        current = current if sequence is None else sequence
        segments.append(current)
    notices = list(bert.notices)
    read = len(encoding.ids) - sum(encoding.special_tokens_mask)
    if encoding.overflowing:
        whole = bert.tokenizer(list(texts), add_special_tokens=False, verbose=False)["input_ids"]
        lost = sum(map(len, whole)) - read
        notices.append(f"{bert.name} reads {bert.max_length} tokens: the last {lost} were cut off")
        warnings.warn(notices[-1], stacklevel=3)
    unknown = [
        texts[segment][start:end]
        for i, segment, (start, end) in zip(encoding.ids, segments, encoding.offsets, strict=True)
        if i == bert.tokenizer.unk_token_id
    ]
    if unknown:
        spelled = ", ".join(dict.fromkeys(unknown))
        notices.append(f"{bert.name} does not know {spelled}: read as {bert.tokenizer.unk_token}")
    encoded = Encoded(
        texts=tuple(texts),
        ids=tuple(encoding.ids),
        tokens=tuple(encoding.tokens),
        offsets=tuple(encoding.offsets),
        word_ids=tuple(encoding.word_ids),
        segments=tuple(segments),
        type_ids=tuple(encoding.type_ids),
        special=tuple(map(bool, encoding.special_tokens_mask)),  # a mask that the user wrote is not special
        replaced=(False,) * len(encoding.ids),
    )
    for segment, text in enumerate(texts):
        if not any(s == segment and not special for s, special in zip(segments, encoded.special, strict=True)):
            raise UserError(f"a sentence must hold at least one word, got {text!r}, in which {bert.name} reads none")
    if spelled_out := encoded.letter_by_letter:
        words = ", ".join(dict.fromkeys(spelled_out))
        notices.append(f"{bert.name} has no piece of {words}: it reads letters, of which it knows little")
    return replace(encoded, notices=tuple(notices))


def token_at(encoded: Encoded, word: str, occurrence: int | None = None) -> tuple[int, ...]:
    """Return the tokens in which `word` stands; occurrence 1 is the first place, needed when there are several.

    A Latin word must stand alone ("he" is not in "the"), Chinese characters may be part of a word. Raises UserError
    for a word that is not there, was cut off, or stands in several places.
    """
    places = [(s, m.span()) for s, text in enumerate(encoded.texts) for m in _word_pattern(word).finditer(text)]
    where = " / ".join(encoded.texts)
    if not places:
        words = [w.text for w in encoded.words if not w.special]
        raise UserError(f'"{word}" is not in "{where}".{nearest(word, words)}')
    if occurrence is None and len(places) > 1:
        at = ", ".join(str(start) for _, (start, _) in places)
        raise UserError(
            f'"{word}" stands in {len(places)} places of "{where}" (characters {at}): say which by `occurrence=1`, 2, …'
        )
    chosen = 1 if occurrence is None else occurrence
    if not 1 <= chosen <= len(places):
        raise UserError(f'`occurrence` must be between 1 and {len(places)} for "{word}" in "{where}", got {occurrence}')
    segment, (start, end) = places[chosen - 1]
    return tokens_between(encoded, start, end, segment)


def stands_in(encoded: Encoded, word: str) -> bool:
    """Tell whether a word stands in the text of a sentence, as `token_at` looks for it."""
    return any(_word_pattern(word).search(text) for text in encoded.texts)


def tokens_between(encoded: Encoded, start: int, end: int, segment: int = 0) -> tuple[int, ...]:
    """Return the tokens that share a character with texts[segment][start:end]."""
    found = tuple(
        t
        for t, (a, b) in enumerate(encoded.offsets)
        if not encoded.special[t] and encoded.segments[t] == segment and a < end and start < b
    )
    if not found:
        piece = encoded.texts[segment][start:end]
        raise UserError(f'"{piece}" lies behind what the model reads of the sentence: shorten the sentence')
    return found


def _word_pattern(word: str) -> re.Pattern:
    latin = r"[A-Za-z0-9_]"
    before = f"(?<!{latin})" if re.match(latin, word) else ""
    after = f"(?!{latin})" if re.search(f"{latin}$", word) else ""
    return re.compile(f"{before}{re.escape(word)}{after}", re.IGNORECASE) if word.strip() else re.compile(r"(?!)")
