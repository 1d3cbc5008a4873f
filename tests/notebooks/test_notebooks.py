"""The notebooks as they are: what students get is up to date and empty of solutions, and the solutions are right."""

import base64
import io
import json
import re
import subprocess
import sys

import jupytext
import nbformat
import pytest
import torch
from PIL import Image

from grading import check
from grading.homework.exercises import EXERCISES
from grading.homework.questions import load_questions
from grading.homework.release.cells import PICTURES, SOLUTION, Options
from grading.homework.release.notebooks import MASTERS, drift, masters, release

STEMS = [path.stem for path in masters()]
STUDENT = MASTERS / "student"
QUICK = ("0_start",)  # all seven take minutes


def master(stem: str) -> nbformat.NotebookNode:
    return jupytext.read(MASTERS / f"{stem}.py", fmt="py:percent")


def marked(stem: str, mark: str) -> list[str]:
    """Return what the cells of a master say under a mark such as exercise="…"."""
    return [cell.metadata[mark] for cell in master(stem).cells if mark in cell.metadata]


def student(stem: str) -> nbformat.NotebookNode:
    return nbformat.read(STUDENT / f"{stem}.ipynb", as_version=4)


def test_the_student_notebooks_are_what_release_makes_now():
    assert drift(masters(), Options(), STUDENT) == []
    assert sorted(path.stem for path in STUDENT.glob("*.ipynb")) == STEMS


def test_every_exercise_and_question_is_asked_once_in_its_own_notebook():
    for stem in STEMS:
        names = [name for name, exercise in EXERCISES.items() if exercise.notebook == stem]
        assert marked(stem, "exercise") == marked(stem, "check") == names
        assert [f"Q{q.name[1:]}" for q in load_questions().values() if q.notebook == stem] == re.findall(
            r"^\*\*(Q\d+)\.\*\*",
            "\n".join(c.source for c in release(MASTERS / f"{stem}.py", Options(language="en")).cells),
            re.M,
        )


@pytest.mark.parametrize("stem", STEMS)
def test_no_line_of_a_solution_is_in_a_student_notebook(stem):
    found = [SOLUTION.search(cell.source + "\n") for cell in master(stem).cells if "exercise" in cell.metadata]
    lines = {line.strip() for match in found for line in match[0].splitlines()} - {"", "try:", "finally:", "else:"}
    given = {line.strip() for cell in student(stem).cells for line in cell.source.splitlines()}
    assert not lines & given


@pytest.mark.parametrize("stem", STEMS)
def test_both_languages_say_as_much(stem):
    """Each text cell stands in both languages, side by side, with the same headings, hints and formulas."""
    spoken = [cell for cell in master(stem).cells if "lang" in cell.metadata]
    assert [cell.metadata.lang for cell in spoken] == ["en", "zh-TW"] * (len(spoken) // 2)
    for english, chinese in zip(spoken[::2], spoken[1::2], strict=True):
        for piece in ("<details>", "$$", "# ", "\n\n"):
            assert english.source.count(piece) == chinese.source.count(piece), (piece, english.source[:80])
        han, latin = (re.compile(letters) for letters in (r"[\u4e00-\u9fff]", "[A-Za-z]"))
        assert len(han.findall(english.source)) < len(latin.findall(english.source)) / 5
        assert len(han.findall(chinese.source)) > 20 or len(chinese.source) < 100
        bold = re.findall(r"\*\*(.+?)\*\*", chinese.source)
        assert not [words for words in bold if words.endswith("：")]  # markdown does not close it


@pytest.mark.parametrize("stem", STEMS)
def test_a_student_notebook_is_clean_and_valid(stem):
    notebook = student(stem)
    nbformat.validate(notebook)
    ids = [cell.id for cell in notebook.cells]
    assert len(set(ids)) == len(ids)
    for cell in notebook.cells:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
        graded = cell.metadata.get("nbgrader")
        if graded:  # the rules of nbgrader's schema, version 3
            assert set(graded) - {"points"} == {"schema_version", "grade", "solution", "locked", "task", "grade_id"}
            assert graded["schema_version"] == 3
            assert ("points" in graded) == graded["grade"]
            assert re.fullmatch(r"[a-zA-Z0-9_-]+", graded["grade_id"])
            assert graded["locked"] != graded["solution"]
    grade_ids = [cell.metadata.nbgrader.grade_id for cell in notebook.cells if "nbgrader" in cell.metadata]
    assert len(set(grade_ids)) == len(grade_ids)


def test_real_nbgrader_accepts_the_metadata():
    validator = pytest.importorskip("nbgrader.nbgraderformat").MetadataValidator()
    for stem in STEMS:
        validator.validate_nb(student(stem))


@pytest.mark.parametrize("stem", STEMS)
def test_every_stub_is_said_to_be_unwritten_by_its_own_name(stem):
    for cell in student(stem).cells:
        if (name := cell.id) in EXERCISES:
            space = {"torch": torch}
            exec(cell.source, space)
            found = check(name, space[name], language="en")
            assert not found.passed
            number = list(EXERCISES).index(name) + 1
            assert f"not written yet: Exercise {number}: write {name} here" in repr(found)


@pytest.mark.parametrize("stem", STEMS)
def test_every_expected_picture_can_be_seen(stem):
    for name in marked(stem, "picture"):
        with Image.open(PICTURES / f"{name}.jpg") as picture:
            assert min(picture.size) > 100


@pytest.mark.parametrize(
    "stem", [pytest.param(stem, marks=[] if stem in QUICK else pytest.mark.slow) for stem in STEMS]
)
def test_a_solved_notebook_runs_and_its_checks_all_say_right(stem, tmp_path):
    command = [sys.executable, "-m", "grading.cli", "release", "--solved", "--notebooks", stem, "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=MASTERS.parent)
    assert done.returncode == 0, done.stderr
    cells = {cell["id"]: cell for cell in json.loads((tmp_path / f"{stem}.ipynb").read_text())["cells"]}
    for name in marked(stem, "check"):
        (output,) = cells[f"check-{name}"]["outputs"]
        assert "".join(output["data"]["text/plain"]).startswith("✔"), name
    for cell in cells.values():
        for output in cell.get("outputs", ()):
            assert output["output_type"] in ("execute_result", "display_data", "stream")
            if png := output.get("data", {}).get("image/png"):
                with Image.open(io.BytesIO(base64.b64decode(png))) as picture:
                    assert min(picture.size) > 100
    assert (tmp_path / f"{stem}.html").stat().st_size > 100_000
