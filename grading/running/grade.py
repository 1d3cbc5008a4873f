"""One submission -> its Result. The student's code runs in the sandbox; verdict, points and words are made here.

Covers: outputs are only compared; an error of ours costs one exercise its grading, never its points in silence.
Does not cover: what the sandbox lets through; arrays must have been checked there.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from hw_xai.errors import UserError

from ..homework.exercises import EXERCISES
from ..homework.misconceptions import MISCONCEPTIONS
from ..homework.questions import load_questions
from ..homework.scoring import complaints, marked, score
from ..intake.submission import Submission
from ..isolation.inside.calls import Call
from ..verdict.distances import Answers
from ..verdict.exercise import Verdict
from ..verdict.feedback import LARGEST, drawable
from ..verdict.judging import judge
from ..verdict.results import Answered, Graded, OutputPair, Result
from ..words import Text
from .rules import Course

if TYPE_CHECKING:
    from ..isolation.sandbox import Reply, Sandbox

NOT_THERE = Text("there is no such function in what was handed in", "繳交的檔案中沒有這個函式")
STARVED = Text(
    "not graded yet: the machine that grades was too busy to run your code, twice; this is not your mistake, and the "
    "next run tries again",
    "尚未評分：評分的機器兩次都太忙而無法執行你的程式；這不是你的錯，下次執行會再試",
)
DIED = ("crashed", "out_of_memory")
JUDGING = threading.Lock()  # plans and references draw from torch's global random state, which all threads share
DIGITS = 4  # of the numbers in a picture: enough to draw; rounding errors do not show in the files


def grade(submission: Submission, course: Course, sandbox: Sandbox) -> Result:
    """Return the result of a submission; nothing that a student handed in raises."""
    course = replace(course, seeds=course.seeds_for(submission.student, submission.digest), secret="")
    from .counting import counted  # late: how results count is no part of what decides them

    return counted(completed(submission, course, grade_exercises(submission.sources, course, sandbox)), course)


def grade_exercises(sources: Mapping[str, str], course: Course, sandbox: Sandbox) -> tuple[Graded, ...]:
    """Run and judge the exercises that count. UserError: there is no sandbox to be had."""
    return tuple(_graded(name, sources.get(name), course, sandbox) for name in course.points)


def completed(submission: Submission, course: Course, exercises: tuple[Graded, ...]) -> Result:
    """Return the result with the questions added, as the journal keeps it: `counted` takes off what is late."""
    exercises = tuple(
        replace(part, status="not_graded", points=0.0, reason=submission.asks[part.exercise])
        if part.exercise in submission.asks
        else part
        for part in exercises
    )
    result = Result(
        submission.student,
        submission.name,
        exercises,
        _answered(submission, course),
        submission.remarks,
        digest=submission.digest,
        platform_id=submission.platform_id,
        submitted=submission.submitted.isoformat() if submission.submitted else "",
        late=submission.late,
        cells=submission.cells,
        texts=submission.texts,
    )
    return result


def not_graded(course: Course, error: Exception) -> tuple[Graded, ...]:
    """Return what is said of each exercise when an error of ours came before any was run."""
    return tuple(_ours(name, course, error) for name in course.points)


def unreadable(course: Course, why: Text) -> tuple[Graded, ...]:
    """Return what is said of each exercise of a submission that could not be read."""
    said = Text(
        f"not graded: what was handed in could not be read: {why.en}; your teacher sees it too. Is it your homework's "
        "own notebook, saved with its outputs cleared?",
        f"尚未評分：無法讀取繳交的檔案：{why.zh}；老師也會看到這則訊息。請確認這是作業的筆記本，並清除輸出後儲存",
    )
    return tuple(Graded(name, "not_graded", 0.0, points, said) for name, points in course.points.items())


def ended_the_grader(course: Course) -> tuple[Graded, ...]:
    """Return what is said of each exercise of a submission during which the grader ended twice; it is not run."""
    said = Text(
        "not graded: the grader was ended twice while it graded this submission, so a person must look at it; your "
        "teacher sees it too",
        "尚未評分：評分這份作業時，評分程式兩次被中斷，需由老師親自查看；老師也會看到這則訊息",
    )
    return tuple(Graded(name, "not_graded", 0.0, points, said) for name, points in course.points.items())


# ---------------------------------------------------------------------------------------------------------- exercises


def _graded(name: str, source: str | None, course: Course, sandbox: Sandbox) -> Graded:
    points = course.points[name]
    if source is None:
        return Graded(name, "not_attempted", 0.0, points, NOT_THERE)
    try:
        with JUDGING:
            plans = [EXERCISES[name].plan(seed) for seed in course.seeds]
        reply = _run(source, name, [call for calls in plans for call in calls], sandbox)
        if reply.status != "ok":
            return Graded(name, reply.status, 0.0, points, reply.reason, isolation=sandbox.isolation)
        verdict = _verdict(name, plans, reply.answers or [])
    except UserError:
        raise
    except Exception as error:  # ours, or a way of handing in that we did not think of: a person must look
        return _ours(name, course, error)
    return Graded(
        name,
        "passed" if verdict.passed else "failed",
        points if verdict.passed else 0.0,
        points,
        verdict.reason,
        verdict.hint,
        verdict.misconception,
        None if verdict.passed else _picture(verdict),
        sandbox.isolation,
    )


def _run(source: str, name: str, calls: Sequence[Call], sandbox: Sandbox) -> Reply:
    """Run the code; once more where others may be to blame, short of memory or with threads that leave no processor.

    What got no processor in both is not graded: a busy machine is no mistake of the student's. Who slept is not run
    again: it would cost the class each exercise's time twice.
    """
    reply = sandbox.run(source, name, calls)
    if reply.status in DIED or starved(reply):
        before, reply = reply, sandbox.run(source, name, calls)
        if starved(before) and starved(reply):
            return replace(reply, status="not_graded", reason=STARVED)
    return reply


def starved(reply: Reply) -> bool:
    """Tell whether code ran out of time because it was kept from the processor, over and over: not because it slept."""
    idle = reply.status == "timeout" and reply.cpu_seconds < reply.seconds / 2
    return idle and reply.preempted >= max(20, 20 * reply.cpu_seconds)


def _verdict(name: str, plans: Sequence[Sequence[Call]], answers: Answers) -> Verdict:
    """Return the first verdict that names a mistake, else the first that is not "right", else "right"."""
    wrong = []
    with JUDGING, np.errstate(all="ignore"):  # 1e300 is a wrong answer, not a warning
        for calls in plans:
            verdict = judge(EXERCISES[name], MISCONCEPTIONS.get(name, ()), calls, answers[: len(calls)])
            answers = answers[len(calls) :]
            if verdict.misconception:
                return verdict
            if not verdict.passed:
                wrong.append(verdict)
    return wrong[0] if wrong else verdict


def _picture(verdict: Verdict) -> OutputPair | None:
    yours, expected = verdict.yours, verdict.expected
    if yours is None or expected is None or yours.shape != expected.shape or yours.size < 2:
        return None
    return OutputPair(*(_rounded(array).tolist() for array in drawable([yours, expected])))


def _rounded(values: np.ndarray) -> np.ndarray:
    """Return values with a few digits; + 0: no −0."""
    values = np.clip(values, -LARGEST, LARGEST)
    return np.vectorize(lambda value: float(f"{value:.{DIGITS}g}"), otypes=[float])(values) + 0.0


def _ours(name: str, course: Course, error: Exception) -> Graded:
    what = type(error).__name__
    reason = Text(
        f"not graded: the grader itself stopped with {what}; this is not your mistake, and your teacher sees it too",
        f"尚未評分：評分程式本身發生 {what}；這不是你的錯，老師也會看到這則訊息",
    )
    return Graded(name, "not_graded", 0.0, course.points[name], reason)


# ---------------------------------------------------------------------------------------------------------- questions


def _answered(submission: Submission, course: Course) -> tuple[Answered, ...]:
    if not course.key:
        return ()
    points = score(submission.answers, course.key, submission.variant, course.partial)
    unread = complaints(submission.answers, submission.variant)
    options = marked(submission.answers, submission.variant)
    return tuple(
        Answered(
            name, points[name], load_questions()[name].points, unread.get(name, Text("", "")), options.get(name, ())
        )
        for name in course.key
    )
