"""The sentences of the language half: the homework's ten, sense-labelled sets, passages, and a generated corpus.

Everything is our own text in data/sentences except APPLE_SENTENCES, the ten of the original homework. Languages are
"en", "zh-Hant" (Traditional) and "zh-Hans" (Simplified); spans are character offsets into `text`. Upper and lower case
would give "Apple" and "Python" away, so compare senses with a tokenizer that lower-cases.
"""

import re
import tomllib
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from random import Random
from zlib import crc32

from ..files import shipped
from .grammar import Slots, capitalized, expand, read_slots, with_articles

APPLE_SENTENCES = (
    "今天買了蘋果來吃",
    "進口蘋果（富士)平均每公斤下跌12.3%",
    "蘋果茶真難喝",
    "老饕都知道智利的蘋果季節即將到來",
    "進口蘋果因防止水分流失故添加人工果糖",
    "蘋果即將於下月發振新款iPhone",
    "蘋果獲新Face ID專利",
    "今天買了蘋果手機",
    "蘋果的股價又跌了",
    "蘋果押寶指紋辨識技術",
)
APPLE_SENSES = ("fruit",) * 5 + ("company",) * 5
APPLE_FIRST = (4, 2, 0, 8, 2, 0, 0, 4, 0, 0)  # where 蘋 stands
APPLE_SECOND = (5, 3, 1, 9, 3, 1, 1, 5, 1, 1)  # where 果 stands

TAGS = {
    *("ADJ", "ADP", "ADV", "AUX", "CCONJ", "DET", "NOUN", "NUM"),
    *("PART", "PRON", "PROPN", "PUNCT", "SCONJ", "VERB"),
}

_SHARED_RUN = 6  # training never repeats so many pieces in a row of a sentence that measures it
_EMPHASIS = {"蘋果": 4}  # the homework's own word is the hardest: ten terse headlines full of rare characters


@dataclass(frozen=True)
class SenseSentence:
    """A sentence in which `word`, at `text[start:start + len(word)]` in any case, has one known sense."""

    text: str
    word: str
    start: int
    sense: str
    language: str
    split: str  # "train" or "held-out"


@dataclass(frozen=True)
class PronounSentence:
    """A sentence whose pronoun refers to the antecedent."""

    text: str
    antecedent: str
    antecedent_start: int
    pronoun: str
    pronoun_start: int
    language: str


@dataclass(frozen=True)
class ReadingExample:
    """A question about a passage; the answer is `passage[start:start + len(answer)]`."""

    passage: str
    question: str
    answer: str
    start: int


@dataclass(frozen=True)
class TaggedSentence:
    """Words with one universal part-of-speech tag (TAGS) each."""

    words: tuple[str, ...]
    tags: tuple[str, ...]
    language: str

    @property
    def text(self) -> str:
        if self.language != "en":
            return "".join(self.words)
        return re.sub(r" (?=[.,?!])", "", " ".join(self.words))


def pieces(text: str) -> list[str]:
    """Return what two sentences share when they are the same: lower-case words, numbers and Chinese characters."""
    return re.findall(r"[a-z0-9]+|[\u4e00-\u9fff]", unicodedata.normalize("NFKC", text).lower())


def simplified(text: str) -> str:
    """Return Traditional `text` in Simplified characters, one by one."""
    table = _toml("clauses")["simplified"]
    return text.translate(str.maketrans(table["traditional"], table["simplified"]))


# ---- what is read ----


@cache
def sense_sets() -> dict[str, list[SenseSentence]]:
    """Return word -> its sentences of every sense, split and language (小米 is written alike in two of them)."""
    sets: dict[str, list[SenseSentence]] = {}
    for language, word, sense, split, marked in _rows("senses"):
        text, [(_, start)] = _unmark(marked)
        sets.setdefault(word, []).append(SenseSentence(text, word, start, sense, language, split))
    return sets


def sense_sentences(word: str, language: str | None = None, split: str | None = None) -> list[SenseSentence]:
    """Return the sentences of `word`, of one language or split if named."""
    return [s for s in sense_sets()[word] if language in (None, s.language) and split in (None, s.split)]


@cache
def pronoun_sentences() -> list[PronounSentence]:
    """Return sentences with the spans of a noun and of the pronoun that stands for it later on."""
    found = []
    for language, marked in _rows("pronouns"):
        text, [(noun, noun_start), (pronoun, pronoun_start)] = _unmark(marked)
        found.append(PronounSentence(text, noun, noun_start, pronoun, pronoun_start, language))
    return found


@cache
def reading_passages() -> list[ReadingExample]:
    """Return the questions about three passages: a birth year, a law in two countries, a chain of relations."""
    return [
        ReadingExample(passage["text"], q["question"], q["answer"], passage["text"].index(q["answer"]))
        for passage in _toml("passages")["passage"]
        for q in passage["questions"]
    ]


