"""The table of exercises: complete, its references accepted by their own judge, its plans different for each seed."""

import inspect

import numpy as np
import pytest

from grading.homework.exercises import EXERCISES
from grading.isolation.inside.calls import answers_to
from grading.verdict.judging import judge

ORDER = [
    "1_perturbation", "2_gradients", "3_filters_and_cam", "4_attention", "5_embeddings", "6_can_you_trust_it",
]  # fmt: skip


def test_exercises_are_in_the_order_of_the_notebooks():
    places = [ORDER.index(exercise.notebook) for exercise in EXERCISES.values()]
    assert places == sorted(places)
    assert set(places) == set(range(len(ORDER)))


@pytest.mark.parametrize("name", EXERCISES)
def test_the_reference_is_right(name):
    exercise = EXERCISES[name]
    calls = exercise.plan(3)
    assert judge(exercise, (), calls, [answers_to(exercise.reference, call) for call in calls]).passed


@pytest.mark.parametrize("name", EXERCISES)
def test_arguments_of_the_calls_are_those_of_the_signature(name):
    exercise = EXERCISES[name]
    expected = list(inspect.signature(exercise.reference).parameters)
    for call in exercise.plan(0):
        given = list(call.arguments)
        assert set(given) <= set(expected)


@pytest.mark.parametrize("name", EXERCISES)
def test_another_seed_gives_other_calls_and_the_same_seed_the_same(name):
    def numbers(seed: int) -> list[np.ndarray]:
        return [v for call in EXERCISES[name].plan(seed) for v in call.arguments.values() if isinstance(v, np.ndarray)]

    for one, same in zip(numbers(5), numbers(5), strict=True):
        assert np.array_equal(one, same)
    assert any(not np.array_equal(one, other) for one, other in zip(numbers(5), numbers(6), strict=True))


@pytest.mark.parametrize("name", EXERCISES)
def test_no_right_answer_is_zero_or_flat(name):
    for call in EXERCISES[name].plan(1):
        (output, *_) = answers_to(EXERCISES[name].reference, call)
        assert np.isfinite(output).all()
        assert np.std(output) > 1e-3 * np.abs(output).max()
