"""What a number becomes before it is drawn."""

import numpy as np
import pytest
import torch

from hw_xai.show import limits, scale, to_map


def test_signed_maps_go_to_minus_one_to_one_and_keep_zero():
    scaled = scale([[-4.0, 0.0], [1.0, 2.0]], percentile=100)
    np.testing.assert_allclose(scaled, [[-1, 0], [0.25, 0.5]])


def test_unsigned_maps_go_to_zero_to_one():
    np.testing.assert_allclose(scale([[1.0, 2.0], [3.0, 5.0]], percentile=100), [[0, 0.25], [0.5, 1]])


def test_a_positive_map_of_a_signed_method_stays_on_its_side():
    scaled = scale([[1.0, 2.0], [3.0, 4.0]], percentile=100, signed=True)
    assert scaled.min() == 0.25
    assert scaled.max() == 1


def test_a_few_extreme_pixels_do_not_drown_the_rest():
    values = np.linspace(0, 1, 10_000).reshape(100, 100)
    values[0, 0] = 1e6
    assert scale(values)[50, 50] == pytest.approx(0.5, abs=0.02)
    assert scale(values)[0, 0] == 1


def test_a_map_sparser_than_the_percentile_is_not_lost():
    for lone in (3.0, -3.0):
        values = np.zeros((100, 100))
        values[5, 6] = lone
        scaled = scale(values)
        assert scaled[5, 6] == np.sign(lone)
        assert np.count_nonzero(scaled) == 1


@pytest.mark.parametrize("signed", [True, False])
def test_maps_that_say_nothing_become_zeros(signed):
    assert not scale(np.zeros((4, 4)), signed=signed).any()
    assert not scale(np.full((4, 4), np.nan), signed=signed).any()


def test_a_constant_map_says_nothing_unless_it_is_signed():
    assert not scale(np.full((4, 4), 7.0)).any()
    assert (scale(np.full((4, 4), -7.0)) == -1).all()


def test_nan_is_no_evidence_and_infinity_the_strongest():
    scaled = scale([[np.nan, np.inf], [-np.inf, 2.0]], percentile=100)
    np.testing.assert_allclose(scaled, [[0, 1], [-1, 1]])


def test_alone_each_map_fills_the_range_and_shared_they_compare():
    weak = np.array([[0.0, 1.0], [-1.0, 0.5]])
    alone = scale(np.stack([weak, 10 * weak]), percentile=100)
    np.testing.assert_allclose(alone[0], alone[1])
    shared = scale(np.stack([weak, 10 * weak]), percentile=100, shared=True)
    np.testing.assert_allclose(shared[1], 10 * shared[0])
    assert shared.max() == 1


def test_scale_does_not_change_its_argument():
    values = np.array([[np.nan, 5.0], [1.0, -2.0]])
    before = values.copy()
    scale(values)
    np.testing.assert_array_equal(values, before)


def test_a_map_is_the_sum_of_signed_channels_and_the_maximum_of_unsigned_ones():
    signed = np.array([[[1.0]], [[-3.0]], [[1.5]]])
    assert to_map(signed) == pytest.approx(np.array([[-0.5]]))
    assert to_map(np.abs(signed)) == pytest.approx(np.array([[3.0]]))
    assert to_map(np.abs(signed), signed=True) == pytest.approx(np.array([[5.5]]))
    assert to_map(np.zeros((2, 3, 4, 5))).shape == (2, 4, 5)
    assert to_map(np.zeros((4, 5))).shape == (4, 5)


def test_tensors_are_welcome_with_their_gradients():
    inputs = torch.ones(1, 3, 2, 2, dtype=torch.bfloat16, requires_grad=True)
    assert to_map(inputs, signed=True).tolist() == [[[3, 3], [3, 3]]]


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: to_map(np.zeros(4)), r"`attribution` must be \(H,W\), \(C,H,W\) or \(N,C,H,W\), got the shape \(4,\)"),
        (lambda: scale(np.zeros(4)), r"`attribution` must be \(..., H,W\), got the shape \(4,\)"),
        (lambda: limits(np.zeros((0, 2))), r"`maps` must hold at least one value, got the shape \(0, 2\)"),
        (lambda: scale(np.zeros((2, 2)), percentile=0.99), "`percentile` must be above 50 and at most 100, got 0.99"),
    ],
)
def test_a_wrong_argument_gives_one_sentence(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()
