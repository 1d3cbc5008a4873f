"""Two codes that look alike, side by side, with the lines that both have: what a person reads before asking anybody."""

import hashlib
from collections.abc import Mapping

from ..running.rules import Course
from .code import side_by_side
from .pages import render
from .similarity import REFERENCE, Pair, released
from .student_page import title_of
from .wording import heading


def name_of(pair: Pair) -> str:
    """Return the name of the page of a pair: the same for the same two and exercise, whatever their ids are."""
    about = "\n".join((pair.a, pair.b, pair.exercise))
    return hashlib.sha256(about.encode()).hexdigest()[:16] + ".html"


def pair_page(pair: Pair, sources: Mapping[str, Mapping[str, str]], course: Course) -> str:
    """Return the page as HTML that runs nothing. sources: student -> exercise -> code."""
    mine = sources.get(pair.a, {}).get(pair.exercise, "")
    if pair.b == REFERENCE:
        ours = released()[1].get(pair.exercise, [""])
        theirs = max(ours, key=lambda code: sum(line.shared for line in side_by_side(mine, code)[0]))
    else:
        theirs = sources.get(pair.b, {}).get(pair.exercise, "")
    left, right = side_by_side(mine, theirs)
    return render(
        "pair.html.j2",
        course.language,
        title=f"{pair.a} · {pair.b} · {heading(course)}",
        course=heading(course),
        exercise=title_of(pair.exercise),
        pair=pair,
        sides=[(pair.a, left), (pair.b, right)],
    )
