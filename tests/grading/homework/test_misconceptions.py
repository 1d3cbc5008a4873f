"""Every known wrong version fails, and is called by its name."""

from collections import Counter

import pytest

from grading.homework.exercises import EXERCISES
from grading.homework.misconceptions import MISCONCEPTIONS
from grading.isolation.inside.calls import answers_to
from grading.verdict.judging import judge

EVERY = [(name, wrong) for name, several in MISCONCEPTIONS.items() for wrong in several]


def confusions(name: str, seed: int) -> Counter:
    """Return how often a wrong version (its name, what it was called) was not called by its own name."""
    exercise, known = EXERCISES[name], MISCONCEPTIONS[name]
    calls, found = exercise.plan(seed), Counter()
    for wrong in known:
        verdict = judge(exercise, known, calls, [answers_to(wrong.function, call) for call in calls])
        assert not verdict.passed, f"{wrong.name} passes on seed {seed}"
        if verdict.misconception != wrong.name:
            found[wrong.name, verdict.misconception] += 1
    return found


def test_every_exercise_has_known_mistakes():
    assert MISCONCEPTIONS.keys() == EXERCISES.keys()
    assert len(EVERY) >= 100
    for several in MISCONCEPTIONS.values():
        assert len(several) >= 7
        assert len({wrong.name for wrong in several}) == len(several)


@pytest.mark.parametrize(("name", "wrong"), EVERY, ids=lambda value: getattr(value, "name", value))
def test_texts_are_in_both_languages_and_end_without_a_full_stop(name, wrong):
    for text in (wrong.sentence, wrong.hint):
        assert text.en.isprintable()
        assert text.zh.isprintable()
        assert not text.en.endswith(".")
        assert not text.zh.endswith("。")
    assert any("\u4e00" <= letter <= "\u9fff" for letter in wrong.sentence.zh)
    assert not any("\u4e00" <= letter <= "\u9fff" for letter in wrong.sentence.en)


@pytest.mark.parametrize("name", EXERCISES)
def test_wrong_versions_fail_and_are_named(name):
    assert not confusions(name, 0)


@pytest.mark.slow
@pytest.mark.parametrize("name", EXERCISES)
def test_wrong_versions_fail_and_are_named_on_twenty_seeds(name):
    found = sum((confusions(name, seed) for seed in range(1, 21)), Counter())
    assert found.total() <= 0.05 * 20 * len(MISCONCEPTIONS[name]), found
