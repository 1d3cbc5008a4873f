"""Grades a class of 200 in a child that is killed at random moments, fifty times, and then once to the end.

Run as a program: python killed.py OUT SUMMARY. The children are forks: torch is loaded once.
"""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

from tqdm import tqdm

from grading.intake.submission import Submission
from grading.intake.submissions import Found
from grading.running import batch
from grading.running.audit import Log
from grading.running.journal import Journal
from grading.running.rules import Course
from grading.verdict.results import Graded
from grading.words import Text

COURSE = Course(points={"saliency": 2.0}, seeds=(1,))
CLASS = [Found(f"b{i:03}") for i in range(200)]


class Examiner:
    """Takes a little while for each."""

    def exercises(self, sources, names, seeds):
        time.sleep(0.02)
        return (Graded("saliency", "passed", 2, 2, Text(f"right, {sources['saliency']}", "正確")),)

    def close(self):
        pass


class Reader:
    """Reads nothing: whom it is asked about is all there is."""

    def read(self, one, homes, variant):
        return Submission(one.student, "", {"saliency": one.student}, digest="1")

    def close(self):
        pass


def grade_all(out: Path) -> None:
    batch.Reader = Reader
    with Journal(out, new=True) as journal, Log(out) as log:
        log.add("start")
        batch.Batch(COURSE, journal, log).run(CLASS, Examiner, 2, tqdm(total=len(CLASS), disable=True))
        journal.keep("audit", log.add("stop"))


def child(out: Path) -> int:
    if pid := os.fork():
        return pid
    try:
        grade_all(out)
        os._exit(0)
    except BaseException as error:
        print(repr(error), file=sys.stderr)
        os._exit(1)


def main(out: Path, summary: Path) -> None:
    rng, killed = random.Random(7), 0
    for _ in range(50):
        pid = child(out)
        time.sleep(rng.uniform(0, 0.15))
        os.kill(pid, signal.SIGKILL)
        killed += os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
    code = os.waitstatus_to_exitcode(os.waitpid(child(out), 0)[1])
    summary.write_text(json.dumps({"killed": killed, "code": code}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
