"""adjustments.csv: what people decided about grades, with a reason. Applied when the pages are written; nothing is run.

Each row is one decision: student (or "all"), exercise (or question, or "all"), points, reason, who, when. points: a
number; "full"; "excused" (counts neither in the points nor in what can be reached); or "due DATE", an extension.
Delete the row and run `hw-grade report`, and it never was.
"""

import csv
import io
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

from hw_xai.errors import UserError, nearest

from ..platforms.tables import read_table, separator_of, text_of
from .late import due_date

NAME = "adjustments.csv"
COLUMNS = ("student", "exercise", "points", "reason", "who", "when")
ALL = "all"


@dataclass(frozen=True)
class Adjustment:
    """One decision. kind: "points", "full", "excused" or "due"; points or due belong to the first and the last."""

    student: str
    exercise: str
    kind: str
    reason: str
    who: str = ""
    when: str = ""
    points: float = 0.0
    due: datetime | None = None

    def is_about(self, student: str) -> bool:
        return self.student in (ALL, student)


def read_adjustments(out: Path, students: Container[str], parts: Sequence[str]) -> list[Adjustment]:
    """Return the decisions in the order in which they are applied: those on all before those on one.

    UserError for a row that is about nobody or nothing, or without a reason: a decision must not be lost in silence.
    """
    path = Path(out) / NAME
    if not path.is_file():
        return []
    found = [_read(path, line, row, students, parts) for line, row in read_table(path)]
    return sorted(found, key=lambda one: (one.student != ALL, one.exercise != ALL))


def _read(path: Path, line: int, row: dict[str, str], students: Container[str], parts: Sequence[str]) -> Adjustment:
    def wrong(what: str) -> UserError:
        return UserError(f"{path}, row {line}: {what}")

    student, exercise, points = (row.get(name, "") for name in COLUMNS[:3])
    if student != ALL and student not in students:
        raise wrong(f'student must be "all" or an id with a result, got "{student}"')
    if exercise != ALL and exercise not in parts:
        raise wrong(f'exercise must be "all", an exercise or a question, got "{exercise}".{nearest(exercise, parts)}')
    if not row.get("reason"):
        raise wrong("reason must say why: the student reads it")
    who, when = row.get("who", ""), row.get("when", "")
    decided = partial(Adjustment, student, exercise, reason=row["reason"], who=who, when=when)
    if points.casefold() in ("full", "excused"):
        return decided(points.casefold())
    if points.casefold().startswith("due "):
        if exercise != ALL:
            raise wrong('with "due …", exercise must be "all": everything is handed in at once')
        try:
            return decided("due", due=due_date(points[4:].strip()))
        except UserError:
            raise wrong(f'points must be like "due 2026-12-01T23:59+08:00", got "{points}"') from None
    try:
        value = float(points)
    except ValueError:
        value = -1.0
    if not 0 <= value < 10**6:
        raise wrong(f'points must be a number from 0 up, "full", "excused" or "due DATE", got "{points}"')
    return decided("points", points=value)


def append(out: Path, rows: Iterable[Sequence[object]]) -> None:
    """Add decisions to the file, which is made where there is none; a spreadsheet may have saved it in its own way."""
    path = Path(out) / NAME
    begun = text_of(path) if path.is_file() else table([COLUMNS])
    text = begun.rstrip("\r\n") + "\r\n" + table(rows, separator_of(begun))
    path.write_text("\ufeff" + text, encoding="utf-8", newline="")


def table(rows: Iterable[Sequence[object]], separator: str = ",") -> str:
    file = io.StringIO()
    csv.writer(file, delimiter=separator).writerows(rows)
    return file.getvalue()
