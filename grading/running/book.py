"""The grade book of a class: what the journal found, counted by the rules and decisions that lie beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hw_xai.errors import UserError

from ..platforms.roster import NO_ROSTER, Roster
from ..platforms.tables import text_of
from ..verdict.results import Result
from ..words import Text
from . import adjustments, course_file
from .adjustments import Adjustment, read_adjustments
from .audit import Log
from .counting import counted
from .course_file import Rules, read_rules
from .history import Change, keep_state
from .journal import Journal, told
from .rules import Course, course_from
from .whose import OWNERS, of_several


@dataclass(frozen=True)
class Book:
    """All that the final files are made from. results: as they count. changed: since the state before.

    unclear: whether work is there that may be that of somebody of whom nothing else is. new: whether it differs from
    the last time.
    """

    course: Course
    results: Sequence[Result]
    roster: Roster = NO_ROSTER
    remarks: Sequence[Text] = ()
    changed: Sequence[Change] = ()
    unclear: bool = False
    new: bool = True


def book_of(out: Path, journal: Journal) -> Book:
    """Count what is in the journal; UserError where nothing is graded yet, or a rule or decision cannot be read."""
    course, found = journal.recall("course", course_from), list(journal.results())
    if not course or not found:
        raise UserError(f"{out} must hold results, but nothing is graded yet: run hw-grade run first")
    rules = read_rules(out)
    if rules:
        course = rules.counting(course)
    decided = read_adjustments(out, {result.student for result in found}, [*parts_of(found), *course.hand])
    times = journal.recall("times") or {}
    handed = journal.recall("handed") or {}
    found = [
        replace(one, submitted=times.get(one.student, one.submitted), tries=handed.get(one.student, ["", 0])[1])
        for one in found
    ]
    results = [counted(result, course, decided) for result in found]
    roster, remarks = told(journal)
    changed, new = keep_state(journal, results, files_of(out), times, decided, rules)
    remarks = [*remarks, *of_several(journal.recall(OWNERS) or {}, results, roster)]
    strangers = any(one.handed_in and one.student not in roster.students for one in results) if roster else False
    unclear = not journal.recall("strangers") and (strangers or bool(journal.recall("unclear")))
    return Book(course, results, roster, remarks, changed, unclear, new)


def parts_of(results: Sequence[Result]) -> list[str]:
    """Return the names of all exercises and questions."""
    exercises = [part.exercise for result in results for part in result.exercises]
    return list(dict.fromkeys([*exercises, *(part.question for result in results for part in result.questions)]))


def files_of(out: Path) -> dict[str, str]:
    """Return the files in which people write rules and decisions, name -> content."""
    paths = [Path(out) / name for name in (course_file.NAME, adjustments.NAME)]
    return {path.name: text_of(path) for path in paths if path.is_file()}


def log_decisions(out: Path, journal: Journal, log: Log, results: Sequence[Result]) -> None:
    """Write into the log which decisions were added since the last time, and which taken back."""
    now = [_row(one) for one in read_adjustments(out, {r.student for r in results}, parts_of(results))]
    before = journal.recall("decisions") or []
    for row in now:
        if row not in before:
            log.add("adjusted", **row)
    for row in before:
        if row not in now:
            log.add("undone", **row)
    journal.keep("decisions", now)


def _row(one: Adjustment) -> dict:
    return {name: str(value) for name, value in vars(one).items()}


def whose_grades(journal: Journal, out: Path, before: Rules, after: Rules) -> list[str]:
    """Return whose total is another by other rules, without running anything."""
    course, found = journal.recall("course", course_from), list(journal.results())
    if not course:
        return []
    parts = [*parts_of(found), *before.hand, *after.hand]
    decided = read_adjustments(out, {result.student for result in found}, parts)
    times = journal.recall("times") or {}
    pairs = ((counted(r, rules.counting(course), decided, times) for rules in (before, after)) for r in found)
    return [old.student for old, new in pairs if (old.points, old.out_of) != (new.points, new.out_of)]
