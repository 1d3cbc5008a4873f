"""hw-grade report: the files again from the journal, in another language or with other things shown."""

import pytest

from grading.cli import main
from grading.running.journal import Journal, text_of
from grading.running.rules import Course, course_data
from grading.verdict.results import Answered, Graded, Result
from grading.words import Text

COURSE = Course(points={"saliency": 2.0}, seeds=(5,), title="Homework 9")
ANN = Result("b01", "Ann", (Graded("saliency", "passed", 2, 2, Text("right", "正確")),), (Answered("Q1", 0.3, 0.3),))


@pytest.fixture
def out(tmp_path):
    with Journal(tmp_path, new=True) as journal:
        journal.keep("course", course_data(COURSE))
        journal.write("b01", "key", text_of(ANN), {"saliency": "def saliency(): ..."}, "head")
    return tmp_path


def test_the_files_come_from_the_journal(out, capsys):
    assert main(["report", str(out), "--lang", "zh-TW", "--show-answers", "none"]) == 0
    assert "done: 1 students" in capsys.readouterr().out
    page = (out / "students/b01/feedback.html").read_text(encoding="utf-8")
    assert "顯著圖" in page
    assert "Q1" not in page
    assert "相似的程式碼" in (out / "class.html").read_text(encoding="utf-8")


def test_a_mistake_is_one_sentence(out, tmp_path, capsys):
    assert main(["report", str(tmp_path / "nowhere")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_an_empty_journal_has_no_reports(tmp_path, capsys):
    Journal(tmp_path, new=True).__exit__()
    assert main(["report", str(tmp_path)]) == 2
    assert "nothing is graded yet" in capsys.readouterr().err
