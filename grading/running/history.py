"""Every state of the grades: what changed from one to the next and why, and the way back to each.

A state is kept when the final files are written and something differs from the state before. The results themselves are
kept once, by their hash.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ..verdict.results import Result
from .adjustments import Adjustment
from .audit import Log
from .course_file import TABLES, Rules, differences
from .journal import Journal, hash_of


@dataclass(frozen=True)
class Change:
    """A grade that is not what it was in the state before. part: an exercise, a question or "total"."""

    student: str
    part: str
    before: float | None  # None: there was no such part
    after: float | None
    why: str


@dataclass(frozen=True)
class State:
    """What decided the grades at one time. versions: student -> hash of the result; grades: student -> points."""

    number: int
    time: str
    versions: Mapping[str, str]
    digests: Mapping[str, str]
    grades: Mapping[str, Mapping[str, float]]
    files: Mapping[str, str]  # course.toml, adjustments.csv
    times: Mapping[str, str]
    decisions: Sequence[Mapping[str, str]]
    rules: dict  # what Rules was made from; empty: there were none


def grades_of(result: Result) -> dict[str, float]:
    """Return part -> points, and the total."""
    parts = {part.exercise: part.points for part in result.exercises}
    return parts | {part.question: part.points for part in result.questions} | {"total": result.points}


def keep_state(
    journal: Journal,
    counted: Sequence[Result],
    files: Mapping[str, str],
    times: Mapping[str, str],
    adjustments: Sequence[Adjustment],
    rules: Rules | None,
) -> tuple[list[Change], bool]:
    """Keep the state of the journal unless it is the one that was kept last.

    Return what changed in the last, and whether that is new.
    """
    texts = journal.texts()
    data = {
        "versions": {student: hash_of(text) for student, text in texts.items()},
        "digests": {result.student: result.digest for result in counted},
        "grades": {result.student: grades_of(result) for result in counted},
        "files": dict(files),
        "times": dict(times),
        "decisions": [{"student": one.student, "exercise": one.exercise, "reason": one.reason} for one in adjustments],
        "rules": {} if rules is None else vars(rules) | {name: dict(getattr(rules, name)) for name in TABLES},
    }
    last = journal.last_state()
    new = last is None or {name: last[1][name] for name in data} != data
    if new:
        journal.add_state(data | {"time": datetime.now(UTC).isoformat(timespec="seconds")})
    return changes_of(journal), new


def states(journal: Journal) -> list[State]:
    """Return all states, the first first."""
    return [State(number, **data) for number, data in journal.states()]


def changes_of(journal: Journal) -> list[Change]:
    """Return what changed from the last state but one to the last; nothing in the first."""
    two = [State(number, **data) for number, data in journal.states(2)]
    return [] if len(two) < 2 else list(changes_between(*two))


def changes_between(old: State, new: State) -> Iterator[Change]:
    """Yield the grades that differ, student by student, the total last, each with the reason."""
    for student in sorted(old.grades.keys() | new.grades.keys()):
        before, after = old.grades.get(student, {}), new.grades.get(student, {})
        parts = dict.fromkeys([*before, *after])
        for part in [*(p for p in parts if p != "total"), "total"]:
            one, other = before.get(part), after.get(part)
            without = part != "total" and not one and not other  # a part that is new, and of which nothing is reached
            if one != other and not without:
                yield Change(student, part, one, other, _why(student, part, old, new))


def _why(student: str, part: str, old: State, new: State) -> str:
    """Return what may have changed a student's grade: the work, the grading, a decision, a rule, a time."""
    reasons = []
    if student not in old.grades:
        reasons.append("new")
    elif student not in new.grades:
        reasons.append("gone")
    elif old.digests.get(student) != new.digests.get(student):
        reasons.append("other work was handed in")
    elif old.versions.get(student) != new.versions.get(student):
        reasons.append("graded again")
    theirs = [[one for one in state.decisions if _is_about(one, student, part)] for state in (old, new)]
    reasons += [f"adjusted: {one['reason']}" for one in theirs[1] if one not in theirs[0]]
    reasons += [f"no longer adjusted: {one['reason']}" for one in theirs[0] if one not in theirs[1]]
    if old.rules and new.rules and old.rules != new.rules:
        both = Rules(**old.rules), Rules(**new.rules)
        changed = differences(*both)
        for table in TABLES:
            before, after = (getattr(rules, table) for rules in both)
            if part != "total" and before.get(part) == after.get(part):
                changed.pop(table, None)
        reasons += [f"rules: {', '.join(changed)}"] if changed else []
    if old.times.get(student) != new.times.get(student):
        reasons.append("other time")
    return "; ".join(reasons) or "counted anew"


def _is_about(decision: Mapping[str, str], student: str, part: str) -> bool:
    return decision["student"] in (student, "all") and (part == "total" or decision["exercise"] in (part, "all"))


def restore(out: Path, journal: Journal, log: Log, state: State) -> None:
    """Make the results, rules, decisions and times those of a state; the log says what was put back."""
    log.add("restore", state=state.number)
    now = journal.texts()
    for student, version in state.versions.items():
        if student not in now or hash_of(now[student]) != version:
            _, key, text, sources = journal.version(version)
            head = log.add("result", student=student, result=version, isolation=[])
            journal.write(student, key, text, sources, head)
    for student in now.keys() - state.versions.keys():
        journal.keep("audit", log.add("removed", student=student))
        journal.remove(student)
    for name in ("course.toml", "adjustments.csv"):
        if name in state.files:
            (Path(out) / name).write_text(state.files[name], encoding="utf-8", newline="")
        else:
            (Path(out) / name).unlink(missing_ok=True)
    journal.keep("times", dict(state.times))


def as_text(changes: Sequence[Change]) -> list[list[str]]:
    """Return the changes as the rows of a table, with its head."""
    rows = [[c.student, c.part, *("" if v is None else f"{v:g}" for v in (c.before, c.after)), c.why] for c in changes]
    return [["student", "part", "before", "after", "why"], *rows]
