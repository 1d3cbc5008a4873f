"""Reads each submission in a child process that may die of it: the supervisor never parses what a student wrote.

Covers: files that take endless time, all the memory or the reader's life to parse, whatever the trick: the child has
limits on computing, on memory and by the clock, what it says is JSON of bounded size, and its death costs that
submission only. It is kept for the next submission as long as it lives, for it costs more to start than to read.
Does not cover: a fault of Python's parsers by which a file could take the child over; the child runs nothing of what it
reads, and holds no answer.
"""

import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path

from ..words import Text
from .archives import Entry, File
from .contents import read_submission
from .submission import Submission
from .submissions import Found

MB = 2**20
LARGEST_REPLY = 64 * MB
TIRED = 300 * MB  # of memory that a reader keeps: it is replaced
ENDING = 2.0  # seconds for a reader to end by itself


@dataclass(frozen=True)
class ReadingLimits:
    """What reading one submission may use. A large homework needs half a second and 60 MB."""

    cpu_seconds: int = 8
    wall_seconds: float = 40.0  # for slow disks, and for machines with more to do than processors
    memory_bytes: int = 1024 * MB  # of address space


class CouldNotBeRead(Exception):
    """The child ended or fell silent; args[0] says why, as a Text. The submission is the cause, or a full machine."""


class Reader:
    """A child process that reads one submission after another, made when it is first asked; for one thread."""

    def __init__(self, limits: ReadingLimits = ReadingLimits()):
        self.limits = limits
        self._process: subprocess.Popen | None = None
        self._connection: socket.socket | None = None
        self._code: int | None = None

    def read(self, found: Found, homes: Mapping[str, str], variant: int | None = None) -> Submission:
        """Return what was handed in. CouldNotBeRead: no reader survived it. homes: exercise -> its notebook's name."""
        request = _found_data(found) | {"homes": dict(homes), "variant": variant}
        try:
            self._begin()
            data = self._ask(json.dumps(request).encode(), time.monotonic() + self.limits.wall_seconds)
        except BaseException as error:
            self._kill()
            if isinstance(error, EOFError | OSError):
                raise CouldNotBeRead(self._why(error)) from None
            raise
        if data.get("last"):
            self.close()
        if "error" in data:
            raise CouldNotBeRead(MEMORY if data["error"] == "MemoryError" else _stopped(str(data["error"])))
        return _submission_from(data, found)

    def close(self) -> None:
        """Hang up, upon which it ends, and wait for it."""
        if self._connection:
            self._connection.close()
        if self._process:
            try:
                self._process.wait(ENDING)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._process = self._connection = None

    def __enter__(self) -> "Reader":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _begin(self) -> None:
        if self._process and self._process.poll() is None:
            return
        self._connection, theirs = socket.socketpair()
        start = f"import sys; sys.path[:] = {sys.path!r}; from grading.intake.reading import main; "
        with theirs:
            command = f"{start}main({theirs.fileno()}, {json.dumps(asdict(self.limits))!r})"
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-X", "utf8", "-c", command],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # Ctrl-C is for the supervisor
            )

    def _ask(self, request: bytes, deadline: float) -> dict:
        self._connection.settimeout(max(0.001, deadline - time.monotonic()))
        self._connection.sendall(len(request).to_bytes(8) + request)
        size = int.from_bytes(_receive(self._connection, 8, deadline))
        if size > LARGEST_REPLY:
            raise OSError("a reader said more than it ever does")
        data = json.loads(_receive(self._connection, size, deadline))
        if not isinstance(data, dict):
            raise OSError("a reader said what it never says")
        return data

    def _kill(self) -> None:
        """End the child at once; its exit code tells what its limits did."""
        if self._connection:
            self._connection.close()
        if self._process:
            try:
                self._code = self._process.wait(0.2)  # where it died by itself: of what
            except subprocess.TimeoutExpired:
                self._code = None
                self._process.kill()
                self._process.wait()
        self._process = self._connection = None

    def _why(self, error: Exception) -> Text:
        if isinstance(error, TimeoutError):
            return Text(
                f"it takes more than {self.limits.wall_seconds:g} seconds to read",
                f"讀取時間超過 {self.limits.wall_seconds:g} 秒",
            )
        seconds = self.limits.cpu_seconds
        if self._code == -signal.SIGXCPU:
            return Text(
                f"it takes more than {seconds} seconds of computing to read", f"讀取所需的運算時間超過 {seconds} 秒"
            )
        return MEMORY if self._code == -signal.SIGKILL else _stopped(f"exit code {self._code}")


