"""The journal keeps what it was given, whatever happens to the program, and says in words when it cannot."""

import json
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import textwrap

import pytest

from grading.cli import main
from grading.running.journal import Journal, text_of
from grading.running.rules import Course, course_data
from grading.verdict.results import Answered, Graded, OutputPair, Result, from_data
from grading.words import Text
from hw_xai.errors import UserError

RESULT = Result(
    "b01",
    "王 \ud800 <b>",
    (Graded("saliency", "failed", 0, 2, Text("no", "否"), picture=OutputPair([[1.0]], [[2.0]])),),
    (Answered("Q1", 0.3, 0.3),),
    (Text("late", "遲交"),),
    0.5,
)


def test_what_is_written_is_there_again(tmp_path):
    with Journal(tmp_path, new=True) as journal:
        secret = journal.secret
        journal.write("b02", "k", text_of(RESULT), {}, "head")
        journal.write("b01", "k", text_of(RESULT), {"saliency": "def \ud800"}, "head 2")
        journal.keep("course", {"a": 1})
    with Journal(tmp_path) as journal:
        assert journal.secret == secret
        assert list(journal.results()) == [RESULT, RESULT]
        assert list(journal.sources().items()) == [("b01", {"saliency": "def \ud800"}), ("b02", {})]
        assert journal.keys() == {"b01": "k", "b02": "k"}
        assert journal.recall("audit") == "head 2"
        assert journal.recall("nothing") is None


def test_results_without_the_newest_fields_are_read(tmp_path):
    old = json.loads(text_of(RESULT))
    del old["platform_id"]
    assert from_data(old) == RESULT


@pytest.mark.parametrize("name", ["course", "roster", "remarks"])
@pytest.mark.parametrize("value", ["{", '{"x": 1}', "[5]", "5"])
def test_a_broken_fact_is_one_sentence(tmp_path, name, value, capsys):
    with Journal(tmp_path, new=True) as journal:
        journal.write("b01", "k", text_of(RESULT), {}, "")
        journal.keep("course", course_data(Course(points={"saliency": 2.0}, seeds=(5,))))
        journal.connection.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value))
    assert main(["report", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert "is damaged: restore it" in said
    assert said.count("\n") == 1


@pytest.mark.parametrize("column", ["result", "sources"])
def test_a_broken_row_is_one_sentence(tmp_path, column):
    with Journal(tmp_path, new=True) as journal:
        journal.write("b01", "k", text_of(RESULT), {}, "")
        journal.connection.execute(f"UPDATE results SET {column} = '[1'")
        with pytest.raises(UserError, match="is damaged"):
            list(journal.results()), journal.sources()


@pytest.mark.parametrize("command", ["report", "audit"])
def test_a_file_is_no_folder(tmp_path, command, capsys):
    (tmp_path / "out").write_text("x")
    assert main([command, str(tmp_path / "out")]) == 2
    assert f"OUT must be a folder, and {tmp_path / 'out'} is a file" in capsys.readouterr().err


def test_marked_results_stay_until_they_are_written_again(tmp_path):
    with Journal(tmp_path, new=True) as journal:
        journal.write("b01", "k", text_of(RESULT), {}, "")
        journal.again({"b01": [], "nobody": []})
        assert journal.keys() == {"b01": ""}
        assert list(journal.results()) == [RESULT]


def test_only_its_owner_reads_it(tmp_path):
    with Journal(tmp_path, new=True) as journal:
        journal.keep("a", 1)
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert set(modes.values()) == {0o600}


def test_a_second_program_is_refused_and_the_first_goes_on(tmp_path):
    with Journal(tmp_path, new=True) as journal:
        with pytest.raises(UserError, match="in use by another hw-grade"):
            Journal(tmp_path, new=True)
        journal.keep("a", 1)
    with Journal(tmp_path) as journal:
        assert journal.recall("a") == 1


@pytest.mark.parametrize("content", [b"no database at all " * 100, b"SQLite format 3\0" + bytes(5000)])
def test_a_damaged_journal_is_one_sentence(tmp_path, content):
    (tmp_path / "journal.sqlite").write_bytes(content)
    with pytest.raises(UserError, match="is damaged"):
        Journal(tmp_path)


def test_damage_in_the_middle_is_seen(tmp_path):
    with Journal(tmp_path, new=True) as journal:
        for i in range(200):
            journal.write(f"b{i}", "k", text_of(RESULT), {}, "")
    path = tmp_path / "journal.sqlite"
    content = bytearray(path.read_bytes())
    content[8192:24576] = os.urandom(16384)
    path.write_bytes(content)
    with pytest.raises(UserError, match="is damaged"):
        Journal(tmp_path)


def test_newer_formats_and_other_programs_are_refused(tmp_path):
    Journal(tmp_path, new=True).connection.close()
    with sqlite3.connect(tmp_path / "journal.sqlite") as connection:
        connection.execute("PRAGMA user_version = 2")
    connection.close()
    with pytest.raises(UserError, match="must have format 1, got 2"):
        Journal(tmp_path)
    with sqlite3.connect(tmp_path / "journal.sqlite") as connection:
        connection.execute("PRAGMA application_id = 5")
    connection.close()
    with pytest.raises(UserError, match="another program"):
        Journal(tmp_path)


def test_where_there_is_none(tmp_path):
    with pytest.raises(UserError, match="must be a folder that hw-grade run has written"):
        Journal(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_disk_that_fails_is_an_oserror(tmp_path):
    with Journal(tmp_path, new=True) as journal:
        journal.connection.execute("PRAGMA max_page_count = 8")
        with pytest.raises(OSError, match="No space left"):
            journal.write("b01", "k", "x" * 100_000, {}, "")
        journal.write("b01", "k", text_of(RESULT), {}, "")
        assert list(journal.results()) == [RESULT]


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_killed_while_writing_it_has_all_that_was_told(tmp_path):
    script = """
        import sys
        from pathlib import Path
        from grading.running.journal import Journal
        journal = Journal(Path(sys.argv[1]), new=True)
        for i in range(10**6):
            journal.write(f"b{i:07}", "k", "{}" * 2000, {}, str(i))
            print(i, flush=True)
    """
    child = subprocess.Popen([sys.executable, "-c", textwrap.dedent(script), tmp_path], stdout=subprocess.PIPE)
    told = [child.stdout.readline() for _ in range(20)]
    child.send_signal(signal.SIGKILL)
    told += child.stdout.readlines()
    child.wait()
    child.stdout.close()
    last = int([line for line in told if line.endswith(b"\n")][-1])
    with Journal(tmp_path) as journal:
        assert len(journal.keys()) in (last + 1, last + 2)
        assert journal.recall("audit") == str(len(journal.keys()) - 1)
