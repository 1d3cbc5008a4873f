"""Every attack, on every tier: no more than its honest score, told in words, no canary reached, neighbours unharmed."""

import importlib
import json
import os
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from attack import DISTANCE, PREAMBLE, RIGHT, Attack

from grading.intake.submission import Submission
from grading.isolation.sandbox import Limits, Reply, Sandbox
from grading.running.grade import grade
from grading.running.rules import Course
from grading.verdict.results import as_data

MB = 2**20
LIMITS = Limits(wall_seconds=4, cpu_seconds=10, memory_bytes=300 * MB, file_bytes=2 * MB, tmp_bytes=4 * MB)
THEMES = ("patching", "snooping", "ending", "hogging", "lying", "importing", "escaping", "between", "kernel")
ATTACKS = {f"{theme}-{one.name}": one for theme in THEMES for one in importlib.import_module(theme).ATTACKS}
ROOT = Path(__file__).parents[2]
PLACES = [Path(p) for p in ("/tmp", "/dev/shm", "/var/tmp", "/", ROOT)]


def canary() -> str:
    return f"CANARY-{secrets.token_hex(12)}"


class Canaries:
    """Secrets in files, in a process's environment and memory, in a key and in a student's code; and servers."""

    def __init__(self, folder: Path):
        self.file, self.public, self.key, self.student, self.secret = (canary() for _ in range(5))
        self.token = f"left-{secrets.token_hex(8)}"
        self.folder = folder
        self.written = {"private": self.file, "public": self.public, "out/results.json": self.secret,
                        "out/other.ipynb": self.student, "out/grading_key.json": self.key}  # fmt: skip
        (folder / "out").mkdir()
        for name, text in self.written.items():
            (folder / name).write_text(text)
            (folder / name).chmod(0o600 if name == "private" else 0o666)
        for place in (folder, folder / "out"):
            place.chmod(0o777)
        self.process = subprocess.Popen(["sleep", "100000"], env={"SECRET": self.secret})
        self.servers = [socket.create_server(("127.0.0.1", 0)), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)]
        self.servers[1].bind(("127.0.0.1", 0))
        for name in (f"{folder}/socket", f"\0{self.token}"):
            self.servers.append(socket.socket(socket.AF_UNIX))
            self.servers[-1].bind(name)
            self.servers[-1].listen()
        (folder / "socket").chmod(0o777)
        for server in self.servers:
            server.setblocking(False)
        self.before = self.state()

    def targets(self, sandbox: Sandbox) -> dict:
        folder = str(self.folder)
        return {
            "needle": ["CAN", "ARY-"],
            "token": self.token + "x",
            "root": str(ROOT),
            "files": [f"{folder}/private", f"{folder}/public"],
            "results": [f"{folder}/{name}" for name in self.written if name.startswith("out/")],
            "folders": [f"{folder}/out", folder],
            "pids": [self.process.pid, os.getpid(), sandbox._template.process.pid],
            "tcp": self.servers[0].getsockname()[1],
            "udp": self.servers[1].getsockname()[1],
            "unix": [f"{folder}/socket", f"\0{self.token}"],
        }

    def state(self) -> dict:
        """Return what nobody may change: our files, and files that bear the token anywhere."""
        files = {path.relative_to(self.folder).as_posix(): (path.stat().st_mode, path.stat().st_size)
                 for path in sorted(self.folder.rglob("*"))}  # fmt: skip
        texts = {name: (self.folder / name).read_text() for name in self.written}
        return {"files": files, "texts": texts, "left": [str(p) for place in PLACES for p in place.glob("left-*")
                                                         if self.token in p.name]}  # fmt: skip

    def visitors(self) -> int:
        """Return how many came to one of the servers."""
        count = 0
        for server in self.servers:
            try:
                server.recv(100) if server.type == socket.SOCK_DGRAM else server.accept()[0].close()
                count += 1
            except BlockingIOError:
                pass
        return count

    def found_in(self, data: bytes) -> bool:
        return any(one.encode() in data for one in (self.file, self.public, self.key, self.student, self.secret))

    def close(self) -> None:
        for server in self.servers:
            server.close()
        self.process.kill()
        self.process.wait()


class Listening:
    """A sandbox that keeps its replies, for what a student's code printed is in no result."""

    def __init__(self, box: Sandbox):
        self.box, self.isolation, self.replies = box, box.isolation, []

    def run(self, *arguments) -> Reply:
        self.replies.append(self.box.run(*arguments))
        return self.replies[-1]

    def heard(self) -> bytes:
        arrays = [a for reply in self.replies for answer in reply.answers or () for a in answer]
        said = [part.encode(errors="replace") for r in self.replies for part in (r.output, *r.reason)]
        narrow = [a.astype("u1") for a in arrays if a.dtype.kind in "biu"]  # letters as numbers
        return b"\n".join([*said, *(a.tobytes() for a in [*arrays, *narrow])])


@pytest.fixture(scope="module")
def canaries(tmp_path_factory) -> Iterator[Canaries]:
    import tempfile

    with tempfile.TemporaryDirectory(prefix="attacks-") as folder, pytest.MonkeyPatch.context() as patch:
        its = Canaries(Path(folder))
        patch.setenv("HW_GRADE_SECRET", its.secret)
        yield its
        its.close()


