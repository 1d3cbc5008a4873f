"""What the grader found: one Result a student, one Graded an exercise. Plain data that the journal keeps as JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Literal

from ..words import NOTHING_AT_ALL, Text

Status = Literal["passed", "failed", "timeout", "crashed", "out_of_memory", "not_attempted", "not_graded"]


@dataclass(frozen=True)
class OutputPair:
    """Two small arrays to be drawn side by side, as nested lists: (H, W), or (K,) for a row of numbers."""

    yours: list
    expected: list


@dataclass(frozen=True)
class Graded:
    """The result of one exercise, with a reason that the student can act on."""

    exercise: str
    status: Status
    points: float
    out_of: float
    reason: Text
    hint: Text = Text("", "")
    misconception: str | None = None
    picture: OutputPair | None = None
    isolation: str = ""  # the tier it ran in: "bubblewrap", "process" or "none"
    decided: Text = Text("", "")  # what a person decided about it, and why


@dataclass(frozen=True)
class Answered:
    """The result of one question; complaint says why an answer could not be read, else it is empty.

    chosen: the options by their names, which are the same whatever letters a student saw.
    """

    question: str
    points: float
    out_of: float
    complaint: Text = Text("", "")
    chosen: tuple[str, ...] = ()
    decided: Text = Text("", "")


@dataclass(frozen=True)
class Result:
    """The result of one submission. deducted: points taken off for being late, already part of `points`.

    platform_id: Canvas's own number of the student, where the download says it. submitted: when, in ISO 8601; late:
    where the download says only this. cells: exercise -> notebook and cells that its code comes from. texts: name of a
    cell -> what is written there.
    """

    student: str
    name: str
    exercises: tuple[Graded, ...]
    questions: tuple[Answered, ...]
    remarks: tuple[Text, ...] = ()
    deducted: float = 0.0
    digest: str = ""
    platform_id: str = ""
    submitted: str = ""
    late: bool | None = None
    cells: Mapping[str, Sequence[str | int]] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    tries: int = 0  # how often it was handed in, where the platform says so
    decided: Text = Text("", "")  # what a person decided about the total, and why; `deducted` then leads to it

    @property
    def handed_in(self) -> bool:
        """Whether there was any file: who handed in nothing is no part of what the class found hard."""
        return self.digest != NOTHING_AT_ALL

    @property
    def parts(self) -> tuple[Graded | Answered, ...]:
        return *self.exercises, *self.questions

    @property
    def points(self) -> float:
        return max(0.0, round(sum(part.points for part in self.parts) - self.deducted, 4))

    @property
    def out_of(self) -> float:
        return round(sum(part.out_of for part in self.parts), 4)

    @property
    def excused(self) -> bool:
        """Whether nothing of it counts, because a person has excused all of it."""
        return bool(self.parts) and all(part.decided.en and part.out_of == 0 for part in self.parts)


def as_data(result: Result) -> dict:
    """Return a result as what JSON can hold."""
    return asdict(result)


def from_data(data: dict) -> Result:
    """Return the result that `as_data` was given."""
    texts = {"reason", "hint", "complaint", "decided"}

    def restored(row: dict) -> dict:
        row = {k: Text(*v) if k in texts else v for k, v in row.items()}
        if row.get("picture"):
            row["picture"] = OutputPair(**row["picture"])
        if "chosen" in row:
            row["chosen"] = tuple(map(str, row["chosen"] or ()))
        return row

    return Result(
        **{
            **data,
            "exercises": tuple(Graded(**restored(row)) for row in data["exercises"]),
            "questions": tuple(Answered(**restored(row)) for row in data["questions"]),
            "remarks": tuple(Text(*remark) for remark in data["remarks"]),
            "decided": Text(*data.get("decided", ("", ""))),
        }
    )
