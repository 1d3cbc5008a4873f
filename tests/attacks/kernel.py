# ruff: noqa: E501 (a row of a table)
"""The kernel by its numbers: rights of files, pinned memory, objects of the machine, channels from one to the next.

Numbers are those of x86-64. Each call has arguments with which it would succeed where it is allowed.
"""

from attack import Attack

HEAD = """
import ctypes, os, mmap
libc = ctypes.CDLL(None, use_errno=True); libc.syscall.restype = ctypes.c_long
S = libc.syscall
room = ctypes.create_string_buffer(4096)
files = [*T["files"], *T["results"]]
def through(what, result):
    if result >= 0: reached((what, result))
"""


def attack(name: str, tries: str, code: str, second: str = "", **more) -> Attack:
    return Attack(name, tries, HEAD + code, second=second and HEAD + second, slow=True, **more)


def numbers(name: str, tries: str, *calls: str) -> Attack:
    """Return an attack by calls, each the arguments of syscall(2)."""
    return attack(name, tries, "".join(f"through({call!r}, S({call}))\n" for call in calls))


def on_files(name: str, tries: str, *calls: str) -> Attack:
    """The same on each file of others, which is f."""
    body = "".join(f"    through(({call!r}, f), S({call}))\n" for call in calls)
    return attack(name, tries, f"for f in (p.encode() for p in files):\n{body}")


