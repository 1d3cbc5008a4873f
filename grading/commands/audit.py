"""Check that journal, audit log and final files are still what was graded."""

import argparse
from pathlib import Path

from ..running.audit import findings
from ..running.journal import Journal


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("out", metavar="OUT", help="the folder that hw-grade run wrote")


def run(options: argparse.Namespace) -> int:
    out = Path(options.out)
    with Journal(out) as journal:
        found = findings(out, journal)
        students = len(journal.keys())
    for finding in found:
        print(finding)
    count = "1 finding" if len(found) == 1 else f"{len(found)} findings"
    print(count if found else f"all of {students} results and their files are as they were graded")
    return 1 if found else 0
