# ruff: noqa: E501 (a row of a table)
"""Lies: what is returned pretends to be an answer."""

from attack import Attack, harmless


def returning(
    name: str, tries: str, value: str, ends: str = "failed", says: str = "must be returned", **more
) -> Attack:
    body = f"import numpy as np, torch\n{more.pop('before', '')}\ndef cosine_similarity(a, b):\n    return {value}\n"
    return Attack(name, tries, body, ends, says, then="", **more)


ATTACKS = [
    returning(
        "lying __array__",
        "an object that is another array each time",
        "L()",
        before="""
class L:
    __class__ = np.ndarray
    n = 0
    def __array__(self, *a, **k): L.n += 1; return np.ones((4, 3)) * L.n
""",
        says="two results|must be returned|raised",
    ),
    returning(
        "lying __eq__",
        "an array that is equal to all",
        "np.zeros((len(a), len(b))).view(L)",
        before="""
class L(np.ndarray):
    __eq__ = __le__ = __lt__ = lambda s, o: True
    __sub__ = __rsub__ = lambda s, o: 0
    __array_ufunc__ = lambda s, *a, **k: 0
""",
        says="zero everywhere|raised|must be returned|shape",
    ),
    returning(
        "lying shape",
        "an array that says it has the right shape",
        "L(np.ones(2))",
        before="""
class L(np.ndarray):
    def __new__(cls, x): return x.view(cls)
    shape = property(lambda s: (4, 3))
    dtype = property(lambda s: np.dtype("f4"))
""",
        says="shape|raised|array",
    ),
    returning(
        "tensor subclass",
        "a tensor that answers for itself",
        "torch.zeros(4, 3).as_subclass(L)",
        before="""
class L(torch.Tensor):
    __torch_function__ = classmethod(lambda c, f, t, a=(), k=None: True)
    numpy = detach = cpu = lambda s, *a: s
    copy = lambda s: b"full marks"
""",
        says="raised|array|zero",
    ),
    returning("NaN", "nothing is different from NaN", "torch.full((len(a), len(b)), float('nan'))", says="NaN"),
    returning(
        "infinity", "every difference is infinite or NaN", "torch.full((len(a), len(b)), float('inf'))", says="NaN"
    ),
    returning(
        "one NaN",
        "a right answer with a NaN for the hard part",
        "torch.nn.functional.normalize(a) @ torch.nn.functional.normalize(b).T * float('nan')",
        says="NaN",
    ),
    returning(
        "overflow",
        "numbers whose differences overflow",
        "np.full((len(a), len(b)), 1.7e308) * [1, -1, 1]",
        says="between|differ",
    ),
    returning("denormal", "numbers smaller than all others", "np.full((len(a), len(b)), 5e-324)", says="differ"),
    returning("negative zero", "a zero that is not one", "-torch.zeros(len(a), len(b))", says="zero everywhere"),
    returning("complex", "an imaginary part", "torch.ones(len(a), len(b)) * 1j", says="numbers were expected"),
    returning("bool", "truth instead of numbers", "torch.ones(len(a), len(b)) > 0", says="numbers were expected"),
    returning(
        "integers", "numbers that wrap around", "np.full((len(a), len(b)), 2**64 - 1, 'u8')", says="between|differ"
    ),
    returning(
        "int8",
        "numbers whose absolute value is negative",
        "np.full((len(a), len(b)), -128, 'i1')",
        says="between|differ",
    ),
    returning("objects", "a pickle in an array", "np.array([[print] * len(b)] * len(a))", says="raised"),
    returning("strings", "formulas as numbers", "np.array([['=1+1'] * len(b)] * len(a))", says="plain array"),
    returning(
        "structured", "fields with names", "np.zeros((len(a), len(b)), [('<script>', 'f4')])", says="plain array"
    ),
    returning("dates", "a date is a number too", "np.zeros((len(a), len(b)), 'M8[s]')", says="plain array"),
    returning("0-d", "one number that is broadcast", "torch.tensor(0.5)", says="shape"),
    returning("one row", "an answer that is broadcast", "torch.ones(1, len(b))", says="shape"),
    returning("empty", "no number is wrong", "torch.zeros(0, 3)", says="shape"),
    returning("no columns", "all of nothing is right", "np.zeros((len(a), 0))", says="shape"),
    returning(
        "stride 0",
        "a huge view of one number",
        "np.broadcast_to(np.float32(1), (10**6, 10**6))",
        "failed|out_of_memory",
        "memory|raised|larger",
    ),
    returning("many dimensions", "an array of 64 dimensions", "np.ones((1,) * 40)", says="plain array|shape|raised"),
    returning("None", "nothing at all", "None"),
    returning("generator", "a generator instead of an answer", "(x for x in a)"),
    returning("list", "lists of numbers", "[[1.0] * len(b)] * len(a)"),
    returning("True", "the word that graders like", "True", says="numbers were expected|shape"),
    returning("sparse", "a tensor without storage", "torch.zeros(len(a), len(b)).to_sparse()", says="raised"),
    returning("meta", "a tensor without data", "torch.zeros(len(a), len(b), device='meta')", says="raised|Cannot"),
    returning("quantized", "a tensor of another kind", "torch.ones(len(a), len(b)).to(torch.bfloat16)", says="raised"),
    returning("the input", "gives back what came in", "a", says="shape"),
    returning("an average", "a constant in the middle", "torch.full((len(a), len(b)), 0.3)", says="differ"),
    returning("random", "another answer each time", "torch.randn(len(a), len(b)) / 9", says="two results|between"),
    returning("float16", "an answer that is nearly right", "torch.full((len(a), len(b)), 0.5).half()", says="differ"),
    Attack(
        "hard-coded",
        "returns what the public seeds give",
        """
import torch
def cosine_similarity(a, b): return torch.tensor([[0.57, 0.21, 0.43], [0.11, 0.9, 0.2], [0.3, 0.1, 0.7], [0.2, 0.3, 0.6]])
""",
        "failed",
        "differ",
        then="",
    ),
    Attack(
        "kept",
        "computes the first call and returns it ever after",
        """
import torch
kept = []
def cosine_similarity(a, b):
    kept.append(torch.nn.functional.normalize(a, dim=1) @ torch.nn.functional.normalize(b, dim=1).T)
    return kept[0]
""",
        "failed",
        "differ",
        then="",
    ),
    Attack(
        "written back",
        "changes its inputs for the second call",
        """
def cosine_similarity(a, b):
    a.zero_().add_(1)
    return a @ b.T * 0 + 0.2
""",
        "failed",
        "differ|two results",
        then="",
    ),
    Attack(
        "model of tomorrow",
        "an answer that changes when it is copied",
        """
import torch
class L(torch.Tensor):
    @classmethod
    def __torch_function__(cls, f, types, args=(), kwargs=None):
        reached("copied") if "expected" in str(kwargs) else None
        return super().__torch_function__(f, types, args, kwargs or {})
def cosine_similarity(a, b): return torch.zeros(len(a), len(b)).as_subclass(L)
""",
        "failed",
        "zero everywhere|raised",
        then="",
    ),
    *(
        Attack(
            f"forged: {what}",
            f"writes a message of its own: {what}",
            f"""
import io, os, numpy as np
from inside.calls import to_frame, to_npy
npy = to_npy(np.zeros((4, 3)))
file = io.BytesIO(); np.save(file, np.array([print, open], dtype=object), allow_pickle=True)
pickled = file.getvalue()
os.write(3, {message})
os._exit(0)
""",
            "failed",
            "plain array|zero everywhere",
        )
        for what, message in {
            "garbage": "b'garbage' * 99",
            "a pass": "to_frame({'status': 'passed', 'points': 99, 'score': 1e9})",
            "zeros": "to_frame({'status': 'ok', 'counts': [2, 2]}, [npy] * 4)",
            "a pickle": "to_frame({'status': 'ok', 'counts': [2, 2]}, [pickled] * 4)",
            "two messages": "to_frame({'status': 'ok', 'counts': [2, 2]}, [npy] * 4) * 2",
            "too few": "to_frame({'status': 'ok', 'counts': [2, 2]}, [npy])",
            "a lying size": "to_frame({'status': 'ok', 'counts': [2, 2]}, [npy.replace(b'(4, 3)', b'(9, 9)')] * 4)",
            "a header of code": "to_frame({'status': 'ok', 'counts': [2, 2]}, [npy.replace(b'False', b'exit()')] * 4)",
            "deep JSON": "b'\\0\\0\\0\\0\\0\\1\\0\\0' + b'[' * 65536",
            "a huge number": "b'\\0\\0\\0\\0\\0\\0\\x27\\x10' + b'9' * 10000",
            "NaN": "to_frame({'status': 'ok', 'counts': [float('nan')] * 2}, [npy] * 4)",
            "words that are none": "to_frame({'status': [], 'kind': {}, 'error': 5, 'message': None, 'line': 1e99})",
        }.items()
    ),
    Attack(
        "forged words",
        "a sentence of its own, with markup and a formula",
        """
import os
from inside.calls import to_frame
os.write(3, to_frame({"status": "failed", "kind": "raised", "error": "=HYPERLINK(1)", "line": 1,
    "message": "<script>alert(1)</script>\\n\\u202eright", "text": "\\x1b[2J"}))
os._exit(0)
""",
        "failed",
        "your code raised",
    ),
    harmless(
        "second channel",
        "writes beside the answer on the other descriptors",
        """
import os
for fd in (1, 2): os.write(fd, b'{"status": "passed", "score": 99}\\n')
""",
    ),
]
