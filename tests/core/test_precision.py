"""Half precision, autocast and double: the model computes as it likes, explanations and scores keep their digits."""

import pytest
import torch
from torch import nn

from hw_xai.evaluate import area_under, average_drop, deletion, sensitivity_n, stability
from hw_xai.explain import cam, grad_cam, integrated_gradients, occlusion, rise, saliency, score_cam, smooth_grad

METHODS = [cam, grad_cam, integrated_gradients, occlusion, rise, saliency, score_cam, smooth_grad]
FEW = {rise: {"n_samples": 20}, smooth_grad: {"n_samples": 12}, integrated_gradients: {"n_steps": 12}}


class Rounding(nn.Module):
    """Reports in which precision its convolution computed."""

    def __init__(self):
        super().__init__()
        self.conv, self.relu, self.fc = nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.Linear(6, 4)
        self.seen = set()

    def forward(self, x):
        maps = self.relu(self.conv(x))
        self.seen.add(maps.dtype)
        return self.fc(maps.mean((2, 3)))


@pytest.fixture
def net():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Rounding().eval()


@pytest.fixture
def x():
    return torch.rand((2, 3, 16, 16), generator=torch.Generator().manual_seed(1))


def alike(a, b) -> float:
    return torch.corrcoef(torch.stack([a.flatten().double(), b.flatten().double()]))[0, 1].item()


@pytest.mark.parametrize("explain", METHODS)
def test_autocast_around_an_explanation_is_the_models_alone(explain, net, x):
    options = FEW.get(explain, {})
    expected = explain(net, x, 1, **options)
    net.seen.clear()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = explain(net, x, 1, **options)
        assert torch.is_autocast_enabled("cpu")
    assert net.seen == {torch.bfloat16}
    assert found.dtype == x.dtype
    assert alike(found, expected) > (0.9 if explain is occlusion else 0.97)  # small differences of rounded scores


@pytest.mark.parametrize("explain", METHODS)
def test_a_model_in_half_precision(explain, net, x):
    options = FEW.get(explain, {})
    expected = explain(net, x, 1, **options)
    found = explain(net.half(), x, 1, **options)
    assert found.dtype == x.dtype
    assert alike(found, expected) > 0.97


@pytest.mark.parametrize("of_model", [torch.float32, torch.float64, torch.float16])
@pytest.mark.parametrize("of_maps", [torch.float32, torch.float64, torch.bfloat16])
def test_scores_take_any_precision(of_model, of_maps, net, x):
    maps = torch.rand((2, 1, 16, 16), generator=torch.Generator().manual_seed(2))
    expected = [deletion(net, x, maps, 1), average_drop(net, x, maps, 1), sensitivity_n(net, x, maps, 1)]
    for of_inputs in (torch.float32, torch.float64):
        given = net.to(of_model), x.to(of_inputs), maps.to(of_maps), 1
        found = [deletion(*given), average_drop(*given), sensitivity_n(*given)]
        for one, other in zip(found[:2] if of_maps == torch.bfloat16 else found, expected, strict=False):
            torch.testing.assert_close(one.double(), other.double(), atol=0.05, rtol=0.05)
        assert area_under(found[0]).isfinite().all()
        assert stability(*given[:2], saliency, 1).largest.isfinite().all()
