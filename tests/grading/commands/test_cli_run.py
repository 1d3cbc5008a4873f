"""hw-grade run, report and audit as a teaching assistant meets them, with the real sandbox."""

import csv
import io
import json
from pathlib import Path

import pytest

from grading.cli import main
from grading.commands import run
from grading.intake.submissions import find_submissions
from grading.running.journal import Journal
from hw_xai.errors import UserError

RIGHT = """
import torch
def cosine_similarity(a, b):
    return torch.nn.functional.cosine_similarity(a[:, None], b[None], dim=2)
def euclidean_distance(a, b):
    return torch.cdist(a, b)
"""
WRONG = RIGHT.replace("torch.nn.functional.cosine_similarity(a[:, None], b[None], dim=2)", "a @ b.T")
CRASH = "import os\ndef euclidean_distance(a, b):\n    os._exit(0)\n"
QUIET = CRASH.replace("os._exit(0)", "return a")
ONLY = ["--only", "cosine_similarity,euclidean_distance", "--no-questions", "--jobs", "1"]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """A folder with three submissions and a roster of four, to stand in."""
    (tmp_path / "handed").mkdir()
    for student, code in {"b01": RIGHT, "b02": WRONG, "b03": CRASH}.items():
        (tmp_path / "handed" / f"{student}.py").write_text(code)
    (tmp_path / "roster.csv").write_text("student\nb01\nb02\nb03\nb04\n")
    monkeypatch.chdir(tmp_path)


def results(out: str) -> dict[str, dict]:
    rows = json.loads(Path(out, "class.json").read_text())
    return {row["student"]: row for row in rows["results"]}


def files(out: str) -> dict[str, bytes]:
    """Return the final files of a run: all but the journal and the audit log, which knows of times."""
    ours = ("journal.sqlite", "audit.jsonl")
    found = (path for path in Path(out).rglob("*") if path.is_file() and not path.name.startswith(ours))
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in found}


def test_a_class_is_graded_resumed_and_audited(capsys):
    run = ["run", "handed", "--out", "out", "--roster", "roster.csv", *ONLY]
    assert main(run) == 0
    said = capsys.readouterr().out
    assert "done: 4 results in out" in said
    assert "look at: b03" in said
    statuses = {s: [part["status"] for part in row["exercises"]] for s, row in results("out").items()}
    assert statuses == {
        "b01": ["passed", "passed"],
        "b02": ["failed", "passed"],
        "b03": ["not_attempted", "crashed"],
        "b04": ["not_attempted", "not_attempted"],
    }
    assert main(["audit", "out"]) == 0

    before = files("out")
    assert main(run) == 0
    assert "kept=4" in capsys.readouterr().err
    assert files("out") == before

    assert main([*run, "--regrade", "b01"]) == 0
    assert "kept=3" in capsys.readouterr().err
    assert files("out") == before
    assert main([*run, "--regrade", "failed"]) == 0
    assert "kept=2" in capsys.readouterr().err

    Path("handed/b02.py").write_text(RIGHT)
    assert main(run) == 0
    assert "kept=3" in capsys.readouterr().err
    assert results("out")["b02"]["exercises"][0]["status"] == "passed"
    assert main(["audit", "out"]) == 0

    Path("out/gradebook.csv").write_text("b01,100\n")
    assert main(["audit", "out"]) == 1
    assert "gradebook.csv: the file was changed\n1 finding\n" in capsys.readouterr().out
    assert main(["report", "out"]) == 0
    assert main(["audit", "out"]) == 0


def test_what_is_nobodys_stands_on_the_page_and_stays_there(capsys):
    roster = "student,name,email,canvas_id\nb01,王小明,wang@x.tw,1701\nb02,,,\nb09,,,\n"
    Path("roster.csv").write_text(roster, encoding="utf-8")
    Path("handed/b01.py").rename("handed/王小明_1701_90_b01.py")
    Path("handed/scan.pdf").write_bytes(b"%PDF")
    run = ["run", "handed", "--out", "out", "--roster", "roster.csv", "--i-trust-these-submissions", *ONLY]
    assert main(run) == 0
    said = capsys.readouterr().out
    page = Path("out/class.html").read_text(encoding="utf-8")
    for sentence in ("b03 is nobody on the roster", "scan.pdf belongs to no submission"):
        assert f"note: {sentence}" in said
        assert sentence in page
    assert "王小明,1701,b01,b01," in Path("out/gradebook_canvas.csv").read_text(encoding="utf-8")
    assert "b01,wang@x.tw," in Path("out/gradebook_moodle.csv").read_text(encoding="utf-8")
    before = files("out")
    for again in (["report", "out"], run):
        assert main(again) == 0
        assert files("out") == before


