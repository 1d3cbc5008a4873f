"""Run a student's function on inputs and get arrays back. Nothing that comes back is trusted.

Covers, in the tier "bubblewrap": a student's code sees no network, no process, no file but the libraries (torch, numpy,
scipy, scikit-learn, Pillow, matplotlib and what they need) and an empty folder /tmp that goes with it; no reference
solution, expected value or key is in the sandbox; time, memory, files, processes and output are limited; each exercise
begins in a fresh process, and whatever it started ends with it. What comes back is a message of numbers and names, read
byte by byte (replies.py): it can make the exercise fail, nothing else.
The tier "process", for machines without namespaces: the same but for what it shares with the machine. Landlock forbids
all files but the libraries, seccomp forbids processes, sockets, signals and writing; `why` says what is missing.
The tier "none" limits time and memory. It contains nobody.

Does not cover: faults of the kernel, of torch or of bubblewrap; time as a secret channel; a student who finds out what
the inputs are and returns stored outputs (other seeds are the answer to this). The answers are what the process says: a
forged message is worth as much as the arrays in it.
"""

import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Literal

from hw_xai.errors import UserError

from ..words import Text
from .bytecode import compile_libraries
from .inside.calls import Call, from_frame, pack_calls, to_frame
from .inside.limits import Limits
from .memory import MISSING, MemoryGroup
from .replies import Reply, judged, plain
from .tiers import ENVIRONMENT, INSIDE, WAYS, Unavailable, Way

__all__ = ["Limits", "Reply", "Sandbox"]

Tier = Literal["bubblewrap", "process", "none"]
TRIES = 3  # of an exercise whose template or monitor ends: killed from outside, or for want of memory
START_SECONDS, GRACE_SECONDS = 600, 20  # to load the libraries; over the wall clock that the monitor holds


class Sandbox:
    """Runs one exercise at a time, each in a fresh process; for use by one thread, in a `with` block.

    tier: "auto" takes the strongest that works here, found by trying. `tier` then says which, `missing` what does not
    hold of it, `stronger` why no stronger one works; `isolation` and `why` say so in a line. Bubblewrap ends with the
    thread that made the sandbox.
    """

    def __init__(self, tier: Literal["auto"] | Tier = "auto", limits: Limits = Limits()):  # noqa: B008, it is frozen
        compile_libraries(INSIDE)
        self.limits = limits
        self.missing: list[str] = []
        self.stronger: list[str] = []
        self._way: Way | None = None
        self._template: _Template | None = None
        if tier not in ("auto", *WAYS):
            raise UserError(f'the isolation must be auto, {", ".join(WAYS)}, got "{tier}"')
        reasons = []
        for name in ("bubblewrap", "process") if tier == "auto" else (tier,):
            for way in WAYS[name]:
                try:
                    template = self._try(way)
                except (Unavailable, OSError) as error:
                    self.close()
                    if f"{name}: {error}" not in reasons:
                        reasons.append(f"{name}: {error}")
                    continue
                self.tier: str = name
                self._works: type[Way] = way
                self.missing = list(template.way.missing)
                self.isolation = name if not self.missing else f"{name}, {'; '.join(self.missing)}"
                self.stronger = [reason for reason in reasons if not reason.startswith(f"{name}:")]
                self.why = "; ".join([*self.stronger, *self.missing])
                return
        raise UserError(
            f"this machine cannot contain students' code ({'; '.join(reasons)}): grade on another one, "
            "or with `i_trust_these_submissions` if you do"
        )

    def run(self, source: str, function: str, calls: Sequence[Call]) -> Reply:
        """Execute the source, make the calls of its function and return the arrays, or why there are none."""
        rows, blobs = pack_calls(calls)
        request = to_frame({"source": source, "function": function, "calls": rows}, blobs)
        for attempt in range(1, TRIES + 1):
            try:
                template = self._template or self._begin(self._works)
                header, (message, output) = self._ask(template, request)
                break
            except (Unavailable, OSError) as error:  # not the student's process: the template or its monitor is gone
                self.close()
                if attempt == TRIES:
                    said = f"not graded: the grader lost its process {TRIES} times, which is not your mistake ({error})"
                    return Reply("not_graded", Text(said, f"尚未評分：評分程序中斷了 {TRIES} 次，這不是你的錯"))
        status, reason, answers = judged(header, message, output, calls, source, function, self.limits)
        text = plain(output.decode(errors="replace"), self.limits.output_bytes, keep="\n\t")
        return Reply(status, reason, answers, header["seconds"], header["cpu_seconds"], text, header["preempted"])

    def close(self) -> None:
        """End every process of the sandbox; the next `run` begins anew."""
        for part in (self._template, self._way):
            if part:
                part.close()
        self._way = self._template = None

    def __enter__(self) -> "Sandbox":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _try(self, way: type[Way]) -> "_Template":
        """Begin and run an exercise; again where the process is lost, for somebody may have killed it."""
        attempt = 1
        while True:
            try:
                template = self._begin(way)
                self._ask(template, _PROBE)
                return template
            except _Lost:
                self.close()
                if attempt == TRIES:
                    raise
                attempt += 1

    def _begin(self, way: type[Way]) -> "_Template":
        self._way = way()
        self._template = _Template(self._way, self.limits)
        return self._template

    def _ask(self, template: "_Template", request: bytes) -> tuple[dict, list[bytes]]:
        header, blobs = template.ask(request, self.limits.wall_seconds + GRACE_SECONDS)
        if "refused" in header:
            raise Unavailable(header["refused"])
        return header, blobs


