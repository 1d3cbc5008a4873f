"""Whatever is killed at whatever moment, however the disk fails: the final files are those of an undisturbed run."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Container
from contextlib import suppress
from pathlib import Path

import pytest

psutil = pytest.importorskip("psutil")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="signals and tmpfs of Linux"),
]
RIGHT = """
import torch
def cosine_similarity(a, b):
    return torch.nn.functional.cosine_similarity(a[:, None], b[None], dim=2)
def euclidean_distance(a, b):
    return torch.cdist(a, b)
"""
WORKS = [
    RIGHT,
    RIGHT.replace("torch.nn.functional.cosine_similarity(a[:, None], b[None], dim=2)", "a @ b.T"),
    RIGHT.replace("torch.cdist(a, b)", "torch.cdist(a, b) / 2"),
    "import os\ndef euclidean_distance(a, b):\n    os._exit(1)\n",
    "def cosine_similarity(a, b):\n    return a / 0\n",
]
OPTIONS = ["--only", "cosine_similarity,euclidean_distance", "--no-questions", "--jobs", "2", "--seed", "5"]


@pytest.fixture(scope="module")
def handed(tmp_path_factory) -> Path:
    """Two hundred tiny submissions."""
    folder = tmp_path_factory.mktemp("handed")
    for i in range(200):
        (folder / f"b{i:03}.py").write_text(f"# {i}\n{WORKS[i % len(WORKS)]}")
    return folder


def start(handed: Path, out: Path, *more: str) -> psutil.Popen:
    command = [sys.executable, "-m", "grading.cli", "run", str(handed), "--out", str(out), *OPTIONS, *more]
    return psutil.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background jobs ignore it
    )


def end(process: psutil.Popen) -> tuple[int, str]:
    said, _ = process.communicate(timeout=1200)
    return process.returncode, said


def rows(out: Path) -> list[dict]:
    log = out / "audit.jsonl"
    lines = log.read_text().splitlines() if log.exists() else []
    return [json.loads(line) for line in lines if line.endswith("}")]


def graded(out: Path) -> int:
    return sum(row["event"] == "result" for row in rows(out))


def files(out: Path) -> dict[str, bytes]:
    """Return the final files: all but the journal and the log, which knows of times."""
    ours = ("journal.sqlite", "audit.jsonl")
    found = (path for path in out.rglob("*") if path.is_file() and not path.name.startswith(ours))
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in found}


def graded_twice(out: Path) -> Counter:
    """Return who was graded again although the journal had the result: not where a kill fell behind the line."""
    log = rows(out)
    sure = [
        a["student"]
        for a, b in zip(log, [*log[1:], {"event": "start"}], strict=True)
        if a["event"] == "result" and b["event"] != "start"
    ]
    return Counter({student: times for student, times in Counter(sure).items() if times > 1})


@pytest.fixture(scope="module")
def undisturbed(handed, tmp_path_factory) -> dict[str, bytes]:
    out = tmp_path_factory.mktemp("undisturbed")
    code, said = end(start(handed, out))
    assert code == 0, said
    assert len([name for name in files(out) if name.endswith("feedback.html")]) == 200
    return files(out)


def ungraded(out: Path) -> set[str]:
    """Return whose exercises were not graded, for the grader's own processes were killed again and again."""
    results = json.loads(files(out)["class.json"])["results"]
    return {row["student"] for row in results if any(part["status"] == "not_graded" for part in row["exercises"])}


def check(out: Path, undisturbed: dict[str, bytes], again: Container[str] = ()) -> None:
    differing = {name for name in undisturbed.keys() | files(out) if undisturbed.get(name) != files(out).get(name)}
    assert not differing
    assert not [student for student in graded_twice(out) if student not in again]
    audit = subprocess.run([sys.executable, "-m", "grading.cli", "audit", out], capture_output=True, text=True)
    assert audit.returncode == 0, audit.stdout


