"""Rank correlation against scipy, and intervals that hold the true mean as often as they say."""

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from torch import Tensor

from hw_xai.evaluate import mean_interval, rank_correlation


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


MAPS = {
    "maps": lambda x: x,
    "single precision": lambda x: x.float(),
    "half precision": lambda x: x.half(),
    "far from zero": lambda x: x + 1e6,
    "tiny and huge": lambda x: x.sign() * (20 * x).exp(),
    "many ties": lambda x: (2 * x).round(),
    "zeros of both signs": lambda x: x.relu() * x.sign(),
    "never negative": lambda x: x.relu(),
    "two values": lambda x: (x > 1).double(),
}


@pytest.mark.filterwarnings("ignore:An input array is constant")  # scipy's way to say that the NaN is meant
@pytest.mark.parametrize("change", MAPS.values(), ids=MAPS)
@pytest.mark.parametrize("shape", [(3, 1, 17, 13), (2, 2), (1, 3)])
def test_it_is_scipys_spearman(change, shape):
    a = drawn(*shape)
    a[:, 0] += 3  # no row is constant, however short
    b = change(a + drawn(*shape, seed=1))
    b.flatten(1)[:, 0], b.flatten(1)[:, 1] = 5, -5
    a = change(a)
    expected = [spearmanr(x, y).statistic for x, y in zip(a.flatten(1).numpy(), b.flatten(1).numpy(), strict=True)]
    found = rank_correlation(a, b)
    assert found.dtype == torch.float64
    both = torch.tensor(expected, dtype=torch.float64)
    torch.testing.assert_close(found, both, rtol=0, atol=1e-14, equal_nan=True)


def test_order_is_all_that_counts():
    a = drawn(4, 50)
    assert (rank_correlation(a, a.exp()) == 1).all()
    assert (rank_correlation(a, -(a**3)) == -1).all()
    torch.testing.assert_close(rank_correlation(a, a.flip(0)), rank_correlation(a.exp(), a.flip(0) * 9 - 4))


def test_mixed_precision_compares_each_in_its_own():
    a, b = drawn(2, 40).float(), 1 + 1e-12 * drawn(2, 40, seed=1)  # in single precision b would be constant
    torch.testing.assert_close(rank_correlation(a, b), rank_correlation(a.double(), b))
    assert rank_correlation(a, b.float()).isnan().all()


def test_a_constant_map_has_no_correlation():
    a = drawn(3, 20)
    a[1] = 0.25
    assert rank_correlation(a, drawn(3, 20, seed=1)).isnan().tolist() == [False, True, False]
    assert rank_correlation(drawn(3, 20, seed=1), a).isnan().tolist() == [False, True, False]


def test_rows_do_not_know_of_each_other():
    a, b = drawn(37, 30), drawn(37, 30, seed=1)
    alone = [rank_correlation(a[i : i + 1], b[i : i + 1]) for i in range(37)]
    torch.testing.assert_close(torch.cat(alone), rank_correlation(a, b), rtol=0, atol=1e-15)


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        (torch.full((2, 5), torch.nan), torch.ones(2, 5), "`a` must be finite, got NaN or infinite values"),
        (torch.ones(2, 5), torch.full((2, 5), torch.inf), "`b` must be finite, got NaN or infinite values"),
        (torch.ones(2, 5), torch.ones(2, 6), r"`b` must be maps of the shape of `a`, \(2, 5\), got shape \(2, 6\)"),
        (torch.ones(5), torch.ones(5), r"`a` must be a floating tensor \(N, ...\) of maps, got a float32 tensor of"),
        (torch.ones(0, 5), torch.ones(0, 5), r"`a` must be a floating tensor"),
        (np.ones((2, 5)), torch.ones(2, 5), r"`a` must be a floating tensor \(N, ...\) of maps, got a ndarray"),
        (torch.ones(2, 5).long(), torch.ones(2, 5), "`a` must be a floating tensor"),
    ],
)
def test_mistakes_are_told(a, b, message):
    with pytest.raises(ValueError, match=message):
        rank_correlation(a, b)


def test_an_interval_is_about_two_standard_errors_wide():
    values = drawn(400)
    found = mean_interval(values)
    error = values.std().item() / 20
    assert found.mean == pytest.approx(values.mean().item())
    assert found.low == pytest.approx(found.mean - 1.96 * error, abs=0.15 * error)
    assert found.high == pytest.approx(found.mean + 1.96 * error, abs=0.15 * error)
    assert found == mean_interval(values)
    assert found != mean_interval(values, seed=1)
    narrow = mean_interval(values, level=0.5)
    assert found.low < narrow.low < narrow.high < found.high


def test_an_interval_holds_the_true_mean_as_often_as_it_says():
    values = drawn(300, 40).abs()  # a little skewed, as scores are
    found = [mean_interval(row, n_resamples=200) for row in values]
    held = sum(one.low <= np.sqrt(2 / np.pi) <= one.high for one in found) / len(found)
    assert 0.9 < held < 0.98


def test_undefined_scores_are_left_out_and_counted():
    values = torch.tensor([1.0, torch.nan, 3.0, torch.nan])
    assert mean_interval(values)[0::3] == (2.0, 2)
    assert mean_interval(values) == mean_interval(torch.tensor([1.0, 3.0]))
    alone = mean_interval(values[:2])
    assert (alone.mean, alone.n) == (1.0, 1)
    assert np.isnan([alone.low, alone.high]).all()
    nothing = mean_interval(values[1:2])
    assert np.isnan(nothing[:3]).all()
    assert nothing.n == 0
    assert mean_interval(torch.ones(5))[:3] == (1, 1, 1)


@pytest.mark.parametrize(
    ("values", "options", "message"),
    [
        (torch.ones(3, 2), {}, r"`values` must be a floating tensor \(N,\) of finite or NaN scores, got a float32"),
        (torch.tensor([torch.inf]), {}, "`values` must be"),
        ([1.0], {}, "`values` must be a floating tensor .* got a list"),
        (torch.ones(3), {"level": 95}, "`level` must be a number between 0 and 1, got 95"),
        (torch.ones(3), {"seed": -1}, "`seed` must be an integer of at least 0, got -1"),
        (torch.ones(3), {"n_resamples": 0}, "`n_resamples` must be an integer of at least 1, got 0"),
    ],
)
def test_mistakes_in_intervals_are_told(values, options, message):
    with pytest.raises(ValueError, match=message):
        mean_interval(values, **options)
