"""Unlike anything trained on: the distance, its threshold, and what cannot be judged."""

import pytest
import torch
from torch import nn

from hw_xai.errors import UserError
from hw_xai.vision.networks import FoodNet
from hw_xai.vision.unknown import (
    area_under_curve,
    energy,
    judge_photos,
    layers_of,
    learn_directions,
    learn_familiar,
    load_familiar,
    save_familiar,
    statistics_of,
    with_threshold,
)


def dishes(n_each: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Features of four dishes: four directions of sixteen, and a little noise."""
    generator = torch.Generator().manual_seed(seed)
    group = torch.arange(4).repeat_interleave(n_each)
    return 5 * torch.eye(16)[group] + 0.3 * torch.randn(len(group), 16, generator=generator), group


def known(n_each: int = 200):
    """What two layers know: the same features in both."""
    features, group = dishes(n_each, 0)
    held = dishes(n_each, 1)[0]
    return with_threshold(learn_familiar(("a", "b"), [features, features], group), [[held, held]])


def test_other_directions_are_unknown_and_lengths_tell_nothing():
    familiar = known()
    new, _ = dishes(200, 2)
    assert familiar.unknown([new, new]).float().mean() == pytest.approx(0.1, abs=0.04)
    torch.testing.assert_close(familiar.distance([new, new]), familiar.distance([7 * new, new]))
    strange = 5 * torch.eye(16)[8].expand(50, -1) + 0.3 * torch.randn(
        50, 16, generator=torch.Generator().manual_seed(3)
    )
    assert familiar.unknown([strange, strange]).all()


def test_each_group_of_held_out_food_counts_the_same():
    features, group = dishes(200, 0)
    familiar = learn_familiar(("a",), [features], group)
    many, few = dishes(200, 1)[0], dishes(5, 2)[0] + 3 * torch.eye(16)[9]
    placed = with_threshold(familiar, [[many], [few]], 0.25)
    assert not placed.unknown([many]).any()
    assert placed.unknown([few]).float().mean() == pytest.approx(0.5, abs=0.1)


def test_the_distance_is_mahalanobis():
    features, group = dishes(50, 0)
    unit = features / features.norm(dim=1, keepdim=True)
    means = torch.stack([unit[group == i].mean(0) for i in range(4)])
    around = unit - means[group]
    covariance = around.T @ around / len(unit)
    covariance = 0.8 * covariance + 0.2 * covariance.diagonal().mean() * torch.eye(16)
    gap = unit[:3, None] - means[None]
    expected = torch.einsum("nkd,de,nke->nk", gap, covariance.inverse(), gap).sqrt().min(1).values
    made = learn_directions(features, group, shrink=0.2).distance(features[:3])
    torch.testing.assert_close(made, expected, rtol=1e-3, atol=1e-3)


def test_a_file_gives_the_same_answers(tmp_path):
    familiar, features = known(50), dishes(5, 2)[0]
    save_familiar(familiar, tmp_path / "familiar.safetensors")
    again = load_familiar(tmp_path / "familiar.safetensors")
    assert (again.layers, again.threshold) == (("a", "b"), familiar.threshold)
    gap = again.distance([features, features]) - familiar.distance([features, features])
    assert gap.abs().max() < 0.05  # of the spread of food that was held out


def test_another_file_is_none(tmp_path):
    from hw_xai.vision.networks import write_tensors

    write_tensors(tmp_path / "other.safetensors", {"x": torch.zeros(1)}, {})
    with pytest.raises(UserError, match="must hold what is familiar"):
        load_familiar(tmp_path / "other.safetensors")


def test_the_statistics_of_two_layers():
    torch.manual_seed(0)
    model = FoodNet().eval()
    inputs = torch.rand(2, 3, 32, 32)
    layers = layers_of(model)
    assert layers == ("features.11", "features.14")
    statistics, scores = statistics_of(model, inputs, layers)
    assert [features.shape for features in statistics] == [(2, 224), (2, 640)]
    torch.testing.assert_close(model.fc(statistics[1][:, :320]), scores)  # the last layer's means are what fc takes
    assert not any(module._forward_hooks for module in model.modules())
    familiar = learn_familiar(layers, statistics, torch.arange(2))
    probabilities, unknown = judge_photos(model, familiar, inputs, 2.0)
    torch.testing.assert_close(probabilities, (scores / 2).softmax(1))
    assert unknown.tolist() == [False, False]


def test_energy_and_area():
    assert energy(torch.zeros(1, 11)).item() == pytest.approx(-torch.tensor(11.0).log().item())
    assert area_under_curve(torch.tensor([0.0, 1.0]), torch.tensor([2.0, 3.0])) == 1
    assert area_under_curve(torch.tensor([0.0, 1.0]), torch.tensor([0.0, 1.0])) == 0.5


@pytest.mark.parametrize(
    "call",
    [
        lambda: layers_of(nn.ReLU()),
        lambda: learn_directions(torch.zeros(3, 2), torch.zeros(2, dtype=torch.long)),
        lambda: learn_directions(*dishes(5, 0)).distance(torch.zeros(2, 3)),
        lambda: known(5).distance([torch.zeros(2, 16)]),
        lambda: with_threshold(known(5), [[dishes(5, 1)[0]] * 2], 1.5),
    ],
)
def test_what_cannot_be_judged(call):
    with pytest.raises(UserError, match="got"):
        call()
