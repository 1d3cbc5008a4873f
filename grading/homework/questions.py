"""The thirty questions as data: their texts in questions.toml, their options in an order of each student's own."""

import random
import re
import tomllib
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from ..words import Text

LETTERS = "ABCDEFGH"
NOTEBOOKS = (
    *("0_start", "1_perturbation", "2_gradients", "3_filters_and_cam", "4_attention", "5_embeddings"),
    "6_can_you_trust_it",
)  # all that a student hands in


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
    """Return the names of the options that an answer means; ValueError for other letters.

    "AC", "a, c", ["A", "C"], "A、C" and the wide letters of a Chinese keyboard, "ＡＣ", mean the same.
    """
    given = re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", "".join(answer))).upper()
    known = letters(question, variant)
    if unknown := sorted(set(given) - set(known)):
        raise ValueError(f"{question.name} has the options {', '.join(known)}, got {', '.join(unknown)}")
    return frozenset(known[letter] for letter in given)
