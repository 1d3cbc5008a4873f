"""Write what a platform takes back: zips of feedback for Canvas or Moodle, or the grades for Canvas's bulk grade call.

Nothing is sent: pushing through the platforms' interfaces, and LTI, are left to your own tools.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from hw_xai.errors import UserError
from hw_xai.files import atomic

from ..reports.give_back import canvas_grades, feedback_zip
from ..reports.gradebook import feedback_of, is_entered, possible_points
from ..running.book import book_of
from ..running.journal import Journal

WHAT = {"canvas": "-canvas.zip", "moodle": "-moodle.zip", "canvas-api": "-canvas.json"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("out", metavar="OUT", help="the folder that hw-grade run wrote")
    parser.add_argument("--to", required=True, choices=list(WHAT), help="canvas, moodle: a zip of the feedback pages")
    parser.add_argument("--file", metavar="FILE", help="default: beside OUT, such as OUT-canvas.zip")


def run(options: argparse.Namespace) -> None:
    out = Path(options.out)
    with Journal(out) as journal:
        book = book_of(out, journal)
        handed = journal.recall("handed") or {}
    final = [result for result in book.results if is_entered(result, book.unclear)]
    if options.to == "canvas-api":
        comments = {result.student: feedback_of(result, book.course) for result in final}
        data, left_out = canvas_grades(final, book.roster, comments, possible_points(book.results))
        n, content = len(data["grade_data"]), json.dumps(data, ensure_ascii=False, indent=1).encode() + b"\n"
    else:
        of_moodle = {student: "_assignsubmission_file_" in handle for student, (handle, _) in handed.items()}
        handles = {s: row[0] for s, row in handed.items() if of_moodle[s] == (options.to == "moodle")}
        pages = {r.student: out / "students" / r.student / "feedback.html" for r in final if r.handed_in}
        content, left_out = feedback_zip({s: path.read_bytes() for s, path in pages.items()}, handles)
        n = len(pages) - len(left_out)
    if not n:
        raise UserError(f"{out} must hold work that came from {options.to.partition('-')[0].capitalize()}, got none")
    path = Path(options.file) if options.file else out.with_name(out.name + WHAT[options.to])
    with atomic(path) as temporary:
        temporary.write_bytes(content)
    print(f"done: {n} students in {path}")
    waiting = sorted(result.student for result in book.results if not is_entered(result, book.unclear))
    for names, why in (
        (waiting, "something is not graded yet, or work of nobody's is there that may be theirs"),
        (left_out, "the platform's name of them is not known"),
    ):
        if names:
            print(f"left out: {', '.join(names[:5])}{f' and {len(names) - 5} more' if names[5:] else ''}: {why}")
