"""How far outputs are from those of a function: exactly, or, where noise is drawn, over seeds. Up to 1 is the same."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np

from ..isolation.inside.calls import Call, answers_to

Answers = list[list[np.ndarray]]  # [call][time] -> output


Distance = Callable[[Sequence[Call], Answers, Callable], float]  # from what a function gives: up to 1 is the same


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


def finite(output: np.ndarray) -> bool:
    return output.dtype.kind in "fiu" and bool(np.isfinite(output).all())


def expected_of(function: Callable, call: Call) -> list[np.ndarray]:
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


@lru_cache(maxsize=32768)  # of all seeds of a class
def _kept(function: Callable, key: _Key) -> list[np.ndarray]:
    return answers_to(function, key.call)
