"""check_explainer against functions that break one rule each, and against those that keep all."""

import random
import re
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from hw_xai.explain import input_x_gradient, integrated_gradients, saliency
from hw_xai.testing import CLAIMS, RULES, check_explainer, small_network


class OneMap(nn.Module):
    """(N, 1, 6, 6) -> (N, 3): small, so that every rule is quick."""

    def __init__(self):
        super().__init__()
        self.body, self.head = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU()), nn.Linear(64, 3)
        self.dropout = nn.Dropout()

    def forward(self, inputs: Tensor) -> Tensor:
        return self.head(self.dropout(self.body(inputs).flatten(1)))


@pytest.fixture
def network() -> OneMap:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return OneMap().double()


INPUTS = torch.rand(3, 1, 6, 6, generator=torch.Generator().manual_seed(0)).double()


def drawn(like: Tensor) -> Tensor:
    return torch.rand(1, *like.shape[1:]).to(like)


def in_this_mode(model, inputs, target=None):
    """The gradient of the model in the mode in which it is found."""
    x = inputs.detach().clone().requires_grad_()
    with torch.inference_mode(False), torch.enable_grad():
        scores = model(x * 1)
        wanted = scores.argmax(dim=1) if target is None else torch.as_tensor(target).expand(len(x))
        return torch.autograd.grad(scores.gather(1, wanted[:, None]).sum(), x)[0]


def hooked(model, inputs, target=None):
    if isinstance(model, nn.Module):
        model.register_forward_hook(lambda *_: None)
    return saliency(model, inputs, target)


def evaluated(model, inputs, target=None):
    if isinstance(model, nn.Module):
        model.eval()
    return saliency(model, inputs, target)


def swallowing(model, inputs, target=None):
    try:
        return saliency(model, inputs, target)
    except ArithmeticError:
        return torch.zeros_like(inputs)


def zeroing(model, inputs, target=None):
    if isinstance(model, nn.Module):
        model.zero_grad()
    return saliency(model, inputs, target)


def noting(model, inputs, target=None):
    if isinstance(model, nn.Module):
        model.note = 1
    return saliency(model, inputs, target)


def drawing(draw):
    def explain(model, inputs, target=None):
        draw()
        return saliency(model, inputs, target)

    return explain


def silent_seed(model, inputs, target=None, *, seed=0):
    return saliency(model, inputs, target)


def greedy(model, inputs, target=None, *, batch_size=None):
    return saliency(model, inputs, target)


def one_row_of_targets(model, inputs, target=None):
    return saliency(model, inputs, target if target is None or isinstance(target, int) else int(target[0]))


def only_long_targets(model, inputs, target=None):
    if not isinstance(target, Tensor):
        raise TypeError("a tensor, please")
    return saliency(model, inputs, target)


def under_no_grad(model, inputs, target=None):
    result = saliency(model, inputs, target)
    return result if torch.is_grad_enabled() else result * 2


def only_modules(model, inputs, target=None):
    next(model.parameters())
    return saliency(model, inputs, target)


def normalized(model, inputs, target=None):
    result = input_x_gradient(model, inputs, target)
    return result / result.abs().amax(dim=(1, 2, 3), keepdim=True)  # 0 / 0 for a black picture


def forgiving(model, inputs, target=None):
    if isinstance(target, int) and target > 2:
        target = 2
    return saliency(model, inputs, target)