def test_a_second_smaller_download_takes_nothing_from_the_others(capsys):
    run = ["--out", "out", "--roster", "roster.csv", "--i-trust-these-submissions", *ONLY]
    assert main(["run", "handed", *run]) == 0
    before = results("out")
    Path("late").mkdir()
    Path("late/b02.py").write_text(RIGHT)
    capsys.readouterr()
    assert main(["run", "late", *run]) == 0
    assert "not in this download, kept as they were: b01, b03\n" in capsys.readouterr().out
    after = results("out")
    assert {student for student in after if after[student] != before[student]} == {"b02"}
    assert main(["audit", "out"]) == 0


def test_a_download_without_anybody_s_work_gives_nobody_a_zero(capsys):
    Path("nothing").mkdir()
    Path("nothing/scan.pdf").write_bytes(b"%PDF")
    for roster in ([], ["--roster", "roster.csv"]):
        assert main(["run", "nothing", "--out", "out", *roster, *ONLY]) == 2
        assert "nothing must hold what students handed in, but it has no file of anybody's" in capsys.readouterr().err
        assert not Path("out").exists()


def test_a_class_that_nobody_is_known_of_stops_before_a_zero_is_written(capsys):
    Path("moodle").mkdir()
    for i, name in enumerate(("王小明", "陳怡君")):
        Path(f"moodle/{name}_88000{i}_assignsubmission_file").mkdir()
        Path(f"moodle/{name}_88000{i}_assignsubmission_file/a.py").write_text(RIGHT)
    run = ["run", "moodle", "--out", "out", "--i-trust-these-submissions", *ONLY]
    assert main([*run, "--roster", "roster.csv"]) == 2
    said = capsys.readouterr().err
    assert "2 of 2 are not on it, such as 880000 王小明" in said
    assert "grading worksheet" in said
    assert not Path("out").exists()
    rows = "".join(f"Participant 88000{i},x{i},b0{i + 1}@x.tw\n" for i in range(2))
    Path("worksheet.csv").write_text(f"Identifier,Full name,Email address\n{rows}")
    assert main([*run, "--roster", "roster.csv", "--roster", "worksheet.csv"]) == 0
    assert {s for s, row in results("out").items() if row["points"]} == {"b01", "b02"}
    assert "b01,b01@x.tw,2.0" in Path("out/gradebook_moodle.csv").read_text(encoding="utf-8-sig")


@pytest.fixture
def calm(here, in_this_process):
    """The same class, run in the tests' own process: b03's work is wrong and ends nothing."""
    Path("handed/b03.py").write_text(QUIET)


MADE = ["--i-trust-these-submissions", *ONLY]


def gradebook(name: str) -> list[str]:
    text = Path(f"out/gradebook_{name}.csv").read_text("utf-8-sig")
    return [row[0] for row in csv.reader(io.StringIO(text, newline=""))][1:]


def test_no_zero_is_entered_while_work_is_there_that_may_be_theirs(calm, capsys):
    """One of three handed in under a name that the roster does not know."""
    Path("handed/b03.py").rename("handed/Xu_99_7_5.py")
    run = ["run", "handed", "--out", "out", "--roster", "roster.csv", *MADE]
    assert main(run) == 0
    assert "2 who handed in nothing (b03, b04) get no 0 in the gradebooks" in capsys.readouterr().out
    assert gradebook("moodle") == ["99", "b01", "b02"]
    assert gradebook("canvas")[1:] == ["Xu", "b01", "b02"]
    assert main(["export", "out", "--to", "canvas-api", "--file", "api.json"]) == 0
    assert "b04" not in Path("api.json").read_text()
    assert main(["run", "handed", "--out", "out", *MADE, "--strangers"]) == 0  # one who is not enrolled, that is all
    assert gradebook("moodle") == ["99", "b01", "b02", "b03", "b04"]
    assert main(["report", "out"]) == 0
    assert gradebook("moodle") == ["99", "b01", "b02", "b03", "b04"]


