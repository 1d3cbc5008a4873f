"""Make the folder of a class: its rules (course.toml), its roster and an empty list of decisions (adjustments.csv)."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from hw_xai.cli.options import count
from hw_xai.errors import UserError

from ..platforms.roster import read_rosters
from ..running import adjustments
from ..running.course_file import NAME
from ..running.journal import Journal
from .rules import course_arguments, rules_from
from .run import write_class


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("out", metavar="CLASS", help="folder; give it to hw-grade run as --out")
    course_arguments(parser)
    parser.add_argument("--roster", action="append", metavar="CSV", help="as in hw-grade run")
    parser.add_argument("--salt", help="the secret that shuffled the options in hw-grade release --roster")
    parser.add_argument("--wall", type=count, metavar="SECONDS", help="for each exercise of a student")
    parser.add_argument("--memory", type=count, metavar="GB", help="for each exercise of a student")


def run(options: argparse.Namespace) -> None:
    out = Path(options.out)
    if (out / NAME).exists():
        raise UserError(f"{out / NAME} is there already: change it there, or with hw-grade run --change")
    roster = read_rosters(options.roster or [])
    rules = rules_from(options)
    with Journal(out, new=True) as journal:
        if options.salt is not None:
            journal.keep("salt", options.salt)
    salt = "in journal.sqlite" if options.salt else ""
    write_class(out, replace(rules, roster="roster.csv" if roster else "", salt=salt), roster)
    adjustments.append(out, [])
    print(f"done: {out / NAME}, {len(roster.people)} on the roster; now hw-grade run DOWNLOAD --out {out}")
