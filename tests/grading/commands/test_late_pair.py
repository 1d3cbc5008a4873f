"""The same two students, one of them late by a day and an hour, on each platform: the same grades."""

import json
import zipfile
from pathlib import Path

import pytest

from grading.cli import main

pytestmark = pytest.mark.usefixtures("in_this_process")
RIGHT = "import torch\ndef euclidean_distance(a, b):\n    return torch.cdist(a, b)\n"
IN_TIME, LATE = "2027-01-15T20:00:00+08:00", "2027-01-17T01:00:00+08:00"
UTC = ("2027-01-15T12:00:00Z", "2027-01-16T17:00:00Z")
ROSTER = "student,name,email,canvas_id\nb01,Ann,b01@x.tw,41\nb02,Bo,b02@x.tw,42\n"
WORKSHEET = (
    "Identifier,Full name,Email address,Last modified (submission)\n"
    'Participant 880000,Ann,b01@x.tw,"Friday, 15 January 2027, 8:00 PM"\n'
    'Participant 880001,Bo,b02@x.tw,"Sunday, 17 January 2027, 1:00 AM"\n'
)
METADATA = "".join(
    f"submission_{i}:\n  :submitters:\n  - :name: x\n    :sid: b0{i}\n  :created_at: {time}\n"
    for i, time in enumerate(UTC, start=1)
)
CANVAS = ["x_41_701_5.py", "x_LATE_42_702_5.py"]
DOWNLOADS = {
    "Canvas": CANVAS,
    "NTU COOL": ["b01#_x_9_701_5.py", "b02#_x_9_702_5.py"],
    "Moodle": ["Ann_880000_assignsubmission_file/5.py", "Bo_880001_assignsubmission_file/5.py"],
    "Gradescope": ["submission_1/5.py", "submission_2/5.py"],
    "folders": ["b01/5.py", "b02/5.py"],
}
API = json.dumps([{"user_id": 41, "submitted_at": UTC[0]}, {"user_id": 42, "submitted_at": UTC[1]}])
SCORES = "SID,Email,Submission Time\nb01,,2027-01-15 20:00:00 +0800\nb02,,2027-01-17 01:00:00 +0800\n"
MORE = {
    "Canvas": ("--times", "api.json"),
    "NTU COOL": ("--times", "api.json"),
    "Moodle": ("--roster", "worksheet.csv"),
    "Gradescope": (),
    "folders": ("--times", "scores.csv"),
}
RUN = ["run", "d.zip", "--out", "G", "--i-trust-these-submissions", "--jobs", "1", "--only", "euclidean_distance"]
RUN += ["--no-questions", "--roster", "class.csv", "--due", "2027-01-15T23:59+08:00", "--late-policy", "20%/day"]


@pytest.fixture(autouse=True)
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, text in {"class.csv": ROSTER, "worksheet.csv": WORKSHEET, "api.json": API, "scores.csv": SCORES}.items():
        Path(name).write_text(text)


def download(platform: str) -> None:
    with zipfile.ZipFile("d.zip", "w") as archive:
        for name in DOWNLOADS[platform]:
            archive.writestr(name, RIGHT)
        if platform == "Gradescope":
            archive.writestr("submission_metadata.yml", METADATA)


def points() -> dict[str, float]:
    return {row["student"]: row["points"] for row in json.loads(Path("G/class.json").read_text())["results"]}


@pytest.mark.parametrize("platform", DOWNLOADS)
def test_late_is_late_on_every_platform(platform, capsys):
    download(platform)
    assert main([*RUN, *MORE[platform]]) == 0
    assert points() == {"b01": 1, "b02": 0.6}
    assert "nothing says when" not in capsys.readouterr().out


def test_where_nothing_says_when_it_is_told(capsys):
    download("NTU COOL")
    assert main(RUN) == 0
    assert "nothing says when 2 handed in (b01, b02)" in capsys.readouterr().out
    assert main([*RUN, "--times", "scores.csv"]) == 0
    assert points() == {"b01": 1, "b02": 0.6}


def test_late_without_a_time_is_one_day_and_says_so():
    download("Canvas")
    assert main(RUN) == 0
    assert points() == {"b01": 1, "b02": 0.8}
    assert "but not when: counted as one day" in Path("G/students/b02/feedback.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("student,points\nb01,3\n", "must have a column with times"),
        ("student,submitted\nb01,Friday\n", 'the time of b01 must be like "2027-01-15T23:59+08:00", got "Friday"'),
        ("student,submitted\nb77,2027-01-15\n", "it has none of them"),
    ],
)
def test_times_that_cannot_be_read_are_told(text, sentence, capsys):
    download("folders")
    Path("scores.csv").write_text(text)
    assert main([*RUN, "--times", "scores.csv"]) == 2
    assert sentence in capsys.readouterr().err
    assert not Path("G").exists()
