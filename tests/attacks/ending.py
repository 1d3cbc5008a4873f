# ruff: noqa: E501 (a row of a table)
"""Ends: every way to stop, to crash, to go on for ever and to outlive."""

from attack import Attack, harmless

DAEMON = """
def outlive():
    import os, time
    time.sleep(0.3)
    for folder in ["/tmp", "/dev/shm", "/var/tmp", *T["folders"]]:
        try: open(f"{folder}/{T['token']}-late", "w").write("late")
        except OSError: pass
    time.sleep(60)
"""

ATTACKS = [
    Attack("sys.exit", "ends with success", "import sys; sys.exit(0)", "crashed", "SystemExit"),
    Attack("os._exit", "ends with success, without a word", "import os; os._exit(0)", "crashed", "exit code 0"),
    Attack(
        "exit in the call",
        "ends in the middle of the calls",
        """
def cosine_similarity(a, b): import os; os._exit(0)
""",
        "crashed",
        "exit code 0",
        then="",
    ),
    Attack(
        "exit code",
        "ends with a code that programs read as success elsewhere",
        "import os; os._exit(77)",
        "crashed",
        "exit code 77",
    ),
    Attack(
        "quit by syscall",
        "ends by the kernel, past Python",
        "import ctypes; ctypes.CDLL(None).syscall(231, 0)",
        "crashed",
        "exit code 0",
    ),
    Attack("abort", "ends by abort", "import os; os.abort()", "crashed", "crashed the process"),
    Attack("segfault", "reads address 0", "import ctypes; ctypes.string_at(0)", "crashed", "SIGSEGV"),
    Attack(
        "wild pointer",
        "writes over the interpreter",
        """
import ctypes
ctypes.memset(id(type), 0, 4096)
""",
        "crashed",
        "crashed the process",
    ),
    Attack(
        "illegal instruction",
        "runs a byte that is no instruction",
        """
import ctypes, mmap
page = mmap.mmap(-1, 4096, prot=7)
page.write(b"\\x0f\\x0b")
ctypes.CFUNCTYPE(None)(ctypes.addressof(ctypes.c_char.from_buffer(page)))()
""",
        "crashed",
        "SIGILL|SIGSEGV|crashed",
    ),
    Attack(
        "kill itself",
        "kills itself as if short of memory",
        """
import os, signal
os.kill(os.getpid(), signal.SIGKILL)
""",
        "failed|out_of_memory|crashed|timeout",
        "PermissionError|more memory|zero everywhere",
    ),
    Attack(
        "kill the parent",
        "kills the monitor, the template and the grader",
        """
import os, signal
for pid in [os.getppid(), *T["pids"], 1, 2, 3]:
    for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGSTOP):
        try:
            if pid not in (0, os.getpid()): os.kill(pid, number); reached(pid)
        except OSError: pass
""",
    ),
    Attack(
        "kill by descriptor",
        "has the kernel kill the monitor and the grader when a pipe is written to",
        """
import fcntl, os
for fd in (1, 3, *os.pipe()):
    for pid in (os.getppid(), *T["pids"]):
        for change in (lambda: fcntl.fcntl(fd, 8, pid), lambda: fcntl.fcntl(fd, 10, 9),
                       lambda: fcntl.ioctl(fd, 0x8901, pid.to_bytes(4, "little"))):
            try: change(); reached(pid)
            except OSError: pass
""",
    ),
    Attack(
        "kill everybody",
        "kills all that it may, and its group",
        """
import os, signal
for pid in (-1, 0):
    try: os.kill(pid, signal.SIGUSR1)
    except OSError: pass
""",
        "failed|crashed",
        "zero everywhere|SIGUSR1",
    ),
    Attack(
        "recursion",
        "calls itself for ever",
        "def cosine_similarity(a, b): return cosine_similarity(a, b)",
        "failed",
        "RecursionError",
        then="",
    ),
    Attack(
        "deep recursion",
        "overflows the stack below Python",
        """
import sys
sys.setrecursionlimit(10**9)
def cosine_similarity(*a, **k): return sorted([1], key=cosine_similarity)
""",
        "crashed",
        "SIGSEGV",
        then="",
    ),
    Attack(
        "deep repr",
        "an error whose text never ends",
        """
x = []
for _ in range(10**6): x = [x]
class Deep(Exception):
    def __str__(self): return repr(x)
raise Deep
""",
        "failed|crashed",
        "Deep|SIGSEGV",
    ),
    Attack(
        "error without end",
        "an error's text of 100 MB",
        "raise ValueError('=1+1<script>' * 2**23)",
        "failed",
        "ValueError",
    ),
    harmless(
        "atexit",
        "a handler prints and exits after the answer",
        """
import atexit, os, threading
atexit.register(lambda: os._exit(3))
threading._register_atexit(lambda: os._exit(4))
""",
    ),
    Attack(
        "all descriptors closed", "closes every channel", "import os; os.closerange(0, 4096)", "crashed", "exit code"
    ),
    Attack(
        "stdout closed", "leaves no place to print", "import sys; sys.stdout.close(); sys.stderr.close(); print = 5"
    ),
    harmless(
        "daemon",
        "a forked daemon rewrites the results later",
        DAEMON
        + """
import os
try:
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0: outlive()
        os._exit(0)
except OSError: pass
""",
    ),
    harmless(
        "posix_spawn",
        "a spawned shell goes on",
        """
import os, subprocess, multiprocessing
for start in (lambda: os.posix_spawn("/bin/sh", ["sh", "-c", "sleep 60"], {}),
              lambda: subprocess.Popen(["/bin/sleep", "60"]), lambda: os.system("sleep 60 &") and 1 / 0,
              lambda: multiprocessing.get_context("fork").Process(target=print).start()):
    try: start()
    except Exception: continue
    reached("a process")
""",
    ),
    harmless(
        "threads at exit",
        "threads sleep on when the answer is there",
        """
import threading, time
for daemon in (True, False): threading.Thread(target=time.sleep, args=(60,), daemon=daemon).start()
""",
    ),
    harmless(
        "late thread",
        "a thread changes the answer after it was given",
        DAEMON
        + """
import threading
threading.Thread(target=outlive).start()
""",
    ),
    Attack(
        "double fork by clone",
        "makes processes by the naked system calls",
        """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
for number, arguments in ((57, ()), (58, ()), (56, (17, 0, 0, 0, 0)), (56, (0x10000000 | 17, 0, 0, 0, 0)), (435, (0, 0))):
    if libc.syscall(number, *arguments) >= 0: reached(number)
""",
    ),
    Attack(
        "32-bit calls",
        "makes the system calls of another processor, past the filter",
        """
import ctypes, mmap
page = mmap.mmap(-1, 4096, prot=7)
page.write(b"\\x53\\xb8\\x02\\x00\\x00\\x00\\xcd\\x80\\x5b\\xc3")  # fork by int 0x80
if 0 <= ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))(): reached("fork")
""",
        "crashed|failed",
        "SIGSYS|crashed|zero everywhere",
    ),
    Attack(
        "x32 calls",
        "makes the system calls of the x32 interface, past the filter",
        """
import ctypes
for number in (57, 56, 41, 62):
    if ctypes.CDLL(None).syscall(0x40000000 + number, 2, 1, 0) >= 0: reached(number)
""",
        "crashed|failed",
        "SIGSYS|zero everywhere",
    ),
    Attack(
        "endless loop",
        "loops, with every signal ignored",
        """
import signal
for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}: signal.signal(number, signal.SIG_IGN)
def cosine_similarity(a, b):
    while True:
        try:
            while True: pass
        except BaseException: pass
""",
        "timeout",
        "not done after",
        then="",
        slow=True,
    ),
    Attack("sleep", "sleeps for an hour", "import time; time.sleep(3600)", "timeout", "not done after", slow=True),
    Attack(
        "blocked signals",
        "sleeps with all signals blocked",
        """
import signal, threading
signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
threading.Event().wait()
""",
        "timeout",
        "not done after",
        slow=True,
    ),
    Attack(
        "stopped",
        "stops itself, for a waiting parent to hang",
        """
import os, signal
try: os.kill(os.getpid(), signal.SIGSTOP)
except OSError: pass
import time; time.sleep(3600)
""",
        "timeout",
        "not done after",
        slow=True,
    ),
    Attack(
        "catastrophic regex",
        "hangs in C, where no signal is heard",
        "import re; re.match('(a*)*b', 'a' * 100)",
        "timeout",
        "not done after",
        slow=True,
    ),
    Attack(
        "huge power",
        "hangs in one operation",
        "x = 9 ** 9 ** 9",
        "timeout|failed|out_of_memory",
        "not done after|more memory",
        slow=True,
    ),
    Attack(
        "fork bomb",
        "forks for ever",
        """
import os
while True:
    try: os.fork()
    except OSError: pass
""",
        "timeout",
        "not done after",
        slow=True,
    ),
    Attack(
        "thread bomb",
        "starts threads for ever",
        """
import threading, time
while True:
    try: threading.Thread(target=time.sleep, args=(99,)).start()
    except (RuntimeError, MemoryError): pass
""",
        "timeout|out_of_memory|crashed",
        "not done after|more memory|crashed",
        slow=True,
    ),
    Attack(
        "endless error",
        "an error whose text takes for ever",
        """
class Slow(Exception):
    def __str__(self):
        while True: pass
raise Slow
""",
        "timeout",
        "not done after",
        slow=True,
    ),
]
