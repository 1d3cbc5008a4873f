"""Grading by hand: one page with all answers to a question, without names, in random order; its CSV becomes decisions.

Covers: answers are escaped and shown as text; the only script that the page may run is ours, by its hash; who is who is
known by the secret of the journal alone. Does not cover: names that students write into their answers.
"""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hw_xai.errors import UserError

from ..intake.code_reading import reading_codes
from ..platforms.tables import read_table
from ..running.rules import Course
from .code import lines_of
from .pages import TEMPLATES, hash_of_script, render
from .wording import heading, plain


@dataclass(frozen=True)
class RubricLine:
    """One line of a rubric: what is ticked, and the points that it gives or takes."""

    points: float
    text: str


def read_rubric(path: str | Path) -> list[RubricLine]:
    """Read a CSV with the columns points and text."""
    lines = []
    for number, row in read_table(path):
        try:
            lines.append(RubricLine(float(row.get("points", "")), row.get("text", "")))
        except ValueError:
            raise UserError(f'{path}, row {number}: points must be a number, got "{row.get("points", "")}"') from None
    if not lines or not all(line.text for line in lines):
        raise UserError(f"{path} must have columns points and text, and at least one line")
    return lines


def mark_of(student: str, question: str, secret: str) -> str:
    """Return what stands for a student on the page of a question."""
    return hmac.new(secret.encode(), f"hand\n{question}\n{student}".encode(), hashlib.sha256).hexdigest()[:10]


@reading_codes()
def hand_page(
    question: str,
    answers: Mapping[str, str],
    out_of: float,
    rubric: Sequence[RubricLine],
    course: Course,
    secret: str,
    is_code: bool = False,
) -> str:
    """Return the page. The order is that of the marks, which is nobody's.

    answers: student -> words or code, "" where nothing was found.
    """
    marked = sorted((mark_of(student, question, secret), text) for student, text in answers.items())
    script = (TEMPLATES / "hand.js").read_text(encoding="utf-8")
    return render(
        "hand.html.j2",
        course.language,
        title=f"{question} · {heading(course)}",
        course=heading(course),
        question=question,
        out_of=out_of,
        rubric=rubric,
        answers=[
            {"mark": mark, "lines": lines_of(text) if is_code else [], "text": _paragraphs(text)}
            for mark, text in marked
        ],
        is_code=is_code,
        script=script,
        script_hash=hash_of_script(script),
    )


def _paragraphs(text: str) -> list[str]:
    return [plain(part, 4000) for part in text.split("\n") if part.strip()]


def read_marks(path: str | Path, students: Sequence[str], secret: str, who: str, when: str) -> list[list[str]]:
    """Return the rows of adjustments.csv that a page's CSV means; UserError for a mark that is nobody's."""
    rows = []
    for number, row in read_table(path):
        question = row.get("exercise", "")
        of_mark = {mark_of(student, question, secret): student for student in students}
        if row.get("answer") not in of_mark:
            raise UserError(f'{path}, row {number}: nobody of this class has the mark "{row.get("answer", "")}"')
        reason = row.get("reason") or "graded by hand"
        rows.append([of_mark[row["answer"]], question, row.get("points", ""), reason, who, when])
    return rows
