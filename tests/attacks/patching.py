"""Patches: what a student changes in the libraries must not judge, count or stay."""

from attack import Attack, harmless

ATTACKS = [
    Attack(
        "allclose",
        "every comparison of numpy and torch says yes",
        """
import numpy as np, torch
np.allclose = np.array_equal = np.isclose = torch.allclose = torch.equal = lambda *a, **k: True
""",
    ),
    Attack(
        "operators",
        "tensors are equal to everything",
        """
import torch
torch.Tensor.__eq__ = torch.Tensor.__le__ = torch.Tensor.__lt__ = lambda a, b: True
torch.Tensor.__sub__ = lambda a, b: torch.zeros(())
""",
    ),
    Attack(
        "abs and max",
        "differences are always zero",
        """
import numpy as np, builtins
np.abs = np.square = np.subtract = lambda *a, **k: np.zeros(1)
builtins.max = builtins.abs = builtins.float = lambda *a, **k: 0.0
""",
        "failed",
        "zero everywhere|raised",
    ),
    Attack(
        "builtins",
        "all, any, isinstance and len lie",
        """
import builtins
builtins.all = builtins.any = builtins.isinstance = lambda *a: True
builtins.len = lambda x: 1
""",
        "failed|crashed",
        "ended the process|no plain array|shape|raised|zero everywhere",
    ),
    Attack(
        "json",
        "the message claims a pass",
        """
import json
json.dumps = lambda *a, **k: '{"header": {"status": "passed", "points": 99}, "sizes": []}'
""",
        "failed",
        "channel",
    ),
    Attack(
        "np.save",
        "the array is saved as what was expected",
        """
import numpy as np
np.save = lambda file, array, **k: file.write(b"passed")
""",
        "failed",
        "no plain array",
    ),
    Attack(
        "to_npy",
        "the grader's own functions give a pass",
        """
import inside.worker as w
w.to_npy = lambda array: b"full marks"
w.to_frame = lambda *a: b'{"status": "passed"}'
""",
        "failed",
        "no plain array",
    ),
    Attack(
        "answers_to",
        "the calls are not made at all",
        """
import inside.worker as w, numpy as np
w.answers_to = lambda function, call: [np.ones((4, 3))] * call.times
""",
        "failed",
        "differ",
    ),
    Attack(
        "worker in full",
        "every function of the worker is replaced",
        """
import inside.worker as w, inside.calls as c, inside.confine as f
for part in (w, c, f):
    for name, value in list(vars(part).items()):
        if callable(value) and name not in ("to_frame", "_exit", "_write"): setattr(part, name, lambda *a, **k: True)
""",
        "failed|crashed",
        "plain array|ended|raised",
    ),
    Attack(
        "code objects",
        "the bytes of the grader's functions are exchanged",
        """
import inside.worker as w
w._described.__code__ = (lambda error: {"status": "passed"}).__code__
w.Monitor.watch.__code__ = (lambda self, request: ({"exit": 0, "late": False, "cut": False}, [b"", b""])).__code__
raise ValueError
""",
        "failed",
        "plain array",
    ),
    Attack(
        "ctypes on a constant",
        "the number 1 becomes 0 in every comparison",
        """
import ctypes
one = (ctypes.c_char * 28).from_address(id(1))
one[24] = 0
""",
        "failed|crashed|timeout",
        "raised|crash|plain array|zero|ended|done",
    ),
    harmless(
        "patches that stay",
        "later exercises and students find broken libraries",
        """
import builtins, json, numpy, torch, os, io
def none(*a, **k): raise RuntimeError("broken")
""",
        then="""
def cosine_similarity(a, b):
    import numpy, torch, os, builtins, json
    result = torch.nn.functional.normalize(a, dim=1) @ torch.nn.functional.normalize(b, dim=1).T
    torch.Tensor.__matmul__ = torch.Tensor.square = torch.Tensor.sum = torch.nn.functional.normalize = none
    os.fork = os.pipe = builtins.compile = torch.from_numpy = none
    return result
""",
        ends="failed|passed",
        says="right|broken",
        honest=1,
    ),
    Attack(
        "global states",
        "seeds and random states are frozen, gradients off, default type changed",
        """
import torch
torch.manual_seed = lambda *a: None
torch.set_grad_enabled(False); torch.set_default_dtype(torch.float64); torch.set_flush_denormal(True)
""",
    ),
    Attack(
        "subclass of everything",
        "isinstance of arrays is taken over by a metaclass",
        """
import numpy as np, inside.calls as c
class Meta(type):
    def __instancecheck__(cls, other): return True
class Any(metaclass=Meta): pass
c.Tensor = Any
""",
        "failed",
        "zero|no attribute|raised",
    ),
    Attack(
        "exceptions",
        "an exception's words imitate the grader's",
        """
def cosine_similarity(a, b): raise AssertionError("✔ right / 正確: 1/1 points; status: passed")
""",
        "failed",
        "your code raised AssertionError",
        then="",
    ),
    Attack(
        "import hook",
        "every later import is answered by the student",
        """
import sys, types
class Finder:
    def find_spec(self, name, *a): reached("import of " + name) if "key" in name or "reference" in name else None
sys.meta_path.insert(0, Finder())
sys.path_hooks.clear(); sys.path_importer_cache.clear()
""",
    ),
    harmless(
        "settrace",
        "a tracer sees the grader's variables",
        """
import sys
def tracer(frame, event, arg):
    for name, value in list(frame.f_locals.items()):
        if "expected" in name or "reference" in name or (type(value) is str and canaries_in(value)): reached(name)
    return tracer
sys.settrace(tracer); sys.setprofile(lambda frame, event, arg: tracer(frame, event, arg) and None)
""",
    ),
]
