"""What decides a grade and what decides the key, each as one hash: of the rooms by folder, never of a list of files.

Code is hashed as it runs, without comments, docstrings and formatting: a comment makes no class be graded anew. From
the named rooms every import is followed: into hw_xai a folder at a time, except into `show`, which only draws, and
within this folder, which holds what decides beside what only keeps and orders, file by file.
"""

import ast
import hashlib
import re
import sys
from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path

from hw_xai.files import shipped

from ..isolation.inside.libraries import DISTRIBUTIONS

ROOT = Path(__file__).parents[2]
GRADES = (
    *("grading/words.py", "grading/isolation", "grading/intake", "grading/verdict", "grading/homework"),
    "grading/running/grade.py",
)
# the key counts by what it says, which is among the rules; the release makes notebooks and packages
BESIDE_GRADES = ("grading/homework/evidence", "grading/homework/release")
KEY = (
    *("grading/words.py", "grading/homework/evidence", "grading/homework/questions.py"),
    "grading/homework/questions.toml",
)
DRAWS_ONLY = "hw_xai/show"


@cache
def of_grades() -> str:
    """Return a hash of the code that decides results, and of the versions of what students' code calculates with."""
    return _hash(code_of(GRADES, BESIDE_GRADES), _versions(DISTRIBUTIONS))


@cache
def of_key() -> str:
    """Return a hash of all that the key is computed from: code, shipped data and weights, and the libraries."""
    required = (re.match(r"[\w.-]+", row) for row in distribution("hw-xai").requires or () if "extra ==" not in row)
    return _hash([*code_of(KEY), *data()], _versions(sorted(match[0] for match in required if match)))


def code_of(roots: Sequence[str], without: Sequence[str] = ()) -> list[Path]:
    """Return the files of these files and folders, below ROOT, and of every folder of hw_xai that they stand on."""
    apart = [ROOT / place for place in (*without, DRAWS_ONLY)]
    todo = [file for root in roots for file in _files(ROOT / root, deep=True)]
    found: set[Path] = set()
    while todo:
        file = todo.pop()
        if file in found or any(file.is_relative_to(place) for place in apart):
            continue
        found.add(file)
        if file.suffix == ".py":
            todo += [one for module in _imported(file) for one in _files(module, deep=False)]
    return sorted(found)


def data() -> list[Path]:
    """Return the weights, sentences and other data that ship, without the cards that describe them."""
    folder = shipped("sentences").parent
    return sorted(file for file in folder.rglob("*") if file.is_file() and file.suffix != ".md")


@lru_cache(maxsize=1000)
def essence(source: bytes) -> str:
    """Return a hash of Python code as what it does: without comments, docstrings and the way it is set."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            match node.body:
                case [ast.Expr(value=ast.Constant(value=str())), *rest]:
                    node.body = rest
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()


def _files(place: Path, deep: bool) -> Iterator[Path]:
    """Yield a file, or those of a folder that are code or tables."""
    if place.is_file():
        yield place
    for file in place.rglob("*") if deep else place.glob("*"):
        if file.suffix in (".py", ".toml") and file.is_file():
            yield file


@lru_cache(maxsize=1000)
def _names(source: bytes, package: tuple[str, ...]) -> frozenset[str]:
    """Return the full names of all that code in a package imports, anywhere in it."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*base, *([node.module] if node.module else [])])
            names |= {f"{module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return frozenset(names)


def _imported(file: Path) -> Iterator[Path]:
    """Yield the folders of hw_xai and the files of this folder that a file imports from."""
    for name in _names(file.read_bytes(), file.relative_to(ROOT).parts[:-1]):
        parts = name.split(".")
        if parts[0] == "hw_xai":
            yield from _places(parts)
        elif parts[:2] == ["grading", "running"]:
            yield from (place for place in _places(parts) if place.is_file())


def _places(name: Sequence[str]) -> Iterator[Path]:
    """Yield where the module `a.b.c` is: each package on the way to it as a folder, a loose module as a file."""
    place = ROOT
    for part in name:
        if (place / f"{part}.py").is_file():
            yield place / f"{part}.py"
            return
        place = place / part
        if not place.is_dir():
            return
        # hw_xai itself is all its rooms: of it only what stands at its door
        yield place / "__init__.py" if place.parent == ROOT else place


def _versions(names: Sequence[str]) -> str:
    """Return Python's version, whose parser reads the notebooks, and those of libraries ("2.9.0+cpu" is 2.9.0)."""
    lines = [f"python {sys.version_info[0]}.{sys.version_info[1]}"]
    for name in names:
        try:
            lines.append(f"{name} {version(name).partition('+')[0]}")
        except PackageNotFoundError:  # of another system
            continue
    return "\n".join(lines)


def _hash(files: Sequence[Path], about: str) -> str:
    digest = hashlib.sha256(about.encode())
    for file in files:
        content = file.read_bytes()
        its = essence(content) if file.suffix == ".py" else hashlib.sha256(content).hexdigest()
        digest.update(f"\n{file.parent.name}/{file.name} {its}".encode())
    return digest.hexdigest()