# ---- what is generated ----


@cache
def search_corpus(seed: int = 0, per_language: int = 900) -> list[TaggedSentence]:
    """Return different everyday sentences with their parts of speech, English first, then Traditional Chinese."""
    rng = Random(seed)
    corpus: dict[str, TaggedSentence] = {}
    for language in ("en", "zh-Hant"):
        goal = len(corpus) + per_language
        while len(corpus) < goal:
            sentence = _tagged_sentence(language, rng)
            corpus.setdefault(sentence.text, sentence)
    return list(corpus.values())


def training_sentences(n: int, seed: int = 0) -> Iterator[str]:
    """Yield `n` sentences for the built-in masked language model, in three scripts.

    They hold the ambiguous words in every sense at like positions, everyday sentences, and the words of the reading
    task. None repeats six pieces in a row of the ten sentences or of a held-out sense sentence; none is of the pronoun
    set.
    """
    rng = Random(seed)
    makers = (_sense_sentence, _retold_sentence, _everyday_sentence, _reading_sentence, _plain_sentence)
    while n > 0:
        [make] = rng.choices(makers, weights=(54, 16, 14, 6, 10))
        sentence = make(rng)
        if not _repeats_a_measure(sentence):
            n -= 1
            yield sentence


def reading_examples(n: int, seed: int = 0, held_out: bool = False) -> Iterator[ReadingExample]:
    """Yield `n` questions (who, when, where, what) about short English passages of two to four facts.

    A question with its answer belongs for good either to training or to the held-out part; those about
    reading_passages() are held out.
    """
    rng = Random(f"reading {seed}")
    while n > 0:
        example = _reading_example(rng)
        if example and _is_held_out(example) == held_out:
            n -= 1
            yield example


def _tagged_sentence(language: str, rng: Random) -> TaggedSentence:
    tokens = capitalized(expand(rng.choice(_patterns(language)), _slots("tagged", language), rng)).split()
    words, tags = zip(*(token.rsplit("/", 1) for token in tokens), strict=True)
    return TaggedSentence(words, tags, language)


def _sense_sentence(rng: Random) -> str:
    """Full clause, with or without a context clause on either side: the same frames for every sense."""
    language, word, sense = rng.choices(_senses(), weights=[_EMPHASIS.get(word, 1) for _, word, _ in _senses()])[0]
    clauses = [_clause(language, word, sense, "full", rng)]
    side = rng.choice(("alone", "before", "after"))
    if side != "alone":
        clauses.insert(0 if side == "before" else 1, _clause(language, word, sense, "context", rng))
    text = _joined(clauses, language, rng)
    # Simplified sentences are needed only of the words whose Simplified sets are measured
    return simplified(text) if word in ("蘋果", "小米") and rng.random() < 0.3 else text


def _retold_sentence(rng: Random) -> str:
    """A sentence of the sets' train split, alone or beside a new context clause of its sense."""
    sentence = rng.choice(_train_split())
    clauses = [sentence.text.rstrip(".?")]
    if rng.random() < 0.7:
        chinese = sentence.language != "en"
        word = "蘋果" if sentence.word == "苹果" else sentence.word
        context = _clause("zh-Hant" if chinese else "en", word, sentence.sense, "context", rng)
        clauses.insert(rng.randrange(2), simplified(context) if sentence.language == "zh-Hans" else context)
    return _joined(clauses, sentence.language, rng)


def _everyday_sentence(rng: Random) -> str:
    return _tagged_sentence(rng.choice(("en", "zh-Hant")), rng).text


def _reading_sentence(rng: Random) -> str:
    while not (example := _reading_example(rng)) or _is_held_out(example):
        pass
    return rng.choice((example.question, *re.findall(r"[^.]+\.", example.passage))).strip()


def _plain_sentence(rng: Random) -> str:
    return rng.choice(rng.choice(list(_toml("clauses")["plain"].values())))


def _clause(language: str, word: str, sense: str, kind: str, rng: Random) -> str:
    return expand(rng.choice(_toml("clauses")[language][word][sense][kind]), _slots("clauses", language), rng)


def _joined(clauses: list[str], language: str, rng: Random) -> str:
    if language == "en":
        glue = rng.choice((", and ", ", but ", ". "))
        if glue == ". " or clauses[-1][0].isupper():  # a whole sentence stays one
            return ". ".join(map(capitalized, clauses)) + "."
        return capitalized(glue.join(clauses)) + "."
    return "，".join(clauses) + rng.choice(("", "。"))


