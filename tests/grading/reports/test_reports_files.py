"""The files of a graded class: the same bytes for the same results, harmless whatever a student wrote."""

import csv
import hashlib
import io
import json
import random
from dataclasses import replace

import pytest

from grading.platforms.roster import Person, Roster
from grading.reports import gradescope_results, write_reports
from grading.reports.gradebook import harmless
from grading.reports.wording import plain, safe_id
from grading.running.rules import Course
from grading.verdict.results import Answered, Graded, OutputPair, Result
from grading.words import Text
from hw_xai.errors import UserError

COURSE = Course(
    points={"saliency": 2, "grad_cam": 3}, seeds=(5,), key={"Q1": frozenset({"dish_3"})}, title="Homework 9"
)
PASSED = Graded("saliency", "passed", 2, 2, Text("right", "正確"), isolation="bubblewrap")
FAILED = Graded(
    "grad_cam", "failed", 0, 3, Text("the ReLU is missing", "少了 ReLU"), Text("what is below 0?", "小於 0 的呢？"),
    "no_relu", OutputPair([[1.0, -2.0], [0.5, 0.0]], [[1.0, 0.0], [0.5, 0.0]]), "bubblewrap",
)  # fmt: skip
ANN = Result("b01", "王小明", (PASSED, FAILED), (Answered("Q1", 0.3, 0.3), Answered("Q2", 0, 0.3)), digest="ab" * 32)
BEN = Result("b02", "Ben", (PASSED, replace(FAILED, status="not_graded", picture=None)), (), deducted=0.5)
EVIL = (
    "<script>alert(1)</script>", '"><img src=x onerror="alert(1)">', '=HYPERLINK("http://evil.example","x")',
    "\u202egpj.exe\u202c", "a" * 10_000, "nul\x00byte", "\ud800 lone", "</style><script>alert(2)</script>", "../../x",
)  # fmt: skip


def evil(i: int) -> Result:
    one, two = EVIL[i % len(EVIL)], EVIL[(i + 1) % len(EVIL)]
    exercise = Graded(
        one, "failed", 0, 1, Text(one, two), Text(two, one), two, OutputPair([float("nan")] * 3, [1e308] * 3)
    )
    return Result(one, two, (exercise,), (Answered(one, 0, 1, Text(two, one)),), (Text(one, two),), 0.0, one)


def files(folder) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_equal_results_give_equal_bytes_in_any_order(tmp_path):
    results = [ANN, BEN, *map(evil, range(len(EVIL)))]
    write_reports(results, tmp_path / "one", COURSE, {"b01": {"saliency": "def saliency(): pass"}})
    random.Random(0).shuffle(results)
    for _ in range(2):  # the second time over the first
        write_reports(results, tmp_path / "two", COURSE, {"b01": {"saliency": "def saliency(): pass"}})
        assert files(tmp_path / "one") == files(tmp_path / "two")


def test_nothing_is_written_outside(tmp_path):
    write_reports([*map(evil, range(len(EVIL)))], tmp_path / "out", COURSE)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert {path.count("/") for path in files(tmp_path / "out")} == {0, 2}


def test_a_page_goes_with_its_student_unless_somebody_changed_it(tmp_path):
    write_reports([ANN, BEN], tmp_path, COURSE)
    (tmp_path / "students/b02/note.txt").write_text("mine")
    (tmp_path / "students/b02/results.json").write_text("corrected by hand")
    write_reports([ANN], tmp_path, COURSE)
    assert sorted(path.name for path in (tmp_path / "students/b02").iterdir()) == ["note.txt", "results.json"]
    write_reports([BEN], tmp_path, COURSE)
    assert not (tmp_path / "students/b01").exists()


def test_a_list_of_files_that_was_tampered_with_removes_nothing_outside(tmp_path):
    kept, out = tmp_path / "kept.txt", tmp_path / "out"
    kept.write_text("mine")
    write_reports([ANN], out, COURSE)
    digest = hashlib.sha256(b"mine").hexdigest()
    names = ["../kept.txt", str(kept), "students/../../kept.txt", "students", "x\x00y", "students/x/feedback.html"]
    (out / "reports.json").write_text(json.dumps(dict.fromkeys(names, digest)))
    write_reports([ANN], out, COURSE)
    assert kept.exists()


def test_two_students_never_share_a_folder(tmp_path):
    with pytest.raises(UserError, match="each student once"):
        write_reports([ANN, replace(BEN, student="B01")], tmp_path, COURSE)


@pytest.mark.parametrize("student", ["..", "a/b", "a" * 300, "", "\ud800", ".x", "x.", "a b"])
def test_an_id_that_is_no_name_of_a_folder_gets_one(student):
    assert safe_id(student).startswith("id-")
    assert safe_id("王01") == "王01"


@pytest.mark.parametrize("text", EVIL)
def test_texts_lose_what_deceives(text):
    seen = plain(text, 80)
    assert len(seen) <= 80
    assert not set(seen) & set("\u202e\u202c\x00\ud800\n")


# ----------------------------------------------------------------------------------------------------------- gradescope


