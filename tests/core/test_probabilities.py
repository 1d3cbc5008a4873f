"""What a score means: a class among others, a label of its own, or itself."""

import copy

import pytest
import torch
from torch import Tensor, nn

from hw_xai.core.model import meaning_of
from hw_xai.evaluate import area_under, average_drop, deletion, insertion
from hw_xai.explain import ada_sise, score_cam, sidu, sise


@pytest.fixture
def binary() -> nn.Module:
    """One logit (N, 1): is it bright at the top?"""
    with torch.random.fork_rng():
        torch.manual_seed(2)
        stem = [nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, stride=2, padding=1), nn.ReLU()]
        return nn.Sequential(*stem, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 1)).double().eval()


@pytest.fixture
def x() -> Tensor:
    return torch.rand((2, 3, 16, 16), generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def test_the_meaning_is_found_from_the_head(binary, x):
    logits = torch.tensor([[3.0, -1.0, 0.5]])
    assert meaning_of(binary, binary(x), "auto") == "sigmoid"
    assert meaning_of(lambda x: x, logits, "auto") == "softmax"
    assert meaning_of(lambda x: x, logits.softmax(1), "auto") is None
    assert meaning_of(nn.Sequential(nn.Linear(3, 3), nn.Sigmoid()), logits.sigmoid(), "auto") is None
    for given in ("softmax", "sigmoid", None):
        assert meaning_of(binary, logits, given) == given


@pytest.mark.parametrize("explain", [score_cam, sidu, sise, ada_sise])
def test_one_logit_is_explained_as_the_softmax_over_it_and_zero_would_be(explain, binary, x):
    """p = sigmoid(s) = softmax(0, s): a classifier of two classes that says the same has the same maps."""
    two = lambda z: torch.cat([torch.zeros_like(s := binary(z)), s], dim=1)  # noqa: E731
    layers = {"layers": [binary[1], binary[3]]} if explain in (sise, ada_sise) else {"layer": binary[3]}
    found = explain(binary, x, 0, **layers)
    assert found.any()
    torch.testing.assert_close(found, explain(two, x, 1, **layers))  # SIDU's distances are √2 as large, and stretched


def test_the_opposite_classifier_has_another_map(binary, x):
    opposite = copy.deepcopy(binary)
    with torch.no_grad():
        opposite[-1].weight.neg_()
        opposite[-1].bias.neg_()
    assert not torch.allclose(score_cam(binary, x, 0), score_cam(opposite, x, 0))


def test_scores_of_faithfulness_know_one_logit(binary, x):
    maps = torch.rand((2, 1, 16, 16), generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    p = binary(x).sigmoid()
    for curve in (deletion, insertion):
        values = curve(binary, x, maps, 0, n_steps=4)
        torch.testing.assert_close(values[:, 0 if curve is deletion else -1], p[:, 0].detach())
        assert (area_under(values) < 1).all()
        torch.testing.assert_close(
            curve(lambda z: binary(z).sigmoid(), x, maps, 0, n_steps=4, probabilities=None), values
        )
    drop = average_drop(binary, x, maps, 0, shares=(0.5,))
    top = torch.where(maps >= maps.flatten(1).topk(128).values[:, -1].reshape(2, 1, 1, 1), maps, 0)
    low, high = maps.amin((1, 2, 3), keepdim=True), maps.amax((1, 2, 3), keepdim=True)
    top = torch.where(top > 0, (maps - low) / (high - low), 0)
    torch.testing.assert_close(drop[:, 0], (1 - binary(x * top).sigmoid() / p).clamp(min=0)[:, 0].detach())


@pytest.mark.parametrize("call", [score_cam, sise, lambda *a, **k: deletion(*a[:2], a[1], *a[2:], **k)])
def test_another_word_for_it_is_told(call, binary, x):
    with pytest.raises(ValueError, match='`probabilities` must be "auto", "softmax" or "sigmoid", got \'softmaxx\''):
        call(binary, x, 0, probabilities="softmaxx")