@pytest.fixture(scope="module", params=["bubblewrap", "process"])
def sandbox(request, canaries, open_sandbox) -> Iterator[Sandbox]:
    with open_sandbox(request.param, LIMITS) as box:
        box.honest = neighbour(box, canaries)
        assert json.loads(box.honest)["exercises"][0]["points"] == 1
        yield box


def course(canaries: Canaries) -> Course:
    points = {"cosine_similarity": 1.0, "euclidean_distance": 1.0}
    return Course(points, seeds=(1000003, 1000033), key={"Q1": frozenset({canaries.key})})


def neighbour(box: Sandbox, canaries: Canaries) -> bytes:
    """Return the result of an honest student, whose code holds a secret."""
    source = f'{RIGHT}\nsecret = "{canaries.student}"  # {canaries.student}\n'
    submission = Submission("b10", "Honest", {"cosine_similarity": source, "euclidean_distance": DISTANCE})
    its = course(canaries)
    return json.dumps(as_data(grade(submission, its, box))).encode()


@pytest.mark.parametrize(
    "attack",
    [pytest.param(one, id=name, marks=[pytest.mark.slow] * one.slow) for name, one in ATTACKS.items()],
)
def test_attack(attack: Attack, sandbox, canaries):
    box = Listening(sandbox)
    submission = Submission("b66", "Hostile", attack.sources(canaries.targets(sandbox)))
    result = grade(submission, course(canaries), box)
    hostile, honest = result.exercises
    assert hostile.points <= attack.honest, hostile
    assert honest.points == 1, honest
    assert result.points <= attack.honest + 1
    assert hostile.status in attack.ends.split("|"), hostile
    assert any(word in hostile.reason.en for word in attack.says.split("|")), hostile.reason.en
    for graded in result.exercises:
        in_words(graded.reason)
        assert graded.isolation == sandbox.isolation
    heard = box.heard() + json.dumps(as_data(result), ensure_ascii=False).encode(errors="replace")
    assert b"REACHED" not in heard, heard[heard.index(b"REACHED") :][:300]
    assert not canaries.found_in(heard)
    assert canaries.visitors() == 0
    assert canaries.process.poll() is None
    assert canaries.state() == canaries.before
    assert not left_over(sandbox)
    assert neighbour(sandbox, canaries) == sandbox.honest
    assert canaries.state() == canaries.before  # nor later


def in_words(reason) -> None:
    assert 5 <= len(reason.en) < 600 or reason.en == "right"
    assert any("\u4e00" <= sign <= "\u9fff" for sign in reason.zh), reason
    for text in reason:
        assert "\n" not in text
        assert "Traceback" not in text
        assert 'File "' not in text


def left_over(box: Sandbox, patience: float = 5.0) -> list[str]:
    """Return the processes that an exercise left: below the template, or a student's that nobody watches."""
    deadline = time.monotonic() + patience
    while (found := _living(box)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


def _living(box: Sandbox) -> list[str]:
    rows = {}
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit():
                state, parent = entry.joinpath("stat").read_text().rpartition(")")[2].split()[:2]
                command = entry.joinpath("cmdline").read_bytes()
                rows[int(entry.name)] = (state, int(parent), entry.stat().st_uid, command)
        except OSError:
            continue
    template = box._template.process.pid
    tree, below = {template}, set()
    while tree:
        tree = {pid for pid, row in rows.items() if row[1] in tree}
        below |= tree
    inner = {pid for pid in below if rows[pid][0] != "Z" and rows[pid][3]}
    users = box._way.users or (1, 0)
    lost = [pid for pid, (state, parent, user, _) in rows.items() if users[0] <= user < users[1] and state != "Z"
            and b"inside.worker" not in rows.get(parent, (0, 0, 0, b""))[3]]  # fmt: skip
    quiet = box.quiet = getattr(box, "quiet", None) or inner  # bubblewrap's own first process, and the template in it
    return [f"{pid}: {rows[pid]}" for pid in [*lost, *(inner - quiet)]]


def test_the_corpus_is_large_and_every_attack_is_told_apart():
    assert len(ATTACKS) == sum(len(importlib.import_module(theme).ATTACKS) for theme in THEMES) >= 80
    assert all(one.tries and one.ends and one.says for one in ATTACKS.values())


def test_who_looks_for_a_canary_does_not_find_the_own_needle(canaries, sandbox):
    names: dict = {}
    exec(PREAMBLE.format(targets=canaries.targets(sandbox)), names)
    needle = b"".join(part.encode() for part in names["T"]["needle"])
    assert names["canaries_in"](b"\0" + needle + b"\0A\0" + needle + b"[0-9a-f]{24}") == []
    assert names["canaries_in"](b"\0" + canaries.file.encode() + b"\0") == [canaries.file]


def test_the_traps_work(canaries, sandbox):
    """Who is not contained does reach the canaries: else the tests above would prove nothing."""
    targets = canaries.targets(sandbox)
    assert canaries.found_in(Path(targets["files"][0]).read_bytes())
    assert canaries.found_in(Path(f"/proc/{targets['pids'][0]}/environ").read_bytes())
    with socket.create_connection(("127.0.0.1", targets["tcp"])):
        assert canaries.visitors() == 1
    left = Path("/tmp") / (targets["token"] + "-probe")
    left.touch()
    assert canaries.state() != canaries.before
    left.unlink()
    os.kill(canaries.process.pid, signal.SIGCONT)
