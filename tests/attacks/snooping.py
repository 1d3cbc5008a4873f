"""Looking for the answers: in frames, in memory, in files, in the environment, in descriptors."""

from attack import Attack, harmless

FILES = """
import os, glob
seen = []
for path in paths:
    try:
        with open(path, "rb") as file: data = file.read(100_000)
    except OSError: continue
    reached((path, data))
"""

ATTACKS = [
    Attack(
        "stack",
        "walks up the stack to the expected values",
        """
def cosine_similarity(a, b):
    import sys
    frame = sys._getframe()
    while frame:
        for space in (frame.f_locals, frame.f_globals):
            for name, value in list(space.items()):
                if any(word in name.lower() for word in ("expected", "reference", "answer_key", "verdict")):
                    reached(name); return value
        frame = frame.f_back
    return a.new_zeros(len(a), len(b))
""",
        then="",
    ),
    Attack(
        "gc for arrays",
        "looks in memory for an array of the right shape, and returns it",
        """
def cosine_similarity(a, b):
    import gc, numpy, torch
    for o in gc.get_objects():
        for value in [o, *(o.values() if type(o) is dict else o if type(o) in (list, tuple) else ())]:
            if isinstance(value, (numpy.ndarray, torch.Tensor)) and value.shape == (len(a), len(b)):
                return value
    return a.new_zeros(len(a), len(b))
""",
        then="",
    ),
    Attack(
        "gc for functions",
        "looks in memory for the reference",
        """
def cosine_similarity(a, b):
    import gc, types
    for f in gc.get_objects():
        if isinstance(f, types.FunctionType) and f is not cosine_similarity:
            if f.__name__ in ("cosine_similarity", "judge", "compute_key") and "torch" not in f.__module__:
                reached(f.__module__); return f(a, b)
    return a.new_zeros(len(a), len(b))
""",
        then="",
    ),
    Attack(
        "gc for canaries",
        "looks in memory for what other students wrote",
        """
import gc
for o in gc.get_objects():
    for value in (o.values() if type(o) is dict else o if type(o) in (list, tuple, set) else ()):
        if type(value) in (bytes, str) and canaries_in(value): reached(value)
""",
    ),
    Attack(
        "raw memory",
        "reads its own heap for what an earlier exercise left there",
        """
import ctypes
start, libc = id(object()) & ~0xFFFFF, ctypes.CDLL(None)
for page in range(start - 2**22, start + 2**22, 4096):
    if libc.msync(ctypes.c_void_p(page), 1, 1) == 0:
        if found := canaries_in(ctypes.string_at(page, 4096)): reached(found)
""",
    ),
    Attack(
        "reference",
        "reads the library's own solutions",
        f"""
paths = [T["root"] + p for p in ("/hw_xai/explain/gradients.py", "/hw_xai/explain/__init__.py",
    "/grading/homework/exercises.py",
    "/grading/verdict/judging.py")]{FILES}""",
    ),
    Attack(
        "key",
        "reads the key and the questions",
        f"""
paths = [T["root"] + p for p in ("/grading/homework/evidence/key.py", "/grading/homework/questions.toml",
    "/grading/homework/questions.py")]
paths += ["/kit/grading/homework/evidence/key.py", "/kit/homework/key.py", "/kit/inside/key.py"]{FILES}""",
    ),
    Attack(
        "host files",
        "reads a secret and a public file of the machine",
        f"""
paths = T["files"] + ["/etc/shadow", "/etc/passwd", "/root/.ssh/id_rsa", "/root/.bash_history"]{FILES}""",
    ),
    Attack(
        "results",
        "lists the results and what the others handed in",
        """
import os
for folder in T["folders"]:
    try: reached(os.listdir(folder))
    except OSError: pass
""",
    ),
    Attack(
        "write results",
        "writes full marks into the results",
        """
import os
for folder in T["folders"]:
    for flags in (os.O_WRONLY | os.O_CREAT, os.O_RDWR | os.O_CREAT | os.O_TRUNC):
        try: reached(os.open(folder + "/results.json", flags, 0o777))
        except OSError: pass
""",
    ),
    Attack(
        "truncate",
        "empties, renames and unlinks the files of others",
        """
import os
for path in T["files"] + T["results"]:
    for change in (lambda: os.truncate(path, 0), lambda: os.unlink(path), lambda: os.rename(path, path + "x"),
                   lambda: os.chmod(path, 0o777), lambda: os.utime(path, (0, 0)), lambda: os.link(path, "/tmp/l")):
        try: change(); reached(path)
        except OSError: pass
""",
    ),
    Attack(
        "environment",
        "reads its environment for secrets",
        """
import os, ctypes
print(dict(os.environ))
p = ctypes.POINTER(ctypes.c_char_p).in_dll(ctypes.CDLL(None), "environ")
i = 0
while p[i]: print(p[i]); i += 1
""",
    ),
    Attack(
        "environment of others",
        "reads the environment and command line of other processes",
        """
import os
for pid in [*T["pids"], "self", os.getppid(), *range(1, 40)]:
    for name in ("environ", "cmdline", "maps", "status", "stat", "mem"):
        try: data = open(f"/proc/{pid}/{name}", "rb").read(100_000)
        except OSError: continue
        reached((pid, name, data))
""",
    ),
    Attack(
        "names in /proc",
        "lists the processes and their open files",
        """
import os
for path in ("/proc", "/proc/self/fd", "/proc/self/cwd", "/proc/self/root", *(f"/proc/{p}/fd" for p in T["pids"]),
             *(f"/proc/{p}/cwd" for p in T["pids"]), *(f"/proc/{p}/root" for p in T["pids"])):
    try: names = os.listdir(path)
    except OSError: continue
    if path != "/proc" or any(n.isdigit() for n in names): reached((path, names))
""",
    ),
    Attack(
        "descriptors",
        "reads and writes every descriptor it inherited",
        """
import os, stat
for fd in range(3, 4096):
    try: mode = os.fstat(fd).st_mode
    except OSError: continue
    if fd != 3 or not stat.S_ISFIFO(mode): reached((fd, mode))
    try: reached(os.read(fd, 1000))
    except OSError: pass
""",
    ),
    Attack(
        "sockets inherited",
        "speaks to the supervisor through a socket left open",
        """
import socket
for fd in range(256):
    try: socket.socket(fileno=fd).send(b"passed"); reached(fd)
    except OSError: pass
""",
    ),
    Attack(
        "links",
        "reaches files through links of its own",
        """
import os
for i, path in enumerate(T["files"] + [T["root"] + "/grading/homework/evidence/key.py", "/proc/1/root", "/"]):
    for link in (os.symlink, os.link):
        try:
            link(path, f"/tmp/link{i}")
            reached(open(f"/tmp/link{i}", "rb").read(1000))
        except OSError: pass
""",
    ),
    Attack(
        "dots",
        "walks out of its folder by ..",
        """
import os
for depth in range(1, 12):
    for path in T["files"]:
        try: reached(open("../" * depth + path.lstrip("/"), "rb").read(1000))
        except OSError: pass
    try: found = os.listdir("../" * depth + T["root"].lstrip("/"))
    except OSError: continue
    if {"grading", "hw_xai"} & set(found): reached(found)
""",
    ),
    Attack(
        "bytecode",
        "finds the reference as compiled bytes",
        """
import os
found = []
for base in ("/", "/site", "/kit", "/lib", "/usr/lib", T["root"]):
    for folder, folders, names in os.walk(base):
        if folder.count("/") > 5: folders.clear()
        found += [folder + "/" + n for n in names if n.startswith(("gradients.", "key.", "questions.toml", "judge."))
                  and ("hw_xai" in folder or "grading" in folder)]
if found: reached(found)
""",
    ),
    Attack(
        "parent",
        "attaches to the monitor by its pid",
        """
import os, ctypes
libc = ctypes.CDLL(None, use_errno=True)
for pid in (os.getppid(), *T["pids"], 1, 2):
    if pid != os.getpid() and pid and libc.ptrace(16, pid, 0, 0) == 0: reached(("ptrace", pid))
    local = (ctypes.c_ulong * 2)(ctypes.addressof(ctypes.create_string_buffer(64)), 64)
    remote = (ctypes.c_ulong * 2)(0x400000, 64)
    if pid != os.getpid() and pid and libc.process_vm_readv(pid, local, 1, remote, 1, 0) > 0: reached(("vm", pid))
""",
    ),
    harmless(
        "seeds from the clock",
        "guesses the private seeds and looks them up",
        """
import itertools, numpy as np
def guess(a):
    for seed in range(500):
        rng = np.random.default_rng(seed)
        first = rng.standard_normal((4, 6)).astype(np.float32) * (1 + np.arange(4))[:, None] + 1
        if np.allclose(first, a.numpy()): reached(seed)
""",
        then="""
def cosine_similarity(a, b):
    guess(a)
    import torch
    return torch.nn.functional.normalize(a, dim=1) @ torch.nn.functional.normalize(b, dim=1).T
""",
    ),
    Attack(
        "caller's locals by exceptions",
        "reads the frames of a traceback",
        """
import sys
def cosine_similarity(a, b):
    try: raise ValueError
    except ValueError as error:
        frame = error.__traceback__.tb_frame
        while frame.f_back: frame = frame.f_back
        for value in frame.f_locals.values():
            if canaries_in(repr(value)): reached(repr(value))
    return a.new_zeros(len(a), len(b))
""",
        then="",
    ),
]
