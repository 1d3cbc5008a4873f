"""A limit on the memory that a student's process really takes: a group of the kernel's, one for each sandbox.

Covers: what an address space does not show: pages of pipes and of tmpfs, shared pages, tables of pages; the kernel ends
the student's process and nothing else. In version 2 of the groups, and in version 1, where this program may make one:
for root as a rule, for others within a delegated tree such as `systemd-run --user --scope -p Delegate=yes`.
Does not cover: machines where it may make none; the tier says so in every result, and oom_score_adj stands there alone.
"""

import os
import subprocess
import sys
from contextlib import suppress
from functools import lru_cache
from itertools import count
from pathlib import Path

ROOT, OWN = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
PREFIX = "hw-grade-"
NUMBERS = count()
MISSING = "no memory group (cgroup): only the address space is limited, and pipes and page tables are not counted"


class MemoryGroup:
    """A new group with a limit; a process enters it by writing 0 to `descriptor`. OSError where there can be none."""

    def __init__(self, limit: int):
        parent = _parent()
        if parent is None:
            raise OSError(MISSING)
        _sweep(parent)
        self.path = parent / f"{PREFIX}{os.getpid()}-{next(NUMBERS)}"
        self.path.mkdir()
        try:
            _limit(self.path, limit)
            self.descriptor = os.open(self.path / "cgroup.procs", os.O_WRONLY | os.O_CLOEXEC)
        except OSError:
            self.path.rmdir()
            raise

    def close(self) -> None:
        os.close(self.descriptor)
        with suppress(OSError):  # a process that is ending still lies in it; the next run sweeps
            self.path.rmdir()


def _limit(path: Path, limit: int) -> None:
    two = path / "memory.max"
    if two.exists():
        two.write_text(str(limit))
        for name, value in (("memory.swap.max", "0"), ("memory.oom.group", "1")):
            with suppress(OSError):  # without swap, or an older kernel
                (path / name).write_text(value)
        return
    (path / "memory.limit_in_bytes").write_text(str(limit))
    with suppress(OSError):  # where swap is not counted
        (path / "memory.memsw.limit_in_bytes").write_text(str(limit))


@lru_cache
def _parent() -> Path | None:
    """Return the nearest group above this process in which one can be made, limited and entered; found by trying."""
    if sys.platform != "linux":
        return None
    for top, own in _places():
        for parent in (own, *own.parents):
            if not parent.is_relative_to(top):
                break
            if _works(parent):
                return parent
    return None


def _places() -> list[tuple[Path, Path]]:
    """Return for each hierarchy that may count memory its root and the group of this process."""
    found = []
    with suppress(OSError, ValueError):
        for line in OWN.read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            tops = [ROOT, ROOT / "unified"] if not controllers else []
            tops += [ROOT / "memory"] if "memory" in controllers.split(",") else []
            found += [(top, top / path.strip("/")) for top in tops if (top / path.strip("/")).is_dir()]
    return found


def _works(parent: Path) -> bool:
    path = parent / f"{PREFIX}{os.getpid()}-try"
    try:
        path.mkdir()
    except OSError:
        return False
    try:
        _limit(path, 2**28)
        enter = ["/bin/sh", "-c", 'echo 0 > "$0"', str(path / "cgroup.procs")]
        return subprocess.run(enter, stderr=subprocess.DEVNULL, check=False).returncode == 0
    except OSError:
        return False
    finally:
        with suppress(OSError):
            path.rmdir()


def _sweep(parent: Path) -> None:
    """Remove the groups that killed runs left."""
    for path in parent.glob(f"{PREFIX}*-*"):
        pid = path.name.removeprefix(PREFIX).partition("-")[0]
        if pid.isdigit() and not Path("/proc", pid).exists():
            with suppress(OSError):
                path.rmdir()
