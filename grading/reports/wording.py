"""Words and numbers of the reports, and the one place where texts of strangers are made harmless.

Covers: control characters, lone surrogates, marks that turn the direction of writing, endless texts.
Does not cover: HTML (the templates escape every value) and formulas of spreadsheets (`gradebook.harmless`).
"""

import hashlib
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import lru_cache
from typing import TypeVar

from ..platforms.roster import STUDENT
from ..running.rules import Course
from ..verdict.results import Answered, Graded, Result
from ..words import Text

STATUS = {
    "passed": Text("right", "正確"),
    "failed": Text("not right yet", "尚未正確"),
    "timeout": Text("took too long", "執行逾時"),
    "crashed": Text("stopped with an error", "執行中斷"),
    "out_of_memory": Text("needed too much memory", "記憶體不足"),
    "not_attempted": Text("not written", "尚未作答"),
    "not_graded": Text("not graded yet", "尚未評分"),
}
TIERS = {
    "bubblewrap": Text("bubblewrap", "bubblewrap"),
    "process": Text("process", "process"),
    "none": Text("none", "沒有隔離"),
    "": Text("did not run", "沒有執行"),
}
TURNING = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"  # the direction of writing
LONGEST_NAME, LONGEST_TEXT = 80, 600
Part = TypeVar("Part", Graded, Answered)


def cleaned(result: Result) -> Result:
    """Return a result whose texts can be written to any file and read by anybody."""
    return replace(
        result,
        student=safe_id(result.student),
        name=plain(result.name, LONGEST_NAME),
        exercises=tuple(map(_cleaned, result.exercises)),
        questions=tuple(map(_cleaned, result.questions)),
        remarks=tuple(map(cleaned_text, result.remarks)),
        digest=plain(result.digest, LONGEST_NAME),
        platform_id=plain(result.platform_id, LONGEST_NAME),
        submitted=plain(result.submitted, LONGEST_NAME),
        decided=cleaned_text(result.decided),
        cells={plain(name): tuple(map(plain, its)) for name, its in result.cells.items()},
    )


def plain(text: object, longest: int = LONGEST_TEXT) -> str:
    """Return a text on one line and of bounded length, with a replacement sign for what cannot or should not be seen.

    One line also because the sentences hold messages of the students' own errors, which may be formatted to deceive.
    """
    return _plain(str(text)[: 4 * longest], longest)


@lru_cache(maxsize=2**14)  # each page cleans what it is given, and most sentences are those of many students
def _plain(text: str, longest: int) -> str:
    text = " ".join(text.split())
    text = "".join("\ufffd" if unicodedata.category(c) in ("Cc", "Cs") or c in TURNING else c for c in text)
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def safe_id(student: str) -> str:
    """Return an id that can name a folder: as it is where it can, else one made from it, as unlike others as it was."""
    if STUDENT.fullmatch(student) and len(student) <= LONGEST_NAME and not student.endswith("."):
        return student
    return "id-" + hashlib.sha256(student.encode("utf-8", "backslashreplace")).hexdigest()[:16]


def number(value: float) -> str:
    """Write points: 3, 2.5, 0.33."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


def heading(course: Course) -> str:
    return plain(course.title, LONGEST_NAME) or "Explainable AI"


def complaints_of(questions: Iterable[Answered]) -> list[Text]:
    """Return what is wrong with the answers, once for all the questions of which the same is said."""
    names: dict[Text, list[str]] = {}
    for part in questions:
        if part.complaint.en:
            same = Text(*(text.removeprefix(part.question) for text in part.complaint))
            names.setdefault(same, []).append(part.question)
    return [Text(", ".join(several) + same.en, "、".join(several) + same.zh) for same, several in names.items()]


def _cleaned(part: Part) -> Part:
    """Clean every text of an exercise or question: the names too, for a journal may have been edited."""
    made: dict[type, Callable] = {Text: cleaned_text, str: plain, tuple: lambda row: tuple(map(plain, row))}
    return replace(part, **{k: made[type(v)](v) for k, v in vars(part).items() if type(v) in made})


def cleaned_text(text: Text) -> Text:
    return Text(*map(plain, text))
