"""Hand-ins that would become somebody else's, or cost the whole class: names, sizes and forged lines of the log."""

import json
import time

import pytest

from grading.intake.magics import python_of
from grading.intake.notebook import read_notebook
from grading.intake.slicing import LONGEST, slice_of, statements_of
from grading.intake.submissions import MOST_CODE, find_submissions, read_submission
from grading.platforms.layouts import owner_of
from grading.platforms.roster import Person, Roster
from grading.running.audit import _changed, _row

F = "def cosine_similarity(a, b):\n    return x"


def notebook(*cells: str) -> bytes:
    rows = [{"cell_type": "code", "metadata": {}, "source": cell} for cell in cells]
    return json.dumps({"cells": rows, "metadata": {}, "nbformat": 4}).encode()


@pytest.mark.parametrize(
    ("prefix", "owner"),
    [
        ("alice_111_444_", "111"),
        ("alice_LATE_111_444_", "111"),
        ("Alice A_111_assignsubmission_file_", "111"),
        ("Alice A_111_assignsubmission_file_/", "111"),
        ("b01#_Alice_111_444_", "b01"),
        ("anon_k1_444_", "k1"),
    ],
)
@pytest.mark.parametrize(
    "forged", ["Bob_222_assignsubmission_file_", "b02#_Bob_222_333_", "bob_222_333_", "anon_k2_3_"]
)
def test_the_name_of_a_file_gives_it_to_nobody_else(prefix, owner, forged):
    assert owner_of(f"{prefix}{forged}x.ipynb", "here")[0].id == owner


@pytest.mark.parametrize("edited", ["Bob_222_assignsubmission_file_", "b02#_Bob_222_333_", "bob_222_333_"])
def test_an_edited_name_on_moodle_gives_the_file_to_nobody_else(edited):
    assert owner_of(f"{edited}_111_assignsubmission_file_/x.ipynb", "here")[0].id == "111"
    assert owner_of(f"{edited}_111_assignsubmission_file_/Eve_333_assignsubmission_file_/x", "here")[0].id == "111"


VICTIM = "{name}:\n  :submitters:\n  - :sid: b10\n    :email: b10@x.org\n  :created_at: 2020-01-01 00:00:00 +0000\n"


@pytest.mark.parametrize("place", ["download/b66", "download"])
@pytest.mark.parametrize("name", ["5_embeddings.ipynb", "inner", "b66"])
def test_metadata_that_a_student_hands_in_give_the_work_to_nobody_else(place, name, tmp_path):
    """A lone folder with metadata of its own: about its files, its folders, and itself."""
    own = tmp_path / place
    for folder in (own, own / "inner"):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "5_embeddings.ipynb").write_bytes(notebook(F))
    (own / "submission_metadata.yml").write_text(VICTIM.replace("{name}", name))
    found = find_submissions(tmp_path / "download").submissions
    if place == "download" and name == "inner":  # the assistant's own folder: as Gradescope gives it
        assert "b10" in {one.student for one in found}
    else:
        assert "b10" not in {one.student for one in found}
        assert all(one.submitted is None for one in found)


def test_one_name_as_of_canvas_within_a_lone_folder_unwraps_nothing(tmp_path):
    (tmp_path / "download" / "b66").mkdir(parents=True)
    for name in ("bob_222_333_5_embeddings.ipynb", "5_embeddings.ipynb"):
        (tmp_path / "download" / "b66" / name).write_bytes(notebook(F))
    assert [one.student for one in find_submissions(tmp_path / "download").submissions] == ["b66"]


def test_blank_lines_before_a_mistake_are_read_in_no_time():
    start = time.monotonic()
    assert read_notebook(notebook("\n" * 200_000 + ")"), "a.ipynb").definition("cosine_similarity") is None
    assert time.monotonic() - start < 10


@pytest.mark.parametrize("cell", ["get_ipython().x\ny = a" + ".b" * 900, "get_ipython().x\nanswers = a" + ".b" * 900])
def test_deep_code_beside_magics_costs_its_cell(cell):
    read = read_notebook(notebook(cell, F), "a.ipynb")
    assert read.answers()[0] == {}
    assert len(read.faults()) == 1
    assert read.definition("cosine_similarity")


def test_what_a_function_brings_along_is_bounded():
    large = [f'd{i} = "{"x" * (LONGEST // 4)}"' for i in range(5)]
    its = read_notebook(notebook(*large, F.replace("x", "d0, d1, d2, d3, d4")), "a.ipynb").definition(
        "cosine_similarity"
    )
    assert len(its.source) < 1000
    assert "too much" in its.remarks[0].en


def test_global_names_times_calls_are_bounded():
    names = [f"a{i}" for i in range(2000)]
    writer = f"def g():\n    global {', '.join(names)}\n    {' = '.join(names)} = 1\n" + "g()\n" * 2000
    its = read_notebook(notebook(writer, F.replace("x", "a1")), "a.ipynb").definition("cosine_similarity")
    assert "too many global names" in its.remarks[0].en


def test_too_much_code_is_left_out_and_the_homework_is_kept(tmp_path):
    (tmp_path / "b01").mkdir()
    (tmp_path / "b01" / "5_embeddings.ipynb").write_bytes(notebook(F))
    (tmp_path / "b01" / "library.py").write_text("x = 1\n" * (MOST_CODE // 100))
    read = read_submission(find_submissions(tmp_path, Roster((Person("b01"),))).submissions[0], ["cosine_similarity"])
    assert "cosine_similarity" in read.sources
    assert any("library.py" in remark.en for remark in read.remarks)


@pytest.mark.parametrize("line", ['{"event": "result"}', '{"event": "report", "files": [1]}', '{"event": ["x"]}', "[]"])
def test_a_forged_line_of_the_log_is_no_crash(line):
    assert list(_changed([_row(line.encode())], {})) == []


@pytest.mark.parametrize(
    "cell",
    [
        "@functools.singledispatch\ndef g(x): raise TypeError\n@g.register(int)\ndef _(x): return 1",
        "class g: pass\nsetattr(g, 'k', 1)",
    ],
)
def test_what_changes_a_helper_comes_along(cell):
    statements = statements_of(python_of("import functools\n" + cell + "\ndef f(x):\n    return g(x)"))
    assert cell.splitlines()[-1] in slice_of("f", len(statements) - 1, statements)[0]
