"""A class of 200 with one bomb of each kind in it, beside the same class without: time, memory, and Ctrl-C. Linux.

    python tests/benchmarks/bench_bombs.py FOLDER [--students 200] [--repeat 2] [--interrupts 10] [--group GB]

One cheap exercise, so that the bombs weigh as much as they can. Both classes are
graded in turn on the same tree. peak: of all processes together (proportional set size). --group puts the grader into a
memory group of its own (cgroup, version 1 or 2; root) with a limit, and tells the most that the kernel counted there.
Ctrl-C is what a terminal sends, to all processes of the command, at moments drawn anew each time; the same command then
goes on where it was, until the next one. All that was interrupted must end with the same grades.
"""

import argparse
import contextlib
import csv
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "attacks"))
import ending
import handing_in
import hogging
import kernel
from attack import RIGHT
from peers.measure import Cost, cost

from grading.isolation.memory import MemoryGroup

HOME = "5_embeddings.ipynb"
RUN = {ending: ("endless loop", "sleep", "fork bomb", "thread bomb"), kernel: ("vmsplice", "negative entries"),
       hogging: ("many small pieces", "pipes", "disk", "inodes", "output flood", "reply flood",
                 "a compiler's bomb")}  # fmt: skip
READ = ("zip bomb", "nested bomb", "overlapping zip", "many files", "many cells", "deep JSON", "huge number",
        "large notebook", "deep literal", "long expression")  # fmt: skip
TEXTS = {"help": "x = f(\n'" + "a" * 400_000 + "'\n?", "marks": "x" + "\u0301" * 300_000 + " = 1",
         "magics": "%time x = " + "(" * 100_000, "escapes": "x = '" + "\\N{" * 200_000}  # fmt: skip
TARGETS = {"token": "bombs", "folders": [], "pids": [], "needle": ["CAN", "ARY-"], "files": [], "results": []}


def bombs() -> dict[str, Mapping[str, bytes]]:
    """Return the name of each bomb -> the files that its student hands in."""
    made: dict[str, Mapping[str, bytes]] = {name: handing_in.HANDED_IN[name][1]() for name in READ}
    made |= {name: {HOME: handing_in.notebook(text, RIGHT)} for name, text in TEXTS.items()}
    made["scripts"] = {"work.zip": handing_in.zipped({"a.py": b"#%%\n" * 15_000_000})}
    made["folders"] = {"work.zip": handing_in.zipped(dict.fromkeys((f"{i}/" for i in range(60_000)), b""))}
    for theme, names in RUN.items():
        for one in theme.ATTACKS:
            if one.name in names:
                made[one.name] = {HOME: handing_in.notebook(one.sources(TARGETS)["cosine_similarity"])}
    return made


def write(folder: Path, students: int, hostile: Mapping[str, Mapping[str, bytes]]) -> Path:
    """Write a class, all different, with the bombs evenly among them."""
    shutil.rmtree(folder, ignore_errors=True)
    places = dict(zip(range(3, students, max(1, students // max(1, len(hostile)))), hostile.items(), strict=False))
    for i in range(students):
        name, files = places.get(i, ("", {HOME: handing_in.notebook(f"{RIGHT}\n# of {i}\n")}))
        mine = folder / f"b{i:04}"
        mine.mkdir(parents=True)
        for file, content in files.items():
            (mine / file).write_bytes(content)
    print(f"{folder.name}: {students} students, {len(places)} of them with a bomb")
    return folder


def command(options: argparse.Namespace, submissions: Path, out: Path) -> list:
    start = [Path(sys.executable).with_name("hw-grade"), "run", submissions, "--out", out, "--layout", "folders"]
    return [*start, "--only", "cosine_similarity", "--no-questions", "--seed", 1, "--wall", options.wall]


def points(out: Path) -> dict[str, str]:
    with (out / "gradebook.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.reader(file))[1:]
    return {row[0]: row[2] for row in rows}


def interrupted(options: argparse.Namespace, submissions: Path, out: Path) -> list[float]:
    """Return how long each Ctrl-C took to be answered."""
    took = []
    shutil.rmtree(out, ignore_errors=True)
    while len(took) < options.interrupts:
        with open(out.with_suffix(".log"), "ab") as log:
            running = subprocess.Popen(
                [str(part) for part in command(options, submissions, out)],
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
            moment = random.uniform(0.2, options.longest)
            with contextlib.suppress(subprocess.TimeoutExpired):
                running.wait(moment)
                shutil.rmtree(out)  # done before: from the beginning
                continue
            start = time.perf_counter()
            os.killpg(running.pid, signal.SIGINT)
            code = running.wait()
        took.append(time.perf_counter() - start)
        said = out.with_suffix(".log").read_text(errors="replace").strip().splitlines()[-1:]
        print(f"  Ctrl-C after {moment:5.1f} s: answered in {took[-1]:.2f} s, exit code {code}, {said}", flush=True)
    return took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--students", type=int, default=200)
    parser.add_argument("--repeat", type=int, default=2)
    parser.add_argument("--interrupts", type=int, default=10)
    parser.add_argument("--longest", type=float, default=60.0, metavar="SECONDS", help="until a Ctrl-C")
    parser.add_argument("--group", type=float, default=0.0, metavar="GB")
    parser.add_argument("--wall", type=int, default=5)
    options = parser.parse_args()
    folder = options.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # started in the background, it would be ignored
    group = MemoryGroup(int(options.group * 2**30)) if options.group else None
    if group:
        os.write(group.descriptor, b"0")
    classes = {name: write(folder / name, options.students, its) for name, its in (("honest", {}), ("bombs", bombs()))}
    costs: dict[str, list[Cost]] = {name: [] for name in classes}
    for _ in range(options.repeat):
        for name, submissions in classes.items():
            shutil.rmtree(out := folder / f"out-{name}", ignore_errors=True)
            one = cost([command(options, submissions, out)], folder, {"OMP_NUM_THREADS": "1"}, every=2.0)
            costs[name].append(one)
            right = sum(float(p) == 1 for p in points(out).values())
            print(
                f"  {name}: {one.wall:.1f} s, {one.cpu:.1f} s of CPU, peak {one.peak:.0f} MB, {right} right,", end=" "
            )
            print(f"load {os.getloadavg()[0]:.1f}", flush=True)
    for part in ("wall", "cpu", "peak"):
        honest, hostile = (statistics.median(getattr(one, part) for one in costs[name]) for name in classes)
        print(f"{part}: honest {honest:.1f}, with bombs {hostile:.1f}, {hostile / honest:.2f} times")
    took = interrupted(options, classes["bombs"], folder / "out-stopped")
    print(f"Ctrl-C: {len(took)} times, answered in at most {max(took, default=0):.2f} s")
    cost([command(options, classes["bombs"], folder / "out-stopped")], folder, {})
    print("the same grades after all:", points(folder / "out-stopped") == points(folder / "out-bombs"))
    if group:
        most = next(path for n in ("memory.peak", "memory.max_usage_in_bytes") if (path := group.path / n).exists())
        print(f"the group of {options.group} GB: at most {int(most.read_text()) / 2**20:.0f} MB, page cache included")


if __name__ == "__main__":
    main()
