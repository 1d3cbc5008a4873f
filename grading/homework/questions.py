"""The thirty questions as data: their texts in questions.toml, their options in an order of each student's own."""

import random
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from ..words import Text

LETTERS = "ABCDEFGH"


@dataclass(frozen=True)
class Question:
    """One multiple-choice question; options by a name that stays the same whatever letter they are shown under."""

    name: str  # "Q1"
    notebook: str  # the stem of its master
    text: Text
    options: Mapping[str, Text]
    multiple: bool  # more than one option may be right

    @property
    def points(self) -> float:
        """0.3 for the twenty questions about the CNN, 0.4 for the ten about BERT: ten points in all."""
        return 0.3 if int(self.name[1:]) <= 20 else 0.4


@lru_cache(maxsize=1)
def load_questions() -> dict[str, Question]:
    """Read questions.toml."""
    table = tomllib.loads((Path(__file__).parent / "questions.toml").read_text(encoding="utf-8"))
    return {
        name: Question(
            name,
            row["notebook"],
            Text(row["en"], row["zh"]),
            {key: Text(option["en"], option["zh"]) for key, option in row["options"].items()},
            row["multiple"],
        )
        for name, row in table.items()
    }


def letters(question: Question, variant: int = 0) -> dict[str, str]:
    """Return letter -> option name: as written for variant 0, else shuffled by the student's variant."""
    names = list(question.options)
    if variant:
        random.Random(f"{variant} {question.name}").shuffle(names)
    return dict(zip(LETTERS, names, strict=False))


def chosen(question: Question, answer: str | Iterable[str], variant: int = 0) -> frozenset[str]:
    """Return the names of the options that an answer such as "AC" or ["A", "C"] means; ValueError for other letters."""
    given = "".join(answer).replace(",", "").replace(" ", "").upper()
    known = letters(question, variant)
    if unknown := sorted(set(given) - set(known)):
        raise ValueError(f"{question.name} has the options {', '.join(known)}, got {', '.join(unknown)}")
    return frozenset(known[letter] for letter in given)
