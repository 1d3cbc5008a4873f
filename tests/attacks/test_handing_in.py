"""Hostile files beside an honest student's: read without running, told in words, the neighbour's bytes unchanged."""

import csv
import json
import re
import tempfile
from pathlib import Path

import pytest
from attack import DISTANCE, RIGHT
from handing_in import HANDED_IN, notebook, zipped

from grading.intake.contents import read_submission
from grading.intake.submissions import find_submissions
from grading.isolation.sandbox import Limits, Sandbox
from grading.reports import write_reports
from grading.running.grade import grade
from grading.running.rules import Course
from grading.verdict.results import Result, as_data

COURSE = Course({"cosine_similarity": 1.0}, seeds=(1000003,), key={"Q1": frozenset({"none such"})})
HOSTILE_IDS = ("<script>alert(1)", "=1+1", "@SUM(A1)", "con", "b10 ", "B10.", "-rf", "\u202eb10", "a" * 200, "$(id)")


@pytest.fixture(scope="module", params=["bubblewrap", "process"])
def sandbox(request, open_sandbox):
    with open_sandbox(request.param, Limits(wall_seconds=10)) as box, tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "b10").mkdir()
        (Path(folder) / "b10" / "5_embeddings.ipynb").write_bytes(notebook(RIGHT))
        box.honest = json.dumps(as_data(graded(Path(folder), box)["b10"]))
        assert json.loads(box.honest)["exercises"][0]["points"] == 1
        yield box


def graded(folder: Path, sandbox: Sandbox) -> dict[str, Result]:
    found = find_submissions(folder).submissions
    return {its.student: grade(read_submission(its, ["cosine_similarity"]), COURSE, sandbox) for its in found}


@pytest.mark.parametrize("name", HANDED_IN)
def test_what_is_handed_in(name, sandbox, tmp_path):
    _, make, words, honest = HANDED_IN[name]
    root = tmp_path / "download"
    for student, files in {"b10": {"5_embeddings.ipynb": notebook(RIGHT)}, "b66": make()}.items():
        (root / student).mkdir(parents=True)
        for file, content in files.items():
            (root / student / file).write_bytes(content)
    before = sorted(tmp_path.rglob("*"))
    results = graded(root, sandbox)
    assert set(results) == {"b10", "b66"}
    assert json.dumps(as_data(results["b10"])) == sandbox.honest
    hostile = results["b66"]
    assert hostile.points == honest, (hostile.exercises, hostile.remarks)
    said = [*hostile.remarks, *(part.reason for part in hostile.exercises)]
    assert words is None or any(re.search(words, remark.en) for remark in said), said
    assert all(len(text) < 600 and "Traceback" not in text for remark in said for text in remark)
    assert not Path("/tmp/evil").exists()
    assert sorted(tmp_path.rglob("*")) == before
    if "<script>" in str(said):
        reported(list(results.values()), tmp_path / "out")


def reported(results: list[Result], out: Path) -> None:
    """Write the reports and look for markup and formulas in them."""
    write_reports(results, out, COURSE)
    for page in out.rglob("*.html"):
        assert not re.search(r"<script>alert|<img src=x", page.read_text(encoding="utf-8"))
    for table in out.glob("*.csv"):
        rows = csv.reader(table.read_text(encoding="utf-8-sig").splitlines(keepends=True))
        assert not [cell for row in rows for cell in row if cell.lstrip().startswith(("=", "@"))]


@pytest.mark.slow  # draws and writes for a whole class
def test_hostile_ids_stay_in_their_folder(sandbox, tmp_path):
    """The names of the folders and of the students, as a platform might let them through."""
    root = tmp_path / "download"
    for id in HOSTILE_IDS:
        (root / id).mkdir(parents=True)
        (root / id / "5_embeddings.ipynb").write_bytes(notebook(RIGHT))
    (root / "b10").mkdir()
    (root / "b10" / "5_embeddings.ipynb").write_bytes(notebook(RIGHT))
    results = graded(root, sandbox)
    assert len(results) == len(HOSTILE_IDS) + 1
    assert "b10" in results
    for student in results:
        assert re.fullmatch(r"[\w.@+-]{1,70}", student)
        assert student.strip(".") not in ("", "con")
    reported(list(results.values()), tmp_path / "out")
    assert {path.name for path in tmp_path.iterdir()} == {"download", "out"}


def test_the_download_itself_as_a_hostile_zip(tmp_path):
    path = tmp_path / "download.zip"
    path.write_bytes(zipped({"../../x/5_embeddings.ipynb": b"{}", "b10/5_embeddings.ipynb": notebook(RIGHT),
                             "/abs/5.ipynb": b"{}", "b11/../b10/5_embeddings.ipynb": notebook("x = 1")}))  # fmt: skip
    found = {its.student: its for its in find_submissions(path).submissions}
    assert "cosine_similarity" in read_submission(found["b10"], ["cosine_similarity"]).sources
    assert all(re.fullmatch(r"[\w.@+-]+", student) for student in found)


def test_a_link_in_a_folder_is_not_followed(tmp_path):
    secret = tmp_path / "secret.ipynb"
    secret.write_bytes(notebook(RIGHT))
    (tmp_path / "download" / "b66").mkdir(parents=True)
    (tmp_path / "download" / "b66" / "5_embeddings.ipynb").symlink_to(secret)
    (tmp_path / "download" / "b67").symlink_to(tmp_path)
    for its in find_submissions(tmp_path / "download").submissions:
        read = read_submission(its, ["cosine_similarity"])
        assert not read.sources
        assert any("a link" in remark.en for remark in read.remarks)


def test_the_attacks_in_code_pass_intake(tmp_path):
    """As notebooks they are read without running, and their function is found."""
    import importlib

    for theme in ("patching", "snooping", "ending", "hogging", "lying", "importing", "escaping", "between"):
        for i, attack in enumerate(importlib.import_module(theme).ATTACKS):
            folder = tmp_path / f"{theme}-{i}"
            folder.mkdir()
            (folder / "5_embeddings.ipynb").write_bytes(notebook(attack.source, attack.then, DISTANCE))
    for its in find_submissions(tmp_path).submissions:
        assert set(read_submission(its).sources) == {"cosine_similarity", "euclidean_distance"}, its.student
