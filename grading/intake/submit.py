"""Pack finished notebooks into one zip for handing in, after a look at whether anything is missing.

The notebooks of the homework are found wherever they lie below a folder, also renamed, and read as the grader reads
them; nothing is executed. The zip holds them without their outputs, and manifest.json with the SHA-256 hash of each.
In a notebook: `from grading import submit; submit()`.
"""

from __future__ import annotations

import argparse
import ast
import builtins
import hashlib
import json
import os
import re
import sys
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from hw_xai.errors import UserError
from hw_xai.files import atomic, zipped

from ..homework.questions import NOTEBOOKS
from ..homework.scoring import complaints
from ..isolation.inside.libraries import is_there
from .notebook import BROKEN, ORDER, Notebook, read_notebook, text_of
from .slicing import statements_of

STUB = re.compile(r'raise NotImplementedError\("(?P<what>Exercise \d+: write (?P<name>\w+) here)"')
CHECKED = re.compile(r'^check\("(\w+)"', re.MULTILINE)
ASKED = re.compile(r"^\*\*(Q\d+)\.\*\*", re.MULTILINE)
NOT_OURS = re.compile(r"(\.|(site-packages|node_modules|__pycache__)$)")  # folders where nobody's homework lies
MEGABYTES = 20  # of a notebook without its outputs: ours have less than 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("paths", nargs="*", default=["."], help="notebooks, or folders that hold them (default: here)")
    parser.add_argument("--out", default="submission.zip", metavar="FILE", help="default: %(default)s")
    parser.add_argument("--unfinished", action="store_true", help="hand in although something is missing")


def run(options: argparse.Namespace) -> None:
    hand_in(options.paths, options.out, options.unfinished)


def submit(*paths: str | Path, out: str = "submission.zip", unfinished: bool = False) -> None:
    """Do in a notebook what `hw-xai submit` does; in Colab the zip is offered as a download."""
    try:
        hand_in([str(path) for path in paths] or ["."], out, unfinished)
    except UserError as error:
        print(error)
        return
    if "google.colab" in sys.modules:
        sys.modules["google.colab"].files.download(out)


def hand_in(paths: Sequence[str], out: str, unfinished: bool) -> None:
    """Print what is done and what lacks, and write the zip; UserError where something is missing."""
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")  # a console may have no ✔
    _check_out(Path(out))
    work = found(paths)
    missing = []
    for title in NOTEBOOKS:
        lacks = list(faults(work[title])) if title in work else []
        missing += [f"{title}.ipynb: {what}" for what in lacks]
        print(_line(title, work.get(title), lacks))
        for what in lacks:
            print(f"    missing: {title}.ipynb: {what}")
    if missing and not unfinished:
        more = f", and {len(missing) - 1} more, named above" if missing[1:] else ""
        raise UserError(f"not finished: {missing[0]}{more}; `unfinished=True` hands it in all the same")
    files = {f"{title}.ipynb": packed(its) for title, its in work.items()}
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    files["manifest.json"] = (json.dumps({"files": hashes, "missing": missing}, indent=1) + "\n").encode()
    with atomic(out) as temporary:
        temporary.write_bytes(zipped(files))
    for name, content in files.items():
        print(f"{len(content):9,} bytes  {name}  {hashes.get(name, '')[:12]}")
    print(f"done: {out} holds {len(work)} notebooks")


def _line(title: str, work: Work | None, lacks: Sequence[str]) -> str:
    if work is None:
        return f"– {title}: not found"
    where = "" if work.path.name == f"{title}.ipynb" else f" ({work.path})"
    return f"{'✘' if lacks else '✔'} {title}{where}"


def _check_out(out: Path) -> None:
    if out.suffix.lower() != ".zip":
        raise UserError(f"`out` must be the name of a zip, such as submission.zip, got {out}")
    if out.exists() and not (out.is_file() and zipfile.is_zipfile(out)):
        raise UserError(f"`out` must not overwrite what is no zip: {out} is there already; choose another name")


# ------------------------------------------------------------------------------------------------------------- finding


@dataclass(frozen=True)
class Work:
    """A notebook of the homework as its file holds it. cells: each with its source as one string."""

    path: Path
    title: str  # one of NOTEBOOKS
    content: bytes
    cells: tuple[dict, ...]
    metadata: dict

    @cached_property
    def notebook(self) -> Notebook:
        """What the grader reads of it."""
        return read_notebook(self.content, f"{self.title}.ipynb")

    def texts(self, kind: str) -> str:
        return "\n".join(cell["source"] for cell in self.cells if cell["cell_type"] == kind)


def found(paths: Sequence[str]) -> dict[str, Work]:
    """Return title -> notebook, in the order of the homework; a file that is named comes before those in folders."""
    named: dict[str, list[Work]] = {}
    lying: dict[str, list[Work]] = {}
    for path in map(Path, paths):
        if not path.exists():
            raise UserError(f"there is no {path}")
        for one in _notebooks_below(path) if path.is_dir() else [path]:
            if work := work_of(one, one.read_bytes()):
                (lying if path.is_dir() else named).setdefault(work.title, []).append(work)
            elif not path.is_dir():
                raise UserError(f"{one} is no notebook of the homework: those have names such as 2_gradients.ipynb")
    works = lying | named
    if not works:
        raise UserError(f"found no notebook of the homework, such as 2_gradients.ipynb, in {', '.join(paths)}")
    return {title: _the_one(works[title]) for title in NOTEBOOKS if title in works}


