"""Inside the sandbox: a template with the libraries loaded, a monitor for each exercise, and the student's process.

    template ──fork──> monitor ──fork──> student's process
    waits              namespaces,       gives up all rights, runs the code,
                       clock, limits     writes one message, ends

The template never reads a request, so no student's process inherits from it what another student wrote. The monitor is
out of reach of the student's process and reads only lengths; what the message says is judged outside (replies.py).
Covers: endless, crashing, greedy and outliving code: whatever the student's process started ends with it.
Does not cover: anything that the student's process says about itself: the code may have changed everything in it.

Known to the sandbox: nothing here may import the reference solutions or the keys.
"""

import gc
import importlib
import io
import linecache
import os
import secrets
import select
import signal
import socket
import sys
import time
import types
from collections.abc import Callable
from contextlib import suppress
from fcntl import F_DUPFD, fcntl
from typing import NoReturn, TypeGuard, TypeVar

from . import confine
from .calls import NoArray, answers_to, from_frame, to_frame, to_npy, unpack_calls
from .huge_pages import use_huge_pages
from .limits import Limits

# what students' functions use, so that no exercise waits for it; more can be imported, if it is in the sandbox
PRELOADED = """
    abc bisect cmath collections.abc copy csv dataclasses datetime decimal enum fractions functools heapq itertools
    json logging math numbers operator pathlib pprint queue random re statistics string textwrap threading time
    traceback typing uuid warnings numpy numpy.fft numpy.linalg numpy.ma numpy.random scipy.interpolate scipy.linalg
    scipy.ndimage scipy.optimize scipy.signal scipy.spatial.distance scipy.special scipy.stats sklearn.linear_model
    sklearn.metrics sklearn.neighbors sklearn.discriminant_analysis sklearn.preprocessing torch
    torch.autograd.functional torch.distributions torch.func torch.nn.functional torch.nn.utils
    torch.nested._internal.nested_tensor torch.utils.data PIL.Image
"""
Kind = TypeVar("Kind", bound=BaseException)
FILE = "your code"
READY = b"ready"


def receive(connection: socket.socket) -> bytes:
    """Return one message of the supervisor, b"" when it is gone."""
    data = bytearray()
    size = None
    while size is None or len(data) < size:
        part = connection.recv(min(2**20, (8 if size is None else size) - len(data)))
        if not part:
            return b""
        data += part
        if size is None and len(data) == 8:
            size = int.from_bytes(data)
            data.clear()
    return bytes(data)


def send(connection: socket.socket, message: bytes) -> None:
    connection.sendall(len(message).to_bytes(8) + message)


# ----------------------------------------------------------------------------------------------------------- template


def main(descriptor: int) -> None:
    """Load the libraries, then fork a monitor for each request until the supervisor closes the connection."""
    import torch  # late: only the template needs it

    connection = socket.socket(fileno=descriptor)
    settings, (program,) = from_frame(receive(connection))
    if settings["tier"] == "process":
        for name in ("TORCHINDUCTOR_CACHE_DIR", "MPLCONFIGDIR"):
            os.environ[name] = sys.path[0]  # the kit's own folder, which goes with the sandbox
    load()
    if settings["tier"] == "process":
        with suppress(ImportError):
            importlib.import_module("matplotlib.pyplot")  # it wants a folder that a student must not have
    torch.set_num_threads(1)
    _first_times()
    if settings["tier"] != "none":
        confine.hide_memory()
    settings["base"] = confine.address_space() if sys.platform == "linux" else 0
    gc.collect()
    use_huge_pages()
    gc.freeze()  # a collection in the child would touch, and so copy, all that it shares with the template
    send(connection, to_frame({"ready": True}))
    while connection.recv(1, socket.MSG_PEEK):
        pid = os.fork()
        if not pid:
            _as_monitor(connection, settings, program)
        if os.waitpid(pid, 0)[1]:  # it died without an answer: the supervisor starts anew
            return


def load() -> None:
    """Load what students' functions use, among it what torch loads late: with the first optimizer 900 modules more.

    torch's compiler, which comes with it, wants a folder to write into that a student must not have.
    """
    import torch  # late: only the template needs it

    for name in PRELOADED.split():
        with suppress(ImportError):  # Pillow, for one, may be missing
            importlib.import_module(name)
    one = torch.zeros(2, requires_grad=True)
    one.grad = torch.zeros(2)  # not by backward: no process forked after it could take a gradient
    for optimizer in (torch.optim.SGD, torch.optim.Adam):
        optimizer([one], 0.1).step()
    torch.func.vmap(torch.sum)(torch.zeros(2, 2))


def _first_times() -> None:
    """Do what takes long the first time; not the gradients of layers, which would start a thread."""
    import torch  # late: only the template needs it

    layers = torch.nn.Conv2d(1, 2, 3), torch.nn.Softplus(), torch.nn.Flatten(), torch.nn.Linear(72, 2)
    torch.nn.Sequential(*layers)(torch.zeros(1, 1, 8, 8))


