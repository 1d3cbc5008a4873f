"""A submission is read in a child: what it says is what reading here says, and its death costs nobody else."""

import io
import json
import os
import signal
import threading
import time
import zipfile
from pathlib import Path

import pytest

from grading.intake.archives import MOST_INSIDE
from grading.intake.child import CouldNotBeRead, ReadingLimits
from grading.intake.contents import homes_of, read_submission
from grading.intake.reading import Reader
from grading.intake.submissions import find_submissions

HOMES = {"cosine_similarity": "5_embeddings"}
F = "def cosine_similarity(a, b):\n    return a"


def notebook(*cells: str) -> bytes:
    rows = [{"cell_type": "code", "metadata": {}, "source": cell} for cell in cells]
    return json.dumps({"cells": rows, "metadata": {}, "nbformat": 4}).encode()


def handed_in(folder: Path, name: str, content: bytes):
    (folder / "b01").mkdir(parents=True)
    (folder / "b01" / name).write_bytes(content)
    (folder / "b02").mkdir()
    (folder / "b02" / "5_embeddings.ipynb").write_bytes(notebook(F))
    return find_submissions(folder).submissions[:2]


@pytest.fixture
def reader():
    with Reader() as its:
        yield its


def test_it_says_what_reading_here_says(reader, tmp_path):
    content = notebook(
        "%time x = 1", F, "answers = {'Q1': 'A', 'Q2': ['A', 'C'], 'Q3': 1j, 'Q4': b'A', 'é': 9**99}", "x = ("
    )
    found, other = handed_in(tmp_path, "5_embeddings.ipynb", content)
    here = read_submission(found, list(HOMES), 5)
    there = reader.read(found, HOMES, 5)
    assert there.sources == here.sources != {}
    assert there.remarks == here.remarks != ()
    assert (there.digest, there.variant, there.student) == (here.digest, 5, "b01")
    assert (there.asks, there.texts, there.cells) == (here.asks, here.texts, here.cells)
    assert {name: answer for name, answer in there.answers.items() if answer} == {"Q1": "A", "Q2": ["A", "C"]}
    pid = reader._process.pid
    assert reader.read(other, homes_of(["cosine_similarity"])).sources == {"cosine_similarity": F + "\n"}
    assert reader._process.pid == pid


def test_a_zip_is_read_in_the_child(reader, tmp_path):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("b01_x/5_embeddings.ipynb", notebook(F))
        archive.writestr("b02_x/5_embeddings.ipynb", notebook(F))
    (tmp_path / "d.zip").write_bytes(file.getvalue())
    for found in find_submissions(tmp_path / "d.zip").submissions:
        assert reader.read(found, HOMES).sources == read_submission(found, list(HOMES)).sources != {}


@pytest.mark.parametrize(
    ("limits", "content", "words"),
    [
        (ReadingLimits(cpu_seconds=1), "x = f(\n'" + "a" * 400_000 + "'\n?", "1 seconds of computing|seconds to read"),
        (ReadingLimits(memory_bytes=48 * 2**20), "x = '" + "字" * 400_000 + "'", "memory|stopped with"),
        (ReadingLimits(wall_seconds=0.01), "x = 1", "0.01 seconds to read"),
    ],
)
def test_what_takes_too_much_could_not_be_read_and_the_next_is(limits, content, words, tmp_path):
    hostile, honest = handed_in(tmp_path, "5_embeddings.ipynb", notebook(content, F))
    with Reader(limits) as reader:
        start = time.monotonic()
        with pytest.raises(CouldNotBeRead) as caught:
            reader.read(hostile, HOMES)
        assert any(word in caught.value.args[0].en for word in words.split("|"))
        assert time.monotonic() - start < 20
        if limits.wall_seconds > 1:
            reader.limits = ReadingLimits()
            assert reader.read(honest, HOMES).sources


def test_the_death_of_a_reader_costs_one_submission(reader, tmp_path):
    one, other = handed_in(tmp_path, "5_embeddings.ipynb", notebook(F))
    reader.read(one, HOMES)
    pid = reader._process.pid
    os.kill(pid, signal.SIGSTOP)  # so that it dies while it is asked
    killer = threading.Timer(0.5, os.kill, (pid, signal.SIGKILL))
    killer.start()
    with pytest.raises(CouldNotBeRead):
        reader.read(one, HOMES)
    killer.join()
    assert reader.read(other, HOMES).sources


def test_an_error_of_ours_is_told_by_its_name(reader, tmp_path):
    one, _ = handed_in(tmp_path, "5_embeddings.ipynb", notebook(F))
    with pytest.raises(CouldNotBeRead, match="TypeError"):
        reader.read(one, {3: None, "cosine_similarity": None})


def directories(n: int) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for i in range(n):
            archive.writestr(f"{i}/", b"")
    return file.getvalue()


def fewer_said(data: bytes) -> bytes:
    """The record at the end says that there is one member."""
    place = data.rindex(b"PK\5\6")
    return data[: place + 8] + b"\1\0\1\0" + data[place + 12 :]


@pytest.mark.parametrize("lie", [lambda data: data, fewer_said])
def test_a_zip_of_folders_is_not_listed(lie, tmp_path):
    hostile, _ = handed_in(tmp_path, "work.zip", lie(directories(60_000)))
    start = time.monotonic()
    said = [remark.en for remark in read_submission(hostile, list(HOMES)).remarks]
    assert any(f"more than {MOST_INSIDE} files" in text for text in said)
    assert time.monotonic() - start < 1


def test_a_script_of_marks_is_read_in_no_time_and_memory(reader, tmp_path):
    hostile, _ = handed_in(tmp_path, "a.py", b"#%%\n" * 5_000_000)
    assert reader.read(hostile, HOMES).sources == {}
    assert reader._process is not None  # it was not worn out
