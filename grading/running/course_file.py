"""course.toml: the rules of a class beside its results, so that no run has to be told them again."""

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import cast

from hw_xai.errors import UserError, nearest
from hw_xai.files import atomic

from .late import due_date, late_policy
from .rules import Course

NAME = "course.toml"
HEAD = """\
# The rules of this class: hw-grade run reads them. After a change of points, due, late_policy or of what is shown,
# `hw-grade report` counts again and runs nobody's code. Decisions about single students stand in adjustments.csv.
"""
TABLES = ("points", "hand")
KINDS = {str: "a text in quotes", bool: "true or false", int: "a whole number", dict: "a table"}
NOTES = {
    "due": "with its zone; a date alone is the end of that day on this machine",
    "late_policy": '"none", "10%/day", "10%/day,max 50%"',
    "show_answers": '"none", "points", "all"',
    "language": '"en", "zh-TW", "both"',
    "salt": "the secret itself is in journal.sqlite, which only its owner may read",
    "wall": "seconds for an exercise; 0: as the sandbox has it",
    "memory": "GB for an exercise; 0: as the sandbox has it",
}


@dataclass(frozen=True)
class Rules:
    """What course.toml holds, as it is written there. points: of what counts; hand: of what people grade."""

    points: Mapping[str, float]
    title: str = ""
    language: str = "both"
    show_answers: str = "points"
    due: str = ""
    late_policy: str = "none"
    partial_credit: bool = False
    questions: bool = True
    wall: int = 0
    memory: int = 0
    roster: str = ""
    salt: str = ""
    hand: Mapping[str, float] = field(default_factory=dict)

    def of_course(self) -> dict:
        """Return what a Course is made from; UserError where a rule cannot be read."""
        return {
            "points": {name: float(value) for name, value in self.points.items()},
            "partial": self.partial_credit,
            "due": due_date(self.due),
            "late": late_policy(self.late_policy),
            "wall": self.wall or None,
            "memory": self.memory * 2**30 or None,
            "language": self.language,
            "show_answers": self.show_answers,
            "title": self.title,
            "hand": {name: float(value) for name, value in self.hand.items()},
        }

    def counting(self, course: Course) -> Course:
        """Return a graded course with what these rules change about the counting and the pages: nothing is run.

        UserError for an exercise that is not graded yet: what it is worth cannot be counted.
        """
        for name in self.points:
            if name not in course.points:
                raise UserError(
                    f'{NAME}: [points] names "{name}", which is not graded yet.{nearest(name, course.points)} '
                    "If it is meant, grade it with hw-grade run; what people grade belongs under [hand]"
                )
        mine = self.of_course()
        points = {name: mine["points"].get(name, value) for name, value in course.points.items() if name in self.points}
        return replace(course, **mine | {"points": points, "wall": course.wall, "memory": course.memory})


def read_rules(out: Path) -> Rules | None:
    """Return the rules in a folder, None where there are none yet; UserError for what no rule can be."""
    path = Path(out) / NAME
    if not path.is_file():
        return None
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path} must be TOML: {error}") from None
    known = {part.name: dict if part.name in TABLES else cast(type, part.type) for part in fields(Rules)}
    for name, value in data.items():
        if name not in known:
            raise UserError(f'{path} has no rule "{name}".{nearest(name, known)}')
        if not isinstance(value, known[name]):
            raise UserError(f"{path}: {name} must be {KINDS[known[name]]}, got {value!r}")
    points = [*data.get("points", {}).values(), *data.get("hand", {}).values()]
    if not data.get("points") or not all(isinstance(v, int | float) and 0 <= v < 10**6 for v in points):
        raise UserError(f"{path}: [points] and [hand] must have a number from 0 up for each exercise that counts")
    rules = Rules(**data)
    try:
        rules.of_course()
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    return rules


def write_rules(out: Path, rules: Rules) -> None:
    with atomic(Path(out) / NAME) as temporary:
        temporary.write_text(text_of_rules(rules), encoding="utf-8")


def text_of_rules(rules: Rules) -> str:
    rows = [HEAD]
    for part in fields(Rules):
        if part.name not in TABLES:
            note = f"  # {NOTES[part.name]}" if part.name in NOTES else ""
            rows.append(f"{part.name} = {json.dumps(getattr(rules, part.name), ensure_ascii=False)}{note}\n")
    for table in TABLES:
        rows.append(f"\n[{table}]\n")
        rows += [f"{name} = {value:g}\n" for name, value in getattr(rules, table).items()]
    return "".join(rows)


def differences(before: Rules, after: Rules) -> dict[str, tuple[object, object]]:
    """Return rule -> its values in both, for those that differ."""
    pairs = {part.name: (getattr(before, part.name), getattr(after, part.name)) for part in fields(Rules)}
    pairs |= {name: (dict(getattr(before, name)), dict(getattr(after, name))) for name in TABLES}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