def test_supervisor_killed_twenty_times(handed, undisturbed, tmp_path):
    rng = random.Random(1)
    for _ in range(20):
        process, before = start(handed, tmp_path), graded(tmp_path)
        some = rng.randint(0, 12)
        while process.poll() is None and graded(tmp_path) < before + some:
            time.sleep(0.01)
        time.sleep(rng.uniform(0, 0.3))
        process.kill()
        end(process)
    code, said = end(start(handed, tmp_path))
    assert code == 0, said
    check(tmp_path, undisturbed)


def test_template_monitor_and_student_processes_killed_twenty_times(handed, undisturbed, tmp_path):
    rng, killed, seen = random.Random(2), 0, 0
    process = start(handed, tmp_path)
    while process.poll() is None:
        time.sleep(rng.uniform(0.05, 0.5))
        with suppress(psutil.Error, IndexError):
            if killed < 20 and graded(tmp_path) > seen + 3:  # else a fresh template would be killed again and again
                rng.choice(process.children(recursive=True)).kill()
                killed, seen = killed + 1, graded(tmp_path)
    code, said = end(process)
    assert code == 0, said
    assert killed >= 10
    if again := ungraded(tmp_path):
        assert end(start(handed, tmp_path))[0] == 0
    check(tmp_path, undisturbed, again)


def test_dask_workers_killed_ten_times(handed, undisturbed, tmp_path):
    rng, killed, seen = random.Random(3), 0, 0
    process = start(handed, tmp_path, "--dask", "local:2")
    while process.poll() is None:
        time.sleep(rng.uniform(0.1, 1))
        with suppress(psutil.Error, IndexError):
            workers = [one for one in process.children() if "spawn_main" in " ".join(one.cmdline())]
            if killed < 10 and graded(tmp_path) > seen + 5:
                rng.choice(workers).kill()
                killed, seen = killed + 1, graded(tmp_path)
    code, said = end(process)
    assert code == 0, said
    assert killed >= 3
    if again := ungraded(tmp_path):
        assert end(start(handed, tmp_path))[0] == 0
    check(tmp_path, undisturbed, again)


def test_ctrl_c_stops_at_once_and_says_how_to_go_on(handed, undisturbed, tmp_path):
    process = start(handed, tmp_path)
    while graded(tmp_path) < 5 and process.poll() is None:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    code, said = end(process)
    assert code == 130
    assert said.strip().splitlines()[-1].endswith("of 200 are done; the same command goes on from here")
    assert "Traceback" not in said
    assert end(start(handed, tmp_path))[0] == 0
    check(tmp_path, undisturbed)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="mounting needs root")
def test_a_full_and_a_read_only_disk(handed, undisturbed, tmp_path):
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", tmp_path], capture_output=True).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        code, said = end(start(handed, tmp_path / "out"))
        assert code == 2, said
        assert "the disk is full" in said.strip().splitlines()[-1]
        assert "Traceback" not in said
        subprocess.run(["mount", "-o", "remount,ro", tmp_path], check=True)
        code, said = end(start(handed, tmp_path / "out"))
        assert code == 2
        assert "cannot use" in said.strip().splitlines()[-1]
        subprocess.run(["mount", "-o", "remount,rw,size=100m", tmp_path], check=True)
        code, said = end(start(handed, tmp_path / "out"))
        assert code == 0, said
        assert "kept=" in said
        check(tmp_path / "out", undisturbed)
    finally:
        subprocess.run(["umount", tmp_path], check=True)


JUMPING = """
import sys, time
now, calls = time.time, [0]
def jumping():
    calls[0] += 1
    return now() - 3600 * (calls[0] % 50)
time.time = jumping
from grading.cli import main
sys.exit(main(sys.argv[1:]))
"""


def test_a_clock_that_jumps_back(handed, undisturbed, tmp_path):
    command = [sys.executable, "-c", JUMPING, "run", handed, "--out", tmp_path, *OPTIONS]
    assert subprocess.run(command, capture_output=True).returncode == 0
    check(tmp_path, undisturbed)
