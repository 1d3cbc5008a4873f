"""Time, CPU and memory of a submission in our autograder, otter-grader and nbgrader, in turn on one machine. Linux.

    python tests/benchmarks/bench_grading.py FOLDER [--repeat 3] [--warm 30] [--kinds trivial homework] [--class 1000]

FOLDER keeps the peers' environments (made with uv, versions pinned in peers/environments.py) and all that is written.
Two notebooks. trivial: for the peers three functions of one line, tested in their own formats; ours has no course of
such, so its three cheapest exercises, which run networks. homework: three of ours (occlusion, saliency, grad_cam), for
all graders the same solutions; the peers call our `check` in the student's kernel: nbgrader reads our released cells,
otter has a test for each. Both judge on three sets of inputs; only we also write feedback, gradebook and class report.

cold: the command for one submission. warm: (a command for n + 1 − the command for one) ÷ n, with one job; otter has a
command for each, so its warm is a later one. side by side: as many of otter's commands as there are cores; nbgrader
grades one after another. The class is graded by ours with as many jobs as there are cores. overhead: wall less the time
of the student's functions themselves on those inputs. peak: of all processes together. Medians of the repetitions.
"""

import argparse
import os
import shutil
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from peers import environments
from peers.measure import Cost, cost
from peers.submissions import CHEAP, HOMEWORK, homework, write_all

from grading.homework.exercises import EXERCISES
from grading.isolation.inside.calls import objects_of, outputs_of
from grading.running.rules import private_seeds

EXERCISES_OF = {"trivial": CHEAP, "homework": tuple(HOMEWORK)}
CORES = len(os.sched_getaffinity(0))
Row = tuple[str, str, Cost, float]  # who, when, cost of a submission, load of the machine


def median(costs: Sequence[Cost]) -> Cost:
    return Cost(*(statistics.median(getattr(one, part) for one in costs) for part in ("wall", "cpu", "peak")))


def warm(whole: Cost, one: Cost, n: int) -> Cost:
    return Cost((whole.wall - one.wall) / n, (whole.cpu - one.cpu) / n, whole.peak)


def seconds_of_functions(names: Sequence[str], repeat: int) -> float:
    """Return the time of the solutions alone, on the inputs of the grader."""
    torch.set_num_threads(1)
    total = 0.0
    for name in names:
        place = {"torch": torch}
        source = next(c.source for c in homework([name], 0).cells if f"def {name}" in c.source)
        exec(source, place)
        calls = [call for seed in private_seeds("fixed 1") for call in EXERCISES[name].plan(seed)]
        times = []
        for _ in range(repeat + 1):
            given = [(objects_of(call), call.times) for call in calls]
            start = time.perf_counter()
            for objects, n in given:
                outputs_of(place[name], objects, n)
            times.append(time.perf_counter() - start)
        total += statistics.median(times[1:])
    return total


# ---------------------------------------------------------------------------------------------------------------- ours


def ours(kind: str, folder: Path, options: argparse.Namespace) -> list[Row]:
    names = EXERCISES_OF[kind]
    notebooks = {f"s{i:04}": homework(names, i) for i in range(options.warm + 1)}
    many, single = write_all(notebooks, folder / "many"), write_all({"s0000": notebooks["s0000"]}, folder / "one")

    def run(submissions: Path) -> Cost:
        return cost([hw_grade(names, submissions, folder / "out", 1)], folder, {"OMP_NUM_THREADS": "1"}, every=0.5)

    cold, busy = [run(single) for _ in range(options.repeat)], load()
    whole = [run(many) for _ in range(options.repeat)]
    steady = [warm(one, median(cold), options.warm) for one in whole]
    return [("hw-grade", "cold", median(cold), busy), ("hw-grade", "warm", median(steady), load())]


def hw_grade(names: Sequence[str], submissions: Path, out: Path, jobs: int) -> list:
    shutil.rmtree(out, ignore_errors=True)
    start = [Path(sys.executable).with_name("hw-grade"), "run", submissions, "--out", out, "--only", ",".join(names)]
    return [*start, "--no-questions", "--seed", 1, "--jobs", jobs]


