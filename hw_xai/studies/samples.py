"""Which sentences are compared: the homework's ten, a shipped set, or a file of one's own."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import UserError, nearest
from ..language.bert import Bert
from ..language.corpus import (
    APPLE_FIRST,
    APPLE_SECOND,
    APPLE_SENSES,
    APPLE_SENTENCES,
    ReadingExample,
    reading_passages,
    sense_sets,
)
from ..language.tokens import Encoded, encode, token_at
from .sentence_files import labelled_sentences, own_passage

MOST = 2_000  # sentences: each with each other is a matrix, for every layer


@dataclass(frozen=True)
class Sample:
    """Sentences with the place of one word in each, and its sense where that is known."""

    word: str
    texts: Sequence[str]
    spans: Sequence[tuple[int, int]]
    senses: Sequence[str] | None
    train: Sequence[bool] | None = None


def read_sample(bert: Bert, source: str, word: str | None = None, occurrence: int | None = None) -> Sample:
    """Return the sentences that `source` names: "ten", "built-in:WORD" or a file."""
    if occurrence is not None and occurrence < 1:
        raise UserError(f"`occurrence` must be at least 1, got {occurrence}")
    if source == "ten":
        return _ten(word or "果")
    if source.startswith("built-in:"):
        if word is not None:
            raise UserError(f"`word` must be left out with {source}, which names the word, got {word}")
        return _shipped_set(source.removeprefix("built-in:"))
    return _from_file(bert, Path(source), word, occurrence)


def read_passage(source: str) -> ReadingExample:
    """Return what "passage:N" (our questions, from 1) or "passage:FILE" (one's own, see `own_passage`) names."""
    text, ours = source.removeprefix("passage:"), reading_passages()
    if Path(text).is_file():
        return own_passage(Path(text))
    if not text.isdecimal() or not 1 <= int(text) <= len(ours):
        raise UserError(f'passage:N must name a question from 1 to {len(ours)}, or a file, got "{text}"')
    return ours[int(text) - 1]


def _ten(word: str) -> Sample:
    places = {"蘋": APPLE_FIRST, "果": APPLE_SECOND, "蘋果": APPLE_FIRST}
    if word not in places:
        raise UserError(f'the ten sentences are compared at 蘋, 果 or 蘋果, got "{word}": give others with `sentences`')
    spans = [(start, start + len(word)) for start in places[word]]
    return Sample(word, APPLE_SENTENCES, spans, APPLE_SENSES)


def _shipped_set(word: str) -> Sample:
    sets = sense_sets()
    if word not in sets:
        raise UserError(f'no set of sentences for "{word}".{nearest(word, sets)} There are: {", ".join(sets)}')
    found = sets[word]
    return Sample(
        word,
        [s.text for s in found],
        [(s.start, s.start + len(s.word)) for s in found],
        [s.sense for s in found],
        [s.split == "train" for s in found],
    )


def _from_file(bert: Bert, path: Path, word: str | None, occurrence: int | None) -> Sample:
    rows = labelled_sentences(path)
    if len(rows) < 2:
        raise UserError(f"{path} must hold at least 2 sentences, one a line, got {len(rows)}")
    if len(rows) > MOST:
        raise UserError(f"{path} must hold at most {MOST:,} sentences, got {len(rows):,}: draw some of them")
    if not word:
        raise UserError("`word` must say which word of the sentences is compared")
    texts = [text for text, _ in rows]
    spans = [_span(e, word, occurrence) for e in encode(bert, texts)]
    senses = [sense for _, sense in rows]
    return Sample(word, texts, spans, senses if all(senses) else None)


def _span(encoded: Encoded, word: str, occurrence: int | None) -> tuple[int, int]:
    """Return the characters of the word; `occurrence` counts only in sentences where it stands more than once."""
    try:
        tokens = token_at(encoded, word)
    except UserError:
        if occurrence is None:
            raise
        tokens = token_at(encoded, word, occurrence)
    return encoded.offsets[tokens[0]][0], encoded.offsets[tokens[-1]][1]
