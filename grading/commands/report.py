"""Count again by course.toml and adjustments.csv, and write all pages and gradebooks; nobody's code is run."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..reports import write_reports
from ..running.audit import Log, final_files
from ..running.book import Book, book_of, log_decisions
from ..running.journal import Journal
from .rules import some


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("out", metavar="OUT", help="the folder that hw-grade run has written")
    parser.add_argument("--title", help="of the assignment (default: as it was graded)")
    parser.add_argument("--lang", choices=["en", "zh-TW", "both"], help="default: as it was graded")
    parser.add_argument("--show-answers", choices=["none", "points", "all"], help="default: as it was graded")


def run(options: argparse.Namespace) -> None:
    out = Path(options.out)
    chosen = {"title": options.title, "language": options.lang, "show_answers": options.show_answers}
    with Journal(out) as journal, Log(out) as log:
        book = write_book(out, journal, log, {name: value for name, value in chosen.items() if value is not None})
    print(f"done: {len(book.results)} students in {out}; begin with class.html")
    say_changed(book)


def write_book(out: Path, journal: Journal, log: Log, shown: Mapping[str, Any] | None = None) -> Book:
    """Write the final files, and into the log what they are and which decisions they hold. shown: other words."""
    book = book_of(out, journal)
    if shown:
        book = replace(book, course=replace(book.course, **shown))
    sources = journal.sources()
    write_reports(book.results, out, book.course, sources, book.roster, book.remarks, book.changed, book.unclear)
    log_decisions(out, journal, log, book.results)
    journal.keep("audit", log.add("report", files=final_files(out)))
    return book


def say_changed(book: Book) -> None:
    """Say whose grades are not what they were the last time."""
    whose = [one.student for one in book.changed if one.part == "total"] if book.new else []
    if whose:
        print(f"changed since the state before: the grades of {len(whose)} ({some(whose)}); see changes.csv")