ACL = "b'system.posix_acl_access', b'\\x02\\0\\0\\0\\x01\\0\\x07\\0\\xff\\xff\\xff\\xff\\x04\\0\\x07\\0\\xff\\xff\\xff\\xff'"
ATTACKS = [
    # ------------------------------------------------------------------------------------------------ rights of files
    on_files("setxattr", "gives itself rights by an ACL", f"188, f, {ACL}, 20, 0", f"189, f, {ACL}, 20, 0"),
    on_files("setxattrat", "the same by a number newer than libraries", "463, -100, f, 0, b'user.a', room, 16"),
    on_files(
        "getxattr", "reads what is written beside a file", "191, f, b'user.a', room, 100", "192, f, b'user.a', room, 9"
    ),
    on_files("getxattrat", "the same by a newer number", "464, -100, f, 0, b'user.a', room, 16"),
    on_files(
        "listxattr",
        "lists what is written beside a file",
        "194, f, room, 99",
        "195, f, room, 99",
        "465, -100, f, 0, room, 99",
    ),
    on_files(
        "removexattr",
        "takes rights of others away",
        "197, f, b'user.a'",
        "198, f, b'user.a'",
        "466, -100, f, 0, b'user.a'",
    ),
    on_files("file attributes", "makes files immutable", "468, -100, f, room, 24, 0", "469, -100, f, room, 24, 0"),
    on_files("fchmodat2", "changes modes by a newer number", "452, -100, f, 0o777, 0"),
    on_files("chown", "takes files", "92, f, -1, -1", "94, f, -1, -1", "260, -100, f, -1, -1, 0"),
    on_files("openat2", "opens by the newer call", "437, -100, f, room, 24"),
    on_files(
        "names of handles", "asks for the number of a file", "303, -100, f, room, ctypes.byref(ctypes.c_int()), 0"
    ),
    on_files("inotify", "is told when others write", "254, S(253), f, 0xfff", "254, S(294, 0), f, 0xfff"),
    on_files(
        "quota and accounts", "has the kernel write into files", "163, f", "167, f, 0", "179, 0x800002, f, 0, room"
    ),
    attack(
        "flags by ioctl",
        "makes a library immutable, or asks for its flags",
        """
import numpy
fd = os.open(numpy.__file__, os.O_RDONLY)
for request in (0x80086601, 0x40086602, 0x801c581f, 0x401c5820, 0x40049409, 0xc0189436, 0x0000125e, 0x6602):
    through(request, libc.ioctl(fd, ctypes.c_ulong(request), room))
""",
    ),
    # -------------------------------------------------------------------------------------------------- pinned memory
    attack(
        "vmsplice",
        "pins a huge page by each byte that lies in a pipe",
        """
class Vector(ctypes.Structure): _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]
r, w = os.pipe()
through("vmsplice", S(278, w, ctypes.byref(Vector(ctypes.addressof(room), 1)), 1, 0))
""",
    ),
    attack(
        "splice and tee",
        "moves pages from pipe to pipe",
        """
r, w = os.pipe(); r2, w2 = os.pipe(); os.write(w, b"x")
through("tee", S(276, r, w2, 1, 0)); through("splice", S(275, r, 0, w2, 0, 1, 0)); through("sendfile", S(40, w2, r, 0, 1))
""",
    ),
    attack(
        "larger pipes",
        "makes pipes of a MB each",
        """
import fcntl
r, w = os.pipe()
for size in (2**20, 2**17, 2**16 + 1):
    try: fcntl.fcntl(w, 1031, size); reached(size)
    except OSError: pass
""",
    ),
    numbers("locked memory", "keeps pages from being taken back", "149, room, 4096", "325, room, 4096, 0", "151, 1"),
    numbers(
        "asynchronous reading", "takes rings that the whole machine shares", "206, 100, ctypes.byref(ctypes.c_ulong())"
    ),
    numbers("secret memory", "takes memory without address", "447, 0", "319, b'x', 0", "319, b'x', 4", "323, 1"),
    numbers(
        "semaphores", "takes System V's objects", "29, 0x77, 4096, 0o1666", "64, 0x77, 1, 0o1666", "68, 0x77, 0o1666"
    ),
    numbers("POSIX queues", "takes a queue", "240, b'q', 0o102, 0o666, 0", "241, b'q'"),
    numbers("timers", "takes timers and descriptors of events", "222, 0, 0, room", "283, 1, 0", "290, 0, 0", "284, 0"),
    numbers("signals as files", "reads signals from a file", "289, -1, room, 8, 0", "282, -1, room, 8"),
    numbers(
        "memory policy",
        "moves pages",
        "238, 0, 0, 0",
        "237, 0, 0, 0, 0, 0, 0",
        "256, 0, 8, room, room",
        "279, 0, 0, 0, 0, 0, 0",
    ),
    numbers(
        "kept pages",
        "asks which pages are in memory",
        "27, ctypes.c_void_p(id(room) & ~4095), 4096, room",
        "451, 0, room, room, 0",
    ),
    numbers("protection keys", "takes one of sixteen keys", "330, 0, 0", "453, 0, 4096, 0"),
    attack(
        "shared pages in a pipe and a file",
        "fills memory that no address space has, then holds it",
        """
held = []
try:
    while len(held) < 60:
        r, w = os.pipe(); os.set_blocking(w, False); held += [r, w]
        try:
            while True: os.write(w, bytes(2**16))
        except BlockingIOError: pass
except OSError: pass
if len(held) > 62: reached(len(held))
""",
    ),
    # --------------------------------------------------------------------------------------------------- the machine
    numbers(
        "mounts",
        "lists and makes mounts",
        "457, room, room, 4096, 0",
        "458, room, room, 10, 0",
        "467, -100, b'/', 0x8001, room, 24",
        "430, b'tmpfs', 0",
        "433, -100, b'/', 0",
        "428, -100, b'/', 0",
        "429, -100, b'/', -100, b'/tmp', 0",
    ),
    numbers(
        "new and joined namespaces",
        "makes and joins namespaces",
        "272, 0x10000000",
        "272, 0x20000",
        "308, 0, 0",
        "435, room, 88",
    ),
    numbers(
        "modules",
        "loads and changes the kernel",
        "313, 0, b'', 0",
        "175, room, 9, b''",
        "246, 0, 0, 0, 0",
        "320, 0, 0, 0, b'', 0",
    ),
    numbers(
        "old calls",
        "what few programs ever make",
        "134, b'/tmp/x'",
        "135, 0xffffffff",
        "136, 0, room",
        "139, 3",
        "154, 0, room, 16",
        "153",
        "156, room",
        "212, 0, room, 9",
        "216, 0, 0, 0, 0, 0",
    ),
    numbers("ports", "reaches devices by ports", "172, 3", "173, 0x70, 1, 1"),
    numbers("log of the kernel", "reads and clears it", "103, 10, 0, 0", "103, 3, room, 100"),
    numbers(
        "watching", "counts what others compute", "298, room, 0, -1, -1, 0", "321, 0, room, 72", "310, 0, 0, 0, 0, 0, 0"
    ),
    numbers("comparing", "asks what processes share", "312, os.getpid(), os.getppid(), 0, 0, 0"),
    numbers(
        "filters of one's own",
        "has another filter ask it",
        "317, 1, 8, room",
        "317, 2, 0, room",
        "460, 100, room, 32, 0",
    ),
    numbers("whole disk", "makes all disks write", "162", "306, 1", "277, 1, 0, 0, 0"),
    numbers(
        "a number of nobody",
        "calls that do not exist yet",
        *(f"{n}, 0, 0, 0, 0, 0, 0" for n in (470, 512, 547, 999, 2**20)),
    ),
    attack(
        "signals to others",
        "sends signals with words, by every call",
        """
for pid in (*T["pids"], os.getppid(), 1):
    if pid != os.getpid():
        for n in (129, 424): through((n, pid), S(n, pid, 0, room))
        through(("tg", pid), S(297, pid, pid, 0, room)); through(("tkill", pid), S(200, pid, 0) if pid != 1 else -1)
""",
    ),
    attack(
        "others' limits and places",
        "changes limits and processors of others",
        """
for pid in (*T["pids"], os.getppid()):
    if pid:
        through(("limit", pid), S(302, pid, 7, 0, room)); through(("cpu", pid), S(203, pid, 8, b"\\1" + bytes(7)))
        through(("io", pid), S(251, 1, pid, 0)); through(("sched", pid), S(314, pid, room, 0))
        through(("group", pid), S(109, pid, pid)); through(("release", pid), S(448, pid, 0))
""",
    ),
    attack(
        "who asks about itself",
        "makes itself readable again, and asks for what only a monitor may",
        """
for options in ((4, 1), (4, 2), (36, 1), (35, 1, 0), (1, 9), (59, 1), (62, 1, 0, 0, 0), (0x59616d61, -1), (41, 1)):
    through(options, libc.prctl(*options, *(0,) * (5 - len(options))))
""",
    ),
    # ------------------------------------------------------------------------------------------------------ channels
    attack(
        "locks as letters",
        "locks a file of the libraries, which the next can feel",
        """
import numpy
fd = os.open(numpy.__file__, os.O_RDONLY)
for how in (1, 2, 5, 6): through(("flock", how), S(73, fd, how))
import fcntl
for command in (5, 6, 7, 36, 37, 38, 1024, 1025, 1026, 8, 10, 15, 1033, 1034):
    try: fcntl.fcntl(fd, command, bytes(32)); reached(command)
    except OSError: pass
""",
    ),
    attack(
        "futex as letters",
        "wakes another process by a page of a file that both map",
        """
import numpy
fd = os.open(numpy.__file__, os.O_RDONLY)
page = mmap.mmap(fd, 4096, mmap.MAP_SHARED, mmap.PROT_READ)
libc.mmap.restype = ctypes.c_void_p
where = ctypes.c_void_p(libc.mmap(None, 4096, 1, 1, fd, 0))
for operation in (1, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13): through(operation, S(202, where, operation, 1, 0, where, 0))
for n in (454, 455, 456, 449): through(n, S(n, where, 1, 1, 2, 0, 0))
""",
    ),
    attack(
        "written words",
        "writes a word where the next student may read it",
        """
import numpy
for path in (numpy.__file__, "/dev/null", "/kit/inside/worker.py", "/site/x", "/proc/self/comm", "/etc/x"):
    for flags in (os.O_RDWR, os.O_WRONLY | os.O_CREAT, os.O_WRONLY | os.O_APPEND, os.O_TMPFILE | os.O_RDWR):
        try: fd = os.open(path, flags, 0o666)
        except OSError: continue
        if path != "/dev/null": reached((path, flags))
""",
    ),
    attack(
        "times of files",
        "leaves a word in the times of the libraries' files",
        """
import numpy
for call in (lambda: os.utime(numpy.__file__, (7, 7)), lambda: os.utime(os.path.dirname(numpy.__file__), (7, 7)),
             lambda: os.chmod(numpy.__file__, 0o777), lambda: os.rename(numpy.__file__, "/tmp/x")):
    try: call(); reached("times")
    except OSError: pass
""",
    ),
    attack(
        "negative entries",
        "asks for names that do not exist, to fill the kernel's memory of names",
        """
for i in range(20000):
    try: os.stat(f"/tmp/{i}-" + "n" * 200)
    except OSError: pass
""",
    ),
    attack(
        "the number of the next process",
        "learns from its own number what ran before",
        "if os.getpid() > 2 and os.path.isdir('/kit'): reached(os.getpid())",
        second="if os.getpid() > 2 and os.path.isdir('/kit'): reached(os.getpid())",
    ),
    attack(
        "left in the heap",
        "finds the code of the exercise before in its own memory",
        "word = 'LEFT' + '-' + 'BEHIND' * 3000",
        second="""
start = id(object()) & ~0xFFFFF
for page in range(start - 2**22, start + 2**22, 4096):
    if libc.msync(ctypes.c_void_p(page), 1, 1) == 0 and b"BEHIND" * 20 in ctypes.string_at(page, 4096): reached(page)
""",
    ),
]
