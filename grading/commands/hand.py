"""Grade by hand: a page with all answers to a question, without names; --read turns what it exports into decisions.

What is graded by hand, and for how many points, stands in course.toml under [hand]. The page works offline.
"""

from __future__ import annotations

import argparse
from datetime import date
from pathlib import Path

from hw_xai.errors import UserError, nearest
from hw_xai.files import atomic

from ..reports.hand import hand_page, read_marks, read_rubric
from ..running import adjustments
from ..running.book import book_of, parts_of
from ..running.journal import Journal


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("out", metavar="OUT", help="the folder that hw-grade run wrote")
    parser.add_argument("question", nargs="?", metavar="NAME", help="an exercise, or the name of a cell of text")
    parser.add_argument("--rubric", metavar="CSV", help="columns points and text: what can be ticked")
    parser.add_argument("--file", metavar="FILE", help="where the page goes (default: beside OUT)")
    parser.add_argument("--read", metavar="CSV", help="what the page exported: is added to adjustments.csv")
    parser.add_argument("--who", default="", help="with --read: who graded")


def run(options: argparse.Namespace) -> None:
    if bool(options.question) == bool(options.read):
        raise UserError("hand must have either the NAME of what is graded, for a page, or --read CSV")
    out = Path(options.out)
    with Journal(out) as journal:
        book, secret, sources = book_of(out, journal), journal.secret, journal.sources()
    students = [result.student for result in book.results]
    if options.read:
        rows = read_marks(options.read, students, secret, options.who, date.today().isoformat())
        adjustments.append(out, rows)
        print(f"done: {len(rows)} decisions in {out / adjustments.NAME}; now hw-grade report {out}")
        return
    name = options.question
    exercise = name in book.course.points  # a cell of text that a student named like it hides nobody's code
    texts = {} if exercise else {one.student: one.texts[name] for one in book.results if name in one.texts}
    codes = {student: its[name] for student, its in sources.items() if name in its}
    out_of = {**book.course.points, **book.course.hand}.get(name)
    if out_of is None or not (texts or codes):
        named = sorted({cell for result in book.results for cell in result.texts})
        known = [*parts_of(book.results), *book.course.hand, *named]
        raise UserError(
            f'nobody has an answer to "{name}", or course.toml has no points for it under [hand].{nearest(name, known)}'
            + (f" Cells of text: {', '.join(named[:5])}" if named else "")
        )
    rubric = read_rubric(options.rubric) if options.rubric else []
    answers = texts or codes
    if name in book.course.hand:  # theirs too who wrote nothing, or lost the cell: a person says what that is worth
        answers = {result.student: answers.get(result.student, "") for result in book.results if result.handed_in}
    page = hand_page(name, answers, out_of, rubric, book.course, secret, is_code=not texts)
    path = Path(options.file) if options.file else out.with_name(f"{out.name}-hand-{name}.html")
    with atomic(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
    empty = sum(not text for text in answers.values())
    print(f"done: {len(answers)} answers in {path}" + (f"; {empty} of them have nothing in it" if empty else ""))
