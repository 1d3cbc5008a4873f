"""What the course asks for and how it counts: exercises and points, seeds, key, rules. Plain data."""

import hashlib
import hmac
import json
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal

from ..words import Language
from . import fingerprint
from .late import LatePolicy

Show = Literal["none", "points", "all"]
Isolation = Literal["auto", "bubblewrap", "process", "none"]
DRAWN = 3  # seeds for one submission
POOL = 12  # seeds for a class: with these few, what the references give is calculated once for all
COUNTING = ("partial", "due", "late", "hand")  # with the points: counted again, and nobody's code is run
SHOWING = ("language", "show_answers", "title")


@dataclass(frozen=True)
class Course:
    """points: exercise -> points, of those that count. seeds: of the inputs; with a secret each submission gets DRAWN
    of them, or new ones if there are none, and nobody who changes a submission knows the next. key: question -> right
    options; empty: no questions are graded.

    partial: credit for an answer that is partly right. due: aware. wall, memory: limits of one exercise, in seconds and
    bytes; None is the sandbox's own. isolation: the tier asked for. The rest decides what is shown, not the points.
    """

    points: Mapping[str, float]
    seeds: tuple[int, ...]
    key: Mapping[str, frozenset[str]] = field(default_factory=dict)
    partial: bool = False
    due: datetime | None = None
    late: LatePolicy = LatePolicy()
    isolation: Isolation = "auto"
    wall: float | None = None
    memory: int | None = None
    language: Language = "both"
    show_answers: Show = "points"
    title: str = ""
    hand: Mapping[str, float] = field(default_factory=dict)  # what people grade -> its points
    secret: str = ""

    def seeds_for(self, student: str, digest: str) -> tuple[int, ...]:
        """Return the seeds for one submission: always the same ones, others for every other submission."""
        if not self.secret:
            return self.seeds
        drawn = hmac.new(self.secret.encode(), f"{student}\0{digest}".encode("utf-8", "replace"), "sha256").hexdigest()
        if not self.seeds:
            return private_seeds(drawn, DRAWN)
        return tuple(random.Random(drawn).sample(self.seeds, DRAWN))

    def days_late(self, submitted: datetime | None, late: bool | None) -> int:
        """Return the days begun since the date due; one where the download says "late" and not when."""
        if self.due and submitted:
            return max(0, math.ceil((submitted - self.due) / timedelta(days=1)))
        return int(bool(late))

    def of(self, names: Sequence[str]) -> "Course":
        """Return the course with these exercises alone."""
        return replace(self, points={name: self.points[name] for name in names})

    @property
    def fingerprint(self) -> str:
        """A hash of all that decides what is found in a submission: the kit, the versions below it, and the rules."""
        rules = {name: value for name, value in course_data(self).items() if name not in SHOWING + COUNTING}
        rules["points"] = sorted(self.points)
        return hashlib.sha256(json.dumps([fingerprint.of_grades(), rules], sort_keys=True).encode()).hexdigest()


def course_data(course: Course) -> dict:
    """Return a course as what JSON can hold."""
    return asdict(course) | {
        "key": {name: sorted(right) for name, right in course.key.items()},
        "due": course.due.isoformat() if course.due else None,
    }


def course_from(data: dict) -> Course:
    """Return the course that `course_data` was given."""
    return Course(
        **data
        | {
            "seeds": tuple(data["seeds"]),
            "key": {name: frozenset(right) for name, right in data["key"].items()},
            "due": datetime.fromisoformat(data["due"]) if data["due"] else None,
            "late": LatePolicy(**data["late"]),
        }
    )


def private_seeds(secret: str, n: int = DRAWN) -> tuple[int, ...]:
    """Return seeds that nobody can know without the secret; never those that students test with, which are small."""
    digests = (hashlib.sha256(f"{secret}\nseed {i}".encode()).digest() for i in range(n))
    return tuple(10**6 + int.from_bytes(digest[:8], "big") % 10**9 for digest in digests)
