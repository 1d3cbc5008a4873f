"""List every state of the grades of a class, and with --of NUMBER what changed in it and why."""

from __future__ import annotations

import argparse
from pathlib import Path

from hw_xai.cli.options import count
from hw_xai.errors import UserError

from ..running.history import changes_between, states
from ..running.journal import Journal


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("out", metavar="OUT", help="the folder that hw-grade run wrote")
    parser.add_argument("--of", type=count, metavar="NUMBER", help="the grades that changed in this state")


def run(options: argparse.Namespace) -> None:
    with Journal(Path(options.out)) as journal:
        kept = states(journal)
    if options.of is None:
        for last, this in zip([None, *kept], kept, strict=False):
            n = len({one.student for one in changes_between(last, this)}) if last else len(this.grades)
            print(f"{this.number}  {this.time}  {len(this.grades)} students, {n} {'changed' if last else 'new'}")
        return
    state = next((one for one in kept if one.number == options.of), None)
    if state is None:
        raise UserError(f"--of must be the number of a state, {_numbers(kept)}, got {options.of}")
    before = next((one for one in reversed(kept) if one.number < state.number), None)
    for change in changes_between(before, state) if before else ():
        values = ("–" if value is None else f"{value:g}" for value in (change.before, change.after))
        print(f"{change.student}  {change.part}  {' -> '.join(values)}  {change.why}")


def _numbers(kept: list) -> str:
    return f"{kept[0].number} to {kept[-1].number}" if kept else "and there is none yet"
