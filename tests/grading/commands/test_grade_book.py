"""The grade book: rules that live with the class, decisions of people, what changed and why, the way back."""

import csv
import io
import json
import re
from pathlib import Path

import pytest

from grading.cli import main
from grading.running import grade

RIGHT = """
import torch
def cosine_similarity(a, b):
    return torch.nn.functional.cosine_similarity(a[:, None], b[None], dim=2)
def euclidean_distance(a, b):
    return torch.cdist(a, b)
"""
WRONG = RIGHT.replace("torch.nn.functional.cosine_similarity(a[:, None], b[None], dim=2)", "a @ b.T")
RULES = ["--only", "cosine_similarity,euclidean_distance", "--no-questions", "--points", "cosine_similarity=4"]
RULES += [
    "--roster",
    "class.csv",
    "--due",
    "2027-01-15T23:59+08:00",
    "--late-policy",
    "10%/day,max 50%",
    "--title",
    "HW",
]
RUN = ["run", "handed", "--out", "G", "--i-trust-these-submissions", "--jobs", "1"]


pytestmark = pytest.mark.usefixtures("in_this_process")


@pytest.fixture
def graded(tmp_path, monkeypatch):
    """A folder to stand in, with a class of three that was graded once, and who was run since."""
    monkeypatch.chdir(tmp_path)
    Path("handed").mkdir()
    for student, code in {"b01": RIGHT, "b02": WRONG}.items():
        Path(f"handed/{student}.py").write_text(code)
    Path("class.csv").write_text("student,name\nb01,Ann\nb02,Bo\nb03,Cy\n")
    Path("times.csv").write_text("student,submitted\nb01,2027-01-15T20:00+08:00\nb02,2027-01-17T01:00+08:00\n")
    assert main([*RUN, *RULES, "--times", "times.csv"]) == 0
    ran = []
    first, again = grade._graded, lambda name, source, *rest: ran.append(name) or first(name, source, *rest)
    monkeypatch.setattr(grade, "_graded", again)
    return ran


def points() -> dict[str, float]:
    return {row["student"]: row["points"] for row in json.loads(Path("G/class.json").read_text())["results"]}


def changes() -> list[list[str]]:
    return list(csv.reader(Path("G/changes.csv").read_text(encoding="utf-8-sig").splitlines()))[1:]


def decide(*rows: str) -> None:
    Path("G/adjustments.csv").write_text("student,exercise,points,reason,who,when\n" + "".join(f"{r}\n" for r in rows))


def test_the_rules_are_read_by_later_runs_and_others_must_be_meant(graded, capsys):
    assert points() == {"b01": 5, "b02": 0.8, "b03": 0}  # b02: one of 5, two days late
    assert main(RUN) == 0  # no roster, no rules: those of the class
    assert points() == {"b01": 5, "b02": 0.8, "b03": 0}
    assert graded == []
    capsys.readouterr()
    assert main([*RUN, "--points", "cosine_similarity=6"]) == 2
    said = capsys.readouterr().err
    assert "cosine_similarity 4 -> 6" in said
    assert "the grades of 3 change" in said
    assert "--change" in said
    assert points()["b01"] == 5
    assert main([*RUN, "--points", "cosine_similarity=6", "--change"]) == 0
    assert points() == {"b01": 7, "b02": 0.8, "b03": 0}
    assert graded == []
    assert ["b01", "cosine_similarity", "4", "6", "rules: points"] in changes()
    Path("other.csv").write_text("student\nb01\nb09\n")
    assert main([*RUN, "--roster", "other.csv"]) == 2
    assert "adds b09 and drops b02, b03" in capsys.readouterr().err


def test_points_due_and_policy_change_by_a_report_that_runs_nothing(graded, capsys):
    text = Path("G/course.toml").read_text(encoding="utf-8")
    text = text.replace("2027-01-15T23:59:00+08:00", "2027-01-16T23:59+08:00")
    text = text.replace("cosine_similarity = 4", "cosine_similarity = 2")
    Path("G/course.toml").write_text(text.replace("10%/day,max 50%", "50%/day"), encoding="utf-8")
    assert main(["report", "G"]) == 0
    assert "the grades of 2 (b01, b02)" in capsys.readouterr().out
    assert points() == {"b01": 3, "b02": 0.5, "b03": 0}
    assert graded == []
    assert main(["audit", "G"]) == 0
    Path("G/course.toml").write_text(text.replace("due = ", "dues = "), encoding="utf-8")
    assert main(["report", "G"]) == 2
    assert 'no rule "dues". Did you mean "due"?' in capsys.readouterr().err


