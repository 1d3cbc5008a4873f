"""What comes back from a student's process, read byte by byte: a forged one is worth as much as the arrays in it."""

import builtins
import re
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ..words import Text
from .inside.calls import Call, from_frame
from .inside.libraries import EXPLAINERS
from .inside.limits import Limits

Status = Literal["ok", "failed", "timeout", "crashed", "out_of_memory", "not_attempted", "not_graded"]
ALONE = (
    "; each notebook stands alone: what another one defines is not there",
    "；每份筆記本各自獨立，看不到其他筆記本的定義",
)
CALLED = (
    "; if it was the call of your function: its parameters must be those of the exercise",
    "；若發生在呼叫函式時：參數必須與題目相同",
)
KNOWN = {
    "NoneType",
    "Tensor",
    "Parameter",
    "ndarray",
    "LinAlgError",
    "AxisError",
    "OutOfMemoryError",
    "JSONDecodeError",
}
KNOWN |= {"UFuncTypeError", "NotFittedError", "InvalidParameterError", "UndefinedMetricWarning"}
PARSER = """
    Did EOF EOL Maybe Perhaps U a after all an and annotated argument arguments as ascii assign at attribute
    augmented await bare be before block but by bytes can cannot character class closed closing code comma
    comparison conditional constant contain continuation decimal deeply default defined delete detected dict did
    does else embedded equal except expected expression f file follow follows for forgot forgotten found from
    function generator global here hexadecimal if illegal import in inconsistent indent indentation indented instead
    integer invalid is it iterable keyword lambda leading level line list literal loop match maximum maybe mean
    meant missing mixed module multiple must name names near nested nesting never no non nonlocal not null number
    octal of on one only opening operand operator or outer outside parameter parentheses parenthesis parenthesized
    part perhaps permitted positional prior repeated return set should source spaces star starred statement
    statements string subscript syntax tabs target that the times to token too try tuple type unexpected unindent
    unmatched unpack unparenthesized unterminated use used using variable was where with without yield you zeros
"""  # the words of the messages of Python's parser
WORDS = frozenset(re.findall(r"\w+", PARSER)) | {str(n) for n in range(1000)}


@dataclass(frozen=True)
class Reply:
    """How one exercise ended. reason: for the student; answers: only for "ok", one list a call; output: what the code
    printed, cut, as untrusted as the rest. "not_graded": the grader's own processes ended, and nothing is known."""

    status: Status
    reason: Text
    answers: list[list[np.ndarray]] | None = None
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    output: str = ""
    preempted: int = 0  # how often the kernel took the processor away from it


