"""Pack finished notebooks into one zip for handing in, after a look at whether anything is missing.

Nothing is executed: the notebooks are read as data. The zip holds the notebooks, without their outputs, and
manifest.json with the SHA-256 hash of each.
"""

import argparse
import ast
import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

from ...errors import UserError
from ...files import atomic, zipped

STUB = re.compile(r'^[^#\n]*raise NotImplementedError\("(?P<what>Exercise [^"]*)"', re.MULTILINE)
OURS = re.compile(r"[0-9]_\w+\.ipynb")
MEGABYTES = 20  # of a notebook without its outputs: ours have less than 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("paths", nargs="*", default=["."], help="notebooks, or folders that hold them (default: here)")
    parser.add_argument("--out", default="submission.zip", metavar="FILE", help="default: %(default)s")
    parser.add_argument("--unfinished", action="store_true", help="hand in although something is missing")


def run(options: argparse.Namespace) -> None:
    notebooks = {path.name: read(path) for path in found(options.paths)}
    missing = [f"{name}: {what}" for name, notebook in notebooks.items() for what in faults(notebook)]
    for fault in missing:
        print(f"missing: {fault}")
    if missing and not options.unfinished:
        more = f", and {len(missing) - 1} more, named above" if missing[1:] else ""
        raise UserError(f"not finished: {missing[0]}{more}; --unfinished hands it in all the same")
    files = {name: packed(notebook) for name, notebook in notebooks.items()}
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    files["manifest.json"] = (json.dumps({"files": hashes, "missing": missing}, indent=1) + "\n").encode()
    with atomic(options.out) as temporary:
        temporary.write_bytes(zipped(files))
    for name, content in files.items():
        print(f"{len(content):9,} bytes  {name}  {hashes.get(name, '')[:12]}")
    print(f"done: {options.out} holds {len(notebooks)} notebooks")


def found(paths: list[str]) -> list[Path]:
    """Return the notebooks of the homework at these paths, in the order of their names."""
    notebooks: dict[str, Path] = {}
    for path in map(Path, paths):
        if not path.exists():
            raise UserError(f"there is no {path}")
        for one in sorted(path.glob("*.ipynb")) if path.is_dir() else [path]:
            if not OURS.fullmatch(one.name):
                if path.is_dir():
                    continue  # a copy or something of their own: not asked for
                raise UserError(f"{one} is no notebook of the homework: those have names such as 2_gradients.ipynb")
            if one.name in notebooks:
                raise UserError(f"there are two {one.name}, {notebooks[one.name]} and {one}: name the one to hand in")
            notebooks[one.name] = one
    if not notebooks:
        raise UserError(f"found no notebook of the homework, such as 2_gradients.ipynb, in {', '.join(paths)}")
    return [notebooks[name] for name in sorted(notebooks)]


def read(path: Path) -> dict:
    """Return a notebook as data, the source of each cell one string; UserError for a file that is none."""
    try:
        notebook = json.loads(path.read_text(encoding="utf-8"))
        for cell in notebook["cells"]:
            cell["source"] = "".join(cell["source"])  # stored as one string or as its lines
            if cell["cell_type"] not in ("code", "markdown", "raw"):
                raise ValueError("a cell of another kind")
    except (ValueError, KeyError, TypeError, RecursionError):
        raise UserError(f"{path} is no Jupyter notebook: save it again from Jupyter") from None
    return notebook


def faults(notebook: dict) -> Iterator[str]:
    """Yield what is missing: exercises that are still stubs or gone, questions without a letter."""
    code = [cell["source"] for cell in notebook["cells"] if cell["cell_type"] == "code"]
    for source in code:
        yield from (f"{match['what']}: not written yet" for match in STUB.finditer(source))
    for name in re.findall(r'^check\("(\w+)"', "\n".join(code), re.MULTILINE):
        if not re.search(rf"^(def {name}\b|{name}\s*=)", "\n".join(code), re.MULTILINE):
            yield f"{name}: the cell with this function is gone"
    if not (asked := asked_in(notebook)):
        return
    answers = answers_in(code)
    if answers is None:
        yield 'the cell of the answers must read answers = {"Q1": "A", …}'
        return
    empty = []
    for name in asked:
        letters = answers.get(name, "")
        if not isinstance(letters, str) or not re.fullmatch(r"[A-Ha-h, ]*", letters):
            yield f'{name}: the answer must be letters such as "A" or "AC", not {repr(letters)[:20]}'
        elif not letters.strip(", "):
            empty.append(name)
    if empty:
        yield f"no answer to {', '.join(empty)}"


def asked_in(notebook: dict) -> list[str]:
    """Return the questions that the notebook asks, by their headings."""
    texts = "\n".join(cell["source"] for cell in notebook["cells"] if cell["cell_type"] == "markdown")
    return list(dict.fromkeys(re.findall(r"^\*\*(Q\d+)\.\*\*", texts, re.MULTILINE)))


def answers_in(code: list[str]) -> dict | None:
    """Return the dict that the last `answers = {…}` assigns, without running it; None if there is none to be read."""
    for source in reversed(code):
        if not re.search(r"^answers\b", source, re.MULTILINE):
            continue
        try:
            for node in reversed(ast.parse(source).body):
                if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "answers":
                    answers = ast.literal_eval(node.value)
                    return answers if isinstance(answers, dict) else None
        except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
            return None
    return None


def packed(notebook: dict) -> bytes:
    """Return the notebook as it is handed in: sources, and the metadata that says which cell is which. No outputs."""
    cells = []
    for cell in notebook["cells"]:
        kept = only(cell, "cell_type", "id", "source") | {"metadata": only(cell.get("metadata"), "nbgrader")}
        cells.append(kept | ({"outputs": [], "execution_count": None} if cell["cell_type"] == "code" else {}))
    whole = only(notebook, "nbformat", "nbformat_minor") | {
        "metadata": only(notebook.get("metadata"), "kernelspec", "language_info", "hw_xai"),
        "cells": cells,
    }
    content = (json.dumps(whole, indent=1) + "\n").encode()
    if len(content) > MEGABYTES * 2**20:
        raise UserError(f"a notebook without outputs must have up to {MEGABYTES} MB, got {len(content):,} bytes")
    return content


def only(entries: object, *keys: str) -> dict:
    """Return the entries under these keys, if they are entries at all."""
    return {key: entries[key] for key in keys if key in entries} if isinstance(entries, dict) else {}
