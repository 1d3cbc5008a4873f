"""From what was found to what it counts: points, decisions of people, lateness. No code of a student is run for it.

The journal keeps how each exercise ended and what was answered; points, due date and policy may change after that.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TypeVar

from ..homework.questions import load_questions
from ..homework.scoring import share_of
from ..verdict.results import Answered, Graded, Result
from ..words import Text
from .adjustments import ALL, Adjustment
from .rules import Course

BY_HAND = Text("not graded yet: a person reads it", "尚未評分：由人工閱卷")
NOT_ATTEMPTED = Text("nothing was handed in", "沒有繳交")
Part = TypeVar("Part", Graded, Answered)
NOT_WHEN = Text(
    "the download says that this was late, but not when: counted as one day",
    "下載檔只標示遲交、沒有時間：以一天計",
)

IN_TIME = Text(
    "the download says that this was late, but not when: within your own date due, as long as nothing says otherwise",
    "下載檔只標示遲交、沒有時間：視為在你的延長期限之內，除非另有紀錄",
)


def counted(
    result: Result, course: Course, adjustments: Sequence[Adjustment] = (), times: Mapping[str, str] | None = None
) -> Result:
    """Return a result as it counts by the rules of the course and the decisions about its student.

    times: student -> when it was handed in, in ISO 8601, where something else knows it better than the download.
    """
    mine = [one for one in adjustments if one.is_about(result.student)]
    exercises = tuple(
        _adjusted(replace(part, points=_worth(part, course), out_of=course.points[part.exercise]), part.exercise, mine)
        for part in result.exercises
        if part.exercise in course.points
    )
    exercises += tuple(_adjusted(_by_hand(name, result, course), name, mine) for name in course.hand)
    questions = tuple(_adjusted(_answered(part, course), part.question, mine) for part in result.questions)
    result = replace(result, exercises=exercises, questions=questions)
    own = next((one.due for one in reversed(mine) if one.kind == "due"), None)
    submitted = (times or {}).get(result.student) or result.submitted
    if own and result.late and not submitted:
        result = replace(result, remarks=(*result.remarks, IN_TIME))
    else:
        result = _late(result, replace(course, due=own or course.due), submitted)
    totals = [one for one in mine if one.exercise == ALL and one.kind in ("points", "due")]
    for one in totals:
        if one.kind == "points":
            reached = sum(part.points for part in result.parts)
            result = replace(result, deducted=round(reached - one.points, 4), decided=said(one))
        result = replace(result, remarks=(*result.remarks, said(one)))
    return result


def said(one: Adjustment) -> Text:
    """Return a decision as the student reads it."""
    en, zh = {
        "points": (f"set to {one.points:g} points", f"改為 {one.points:g} 分"),
        "full": ("full points", "給滿分"),
        "excused": ("excused", "免計分"),
        "due": (f"due {one.due:%Y-%m-%d %H:%M %z}", f"期限 {one.due:%Y-%m-%d %H:%M %z}") if one.due else ("", ""),
    }[one.kind]
    who = f" ({one.who})" if one.who else ""
    return Text(f"{en}: {one.reason}{who}", f"{zh}：{one.reason}{who}")


def _worth(part: Graded, course: Course) -> float:
    return course.points[part.exercise] if part.status == "passed" else 0.0


def _by_hand(name: str, result: Result, course: Course) -> Graded:
    """Return what is said of a question that people grade, until they have."""
    if result.handed_in:
        return Graded(name, "not_graded", 0.0, course.hand[name], BY_HAND)
    return Graded(name, "not_attempted", 0.0, course.hand[name], NOT_ATTEMPTED)


def _answered(part: Answered, course: Course) -> Answered:
    question, right = load_questions().get(part.question), course.key.get(part.question)
    if not question or right is None or part.complaint.en:
        return part
    share = share_of(question, frozenset(part.chosen), right, course.partial)
    return replace(part, points=round(question.points * share, 4))


def _adjusted(part: Part, name: str, mine: Sequence[Adjustment]) -> Part:
    for one in mine:
        if one.exercise not in (ALL, name) or one.kind == "due" or (one.exercise == ALL and one.kind == "points"):
            continue
        if one.kind == "excused":
            part = replace(part, points=0.0, out_of=0.0, decided=said(one))
        else:
            part = replace(part, points=part.out_of if one.kind == "full" else one.points, decided=said(one))
    return part


def _late(result: Result, course: Course, submitted: str) -> Result:
    """Take off what the policy says; where nothing tells when it came, what the download says of it."""
    time = datetime.fromisoformat(submitted) if submitted else None
    days = course.days_late(time, result.late)
    if not days:
        return result
    share = course.late.share(days)
    taken = (f"{100 * share:.4g} % of the points are taken off", f"扣除所得分數的 {100 * share:.4g}%")
    en, zh = taken if share else ("nothing is taken off", "不扣分")
    remarks = [Text(f"handed in late, day {days} after the date due: {en}", f"遲交，截止後第 {days} 天：{zh}")]
    remarks += [] if time and course.due else [NOT_WHEN]
    reached = sum(part.points for part in result.parts)
    return replace(result, deducted=round(share * reached, 4), remarks=(*result.remarks, *remarks))
