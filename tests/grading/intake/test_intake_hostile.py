"""Hand-ins that would become somebody else's, or cost the whole class: names, sizes and forged lines of the log."""

import io
import json
import time
import unicodedata
import zipfile

import pytest

from grading.intake.contents import MOST_CODE, read_submission
from grading.intake.magics import python_of
from grading.intake.notebook import read_notebook
from grading.intake.slicing import LONGEST, slice_of, statements_of
from grading.intake.submissions import find_submissions
from grading.platforms.layouts import owner_of
from grading.platforms.roster import Person, Roster, read_roster
from grading.running.audit import _changed, _row
from hw_xai.errors import UserError

F = "def cosine_similarity(a, b):\n    return x"


def notebook(*cells: str) -> bytes:
    rows = [{"cell_type": "code", "metadata": {}, "source": cell} for cell in cells]
    return json.dumps({"cells": rows, "metadata": {}, "nbformat": 4}).encode()


def zipped(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


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
    found = owner_of(f"{prefix}{forged}x.ipynb", "here")[0]
    if prefix.endswith("file_") and "assignsubmission" in forged:  # flat on Moodle: of the name or of the file's name?
        assert found is None
    else:
        assert found.id == owner


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
    if place == "download/b66":
        with pytest.raises(UserError, match="in the folder b66, which may be a class's or one student's"):
            find_submissions(tmp_path / "download")
        found = find_submissions(tmp_path / "download", whose="b66").submissions
    else:
        found = find_submissions(tmp_path / "download").submissions
    if place == "download" and name == "inner":  # the assistant's own folder: as Gradescope gives it
        assert "b10" in {one.student for one in found}
    else:
        assert "b10" not in {one.student for one in found}
        assert all(one.submitted is None for one in found)


OF_BOB = (
    ["bob_222_333_5_embeddings.ipynb"],
    ["Bob_222_assignsubmission_file_/5_embeddings.ipynb"],
    ["b10/5_embeddings.ipynb"],
    ["b10#_Bob_1_2_5_embeddings.ipynb"],
    ["b10.ipynb", "b11.ipynb"],
    ["submission_1/5_embeddings.ipynb", "submission_metadata.yml"],
)
CLASS = Roster((Person("b10", canvas_id="222", moodle_id="222"), Person("b11"), Person("b66", canvas_id="666")))


@pytest.mark.parametrize("names", OF_BOB, ids=lambda names: names[0])
@pytest.mark.parametrize("lone", ["folder", "zip", "zip in a zip", "named for nobody"])
def test_of_lone_work_no_name_within_decides_whose_it_is(lone, names, tmp_path):
    """A student hands in files that are all named as a platform names another's; they come alone."""
    place = tmp_path / ("work" if lone == "named for nobody" else "b66")
    files = {
        name: VICTIM.replace("{name}", "submission_1").encode() if "yml" in name else notebook(F) for name in names
    }
    if lone == "zip":
        place = place.with_suffix(".zip")
        place.write_bytes(zipped(files))
    else:
        for name, content in ({"b66.zip": zipped(files)} if lone == "zip in a zip" else files).items():
            (place / "b66" / name if lone == "folder" else place / name).parent.mkdir(parents=True, exist_ok=True)
            (place / "b66" / name if lone == "folder" else place / name).write_bytes(content)
    if lone == "named for nobody":
        place = tmp_path  # all lies in "work"
        with pytest.raises(UserError, match="say `layout=.*` if it is a class's, `whose=ID` if it is one student's"):
            find_submissions(place, CLASS)
    for whose in ("b66", "") if lone != "named for nobody" else ("b66",):
        intake = find_submissions(place, CLASS, whose=whose)
        assert [one.student for one in intake.submissions if one.files] == ["b66"]
        assert not intake.unclear
        assert [one.submitted for one in intake.submissions] == [None] * 3


def test_lone_work_is_that_of_whom_the_assistant_names(tmp_path):
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "bob_222_333_5_embeddings.ipynb").write_bytes(notebook(F))
    with pytest.raises(UserError, match='`whose` must be a student on the roster, got "b100". Did you mean "b10"'):
        find_submissions(tmp_path / "d", CLASS, whose="b100")
    assert [one.student for one in find_submissions(tmp_path / "d", whose="b77").submissions] == ["b77"]


@pytest.mark.parametrize("layout", ["canvas", "moodle", "cool", "gradescope", "folders"])
def test_a_layout_is_insisted_on(layout, tmp_path):
    """Where it is said whose names these are, no other platform's name decides."""
    names = {
        "canvas": "bob_222_333_5.ipynb", "moodle": "Bob_222_assignsubmission_file_/5.ipynb",
        "cool": "b10#_Bob_1_2_5.ipynb", "gradescope": "submission_1/5.ipynb", "folders": "b10/5.ipynb",
    }  # fmt: skip
    files = dict.fromkeys(names.values(), notebook(F))
    files["submission_metadata.yml"] = VICTIM.replace("{name}", "submission_1").encode()
    (tmp_path / "d.zip").write_bytes(zipped(files))
    intake = find_submissions(tmp_path / "d.zip", CLASS, layout)
    whose = {one.student: [file.name for file in one.files] for one in intake.submissions}
    assert whose["b10"] == ["333_5.ipynb" if layout == "canvas" else "2_5.ipynb" if layout == "cool" else "5.ipynb"]
    assert intake.unclear


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_an_id_is_the_same_in_every_normal_form(form, tmp_path):
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / f"{unicodedata.normalize(form, 'josé')}.ipynb").write_bytes(notebook(F))
    (tmp_path / "d" / "b11.ipynb").write_bytes(notebook(F))
    (tmp_path / "class.csv").write_text(f"student\n{unicodedata.normalize('NFD', 'josé')}\nb11\n")
    intake = find_submissions(tmp_path / "d", read_roster(tmp_path / "class.csv"))
    assert [(one.student, len(one.files)) for one in intake.submissions] == [("b11", 1), ("josé", 1)]
    assert intake.remarks == ()


@pytest.mark.parametrize("twin", ["Ｂ10", "В10", "B1О", "BlO"], ids=["wide", "Cyrillic", "Cyrillic O", "l and O"])
def test_ids_that_only_look_alike_are_told_and_not_taken_for_each_other(twin, tmp_path):
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / f"{twin}.ipynb").write_bytes(notebook(F))
    intake = find_submissions(tmp_path / "d", Roster((Person("B10"), Person("B11"))))
    assert [one.student for one in intake.submissions if one.files] == [twin]
    assert f"B10, {twin} look alike" in intake.remarks[-1].en
    assert intake.unclear


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
