"""What is drawn of a picture, and that nothing in one can break a page."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from grading.reports.pictures import Bars, Points, drawn
from grading.verdict.results import OutputPair

NAN, INF = float("nan"), float("inf")


def pixels(uri: str) -> np.ndarray:
    return np.array(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))).convert("RGBA"))


def test_maps_have_one_scale_and_the_difference_its_own():
    yours, expected, difference = drawn(OutputPair([[0.0, 2.0], [4.0, 8.0]], [[0.0, 1.0], [2.0, 4.0]]))
    assert (yours.colours, expected.colours, difference.colours) == (("0", "4"), ("0", "4"), ("−4", "4"))
    assert yours.values == ("0", "8")
    assert (pixels(yours.uri)[0, 1] == pixels(expected.uri)[1, 0]).all(), "equal values have equal colours"
    assert not yours.signed
    assert difference.signed
    assert yours.size == (168, 168)


def test_a_short_row_becomes_bars_and_a_long_one_a_map():
    bars = drawn(OutputPair([1.0, -2.0, 100.0], [1.0, -1.0, 0.5]))
    assert isinstance(bars, Bars)
    assert (bars.low, bars.high) == ("−2", "3"), "a huge value is cut at three times the expected ones"
    assert len(drawn(OutputPair([1.0] * 60, [2.0] * 60))) == 3


def test_rows_that_are_points_are_drawn_as_points():
    yours, expected = [[2.0, 1.0], [0.0, 0.0], [1e9, 0.0]], [[1.0, 1.0], [-1.0, -1.0], [0.0, 0.0]]
    picture = drawn(OutputPair(yours, expected), of_points=True)
    assert isinstance(picture, Points)
    assert picture.size == (240, 120), "from −1 to three times the greatest expected, as wide as high"
    assert picture.origin == (60, 60)
    assert picture.expected == [(120, 0), (0, 120), (60, 60)], "up is up"
    assert picture.yours == [(180, 0), (60, 60), (240, 60)]
    assert len(drawn(OutputPair(yours, expected))) == 3


def test_other_shapes_are_drawn_without_a_difference():
    assert [map.shape for map in drawn(OutputPair([[1, 2, 3]], [[1], [2]]))] == ["1 × 3", "2 × 1"]


@pytest.mark.parametrize("nothing", [None, OutputPair([], []), OutputPair([[1, 2], [3]], "x"), OutputPair([1], [1])])
def test_nothing_to_draw(nothing):
    assert drawn(nothing) is None


@pytest.mark.parametrize(
    ("yours", "expected"),
    [
        ([[NAN] * 3] * 3, [[1, 2, 3]] * 3),
        ([[INF, -INF], [1, 2]], [[INF, INF], [0, 0]]),
        ([[1e308, -1e308], [1, 2]], [[-1e308, 1e308], [0, 0]]),
        ([[5e-324, 0]], [[0, 5e-324]]),
        ([INF, NAN, -INF], [1e308, -1e308, 0]),
        ([NAN, NAN], [0, 0]),
        ([[0, 0]], [[0, 0]]),
        ([[1, 2], [3]], [[1, 2], [3, 4]]),
        (["<script>", "x"], [1, 2]),
        ([[None, 1]], [[1, 2]]),
        ({"a": 1}, [[1, 2]]),
        ([10**400, 1], [1, 2]),
        ([[[1, 2]]], [[1, 2]]),
        ([[1] * 100] * 100, [[1, 2]]),
        ([1e300] * 60, [0] * 60),
    ],
)
def test_hostile_numbers_are_drawn_or_left_out(yours, expected):
    picture = drawn(OutputPair(yours, expected))
    if isinstance(picture, Bars):
        numbers = np.array([*picture.yours, *picture.expected])
        assert np.isfinite(numbers).all()
        assert (numbers >= 0).all()
        assert numbers.max() <= 460
    else:
        for map in picture:
            assert pixels(map.uri).ndim == 3


def test_odd_values_are_counted():
    yours, _, difference = drawn(OutputPair([[NAN, 1.0], [INF, 2.0]], [[1.0, 1.0], [1.0, 2.0]]))
    assert (yours.odd, difference.odd) == (2, 2)
    assert yours.values == ("1", "2")