def test_decisions_count_are_shown_logged_and_undone_by_deleting_the_row(graded, capsys):
    decide(
        "b02,cosine_similarity,3,my formula is right but for the norm,TA Lin,2027-02-01",
        "b02,all,due 2027-01-18,was ill,Prof,2027-01-14",
        "all,euclidean_distance,full,the exercise was flawed,Prof,2027-02-02",
        "b03,all,excused,dropped the course,Prof,2027-02-02",
    )
    assert main(["report", "G"]) == 0
    assert points() == {"b01": 5, "b02": 4, "b03": 0}
    assert graded == []
    page = Path("G/students/b02/feedback.html").read_text(encoding="utf-8")
    assert "set to 3 points: my formula is right but for the norm (TA Lin)" in page
    assert "was ill" in page
    assert "taken off" not in page
    assert "dropped the course" in Path("G/class.html").read_text(encoding="utf-8")
    events = [json.loads(line) for line in Path("G/audit.jsonl").read_text().splitlines()]
    assert sum(row["event"] == "adjusted" for row in events) == 4
    assert main(["audit", "G"]) == 0
    decide()
    assert main(["report", "G"]) == 0
    assert points() == {"b01": 5, "b02": 0.8, "b03": 0}
    assert any(row[0] == "b02" and "no longer adjusted: was ill" in row[4] for row in changes())


def test_who_is_excused_loses_nothing_on_a_platform_that_knows_one_number_of_points(graded):
    decide("b01,euclidean_distance,excused,was ill,Prof,", "b03,all,excused,left,Prof,")
    assert main(["report", "G"]) == 0
    assert points() == {"b01": 4, "b02": 0.8, "b03": 0}  # b01: of 4
    assert "Excused: nothing of it counts." in Path("G/students/b03/feedback.html").read_text("utf-8")
    rows = {row[2]: row[-1] for row in csv.reader(Path("G/gradebook_canvas.csv").read_text("utf-8").splitlines()[1:])}
    assert rows == {"": "5.0", "b01": "5.0", "b02": "0.8", "b03": "EX"}
    text = Path("G/gradebook_moodle.csv").read_text("utf-8-sig")
    grades = {row["idnumber"]: row["grade"] for row in csv.DictReader(io.StringIO(text, newline=""))}
    assert grades == {"b01": "5.0", "b02": "0.8"}
    assert main(["export", "G", "--to", "canvas-api", "--file", "api.json"]) == 0
    posted = json.loads(Path("api.json").read_text("utf-8"))["grade_data"]
    assert [row.get("posted_grade") for row in posted.values()] == ["5", "0.8", None]


def test_a_total_that_a_person_sets_is_no_deduction_for_being_late(graded):
    decide("b02,all,3,oral exam,Prof,", "b03,all,4,oral exam,Prof,")
    assert main(["report", "G"]) == 0
    assert points() == {"b01": 5, "b02": 3, "b03": 4}
    for student in ("b02", "b03"):
        page = Path(f"G/students/{student}/feedback.html").read_text("utf-8")
        assert "were taken off for being late" not in page
        assert "points: oral exam (Prof)" in page
    found = [row for row in json.loads(Path("G/class.json").read_text())["concerns"] if row["kind"] == "adjusted"]
    assert [row["student"] for row in found] == ["b02", "b03"]


