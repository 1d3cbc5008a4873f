"""Unlike anything trained on: the distance, its threshold, and what cannot be judged."""

import pytest
import torch
from torch import nn

from hw_xai.errors import UserError
from hw_xai.vision.networks import FoodNet
from hw_xai.vision.unknown import (
    area_under_curve,
    energy,
    features_of,
    learn_familiar,
    load_familiar,
    save_familiar,
    score_photos,
    with_threshold,
)


def dishes(n_each: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Features of four dishes: four directions of sixteen, and a little noise."""
    generator = torch.Generator().manual_seed(seed)
    group = torch.arange(4).repeat_interleave(n_each)
    return 5 * torch.eye(16)[group] + 0.3 * torch.randn(len(group), 16, generator=generator), group


def test_other_directions_are_unknown_and_lengths_tell_nothing():
    familiar = with_threshold(learn_familiar(*dishes(200, 0)), dishes(200, 1)[0])
    new, _ = dishes(200, 2)
    assert familiar.unknown(new).float().mean() == pytest.approx(0.1, abs=0.04)
    assert torch.equal(familiar.unknown(new), familiar.unknown(7 * new))
    strange = 5 * torch.eye(16)[8].expand(50, -1) + 0.3 * torch.randn(
        50, 16, generator=torch.Generator().manual_seed(3)
    )
    assert familiar.unknown(strange).all()


def test_the_distance_is_mahalanobis(tmp_path):
    features, group = dishes(50, 0)
    familiar = learn_familiar(features, group, shrink=0.1)
    unit = features / features.norm(dim=1, keepdim=True)
    means = torch.stack([unit[group == i].mean(0) for i in range(4)])
    around = unit - means[group]
    covariance = around.T @ around / len(unit)
    covariance = 0.9 * covariance + 0.1 * covariance.diagonal().mean() * torch.eye(16)
    gap = unit[:3, None] - means[None]
    expected = torch.einsum("nkd,de,nke->nk", gap, covariance.inverse(), gap).sqrt().min(1).values
    torch.testing.assert_close(familiar.distance(features[:3]), expected, rtol=1e-3, atol=1e-3)


def test_a_file_gives_the_same_answers(tmp_path):
    familiar = with_threshold(learn_familiar(*dishes(50, 0)), dishes(50, 1)[0])
    save_familiar(familiar, tmp_path / "familiar.safetensors")
    again = load_familiar(tmp_path / "familiar.safetensors")
    assert again.threshold == familiar.threshold
    torch.testing.assert_close(
        again.distance(dishes(5, 2)[0]), familiar.distance(dishes(5, 2)[0]), rtol=0.01, atol=0.01
    )


def test_features_are_what_the_last_layer_takes():
    torch.manual_seed(0)
    model = FoodNet().eval()
    inputs = torch.rand(2, 3, 32, 32)
    features, scores = features_of(model, inputs)
    assert features.shape == (2, 320)
    torch.testing.assert_close(model.fc(features), scores)
    assert not model.fc._forward_pre_hooks
    probabilities, unknown = score_photos(model, learn_familiar(features, torch.arange(2)), inputs, 2.0)
    torch.testing.assert_close(probabilities, (scores / 2).softmax(1))
    assert unknown.tolist() == [False, False]


def test_energy_and_area():
    assert energy(torch.zeros(1, 11)).item() == pytest.approx(-torch.tensor(11.0).log().item())
    assert area_under_curve(torch.tensor([0.0, 1.0]), torch.tensor([2.0, 3.0])) == 1
    assert area_under_curve(torch.tensor([0.0, 1.0]), torch.tensor([0.0, 1.0])) == 0.5


@pytest.mark.parametrize(
    "call",
    [
        lambda: features_of(nn.ReLU(), torch.zeros(1, 3)),
        lambda: learn_familiar(torch.zeros(3, 2), torch.zeros(2, dtype=torch.long)),
        lambda: learn_familiar(*dishes(5, 0)).distance(torch.zeros(2, 3)),
        lambda: with_threshold(learn_familiar(*dishes(5, 0)), dishes(5, 1)[0], 1.5),
    ],
)
def test_what_cannot_be_judged(call):
    with pytest.raises(UserError, match="got"):
        call()
