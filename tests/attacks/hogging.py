"""Greed: memory, disk, files, output, replies, threads."""

from attack import Attack, harmless

ATTACKS = [
    Attack(
        "one huge tensor",
        "asks for 400 GB at once",
        "import torch; x = torch.zeros(10**11)",
        "out_of_memory",
        "more memory",
    ),
    Attack(
        "one huge array", "asks numpy for 8 TB", "import numpy; x = numpy.ones(10**12)", "out_of_memory", "more memory"
    ),
    Attack(
        "many small pieces",
        "takes memory piece by piece",
        """
kept = []
while True: kept.append(bytearray(2**24))
""",
        "out_of_memory",
        "more memory",
    ),
    Attack(
        "memory by mmap",
        "maps memory past Python",
        """
import mmap
kept = []
while True: kept.append(mmap.mmap(-1, 2**26))
""",
        "failed|out_of_memory",
        "more memory|OSError|Cannot allocate",
    ),
    Attack(
        "memory caught",
        "takes memory and swallows the error",
        """
kept = []
try:
    while True: kept.append(bytearray(2**22))
except MemoryError: pass
""",
        "failed|out_of_memory|crashed",
        "zero everywhere|more memory|crashed",
    ),
    Attack(
        "shared memory",
        "takes memory that no limit of a process counts",
        """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
for call in (lambda: libc.shmget(0, 2**28, 0o1666), lambda: libc.memfd_create(b"x", 0), lambda: libc.syscall(447, 0)):
    if call() >= 0: reached("shared memory")
try: os.open("/dev/shm/" + T["token"], os.O_CREAT | os.O_RDWR); reached("/dev/shm")
except OSError: pass
""",
    ),
    Attack(
        "disk",
        "fills every folder it may write to",
        """
total = 0
for folder in ("/tmp", ".", "/", "/var/tmp", "/dev/shm", *T["folders"]):
    try:
        for i in range(100):
            with open(f"{folder}/{T['token']}-{i}", "wb", buffering=0) as file:
                for _ in range(100): total += file.write(bytes(2**16))
    except OSError: pass
if total > 8 * 2**20: reached(total)
""",
    ),
    Attack(
        "inodes",
        "makes a hundred thousand empty files",
        """
n = 0
for folder in ("/tmp", *T["folders"]):
    try:
        for i in range(100_000): open(f"{folder}/{T['token']}-{i}", "w").close(); n += 1
    except OSError: pass
if n > 5000: reached(n)
""",
    ),
    Attack(
        "deep folders",
        "makes a path that nothing can remove",
        """
import os
try:
    for i in range(2000): os.mkdir("d"); os.chdir("d")
except OSError: pass
""",
    ),
    Attack(
        "open files",
        "opens files until there are none",
        """
kept = []
try:
    while True: kept.append(open("/dev/null"))
except OSError: pass
if len(kept) > 1000: reached(len(kept))
""",
    ),
    Attack(
        "pipes",
        "fills pipes with memory of the kernel",
        """
import os
kept, total = [], 0
try:
    while True:
        kept.append(os.pipe()); os.set_blocking(kept[-1][1], False); total += os.write(kept[-1][1], bytes(2**16))
except OSError: pass
if total > 2**26: reached(total)
""",
    ),
    Attack("output flood", "prints 100 MB", "import os\nfor _ in range(1600): os.write(1, b'<script>' * 2**13)"),
    Attack("one endless line", "prints a line without end to stderr", "import sys; sys.stderr.write('x' * 2**25)"),
    Attack(
        "reply flood",
        "writes 100 MB into the reply",
        """
import os
while True: os.write(3, bytes(2**16))
""",
        "failed",
        "larger than",
    ),
    Attack(
        "reply drip",
        "writes the reply byte by byte and then stops",
        """
import os
for _ in range(1000): os.write(3, b"\\0")
os._exit(0)
""",
        "failed",
        "plain array",
    ),
    Attack(
        "large answer",
        "returns 128 MB",
        """
def cosine_similarity(a, b): return a.new_ones(2**25)
""",
        "failed|out_of_memory",
        "larger than|more memory",
        then="",
    ),
    Attack(
        "answers without data",
        "a view of 10^18 numbers from one",
        """
def cosine_similarity(a, b): return a.new_ones(1).expand(10**18)
""",
        "failed|out_of_memory",
        "more memory|raised",
        then="",
    ),
    Attack(
        "gzip bomb",
        "unpacks half a GB from half a MB",
        """
import zlib
packer = zlib.compressobj()
data = b"".join([packer.compress(bytes(2**24)) for _ in range(32)]) + packer.flush()
x = zlib.decompress(data)
""",
        "out_of_memory|timeout",
        "more memory|not done after",
        slow=True,
    ),
    Attack(
        "limits raised",
        "raises its own limits",
        """
import resource
for name in dir(resource):
    if name.startswith("RLIMIT_"):
        which = getattr(resource, name)
        soft, hard = resource.getrlimit(which)
        if hard != resource.RLIM_INFINITY:
            try: resource.setrlimit(which, (hard + 1, hard + 1)); reached(name)
            except (ValueError, OSError): pass
""",
    ),
    Attack(
        "priority",
        "takes the processor from the others",
        """
import os
for change in (lambda: os.nice(-10), lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50)),
               lambda: os.setpriority(os.PRIO_PROCESS, T["pids"][0], 19)):
    try: change(); reached("priority")
    except OSError: pass
""",
    ),
    harmless(
        "many threads",
        "asks torch and BLAS for hundreds of threads",
        """
import torch
try: torch.set_num_threads(500)
except RuntimeError: pass
torch.ones(300, 300) @ torch.ones(300, 300)
torch.set_num_threads(1)
""",
        ends="passed|out_of_memory|failed|crashed",
        says="right|memory|crash|raised|ended the process",
    ),
    Attack(
        "a compiler's bomb",
        "code that is short to write and long to compile",
        """
exec("x = " + "-" * 100_000 + "1")
""",
        "failed|crashed|out_of_memory",
        "raised|SIGSEGV|memory",
    ),
]
