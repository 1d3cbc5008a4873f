"""A whole term as a teaching assistant plays it, with 300 students on each platform: no grade is wrong.

Wrong roster at first, a power failure, a second and smaller download with late work, an extension, a complaint, a
flawed exercise, a rule that changes. Every grade is calculated here a second time, from what each student did.
"""

import json
import math
import random
import zipfile
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from grading.cli import main
from grading.running.batch import Batch

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("in_this_process")]
N = 300
DUE = datetime.fromisoformat("2027-01-15T23:59:00+08:00")
PARTS = {
    "cosine_similarity": (
        "torch.nn.functional.cosine_similarity(a[:, None], b[None], dim=2)",
        "a @ b.T",
    ),
    "euclidean_distance": ("torch.cdist(a, b)", "torch.cdist(a, b) ** 2"),
}
PLATFORMS = ("canvas", "moodle", "gradescope", "cool")


@dataclass
class Student:
    """One who takes the course. works: what was handed in, each with its time and which parts are right."""

    id: str
    number: int
    works: list[tuple[datetime, dict[str, bool]]] = field(default_factory=list)


def code(student: Student, right: dict[str, bool]) -> str:
    bodies = (f"def {name}(a, b):\n    return {PARTS[name][not fine]}\n" for name, fine in right.items())
    return f"# {student.id} {len(student.works)}\nimport torch\n" + "".join(bodies)


def download(path: str, platform: str, students: list[Student]) -> None:
    """Write what the platform gives, with the newest work of each, and what says when it came."""
    times, about = ["student,submitted"], []
    with zipfile.ZipFile(path, "w") as archive:
        for one in students:
            time, right = one.works[-1]
            n, tries = one.number, len(one.works)
            late = "LATE_" * (time > DUE)
            name = {
                "canvas": f"name_{late}{n}_{70000 + 10 * n + tries}_5{f'-{tries - 1}' if tries > 1 else ''}.py",
                "moodle": f"Name {n}_{880000 + n}_assignsubmission_file/5.py",
                "gradescope": f"submission_{n}/5.py",
                "cool": f"{one.id}#_name_{n}_{70000 + 10 * n + tries}_5.py",
            }[platform]
            archive.writestr(name, code(one, right))
            times.append(f"{one.id},{time.isoformat()}")
            about.append(f"submission_{n}:\n  :submitters:\n  - :sid: {one.id}\n  :created_at: {time.isoformat()}\n")
        if platform == "gradescope":
            archive.writestr("submission_metadata.yml", "".join(about))
    Path("times.csv").write_text("\n".join(times))


def expected(one: Student, due: datetime, cosine: float, decided: dict[str, float]) -> float:
    """Return the grade by hand: the newest work, a tenth for each day begun, at most half, and what people decided."""
    if not one.works:
        return decided.get("euclidean_distance", 0)
    time, right = one.works[-1]
    worth = {"cosine_similarity": cosine, "euclidean_distance": 2.0}
    reached = sum(decided.get(name, worth[name] * fine) for name, fine in right.items())
    days = max(0, math.ceil((time - due).total_seconds() / 86400))
    return round(reached - round(min(0.1 * days, 0.5) * reached, 4), 4)


@pytest.mark.parametrize("platform", PLATFORMS)
def test_no_grade_of_a_term_is_wrong(platform, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    dice = random.Random(platform)
    students = [Student(f"b{i:03}", i) for i in range(1, N + 1)]
    typed = []

    def hw_grade(*arguments: str) -> int:
        typed.append(arguments)
        return main(list(arguments))

    def hand_in(one: Student, late: float) -> None:
        hours = dice.uniform(0, 100) if dice.random() < late else -dice.uniform(0, 50)
        time = (DUE + timedelta(hours=hours)).replace(microsecond=0)
        one.works.append((time, {name: dice.random() < 0.7 for name in PARTS}))

    def check(due=None, cosine=4.0, decided=None) -> None:
        rows = {row["student"]: row["points"] for row in json.loads(Path("G/class.json").read_text())["results"]}
        mine = {
            one.id: expected(one, (due or {}).get(one.id, DUE), cosine, (decided or {}).get(one.id, {}))
            for one in students
        }
        assert {id: (rows[id], mine[id]) for id in mine if rows[id] != pytest.approx(mine[id])} == {}
        assert len(rows) == N
        assert hw_grade("audit", "G") == 0

    rows = [f"{s.id},Name {s.number},{s.id}@x.tw,{s.number},{880000 + s.number}" for s in students]
    Path("class.csv").write_text("student,name,email,canvas_id,moodle_id\n" + "\n".join(rows))
    Path("wrong.csv").write_text("student\n" + "\n".join(f"z{i}" for i in range(N)))
    rules = ["--only", ",".join(PARTS), "--points", "cosine_similarity=4,euclidean_distance=2", "--no-questions"]
    rules += ["--due", DUE.isoformat(), "--late-policy", "10%/day,max 50%"]
    run = ["run", "d.zip", "--out", "G", "--i-trust-these-submissions", "--jobs", "2"]
    when = [] if platform == "gradescope" else ["--times", "times.csv"]

    for one in students[:-20]:
        hand_in(one, late=0.2)
    download("d.zip", platform, students[:-20])
    assert hw_grade(*run, *rules, "--roster", "wrong.csv") == 2  # the wrong roster
    assert not Path("G").exists()
    first, fails = Batch._write, iter([False] * 100 + [True])  # the power fails after a hundred

    def write(self, outcome):
        if next(fails, False):
            raise KeyboardInterrupt
        first(self, outcome)

    monkeypatch.setattr(Batch, "_write", write)
    assert hw_grade(*run, *rules, "--roster", "class.csv", *when) == 130
    assert hw_grade(*run, *when) == 0
    assert "kept=100" in capsys.readouterr().err
    check()

    again = dice.sample(students[:-20], 30) + students[-20:-5]  # a second, smaller download; five never hand in
    for one in again:
        hand_in(one, late=0.7)
    download("d.zip", platform, sorted(again, key=lambda one: one.number))
    assert hw_grade(*run, *when) == 0
    assert "not in this download, kept as they were" in capsys.readouterr().out
    check()

    ill = again[0]  # an extension, a complaint that is right, and a flawed exercise
    right = next(one for one in students if one.works and not one.works[-1][1]["cosine_similarity"])
    Path("G/adjustments.csv").write_text(
        "student,exercise,points,reason,who,when\n"
        f"{ill.id},all,due 2027-01-20T23:59+08:00,was ill,Prof,2027-01-20\n"
        f"{right.id},cosine_similarity,3,right but for the norm,TA,2027-01-22\n"
        "all,euclidean_distance,full,the exercise was flawed,Prof,2027-01-25\n"
    )
    assert hw_grade("report", "G") == 0
    due = {ill.id: DUE + timedelta(days=5)}
    full = {one.id: {"euclidean_distance": 2.0} for one in students}
    full[right.id]["cosine_similarity"] = 3.0
    check(due, decided=full)

    assert hw_grade(*run, *when, "--points", "cosine_similarity=6") == 2  # a rule changes, and is meant to
    assert hw_grade(*run, *when, "--points", "cosine_similarity=6", "--change") == 0
    check(due, cosine=6.0, decided=full)
    Path("G/adjustments.csv").unlink()
    assert hw_grade("report", "G") == 0
    check(cosine=6.0)
    assert len(typed) < 20
