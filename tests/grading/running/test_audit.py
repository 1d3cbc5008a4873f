"""The audit log shows whatever was changed, removed, inserted or cut off, and nothing where all is in order."""

import json
from pathlib import Path

import pytest

from grading.cli import main
from grading.running.audit import Log, final_files, findings
from grading.running.journal import Journal, hash_of


@pytest.fixture
def out(tmp_path) -> Path:
    """A folder with three results and their files."""
    with Journal(tmp_path, new=True) as journal, Log(tmp_path) as log:
        log.add("start")
        for student in ("b01", "b02", "b03"):
            head = log.add("result", student=student, result=hash_of(f"of {student}"))
            journal.write(student, "k", f"of {student}", {}, head)
            (tmp_path / f"{student}.html").write_text(student)
        log.add("report", files=final_files(tmp_path))
        journal.keep("audit", log.add("stop"))
    return tmp_path


def found(out) -> list[str]:
    with Journal(out) as journal:
        return findings(out, journal)


def test_nothing_is_found_where_all_is_in_order(out, capsys):
    assert found(out) == []
    assert main(["audit", str(out)]) == 0
    assert "all of 3 results" in capsys.readouterr().out


def edited(out, edit) -> list[str]:
    path = out / "audit.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    edit(lines)
    path.write_bytes(b"".join(lines))
    return found(out)


@pytest.mark.parametrize(
    ("edit", "sentence"),
    [
        (lambda lines: lines.__setitem__(2, lines[2].replace(b"b02", b"b09")), "line 4: it does not follow"),
        (lambda lines: lines.pop(2), "line 3: it does not follow"),
        (lambda lines: lines.insert(2, lines[1]), "line 3: it does not follow"),
        (lambda lines: lines.insert(2, b"not json\n"), "line 3: it does not follow"),
        (lambda lines: lines.insert(2, b"[1]\n"), "line 3: it does not follow"),
        (lambda lines: lines.__setitem__(slice(1, 3), [lines[2], lines[1]]), "line 2: it does not follow"),
        (lambda lines: lines.pop(0), "beginning of the log is missing"),
        (lambda lines: lines.pop(), "cut off or rewritten"),
        (lambda lines: lines.clear(), "cut off or rewritten"),
        (lambda lines: lines.__setitem__(-1, lines[-1].replace(b"stop", b"halt")), "cut off or rewritten"),
    ],
)
def test_a_changed_log_shows(out, edit, sentence):
    assert any(sentence in finding for finding in edited(out, edit))


def test_a_changed_journal_shows(out, capsys):
    with Journal(out) as journal:
        journal.connection.execute("UPDATE results SET result = 'better' WHERE student = 'b01'")
        journal.connection.execute("DELETE FROM results WHERE student = 'b02'")
        journal.connection.execute("INSERT INTO results VALUES ('b04', '', '', '')")
    assert found(out) == [
        "b01: the result in the journal is not the one that was graded",
        "b04: a result is in the journal that was never graded",
        "b02: the result was removed from the journal",
    ]
    assert main(["audit", str(out)]) == 1
    assert "3 findings" in capsys.readouterr().out


def test_changed_files_show(out):
    (out / "b01.html").write_text("better")
    (out / "b02.html").unlink()
    (out / "b04.html").write_text("b04")
    assert found(out) == [
        "b01.html: the file was changed",
        "b02.html: the file was removed",
        "b04.html: the file was added",
    ]


def test_a_log_that_is_gone_shows(out):
    (out / "audit.jsonl").unlink()
    assert found(out) == ["audit.jsonl is missing"]


def test_a_kill_between_log_and_journal_is_no_finding(out):
    with Log(out) as log:
        log.add("start")
        log.add("result", student="b01", result="of a later grading")
    assert found(out) == []
    with Log(out) as log:
        log.add("start")
        log.add("result", student="b01", result=hash_of("of b01"))
    assert found(out) == []


def test_half_a_line_is_dropped_and_the_chain_goes_on(out):
    with (out / "audit.jsonl").open("ab") as file:
        file.write(b'{"time": "half')
    with Log(out) as log:
        log.add("start")
    assert found(out) == []
    assert json.loads((out / "audit.jsonl").read_text().splitlines()[-1])["event"] == "start"
