"""What a student handed in, as data: code that is not run here, and answers. Intake makes it, the grader judges it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from ..words import NOTHING_AT_ALL, Text


@dataclass(frozen=True)
class Submission:
    """One student's work, read and not run. Everything in it may be hostile: names, code, answers, texts.

    sources: exercise -> the statements that its function depends on, one text; an exercise that is not there was not
    attempted. answers: question -> what the cell of the answers holds, any literal. remarks: what intake noticed and
    the student should know (a function defined twice, a notebook missing, a file left out). digest: SHA-256 of the
    bytes handed in, so that the same work is graded once. asks: exercise -> why a person must look before it counts.
    texts: name of a cell -> the words in it, for answers that people grade. cells: exercise -> the notebook and the
    numbers of the cells that its source comes from.
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
    asks: Mapping[str, Text] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    cells: Mapping[str, Sequence[str | int]] = field(default_factory=dict)

    @property
    def handed_in(self) -> bool:
        return self.digest != NOTHING_AT_ALL
