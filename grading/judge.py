"""From outputs to a verdict, in words: what came is compared with the reference, then with every known wrong version.

Only outputs are judged. Whether a student's function changed its inputs, kept state or ignored its seed shows in the
outputs of the next call; nothing that the student's process says about itself counts.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from .calls import Call, answers_to

# libraries that do the homework: where it is graded there are none
EXPLAINERS = ("hw_xai", "captum", "lime", "pytorch_grad_cam", "quantus", "shap", "torchcam", "zennit")


class Text(NamedTuple):
    """A sentence in both languages of the homework."""

    en: str
    zh: str


Answers = list[list[np.ndarray]]  # [call][time] -> output
Distance = Callable[[Sequence[Call], Answers, Callable], float]  # from what a function gives: up to 1 is the same


@dataclass(frozen=True)
class Property:
    """Something that every right answer has and that a student can check by hand, with the sentence when it lacks."""

    sentence: Text
    holds: Callable[[Sequence[Call], Answers], bool]


@dataclass(frozen=True)
class Misconception:
    """A known wrong version: what it is, and a hint at the repair that does not give it away."""

    name: str
    function: Callable
    sentence: Text
    hint: Text


@dataclass(frozen=True)
class Exercise:
    """What is asked, on which calls it is judged, and how."""

    title: Text
    notebook: str  # the stem of its master
    points: float
    minutes: int
    lines: int  # that the reference solution takes
    reference: Callable
    plan: Callable[[int], list[Call]]  # seed -> the calls; other seeds, other inputs and networks
    properties: tuple[Property, ...] = ()
    distance: Distance = field(default_factory=lambda: exact())
    of_points: bool = False  # rows of an output are points: drawn as a scatter


@dataclass(frozen=True)
class Verdict:
    """The result of one exercise; yours and expected are the outputs of the first call that went wrong."""

    passed: bool
    reason: Text
    hint: Text = Text("", "")
    misconception: str | None = None
    call: Call | None = None
    yours: np.ndarray | None = None
    expected: np.ndarray | None = None


def exact(tolerance: float = 1e-3, align: Callable = lambda mine, ours: mine) -> Distance:
    """Return the distance for functions without randomness: the largest difference ÷ (tolerance × the largest value).

    align: changes mine where the right answer is not unique, as the sign of a principal axis is not. 1e-3: float32 on
    our smooth networks is off by less than 1e-5, the mildest known mistake by more than 1e-2.
    """

    def distance(calls: Sequence[Call], answers: Answers, function: Callable) -> float:
        worst = 0.0
        for call, outputs in zip(calls, answers, strict=True):
            for mine, ours in zip(outputs, expected_of(function, call), strict=True):
                if mine.shape != ours.shape or not finite(ours):
                    return np.inf
                off = largest(align(mine, ours) - ours) / max(tolerance * largest(ours), 1e-12)
                worst = np.maximum(worst, off)  # unlike max() it keeps NaN, which must not count as equal
        return worst

    return distance


def over_seeds(draws: int = 16) -> Distance:
    """Return the distance for functions with randomness: mean and spread over seeds must be those of the function.

    Any way of drawing the noise is right, so no two right answers are equal. Calls that differ in `seed` alone are
    taken together: for each picture the mean of the outputs lies within the errors of the means, and the ratio of their
    variances within the bounds below. One call alone, or outputs that no seed changes, must be equal to the function's.
    """

    def distance(calls: Sequence[Call], answers: Answers, function: Callable) -> float:
        families: dict[tuple, list[int]] = {}
        for i, call in enumerate(calls):
            fixed = replace(call, arguments={**call.arguments, "seed": None}, times=1)
            families.setdefault(_Key(fixed).parts, []).append(i)
        worst = 0.0
        for members in families.values():
            others = [
                replace(calls[members[0]], arguments={**calls[members[0]].arguments, "seed": 10_000 + i}, times=1)
                for i in range(draws)
            ]
            theirs = np.stack([expected_of(function, other)[0] for other in others]).astype(np.float64)
            if any(answers[i][0].shape != theirs.shape[1:] for i in members) or not finite(theirs):
                return np.inf
            mine = np.stack([answers[i][0] for i in members]).astype(np.float64)
            if len(members) == 1 or largest(theirs - theirs[0]) <= 1e-5 * largest(theirs):
                off = largest(mine - theirs[:1]) / max(1e-3 * largest(theirs), 1e-12)
            else:
                spread = theirs.var(axis=0, ddof=1)
                error = spread * (1 / len(mine) + 1 / draws)
                error += 1e-3 * error.max(axis=inner(error), keepdims=True)
                shift = each(np.square(mine.mean(axis=0) - theirs.mean(axis=0)) / error)
                ratio = each(mine.var(axis=0, ddof=1)) / each(spread)
                off = np.max([shift / SHIFT, ratio / WIDER, NARROWER / np.maximum(ratio, 1e-12)])
            worst = np.maximum(worst, off)
        return worst

    return distance


SHIFT, WIDER, NARROWER = 2.2, 1.6, 0.6  # right answers: at most 1.6, and 0.7 to 1.3


def inner(values: np.ndarray) -> tuple[int, ...]:
    return tuple(range(1, values.ndim))


def each(values: np.ndarray) -> np.ndarray:
    """(N, …) -> (N,): the mean over each picture."""
    return values.mean(axis=inner(values))


def largest(values: np.ndarray) -> float:
    return float(np.abs(values).max(initial=0.0))


def judge(
    exercise: Exercise, misconceptions: Sequence[Misconception], calls: Sequence[Call], answers: Answers
) -> Verdict:
    """Compare the outputs for these calls with the reference, and say what is wrong and why.

    answers: one list per call, one array per time it was made.
    """
    for call, outputs in zip(calls, answers, strict=True):
        expected = expected_of(exercise.reference, call)
        for mine, ours in zip(outputs, expected, strict=True):
            if reason := misformed(mine, ours):
                named = named_among(exercise, misconceptions, calls, answers)
                return _failed(named, reason, call, mine, ours)
    broken = next((p.sentence for p in exercise.properties if not p.holds(calls, answers)), None)
    if not broken and exercise.distance(calls, answers, exercise.reference) <= 1:
        return Verdict(True, Text("right", "正確"))
    call, mine, ours = max(
        (
            (call, mine, ours)
            for call, outputs in zip(calls, answers, strict=True)
            for mine, ours in zip(outputs, expected_of(exercise.reference, call), strict=True)
        ),
        key=lambda row: largest(row[1] - row[2]) / max(largest(row[2]), 1e-12),
    )
    named = named_among(exercise, misconceptions, calls, answers)
    return _failed(named, broken or _off(mine, ours), call, mine, ours)


def named_among(
    exercise: Exercise, misconceptions: Sequence[Misconception], calls: Sequence[Call], answers: Answers
) -> Misconception | None:
    """Return the known wrong version that gives these outputs on every call, the nearest if several do.

    Places without a number count as zero: whoever leaves some out has 0 there, or 0 / 0, by the same mistake.
    """
    if any(output.dtype.kind not in "fiu" for outputs in answers for output in outputs):
        return None
    answers = [[np.where(np.isfinite(output), output, 0) for output in outputs] for outputs in answers]
    nearest, least = None, 1.5  # a name may be given more readily than a pass: some wrong versions vary more
    for wrong in misconceptions:
        try:
            distance = exercise.distance(calls, answers, wrong.function)
        except Exception:  # a wrong version may fail on some call; then it is not this one
            continue
        if distance < least:
            nearest, least = wrong, distance
    return nearest


def finite(output: np.ndarray) -> bool:
    return output.dtype.kind in "fiu" and bool(np.isfinite(output).all())


def misformed(mine: np.ndarray, expected: np.ndarray) -> Text | None:
    """Say what is wrong with the form of an output, None when its shape and type are right and it is finite."""
    if mine.dtype.kind not in "fiu":
        return Text(f"numbers were expected, {mine.dtype} came", f"應為數值，得到 {mine.dtype}")
    if mine.shape != expected.shape:
        return Text(
            f"the result must have the shape {expected.shape}, yours has {mine.shape}",
            f"結果的形狀應為 {expected.shape}，你的是 {mine.shape}",
        )
    if not finite(mine):
        return Text(
            "the result has NaN or infinite values: where do you divide by zero?",
            "結果含有 NaN 或無限大：哪裡除以零了？",
        )
    if not mine.any() and expected.any():
        return Text("your result is zero everywhere", "你的結果全部是零")
    return None


def _off(mine: np.ndarray, expected: np.ndarray) -> Text:
    share = 100 * largest(mine - expected) / max(largest(expected), 1e-12)
    return Text(
        f"your values differ from the expected ones by up to {share:.3g} % of the largest",
        f"你的數值與預期相差最多達最大值的 {share:.3g}%",
    )


def _failed(named: Misconception | None, reason: Text, call: Call, mine: np.ndarray, expected: np.ndarray) -> Verdict:
    if named:
        return Verdict(False, named.sentence, named.hint, named.name, call, mine, expected)
    return Verdict(False, reason, Text("", ""), None, call, mine, expected)


# ---------------------------------------------------------------------------------------------- what is expected of it


def expected_of(function: Callable, call: Call) -> list[np.ndarray] | None:
    """Return the outputs of a reference or a known wrong version, kept: every student is judged on the same calls."""
    return _kept(function, _Key(call))


class _Key:
    """A call by its contents: calls hold arrays, which cannot be keys themselves."""

    def __init__(self, call: Call):
        self.call = call
        self.parts = (call.times, *((n, _content(v)) for n, v in call.arguments.items()))

    def __hash__(self) -> int:
        return hash(self.parts)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and self.parts == other.parts


def _content(value: object) -> object:
    return (value.shape, str(value.dtype), value.tobytes()) if isinstance(value, np.ndarray) else value


@lru_cache(maxsize=4096)
def _kept(function: Callable, key: _Key) -> list[np.ndarray]:
    return answers_to(function, key.call)
