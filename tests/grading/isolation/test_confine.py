"""What a process forbids itself holds: each wall alone, tried in a process of its own."""

import errno
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from grading.isolation.inside import confine
from grading.isolation.system_calls import ALLOWED, LOOKED_AT, MACHINES, OWN, rows, system_call_filter

ROOT = Path(confine.__file__).parents[3]
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux only")


def outcome(code: str) -> str:
    """Run code in a fresh process; return what it printed."""
    code = f"import os, sys\nsys.path.insert(0, {str(ROOT)!r})\nfrom grading.isolation.inside import confine\n{code}"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60).stdout.strip()


def tried(statement: str) -> str:
    return f"\ntry:\n    {statement}\n    print('done')\nexcept OSError as error: print(type(error).__name__)\n"


@pytest.mark.skipif(not confine.landlock_version(), reason="no Landlock here")
def test_landlock_leaves_what_is_named(tmp_path):
    open_, closed = tmp_path / "open", tmp_path / "closed"
    for folder in (open_, closed):
        folder.mkdir()
        (folder / "file").write_text("x")
    walls = f"confine.no_new_rights()\nconfine.read_only([{str(open_)!r}], [{str(tmp_path)!r}])\n"
    assert outcome(walls + tried(f"open('{open_}/file')")) == "done"
    assert outcome(walls + tried(f"open('{closed}/file')")) == "PermissionError"
    assert outcome(walls + tried(f"open('{open_}/new', 'w')")) == "PermissionError"
    assert outcome(walls + tried(f"os.remove('{open_}/file')")) == "PermissionError"
    assert outcome(walls + tried(f"os.listdir('{tmp_path}')")) == "done"


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize(
    ("statement", "refused"),
    [
        ("os.fork() or os._exit(0)", True),
        ("os.execv('/bin/true', ['true'])", True),
        ("__import__('socket').socket()", True),
        ("confine.libc.unshare(0x10000000)", True),
        ("confine.libc.ptrace(0, 0, 0, 0)", True),
        ("__import__('resource').prlimit(os.getppid(), 0)", True),
        ("__import__('fcntl').fcntl(1, 8, os.getppid())", True),  # F_SETOWN: the kernel would send it any signal
        ("__import__('fcntl').fcntl(1, 10, 9)", True),
        ("__import__('fcntl').fcntl(1, 15, bytes(8))", True),
        ("__import__('fcntl').ioctl(1, 0x8901, bytes(4))", True),
        ("__import__('fcntl').fcntl(1, 3)", False),
        ("t = __import__('threading').Thread(target=print, args=('',)); t.start(); t.join()", False),
        ("open(os.devnull).read()", False),
        # what a list of forbidden calls let through
        ("confine.libc.prctl(4, 1, 0, 0, 0)", True),  # PR_SET_DUMPABLE
        ("confine.libc.syscall(206, 1, bytes(8))", True),  # io_setup, of which a machine has so many
        ("confine.libc.syscall(278, 1, 0, 0, 0)", True),  # vmsplice
        ("__import__('fcntl').ioctl(1, 0x40086602, bytes(8))", True),  # FS_IOC_SETFLAGS
        ("__import__('fcntl').fcntl(1, 1031, 2**20)", True),  # F_SETPIPE_SZ
        ("__import__('fcntl').flock(0, 2)", True),
        ("os.setxattr('/tmp', 'user.x', b'')", True),
        ("os.removexattr('/tmp', 'user.x')", True),
        ("confine.libc.syscall(202, bytes(8), 1, 1, 0, 0, 0)", True),  # FUTEX_WAKE that others could feel
        ("confine.libc.syscall(202, bytes(8), 129, 1, 0, 0, 0)", False),  # a private one
        ("confine.libc.syscall(0x40000000 + 57)", True),  # fork of x32
        ("os.sched_setaffinity(os.getppid(), [0])", True),
    ],
)
def test_the_filter_refuses_what_no_function_on_arrays_needs(statement, refused, shared):
    program = system_call_filter(shared)
    walls = f"confine.no_new_rights()\nconfine.filter_system_calls({program!r})"
    assert outcome(walls + tried(statement)) == ("PermissionError" if refused else "done")


