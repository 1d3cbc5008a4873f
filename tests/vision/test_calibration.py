"""Sureness: temperatures that are known, calibration errors by hand, intervals against their formulas and limits."""

import pytest
import torch

from hw_xai.errors import UserError
from hw_xai.vision.calibration import calibration_error, fitted_temperature, interval_over_groups, share_interval


def drawn(n: int, temperature: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Scores, and targets drawn from their softmax: calibrated at temperature 1 before the scores are multiplied."""
    generator = torch.Generator().manual_seed(0)
    scores = 2 * torch.randn(n, 5, generator=generator)
    target = torch.multinomial(scores.softmax(1), 1, generator=generator).flatten()
    return scores * temperature, target


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_temperature_undoes_what_made_the_scores_too_sure(temperature):
    scores, target = drawn(20_000, temperature)
    assert fitted_temperature(scores, target) == pytest.approx(temperature, rel=0.05)
    assert calibration_error(scores / temperature, target) < 0.02


def test_a_weight_of_zero_counts_for_nothing():
    scores, target = drawn(4_000, 1.0)
    both = torch.cat([scores, scores]), torch.cat([target, (target + 1) % 5])
    weight = torch.cat([torch.ones(4_000), torch.zeros(4_000)])
    assert fitted_temperature(*both, weight) == pytest.approx(fitted_temperature(scores, target))


def test_the_calibration_error_by_hand():
    # sure to 0.9 four times, right three times: |0.9 - 0.75|
    scores = torch.tensor([[0.9, 0.1]] * 4).log()
    assert calibration_error(scores, torch.tensor([0, 0, 0, 1])) == pytest.approx(0.15, abs=1e-6)


def test_wilsons_interval():
    assert share_interval(5, 10) == pytest.approx((0.2366, 0.7634), abs=1e-3)
    low, high = share_interval(10, 10)
    assert 0.7 < low < 0.75
    assert high == 1.0


def test_the_interval_over_groups_is_wide_where_the_groups_differ():
    groups = torch.arange(10).repeat_interleave(50)
    same = torch.tensor([0, 1] * 250)
    assert interval_over_groups(same, groups) == pytest.approx((0.5, 0.5))
    low, high = interval_over_groups((groups < 5).long(), groups)
    assert low < 0.25
    assert high > 0.75


@pytest.mark.parametrize(
    "call",
    [
        lambda: fitted_temperature(torch.zeros(3, 2), torch.zeros(2, dtype=torch.long)),
        lambda: calibration_error(torch.zeros(0, 2), torch.zeros(0, dtype=torch.long)),
        lambda: share_interval(3, 2),
        lambda: interval_over_groups(torch.zeros(3), torch.zeros(2, dtype=torch.long)),
    ],
)
def test_shapes_that_do_not_fit(call):
    with pytest.raises(UserError, match="got"):
        call()
