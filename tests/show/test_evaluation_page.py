"""The page and the picture that rank explanations."""

import re
from typing import NamedTuple

import numpy as np
import pytest

from hw_xai.show.figures.leaderboard import leaderboard
from hw_xai.show.pages.evaluation.page import Curves, Row, Strip, as_text, best, goodness, write_evaluation_page


class Mean(NamedTuple):
    mean: float
    low: float = float("nan")
    high: float = float("nan")
    n: int = 1


class Heading(NamedTuple):
    title: str
    best: str
    meaning: str = "what it means"


COLUMNS = {"auroc": Heading("AUROC", "high"), "deletion": Heading("Deletion", "low")}
ROWS = [
    Row("gradient", "Gradient", False, {"auroc": Mean(0.6, 0.5, 0.7, 9), "deletion": Mean(0.3)}, "no map", "x"),
    Row("grad_cam", "Grad-CAM", False, {"auroc": Mean(0.8), "deletion": Mean(0.3)}),
    Row("lime", "LIME <&>", False, {"auroc": Mean(-0.001), "deletion": Mean(0.5)}),
    Row("mask", "True mask", True, {"auroc": Mean(1.0)}),
]


def test_the_best_are_found_either_way_and_baselines_cannot_win():
    assert best(COLUMNS["auroc"], "auroc", ROWS) == {"grad_cam"}
    assert best(COLUMNS["deletion"], "deletion", ROWS) == {"gradient", "grad_cam"}
    assert best(COLUMNS["deletion"], "deletion", ROWS[:2]) == set(), "where all are alike, none is best"
    assert best(COLUMNS["deletion"], "unknown", ROWS) == set()


def test_places_run_from_worst_to_best():
    assert goodness(COLUMNS["auroc"], "auroc", ROWS) == {"gradient": 1 / 3, "grad_cam": 2 / 3, "lime": 0, "mask": 1}
    assert goodness(COLUMNS["deletion"], "deletion", ROWS) == {"gradient": 1, "grad_cam": 1, "lime": 0}


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.123, "0.12"), (-0.0001, "0.000"), (0.0123, "0.012"), (9.996, "10.0"), (123.4, "123"), (float("nan"), "–")],
)
def test_numbers_fit_into_a_table(value, text):
    assert as_text(value) == text


def written(path, **options) -> str:
    return write_evaluation_page(path / "index.html", "On <trial>", "Intro.", COLUMNS, ROWS, **options).read_text()


def test_the_page_holds_everything_and_asks_for_nothing(tmp_path):
    random = np.random.default_rng(0)
    strip = Strip(random.random((3, 16, 16)), "dish 1", {"lime": random.normal(size=(1, 16, 16))}, ["lime"])
    grid = Strip(strip.image, "dish 2", {"gradient": random.normal(size=(2, 16, 16))}, [], ["trained", "fc"])
    curves = Curves("Deletion", "share", ["0", "all"], {"gradient": [1.0, 0.5, 0.0], "lime": [0.5, np.nan, -1.0]})
    options = {"strips": [strip], "grids": [grid], "curves": [curves], "notices": ["Only <one>."]}
    html = written(tmp_path, **options)
    for words in ("On &lt;trial&gt;", "LIME &lt;&amp;&gt;", "Only &lt;one&gt;.", "0.50 – 0.70", "no map", "dish 2"):
        assert words in html
    assert not re.search(r"https?://", html.replace("http://www.w3.org", ""))
    assert html.count("★</span>") == 3
    assert 'points="0.0,0.0 160.0,45.0 320.0,90.0"' in html, "the axis reaches down to −1"
    assert 'points="0.0,45.0 320.0,180.0"' in html, "what is not defined is left out"
    assert written(tmp_path, **options) == html


def test_without_curves_verdicts_and_maps_there_are_no_empty_sections(tmp_path):
    html = write_evaluation_page(tmp_path / "index.html", "T", "I", COLUMNS, ROWS[1:]).read_text()
    assert html.count("<section>") == 1


def test_the_leaderboard_shows_every_value_in_words_and_colours():
    figure = leaderboard(COLUMNS, ROWS, "Leaderboard")
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert sorted(texts) == sorted(["0.60", "0.80", "-0.001", "1.00", "0.30", "0.30", "0.50", "–"])
    bold = [text.get_text() for text in figure.axes[0].texts if text.get_weight() == "bold"]
    assert bold == ["0.80", "0.30", "0.30"]
    headings = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert headings == ["AUROC\nhigh is good", "Deletion\nlow is good"]
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()][-1] == "True mask"
