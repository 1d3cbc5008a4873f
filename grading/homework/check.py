"""`check("saliency", saliency)` in a notebook: is it right, and if not, which mistake is it?"""

import dis
import os
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import cast

from torch import Tensor, nn

from hw_xai.errors import nearest

from ..isolation.inside.calls import NoArray, objects_of, outputs_of
from ..isolation.inside.libraries import EXPLAINERS, is_there
from ..verdict.exercise import Exercise, Verdict
from ..verdict.feedback import as_html, lines_of
from ..verdict.judging import judge
from ..words import Language, Text
from .exercises import EXERCISES
from .misconceptions import MISCONCEPTIONS

OURS = Path(__file__).parents[1]  # frames of an error that lie in here are not the student's
PUBLIC_SEEDS = (0, 1, 2)  # the grader takes others

HOOK_LEFT = Text(
    "but your hook is still on the layer: take it down with handle.remove(), else each call adds another",
    "不過你的 hook 還掛在這一層上：請用 handle.remove() 取下，否則每呼叫一次就多一個",
)
ASKED_OF_THE_CALLER = Text(
    "but the caller's own tensor now asks for a gradient: let a clone of it ask",
    "不過呼叫者自己的張量現在也要求梯度了：請改用它的複本（clone）來要求",
)
NO_GRADIENT = Text(
    "a tensor has a gradient only if it asked for one, with requires_grad_(), before the model saw it",
    "張量必須在模型看到它之前，先用 requires_grad_() 要求梯度，之後才會有梯度",
)


@dataclass(frozen=True)
class Checked:
    """What `check` found; drawn by a notebook, printed elsewhere."""

    exercise: Exercise
    verdict: Verdict
    language: Language

    @property
    def passed(self) -> bool:
        return self.verdict.passed

    def __repr__(self) -> str:
        return "\n".join(lines_of(self.exercise.title, self.verdict, self.language))

    def _repr_html_(self) -> str:
        return as_html(self.exercise.title, self.verdict, self.language, self.exercise.of_points)


def check(name: str, function: Callable, *, language: Language | None = None) -> Checked:
    """Judge a function on the public inputs, as the grader will on others; nothing is raised for a wrong one.

    Under nbgrader a wrong one raises AssertionError: there a cell gives its points unless it raises.
    language: "en", "zh-TW" or "both"; None takes the environment variable HW_XAI_LANGUAGE, else both.
    """
    if name not in EXERCISES:
        raise ValueError(f'`name` must be an exercise, got "{name}".{nearest(name, EXERCISES)}')
    exercise = EXERCISES[name]
    language = language or cast(Language, os.environ.get("HW_XAI_LANGUAGE", "both"))
    seconds = 0.0
    for seed in PUBLIC_SEEDS:
        verdict, spent = _judged(name, exercise, function, seed)  # a right one has a note in its hint, or none
        seconds += spent
        if not verdict.passed:
            break
    else:
        verdict = replace(verdict, reason=Text(f"right ({seconds:.1f} s)", f"正確（{seconds:.1f} 秒）"))
    checked = Checked(exercise, verdict, language)
    if os.environ.get("NBGRADER_EXECUTION") and not checked.passed:
        raise AssertionError(repr(checked))
    return checked


def _judged(name: str, exercise: Exercise, function: Callable, seed: int) -> tuple[Verdict, float]:
    """Return the verdict, and how many seconds the function itself took."""
    calls = exercise.plan(seed)
    given = [objects_of(call) for call in calls]
    start = time.perf_counter()
    try:
        answers = [outputs_of(function, objects, call.times) for objects, call in zip(given, calls, strict=True)]
    except NotImplementedError as error:
        return Verdict(False, Text(f"not written yet: {error}", f"尚未完成：{error}")), 0.0
    except Exception as error:
        return Verdict(False, _raised(error), _hint_at(error)), 0.0
    seconds = time.perf_counter() - start
    verdict = judge(exercise, MISCONCEPTIONS.get(name, ()), calls, answers)
    missing = missing_libraries(function)
    if verdict.passed and missing and not _of_a_library(function):
        return Verdict(False, _cannot_run(missing)), seconds
    notes = (note for note in (_cannot_run(missing) if missing else None, *map(left_behind, given)) if note)
    return (replace(verdict, hint=next(notes, verdict.hint)) if verdict.passed else verdict), seconds


def left_behind(objects: Mapping[str, object]) -> Text | None:
    """Say what a function left on its arguments that no output shows: it costs no points, but the next one stumbles."""
    networks = [value for value in objects.values() if isinstance(value, nn.Module)]
    if any(m._forward_hooks or m._forward_pre_hooks or m._backward_hooks for n in networks for m in n.modules()):
        return HOOK_LEFT
    if any(isinstance(value, Tensor) and value.requires_grad for value in objects.values()):
        return ASKED_OF_THE_CALLER
    return None


def missing_libraries(function: Callable) -> list[str]:
    """Return which libraries a function, or one of the student's own that it names, uses and the grader has not."""
    home, missing, seen, todo = getattr(function, "__module__", None), {}, set(), [function]
    while todo:
        one = todo.pop()
        code, known = getattr(one, "__code__", None), getattr(one, "__globals__", {})
        if not isinstance(code, CodeType) or code in seen:
            continue
        seen.add(code)
        for how, name in _reads(code):
            value = known.get(name)
            module = name if how == "IMPORT_NAME" else _module_of(value)
            if isinstance(value, FunctionType) and module == home:
                todo.append(value)
            elif isinstance(module, str) and module not in (home, "__main__", "builtins") and not is_there(module):
                missing[module.partition(".")[0]] = True
    return list(missing)


def _of_a_library(function: Callable) -> bool:
    """Whether a function is not the student's at all: one of the library, to be looked at."""
    return str(getattr(function, "__module__", "")).partition(".")[0] in EXPLAINERS


def _cannot_run(missing: Sequence[str]) -> Text:
    names = ", ".join(missing)
    only = "torch, numpy, scipy, scikit-learn"
    return Text(
        f"right, but the grader has no {names} and could not run it: use {only} alone",
        f"結果正確，不過評分時沒有 {names}，無法執行：請只用 {only}",
    )


def _module_of(value: object) -> object:
    return value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None)


def _reads(code: CodeType) -> Iterator[tuple[str, str]]:
    """Yield how and which global names and modules a function and those inside it read."""
    for one in dis.get_instructions(code):
        if one.opname in ("LOAD_GLOBAL", "LOAD_NAME", "IMPORT_NAME"):
            yield one.opname, one.argval
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _reads(inner)


def _hint_at(error: Exception) -> Text:
    """Point at the missing requires_grad_() behind an error that does not speak of it."""
    traces = ("'NoneType' object", "not require grad", "appears to not have been used in the graph")
    return NO_GRADIENT if any(trace in str(error) for trace in traces) else Text("", "")


def _raised(error: Exception) -> Text:
    """Name the error and the student's own line, not our frames."""
    if isinstance(error, NoArray):
        what = error.args[0]
        return Text(f"a tensor or an array must be returned, not {what}", f"必須回傳 tensor 或陣列，而不是 {what}")
    frames = [f for f in traceback.extract_tb(error.__traceback__) if OURS not in Path(f.filename).parents]
    line = f" (line {frames[0].lineno}: {frames[0].line})" if frames and frames[0].line else ""
    what = f"{type(error).__name__}: {error}"
    return Text(f"your function stopped with {what}{line}", f"你的函式中斷了：{what}{line}")