# short of memory, the kernel ends the template or a student's process and not the grader
FIRST_TO_DIE = ("/bin/sh", "-c", 'echo 500 > /proc/self/oom_score_adj; exec "$0" "$@"') if os.name == "posix" else ()
_PROBE = to_frame({"source": "def f(): return 1.0", "function": "f", "calls": []})


class _Lost(Unavailable):
    """The template ended."""


class _Template:
    """The running process that has the libraries loaded, and the connection to it."""

    def __init__(self, way: Way, limits: Limits):
        self.way = way
        self.most = limits.reply_bytes + limits.output_bytes + 2**16
        self.connection, theirs = socket.socketpair()
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115, `close` does
        self.group = _group(way, limits)
        inherited = [theirs.fileno(), *([self.group.descriptor] if self.group else [])]
        try:
            with theirs:
                self.process = subprocess.Popen(
                    [*FIRST_TO_DIE, *way.command(theirs.fileno())],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=self.errors,
                    env=ENVIRONMENT,
                    cwd="/",
                    pass_fds=inherited,
                )
        except (OSError, Unavailable):
            self.connection.close()
            self.errors.close()
            if self.group:
                self.group.close()
            raise
        readable, listed, written = map(list, way.landlock)
        settings = {
            "tier": way.tier,
            "limits": asdict(limits),
            "users": way.users,
            "group": self.group.descriptor if self.group else None,
            "readable": readable,
            "listed": listed,
            "written": written,
        }
        try:
            self.ask(to_frame(settings, [way.program]), START_SECONDS)
        except (Unavailable, OSError):
            self.close()
            raise

    def ask(self, request: bytes, seconds: float) -> tuple[dict, list[bytes]]:
        """Send a message and return the answer; Unavailable when the process ended or fell silent."""
        deadline = time.monotonic() + seconds
        try:
            self.connection.settimeout(seconds)
            self.connection.sendall(len(request).to_bytes(8) + request)
            size = int.from_bytes(self._receive(8, deadline))
            if size > self.most:
                raise Unavailable("the template sent what it never sends")
            return from_frame(self._receive(size, deadline))
        except TimeoutError:
            raise Unavailable("the template did not answer in time") from None
        except (OSError, EOFError, ValueError):
            raise _Lost(self._last_words()) from None

    def _receive(self, size: int, deadline: float) -> bytes:
        data = bytearray()
        while len(data) < size:
            self.connection.settimeout(max(0.001, deadline - time.monotonic()))
            part = self.connection.recv(min(2**20, size - len(data)))
            if not part:
                raise EOFError
            data += part
        return bytes(data)

    def _last_words(self) -> str:
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(5)
        self.errors.seek(0)
        lines = self.errors.read(10_000).decode(errors="replace").strip().splitlines()
        return plain(lines[-1], 300) if lines else f"the template ended with {self.process.returncode}"

    def close(self) -> None:
        """Hang up, upon which it ends, and wait for it."""
        self.connection.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.errors.close()
        if self.group:
            self.group.close()


def _group(way: Way, limits: Limits) -> MemoryGroup | None:
    """Return a group for the students' processes; where there is none, `way.missing` says so."""
    if way.tier == "none":
        return None
    try:
        return MemoryGroup(limits.memory_bytes)
    except OSError:
        way.missing.append(MISSING)
        return None
