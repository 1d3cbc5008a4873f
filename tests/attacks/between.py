"""Between exercises: what one leaves behind for the next, or for the next student."""

from attack import harmless

ATTACKS = [
    harmless(
        "files",
        "leaves answers in every folder",
        """
for folder in ("/tmp", "/dev/shm", "/var/tmp", ".", *T["folders"]):
    try: open(f"{folder}/{T['token']}-left", "w").write("answers")
    except OSError: pass
""",
        second="""
import os
for folder in ("/tmp", "/dev/shm", "/var/tmp", ".", *T["folders"]):
    if os.path.exists(f"{folder}/{T['token']}-left"): reached(folder)
""",
    ),
    harmless(
        "modules",
        "leaves answers in modules and classes",
        """
import sys, torch, builtins
sys.modules["answers"] = sys; torch.answers = builtins.answers = [1, 2, 3]; torch.Tensor.answers = 1
""",
        second="""
import sys, torch, builtins
if "answers" in sys.modules or any(hasattr(o, "answers") for o in (torch, builtins, torch.Tensor)): reached("answers")
""",
    ),
    harmless(
        "environment",
        "leaves answers in the environment",
        "import os; os.environ['ANSWERS'] = '1'",
        second="""
import os
if "ANSWERS" in os.environ: reached("environment")
""",
    ),
    harmless(
        "shared memory",
        "leaves answers in shared memory",
        """
import ctypes
libc = ctypes.CDLL(None); libc.shmget(0x5678, 4096, 0o1666); libc.semget(0x5678, 1, 0o1666); libc.msgget(0x5678, 0o1666)
""",
        second="""
import ctypes
libc = ctypes.CDLL(None)
if max(libc.shmget(0x5678, 4096, 0), libc.semget(0x5678, 1, 0), libc.msgget(0x5678, 0)) >= 0: reached("memory")
""",
    ),
    harmless(
        "working folder",
        "moves into a folder and leaves the mask open",
        """
import os
os.umask(0)
try: os.chdir('/')
except OSError: pass
""",
        second="import os\nif os.umask(0o22) == 0: reached('mask')",
    ),
    harmless(
        "signals",
        "leaves a handler and a timer",
        """
import signal
signal.signal(signal.SIGALRM, signal.SIG_DFL); signal.setitimer(signal.ITIMER_REAL, 60); signal.alarm(60)
""",
        second="import signal\nif signal.getitimer(signal.ITIMER_REAL)[0]: reached('timer')",
    ),
    harmless(
        "random state",
        "leaves random states for the next",
        """
import random, numpy, torch
random.seed(7); numpy.random.seed(7); torch.manual_seed(7)
""",
        second="""
import torch
if torch.initial_seed() == 7: reached("seed")
""",
    ),
    harmless(
        "descriptors",
        "leaves descriptors open",
        "import os; os.dup2(1, 50); os.pipe()",
        second="""
import os
try: os.fstat(50); reached("descriptor")
except OSError: pass
""",
    ),
    harmless(
        "tracers",
        "leaves a tracer and an audit hook",
        """
import sys
sys.setprofile(lambda *a: None); sys.addaudithook(lambda event, arguments: None)
""",
        second="import sys\nif sys.getprofile(): reached('tracer')",
    ),
    harmless(
        "caches",
        "leaves bytecode and caches of lines",
        """
import linecache, sys
linecache.cache["left"] = (1, None, ["x"], "left"); sys.dont_write_bytecode = False; sys.path.append("/left")
""",
        second="import linecache, sys\nif 'left' in linecache.cache or '/left' in sys.path: reached('cache')",
    ),
    harmless(
        "pages",
        "leaves words in freed memory",
        """
kept = [("WORD-" + "LEFT" + "-%d" % i) * 100 for i in range(1000)]
del kept
""",
        second="""
import ctypes, re
libc = ctypes.CDLL(None); libc.malloc.restype = ctypes.c_void_p  # as it was left, not zeroed
for size in [*range(64, 2**16, 1024)] * 20:
    if re.search(rb"WORD-LEFT-\\d+WORD", ctypes.string_at(libc.malloc(size), size)): reached("pages")
""",
    ),
]
