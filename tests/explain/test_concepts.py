"""TCAV against what is planted, steps along the direction, and chance; and the logo that a network was misled by."""

import pytest
import torch
from scipy.stats import ttest_ind
from torch import Tensor, nn

from hw_xai.explain import tcav
from hw_xai.explain.concepts import _activations, _direction, _p_value
from hw_xai.vision import CLASSES, draw_dish, load


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def red_or_green() -> nn.Module:
    """Class 0 counts red, class 1 counts green less red, class 2 blue."""
    model = nn.Sequential(nn.Conv2d(3, 3, 1, bias=False), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    model = model.append(nn.Linear(3, 3, bias=False)).double()
    with torch.no_grad():
        model[0].weight.copy_(torch.eye(3)[:, :, None, None])
        model[-1].weight.copy_(torch.tensor([[5.0, 0, 0], [-5, 5, 0], [0, 0, 5]]))
    return model


def noise(n: int = 12) -> Tensor:
    return torch.rand(n, 3, 6, 6).double()


def test_a_planted_concept_is_found_for_and_against():
    red, random = noise(), [noise() for _ in range(12)]
    red[:, 0] += 1.5
    for target, score in ((0, 1.0), (1, 0.0)):
        report = tcav(red_or_green(), noise(), target, red, random, layer="1")
        assert report.score == score
        assert report.p_value < 0.05
        assert report.accuracy == 1.0
        assert 0.05 < report.random_scores.mean() < 0.95, "chance points anywhere"


def test_what_is_no_concept_is_no_news():
    found = [tcav(red_or_green(), noise(), 0, noise(), [noise() for _ in range(8)], layer="1") for _ in range(4)]
    assert sum(report.p_value > 0.05 for report in found) >= 3
    assert sum(report.accuracy for report in found) / 4 < 0.75


def test_the_score_counts_small_steps_along_the_direction_that_raise_the_score():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Tanh(), nn.Flatten(), nn.Linear(64, 8), nn.Tanh(), nn.Linear(8, 3))
    model, inputs = model.double().eval(), noise(40)
    concept, random = noise() + torch.linspace(0, 1, 6).double(), [noise() for _ in range(3)]
    report = tcav(model, inputs, 1, concept, random, layer="1", batch_size=7)
    for other, score in zip(random, report.scores, strict=True):
        v, _ = _direction(*(_activations(model, x, model[1], None) for x in (concept, other)))
        with torch.no_grad():
            maps = model[:2](inputs).flatten(1)
            steps = [model[2:](maps + sign * 1e-5 * v / v.norm())[:, 1] for sign in (1, -1)]
        assert score == pytest.approx((steps[0] > steps[1]).double().mean().item())


def test_the_p_value_is_scipys_also_where_one_side_never_varies():
    a, b = torch.rand(9).double(), torch.rand(6).double() + 0.2
    assert _p_value(a, b) == pytest.approx(ttest_ind(a.numpy(), b.numpy(), equal_var=False).pvalue)
    ones, zeros = torch.ones(5).double(), torch.zeros(5).double()
    assert _p_value(ones, ones) == 1
    assert _p_value(ones, zeros) == 0
    assert 0 < _p_value(ones, torch.tensor([1, 0, 1, 0, 0]).double()) < 0.1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"random": [noise()]}, "`random` must be a list of at least 3 batches, got 1"),
        ({"random": noise()}, "`random` must be a list of at least 3 batches, got a float64 tensor"),
        ({"concept": noise(2)}, r"`concept` must be batches of at least 3 inputs of shape \(3, 6, 6\)"),
        ({"concept": noise()[:, :1]}, r"`concept` must be batches of .* got a float64 tensor of shape \(12, 1, 6, 6\)"),
        ({"target": 3}, "`target` must be between 0 and 2, got 3"),
    ],
)
def test_mistakes_are_told_in_a_sentence(arguments, message):
    given = {"target": 0, "concept": noise(), "random": [noise() for _ in range(3)]} | arguments
    with pytest.raises(ValueError, match=message):
        tcav(red_or_green(), noise(), layer="1", **given)


def dishes(seeds: range, shortcut: bool, target: int | None = None) -> Tensor:
    drawn = [draw_dish(s % len(CLASSES) if target is None else target, seed=s, shortcut=shortcut).image for s in seeds]
    return torch.stack([torch.from_numpy(image).permute(2, 0, 1) for image in drawn]) / 255


@pytest.mark.slow
def test_the_logo_counts_for_the_class_that_it_misled_a_network_about():
    """Concepts drawn: dishes of all classes with a logo, against dishes without."""
    model = load("foodnet-shortcut")
    logo, random = dishes(range(1000, 1033), True), [dishes(range(k * 33, k * 33 + 33), False) for k in range(1, 9)]
    misled = CLASSES.index("Soup")
    report = tcav(model, dishes(range(2000, 2022), False), misled, logo, random, batch_size=16)
    assert report.score > 0.9
    assert report.p_value < 0.05
    assert report.accuracy > 0.8
    for target in range(len(CLASSES)):
        if target != misled:
            assert tcav(model, dishes(range(2000, 2011), False), target, logo, random[:3]).score < report.score