def test_decisions_that_a_spreadsheet_saved_are_read_added_to_and_brought_back(graded):
    """Excel in Taiwan: Big5, semicolons; words in capitals."""
    path = Path("G/adjustments.csv")
    rows = "student;exercise;points;reason;who;when\r\nb02;cosine_similarity;FULL;題目有誤;林助教;2027/1/20\r\n"
    path.write_bytes(rows.encode("cp950"))
    assert main(["report", "G"]) == 0
    assert points()["b02"] == 4
    assert main(["hand", "G", "cosine_similarity", "--file", "page.html"]) == 0
    marks = re.findall(r'<article class="exercise answer" id="(\w+)"', Path("page.html").read_text("utf-8"))
    Path("marks.csv").write_text(
        f"answer,exercise,points,reason\n{marks[0]},cosine_similarity,1,讀過\n", encoding="cp950"
    )
    assert main(["hand", "G", "--read", "marks.csv", "--who", "TA"]) == 0
    assert main(["report", "G"]) == 0
    assert 1 in [row["exercises"][0]["points"] for row in json.loads(Path("G/class.json").read_text())["results"]]
    assert main(["restore", "G", "2"]) == 0
    assert points()["b02"] == 4
    assert "題目有誤" in path.read_text("utf-8-sig")


def test_a_name_of_an_exercise_that_is_misspelt_takes_nobody_s_points(graded, capsys):
    path = Path("G/course.toml")
    path.write_text(path.read_text("utf-8").replace("euclidean_distance =", "euclidian_distance ="), encoding="utf-8")
    before = Path("G/class.json").read_bytes()
    assert main(["report", "G"]) == 2
    said = capsys.readouterr().err
    assert 'names "euclidian_distance", which is not graded yet. Did you mean "euclidean_distance"?' in said
    assert main(RUN) == 2
    assert 'no exercise "euclidian_distance". Did you mean "euclidean_distance"?' in capsys.readouterr().err
    assert Path("G/class.json").read_bytes() == before


def test_a_change_is_told_once_and_with_its_own_reason(graded, capsys):
    decide("b02,cosine_similarity,3,the norm,TA,", "all,euclidean_distance,0.5,too easy,Prof,")
    with open("G/course.toml", "a", encoding="utf-8") as file:
        file.write("essay = 5\n")
    capsys.readouterr()
    assert main(["report", "G"]) == 0
    assert "the grades of 3" in capsys.readouterr().out
    why = {(student, part): reason for student, part, _, _, reason in changes()}
    assert why["b02", "cosine_similarity"] == "adjusted: the norm"
    assert why["b02", "euclidean_distance"] == "adjusted: too easy"
    assert ("b01", "essay") not in why  # nobody has read it yet: no grade has changed
    assert main(["report", "G"]) == 0
    assert "changed since" not in capsys.readouterr().out


def test_an_extension_holds_where_only_the_word_late_is_known(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("handed").mkdir()
    Path("handed/x_LATE_41_701_5.py").write_text(RIGHT)
    Path("class.csv").write_text("student,canvas_id\nb01,41\n")
    assert main([*RUN, *RULES]) == 0
    assert points() == {"b01": 4.5}
    decide("b01,all,due 2027-01-20,was ill,Prof,")
    assert main(["report", "G"]) == 0
    assert points() == {"b01": 5}
    assert "within your own date due" in Path("G/students/b01/feedback.html").read_text(encoding="utf-8")


def test_who_is_excused_counts_in_no_mean(graded):
    decide("b02,cosine_similarity,excused,was ill,Prof,", "all,euclidean_distance,excused,taken out,Prof,")
    assert main(["report", "G"]) == 0
    items = json.loads(Path("G/class.json").read_text())["exercises"]
    assert [(item["name"], item["n"], item["right"]) for item in items] == [("cosine_similarity", 1, 1.0)]


def test_an_excused_exercise_counts_neither_way(graded):
    decide("all,cosine_similarity,excused,taken out,Prof,")
    assert main(["report", "G"]) == 0
    rows = json.loads(Path("G/class.json").read_text())["results"]
    assert {row["student"]: (row["points"], row["out_of"]) for row in rows} == {
        "b01": (1, 1),
        "b02": (0.8, 1),
        "b03": (0, 1),
    }


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ("b77,all,full,why,,", 'row 2: student must be "all" or an id with a result, got "b77"'),
        ("b01,cosine,full,why,,", 'got "cosine". Did you mean "cosine_similarity"?'),
        ("b01,all,lots,why,,", 'points must be a number from 0 up, "full", "excused" or "due DATE", got "lots"'),
        ("b01,all,-1,why,,", 'got "-1"'),
        ("b01,all,full,,,", "reason must say why"),
        ("b01,all,due Friday,why,,", 'got "due Friday"'),
        ("b01,cosine_similarity,due 2027-01-18,why,,", 'exercise must be "all"'),
    ],
)
def test_a_decision_that_cannot_be_read_stops_before_anything_is_written(graded, row, sentence, capsys):
    before = Path("G/class.json").read_bytes()
    decide(row)
    assert main(["report", "G"]) == 2
    assert sentence in capsys.readouterr().err
    assert Path("G/class.json").read_bytes() == before


