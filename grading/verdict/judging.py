"""From outputs to a verdict, in words: what came is compared with the reference, then with every known wrong version.

Only outputs are judged. Whether a student's function changed its inputs, kept state or ignored its seed shows in the
outputs of the next call; nothing that the student's process says about itself counts.
"""

from collections.abc import Sequence

import numpy as np

from ..isolation.inside.calls import Call
from ..words import Text
from .distances import Answers, expected_of, finite, largest
from .exercise import Exercise, Misconception, Verdict


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