def test_a_roster_that_comes_later_makes_no_second_row(calm, capsys):
    Path("handed/b01.py").rename("handed/Ann_41_7_5.py")
    Path("handed/b03.py").rename("handed/Cy_43_9_5.py")
    assert main(["run", "handed", "--out", "out", *MADE]) == 0
    assert set(results("out")) == {"41", "43", "b02"}
    Path("handed/Cy_43_9_5.py").unlink()  # a second, smaller download
    Path("roster.csv").write_text("student,canvas_id\nb01,41\nb02,42\nb03,43\n")
    capsys.readouterr()
    assert main(["run", "handed", "--out", "out", *MADE, "--roster", "roster.csv"]) == 0
    said = capsys.readouterr().out
    assert "what was 41's is b01's by this roster" in said
    assert "not in this download, kept as they were: b03" in said
    assert {s: row["points"] for s, row in results("out").items()} == {"b01": 2, "b02": 1, "b03": 0}
    assert results("out")["b03"]["exercises"][1]["status"] == "failed"
    assert main(["audit", "out"]) == 0


def test_files_that_change_hands_are_told(calm, capsys):
    """Work that came under one name and later under another: whoever is behind it, a person must look."""
    run = ["run", "handed", "--out", "out", "--roster", "roster.csv", *MADE]
    assert main(run) == 0
    Path("handed/b01.py").rename("handed/b04.py")
    Path("handed/b03.py").unlink()
    capsys.readouterr()
    for again in (run, ["report", "out"], ["run", "handed", "--out", "out", *MADE]):
        main(again)
        assert "the very same files came from b01 and then from b04" in Path("out/class.html").read_text("utf-8")
    assert "note: the very same files came from b01 and then from b04: whose are they?" in capsys.readouterr().out


def test_one_student_s_work_that_comes_alone(calm, capsys):
    """By mail, in a folder of any name: the assistant says whose it is; nothing of the others changes."""
    run = ["--out", "out", "--roster", "roster.csv", *MADE]
    assert main(["run", "handed", *run]) == 0
    before = results("out")
    Path("mail/work").mkdir(parents=True)
    for name in ("b01.py", "b03.py"):
        Path(f"mail/work/{name}").write_text(QUIET)
    capsys.readouterr()
    assert main(["run", "mail", *run]) == 2
    assert "in the folder work, which may be a class's or one student's" in capsys.readouterr().err
    assert main(["run", "mail", *run, "--as", "b04"]) == 0
    after = results("out")
    assert {s for s in after if after[s] != before[s]} == {"b04"}
    Path("mail/work").rename("b02")  # named for one who has results: it is theirs, whatever names are in it
    assert main(["run", "b02", "--out", "out", *MADE]) == 0
    assert (
        "b02 is named for b02: all of it is taken for b02's (say --layout if it is a class's)"
        in capsys.readouterr().out
    )
    assert {s for s, row in results("out").items() if row != after[s]} == {"b02"}


def test_a_class_is_held_from_before_its_download_is_read(calm, monkeypatch):
    """Who has results decides whose a download is: no other program may change them in between."""
    read = []

    def reading(*what):
        with pytest.raises(UserError, match="in use by another hw-grade"):
            Journal(Path("out"))
        read.append(what)
        return find_submissions(*what)

    assert main(["run", "handed", "--out", "out", *MADE]) == 0
    monkeypatch.setattr(run, "find_submissions", reading)
    assert main(["run", "handed", "--out", "out", *MADE]) == 0
    assert read


def test_trusted_submissions_say_so_in_every_result():
    assert main(["run", "handed", "--out", "out", "--i-trust-these-submissions", "--seed", "5", *ONLY]) == 0
    tiers = {part["isolation"] for row in results("out").values() for part in row["exercises"]}
    assert tiers == {"none, nothing is contained: as asked", ""}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--late-policy", "lots"], '"10%/day"'),
        (["--due", "Friday"], "--due must be a date, time and zone"),
        (["--only", "salience"], 'names no exercise "salience". Did you mean "saliency"?'),
        (["--points", "saliency=much"], 'got "saliency=much"'),
        (["--regrade", "c01", *ONLY], 'no student "c01". Did you mean "b01"?'),
        (["--roster", "nowhere.csv"], "nowhere.csv: No such file"),
        (["--dask", "tcp://10.0.0.1:8786", *ONLY], "give certificates by --dask-tls"),
        (["--dask", "local:0", *ONLY], "must start 1 to 256 workers"),
        (["--dask", "tcp://10.0.0.1:1", "--dask-tls", "a,b", *ONLY], "must name three files"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_2(arguments, sentence, capsys):
    assert main(["run", "handed", "--out", "out", *arguments]) == 2
    error = capsys.readouterr().err.strip().splitlines()
    assert sentence in error[-1]
    assert "Traceback" not in "".join(error)


def test_where_there_are_no_submissions(capsys):
    assert main(["run", "nowhere", "--out", "out", *ONLY]) == 2
    assert "nowhere" in capsys.readouterr().err
    assert main(["audit", "out"]) == 2
