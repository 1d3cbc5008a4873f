"""The system calls that a student's process may make, as a program for the kernel: all others are refused.

Covers: kernels newer than this list, and calls that nobody knows yet: what is not named here is not allowed, on x86-64
and on arm64. Arguments are looked at where a call does many things. The program is made from these numbers, so that it
depends on no library and on nothing that a library might not know.
Does not cover: what the allowed calls do with paths (that is the namespaces' and Landlock's part).
"""

import errno
import os
import platform
import struct
from collections.abc import Iterable

# name, number on x86-64, number on arm64; "-": not there. What numpy, torch and threads need, and reading files.
ALLOWED = """
    read 0 63, write 1 64, readv 19 65, writev 20 66, pread64 17 67, pwrite64 18 68, preadv 295 69, pwritev 296 70,
    close 3 57, close_range 436 436, lseek 8 62, dup 32 23, dup2 33 -, dup3 292 24, pipe 22 -, pipe2 293 59,
    fstat 5 80, newfstatat 262 79, stat 4 -, lstat 6 -, statx 332 291, access 21 -, faccessat 269 48,
    faccessat2 439 439, readlink 89 -, readlinkat 267 78, getcwd 79 17, getdents64 217 61, statfs 137 43,
    fstatfs 138 44, fadvise64 221 223, readahead 187 213,
    mmap 9 222, munmap 11 215, mprotect 10 226, mremap 25 216, madvise 28 233, brk 12 214, msync 26 227,
    membarrier 324 283,
    rt_sigaction 13 134, rt_sigprocmask 14 135, rt_sigreturn 15 139, rt_sigpending 127 136, rt_sigsuspend 130 133,
    rt_sigtimedwait 128 137, sigaltstack 131 132, restart_syscall 219 128, alarm 37 -, setitimer 38 103,
    getitimer 36 102, pause 34 -,
    poll 7 -, ppoll 271 73, select 23 -, pselect6 270 72, epoll_create1 291 20, epoll_ctl 233 21, epoll_wait 232 -,
    epoll_pwait 281 22,
    clock_gettime 228 113, clock_getres 229 114, clock_nanosleep 230 115, nanosleep 35 101, gettimeofday 96 169,
    time 201 -, times 100 153,
    getpid 39 172, getppid 110 173, gettid 186 178, getuid 102 174, geteuid 107 175, getgid 104 176, getegid 108 177,
    getresuid 118 148, getresgid 120 150, getgroups 115 158, getpgrp 111 -, capget 125 90, umask 95 166,
    getrusage 98 165, getrlimit 97 163, setrlimit 160 164, sysinfo 99 179, uname 63 160, getcpu 309 168,
    getrandom 318 278, sched_yield 24 124, sched_getaffinity 204 123, sched_get_priority_max 146 125,
    sched_get_priority_min 147 126, set_robust_list 273 99, rseq 334 293, arch_prctl 158 -, wait4 61 260,
    waitid 247 95, exit 60 93, exit_group 231 94
"""
# where the process has folders and processes of its own
OWN = """
    kill 62 129, tkill 200 130, tgkill 234 131, chdir 80 49, fchdir 81 50, mkdir 83 -, mkdirat 258 34, rmdir 84 -,
    unlink 87 -, unlinkat 263 35, rename 82 -, renameat 264 38, renameat2 316 276, link 86 -, linkat 265 37,
    symlink 88 -, symlinkat 266 36, truncate 76 45, ftruncate 77 46, fallocate 285 47, chmod 90 -, fchmod 91 52,
    fchmodat 268 53, creat 85 -, utime 132 -, utimes 235 -, utimensat 280 88, futimesat 261 -, fsync 74 82,
    fdatasync 75 83
"""
# with a look at their arguments
LOOKED_AT = """
    open 2 -, openat 257 56, clone 56 220, prctl 157 167, ioctl 16 29, fcntl 72 25, futex 202 98, prlimit64 302 261,
    sched_setaffinity 203 122
"""
MACHINES = {"x86_64": (1, 0xC000003E), "aarch64": (2, 0xC00000B7)}  # column above, AUDIT_ARCH_…
NEWEST = 424  # from here on numbers are the same everywhere, and libc knows what to do where a call does not exist

THREAD, THREADS = 0x00010000, 0x007D0F00  # CLONE_THREAD, and all the flags with which libc makes a thread
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
NAMES = (15, 16, 3, 0x53564D41)  # PR_SET_NAME, PR_GET_NAME, PR_GET_DUMPABLE, PR_SET_VMA; PR_SET_DUMPABLE is not
# TCGETS and TCGETS2, TIOCGWINSZ, FIONREAD, FIONBIO, FIOCLEX, FIONCLEX: none that changes a file or sends a signal
QUESTIONS = (0x5401, 0x802C542A, 0x5413, 0x541B, 0x5421, 0x5451, 0x5450)
DESCRIPTORS = (0, 1, 2, 3, 4, 1030, 1032)  # F_DUPFD … F_SETFL, F_DUPFD_CLOEXEC, F_GETPIPE_SZ: no locks, no owners
WAITING, PRIVATE = (0, 9), 128  # FUTEX_WAIT, FUTEX_WAIT_BITSET: a thread that is joined; all else within the process