def _as_monitor(connection: socket.socket, settings: dict, program: bytes) -> NoReturn:
    try:
        request = receive(connection)
        try:
            header, blobs = Monitor(connection, settings, program).watch(request)
        except OSError as error:
            header, blobs = {"refused": str(error)}, []
        send(connection, to_frame(header, blobs))
        os._exit(0)
    finally:
        os._exit(1)


# ------------------------------------------------------------------------------------------------------------ monitor


class Monitor:
    """Runs one exercise in a process of its own, and ends it and all that it started."""

    def __init__(self, connection: socket.socket, settings: dict, program: bytes):
        self.connection, self.settings, self.program = connection, settings, program
        self.tier = settings["tier"]
        self.limits = Limits(**settings["limits"])
        low, high = settings["users"] or (0, 0)
        self.user = low + secrets.randbelow(high - low) if high else None

    def watch(self, request: bytes) -> tuple[dict, list[bytes]]:
        """Return how the exercise ended, and two blobs: the message and the output of the student's process."""
        if self.tier == "bubblewrap":
            confine.own_namespaces(self.limits.tmp_bytes)
        elif self.tier == "process":
            confine.adopt_orphans()
        ends, wake = _waker()
        reply, output, state = os.pipe(), os.pipe(), os.pipe()
        started = time.monotonic()
        pid = os.fork()
        if not pid:
            _as_student(self, request, reply[1], output[1], state[1])
        for pipe in (reply, output, state):
            os.close(pipe[1])
            os.set_blocking(pipe[0], False)
        kept = {reply[0]: bytearray(), output[0]: bytearray()}
        most = {reply[0]: self.limits.reply_bytes, output[0]: self.limits.output_bytes}
        poll = select.poll()
        for fd in (*kept, ends):
            poll.register(fd, select.POLLIN)
        poll.register(self.connection, 0)  # tells only that the supervisor is gone
        ended, cut, late = None, False, False
        while not (ended or cut or late):
            left = started + self.limits.wall_seconds - time.monotonic()
            late = left <= 0
            for fd, _ in poll.poll(max(0, left) * 1000):
                if fd == self.connection.fileno():
                    self._end(pid)
                    os._exit(1)
                elif fd == ends:
                    os.read(ends, 64)
                    ended = _ended(pid)
                elif not _read(fd, kept[fd], most[fd]):
                    poll.unregister(fd)
                cut = len(kept[reply[0]]) > self.limits.reply_bytes
        seconds = time.monotonic() - started
        ended = self._end(pid, ended)
        for fd, data in kept.items():  # what it wrote just before its end
            while len(data) <= most[fd] and _read(fd, data, most[fd]):
                pass
        said = bytearray()
        _read(state[0], said, 1000)
        signal.set_wakeup_fd(-1)
        if said != READY:
            return {"refused": said.decode(errors="replace") or "the process ended while its rights were taken"}, []
        status, usage = ended
        header = {
            "exit": os.waitstatus_to_exitcode(status),
            "late": late,
            "cut": cut or len(kept[reply[0]]) > self.limits.reply_bytes,
            "seconds": seconds,
            "cpu_seconds": usage.ru_utime + usage.ru_stime,
            "preempted": usage.ru_nivcsw,
        }
        return header, [bytes(kept[fd][: most[fd]]) for fd in (reply[0], output[0])]

    def _end(self, pid: int, ended: tuple | None = None) -> tuple:
        """End the student's process and all that it started; return its status and what it used."""
        if not ended:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)  # the first process of its namespace: the kernel ends the others
            ended = os.wait4(pid, 0)[1:]
        if self.tier == "none":  # as far as it goes
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)
        elif self.tier == "process" and self.user is not None:
            _clear_out(self.user)
        return ended


