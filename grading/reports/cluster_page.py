"""Codes that look alike, side by side, with the lines that both have: what a person reads before asking anybody."""

import hashlib
from collections.abc import Mapping

from ..intake.code_reading import reading_codes
from ..running.rules import Course
from .code import side_by_side
from .pages import render
from .similarity import REFERENCE, Cluster, released
from .student_page import title_of
from .wording import heading

MOST_CODES = 12  # beside the first: who wrote still others is named


def name_of(cluster: Cluster) -> str:
    """Return the name of the page of a cluster: the same for the same people and exercise, whatever their ids are."""
    about = "\n".join((*cluster.members, cluster.exercise))
    return hashlib.sha256(about.encode()).hexdigest()[:16] + ".html"


@reading_codes()
def cluster_page(cluster: Cluster, sources: Mapping[str, Mapping[str, str]], course: Course) -> str:
    """Return the page as HTML that runs nothing: the first code, or ours, beside each other one.

    sources: student -> exercise -> code.
    """
    codes: dict[str, list[str]] = {}  # code -> who wrote it letter for letter
    for student in cluster.members:
        if student != REFERENCE:
            codes.setdefault(sources.get(student, {}).get(cluster.exercise, ""), []).append(student)
    first, *others = codes
    beside = [(", ".join(codes[code]), code, first) for code in others[:MOST_CODES]]
    head = ", ".join(codes[first])
    if REFERENCE in cluster.members:
        head, ours = REFERENCE, released()[1].get(cluster.exercise, [""])
        beside = [(", ".join(codes[code]), code, _nearest(code, ours)) for code in list(codes)[:MOST_CODES]]
    sides = [[(head, left), (who, right)] for who, code, base in beside for left, right in [side_by_side(base, code)]]
    return render(
        "cluster.html.j2",
        course.language,
        title=f"{title_of(cluster.exercise).en} · {heading(course)}",
        course=heading(course),
        exercise=title_of(cluster.exercise),
        cluster=cluster,
        reference=REFERENCE,
        sides=sides or [[(head, side_by_side(first, "")[0])]],
        others=[name for code in list(codes)[len(sides) + (head != REFERENCE) :] for name in codes[code]],
    )


def _nearest(code: str, ours: list[str]) -> str:
    return max(ours, key=lambda one: sum(line.shared for line in side_by_side(code, one)[0]))