def _notebooks_below(folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not NOT_OURS.match(name))
        yield from (Path(place, name) for name in sorted(names) if name.endswith(".ipynb") and name[0] != ".")


def _the_one(works: Sequence[Work]) -> Work:
    first = works[0]
    for other in works[1:]:
        if other.path.resolve() != first.path.resolve() and packed(other) != packed(first):
            raise UserError(f"there are two {first.title}, {first.path} and {other.path}: name the one to hand in")
    return first


def work_of(path: Path, content: bytes) -> Work | None:
    """Return the notebook of the homework that a file holds, None for another; UserError for one that is damaged."""
    by_name = next((title for title in NOTEBOOKS if title in path.name), "")
    try:
        data = json.loads(text_of(content)[0], strict=False)
        rows = data["cells"] if "cells" in data else [row for sheet in data["worksheets"] for row in sheet["cells"]]
        cells = tuple(_cell(row) for row in rows)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        if by_name:
            raise UserError(f"{path} is no Jupyter notebook: save it again from Jupyter") from None
        return None
    metadata = only(data.get("metadata"), "kernelspec", "language_info", "hw_xai")
    title = only(metadata.get("hw_xai"), "notebook").get("notebook", by_name)
    return Work(path, title, content, cells, metadata) if title in NOTEBOOKS else None


def _cell(row: dict) -> dict:
    """Return a cell as format 4 has it, without outputs; the source may be stored as one string or as its lines."""
    kind = {"heading": "markdown"}.get(row["cell_type"], row["cell_type"])
    if kind not in ("code", "markdown", "raw"):
        raise ValueError("a cell of another kind")
    source = "".join(row["source"] if "source" in row else row["input"])
    cell = only(row, "id") | {"cell_type": kind, "source": source, "metadata": only(row.get("metadata"), "nbgrader")}
    return cell | ({"outputs": [], "execution_count": None} if kind == "code" else {})


# ------------------------------------------------------------------------------------------------------ what is missing


def faults(work: Work) -> Iterator[str]:
    """Yield what is missing or will not run where it is graded, as far as reading shows."""
    notebook = work.notebook
    for name in exercises_in(work):
        definition = notebook.definition(name)
        if definition is None:
            yield f"{name}: the cell with this function is gone"
        elif definition.rank[0] == ORDER["stub"]:
            match = STUB.search(definition.source)
            yield f"{match['what'] if match else name}: not written yet"
        elif definition.rank[0] == BROKEN:
            yield f"{name}: {' '.join(fault.en for fault in notebook.faults())}"
        else:
            yield from (f"{name}: {what}" for what in unable(definition.source))
    if not (asked := questions_in(work)):
        return
    answers, remarks = notebook.answers()
    if not answers:
        yield 'the cell of the answers must read answers = {"Q1": "A", …}'
        return
    yield from (remark.en for remark in remarks)
    said = complaints(answers, notebook.variant or 0)
    empty = [name for name in asked if answers.get(name, "") in ("", [], None)]
    yield from (said[name].en.removesuffix(".") for name in asked if name in said and name not in empty)
    if empty:
        yield f"no answer to {', '.join(empty)}"


def unable(source: str) -> Iterator[str]:
    """Yield why the code of an exercise cannot run where it is graded: libraries and names that are not there."""
    missing = [name for name in imported(source) if not is_there(name)]
    if missing:
        yield f"the grader has no {', '.join(missing)}: use torch, numpy, scipy and scikit-learn alone"
    if names := undefined(source):
        yield f"{', '.join(names)} is defined nowhere in this notebook: each notebook stands alone"


def imported(source: str) -> list[str]:
    """Return the top-level modules that code imports, anywhere in it."""
    names: dict[str, None] = {}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0]: None for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names[(node.module or "").partition(".")[0]] = None
    return list(names)


def undefined(source: str) -> list[str]:
    """Return the names that code reads and nothing defines; none where a star import or a class may define them."""
    statements = statements_of(source)
    if any(one.kind == "star" for one in statements) or any(
        isinstance(node, ast.ClassDef | ast.Global) for node in ast.walk(ast.parse(source))
    ):
        return []
    bound = {name for one in statements for name in one.binds}
    read = {name for one in statements for name in one.now | one.later}
    return sorted(name for name in read - bound if not hasattr(builtins, name) and not name.startswith("__"))


def exercises_in(work: Work) -> list[str]:
    """Return the exercises that a notebook asks for, by the cells that check them and by what is still a stub."""
    code = work.texts("code")
    return list(dict.fromkeys([*CHECKED.findall(code), *(match["name"] for match in STUB.finditer(code))]))


def questions_in(work: Work) -> list[str]:
    """Return the questions that a notebook asks, by their headings."""
    return list(dict.fromkeys(ASKED.findall(work.texts("markdown"))))


# ------------------------------------------------------------------------------------------------------------- packing


def packed(work: Work) -> bytes:
    """Return the notebook as it is handed in: sources, and the metadata that says which cell is which. No outputs."""
    whole = {"nbformat": 4, "nbformat_minor": 5, "metadata": work.metadata, "cells": list(work.cells)}
    content = (json.dumps(whole, indent=1) + "\n").encode()
    if len(content) > MEGABYTES * 2**20:
        raise UserError(f"a notebook without outputs must have up to {MEGABYTES} MB, got {len(content):,} bytes")
    return content


def only(entries: object, *keys: str) -> dict:
    """Return the entries under these keys, if they are entries at all."""
    return {key: entries[key] for key in keys if key in entries} if isinstance(entries, dict) else {}
