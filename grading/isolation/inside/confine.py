"""What a process forbids itself before a student's code runs in it: namespaces, limits, rights, files, system calls.

Covers: processes, files, memory, network, signals and kernel interfaces beyond what one function on arrays needs. Each
function raises OSError where the system refuses, so that nobody believes in a wall that does not stand.
Does not cover: faults of the kernel itself; measuring time; memory over several processes (each has its own limit, so
processes are counted, and forbidden where seccomp is).

Linux only, but for `limit`. Known to the sandbox: nothing here may import the reference solutions or the keys.
"""

import ctypes
import os
import resource
from collections.abc import Iterable
from contextlib import suppress
from mmap import MAP_ANONYMOUS, MAP_PRIVATE, PROT_READ, mmap

from .limits import MB, Limits

# ------------------------------------------------------------------------------------------------------ calls of libc


class _Libc:
    """The functions of libc by name, each raising OSError when it says -1."""

    def __getattr__(self, name: str):
        function = getattr(ctypes.CDLL(None, use_errno=True), name)
        function.restype = ctypes.c_long

        def checked(*arguments):
            result = function(*(ctypes.c_long(a) if isinstance(a, int) else a for a in arguments))
            if result & 0xFFFFFFFF == 0xFFFFFFFF:  # -1, of an int too: its upper half is not defined
                number = ctypes.get_errno()
                raise OSError(number, f"{name}: {os.strerror(number)}")
            return result

        setattr(self, name, checked)
        return checked


libc = _Libc()

SET_DUMPABLE, CAPBSET_DROP, SET_SECCOMP, SET_CHILD_SUBREAPER, SET_NO_NEW_PRIVS, CAP_AMBIENT = 4, 24, 22, 36, 38, 47


def hide_memory() -> None:
    """Nobody of the same user may attach to this process or read its memory."""
    libc.prctl(SET_DUMPABLE, 0, 0, 0, 0)


def adopt_orphans() -> None:
    """What descendants leave behind becomes this process's child, not that of the system's first process."""
    libc.prctl(SET_CHILD_SUBREAPER, 1, 0, 0, 0)


# --------------------------------------------------------------------------------------------------------- namespaces

NEWNS, NEWIPC, NEWPID, NEWNET = 0x00020000, 0x08000000, 0x20000000, 0x40000000
NOSUID, NODEV, NOEXEC, RECURSIVE, PRIVATE = 2, 4, 8, 16384, 1 << 18


def own_namespaces(tmp_bytes: int) -> None:
    """Leave the network, mounts and IPC of before, with a new /tmp; the next child is a first process."""
    libc.unshare(NEWNS | NEWIPC | NEWPID | NEWNET)
    libc.mount(b"none", b"/", None, RECURSIVE | PRIVATE, None)
    options = f"size={tmp_bytes},nr_inodes=4096,mode=1777".encode()
    libc.mount(b"tmpfs", b"/tmp", b"tmpfs", NOSUID | NODEV | NOEXEC, options)
    os.chdir("/tmp")


# ------------------------------------------------------------------------------------------------------------- limits


