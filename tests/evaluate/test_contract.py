"""What goes into `hw_xai.evaluate` is written there; what does not fit is one sentence."""

from functools import partial

import numpy as np
import pytest
import torch

from hw_xai import evaluate
from hw_xai.explain import gradient, occlusion

X = torch.rand((2, 3, 16, 16), generator=torch.Generator().manual_seed(0))
MAPS, MASKS = X[:, :1], X[:, :1] > 0.5
NET = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
WRONG = {
    "no map": (lambda: evaluate.deletion(NET, X, None), "`attributions` must be a floating tensor"),
    "an array": (lambda: evaluate.deletion(NET, X, MAPS.numpy()), "`attributions` must be a floating tensor"),
    "a small map": (lambda: evaluate.insertion(NET, X, MAPS[..., :8]), "`attributions` must be one map for each"),
    "one map for two": (lambda: evaluate.average_drop(NET, X, MAPS[:1]), "`attributions` must be one map for each"),
    "no pictures": (lambda: evaluate.deletion(NET, X[:0], MAPS[:0]), "`inputs` must be a batch"),
    "inputs as a list": (lambda: evaluate.sensitivity_n(NET, [X], MAPS), "`inputs` must be a floating tensor"),
    "a share": (lambda: evaluate.average_drop(NET, X, MAPS, shares=0.5), "`shares` must be a list of numbers"),
    "shares as a tensor": (
        lambda: evaluate.average_drop(NET, X, MAPS, shares=torch.tensor([0.5, 1])), "`shares` must be a list",
    ),
    "shares as an array": (
        lambda: evaluate.average_drop(NET, X, MAPS, shares=np.array([0.5, 1])), "`shares` must be a list",
    ),
    "no explainer": (lambda: evaluate.stability(NET, X, MAPS), "`explain` must be an explainer"),
    "an explainer of nothing": (lambda: evaluate.stability(NET, X, lambda *_: None), "`attributions` must be"),
    "no masks": (lambda: evaluate.auroc(MAPS, MASKS.float()), "`masks` must be a bool tensor"),
    "no maps to point": (lambda: evaluate.pointing_game(MAPS[:0], MASKS[:0]), "`attributions` must hold"),
    "methods in a list": (lambda: next(evaluate.randomization([gradient], NET, X)), "`methods` must be a mapping"),
    "methods by name": (
        lambda: next(evaluate.label_randomization({"g": "gradient"}, NET, NET, X)), "`methods` must be a mapping",
    ),
    "a seed": (lambda: next(evaluate.randomization({"g": gradient}, NET, X, seeds=3)), "`seeds` must be a list"),
    "a function": (lambda: next(evaluate.randomized_models(lambda z: z, X)), "`model` must be an nn.Module"),
    "no comparisons": (lambda: evaluate.curves([{"method": "gradient"}]), "`comparisons` must be"),
    "numbers in a list": (lambda: evaluate.mean_interval([1.0, 2.0]), "`values` must be a floating tensor"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_does_not_fit_is_one_sentence(name):
    call, said = WRONG[name]
    with pytest.raises(ValueError, match=said):
        call()


def test_the_contract_is_written_where_one_looks():
    for word in ("model", "inputs", "attributions", "masks", "methods", "NaN", "(N, C or 1, H, W)"):
        assert word in evaluate.__doc__


def test_a_signal_is_judged_over_time():
    """(N, C, T) of a module with a Conv1d: its places are the T, and hiding the planted one costs most."""
    net = torch.nn.Sequential(torch.nn.Conv1d(2, 3, 1), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(36, 2))
    x = torch.ones(1, 2, 12)
    with torch.no_grad():
        net[3].weight.zero_()
        net[3].weight.view(2, 3, 12)[1, :, 7] = 5
        net[0].bias.fill_(1)
        net[0].weight.fill_(1)
    maps = occlusion(net, x, 1, window=1, stride=1)
    curve = partial(evaluate.deletion, probabilities=None, n_steps=12)
    assert curve(net, x, maps, 1).shape == (1, 13)
    fallen = curve(net, x, maps, 1)
    torch.testing.assert_close(fallen[0, 1:], fallen[0, 1].expand(12))
    assert evaluate.sensitivity_n(net, x, maps, 1) > 0.99