def a_class(folder: Path, n: int) -> Cost:
    """Grade n submissions of the homework, all different, every tenth wrong."""
    names = EXERCISES_OF["homework"]
    made = {f"s{i:04}": homework(names, i, wrong=i % 10 == 3) for i in range(n)}
    command = hw_grade(names, write_all(made, folder / "class"), folder / "out", CORES)
    whole = cost([command], folder, {"OMP_NUM_THREADS": "1"}, every=1.0)
    rows = (folder / "out" / "gradebook.csv").read_text(encoding="utf-8-sig").splitlines()[1:]
    full = sum(row.split(",")[2] == row.split(",")[3] for row in rows)
    print(f"  {len(rows)} results, {full} with all points, {len(rows) - full} without")
    return whole


# --------------------------------------------------------------------------------------------------------------- peers


def otter(kind: str, folder: Path, options: argparse.Namespace) -> list[Row]:
    programs = environments.environment("otter", options.folder)
    env = environments.settings(programs, kind)
    environments.otter(kind, folder, env, options.repeat + CORES)

    def command(i: int) -> list:
        (folder / f"out{i}").mkdir(exist_ok=True)
        return [programs / "otter", "run", "-a", "autograder.zip", "-o", f"out{i}", f"s{i}.ipynb"]

    first, *others = (cost([command(i)], folder, env, every=0.5) for i in range(options.repeat + 1))
    busy = load()
    beside = cost([command(i) for i in range(CORES)], folder, env, every=0.5)
    beside = Cost(beside.wall / CORES, beside.cpu / CORES, beside.peak)
    rows = [("cold", first, busy), ("warm", median(others), busy), ("side by side", beside, load())]
    return [("otter-grader", *row) for row in rows]


def nbgrader(kind: str, folder: Path, options: argparse.Namespace) -> list[Row]:
    programs = environments.environment("nbgrader", options.folder)
    env = environments.settings(programs, kind)
    n = options.repeat + 2
    environments.nbgrader(kind, folder, env, n)
    alone = [programs / "nbgrader", "autograde", "hw", "--student"]
    cold, busy = [cost([[*alone, f"s{i}"]], folder, env, every=0.5) for i in range(options.repeat)], load()
    whole = [programs / "nbgrader", "autograde", "hw", "--force"]
    steady = warm(cost([whole], folder, env, every=0.5), median(cold), n - 1)
    return [("nbgrader", "cold", median(cold), busy), ("nbgrader", "warm", steady, load())]


# --------------------------------------------------------------------------------------------------------------- table


def load() -> float:
    return os.getloadavg()[0]


def show(rows: Sequence[Row], functions: float) -> None:
    """Print the rows, each with its CPU as a multiple of ours at the same time."""
    base = {when: one.cpu for who, when, one, _ in rows if who == "hw-grade"}
    base["side by side"] = base["warm"]
    heads = ["wall s", "CPU s", "overhead s", "CPU ÷ ours", "peak MB", "load"]
    print(f"{'':14}{'':14}" + "".join(f"{head:>12}" for head in heads))
    for who, when, one, busy in rows:
        cells = [one.wall, one.cpu, one.wall - functions, one.cpu / base[when]]
        print(f"{who:14}{when:14}" + "".join(f"{c:12.3f}" for c in cells) + f"{one.peak:12.0f}{busy:12.1f}", flush=True)


GRADERS: Mapping[str, Callable] = {"hw-grade": ours, "otter": otter, "nbgrader": nbgrader}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--warm", type=int, default=30, help="submissions of ours in the steady state")
    parser.add_argument("--kinds", nargs="*", choices=EXERCISES_OF, default=list(EXERCISES_OF))
    parser.add_argument("--class", type=int, default=1000, dest="size", help="0: no class")
    options = parser.parse_args()
    options.folder = options.folder.resolve()
    for kind in options.kinds:
        rows = []
        for who, measure in GRADERS.items():
            place = options.folder / f"{who}-{kind}"
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir(parents=True)
            rows += measure(kind, place, options)
            print(f"measured: {who}, {kind}", file=sys.stderr)
        functions = seconds_of_functions(EXERCISES_OF[kind], 5)
        print(f"\n{kind}, for each submission; the functions (ours) take {functions:.3f} s; {CORES} cores")
        show(rows, functions)
    if options.size:
        print(f"\na class of {options.size} with three exercises of the homework, from start to all files")
        whole = a_class(options.folder / "hw-grade-homework", options.size)
        each = whole.wall / options.size
        print(
            f"  {whole.wall:.0f} s ({1000 * each:.0f} ms each), {whole.cpu:.0f} s of CPU, peak {whole.peak:.0f} MB,",
            end=" ",
        )
        print(f"load {load():.1f}")


if __name__ == "__main__":
    main()
