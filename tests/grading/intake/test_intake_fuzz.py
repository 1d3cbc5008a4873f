"""Thousands of broken notebooks, zips and answers: intake raises nothing, whatever a student hands in.

HW_XAI_FUZZ=N makes N cases of each of the tests instead of 75.
"""

import io
import json
import os
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from grading.intake.contents import read_submission
from grading.intake.notebook import read_notebook
from grading.intake.submissions import find_submissions
from grading.platforms.roster import STUDENT, Person, Roster

CASES = int(os.environ.get("HW_XAI_FUZZ", "75"))
WANTED = ["saliency", "f"]
ROSTER = Roster((Person("b01"), Person("b02", email="b02@x.tw", canvas_id="12")))
fuzz = settings(max_examples=CASES, deadline=None, suppress_health_check=list(HealthCheck), database=None)

GOOD = json.dumps({
    "cells": [
        {"cell_type": "code", "source": "import torch\ng = 1\n%time x = 2", "metadata": {}, "outputs": []},
        {"cell_type": "code", "source": "%%time\ndef saliency(m, i, t):\n    return g", "metadata":
            {"nbgrader": {"grade_id": "saliency"}}},
        {"cell_type": "code", "source": 'answers = {"Q1": "A", "Q2": ["B"]}\nanswers["Q3"] = "C"'},
        {"cell_type": "markdown", "source": ["# 標題"]},
    ],
    "metadata": {"hw_xai": {"notebook": "2_gradients", "student": "b01", "variant": 3}},
    "nbformat": 4,
}, ensure_ascii=False).encode()  # fmt: skip

WORDS = st.sampled_from(
    ["def saliency(x):\n    return f(x)", "saliency = ", "f", "answers", '= {"Q1": "A"}', "answers.update(", "%%time\n",
     "!ls", "%time ", "get_ipython()", "import a.b", "from c import *", "\n", "    ", "(", ")", "[", "{", "}", '"""',
     "lambda x: ", "@f\n", "class saliency:\n", "global f", "await f", "for f in g:\n    pass", "with a as f:",
     "try:\n    f\nexcept:\n    pass", ":=", "\\", ";", "# %%", "\t", "\0", "\ud800", "é中", "f'{f!r}'", "match f:\n",
     "del f", "f.a[0] = 1", "f += 1", "return", "yield", "\r", "\x0c", "1e999", "?", "%%bash\n", "type f = 1"]
)  # fmt: skip
CODE = st.lists(WORDS | st.text(max_size=8), max_size=14).map("".join)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10) | CODE,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(
        st.sampled_from(["cells", "source", "input", "metadata", "nbgrader", "grade_id", "hw_xai", "variant", "student",
                         "cell_type", "worksheets", "outputs", "Q1"]) | st.text(max_size=4), inner, max_size=5),
    max_leaves=12,
)  # fmt: skip
CELLS = st.lists(
    st.fixed_dictionaries(
        {"cell_type": st.just("code"), "source": CODE}, optional={"metadata": ANYTHING, "id": ANYTHING}
    )
    | ANYTHING,
    max_size=6,
)


@st.composite
def spoiled(draw, good: bytes) -> bytes:
    """Cut, doubled, overwritten and swapped pieces of a good file."""
    content = bytearray(good)
    for _ in range(draw(st.integers(1, 5))):
        at = draw(st.integers(0, max(0, len(content) - 1)))
        piece = draw(
            st.binary(max_size=6) | st.sampled_from([b'"', b"{", b"[", b",", b"\\u0000", b"\xff", b"\n", b"PK\1\2"])
        )
        upto = at + draw(st.sampled_from([0, 1, len(piece), 40]))
        content[at:upto] = piece
    return bytes(content)


def check_notebook(content: bytes, name: str) -> None:
    read = read_notebook(content, name)
    for wanted in WANTED:
        if its := read.definition(wanted):
            its.source.encode()
    answers, remarks = read.answers()
    assert all(isinstance(key, str) for key in answers)
    for remark in [*read.remarks, *remarks, *read.faults()]:
        assert "\n" not in remark.en.encode().decode()
        remark.zh.encode()


def check_download(folder: Path) -> None:
    intake = find_submissions(folder, ROSTER)
    students = [found.student for found in intake.submissions]
    assert len({student.casefold() for student in students}) == len(students)
    for found in intake.submissions:
        assert STUDENT.fullmatch(found.student)
        read = read_submission(found, WANTED)
        assert read.remarks or read.sources or read.answers or found.files
        for text in [read.name, *read.sources.values(), *(part for remark in read.remarks for part in remark)]:
            text.encode()


@fuzz
@given(CELLS, ANYTHING)
def test_notebooks_of_strange_cells(cells, metadata):
    content = json.dumps({"cells": cells, "metadata": metadata}).encode()
    check_notebook(content, "2_gradients.ipynb")


@fuzz
@given(spoiled(GOOD) | st.binary(max_size=200), st.sampled_from(["a.ipynb", "a.py"]))
def test_notebooks_of_spoiled_bytes(content, name):
    check_notebook(content, name)


@fuzz
@given(st.lists(CODE, max_size=5), st.sampled_from(["utf-8", "utf-16", "latin-1", "cp950", "utf-32"]))
def test_scripts(cells, encoding):
    text = "\n# %%\n".join(cells)
    check_notebook(text.encode(encoding, "replace"), "a.py")


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


NAMES = st.sampled_from(["b01.ipynb", "b01/2_gradients.ipynb", "amy_1_2_a.ipynb", "A_1_assignsubmission_file_/a.ipynb",
                         "b02#_王_1_2_a.zip", "submission_metadata.yml", "../x.ipynb", "a/b/c.zip"]) | st.text(
    st.characters(blacklist_characters="\0"), min_size=1, max_size=20)  # fmt: skip


@fuzz
@given(st.dictionaries(NAMES, st.just(GOOD) | spoiled(GOOD) | ANYTHING.map(lambda data: json.dumps(data).encode()),
                       max_size=4), st.data())  # fmt: skip
def test_zips(place, files, data):
    """The zip of a student, spoiled or not, beside a good one; and as the download itself."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name.encode("utf-8", "replace").decode(), content)
    content = buffer.getvalue()
    (place / "d.zip").write_bytes(content)
    check_download(place / "d.zip")
    (place / "class").mkdir(exist_ok=True)
    spoiled_too = data.draw(spoiled(content)) if data.draw(st.booleans()) else content
    (place / "class" / "b01.zip").write_bytes(spoiled_too)
    (place / "class" / "b02.ipynb").write_bytes(GOOD)
    check_download(place / "class")