def _waker() -> tuple[int, int]:
    """Return a pipe that has something to read when a child ended."""
    ends, wake = os.pipe()
    os.set_blocking(ends, False)
    os.set_blocking(wake, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    return ends, wake


def _ended(pid: int) -> tuple | None:
    """Return the status of a child and what it used, None while it runs."""
    found, status, usage = os.wait4(pid, os.WNOHANG)
    return (status, usage) if found else None


def _read(fd: int, data: bytearray, most: int) -> bool:
    """Add what can be read, up to one byte more than `most`; return whether more may come."""
    try:
        part = os.read(fd, 2**16)
    except BlockingIOError:
        return False
    data += part[: most + 1 - len(data)]
    return bool(part)


def _clear_out(user: int) -> None:
    """Kill all processes of this user at one stroke, which no fork can outrun, and bury them: orphans come to us."""
    if not os.fork():  # none of its ids may be root's: else the stroke would kill all there is
        with suppress(BaseException):
            os.setresuid(user, user, user)
            os.kill(-1, signal.SIGKILL)
        os._exit(0)
    with suppress(ChildProcessError):
        while True:
            os.wait()


# -------------------------------------------------------------------------------------------------- student's process


def _as_student(monitor: Monitor, request: bytes, reply: int, output: int, state: int) -> NoReturn:
    try:
        _descriptors(reply, output, state, monitor.settings["group"])
        try:
            _confine(monitor)
        except BaseException as error:
            os.write(4, f"{type(error).__name__}: {error}"[:1000].encode())
            os._exit(1)
        os.write(4, READY)
        os.close(4)
        message = _attempt(request)
        while message:
            message = message[_write(3, message) :]
        with suppress(BaseException):
            sys.stdout.flush()
        _exit(0)
    finally:
        _exit(1)


_exit, _write = os._exit, os.write  # a student may have changed them by then


GROUP = 5


def _descriptors(reply: int, output: int, state: int, group: int | None) -> None:
    """Leave open: 0 nothing to read, 1 and 2 the output, 3 the reply, 4 and GROUP until all rights are gone."""
    null = os.open(os.devnull, os.O_RDWR)
    kept = (null, output, output, reply, state, *([] if group is None else [group]))
    high = [fcntl(fd, F_DUPFD, 100) for fd in kept]
    for fd, copy in enumerate(high):
        os.dup2(copy, fd)
    os.closerange(len(kept), 2**16)
    for fd, name in ((1, "stdout"), (2, "stderr")):
        text = io.TextIOWrapper(io.FileIO(fd, "w", closefd=False), "utf-8", "backslashreplace", write_through=True)
        setattr(sys, name, text)


def _confine(monitor: Monitor) -> None:
    tier, settings = monitor.tier, monitor.settings
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    if settings["group"] is not None:
        os.write(GROUP, b"0")  # this process enters its group, which limits the memory
        os.close(GROUP)
    # the monitor and the template count, too, where they have the same user
    processes = monitor.limits.processes + 8 if tier == "bubblewrap" or monitor.user else None
    confine.limit(monitor.limits, settings["base"], processes)
    if tier == "none":
        return
    confine.no_new_rights()
    if settings["readable"]:
        confine.read_only(settings["readable"], settings["listed"], settings["written"])
    confine.drop_rights(monitor.user)
    confine.hide_memory()
    if monitor.program:
        confine.filter_system_calls(monitor.program)


def _attempt(request: bytes) -> bytes:
    """Run the student's code, make the calls and return the message: what came out, or why nothing did."""
    try:
        header, blobs = from_frame(request, head_bytes=len(request))
        calls = unpack_calls(header["calls"], blobs)
        function = _function(header["source"], header["function"])
        if function is None:
            return to_frame({"status": "not_attempted", "kind": "missing"})
        answers = [answers_to(function, call) for call in calls]
        arrays = [to_npy(answer) for outputs in answers for answer in outputs]
        return to_frame({"status": "ok", "counts": [len(outputs) for outputs in answers]}, arrays)
    except BaseException as error:
        return to_frame(_described(error))


def _function(source: str, name: str) -> Callable | None:
    """Execute the source as a module of its own and return what it calls `name`, whatever it is; None for nothing."""
    linecache.cache[FILE] = (len(source), None, source.splitlines(keepends=True), FILE)
    module = types.ModuleType("__main__")  # as in a notebook; dataclasses look it up
    sys.modules["__main__"] = module
    exec(compile(source, FILE, "exec", dont_inherit=True), module.__dict__)
    return module.__dict__.get(name)


def _described(error: BaseException) -> dict:
    """Return what happened as plain data; the object itself may misbehave in any way."""
    line, text = _own_line(error)
    row = {"status": "failed", "kind": "raised", "error": type(error).__name__, "line": line}
    if _is(error, SyntaxError) and error.filename in (FILE, None):  # None: null bytes
        row |= {"kind": "syntax", "line": error.lineno or 0, "message": error.msg}
    elif type(error) is NoArray and not line:
        row |= {"kind": "answer", "error": error.args[0]}
    elif _is(error, NotImplementedError) and "NotImplementedError" in text:  # not one of torch's
        row |= {"status": "not_attempted", "kind": "stub"}
    elif _is(error, ModuleNotFoundError):
        row |= {"kind": "module", "module": error.name}
    elif _is(error, MemoryError) or "can't allocate memory" in _message(error):  # the latter is torch's
        row |= {"status": "out_of_memory"}
    elif not _is(error, Exception):
        row |= {"status": "crashed", "kind": "ended"}
    return {key: value[:500] if isinstance(value, str) else value for key, value in row.items()}


def _is(error: BaseException, kind: type[Kind]) -> TypeGuard[Kind]:
    """Whether an error is of a kind: isinstance would believe what the object says of its own class."""
    return issubclass(type(error), kind)


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except BaseException:
        return ""


def _own_line(error: BaseException) -> tuple[int, str]:
    """Return the last line of the student's own that the error came through, (0, "") for none."""
    line, trace = 0, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == FILE:
            line = trace.tb_lineno
        trace = trace.tb_next
    return line, linecache.getline(FILE, line).strip() if line else ""
