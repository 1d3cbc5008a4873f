"""Text to train a BERT on: sentences from files, those set aside to measure with, and the pieces they are cut into."""

import io
import json
import re
import string
import zipfile
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from zlib import crc32

from tokenizers import normalizers, pre_tokenizers
from transformers import BertTokenizer

from ..errors import UserError
from .corpus import ReadingExample, pieces

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
HEADER = ("lang", "source", "sentence")

# How much a source counts is a matter of what it is good for: plain words about plain things first.
KINDS = ("everyday", "broad", "narrow", "generated")
BROAD = {"wikipedia-en", "wikipedia-zh", "squad-1.1", "drcd", "cmrc-2018", "xquad", "ud-gsd"}
NARROW = {"sgd", "crosswoz", "aishell-1"}
GENERATED = "clauses of our own"

_HAN = re.compile(r"[\u3400-\u9fff]")
_HELD_OUT = 500  # one sentence in so many is never trained on
_LONGEST_PART = 6  # letters
_LEAST_CHARACTER, _LEAST_MARK = 10, 40  # how often a Chinese character and a mark must occur
_WHOLE = 0.9  # share of the room for English that goes to whole words, the most frequent ones
_PART = {"everyday": 1000, "broad": 100, "narrow": 200}  # thousandths of a source that the vocabulary is counted on


class Sentence(NamedTuple):
    """A sentence of a corpus: language "en" or "zh", and the name of where it comes from."""

    language: str
    source: str
    text: str

    @property
    def kind(self) -> str:
        """What its source is: "everyday", "broad" (encyclopedias), "narrow" (one purpose, one pattern), "generated"."""
        if self.source == GENERATED:
            return "generated"
        return "broad" if self.source in BROAD else "narrow" if self.source in NARROW else "everyday"

    @property
    def held_out(self) -> bool:
        """Whether it is set aside: decided by the sentence itself, so that every run sets the same ones aside."""
        return crc32(self.text.encode()) % _HELD_OUT == 0


# ------------------------------------------------------------------------------------------------------------- reading


def read_corpora(paths: Iterable[str | Path]) -> list[Sentence]:
    """Return the sentences of all files, each text once.

    .tsv: columns lang, source, sentence, with that header; .txt: a sentence a line; .zip: every such file in it.
    Raises UserError for a file that is missing, of another kind, not UTF-8, or without a sentence.
    """
    found: dict[str, Sentence] = {}
    for path in map(Path, paths):
        before = len(found)
        for sentence in _read(path):
            found.setdefault(sentence.text, sentence)
        if len(found) == before:
            raise UserError(
                f"{path} holds no sentence that was not read before: give .tsv ({', '.join(HEADER)}) or .txt"
            )
    return list(found.values())


def _read(path: Path) -> Iterator[Sentence]:
    for name, content in _contents(path, (".tsv", ".txt")):
        yield from _lines(name, content, alone=name == path)


def _contents(path: Path, kinds: tuple[str, ...]) -> Iterator[tuple[Path, bytes]]:
    """Yield name and bytes of a file of one of these kinds, or of each one in a zip."""
    if not path.is_file():
        raise UserError(f"no file at {path}")
    kind = path.suffix.lower()
    if kind not in (*kinds, ".zip"):
        raise UserError(f"{path} must be {', '.join(kinds)} or .zip, got {kind or 'no ending'}")
    try:
        if kind != ".zip":
            yield path, path.read_bytes()
            return
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if name.lower().endswith(kinds):
                    yield path / name, archive.read(name)
    except (zipfile.BadZipFile, OSError) as error:
        raise UserError(f"{path} cannot be read: {error}") from error


def _decoded(path: Path, content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path} must be UTF-8 text, but byte {error.start} is none") from error


def _lines(path: Path, content: bytes, alone: bool) -> Iterator[Sentence]:
    """Yield the sentences of a file. In a zip, a table of other columns is not for training and passed over."""
    lines = io.StringIO(_decoded(path, content))
    if path.suffix.lower() == ".txt":
        for text in filter(None, map(str.strip, lines)):
            yield Sentence(language_of(text), path.stem, text)
        return
    if tuple(next(lines, "").rstrip("\r\n").split("\t")) != HEADER:
        if alone:
            raise UserError(f"{path} must begin with the columns {', '.join(HEADER)}, separated by tabs")
        return
    for number, line in enumerate(lines, 2):
        values = line.rstrip("\r\n").split("\t")
        if len(values) != len(HEADER) or values[0] not in ("en", "zh"):
            raise UserError(f"{path}, line {number}: three columns are wanted, of which the first is en or zh")
        yield Sentence(*values)