LOAD, EQUAL, AT_LEAST, ANY_BIT, AND, RETURN = 0x20, 0x15, 0x35, 0x45, 0x54, 0x06
KILL, ALLOW = 0x80000000, 0x7FFF0000
REFUSE, UNKNOWN = 0x00050000 | errno.EPERM, 0x00050000 | errno.ENOSYS

Step = tuple[int, int, int, int]  # code, where to go if true and if not, constant


def system_call_filter(shared: bool, writing: bool = False, machine: str = "") -> bytes:
    """Return the program; NotImplementedError for a processor of which the numbers are not known here.

    shared: the process sees the processes and folders of the machine, so signals and changing folders are refused as
    well. writing: may open files for writing all the same, for another wall says which.
    """
    machine = machine or platform.machine()
    if machine not in MACHINES or struct.calcsize("P") != 8:
        raise NotImplementedError(f"no list of system calls for {machine}: x86_64 and aarch64 have one")
    column, audit = MACHINES[machine]
    numbers = {row[0]: int(row[column]) for row in rows() if row[column] != "-"}
    steps: list[Step] = [(LOAD, 0, 0, 4), (EQUAL, 1, 0, audit), (RETURN, 0, 0, KILL), (LOAD, 0, 0, 0)]
    for name in (row[0] for row in rows(ALLOWED if shared else ALLOWED + "," + OWN)):
        if name in numbers:
            steps += [(EQUAL, 0, 1, numbers[name]), (RETURN, 0, 0, ALLOW)]
    for name in (row[0] for row in rows(LOOKED_AT)):
        if name in numbers:
            looks = _looks(name, shared and not writing)
            steps += [(EQUAL, 0, len(looks), numbers[name]), *looks]
    steps += [(AT_LEAST, 0, 1, 0x40000000), (RETURN, 0, 0, REFUSE)]  # x32 on x86-64
    steps += [(AT_LEAST, 0, 1, NEWEST), (RETURN, 0, 0, UNKNOWN), (RETURN, 0, 0, REFUSE)]
    return b"".join(struct.pack("<HBBI", *step) for step in steps)


def rows(table: str = f"{ALLOWED},{OWN},{LOOKED_AT}") -> list[list[str]]:
    """Return name and numbers of each call of a table."""
    return [row.split() for row in table.split(",") if row.strip()]


def _looks(name: str, read_only: bool) -> list[Step]:
    match name:
        case "open" | "openat":
            return _none_of(1 if name == "open" else 2, WRITING) if read_only else [(RETURN, 0, 0, ALLOW)]
        case "clone":  # threads yes, processes no
            return [
                (LOAD, 0, 0, _argument(0)), (ANY_BIT, 0, 2, THREAD), (AND, 0, 0, ~THREADS & 0xFFFFFFFF),
                (EQUAL, 1, 0, 0), (RETURN, 0, 0, REFUSE), (RETURN, 0, 0, ALLOW),
            ]  # fmt: skip
        case "futex":
            return [(LOAD, 0, 0, _argument(1)), (ANY_BIT, 0, 1, PRIVATE), (RETURN, 0, 0, ALLOW),
                    (AND, 0, 0, 0x7F), *_one_of(WAITING)]  # fmt: skip
        case "prlimit64" | "sched_setaffinity":  # of this process only
            return [(LOAD, 0, 0, _argument(0)), *_one_of([0])]
    place, values = {"prctl": (0, NAMES), "ioctl": (1, QUESTIONS), "fcntl": (1, DESCRIPTORS)}[name]
    return [(LOAD, 0, 0, _argument(place)), *_one_of(values)]


def _argument(place: int) -> int:
    """Where the lower half of an argument is: the kernel takes no more of those that are looked at."""
    return 16 + 8 * place


def _one_of(values: Iterable[int]) -> list[Step]:
    each = [step for value in values for step in ((EQUAL, 0, 1, value), (RETURN, 0, 0, ALLOW))]
    return [*each, (RETURN, 0, 0, REFUSE)]


def _none_of(place: int, bits: int) -> list[Step]:
    return [(LOAD, 0, 0, _argument(place)), (ANY_BIT, 0, 1, bits), (RETURN, 0, 0, REFUSE), (RETURN, 0, 0, ALLOW)]
