"""What a person should look at, the gravest first; what is said of many is said once."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..running.counting import BY_HAND
from ..verdict.results import Result
from ..words import Text
from .statistics import part_name
from .wording import complaints_of

WITHOUT = Text("ran without isolation", "在沒有隔離的環境中執行")
KINDS = (
    "not_graded", "isolation", "nobody", "answers", "adjusted", "by_hand", "out_of_memory", "timeout", "crashed",
    "remark",
)  # fmt: skip
SEVERAL = 3  # students with one decision: about the exercise, not about them


@dataclass(frozen=True)
class Concern:
    """Something that a person should look at. kind: a status, or another of KINDS ("nobody": no student's).

    student: "" where it is about several, or about nobody. exercise: "" where it is about all.
    """

    kind: str
    student: str
    exercise: str
    reason: Text


def concerns(results: Sequence[Result], remarks: Sequence[Text] = ()) -> list[Concern]:
    """Return what is not graded, whose it is not clear, what could not be read, what people decided, what is odd.

    remarks: on what was handed in and is nobody's.
    """
    found = [Concern("nobody", "", "", remark) for remark in remarks]
    found += [*_decisions(results), *_by_hand(results)]
    for result in results:
        for row in result.exercises:
            if not row.decided.en and row.reason != BY_HAND and row.status in KINDS:
                found.append(Concern(row.status, result.student, row.exercise, row.reason))
            if row.isolation == "none":
                found.append(Concern("isolation", result.student, row.exercise, WITHOUT))
        unread = [row for row in result.questions if not row.decided.en and "not answered" not in row.complaint.en]
        if result.handed_in:
            found += [Concern("answers", result.student, "", said) for said in complaints_of(unread)]
        found += [Concern("remark", result.student, "", one) for one in result.remarks if one != result.decided]
    return sorted(found, key=lambda concern: (KINDS.index(concern.kind), concern.student))


def _decisions(results: Sequence[Result]) -> Iterator[Concern]:
    """Yield the decisions of people: once for all parts of a student, and once for all students of a part."""
    rows: list[tuple[str, str, Text]] = []
    for result in results:
        decided = [(part_name(part), part.decided) for part in result.parts if part.decided.en]
        texts = {text for _, text in decided}
        if len(texts) == 1 and len(decided) == len(result.parts) > 1:
            decided = [("", texts.pop())]
        decided += [("", result.decided)] if result.decided.en else []
        rows += [(result.student, name, text) for name, text in decided]
    n = Counter((name, text) for _, name, text in rows)
    for (name, text), count in n.items():
        if count >= SEVERAL:
            yield Concern("adjusted", "", name, Text(f"{count} students: {text.en}", f"{count} 位學生：{text.zh}"))
    for student, name, text in rows:
        if n[name, text] < SEVERAL:
            yield Concern("adjusted", student, name, text)


def _by_hand(results: Sequence[Result]) -> Iterator[Concern]:
    """Yield how many answers wait for a person, one row for what is graded by hand."""
    waiting = Counter(
        row.exercise
        for result in results
        for row in result.exercises
        if row.reason == BY_HAND and row.status == "not_graded" and not row.decided.en
    )
    for name, n in waiting.items():
        said = Text(
            f"{n} answers wait to be read: hw-grade hand CLASS {name}",
            f"{n} 份答案等待閱卷：hw-grade hand CLASS {name}",
        )
        yield Concern("by_hand", "", name, said)
