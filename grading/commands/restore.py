"""Bring back an earlier state of the grades: results, course.toml, adjustments.csv and times. Itself a new state."""

from __future__ import annotations

import argparse
from pathlib import Path

from hw_xai.cli.options import count
from hw_xai.errors import UserError

from ..running.audit import Log
from ..running.history import restore, states
from ..running.journal import Journal
from .report import say_changed, write_book


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("out", metavar="OUT", help="the folder that hw-grade run wrote")
    parser.add_argument("number", type=count, metavar="NUMBER", help="as hw-grade history lists them")


def run(options: argparse.Namespace) -> None:
    out = Path(options.out)
    with Journal(out) as journal, Log(out) as log:
        state = next((one for one in states(journal) if one.number == options.number), None)
        if state is None:
            raise UserError(f"NUMBER must be that of a state (hw-grade history {out}), got {options.number}")
        restore(out, journal, log, state)
        book = write_book(out, journal, log)
    print(f"done: {len(book.results)} students as they were in state {state.number}, {state.time}")
    say_changed(book)
