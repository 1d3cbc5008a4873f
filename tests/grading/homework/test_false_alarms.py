"""A right answer must never be called wrong, however it was computed."""

import functools

import pytest
import torch

from grading.homework.exercises import EXERCISES
from grading.homework.misconceptions import MISCONCEPTIONS
from grading.isolation.inside.calls import answers_to
from grading.verdict.judging import judge


def in_channels_last(function):
    """Return the function on inputs and weights whose memory is laid out channel by channel."""

    @functools.wraps(function)
    def laid_out(**arguments):
        for name, value in arguments.items():
            if isinstance(value, torch.nn.Module) or (isinstance(value, torch.Tensor) and value.ndim == 4):
                arguments[name] = value.to(memory_format=torch.channels_last)
        return function(**arguments)

    return laid_out


def false_alarms(name: str, functions: list, seeds: range) -> list[str]:
    exercise = EXERCISES[name]
    alarms = []
    for seed in seeds:
        calls = exercise.plan(seed)
        for function in functions:
            verdict = judge(exercise, MISCONCEPTIONS[name], calls, [answers_to(function, call) for call in calls])
            if not verdict.passed:
                alarms.append(f"{function.__name__}, seed {seed}: {verdict.misconception} {verdict.reason.en}")
    return alarms


def all_variants(functions: list) -> list:
    return [*functions, in_channels_last(functions[0])]


def test_every_exercise_has_four_independent_solutions(solutions):
    assert solutions.keys() == EXERCISES.keys()
    assert all(len(functions) >= 4 for functions in solutions.values())


@pytest.mark.parametrize("name", EXERCISES)
def test_right_solutions_pass(name, solutions):
    assert not false_alarms(name, all_variants(solutions[name]), range(2))


@pytest.mark.slow
@pytest.mark.parametrize("name", EXERCISES)
def test_right_solutions_pass_on_a_hundred_seeds(name, solutions, threads):
    assert not false_alarms(name, all_variants(solutions[name]), range(100))
