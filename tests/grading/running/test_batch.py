"""A class: everyone gets a result, what is done is not done again, and a stopped run goes on from where it was."""

import json
import os
import subprocess
import sys
import threading
from collections import Counter
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import pytest
from tqdm import tqdm

from grading.intake.child import CouldNotBeRead
from grading.intake.submission import Submission
from grading.running import batch
from grading.running.audit import Log, findings
from grading.running.batch import Batch
from grading.running.grade import STARVED
from grading.running.journal import Journal
from grading.running.rules import Course
from grading.verdict.results import Graded
from grading.words import Text
from hw_xai.errors import UserError

COURSE = Course(points={"saliency": 2.0}, seeds=(1,))


@dataclass(frozen=True)
class Handed:
    """Stands for what intake finds: the digest is that of the work."""

    student: str
    name: str = ""
    digest: str = "1"
    platform_id: str = ""
    remarks: tuple = ()


class Examiner:
    """Counts what it grades; fails or waits where the test wants it to."""

    made, graded, closed = 0, Counter(), 0

    def __init__(self, error=None, at=None):
        type(self).made += 1
        self.error, self.at = error, at

    def exercises(self, sources, names, seeds):
        student = sources["saliency"]
        if student == self.at:
            raise self.error
        type(self).graded[student] += 1
        return (Graded("saliency", "passed", 2, 2, Text("right", "正確")),)

    def close(self):
        type(self).closed += 1


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    class Reader:
        def read(self, one, homes, variant):
            if one.digest == "broken":
                raise KeyError("ours")
            if one.digest == "endless":
                raise CouldNotBeRead(Text("it takes too much memory to read", "讀取所需的記憶體過多"))
            text = {"saliency": one.student}
            return Submission(one.student, one.name, text, digest=one.digest, variant=variant or 0)

        def close(self):
            pass

    monkeypatch.setattr(batch, "Reader", Reader)
    Examiner.made, Examiner.graded, Examiner.closed = 0, Counter(), 0


def run(out: Path, found, examiner=Examiner, course=COURSE, salt=None, jobs=3) -> Batch:
    with Journal(out, new=True) as journal, Log(out) as log:
        log.add("start")
        one = Batch(course, journal, log, salt)
        one.run(found, examiner, jobs, tqdm(total=len(found), disable=True))
    return one


def texts(out: Path) -> dict[str, str]:
    with Journal(out) as journal:
        return journal.texts()


CLASS = [Handed(f"b{i:02}") for i in range(40)]


@pytest.mark.parametrize(("jobs", "status"), [(3, "timeout"), (1, "not_graded")])
def test_who_had_no_turn_beside_the_others_has_one_alone(tmp_path, jobs, status):
    """An endless loop beside many others gets no processor either: alone it is told from a machine too busy."""
    tries = Counter()

    class Starved(Examiner):
        def exercises(self, sources, names, seeds):
            student = sources["saliency"]
            tries[student] += 1
            if student != "b07":
                return super().exercises(sources, names, seeds)
            if tries[student] == 1:
                return (Graded("saliency", "not_graded", 0, 2, STARVED),)
            return (Graded("saliency", "timeout", 0, 2, Text("not done after 30 seconds", "逾時")),)

    done = run(tmp_path, CLASS, Starved, jobs=jobs)
    with Journal(tmp_path) as journal:
        found = {result.student: result.exercises[0].status for result in journal.results()}
        assert findings(tmp_path, journal) == []
    assert found.pop("b07") == status
    assert set(found.values()) == {"passed"}
    assert set(tries.values()) == ({1, 2} if jobs > 1 else {1})
    assert +done.tally == Counter({"passed": 39, status: 1})
    run(tmp_path, CLASS, Starved, jobs=jobs)
    assert tries["b07"] == 2  # the next run tries again who still had no turn, and nobody else
    assert sum(tries.values()) == 41


def test_everyone_gets_a_result_once(tmp_path):
    one = run(tmp_path, CLASS)
    assert list(texts(tmp_path)) == [handed.student for handed in CLASS]
    assert set(Examiner.graded.values()) == {1}
    assert Examiner.made == Examiner.closed == 3
    assert one.tally == {"passed": 40}


def test_what_is_done_is_not_done_again_and_what_changed_is(tmp_path):
    run(tmp_path, CLASS)
    one = run(tmp_path, [replace(CLASS[0], digest="2"), *CLASS[1:], Handed("b99")])
    assert {student for student, times in Examiner.graded.items() if times == 2} == {"b00"}
    assert one.tally == {"passed": 2, "kept": 39}
    run(tmp_path, CLASS[1:], course=replace(COURSE, title="shown only"))
    assert Examiner.graded["b01"] == 1
    run(tmp_path, CLASS[1:], course=replace(COURSE, points={"saliency": 3.0}))
    assert Examiner.graded["b01"] == 1  # it is counted again, and nobody's code is run
    run(tmp_path, CLASS[1:], course=replace(COURSE, wall=9.0))
    assert Examiner.graded["b01"] == 2
    assert "b00" in texts(tmp_path)  # not among these: its result stays


def test_a_salt_decides_the_variant(tmp_path):
    run(tmp_path, CLASS[:1])
    run(tmp_path, CLASS[:1], salt="pepper")
    assert Examiner.graded["b00"] == 2


