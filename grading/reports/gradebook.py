"""The grades as CSV files: for reading, for Canvas, for Moodle.

Covers: names and sentences that a spreadsheet would take for a formula (CWE-1236), also behind spaces, invisible or
full-width signs, or behind a separator that another locale's spreadsheet splits at; quotes, line ends.
Does not cover: programs that run what stands behind an apostrophe.
"""

import csv
import io
import re
import unicodedata
from collections.abc import Iterable, Sequence
from html import escape

from ..platforms.roster import Roster
from ..running.history import Change, as_text
from ..running.rules import Course
from ..verdict.feedback import in_words
from ..verdict.results import Result
from .wording import STATUS, heading, number

STARTS = "=+-@|%\u2212\u2010\u2011\u2012\u2013\u2014"
INSIDE = re.compile(r'([;,\t"]\s*)(?=[=+\-@＝＋－＠])')
EXCUSED = "EX"  # as Canvas writes and reads it
MARK = "\ufeff"  # tells Excel that a file is UTF-8: without it, Chinese names are garbled


def harmless(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula: an apostrophe before what could begin one."""
    seen = unicodedata.normalize("NFKC", text)
    first = next((c for c in seen if not c.isspace() and unicodedata.category(c)[0] not in "CM"), "")
    text = INSIDE.sub(r"\1'", text)
    return f"'{text}" if first and first in STARTS else text


def plain_csv(results: Sequence[Result]) -> str:
    """Return one row a student: points in all and of each part, what is not right, remarks. For people: with MARK."""
    exercises = list(dict.fromkeys(part.exercise for result in results for part in result.exercises))
    questions = list(dict.fromkeys(part.question for result in results for part in result.questions))
    head = ["student", "name", "points", "out_of", "deducted", *exercises, *questions, "not_right", "remarks"]
    rows = []
    for result in results:
        points = {part.exercise: part.points for part in result.exercises}
        points |= {part.question: part.points for part in result.questions}
        wrong = [f"{part.exercise}: {part.status}" for part in result.exercises if part.status != "passed"]
        rows.append(
            [result.student, result.name, result.points, result.out_of, result.deducted]
            + [points.get(name, "") for name in (*exercises, *questions)]
            + ["; ".join(wrong), " ".join(remark.en for remark in result.remarks)]
        )
    return MARK + _csv([head, *rows])


def possible_points(results: Iterable[Result]) -> float:
    """Return out of how many points a platform has the assignment: it knows one number for all."""
    return max((result.out_of for result in results), default=0.0)


def entered_points(result: Result, possible: float) -> float:
    """Return the points that are the same share of the possible ones: who is excused from a part loses nothing."""
    share = possible / result.out_of if 0 < result.out_of < possible else 1.0
    return round(result.points * share, 4)


def canvas_csv(results: Sequence[Result], course: Course, roster: Roster, possible: float) -> str:
    """Return what Canvas imports into its gradebook, which finds the students by ID, else the SIS id, else the login.

    ID is Canvas's own number, the other two are the course's id: one is never written for the other. Without MARK,
    which would become part of the first heading. possible: `possible_points` of the class.
    """
    head = ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", heading(course)]
    row_of_points = ["    Points Possible", "", "", "", "", possible]
    grades = (EXCUSED if result.excused else entered_points(result, possible) for result in results)
    rows = [[r.name or r.student, *_ids_of(r, roster), "", grade] for r, grade in zip(results, grades, strict=True)]
    return _csv([head, row_of_points, *rows])


def _ids_of(result: Result, roster: Roster) -> tuple[str, str, str]:
    """Return ID, SIS User ID and SIS Login ID; who is not on the roster may be known by Canvas's number alone."""
    person = roster.person(result.student)
    number = person.canvas_id or result.platform_id
    known = not result.platform_id or (result.student in roster.students and result.student != number)
    return number, *2 * (result.student if known else "",)


def moodle_csv(results: Sequence[Result], course: Course, roster: Roster, possible: float) -> str:
    """Return what Moodle imports: map idnumber or email to the user, grade and feedback to the assignment.

    Who is excused from all of it has no row: Moodle has no word for it, and counts no empty grade.
    Grade and feedback together, for Moodle empties the grades of an import that has feedback alone. With MARK, which
    Moodle takes away. It shows feedback as HTML: what stands in it was made text.
    """
    rows = [
        [
            r.student,
            _email_of(r.student, roster),
            entered_points(r, possible),
            escape(feedback_of(r, course), quote=False),
        ]
        for r in results
        if not r.excused
    ]
    return MARK + _csv([["idnumber", "email", "grade", "feedback"], *rows])


def changes_csv(changed: Sequence[Change]) -> str:
    """Return the grades that are not what they were in the state before, and why. For people: with MARK."""
    return MARK + _csv(as_text(changed))


def _email_of(student: str, roster: Roster) -> str:
    return roster.person(student).email or (student if "@" in student else "")


def is_final(result: Result) -> bool:
    """Tell whether everything was graded, or decided by a person, so that the score may be entered."""
    return bool(result.decided.en) or all(p.status != "not_graded" or p.decided.en for p in result.exercises)


def is_entered(result: Result, unclear: bool) -> bool:
    """Tell whether a platform gets a row: a missing one changes nothing there, a lower score would.

    unclear: work is there that may be theirs of whom nothing is.
    """
    decided = result.decided.en or any(part.decided.en for part in result.parts)
    return is_final(result) and bool(result.handed_in or decided or not unclear)


def feedback_of(result: Result, course: Course) -> str:
    """Return a result in a few lines of text."""
    lines = []
    for part in result.exercises:
        words = [STATUS[part.status], *([part.reason] if part.status != "passed" else [])]
        words += [part.decided] if part.decided.en else []
        said = ": ".join(in_words(text, course.language) for text in words)
        lines.append(f"{part.exercise}: {number(part.points)}/{number(part.out_of)}, {said}")
    return "\n".join([*lines, *(in_words(remark, course.language) for remark in result.remarks)])


def _csv(rows: Iterable[Sequence[object]]) -> str:
    """Write rows by RFC 4180, every text made harmless."""
    file = io.StringIO()
    csv.writer(file).writerows([[harmless(v) if isinstance(v, str) else v for v in row] for row in rows])
    return file.getvalue()