# rule, explainer, what the sentence says
BREAKS = [
    ("shape", lambda m, x, t=None: saliency(m, x, t)[:, 0], r"broadcasts against .* \(3, 1, 6, 6\), got a float64"),
    ("shape", lambda m, x, t=None: saliency(m, x, t)[:1], "broadcasts against"),
    ("shape", lambda m, x, t=None: saliency(m, x, t).numpy(), "got a ndarray"),
    ("shape", lambda m, x, t=None: saliency(m, x, t).requires_grad_(), "still requires a gradient"),
    ("shape", lambda m, x, t=None: 1 / 0, "must work, got ZeroDivisionError: division by zero"),
    ("finite", normalized, "finite values for inputs of zeros"),
    ("dtype", lambda m, x, t=None: saliency(m, x, t).double(), "return float32 on cpu .*, got float64 on cpu"),
    ("rows", lambda m, x, t=None: saliency(m, x, t) / saliency(m, x, t).max(), "explain row . alone as in the batch"),
    ("seed", lambda m, x, t=None: saliency(m, x, t) + drawn(x), "return the same a second time"),
    ("seed", silent_seed, "draw anew for another `seed`"),
    ("target", lambda m, x, t=None: x.abs(), "the same attribution for all 3 classes"),
    ("target", one_row_of_targets, r"explain row i for target\[i\]"),
    ("target_forms", only_long_targets, "must work for target None, got TypeError: a tensor, please"),
    ("mode", in_this_mode, "in training mode as in eval mode"),
    ("gradients", under_no_grad, "return the same under torch.no_grad"),
    ("function", only_modules, "must work for a model that is a function, got AttributeError"),
    ("batch_size", greedy, "at most `batch_size` rows at once, got 2 for batch_size=1"),
    ("unchanged", hooked, "a change of hooks$"),
    ("unchanged", evaluated, "a change of training and eval mode$"),
    ("unchanged", zeroing, "a change of the parameters' gradients$"),
    ("unchanged", noting, "a change of the modules' attributes$"),
    ("unchanged", swallowing, "pass on what the model raises"),
    *(
        ("unchanged", drawing(draw), "a change of the global random state$")
        for draw in (lambda: torch.rand(1), np.random.rand, random.random)
    ),
    (
        "in_place",
        lambda m, x, t=None: m(x.detach()).detach()[:, :1, None, None] + saliency(m, x, t),
        "of .*the inputs, the",
    ),
    ("refusals", forgiving, "refuse target 3 of 3 classes with a ValueError, got an attribution"),
]


@pytest.mark.parametrize(("rule", "explain", "sentence"), BREAKS)
def test_a_broken_rule_is_named(rule, explain, sentence, network):
    (told,) = check_explainer(explain, network, INPUTS, rules=[rule])
    assert told.startswith(f"{rule}: `explain` must ")
    assert re.search(sentence, told), told


def test_every_rule_can_be_broken():
    assert {rule for rule, *_ in BREAKS} == set(RULES)


def test_all_rules_are_kept_by_an_explainer_of_ours_and_the_model_is_left_alone(network):
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    assert check_explainer(saliency, network, INPUTS) == []
    assert check_explainer(evaluated, network, INPUTS) != []
    assert network.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_a_network_and_pictures_are_there_by_default():
    assert check_explainer(saliency, rules=["shape", "rows"]) == []
    assert small_network().training


def test_what_is_claimed_is_checked(network):
    path = partial(integrated_gradients, n_steps=300)
    assert check_explainer(path, network, INPUTS, rules=[], claims=list(CLAIMS)) == []
    shifted = partial(path, baselines=0.5)
    assert check_explainer(shifted, network, INPUTS, rules=[], claims=list(CLAIMS), baselines=0.5) == []
    told = check_explainer(saliency, network, INPUTS, rules=[], claims=list(CLAIMS))
    assert ["sum to the difference" in told[0], "for any elements of a linear model" in told[1]] == [True, True]
    other = check_explainer(shifted, network, INPUTS, rules=[], claims=["completeness"])
    assert len(other) == 1, "the baselines are part of the claim"


def test_unknown_rules_and_claims_are_told(network):
    with pytest.raises(ValueError, match="`rules` must be .*, got 'row'. Did you mean \"rows\""):
        check_explainer(saliency, network, INPUTS, rules=["row"])
    with pytest.raises(ValueError, match="`claims` must be"):
        check_explainer(saliency, network, INPUTS, claims=["complete"])