def test_gradescope_gets_its_schema():
    data = gradescope_results(ANN, COURSE)
    assert data["score"] == 2.3
    assert [test["name"] for test in data["tests"]] == ["Saliency / 顯著圖", "Grad-CAM", "Q1", "Q2"]
    assert {test["visibility"] for test in data["tests"]} == {"visible"}
    assert data["tests"][1]["status"] == "failed"
    assert "the ReLU is missing / 少了 ReLU" in data["tests"][1]["output"]
    assert data["tests"][1]["extra_data"]["misconception"] == "no_relu"
    assert sum(test["score"] for test in data["tests"]) == data["score"]


@pytest.mark.parametrize("language", ["en", "zh-TW", "both"])
def test_questions_are_shown_as_the_course_wants(language):
    hidden = gradescope_results(ANN, replace(COURSE, show_answers="none", language=language))
    assert [test["max_score"] for test in hidden["tests"]] == [2, 3, 0.6]
    assert "Q1" not in json.dumps(hidden)


# ------------------------------------------------------------------------------------------------------------ gradebook


def rows_of(path, encoding="utf-8") -> list[list[str]]:
    return list(csv.reader(io.StringIO(path.read_bytes().decode(encoding), newline="")))


def test_the_gradebooks(tmp_path):
    write_reports([BEN, ANN], tmp_path, COURSE)
    head, ann, ben = rows_of(tmp_path / "gradebook.csv", "utf-8-sig")
    assert dict(zip(head, ann, strict=True)) == {
        "student": "b01", "name": "王小明", "points": "2.3", "out_of": "5.6", "deducted": "0.0", "saliency": "2",
        "grad_cam": "0", "Q1": "0.3", "Q2": "0", "not_right": "grad_cam: failed", "remarks": "",
    }  # fmt: skip
    assert ben[head.index("Q1")] == ""

    head, possible, ann = rows_of(tmp_path / "gradebook_canvas.csv")
    assert head == ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", "Homework 9"]
    assert (possible[0].strip(), possible[5]) == ("Points Possible", "5.6")
    assert ann == ["王小明", "", "b01", "b01", "", "2.3"]
    number = replace(ANN, student="1701", platform_id="1701")
    roster = Roster((Person("b01", "王 小明", "wang@x.tw", "1702"), Person("b03", "李大華")))
    known = [replace(ANN, platform_id="1702"), replace(ANN, student="b03", platform_id="1703")]
    write_reports([number, *known], tmp_path, COURSE, roster=roster)
    assert [row[:4] for row in rows_of(tmp_path / "gradebook_canvas.csv")[2:]] == [
        ["王小明", "1701", "", ""], ["王 小明", "1702", "b01", "b01"], ["李大華", "1703", "b03", "b03"],
    ]  # fmt: skip
    emails = [row[:2] for row in rows_of(tmp_path / "gradebook_moodle.csv", "utf-8-sig")[1:]]
    assert emails == [["1701", ""], ["b01", "wang@x.tw"], ["b03", ""]]
    assert "王 小明" in (tmp_path / "students/b01/feedback.html").read_text(encoding="utf-8")

    write_reports([BEN, ANN], tmp_path, COURSE)

    head, ann = rows_of(tmp_path / "gradebook_moodle.csv", "utf-8-sig")  # Ben is not graded to the end
    assert head == ["idnumber", "email", "grade", "feedback"]
    assert ann[:3] == ["b01", "", "2.3"]
    assert "grad_cam: 0/3, not right yet / 尚未正確: the ReLU is missing" in ann[3]


def test_what_moodle_shows_as_html_is_text(tmp_path):
    """Moodle shows feedback as HTML; a line of a student's code may stand in it."""
    line = "x = 1  # <img src=x onerror=alert(1)> & more"
    reason = Text(f"your code raised NameError (line 1: `{line}`)", "")
    write_reports([replace(ANN, exercises=(replace(FAILED, reason=reason),))], tmp_path, replace(COURSE, language="en"))
    (_, ann) = rows_of(tmp_path / "gradebook_moodle.csv", "utf-8-sig")
    assert "<img" not in ann[3]
    assert "&lt;img src=x onerror=alert(1)&gt; &amp; more" in ann[3]


@pytest.mark.parametrize(
    "text",
    ["=1+1", "+1", "-1", "@SUM(1)", "\t=1", "\r=1", " =1", "\u00a0=1", "\u200b=1", "＝1+1", "＋1", "－1", "＠x",
     "\x00=1", "\ufeff=1", "−1", "|cmd", "\n=1"],
)  # fmt: skip
def test_what_could_be_a_formula_begins_with_an_apostrophe(text):
    assert harmless(text)[:2] == "'" + text[0]


def test_a_formula_does_not_hide_behind_a_separator():
    assert harmless('x;=1+1,@y "=2') == "x;'=1+1,'@y \"'=2"
    assert harmless("王小明") == "王小明"
    assert harmless("") == ""
    assert harmless("a - b = c") == "a - b = c"


def test_no_cell_of_a_hostile_class_is_a_formula(tmp_path):
    write_reports([*map(evil, range(len(EVIL)))], tmp_path, COURSE)
    for path in tmp_path.glob("gradebook*.csv"):
        for row in rows_of(path, "utf-8-sig"):
            assert not any(cell.strip().startswith(tuple("=+-@＝＋－＠")) for cell in row)
            assert not any("\x00" in cell for cell in row)