def _reading_example(rng: Random) -> ReadingExample | None:
    """A passage about one person, or about several with facts alike; None when the question has several answers."""
    facts = _toml("reading")["fact"]
    one_person = rng.random() < 0.5
    kinds = rng.sample(facts, rng.randint(2, 3))
    if not one_person:
        kinds.append(kinds[0])
    gender = rng.choice("fm")
    bound = _bound_slots(len(kinds), f"name_{gender}" if one_person else None, rng)
    asked = rng.randrange(len(kinds))
    question, slot = rng.choice(kinds[asked]["questions"])
    if one_person and slot == "name":
        return None  # everything is about that name
    queues = [[(i, s) for s in kind["sentences"]] for i, kind in enumerate(kinds)]
    passage, start = "", -1
    while any(queues):
        i, sentence = rng.choice([q for q in queues if q]).pop(0)
        if one_person and passage and rng.random() < 0.5:
            sentence = re.sub(r"^(In \{year\} )?\{name\}(?= )", rf"\1{'she' if gender == 'f' else 'he'}", sentence)
        # what stands before the answer may change length ("a owl"), so the answer is found in the finished sentence
        told = capitalized(with_articles(sentence.format_map(bound[i])))
        passage += " " if passage else ""
        if i == asked and f"{{{slot}}}" in sentence:
            start = len(passage) + told.index(bound[i][slot])
        passage += told
    if start < 0:
        return None
    return ReadingExample(passage, with_articles(question.format_map(bound[asked])), bound[asked][slot], start)


def _bound_slots(n: int, one_person: str | None, rng: Random) -> list[dict[str, str]]:
    """Values for the slots of `n` facts; no two facts share a value, except the name when all are about one person."""
    lists = dict(_slots("reading"))
    animals = rng.sample(list(zip(lists.pop("animal"), lists.pop("animals"), strict=True)), 2 * n)
    person = rng.choice(lists[one_person]) if one_person else None
    lists["name"] = [name for name in lists.pop("name_f") + lists.pop("name_m") if name != person]
    drawn = {slot: rng.sample(values, 2 * n if slot == "name" else n) for slot, values in lists.items()}
    return [
        {slot: values[i] for slot, values in drawn.items()}
        | {"name": person or drawn["name"][i], "name2": drawn["name"][n + i]}
        | {"animal": animals[i][0], "animals": animals[i][1], "animals2": animals[n + i][1]}
        for i in range(n)
    ]


def _is_held_out(example: ReadingExample) -> bool:
    pair = (example.question, example.answer)
    return crc32("|".join(pair).encode()) % 5 == 0 or pair in {(e.question, e.answer) for e in reading_passages()}


def _repeats_a_measure(text: str) -> bool:
    words = pieces(text)
    protected = protected_runs()
    sizes = {len(run) for run in protected}
    return any(tuple(words[i : i + size]) in protected for size in sizes for i in range(len(words) - size + 1))


@cache
def protected_runs() -> set[tuple[str, ...]]:
    """Return the runs of `pieces` that no training sentence may hold: they are of the sentences that measure."""
    measures = [*APPLE_SENTENCES, *(s.text for sents in sense_sets().values() for s in sents if s.split == "held-out")]
    runs = {tuple(pieces(s.text)) for s in pronoun_sentences()}
    for words in map(pieces, measures):
        size = min(_SHARED_RUN, len(words))
        runs |= {tuple(words[i : i + size]) for i in range(len(words) - size + 1)}
    return runs


# ---- files ----


@cache
def _toml(name: str) -> dict:
    return tomllib.loads(shipped(f"sentences/{name}.toml").read_text(encoding="utf-8"))


@cache
def _slots(name: str, language: str | None = None) -> Slots:
    table = _toml(name)
    return read_slots((table[language] if language else table)["slots"])


@cache
def _patterns(language: str) -> list[str]:
    return _toml("tagged")[language]["patterns"]


@cache
def _senses() -> list[tuple[str, str, str]]:
    """Every (language, word, sense) of the clause grammar."""
    table = _toml("clauses")
    return [
        (language, word, sense)
        for language in ("en", "zh-Hant")
        for word, senses in table[language].items()
        if word != "slots"
        for sense in senses
    ]


@cache
def _train_split() -> list[SenseSentence]:
    return [s for sentences in sense_sets().values() for s in sentences if s.split == "train"]


def _rows(name: str) -> list[list[str]]:
    """Return the rows of a tab-separated file, without its header."""
    lines = shipped(f"sentences/{name}.tsv").read_text(encoding="utf-8").splitlines()
    return [line.split("\t") for line in lines[1:]]


def _unmark(marked: str) -> tuple[str, list[tuple[str, int]]]:
    """Return the text without its [marks] and {marks}, and what each held, with its offset in that text."""
    text, spans = "", []
    for part in re.split(r"(\[.+?\]|\{.+?\})", marked):
        if part[:1] in ("[", "{"):
            part = part[1:-1]
            spans.append((part, len(text)))
        text += part
    return text, spans
