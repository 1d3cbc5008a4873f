"""What a student handed in, as data: code that is not run here, and answers. Intake makes it, the grader judges it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from ..words import Text


@dataclass(frozen=True)
class Submission:
    """One student's work, read and not run. Everything in it may be hostile: names, code, answers, texts.

    sources: exercise -> the statements that its function depends on, one text; an exercise that is not there was not
    attempted. answers: question -> what the cell of the answers holds, any literal. remarks: what intake noticed and
    the student should know (a function defined twice, a notebook missing, a file left out). digest: SHA-256 of the
    bytes handed in, so that the same work is graded once.
    """

    student: str  # the id that the course uses; safe as a file name
    name: str = ""  # as the download says it
    sources: Mapping[str, str] = field(default_factory=dict)
    answers: Mapping[str, object] = field(default_factory=dict)
    variant: int = 0
    remarks: tuple[Text, ...] = ()
    digest: str = ""
    submitted: datetime | None = None  # aware; None where the download does not say
    late: bool | None = None  # where the download says only this
    platform_id: str = ""  # Canvas's own number of the student, where the download says it
