"""Sums over many points and draws, whatever the batches; numbers that keep their precision."""

import pytest
import torch

from hw_xai.core.arguments import check_choice, like_inputs
from hw_xai.core.batches import weighted_sum
from hw_xai.core.randomness import gaussian


@pytest.mark.parametrize("batch_size", [1, 2, 3, 6, 7, 100])
def test_weighted_sum_is_the_sum_whatever_the_batches(batch_size):
    points, weights, target = torch.randn(7, 2, 3), torch.rand(7).tolist(), torch.tensor([1, 2])
    rows = []

    def explain(x, t):
        rows.append(len(x))
        return x**2 * t[:, None]

    expected = sum(w * p**2 * target[:, None] for w, p in zip(weights, points, strict=True))
    torch.testing.assert_close(weighted_sum(None, explain, points, weights, target, batch_size), expected)
    assert max(rows) <= max(2, batch_size)  # never less than one point, which has two rows here


def test_draws_depend_on_the_seed_and_not_on_the_number_of_rows_or_draws():
    few = list(gaussian(torch.zeros(1, 3, 5), 2, seed=4))
    many = list(gaussian(torch.zeros(9, 3, 5), 6, seed=4))
    assert few[0].shape == (1, 3, 5)
    assert torch.equal(torch.cat(few), torch.cat(many[:2]))
    assert not torch.equal(many[0], many[1])


def test_a_number_keeps_its_double_precision():
    inputs = torch.rand(2, 3, dtype=torch.float64)
    assert like_inputs("fill", 0.3, inputs)[0, 0].item() == 0.3


@pytest.mark.parametrize(("value", "got"), [("exakt", "'exakt'. Did you mean \"exact\"\\?"), (3, "3")])
def test_a_choice_that_is_none_is_told_with_the_nearest_one(value, got):
    check_choice("method", "exact", ("exact", "kernel"))
    with pytest.raises(ValueError, match=f'`method` must be "exact" or "kernel", got {got}'):
        check_choice("method", value, ("exact", "kernel"))