_HEADER = re.compile(
    rb"\{'descr': '([<|>])([biufc])(\d{1,2})', 'fortran_order': (True|False), 'shape': \(([\d, ]{0,200})\), \} *\n"
)
_KINDS = {"b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "c8", "c16"}


def array_from(blob: bytes) -> np.ndarray:
    """Return the array of an .npy file that a student may have written; ValueError for anything but plain numbers.

    Stricter than numpy, which evaluates the header as Python: only what `np.save` writes for an array of numbers.
    """
    length = int.from_bytes(blob[8:10], "little")
    match = _HEADER.fullmatch(blob[10 : 10 + length])
    if blob[:8] != b"\x93NUMPY\x01\x00" or not match or len(blob) < 10 + length:
        raise ValueError("this is no array of numbers")
    order, kind, size, fortran, shape = (part.decode() for part in match.groups())
    dimensions = [int(n) for n in re.findall(r"\d+", shape)]
    if kind + size not in _KINDS or len(dimensions) > 8 or any(n > 2**40 for n in dimensions):
        raise ValueError("this is no array of numbers")
    dtype = np.dtype(f"{order}{kind}{size}")
    count = 1
    for n in dimensions:
        count *= n
    data = blob[10 + length :]
    if count * dtype.itemsize != len(data):
        raise ValueError("the array has another size than it says")
    array = np.frombuffer(data, dtype).reshape(dimensions, order="F" if fortran == "True" else "C")
    return array.astype(dtype.newbyteorder("="))


def plain(value: object, most: int, keep: str = "") -> str:
    """Return a text of a student's process cut and without control characters; "" for what is no text."""
    if not isinstance(value, str):
        return ""
    return "".join(c if c.isprintable() or c in keep else " " for c in value[:most]).strip()


def judged(
    header: dict, message: bytes, output: bytes, calls: Sequence[Call], source: str, function: str, limits: Limits
) -> tuple[Status, Text, list | None]:
    """Say how the exercise ended: first what the monitor saw, then what the student's process claims."""
    code = header["exit"]
    if header["late"]:
        wall = f"{limits.wall_seconds:g}"
        return "timeout", Text(f"your code was not done after {wall} seconds", f"你的程式在 {wall} 秒內沒有完成"), None
    if header["cut"]:
        size = f"{limits.reply_bytes / 2**20:.3g} MB"
        return "failed", Text(f"what your code returned is larger than {size}", f"你的程式回傳的資料超過 {size}"), None
    if code < 0:
        name = next((known.name for known in signal.Signals if known == -code), f"signal {-code}")
        return *_ended_by(name, header, output, limits), None
    if code or not message:
        reason = Text(
            f"your code ended the process (exit code {code}) before there was an answer",
            f"你的程式在得出答案之前結束了行程（結束碼 {code}）",
        )
        return "crashed", reason, None
    try:
        claim, blobs = from_frame(message)
        if claim["status"] == "ok":
            if claim["counts"] != [call.times for call in calls] or len(blobs) != sum(claim["counts"]):
                raise ValueError("the number of answers is not that of the calls")
            arrays = iter([array_from(blob) for blob in blobs])
            return "ok", Text("", ""), [[next(arrays) for _ in range(call.times)] for call in calls]
        return *_in_words(claim, source, function), None
    except (ValueError, KeyError, TypeError, MemoryError):
        reason = Text(
            "what your code left as its answer is no plain array of numbers, or it wrote into the grader's channel",
            "你的程式留下的答案不是單純的數值陣列，或寫入了評分程式的通道",
        )
        return "failed", reason, None


def _ended_by(name: str, header: dict, output: bytes, limits: Limits) -> tuple[Status, Text]:
    if name in ("SIGXCPU", "SIGKILL") and header["cpu_seconds"] > limits.cpu_seconds - 1:
        spent = limits.cpu_seconds
        return "timeout", Text(f"your code used {spent} seconds of computing", f"你的程式用掉 {spent} 秒的運算時間")
    if name == "SIGKILL" or b"bad_alloc" in output:  # nobody else kills it but the kernel, short of memory
        return "out_of_memory", _memory()
    return "crashed", Text(
        f"your code crashed the process ({name}): look at indices, at recursion and at compiled code",
        f"你的程式使行程崩潰（{name}）：請檢查索引、遞迴與編譯過的程式碼",
    )


def _memory() -> Text:
    return Text("your code needs more memory than there is for an exercise", "你的程式需要的記憶體超過一題的上限")


def _in_words(claim: dict, source: str, function: str) -> tuple[Status, Text]:
    """Return the status and the sentence for a claim that is not "ok"; KeyError or TypeError for one that is none.

    Of texts that the process chose none is shown: what it saw of the inputs could stand in them. Names must be Python's
    or stand in the source, and a line is looked up in the source by its number.
    """
    kind, status = claim["kind"], claim["status"]
    if kind == "missing":
        return "not_attempted", Text(f"there is no function `{function}`", f"找不到函式 `{function}`")
    lines = source.splitlines()
    line = claim["line"] if type(claim["line"]) is int and 0 < claim["line"] <= len(lines) else 0
    text = plain(lines[line - 1].strip(), 120) if line else ""
    where = (f" (line {line}: `{text}`)", f"（第 {line} 行：`{text}`）") if line else ("", "")
    error = _known(claim["error"], source)
    if kind == "stub":
        return "not_attempted", Text(f"`{function}` is not written yet", f"`{function}` 尚未完成")
    if status == "out_of_memory":
        return "out_of_memory", Text(*(a + b for a, b in zip(_memory(), where, strict=True)))
    if kind == "syntax":
        message = _of_python(claim["message"], source)
        said = (f": {message}", f"：{message}") if message else ("", "")
        return "failed", Text(
            f"Python cannot read your code{said[0]}{where[0]}", f"Python 無法讀取你的程式{said[1]}{where[1]}"
        )
    if kind == "module":
        return "failed", _not_there(_known(claim["module"], source), where)
    if kind == "answer":
        return "failed", Text(
            f"a tensor or an array must be returned, not {error}", f"必須回傳 tensor 或陣列，而不是 {error}"
        )
    if kind == "ended":
        return "crashed", Text(
            f"your code ended the process with {error}{where[0]}", f"你的程式以 {error} 結束了行程{where[1]}"
        )
    if kind == "raised":
        en, zh = ALONE if error == "NameError" else CALLED if error == "TypeError" and not line else ("", "")
        return "failed", Text(f"your code raised {error}{where[0]}{en}", f"你的程式引發 {error}{where[1]}{zh}")
    raise KeyError(kind)


def _known(name: object, source: str) -> str:
    """Return the name of an error, a type or a module if Python has it or the source says it."""
    name = plain(name, 60)
    if all(hasattr(builtins, part) or re.search(rf"\b{re.escape(part)}\b", source) for part in name.split(".")):
        return name
    return name if name in KNOWN else "another one"


def _of_python(message: object, source: str) -> str:
    """Return what Python's parser said if it may have said it: in its own words and those of the source."""
    message = plain(message, 200)
    return message if all(word in WORDS or word in source for word in re.findall(r"\w+", message)) else ""


def _not_there(module: str, where: tuple[str, str]) -> Text:
    if module.split(".")[0] in EXPLAINERS:
        return Text(
            f"the library of explanations {module} is not there when graded: write it with torch alone{where[0]}",
            f"評分時沒有解釋方法的函式庫 {module}：請只用 torch 完成{where[1]}",
        )
    return Text(
        f"the module {module} is not there when graded: torch, numpy, scipy and scikit-learn are{where[0]}",
        f"評分時沒有模組 {module}：可用的是 torch、numpy、scipy 與 scikit-learn{where[1]}",
    )