def address_space() -> int:
    """Return the bytes of address space in use, found by trying: there is no /proc to read it from."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    low, high = 0, 2**47  # in pages that fit and bytes that do not
    while high - low > MB:
        middle = (low + high) // 2
        resource.setrlimit(resource.RLIMIT_AS, (middle, hard))
        try:
            mmap(-1, resource.getpagesize(), MAP_PRIVATE | MAP_ANONYMOUS, PROT_READ).close()
            high = middle
        except (OSError, MemoryError):
            low = middle
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
    return high


def limit(limits: Limits, base: int, processes: int | None) -> None:
    """Set the limits of this process and its children.

    base: address space that the libraries take, 0 where it is not known. processes: None where the user's other
    processes would count, too.
    """
    wanted = {
        "AS": base + limits.memory_bytes if base else resource.RLIM_INFINITY,
        "CPU": limits.cpu_seconds,
        "FSIZE": limits.file_bytes,
        "NOFILE": limits.open_files,
        "CORE": 0,
        "STACK": 8 * MB,
        "MEMLOCK": 0,
        "MSGQUEUE": 0,
    }
    if processes is not None:
        wanted["NPROC"] = processes
    for name, value in wanted.items():
        which = getattr(resource, f"RLIMIT_{name}", None)
        if which is None:  # not Linux
            continue
        _, hard = resource.getrlimit(which)
        if hard != resource.RLIM_INFINITY:
            value = hard if value == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(which, (value, value))


# ------------------------------------------------------------------------------------------------------------- rights


def no_new_rights() -> None:
    """No program that is started from here on has more rights than this process; the kernel asks for it first."""
    libc.prctl(SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def drop_rights(user: int | None) -> None:
    """Give up every capability, also what a file could give back, and become this user, who owns nothing."""
    with suppress(OSError):  # EINVAL on kernels before 4.3
        libc.prctl(CAP_AMBIENT, 4, 0, 0, 0)
    for capability in range(64):
        try:
            libc.prctl(CAPBSET_DROP, capability, 0, 0, 0)
        except OSError:  # EPERM: an ordinary user, who has none to drop; EINVAL: beyond the last
            break
    if user is not None:
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    libc.capset(header, (ctypes.c_uint32 * 6)())


# -------------------------------------------------------------------------------------------------------------- files

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446  # the same on every processor
WRITE_FILE, READ_FILE, READ_DIR, TRUNCATE = 1 << 1, 1 << 2, 1 << 3, 1 << 14


class _Ruleset(ctypes.Structure):
    _fields_ = [("files", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64)]


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"
    _fields_ = [("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32)]


def landlock_version() -> int:
    """Return which Landlock the kernel has, 0 for none."""
    try:
        return libc.syscall(CREATE_RULESET, None, 0, 1)
    except (OSError, AttributeError):
        return 0


def read_only(paths: Iterable[str], listed: Iterable[str] = (), written: Iterable[str] = ()) -> None:
    """Forbid all files but reading these paths and what lies beneath; nothing else can be written anywhere.

    listed: folders of which the names may be seen, not the contents. written: files such as /dev/null. Newer kernels
    also forbid TCP (since version 4) and signals to processes outside (since 6). Needs `no_new_rights` before.
    """
    version = landlock_version()
    files = (1 << 13) - 1  # all of version 1
    for since, right in ((2, 13), (3, 14), (5, 15)):  # to move, to cut off, to control a device
        files |= (version >= since) << right
    rules = _Ruleset(files, 3 if version >= 4 else 0, 3 if version >= 6 else 0)
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    ruleset = libc.syscall(CREATE_RULESET, ctypes.byref(rules), size, 0)
    wanted = [(p, READ_FILE | READ_DIR) for p in paths] + [(p, READ_DIR) for p in listed]
    wanted += [(p, (READ_FILE | WRITE_FILE | TRUNCATE) & files) for p in written]
    for path, rights in wanted:
        parent = os.open(path, os.O_PATH | os.O_CLOEXEC)
        rights &= -1 if os.path.isdir(path) else READ_FILE | WRITE_FILE | TRUNCATE
        libc.syscall(ADD_RULE, ruleset, 1, ctypes.byref(_PathBeneath(rights, parent)), 0)
        os.close(parent)
    libc.syscall(RESTRICT_SELF, ruleset, 0)
    os.close(ruleset)


# ------------------------------------------------------------------------------------------------------- system calls


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("code", ctypes.c_char_p)]


def filter_system_calls(program: bytes) -> None:
    """Load the program of ../system_calls.py; needs `no_new_rights` before."""
    libc.prctl(SET_SECCOMP, 2, ctypes.byref(_Program(len(program) // 8, program)), 0, 0)