def test_a_shared_machine_cannot_be_written_or_signalled(tmp_path):
    program = system_call_filter(True)
    walls = f"confine.no_new_rights()\nconfine.filter_system_calls({program!r})"
    for statement in (f"open('{tmp_path}/x', 'w')", f"os.mkdir('{tmp_path}/x')", "os.kill(os.getppid(), 0)"):
        assert outcome(walls + tried(statement)) == "PermissionError"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("number", [424, 435, 437, 463, 464, 465, 467, 999, 2**29])
@pytest.mark.parametrize("shared", [False, True])
def test_a_call_that_is_too_new_to_be_known_does_not_exist(number, shared):
    """463 sets extended attributes, 464 removes them; the rest is not there yet."""
    walls = f"confine.no_new_rights()\nconfine.filter_system_calls({system_call_filter(shared)!r})\n"
    said = outcome(walls + f"try: confine.libc.syscall({number}, 0, 0, 0, 0, 0)\nexcept OSError as e: print(e.errno)")
    assert said == str(errno.ENOSYS)


def test_every_call_that_is_not_named_is_refused():
    """Each number there is, on an address that cannot be read: an allowed one says so, or does nothing."""
    allowed = {int(row[1]) for row in rows() if row[1] != "-"}
    walls = f"confine.no_new_rights()\nconfine.filter_system_calls({system_call_filter(False)!r})\n"
    said = outcome(
        walls
        + f"for n in range(463):\n  if n not in {allowed!r}:\n    try: confine.libc.syscall(n, -1, -1, -1, -1, -1)\n"
        + "    except OSError as error: n = '' if error.errno in (1, 38) else n\n    n != '' and print(n)"
    )
    assert said == ""


def test_the_lists_are_those_of_the_headers():
    header = Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h")
    generic = Path("/usr/include/asm-generic/unistd.h")
    if not header.exists() or not generic.exists():
        pytest.skip("no headers of the kernel here")
    for path, column in ((header, 1), (generic, 2)):
        found = re.findall(r"#define __NR(?:3264)?_?(\w+) (\d+)", path.read_text())
        known = {"newfstatat" if name == "fstatat" else name: number for name, number in found}
        for row in rows():
            assert row[column] == known.get(row[0], "-"), row


def test_each_call_is_named_once_and_a_strange_processor_has_none():
    assert len({row[0] for row in rows()}) == len(rows()) == sum(len(rows(t)) for t in (ALLOWED, OWN, LOOKED_AT))
    assert all(len(system_call_filter(shared, machine=machine)) % 8 == 0 for machine in MACHINES for shared in (0, 1))
    with pytest.raises(NotImplementedError, match="riscv64"):
        system_call_filter(True, machine="riscv64")


def test_no_capability_is_left():
    said = outcome("confine.no_new_rights()\nconfine.drop_rights(None)\nprint(open('/proc/self/status').read())")
    rights = dict(line.split(":\t") for line in said.splitlines() if line.startswith(("Cap", "NoNewPrivs")))
    assert rights["NoNewPrivs"] == "1"
    assert {int(rights[name], 16) for name in ("CapPrm", "CapEff", "CapInh", "CapAmb")} == {0}
    assert os.geteuid() != 0 or int(rights["CapBnd"], 16) == 0


def test_the_address_space_is_measured_and_limited():
    code = """
pages = int(open("/proc/self/statm").read().split()[0])
base = confine.address_space()
print(abs(base - pages * os.sysconf("SC_PAGE_SIZE")) < 8 * confine.MB)
confine.limit(confine.Limits(memory_bytes=50 * confine.MB), base, None)
bytearray(20 * confine.MB)
try: bytearray(60 * confine.MB)
except MemoryError: print("refused")
"""
    assert outcome(code).split() == ["True", "refused"]


def test_what_a_process_keeps_lies_in_huge_pages(monkeypatch):
    setting = Path("/sys/kernel/mm/transparent_hugepage/enabled")
    version = tuple(map(int, os.uname().release.split(".")[:2]))
    if version < (6, 1) or not setting.exists():
        pytest.skip("this kernel has none, or collapses none")
    monkeypatch.setenv("PYTHONMALLOC", "malloc")
    said = outcome("""
from grading.isolation.inside.huge_pages import use_huge_pages
kept = [bytes(1000) for _ in range(60_000)]
use_huge_pages()
rows = [row.split() for row in open("/proc/self/smaps_rollup")]
print(next(row[1] for row in rows if row[0] == "AnonHugePages:"), sum(map(sum, kept)))
""")
    huge, total = said.split()
    assert int(huge) > 20_000, "kB, of 60,000"
    assert total == "0"
