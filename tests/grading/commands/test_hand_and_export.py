"""Grading by hand and giving back: a page without names whose CSV becomes decisions, and what platforms take."""

import csv
import json
import re
import zipfile
from pathlib import Path

import pytest

from grading.cli import main

pytestmark = pytest.mark.usefixtures("in_this_process")
RIGHT = "import torch\ndef euclidean_distance(a, b):\n    return torch.cdist(a, b)\n"
WRONG = "import torch\ndef euclidean_distance(a, b):\n    return torch.cdist(a, b) ** 2\n"
WORDS = {"41": "It looks at the food. <script>alert(1)</script>", "42": "It looks at the plate."}
RUN = ["run", "d.zip", "--out", "G", "--i-trust-these-submissions", "--jobs", "1", "--only", "euclidean_distance"]
RUN += ["--no-questions", "--roster", "class.csv"]


def notebook(code: str, words: str = "") -> str:
    about = {"nbgrader": {"grade_id": "essay", "grade": True, "solution": True}}
    cells = [{"cell_type": "code", "source": code}]
    cells += [{"cell_type": "markdown", "source": words, "metadata": about}] if words else []
    if code == WRONG:  # a text that is named like an exercise hides nobody's code
        about = {"nbgrader": {"grade_id": "euclidean_distance"}}
        cells.append({"cell_type": "markdown", "source": "see above", "metadata": about})
    return json.dumps({"cells": cells, "metadata": {}})


@pytest.fixture
def graded(tmp_path, monkeypatch):
    """A class from Canvas, two of three have handed in, and an essay that people grade."""
    monkeypatch.chdir(tmp_path)
    Path("class.csv").write_text("student,name,canvas_id\nb01,Ann Lee,41\nb02,Bo Wu,42\nb03,Cy,43\n")
    with zipfile.ZipFile("d.zip", "w") as archive:
        for i, (id, code) in enumerate({"41": RIGHT, "42": WRONG}.items()):
            archive.writestr(f"name_{id}_70{i}_5_embeddings.ipynb", notebook(code, WORDS[id]))
    assert main(RUN) == 0
    with open("G/course.toml", "a", encoding="utf-8") as file:
        file.write("essay = 5\n")
    assert main(["report", "G"]) == 0


def results() -> dict[str, dict]:
    return {row["student"]: row for row in json.loads(Path("G/class.json").read_text())["results"]}


def test_what_people_grade_waits_for_them_and_becomes_a_decision(graded, capsys):
    assert {s: [p["status"] for p in row["exercises"]][-1] for s, row in results().items()} == {
        "b01": "not_graded", "b02": "not_graded", "b03": "not_attempted"
    }  # fmt: skip
    Path("rubric.csv").write_text("points,text\n3,names what it looks at\n2,says how sure that is\n")
    assert main(["hand", "G", "essay", "--rubric", "rubric.csv", "--file", "page.html"]) == 0
    page = Path("page.html").read_text(encoding="utf-8")
    marks = re.findall(r'<article class="exercise answer" id="(\w+)"', page)
    assert len(set(marks)) == 2  # who handed in nothing has nothing to read
    assert marks == sorted(marks)
    assert not re.search("Ann|Bo Wu|b01|b02", page)
    assert "<script>alert" not in page
    of_ann = next(mark for mark in marks if "looks at the food" in page.split(f'id="{mark}"')[1].split("</article>")[0])
    Path("marks.csv").write_text(f"answer,exercise,points,reason\n{of_ann},essay,3,names what it looks at; but why?\n")
    assert main(["hand", "G", "--read", "marks.csv", "--who", "TA Lin"]) == 0
    assert main(["report", "G"]) == 0
    assert results()["b01"]["points"] == 1 + 3
    assert results()["b02"]["exercises"][-1]["status"] == "not_graded"
    assert "but why? (TA Lin)" in Path("G/students/b01/feedback.html").read_text(encoding="utf-8")
    rows = list(csv.reader(Path("G/gradebook_canvas.csv").read_text(encoding="utf-8").splitlines()))
    assert [row[0] for row in rows[2:]] == ["Ann Lee", "Cy"]  # Bo's essay was not read yet
    Path("marks.csv").write_text("answer,exercise,points,reason\nffff,essay,3,\n")
    capsys.readouterr()
    assert main(["hand", "G", "--read", "marks.csv"]) == 2
    assert 'nobody of this class has the mark "ffff"' in capsys.readouterr().err
    assert main(["hand", "G", "esay"]) == 2
    assert 'Did you mean "essay"? Cells of text: essay' in capsys.readouterr().err


def test_who_wrote_nothing_is_on_the_page_too_and_a_person_says_what_it_is_worth(graded, capsys):
    with zipfile.ZipFile("d.zip", "w") as archive:
        archive.writestr("name_41_700_5_embeddings.ipynb", notebook(RIGHT, WORDS["41"]))
        archive.writestr("name_42_702_5_embeddings.ipynb", notebook(WRONG))
    assert main(RUN) == 0
    capsys.readouterr()
    assert main(["hand", "G", "essay", "--file", "page.html"]) == 0
    assert "2 answers in page.html; 1 of them have nothing in it" in capsys.readouterr().out
    cards = Path("page.html").read_text(encoding="utf-8").split("<article ")[1:]
    (empty,) = [card for card in cards if "no such cell was found" in card]
    mark = re.search(r'id="(\w+)"', empty)[1]
    Path("marks.csv").write_text(f"answer,exercise,points,reason\n{mark},essay,0,nothing was written\n")
    assert main(["hand", "G", "--read", "marks.csv"]) == 0
    assert main(["report", "G"]) == 0
    assert "nothing was written" in Path("G/students/b02/feedback.html").read_text(encoding="utf-8")


def test_code_can_be_graded_by_hand_too(graded):
    assert main(["hand", "G", "euclidean_distance", "--file", "page.html"]) == 0
    assert 'class="code"' in Path("page.html").read_text(encoding="utf-8")


def test_what_goes_back_is_named_as_the_platform_named_it(graded, capsys):
    Path("G/adjustments.csv").write_text(
        "student,exercise,points,reason,who,when\nall,essay,excused,not read,,\nb03,all,excused,left,,\n"
    )
    assert main(["report", "G"]) == 0
    assert main(["export", "G", "--to", "canvas"]) == 0
    assert zipfile.ZipFile("G-canvas.zip").namelist() == ["name_41_700_feedback.html", "name_42_701_feedback.html"]
    assert main(["export", "G", "--to", "canvas-api", "--file", "grades.json"]) == 0
    data = json.loads(Path("grades.json").read_text(encoding="utf-8"))["grade_data"]
    assert {number: row.get("posted_grade") for number, row in data.items()} == {"41": "1", "42": "0", "43": None}
    assert data["43"]["excuse"] is True
    assert "right" in data["41"]["text_comment"]
    assert main(["export", "G", "--to", "moodle"]) == 2
    assert "came from Moodle" in capsys.readouterr().err
    assert main(["audit", "G"]) == 0


def test_a_student_s_page_shows_the_code_that_was_graded_and_its_cells(graded):
    page = Path("G/students/b02/feedback.html").read_text(encoding="utf-8")
    assert "5_embeddings.ipynb, " in page
    assert re.sub("<[^>]+>", "", page).count("return torch.cdist(a, b) ** 2") == 1
    assert "script-src" not in page
