"""Parses strangers' text in a child process that may die of it: the supervisor never parses what a student wrote.

Covers: files that take endless time, all the memory or the parser's life, whatever the trick: the child has limits on
computing, on memory and by the clock, what it says is JSON of bounded size, and its death costs that text only. It is
kept for the next one as long as it lives, for it costs more to start than to read.
Does not cover: a fault of Python's parsers by which a file could take the child over; the child runs nothing of what it
reads, and holds no answer.
"""

import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from ..words import Text

MB = 2**20
LARGEST_REPLY = 64 * MB
TIRED = 300 * MB  # of memory that a child keeps: it is replaced
ENDING, DYING = 2.0, 0.2  # seconds for a child to end by itself, and for one that its limits may have ended


@dataclass(frozen=True)
class ReadingLimits:
    """What one text may use. A large homework needs half a second and 60 MB."""

    cpu_seconds: int = 8
    wall_seconds: float = 40.0  # for slow disks, and for machines with more to do than processors
    memory_bytes: int = 1024 * MB  # of address space


class CouldNotBeRead(Exception):
    """The child ended or fell silent; args[0] says why, as a Text. The text is the cause, or a full machine."""


class Child:
    """A process that parses one text after another, made when it is first asked; for one thread.

    reads: the module whose `answer(request)`, from and to what JSON can hold, does it.
    """

    reads = ""

    def __init__(self, limits: ReadingLimits = ReadingLimits()):
        self.limits = limits
        self._process: subprocess.Popen | None = None
        self._connection: socket.socket | None = None
        self._code: int | None = None

    def ask(self, request: dict) -> dict:
        """Return what `reads` answers to a request, in the child. CouldNotBeRead: no child survived it."""
        try:
            data = self._ask(self._begin(), json.dumps(request).encode(), time.monotonic() + self.limits.wall_seconds)
        except BaseException as error:
            self._end(DYING)
            if isinstance(error, EOFError | OSError):
                raise CouldNotBeRead(self._why(error)) from None
            raise
        if data.get("last"):
            self.close()
        if "error" in data:
            raise CouldNotBeRead(MEMORY if data["error"] == "MemoryError" else _stopped(str(data["error"])))
        return data

    def close(self) -> None:
        """Hang up, upon which it ends, and wait for it."""
        self._end(ENDING)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _begin(self) -> socket.socket:
        """Return the connection to the child, which is started where there is none."""
        if self._connection and self._process and self._process.poll() is None:
            return self._connection
        self._connection, theirs = socket.socketpair()
        start = f"import sys; sys.path[:] = {sys.path!r}; from grading.intake.child import main; "
        with theirs:
            command = f"{start}main({self.reads!r}, {theirs.fileno()}, {json.dumps(asdict(self.limits))!r})"
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-X", "utf8", "-c", command],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # Ctrl-C is for the supervisor
            )
        return self._connection

    def _ask(self, connection: socket.socket, request: bytes, deadline: float) -> dict:
        connection.settimeout(max(0.001, deadline - time.monotonic()))
        connection.sendall(len(request).to_bytes(8) + request)
        size = int.from_bytes(_receive(connection, 8, deadline))
        if size > LARGEST_REPLY:
            raise OSError("a child said more than it ever does")
        data = json.loads(_receive(connection, size, deadline))
        if not isinstance(data, dict):
            raise OSError("a child said what it never says")
        return data

    def _end(self, patience: float) -> None:
        """Hang up, and kill the child where it does not end in so many seconds; its exit code tells of what it died."""
        if self._connection:
            self._connection.close()
        if self._process:
            try:
                self._code = self._process.wait(patience)
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


def main(reads: str, descriptor: int, limits: str) -> None:
    """Answer until the supervisor hangs up."""
    import resource  # late: Windows has none

    its, module = ReadingLimits(**json.loads(limits)), importlib.import_module(reads)
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
        try:
            data = module.answer(request)
        except Exception as error:
            data = {"error": type(error).__name__}
        data["last"] = "error" in data or _resident() > TIRED
        reply = json.dumps(data).encode()
        connection.sendall(len(reply).to_bytes(8) + reply)


def _resident() -> int:
    """Return the bytes in memory; not ru_maxrss, which begins with that of the supervisor."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:  # not Linux
        return 0
