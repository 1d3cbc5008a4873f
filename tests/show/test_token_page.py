"""The page of word attributions: colours, bars, agreement, and methods that cannot answer."""

import numpy as np
import pytest

from hw_xai.show.pages.tokens.page import MethodView, SentenceScores, rank_agreement, write_token_page

WORDS = [("[CLS]", True), ("good", False), ("<b>", False)]


def page(tmp_path, *methods: MethodView) -> str:
    sentence = SentenceScores("good <b>", WORDS, "log P(x)", -1.5, methods)
    return write_token_page(tmp_path / "t.html", "Words", "What they do.", [sentence]).read_text()


def test_words_are_coloured_by_sign(tmp_path):
    html = page(tmp_path, MethodView("IG", "Adds up.", np.array([0, 2.0, -2.0]), True, gap=0.001))
    assert "rgb(246 245 242)" in html  # nothing
    assert "rgb(179 13 36)" in html  # for
    assert "rgb(18 79 196)" in html  # against
    assert "the gap is +0.0010" in html
    assert "−1.500" in html


def test_strangers_words_stay_text(tmp_path):
    html = page(tmp_path, MethodView("IG", "Adds up.", np.zeros(3), True))
    assert "&lt;b&gt;" in html
    assert "<b>" not in html.replace("<b>log P(x)</b>", "")


def test_a_method_that_cannot_answer_says_so(tmp_path):
    html = page(tmp_path, MethodView("LIME", "Fits.", None, True, error="there must be a word besides"))
    assert "there must be a word besides" in html
    assert "Do they agree" not in html


def test_values_must_fit_the_words(tmp_path):
    with pytest.raises(ValueError, match=r"`values` of IG must be \(3,\), got \(2,\)"):
        page(tmp_path, MethodView("IG", "", np.zeros(2), True))


def test_agreement_is_rank_correlation_of_strengths():
    found = rank_agreement([np.array([1.0, -2, 3]), np.array([-10.0, 20, 30]), np.array([3.0, 2, 1]), np.zeros(3)])
    np.testing.assert_allclose(found[0], [1, 1, -1, 0])
    np.testing.assert_array_equal(found, found.T)
