"""The report on a class: one page for people, and the same as data."""

from collections import Counter
from collections.abc import Iterable, Sequence

from ..homework.exercises import EXERCISES
from ..homework.questions import load_questions
from ..running.history import Change
from ..running.rules import Course
from ..verdict.results import Result, as_data
from ..words import Text
from .cluster_page import name_of
from .concerns import KINDS, WITHOUT, concerns
from .pages import TEMPLATES, hash_of_script, render
from .pictures import drawn
from .similarity import FEW, REFERENCE, Cluster
from .statistics import (
    ItemStatistics,
    WrongOutput,
    histogram,
    items,
    mistakes,
    summary,
    wrong_outputs,
)
from .student_page import share, title_of
from .wording import STATUS, TIERS, cleaned, cleaned_text, heading, number

OF_NOBODY = Text("whose it is, is not clear", "不確定是誰的")
OTHER_KINDS = {
    "isolation": WITHOUT,
    "nobody": OF_NOBODY,
    "answers": Text("answers that could not be read", "無法讀取的答案"),
    "adjusted": Text("adjusted by a person", "人工調整"),
    "by_hand": Text("to be graded by hand", "待人工閱卷"),
    "remark": Text("odd submissions", "作業有異狀"),
}
MOST_MISTAKES, MOST_ROWS = 20, 200  # of a table for people; the data have them all


def class_data(
    results: Sequence[Result],
    course: Course,
    clusters: Sequence[Cluster] | None = None,
    remarks: Sequence[Text] = (),
    changed: Sequence[Change] = (),
) -> dict:
    """Return everything as what JSON can hold, but for the pictures, which are on the pages of the students.

    clusters: None where nothing was compared. remarks: on what was handed in and is nobody's.
    """
    results = [cleaned(result) for result in results]
    return {
        "title": heading(course),
        "students": len(results),
        "scores": summary(results),
        "histogram": histogram(results),
        "statuses": _counts(results, "status"),
        "isolation": _counts(results, "isolation"),
        "exercises": [vars(item) for item in items(results, "exercises")],
        "questions": [vars(item) for item in items(results, "questions")],
        "misconceptions": [vars(row) for row in mistakes(results)],
        "concerns": [vars(row) for row in concerns(results, [*map(cleaned_text, remarks)])],
        "similar": None if clusters is None else [vars(one) for one in clusters],
        "changed": [vars(change) for change in changed],
        "results": [_without_pictures(result) for result in results],
    }


def class_page(
    results: Sequence[Result],
    course: Course,
    clusters: Sequence[Cluster] | None = None,
    remarks: Sequence[Text] = (),
    changed: Sequence[Change] = (),
) -> str:
    """Return the page as HTML that runs nothing but our own script and asks no network for anything."""
    results = [cleaned(result) for result in results]
    exercises, questions = items(results, "exercises"), items(results, "questions")
    found, wrong = concerns(results, [*map(cleaned_text, remarks)]), mistakes(results)
    script = (TEMPLATES / "class.js").read_text(encoding="utf-8")
    return render(
        "class.html.j2",
        course.language,
        script=script,
        script_hash=hash_of_script(script),
        outputs={name: [_output(one) for one in rows] for name, rows in wrong_outputs(results).items()},
        title=heading(course),
        n=len(results),
        out_of=max((result.out_of for result in results), default=0),
        scores=summary(results),
        columns=_columns(histogram(results)),
        statuses=_counts(results, "status"),
        isolation=_counts(results, "isolation"),
        tiers=TIERS,
        order=list(STATUS),
        exercises=[_row(item) for item in sorted(exercises, key=lambda item: (not item.n, item.right, item.name))],
        questions=[_row(item) | {"options": _options(item, course)} for item in questions],
        asked={name: question.text for name, question in load_questions().items()},
        n_mistakes=len(wrong),
        mistakes=[vars(row) | {"title": title_of(row.exercise)} for row in wrong[:MOST_MISTAKES]],
        n_concerns=len(found),
        concerns={kind: rows for kind in KINDS if (rows := [row for row in found if row.kind == kind])},
        kinds=STATUS | OTHER_KINDS,
        most=MOST_ROWS,
        changed=[vars(one) for one in changed],
        titles={item.name: title_of(item.name) for item in exercises},
        clusters=None if clusters is None else _by_members(one for one in clusters if not one.many),
        many=_by_members(one for one in clusters or () if one.many),
        few=FEW,
        reference=REFERENCE,
        names={result.student: result.name for result in results},
        results=[
            {
                "student": r.student,
                "points": r.points,
                "out_of": r.out_of,
                "share": share(r.points, r.out_of),
                "submitted": r.submitted[:16].replace("T", " "),
                "tries": r.tries,
            }
            for r in sorted(results, key=lambda r: r.student)
        ],
    )


def _output(one: WrongOutput) -> dict:
    of_points = one.exercise in EXERCISES and EXERCISES[one.exercise].of_points
    picture = drawn(one.picture, of_points)
    return vars(one) | {"picture": picture, "draw": type(picture).__name__}


def _row(item: ItemStatistics) -> dict:
    """Add to an item how wide each status is drawn, in percent."""
    all_of_them = sum(item.statuses.values())
    widths = {status: round(100 * n / max(1, all_of_them), 2) for status, n in item.statuses.items()}
    verdict = ""
    if item.discrimination is not None and item.discrimination < 0.1:
        verdict = "odd" if item.discrimination < 0 else "weak"
    return vars(item) | {"widths": widths, "percent": round(100 * item.right), "verdict": verdict}


def _options(item: ItemStatistics, course: Course) -> list[dict]:
    """Return the options of a question with how many chose each, in percent, and whether it is right."""
    known = load_questions().get(item.name)
    right = course.key.get(item.name, ())
    return [
        {"text": text, "percent": round(100 * item.chosen.get(name, 0) / max(1, item.n)), "right": name in right}
        for name, text in (known.options.items() if known and item.chosen else ())
    ]


def _columns(counts: Sequence[int], width: int = 600, height: int = 130) -> list[dict]:
    """Return the bars of a histogram in units of its SVG."""
    step, tallest = width / len(counts), max(1, *counts)
    return [
        {
            "x": round(i * step + 1, 1),
            "y": round(height * (1 - n / tallest), 1),
            "width": round(step - 2, 1),
            "height": round(height * n / tallest, 1),
            "n": n,
            "ends": f"{number(100 * i / len(counts))}–{number(100 * (i + 1) / len(counts))} %",
        }
        for i, n in enumerate(counts)
    ]


def _by_members(clusters: Iterable[Cluster]) -> list[dict]:
    """Take the exercises of the same people together, in the order of the clusters."""
    found: dict[tuple[str, ...], list[dict]] = {}
    for cluster in clusters:
        row = vars(cluster) | {"title": title_of(cluster.exercise), "page": f"similar/{name_of(cluster)}"}
        found.setdefault(cluster.members, []).append(row)
    rows = [{"members": members, "rows": rows} for members, rows in found.items()]
    return sorted(rows, key=lambda row: -len(row["rows"]))[:MOST_ROWS]


def _counts(results: Sequence[Result], what: str) -> dict[str, int]:
    return dict(sorted(Counter(getattr(row, what) for result in results for row in result.exercises).items()))


def _without_pictures(result: Result) -> dict:
    data = as_data(result)
    for row in data["exercises"]:
        del row["picture"]
    return data | {"points": result.points, "out_of": result.out_of}
