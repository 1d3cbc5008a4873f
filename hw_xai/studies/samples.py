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
    reading_passages,
    sense_sets,
)
from ..language.tokens import Encoded, encode, token_at


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


def passage_number(source: str) -> int:
    """Return N of "passage:N"."""
    text, n = source.removeprefix("passage:"), len(reading_passages())
    if not text.isdecimal() or not 1 <= int(text) <= n:
        raise UserError(f'passage:N must name a question from 1 to {n}, got "{text}"')
    return int(text)


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
    if not path.is_file():
        raise UserError(f"`sentences` must be ten, built-in:WORD, passage:N or a file, but there is no file {path}")
    try:
        rows = [line.split("\t") for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except UnicodeDecodeError as error:
        raise UserError(f"{path} must be a text in UTF-8, but byte {error.start} is not: save it as UTF-8") from error
    if len(rows) < 3:
        raise UserError(f"{path} must hold at least 3 sentences, one a line, got {len(rows)}")
    if not word:
        raise UserError("`word` must say which word of the sentences is compared")
    texts = [row[0].strip() for row in rows]
    spans = [_span(e, word, occurrence) for e in encode(bert, texts)]
    senses = [row[1].strip() if len(row) > 1 else "" for row in rows]
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