def read_questions(paths: Iterable[str | Path], n: int) -> list[ReadingExample]:
    """Return at most n questions with passage and answer, both languages in turn as long as both last.

    .jsonl: an object with passage, question, answer and start a line, passage[start:] beginning with the answer; .zip
    of such files. Raises UserError for a file that is missing or of another kind, and for an answer that is not there.
    """
    by_language: dict[str, list[ReadingExample]] = {"zh": [], "en": []}
    for path in map(Path, paths):
        for name, content in _contents(path, (".jsonl",)):
            for number, line in enumerate(_decoded(name, content).splitlines(), 1):
                by_language[language_of(line)].append(_question(name, number, line))
    most = max(map(len, by_language.values()))
    turns = zip(*(own + [None] * (most - len(own)) for own in by_language.values()), strict=True)
    found = [example for turn in turns for example in turn if example is not None][:n]
    if not found:
        raise UserError("there must be a question to train a reader on: give a .jsonl or .zip that holds some")
    return found


def _question(path: Path, number: int, line: str) -> ReadingExample:
    try:
        row = json.loads(line)
        example = ReadingExample(row["passage"], row["question"], row["answer"], int(row["start"]))
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}, line {number}: passage, question, answer and start are wanted") from error
    if not example.answer or not example.passage.startswith(example.answer, example.start):
        raise UserError(f'{path}, line {number}: "{example.answer}" does not stand at {example.start} of the passage')
    return example


def language_of(text: str) -> str:
    """Return "zh" for a text with a Chinese character, else "en"."""
    return "zh" if _HAN.search(text) else "en"


def without_runs(sentences: Iterable[Sentence], runs: Collection[tuple[str, ...]]) -> list[Sentence]:
    """Return the sentences none of whose runs of words and characters is among `runs`: those measure."""
    by_first: dict[str, list[tuple[str, ...]]] = {}
    for run in runs:
        by_first.setdefault(run[0], []).append(run)

    def clean(text: str) -> bool:
        words = tuple(pieces(text))
        return not any(words[i : i + len(run)] == run for i, word in enumerate(words) for run in by_first.get(word, ()))

    return [sentence for sentence in sentences if clean(sentence.text)]


# ---------------------------------------------------------------------------------------------------------- vocabulary


def build_wordpiece(sentences: Sequence[Sentence], size: int, max_length: int, keep: Collection[str] = ()) -> Any:
    """Return a lower-casing WordPiece tokenizer of at most `size` pieces.

    Every Chinese character and mark that is not very rare is a piece of its own, Traditional and Simplified alike; the
    rest goes to English words and parts of words (Schuster & Nakajima 2012). What is in `keep` is a piece in any case.
    Raises UserError when `size` leaves no room for words.
    """
    cleaned = normalizers.BertNormalizer(lowercase=True)
    seen: Counter[str] = Counter()
    for sentence in sentences:
        seen.update(sentence.text)
    counts: Counter[str] = Counter()
    for character, n in seen.items():
        for c in cleaned.normalize_str(character).strip():
            counts[c] += n
    alphabet = string.ascii_lowercase + string.digits
    least = {c: _LEAST_CHARACTER if _HAN.match(c) else _LEAST_MARK for c in counts}
    single = sorted(c for c, n in counts.items() if n >= least[c] and c not in alphabet)
    single = sorted({*single, *string.punctuation, *(c for c in keep if not c.isascii())})
    spelled = [*alphabet, *(f"##{c}" for c in alphabet)]
    room = size - len(SPECIAL) - len(single) - len(spelled)
    if room < 100:
        raise UserError(f"a vocabulary of {size} has no room for words beside {len(single)} characters: give more")

    part = [_HAN.sub(" ", s.text) for s in sentences if crc32(s.text.encode()) % 1000 < _PART[s.kind]]
    part = [text for text in part if not text.isspace()]
    splitter = pre_tokenizers.BertPreTokenizer()
    words = Counter(w for text in part for w, _ in splitter.pre_tokenize_str(cleaned.normalize_str(text)))
    whole = sorted((w for w in words if w.isascii() and w.isalnum() and len(w) > 1), key=lambda w: (-words[w], w))
    whole = [*sorted(w for w in keep if w.isascii() and len(w) > 1), *whole][: round(_WHOLE * room)]
    known = set(whole)
    parts = _parts({word: n for word, n in words.items() if word not in known})
    vocabulary = list(dict.fromkeys((*SPECIAL, *single, *spelled, *whole, *parts)))[:size]
    return BertTokenizer(
        vocab={piece: i for i, piece in enumerate(vocabulary)}, do_lower_case=True, model_max_length=max_length
    )


def _parts(words: Mapping[str, int]) -> list[str]:
    """Return beginnings and ends of the words, those first that spare the most letters.

    The trainers of `tokenizers` merge pairs of one count in another order each time: no two runs give one vocabulary.
    """
    counts: Counter[str] = Counter()
    for word, n in words.items():
        if word.isascii() and word.isalnum():
            for size in range(2, min(_LONGEST_PART, len(word) - 1) + 1):
                counts[word[:size]] += n
                counts["##" + word[-size:]] += n
    spared = {part: n * (len(part.removeprefix("##")) - 1) for part, n in counts.items()}
    return sorted(spared, key=lambda part: (-spared[part], part))
