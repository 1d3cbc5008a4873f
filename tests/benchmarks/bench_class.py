"""A class of right solutions from start to all files: CPU, wall, memory, and whether anybody is told a false timeout.

    python tests/benchmarks/bench_class.py FOLDER [--sizes 100x3 40x14] [--jobs N] [--busy N]

Every student's code is another: the worked solutions with statements of their own, and the solutions of the tests,
which are written by other means (an optimizer, NumPy, float64, one image after another, …). All of it is right, so
every exercise must end as passed. --jobs: 4 for each core, so that all of them wait for the processor; --busy: that
many processes that only count run beside it. CPU: of all processes together, user and system; peak: proportional set
size, so that what processes share counts once. Linux.
"""

import argparse
import json
import os
import re
import runpy
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import contextmanager
from pathlib import Path

from nbformat import NotebookNode
from peers.measure import Cost, cost
from peers.submissions import HOMEWORK, homework, notebook, write_all

from grading.homework.exercises import EXERCISES
from grading.homework.release.cells import plain_cell
from grading.isolation.inside.libraries import EXPLAINERS
from grading.running.processors import processors

CORPUS = runpy.run_path(str(Path(__file__).parent.parent / "honest" / "corpus.py"))
BY_A_LIBRARY = re.compile(rf"^from (?:{'|'.join(EXPLAINERS)})[\w.]* import (.+)\n", re.MULTILINE)
SIZES = ["100x3", "40x14"]  # students x exercises


def names_of(n: int) -> list[str]:
    """Return n exercises: the three of the homework that the other graders are measured with, then the others."""
    return [*HOMEWORK, *(name for name in EXERCISES if name not in HOMEWORK)][:n]


def submission(names: Sequence[str], student: int) -> NotebookNode:
    """Return a notebook in which all is right: every second student's is written as the tests write it."""
    if student % 2 == 0:
        return homework(names, student)
    cells = []
    for i, name in enumerate(names):
        imports, helpers, source = own_solution(name, student // 2 + i)
        cells += [plain_cell("code", text) for text in (imports, "\n\n\n".join(helpers.values())) if text]
        cells.append(plain_cell("code", f"{source}\n\n\n# {student}", grade_id=name, solution=True))
    return notebook(cells)


def own_solution(name: str, variant: int) -> tuple[str, dict[str, str], str]:
    """Return imports, helpers and function of the variant, or of the next one that does not call a finished library."""
    while True:
        imports, helpers, source = CORPUS["solution"](name, variant)
        finished = [word.strip() for match in BY_A_LIBRARY.finditer(f"{imports}\n") for word in match[1].split(",")]
        if not any(re.search(rf"\b{word}\b", source) for word in finished):
            return imports, helpers, source
        variant += 1


@contextmanager
def others(n: int):
    """Keep n processes busy meanwhile; those alone are ended that were started here."""
    counting = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(n)]
    try:
        yield
    finally:
        for process in counting:
            process.kill()
            process.wait()


def graded(folder: Path, size: str, jobs: int) -> tuple[Cost, Counter, list[str]]:
    """Return the cost of a class, how many exercises ended how, and what was said where one did not pass."""
    students, exercises = map(int, size.split("x"))
    names = names_of(exercises)
    shutil.rmtree(folder, ignore_errors=True)
    made = {f"s{i:04}": submission(names, i) for i in range(students)}
    out = folder / "out"
    command = [Path(sys.executable).with_name("hw-grade"), "run", write_all(made, folder / "class"), "--out", out]
    command += ["--only", ",".join(names), "--no-questions", "--seed", 1, "--jobs", jobs]
    spent = cost([command], folder, {"OMP_NUM_THREADS": "1"}, every=2.0)
    parts = [
        (row["student"], part) for row in json.loads((out / "class.json").read_text())["results"]
        for part in row["exercises"]
    ]  # fmt: skip
    wrong = [f"{student} {part['exercise']}: {part['status']}, {part['reason'][0]}" for student, part in parts
             if part["status"] != "passed"]  # fmt: skip
    return spent, Counter(part["status"] for _, part in parts), wrong


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sizes", nargs="*", default=SIZES, metavar="STUDENTSxEXERCISES")
    parser.add_argument("--jobs", type=int, default=4 * processors())
    parser.add_argument("--busy", type=int, default=0, metavar="N", help="processes that only count, beside it")
    options = parser.parse_args()
    for size in options.sizes:
        before = os.getloadavg()[0]
        with others(options.busy):
            spent, ended, wrong = graded(options.folder.resolve() / size, size, options.jobs)
        print(
            f"{size}: CPU {spent.cpu:.0f} s, wall {spent.wall:.0f} s, peak {spent.peak:.0f} MB; {options.jobs} jobs on "
            f"{processors()} cores, load {before:.1f} before and {os.getloadavg()[0]:.1f} after; "
            f"false timeouts: {ended['timeout']}; {dict(ended)}",
            flush=True,
        )
        print(*wrong[:20], sep="\n", end="\n" if wrong else "", flush=True)


if __name__ == "__main__":
    main()
