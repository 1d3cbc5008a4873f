"""A result in the schema of Gradescope's results.json. All text is plain text: Gradescope shows it as it is."""

from ..running.rules import Course
from ..verdict.feedback import in_words
from ..verdict.results import Graded, Result
from ..words import Text
from .student_page import title_of
from .wording import STATUS, cleaned, complaints_of, number


def gradescope_results(result: Result, course: Course) -> dict:
    """Return what results.json must hold: the score, one test an exercise, and the questions as the course shows them.

    The total is given beside the tests because a deduction belongs to none of them.
    """
    result = cleaned(result)
    tests = [_exercise(part, course) for part in result.exercises]
    tests += _questions(result, course)
    for i, test in enumerate(tests, start=1):
        test |= {"number": str(i), "output_format": "text", "visibility": "visible"}
    return {
        "score": result.points,
        "output": "\n".join(_summary(result, course)),
        "output_format": "text",
        "visibility": "visible",
        "stdout_visibility": "hidden",
        "tests": tests,
        "extra_data": {"student": result.student, "digest": result.digest, "deducted": result.deducted},
    }


def _exercise(part: Graded, course: Course) -> dict:
    lines = [f"{in_words(STATUS[part.status], course.language)}: {in_words(part.reason, course.language)}"]
    if part.hint.en:
        lines.append(f"→ {in_words(part.hint, course.language)}")
    return {
        "name": in_words(title_of(part.exercise), course.language),
        "score": part.points,
        "max_score": part.out_of,
        "status": "passed" if part.status == "passed" else "failed",
        "output": "\n".join(lines),
        "extra_data": {
            "exercise": part.exercise,
            "status": part.status,
            "misconception": part.misconception,
            "isolation": part.isolation,
        },
    }


def _questions(result: Result, course: Course) -> list[dict]:
    if not result.questions:
        return []
    if course.show_answers == "none":
        points = round(sum(part.points for part in result.questions), 4)
        out_of = round(sum(part.out_of for part in result.questions), 4)
        complaints = [in_words(complaint, course.language) for complaint in complaints_of(result.questions)]
        title = in_words(Text("Questions", "選擇題"), course.language)
        return [{"name": title, "score": points, "max_score": out_of, "output": "\n".join(complaints)}]
    return [
        {
            "name": part.question,
            "score": part.points,
            "max_score": part.out_of,
            "status": "passed" if part.points == part.out_of else "failed",
            "output": in_words(part.complaint, course.language),
        }
        for part in result.questions
    ]


def _summary(result: Result, course: Course) -> list[str]:
    points, out_of, off = map(number, (result.points, result.out_of, result.deducted))
    lines = [Text(f"{points} of {out_of} points", f"{points}／{out_of} 分")]
    if result.deducted and not result.decided.en:
        lines.append(Text(f"{off} points taken off for being late", f"遲交扣 {off} 分"))
    return [in_words(line, course.language) for line in (*lines, *result.remarks)]
