"""What is handed in: a trivial notebook, and one of the homework, as each grader wants it. Every student's is another.

The homework is cut from the released notebooks: their first cell, three exercises and the cells that judge them.
"""

import random
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from grading.homework.release.cells import Options, plain_cell
from grading.homework.release.notebooks import masters, release

HOMEWORK = {"occlusion": "total / count", "saliency": "slope.abs()", "grad_cam": ".relu()"}  # the part that is left out
MISTAKES = {"occlusion": "total", "saliency": "slope", "grad_cam": ""}  # to make it wrong
CHEAP = ("cosine_similarity", "euclidean_distance", "filter_activation")
TRIVIAL = {  # for the peers; ours has no course of such: it gets CHEAP
    "double": ("def double(x):\n    return 2 * x", "double(3)", "6"),
    "mean_of": ("def mean_of(values):\n    return float(np.mean(values))", "mean_of([1, 2, 6])", "3.0"),
    "largest": ("def largest(values):\n    return int(np.max(values))", "largest([1, 7, 2])", "7"),
}


def homework(names: Sequence[str], seed: int, wrong: bool = False) -> NotebookNode:
    """Return a solved notebook of these exercises, different for every seed."""
    draw = random.Random(seed)
    solved = {}
    for master in masters():
        for cell in _cells(master):
            solved.setdefault(cell.metadata.get("nbgrader", {}).get("grade_id"), cell)
    cells = [solved["start"], plain_cell("code", "import torch")]
    for name in names:
        cell = nbformat.from_dict(solved[name])
        if wrong:
            cell.source = cell.source.replace(HOMEWORK[name], MISTAKES[name])
        cell.source = _own(cell.source, draw)
        cells += [cell, solved[f"check-{name}"]]
    return notebook(cells)


def trivial(seed: int) -> NotebookNode:
    """Return the peers' trivial notebook with nbgrader's metadata, solved."""
    cells = [plain_cell("code", f"import numpy as np  # {seed}")]
    for name, (source, call, value) in TRIVIAL.items():
        cells.append(plain_cell("code", source, grade_id=name, solution=True))
        test = plain_cell("code", f"assert {call} == {value}", grade_id=f"check-{name}", grade=True, locked=True)
        test.metadata["nbgrader"]["points"] = 1
        cells.append(test)
    return notebook(cells)


def for_otter(made: NotebookNode) -> NotebookNode:
    """Return the notebook with otter's first cell and without the cells that judge: otter runs tests of its own."""
    start = plain_cell("code", "import otter\ngrader = otter.Notebook()")
    cells = [cell for cell in made.cells if not cell.metadata.get("nbgrader", {}).get("grade")]
    return notebook([start, *cells])


def notebook(cells: Sequence[NotebookNode]) -> NotebookNode:
    made = nbformat.v4.new_notebook(cells=list(cells))
    made.metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    for number, cell in enumerate(made.cells):
        cell.id = f"cell-{number}"
    return made


def write_all(notebooks: Mapping[str, NotebookNode], folder: Path) -> Path:
    """Write each notebook under its name."""
    for name, made in notebooks.items():
        path = folder / f"{name}.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(made, path)
    return folder


def _own(source: str, draw: random.Random) -> str:
    """Add statements behind the docstring, so that no two students' functions are equal."""
    kinds = (
        "{a} = {n} + {m}",
        "{a} = [{n}, {m}][0]",
        "{a} = max({n}, {m})",
        "{a} = ({n},) * {m}",
        "assert {n} < {m} + 999",
    )
    lines = [
        draw.choice(kinds).format(a=f"own_{draw.randrange(10**6)}", n=draw.randrange(100), m=draw.randrange(9))
        for _ in range(draw.randrange(1, 6))
    ]
    head, docstring, body = source.partition(re.search(r'""".*?"""\n', source, re.DOTALL)[0])
    return head + docstring + "".join(f"    {line}\n" for line in lines) + body


_KEPT: dict[Path, Sequence[NotebookNode]] = {}


def _cells(master: Path) -> Sequence[NotebookNode]:
    if master not in _KEPT:
        _KEPT[master] = release(master, Options(solved=True)).cells
    return _KEPT[master]
