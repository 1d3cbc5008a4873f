"""Verdicts: what passes, what fails, and with which sentence."""

import numpy as np
import pytest

from grading.homework.exercises import EXERCISES
from grading.homework.misconceptions import MISCONCEPTIONS
from grading.isolation.inside.calls import Call, answers_to
from grading.verdict.distances import exact
from grading.verdict.exercise import Exercise, Misconception, Property
from grading.verdict.judging import judge
from grading.words import Text

A = Text("a", "甲")


def doubled(x):
    return 2 * x


def plan(seed):
    return [Call({"x": np.arange(1, 7, dtype=np.float32) + seed}, times=2)]


TRIPLED = Misconception("tripled", lambda x: 3 * x, Text("this is three times x", "這是三倍"), A)
BROKEN = Misconception("broken", lambda x: x.no_such_thing, A, A)
INFINITE = Misconception("infinite", lambda x: x / 0, A, A)
EXERCISE = Exercise(A, "0", 1, 1, 1, doubled, plan)


def verdict_of(function, exercise=EXERCISE):
    calls = exercise.plan(0)
    return judge(exercise, [BROKEN, INFINITE, TRIPLED], calls, [answers_to(function, call) for call in calls])


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x + x,
        lambda x: (2 * x).numpy(),
        lambda x: 2 * x.double(),
        lambda x: 2 * x.int(),
        lambda x: 2 * x * (1 + 1e-5),
    ],
)
def test_another_way_another_type_and_rounding_pass(function):
    assert verdict_of(function).passed


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda x: 0 * x, "zero everywhere"),
        (lambda x: 2 * x / 0, "NaN or infinite"),
        (lambda x: x * float("nan"), "NaN or infinite"),
        (lambda x: x > 2, "numbers were expected, bool came"),
        (lambda x: x * 1j, "numbers were expected, complex64 came"),
        (lambda x: np.array([None] * 6), "numbers were expected, object came"),
        (lambda x: np.array(["2"] * 6), "numbers were expected"),
        (lambda x: x[None] * 2, "must have the shape (6,), yours has (1, 6)"),
        (lambda x: x.expand(1000, 1000, 6), "yours has (1000, 1000, 6)"),
        (lambda x: x[:0], "yours has (0,)"),
        (lambda x: 5, "yours has ()"),
        (lambda x: 2 * x + 1, "differ from the expected ones"),
        (lambda x: x.mul_(2), "differ from the expected ones"),
    ],
)
def test_what_is_wrong_is_said(function, words):
    verdict = verdict_of(function)
    assert not verdict.passed
    assert verdict.misconception is None
    assert words in verdict.reason.en


def test_a_known_mistake_is_named_though_others_cannot_be_computed():
    verdict = verdict_of(lambda x: 2.9999 * x)
    assert verdict.misconception == "tripled"
    assert verdict.reason == TRIPLED.sentence
    assert verdict.hint == TRIPLED.hint
    assert verdict.yours.shape == verdict.expected.shape == (6,)


def test_a_broken_property_is_the_reason_before_a_difference_is():
    small = Property(Text("must be small", "必須很小"), lambda calls, answers: answers[0][0].max() < 20)
    exercise = Exercise(A, "0", 1, 1, 1, doubled, plan, properties=(small,))
    assert verdict_of(lambda x: 20 * x, exercise).reason == small.sentence


def test_signs_may_be_free():
    exercise = Exercise(A, "0", 1, 1, 1, doubled, plan, distance=exact(align=lambda mine, ours: np.abs(mine)))
    assert verdict_of(lambda x: -2 * x, exercise).passed
    assert not verdict_of(lambda x: -2 * x).passed


@pytest.mark.parametrize("name", EXERCISES)
@pytest.mark.parametrize("spoil", [np.zeros_like, lambda a: a * np.nan, lambda a: a > 0, lambda a: a.astype(object)])
def test_spoiled_answers_fail_in_every_exercise(name, spoil):
    exercise = EXERCISES[name]
    calls = exercise.plan(0)[:1]
    answers = [[spoil(output) for output in answers_to(exercise.reference, call)] for call in calls]
    verdict = judge(exercise, MISCONCEPTIONS[name][:2], calls, answers)
    assert not verdict.passed
    assert verdict.reason.zh