MEMORY = Text("it takes too much memory to read", "讀取所需的記憶體過多")


def _stopped(what: str) -> Text:
    return Text(f"its reader stopped with {what}", f"讀取程序因 {what} 而中止")


def _receive(connection: socket.socket, size: int, deadline: float) -> bytes:
    data = bytearray()
    while len(data) < size:
        ready, _, _ = select.select([connection], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            raise TimeoutError
        if not (part := connection.recv(min(MB, size - len(data)))):
            raise EOFError
        data += part
    return bytes(data)


# ------------------------------------------------------------------------------------------------------- in the child


def main(descriptor: int, limits: str) -> None:
    """Read submissions until the supervisor hangs up."""
    import resource  # late: Windows has none

    its = ReadingLimits(**json.loads(limits))
    with suppress(OSError):  # not Linux
        Path("/proc/self/oom_score_adj").write_text("800")  # short of memory, this one ends and not the supervisor
    for name, value in (("AS", its.memory_bytes), ("CORE", 0), ("FSIZE", 0)):
        _, hard = resource.getrlimit(which := getattr(resource, f"RLIMIT_{name}"))
        with suppress(OSError, ValueError):  # macOS refuses some
            resource.setrlimit(which, (value if hard == resource.RLIM_INFINITY else min(value, hard), hard))
    connection = socket.socket(fileno=descriptor)
    while head := connection.recv(8, socket.MSG_WAITALL):
        request = json.loads(connection.recv(int.from_bytes(head), socket.MSG_WAITALL))
        _, hard = resource.getrlimit(resource.RLIMIT_CPU)
        usage = resource.getrusage(resource.RUSAGE_SELF)
        resource.setrlimit(resource.RLIMIT_CPU, (int(usage.ru_utime + usage.ru_stime) + 1 + its.cpu_seconds, hard))
        data = _answer(request)
        data["last"] = "error" in data or _resident() > TIRED
        reply = json.dumps(data).encode()
        connection.sendall(len(reply).to_bytes(8) + reply)


def _resident() -> int:
    """Return the bytes in memory; not ru_maxrss, which begins with that of the supervisor."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:  # not Linux
        return 0


def _answer(request: dict) -> dict:
    try:
        return _submission_data(read_submission(_found_from(request), request["homes"], request["variant"]))
    except Exception as error:
        return {"error": type(error).__name__}


# ------------------------------------------------------------------------------------------------------------- travel


def _found_data(found: Found) -> dict:
    files = [
        asdict(file) | {"path": str(file.path), "changed": file.changed and file.changed.isoformat()}
        for file in found.files
    ]
    return {"student": found.student, "files": files, "remarks": found.remarks}


def _found_from(data: dict) -> Found:
    def file(row: dict) -> File:
        return File(
            row["name"],
            Path(row["path"]),
            row["entry"] and Entry(**row["entry"]),
            row["size"],
            row["changed"] and datetime.fromisoformat(row["changed"]),
            row["fault"] and Text(*row["fault"]),
        )

    remarks = tuple(Text(*remark) for remark in data["remarks"])
    return Found(data["student"], files=tuple(map(file, data["files"])), remarks=remarks)


def _submission_data(read: Submission) -> dict:
    return {
        "sources": dict(read.sources),
        "answers": {name: _plain(answer) for name, answer in read.answers.items()},
        "variant": read.variant,
        "remarks": read.remarks,
        "digest": read.digest,
        "asks": dict(read.asks),
        "texts": dict(read.texts),
        "cells": dict(read.cells),
    }


def _submission_from(data: dict, found: Found) -> Submission:
    """Return the submission; who handed it in and when is what the supervisor knew before."""
    about = Submission(
        found.student, found.name, submitted=found.submitted, late=found.late, platform_id=found.platform_id
    )
    return replace(
        about,
        sources=data["sources"],
        answers=data["answers"],
        variant=data["variant"],
        remarks=tuple(Text(*remark) for remark in data["remarks"]),
        digest=data["digest"],
        asks={name: Text(*why) for name, why in data["asks"].items()},
        texts=data["texts"],
        cells={name: tuple(its) for name, its in data["cells"].items()},
    )


def _plain(answer: object) -> object:
    """Return an answer as JSON can hold it: texts and lists of them, 0 for whatever can be no answer anyway."""
    if isinstance(answer, list | tuple) and all(isinstance(letter, str) for letter in answer):
        return list(answer)
    return answer if isinstance(answer, str) else 0