@pytest.mark.parametrize("jobs", [1, 3])
def test_an_error_of_ours_is_a_result_that_the_next_run_tries_again(tmp_path, jobs):
    found = [*CLASS, Handed("b98", digest="broken")]
    one = run(tmp_path, found, lambda: Examiner(RuntimeError("ours"), "b07"), jobs=jobs)
    assert one.tally == {"passed": 39, "not_graded": 2}
    assert "RuntimeError" in texts(tmp_path)["b07"]
    one = run(tmp_path, CLASS)
    assert one.tally == {"passed": 1, "kept": 39}


def test_what_cannot_be_read_costs_itself_and_is_told_in_words(tmp_path):
    one = run(tmp_path, [*CLASS, Handed("b98", digest="endless")])
    assert one.tally == {"passed": 40, "not_graded": 1}
    assert "could not be read: it takes too much memory" in texts(tmp_path)["b98"]
    assert run(tmp_path, CLASS).tally == {"kept": 40}


def begun(out: Path, *students: str) -> None:
    """Leave the marks of a run that was killed while it graded these."""
    with (out / "begun.jsonl").open("a") as file:
        file.writelines(json.dumps([student, 1]) + "\n" for student in students)


def test_who_was_begun_once_and_never_ended_comes_last_and_alone(tmp_path):
    run(tmp_path, [])
    begun(tmp_path, "b03", "b05")
    order = []

    class Noting(Examiner):
        def exercises(self, sources, names, seeds):
            order.append(sources["saliency"])
            return super().exercises(sources, names, seeds)

    one = run(tmp_path, CLASS, Noting)
    assert order[-2:] == ["b03", "b05"]
    assert one.tally == {"passed": 40}
    begun(tmp_path, "b03")
    assert run(tmp_path, CLASS).tally == {"kept": 40}
    assert (tmp_path / "begun.jsonl").read_text() == ""


def test_who_was_begun_twice_and_never_ended_is_left_to_a_person(tmp_path):
    run(tmp_path, [])
    begun(tmp_path, "b03", "b05", "b03")
    for _ in range(2):  # the next run does not begin it again either
        run(tmp_path, CLASS)
        assert Examiner.graded["b03"] == 0
        assert Examiner.graded["b05"] == 1
        assert "the grader was ended twice" in texts(tmp_path)["b03"]
    with Journal(tmp_path) as journal, Log(tmp_path) as log:  # as --regrade b03 does
        one = Batch(COURSE, journal, log)
        one.begun.forget(["b03"])
        one.run(CLASS, Examiner, 2, tqdm(total=40, disable=True))
    assert one.tally == {"passed": 1, "kept": 39}


def test_an_interruption_marks_nobody(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, CLASS, lambda: Examiner(KeyboardInterrupt(), "b20"))
    assert (tmp_path / "begun.jsonl").read_text() == ""


@pytest.mark.parametrize("error", [UserError("no sandbox"), KeyboardInterrupt()])
def test_a_stopped_run_keeps_what_was_done_and_goes_on(tmp_path, error):
    with pytest.raises(type(error)):
        run(tmp_path, CLASS, lambda: Examiner(error, "b20"))
    done = len(texts(tmp_path))
    assert done < 40
    one = run(tmp_path, CLASS)
    assert one.tally == {"passed": 40 - done, "kept": done}
    with Journal(tmp_path) as journal:
        assert findings(tmp_path, journal) == []


def test_an_interruption_does_not_wait_for_what_is_being_graded(tmp_path, monkeypatch):
    monkeypatch.setattr(batch, "_next", lambda outcomes: (_ for _ in ()).throw(KeyboardInterrupt))
    monkeypatch.setattr(batch, "PATIENCE", 0.1)
    release = threading.Event()

    class Hanging(Examiner):
        def exercises(self, sources, names, seeds):
            release.wait()
            return super().exercises(sources, names, seeds)

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, CLASS, Hanging)
    assert texts(tmp_path) == {}
    release.set()


def test_a_full_disk_stops_the_run_and_loses_nothing(tmp_path):
    with Journal(tmp_path, new=True) as journal, Log(tmp_path) as log:
        log.add("start")
        journal.connection.execute("PRAGMA max_page_count = 6")
        with pytest.raises(OSError, match="No space left"):
            Batch(COURSE, journal, log).run(CLASS, Examiner, 2, tqdm(disable=True))
    done = texts(tmp_path)
    assert 0 < len(done) < 40
    assert run(tmp_path, CLASS).tally["kept"] == len(done)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kill -9")
def test_killed_fifty_times_nothing_is_lost_and_nothing_done_twice(tmp_path):
    program, out, summary = Path(__file__).with_name("killed.py"), tmp_path / "out", tmp_path / "summary.json"
    subprocess.run([sys.executable, program, out, summary], check=True)
    told = json.loads(summary.read_text())
    assert told["code"] == 0
    assert told["killed"] >= 10  # some children are done before
    assert len(texts(out)) == 200
    rows = [json.loads(line) for line in (out / "audit.jsonl").read_text().splitlines()]
    sure = Counter(a["student"] for a, b in pairwise(rows) if a["event"] == "result" and b["event"] == "result")
    assert max(sure.values()) == 1
    with Journal(out) as journal:
        assert findings(out, journal) == []
        assert {json.loads(text)["exercises"][0]["reason"][0] for text in journal.texts().values()} == {
            f"right, b{i:03}" for i in range(200)
        }
