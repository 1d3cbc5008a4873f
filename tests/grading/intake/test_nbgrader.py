"""Under nbgrader: a check cell must raise for a wrong answer, for it gives its points to all that raises nothing."""

import pytest

from grading import check
from hw_xai.explain import cosine_similarity


def unwritten(a, b):
    raise NotImplementedError("Exercise 11: write cosine_similarity here")


@pytest.mark.parametrize("phase", ["autograde", "validate"])
def test_a_wrong_answer_raises_what_is_wrong(monkeypatch, phase):
    monkeypatch.setenv("NBGRADER_EXECUTION", phase)
    with pytest.raises(AssertionError, match="not written yet: Exercise 11"):
        check("cosine_similarity", unwritten)
    assert check("cosine_similarity", cosine_similarity).passed


def test_elsewhere_nothing_is_raised(monkeypatch):
    monkeypatch.delenv("NBGRADER_EXECUTION", raising=False)
    assert not check("cosine_similarity", unwritten).passed