def test_what_is_graded_again_is_what_was_asked(graded, capsys):
    assert main([*RUN, "--regrade", "b02"]) == 0
    assert graded == ["cosine_similarity", "euclidean_distance"]
    graded.clear()
    assert main([*RUN, "--regrade", "exercise:euclidean_distance"]) == 0
    assert graded == ["euclidean_distance"] * 3
    graded.clear()
    assert main([*RUN, "--regrade", "failed"]) == 0
    assert graded == ["cosine_similarity"]
    graded.clear()
    assert main([*RUN, "--regrade", "not_graded"]) == 0
    assert graded == []
    assert points() == {"b01": 5, "b02": 0.8, "b03": 0}
    assert main([*RUN, "--regrade", "exercise:cosine_similar"]) == 2
    assert 'Did you mean "cosine_similarity"?' in capsys.readouterr().err


def test_every_state_can_be_had_back(graded, capsys):
    Path("handed/b02.py").write_text(RIGHT)
    assert main(RUN) == 0
    assert ["b02", "cosine_similarity", "0", "4", "other work was handed in"] in changes()
    decide("b01,all,1,copied,Prof,")
    assert main(["report", "G"]) == 0
    assert points()["b01"] == 1
    capsys.readouterr()
    assert main(["history", "G"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [re.sub(r"  \S+T\S+  ", " ", line) for line in lines] == [
        "1 3 students, 3 new", "2 3 students, 1 changed", "3 3 students, 1 changed"
    ]  # fmt: skip
    assert main(["history", "G", "--of", "3"]) == 0
    assert "b01  total  5 -> 1  adjusted: copied" in capsys.readouterr().out
    assert main(["restore", "G", "1"]) == 0
    assert points() == {"b01": 5, "b02": 0.8, "b03": 0}
    assert not Path("G/adjustments.csv").exists()
    assert main(["audit", "G"]) == 0
    assert main(["restore", "G", "3"]) == 0
    assert points() == {"b01": 1, "b02": 4, "b03": 0}
    assert main(["restore", "G", "9"]) == 2


def test_other_inputs_must_be_meant_too(graded, capsys):
    assert main([*RUN, "--seed", "5"]) == 2
    assert "--seed is not that of this class" in capsys.readouterr().err
    assert main([*RUN, "--salt", "pepper"]) == 2
    assert graded == []
    assert main([*RUN, "--seed", "5", "--change"]) == 0
    assert len(graded) == 6
    graded.clear()
    assert main(RUN) == 0  # the seed is that of the class from now on
    assert graded == []


def test_it_is_said_why_everybody_is_graded_again(graded, capsys, monkeypatch):
    from grading.running import fingerprint

    monkeypatch.setattr(fingerprint, "of_grades", lambda: "another kit")
    assert main(RUN) == 0
    assert (
        "everybody in this download is graded again: the kit or its libraries have changed" in capsys.readouterr().out
    )
    assert len(graded) == 6


def test_a_class_begins_with_its_rules(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("class.csv").write_text("student,name\nb01,Ann\n")
    assert main(["init", "G", *RULES, "--salt", "pepper"]) == 0
    assert "pepper" not in Path("G/course.toml").read_text(encoding="utf-8")
    Path("handed").mkdir()
    Path("handed/b01.py").write_text(RIGHT)
    assert main(RUN) == 0
    assert points() == {"b01": 5}
    assert main(["init", "G"]) == 2
    assert "is there already" in capsys.readouterr().err
