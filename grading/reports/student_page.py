"""A student's page: the score, every exercise with what is wrong and a hint, the questions as the course shows them."""

from collections.abc import Mapping, Sequence

from ..homework.exercises import EXERCISES
from ..homework.questions import load_questions
from ..intake.code_reading import reading_codes
from ..running.rules import Course
from ..verdict.results import Answered, Graded, Result
from ..words import Text
from .code import lines_of
from .pages import render
from .pictures import drawn
from .wording import cleaned, complaints_of, heading


@reading_codes()
def student_page(result: Result, course: Course, sources: Mapping[str, str] | None = None) -> str:
    """Return the page as HTML that runs nothing and asks no network for anything. sources: the code that was graded."""
    result = cleaned(result)
    exercises = [
        _exercise(part)
        | {
            "code": lines_of((sources or {}).get(part.exercise, "")) if (sources or {}).get(part.exercise) else [],
            "cells": result.cells.get(part.exercise, ()),
        }
        for part in result.exercises
    ]
    return render(
        "student.html.j2",
        course.language,
        title=f"{result.name or result.student} · {heading(course)}",
        course=heading(course),
        result=result,
        share=share(result.points, result.out_of),
        exercises=exercises,
        n_right=sum(part.status == "passed" for part in result.exercises),
        asked=_sums(result.questions),
        shown=course.show_answers,
        questions=[_question(part, course) for part in result.questions],
        complaints=complaints_of(result.questions),
        decided=_decided(result.questions),
        has_maps=any(isinstance(row["picture"], list) for row in exercises),
    )


def share(points: float, out_of: float) -> float:
    """Return points as a percentage, to a tenth; of nothing it is 0."""
    return round(100 * min(1.0, max(0.0, points / out_of)), 1) if out_of > 0 else 0.0


def title_of(exercise: str) -> Text:
    """Return the title of an exercise, its name where the table no longer has it."""
    return EXERCISES[exercise].title if exercise in EXERCISES else Text(exercise, exercise)


def _exercise(part: Graded) -> dict:
    of_points = part.exercise in EXERCISES and EXERCISES[part.exercise].of_points
    picture = None if part.status == "passed" else drawn(part.picture, of_points)
    return vars(part) | {
        "title": title_of(part.exercise),
        "picture": picture,
        "draw": type(picture).__name__,
    }


def _question(part: Answered, course: Course) -> dict:
    known = load_questions().get(part.question)
    right = course.key.get(part.question, ()) if course.show_answers == "all" else ()
    return vars(part) | {
        "right": part.points == part.out_of > 0,
        "excused": part.decided.en and not part.out_of,
        "partly": 0 < part.points < part.out_of,
        "text": known.text if known else Text(part.question, part.question),
        "answers": [text for name, text in known.options.items() if name in right] if known else [],
        "yours": [text for name, text in known.options.items() if name in part.chosen] if known else [],
    }


def _decided(questions: Sequence[Answered]) -> list[tuple[str, Text]]:
    """Return what people decided about questions, once for all of which the same is said."""
    names: dict[Text, list[str]] = {}
    for part in questions:
        if part.decided.en:
            names.setdefault(part.decided, []).append(part.question)
    return [(", ".join(several), said) for said, several in names.items()]


def _sums(questions: Sequence[Answered]) -> tuple[float, float]:
    return sum(part.points for part in questions), sum(part.out_of for part in questions)
