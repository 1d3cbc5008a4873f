"""The grader's rooms: few, in one order, with few arrows between them; what lies in the sandbox knows none of them."""

import ast
from collections.abc import Iterator
from pathlib import Path

import grading

GRADING = Path(grading.__file__).parent
# each may import those before it only; grading/__init__ says the same in words
ORDER = (
    *("words", "isolation", "verdict", "homework", "platforms", "intake", "running", "reports"),
    *("gradescope", "commands"),
)
DOORS = ("__init__", "__main__", "cli")  # open rooms by name; no room opens them
MOST_ROOMS, MOST_ARROWS = 12, 37  # one of them for the doctor, who looks at the walls, one for codes on pages


def imported(file: Path) -> Iterator[str]:
    """Yield the full names of what a file imports, also late and for types only."""
    package = ("grading", *file.relative_to(GRADING).parts[:-1])
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def arrows() -> dict[tuple[str, str], list[str]]:
    """Return (from, to) -> the files of one room that import from another."""
    found: dict[tuple[str, str], list[str]] = {}
    for file in sorted(GRADING.rglob("*.py")):
        place = file.relative_to(GRADING).with_suffix("").parts
        for name in imported(file):
            parts = name.split(".")
            if parts[0] == "grading" and len(parts) > 1 and parts[1] != place[0] and place[0] not in DOORS:
                found.setdefault((place[0], parts[1]), []).append("/".join(place))
    return found


def test_every_room_is_in_the_order_and_they_are_few():
    rooms = {file.relative_to(GRADING).with_suffix("").parts[0] for file in GRADING.rglob("*.py")} - set(DOORS)
    assert rooms - {"notebooks"} == set(ORDER)
    assert len(ORDER) <= MOST_ROOMS


def test_no_arrow_runs_up_and_there_are_few():
    found = arrows()
    upward = {arrow: files for arrow, files in found.items() if arrow[1] not in ORDER[: ORDER.index(arrow[0])]}
    assert upward == {}
    assert len(found) <= MOST_ARROWS, sorted(found)


def test_what_lies_in_the_sandbox_imports_nothing_of_the_kit():
    """It is laid there alone, under another name; and it can tell no answer that it does not have."""
    for file in (GRADING / "isolation" / "inside").glob("*.py"):
        names = {name for name in imported(file) if name.startswith(("grading", "hw_xai"))}
        assert {name for name in names if not name.startswith("grading.isolation.inside")} == set(), file.name


def test_public_names_mean_one_thing():
    """No two classes of the grader have the same name."""
    places: dict[str, list[str]] = {}
    for file in GRADING.rglob("*.py"):
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places.setdefault(node.name, []).append(file.relative_to(GRADING).as_posix())
    assert {name: files for name, files in places.items() if len(files) > 1} == {}
