"""The peers, each in an environment of its own with its pinned version, and their assignments."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from .submissions import HOMEWORK, TRIVIAL, for_otter, homework, trivial, write_all

COMMON = ["ipykernel==7.1.0", "numpy==2.4.6"]
PINNED = {"otter": ["otter-grader==7.0.0", *COMMON], "nbgrader": ["nbgrader==0.9.6", *COMMON]}
ROOT = Path(__file__).parents[3]
MADE = {"trivial": lambda seed: trivial(seed), "homework": lambda seed: homework(tuple(HOMEWORK), seed)}


def environment(name: str, folder: Path) -> Path:
    """Make the environment of a peer and return its folder of programs.

    For the homework, torch and the kit are lent by the environment of this process: the same builds for all. What a
    peer installed itself comes first.
    """
    place = folder / f"env-{name}"
    if not place.exists():
        subprocess.run(["uv", "venv", "-q", "--python", os.path.realpath(sys.executable), place], check=True)
        python = place / "bin" / "python"
        subprocess.run(
            ["uv", "pip", "install", "-q", "--compile-bytecode", "--python", python, *PINNED[name]], check=True
        )
        packages = next((place / "lib").glob("python*")) / "site-packages"
        lend = 'import os, sys; sys.path += filter(None, os.environ.get("LENT", "").split(":"))\n'
        (packages / "zz_lent.pth").write_text(lend)
    return place / "bin"


def settings(programs: Path, kind: str) -> Mapping[str, str]:
    """Return the variables under which a peer finds its own kernel, on one thread as ours has."""
    lent = f"{Path(nbformat.__file__).parents[1]}:{ROOT}" if kind == "homework" else ""
    path = {"PATH": f"{programs}:{os.environ['PATH']}", "VIRTUAL_ENV": str(programs.parent)}
    return path | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "LENT": lent}


def otter(kind: str, folder: Path, env: Mapping[str, str], n: int) -> None:
    """Write autograder.zip and n submissions s0.ipynb, …"""
    tests = folder / "tests"
    tests.mkdir(parents=True)
    asked = {name: (call, value) for name, (_, call, value) in TRIVIAL.items()}
    if kind == "homework":
        asked = {name: (f'check("{name}", {name}).passed', "True") for name in HOMEWORK}
    for name, (call, value) in asked.items():
        case = {"code": f">>> {call}\n{value}", "hidden": False, "locked": False}
        suite = {"cases": [case], "scored": True, "setup": "", "teardown": "", "type": "doctest"}
        test = {"name": name, "points": 1, "suites": [suite]}
        (tests / f"{name}.py").write_text(f"OK_FORMAT = True\ntest = {test!r}\n")
    command = ["otter", "generate", "-t", "tests", "-o", "autograder.zip", "--no-environment", "--no-requirements"]
    subprocess.run(command, cwd=folder, env={**os.environ, **env}, check=True, stdout=subprocess.DEVNULL)
    write_all({f"s{i}": for_otter(MADE[kind](i)) for i in range(n)}, folder)


def nbgrader(kind: str, folder: Path, env: Mapping[str, str], n: int) -> None:
    """Write a course whose assignment is "hw", and n submissions of it by s0, …"""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "nbgrader_config.py").write_text('c = get_config()\nc.CourseDirectory.course_id = "course"\n')
    write_all({"source/hw/hw": unsolved(MADE[kind](0))}, folder)
    command = ["nbgrader", "generate_assignment", "hw"]
    subprocess.run(command, cwd=folder, env={**os.environ, **env}, check=True, capture_output=True)
    write_all({f"submitted/s{i}/hw/hw": MADE[kind](i) for i in range(n)}, folder)


def unsolved(made: NotebookNode) -> NotebookNode:
    for cell in made.cells:
        if cell.metadata.get("nbgrader", {}).get("solution"):
            cell.source = "### BEGIN SOLUTION\n" + cell.source + "\n### END SOLUTION"
    return made
