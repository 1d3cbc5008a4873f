"""What the options of a command say about the course, and how that fits to the rules that lie beside the results."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from hw_xai.errors import UserError, nearest

from ..homework.exercises import EXERCISES
from ..platforms.roster import Roster
from ..running.book import whose_grades
from ..running.course_file import NAME as NAME_OF_RULES
from ..running.course_file import Rules, differences
from ..running.journal import NAME, Journal
from ..running.late import due_date, late_policy
from .release import points_of


def course_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `rules_from` reads of the course: what counts, how it is shown. None: not said."""
    parser.add_argument("--title", help="of the assignment, for the pages and the gradebook")
    parser.add_argument("--lang", choices=["en", "zh-TW", "both"], help="default: both")

    counts = parser.add_argument_group("what counts")
    counts.add_argument("--only", metavar="EXERCISE,…", help="only these exercises (default: all)")
    counts.add_argument("--points", metavar="EXERCISE=N,…", help="other points than the exercises' own")
    counts.add_argument("--no-questions", action="store_true", default=None, help="only the exercises; saves a minute")
    counts.add_argument("--partial-credit", action="store_true", default=None, help="for answers that are partly right")
    counts.add_argument("--show-answers", choices=["none", "points", "all"], help="default: points")
    counts.add_argument("--due", metavar="DATE", help='such as "2026-12-01T23:59+08:00"')
    counts.add_argument("--late-policy", metavar="POLICY", help='such as "10%%/day,max 50%%" (default: none)')


def rules_from(options: argparse.Namespace, before: Rules | None = None) -> Rules:
    """Return the rules that the options ask for; what they do not say is as before, else as it is by default."""
    for name in before.points if before else ():
        if name not in EXERCISES:
            raise UserError(f'{NAME_OF_RULES}: [points] names no exercise "{name}".{nearest(name, EXERCISES)}')
    points = dict(before.points) if before else {name: float(row.points) for name, row in EXERCISES.items()}
    if options.only:
        chosen = [name.strip() for name in options.only.split(",") if name.strip()]
        for name in chosen:
            if name not in EXERCISES:
                raise UserError(f'--only names no exercise "{name}".{nearest(name, EXERCISES)}')
        points = {name: points.get(name, float(EXERCISES[name].points)) for name in EXERCISES if name in chosen}
    for name, value in points_of(options.points or "").items():
        if name in points:
            points[name] = float(value)
    late_policy(options.late_policy or "")  # for its sentence, which names the option
    due = due_date(options.due or "")
    asked = {
        "title": options.title,
        "language": options.lang,
        "show_answers": options.show_answers,
        "due": due.isoformat() if due else options.due,
        "late_policy": options.late_policy,
        "partial_credit": options.partial_credit,
        "questions": None if options.no_questions is None else not options.no_questions,
        "wall": options.wall,
        "memory": options.memory,
    }
    asked = {name: value for name, value in asked.items() if value is not None}
    return replace(before or Rules(points), **asked | {"points": points})


def agreed(out: Path, before: Rules, after: Rules, change: bool) -> None:
    """Say whose grades other rules change; UserError unless they are meant to."""
    changed = differences(before, after)
    if not changed:
        return
    said = "; ".join(f"{name}: {_short(old, new)}" for name, (old, new) in changed.items())
    if set(before.points) != set(after.points) or changed.keys() & {"questions", "wall", "memory", "salt"}:
        who = "everybody is graded again"
    else:
        whose = []
        if (out / NAME).is_file():
            with Journal(out) as journal:
                whose = whose_grades(journal, out, before, after)
        who = f"the grades of {len(whose)} change ({some(whose)})" if whose else "no grade changes"
    if not change:
        raise UserError(
            f"the rules of this class ({out / 'course.toml'}) say otherwise: {said}. With it, {who}: "
            "add --change if it is meant, or leave the option out"
        )
    print(f"changed: {said}; {who}")


def _short(old: object, new: object) -> str:
    if isinstance(old, dict) and isinstance(new, dict):
        names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
        pairs = ([f"{its[name]:g}" if name in its else "no" for its in (old, new)] for name in names)
        return ", ".join(f"{name} {a} -> {b}" for name, (a, b) in zip(names, pairs, strict=True))
    return f"{old!r} -> {new!r}"


def agreed_roster(before: Roster, after: Roster, change: bool) -> None:
    """UserError where a roster has other students than that of the class, unless that is meant."""
    if not before or not after or set(before.students) == set(after.students):
        return
    gone = sorted(set(before.students) - set(after.students))
    new = sorted(set(after.students) - set(before.students))
    lists = [f"{what} {some(names)}" for what, names in (("adds", new), ("drops", gone)) if names]
    said = " and ".join(lists)
    if not change:
        raise UserError(f"this is not the class's roster, it {said}: add --change if it is meant")
    print(f"changed: the roster {said}")


def some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if names[5:] else "")
