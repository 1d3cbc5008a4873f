"""Write the pages, gradebooks and reports of a graded class again, from its journal; nothing is graded."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from hw_xai.errors import UserError

if TYPE_CHECKING:
    pass


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("out", metavar="OUT", help="the folder that hw-grade run has written")
    parser.add_argument("--title", help="of the assignment (default: as it was graded)")
    parser.add_argument("--lang", choices=["en", "zh-TW", "both"], help="default: as it was graded")
    parser.add_argument("--show-answers", choices=["none", "points", "all"], help="default: as it was graded")


def run(options: argparse.Namespace) -> None:
    # late: the reports load the exercises, and `--help` needs none of them
    from ..reports import write_reports
    from ..running.audit import Log, final_files
    from ..running.journal import Journal, told
    from ..running.rules import course_from

    out = Path(options.out)
    with Journal(out) as journal:
        course = journal.recall("course", course_from)
        results = list(journal.results())
        if not course or not results:
            raise UserError(f"{out} must hold results, but nothing is graded yet: run hw-grade run first")
        chosen = {"title": options.title, "language": options.lang, "show_answers": options.show_answers}
        course = replace(course, **{name: value for name, value in chosen.items() if value is not None})
        write_reports(results, out, course, journal.sources(), *told(journal))
        with Log(out) as log:
            journal.keep("audit", log.add("report", files=final_files(out)))
    print(f"done: {len(results)} students in {out}; begin with class.html")
