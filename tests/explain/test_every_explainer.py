"""What DESIGN promises of every explainer, tested for every row of METHODS."""

import contextlib
import inspect
import random
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from hw_xai.explain import METHODS, LearnedCAM

TARGET = 2
QUARTERS = torch.arange(4).reshape(2, 2).kron(torch.ones(8, 8).long())  # of a picture of 16²
FAST = {
    "smooth_grad": {"n_samples": 5},
    "integrated_gradients": {"n_steps": 5},
    "lime": {"segments": QUARTERS, "n_samples": 60},
    "occlusion": {"window": 6, "stride": 4},
    "rise": {"n_samples": 30},
    "shapley": {"segments": QUARTERS, "n_samples": 20},
    "maximize_activation": {"n_steps": 4},
    "deep_dream": {"n_steps": 2},
    "lcam": {"learned": LearnedCAM(6, 5)},
}
torch.nn.init.normal_(FAST["lcam"]["learned"].weight, generator=torch.Generator().manual_seed(0))
# of the pictures, the segments above and the layers, for the count of passes
FACTS = {"shape": (3, 16, 16), "n_regions": 4, "n_channels": 12}
every_method = pytest.mark.parametrize("name", METHODS)
every_explainer = pytest.mark.parametrize("name", [name for name, method in METHODS.items() if method.explainer])
every_black_box = pytest.mark.parametrize(  # CAM reads the weights of the last layer: no function has them
    "name", [name for name, method in METHODS.items() if method.explainer and name != "cam"]
)
every_seeded = pytest.mark.parametrize(
    "name", ["smooth_grad", "lime", "rise", "shapley", "maximize_activation", "deep_dream"]
)


def explain(name: str, model, inputs: Tensor, target=TARGET, **options) -> Tensor:
    """Call any method of the catalog with cheap options."""
    function = partial(METHODS[name].function, **(FAST.get(name, {}) | options))
    if METHODS[name].explainer:
        return function(model, inputs, target)
    return function(model, inputs=inputs, layer=model.block[0] if isinstance(model, nn.Module) else None, channel=1)


def layer_options(name: str, model: nn.Module) -> dict:
    """Name the layer for a method that has one: it cannot be looked for inside a function."""
    given = {"layer": model.block, "layers": [model.block]}
    return {key: given[key] for key in given if key in inspect.signature(METHODS[name].function).parameters}


class Pooled(nn.Module):
    """A SmallNet that qualifies for CAM: the mean of the block's maps goes into the linear layer."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.stem, self.pool, self.block, self.dropout = model.stem, model.pool, model.block, model.dropout
        self.head = nn.Linear(6, 5).double()
        self.head.weight = nn.Parameter(model.head.weight.detach()[:, :6].clone())
        self.head.bias = nn.Parameter(model.head.bias.detach().clone())

    def forward(self, inputs: Tensor) -> Tensor:
        maps = self.block(self.pool(self.stem(inputs)))
        return self.head(self.dropout(maps.mean(dim=(2, 3))))


@pytest.fixture
def small_net(request, small_net) -> nn.Module:
    return Pooled(small_net) if request.node.callspec.params["name"] == "cam" else small_net


class Counting(nn.Module):
    """A model that notes how many rows each forward and backward pass had."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model, self.block, self.forward_rows, self.backward_rows = model, model.block, [], []

    def forward(self, inputs: Tensor) -> Tensor:
        self.forward_rows.append(len(inputs))
        scores = self.model(inputs)
        if scores.requires_grad:
            scores.register_hook(lambda gradient: self.backward_rows.append(len(gradient)))
        return scores


class Meddling(nn.Module):
    """A model that draws random numbers, counts in its buffers, works in place, and fails on request."""

    def __init__(self, model: nn.Module, fails_at: int | None = None):
        super().__init__()
        self.model, self.block, self.fails_at, self.calls = model, model.block, fails_at, 0
        self.register_buffer("written", torch.zeros(1))
        self.register_buffer("replaced", torch.zeros(1))

    def forward(self, inputs: Tensor) -> Tensor:
        torch.rand(1), np.random.rand(), random.random()  # noqa: NPY002
        self.written += 1
        self.replaced = self.replaced + 1
        self.calls += 1
        scores = self.model(inputs.mul_(0.5))
        if self.calls == self.fails_at:
            raise ArithmeticError("failed in forward")
        return scores


def snapshot(model: nn.Module, inputs: Tensor) -> dict:
    """Everything that must be as before."""
    return {
        "state": {name: tensor.clone() for name, tensor in model.state_dict(keep_vars=True).items()},
        "objects": {name: id(tensor) for name, tensor in model.state_dict(keep_vars=True).items()},
        "grad": {name: None if p.grad is None else p.grad.clone() for name, p in model.named_parameters()},
        "requires_grad": {name: p.requires_grad for name, p in model.named_parameters()},
        "training": {name: module.training for name, module in model.named_modules()},
        "hooks": {
            name: [len(module._forward_hooks), len(module._forward_pre_hooks), len(module._backward_hooks)]
            for name, module in model.named_modules()
        },
        "inputs": inputs.detach().clone(),
        "inputs_grad": [inputs.requires_grad, inputs.grad],
        "random": [torch.get_rng_state(), random.getstate(), *map(str, np.random.get_state())],  # noqa: NPY002
        "grad_mode": [torch.is_grad_enabled(), torch.is_inference_mode_enabled()],
    }


def same(a, b) -> bool:
    """Compare nested dicts and lists of tensors and plain values."""
    if isinstance(a, Tensor):
        return isinstance(b, Tensor) and torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


@every_method
@pytest.mark.parametrize("fails", [False, True])
def test_everything_is_as_before_also_after_an_exception(name, fails, small_net, pictures):
    n_passes = METHODS[name].passes(**FACTS, **FAST.get(name, {})).forward
    model = Meddling(small_net, fails_at=min(2, n_passes) if fails else None)
    model.model.block.eval()  # a mixture of modes, gradients and frozen parameters
    model.model.head.bias.requires_grad_(False)
    small_net.train(True)
    small_net.stem.eval()
    small_net(pictures).sum().backward()
    pictures.requires_grad_()
    before = snapshot(model, pictures)
    with pytest.raises(ArithmeticError) if fails else contextlib.nullcontext():
        explain(name, model, pictures, batch_size=3)
    after = snapshot(model, pictures)
    assert {key for key in before if not same(before[key], after[key])} == set()


@every_method
def test_batch_of_one_equals_its_row_in_a_batch(name, small_net, pictures):
    together = explain(name, small_net, pictures)
    assert len(together) == len(pictures)
    for i in range(len(pictures)):
        torch.testing.assert_close(explain(name, small_net, pictures[i : i + 1]), together[i : i + 1])


@every_method
def test_batch_size_bounds_the_rows_of_a_pass_and_changes_nothing_else(name, small_net, pictures):
    results = []
    for batch_size in (1, 2, 7, 64):
        model = Counting(small_net)
        results.append(explain(name, model, pictures, batch_size=batch_size))
        passes = METHODS[name].passes(**FACTS, **FAST.get(name, {}))
        assert max(model.forward_rows) <= batch_size
        counted, rows = passes.forward * len(pictures), sum(model.forward_rows)
        assert rows == counted or METHODS[name].at_most and rows < counted, "the catalog counts the forward passes"
        if METHODS[name].explainer:
            assert sum(model.backward_rows) == passes.backward * len(pictures), "and the backward passes"
    for result in results[1:]:
        torch.testing.assert_close(result, results[0])


@every_method
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_shape_and_dtype_follow_the_inputs(name, dtype, small_net, pictures):
    result = explain(name, small_net.to(dtype), pictures.to(dtype))
    assert result.dtype == dtype
    assert not result.requires_grad
    assert result.isfinite().all()
    if METHODS[name].resolution in ("element", "new picture"):
        assert result.shape == pictures.shape
    else:
        assert result.shape[:2] == (3, 1)
    if METHODS[name].explainer:
        assert torch.broadcast_shapes(result.shape, pictures.shape) == pictures.shape


@every_seeded
def test_seed_alone_decides_the_randomness(name, small_net, pictures):
    first = explain(name, small_net, pictures, seed=3)
    torch.manual_seed(99)
    np.random.seed(99)  # noqa: NPY002
    assert torch.equal(explain(name, small_net, pictures, seed=3), first)
    assert not torch.allclose(explain(name, small_net, pictures, seed=4), first)


@every_method
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_works_without_gradients_around_it_and_for_a_frozen_model(name, mode, small_net, pictures):
    expected = explain(name, small_net, pictures)
    with mode():
        inputs = pictures.clone()
        torch.testing.assert_close(explain(name, small_net, inputs), expected)
        torch.testing.assert_close(explain(name, small_net.requires_grad_(False), inputs), expected)


@every_black_box
def test_any_callable_is_a_model(name, small_net, pictures):
    small_net.eval()
    options = layer_options(name, small_net)
    expected = explain(name, small_net, pictures, **options)
    torch.testing.assert_close(explain(name, lambda x: small_net(x), pictures, **options), expected)


@every_explainer
def test_target_may_be_none_a_number_or_one_per_row(name, small_net, pictures):
    predicted = small_net.eval()(pictures).argmax(dim=1)
    expected = explain(name, small_net, pictures, predicted)
    torch.testing.assert_close(explain(name, small_net, pictures, None), expected)
    rows = [explain(name, small_net, row[None], int(t)) for row, t in zip(pictures, predicted, strict=True)]
    torch.testing.assert_close(torch.cat(rows), expected)


@every_explainer
@pytest.mark.parametrize(
    ("target", "message"),
    [
        (5, "`target` must be between 0 and 4, got 5"),
        (-1, "`target` must be between 0 and 4, got -1"),
        (torch.tensor([0, 1]), r"`target` must be .* LongTensor of shape \(3,\), got a int64 tensor of shape \(2,\)"),
        (torch.tensor([0.0, 1, 2]), "`target` must be .* LongTensor of shape .*, got a float32 tensor"),
        ("Soup", "`target` must be None, an int or a LongTensor .*, got 'Soup'"),
        (True, "`target` must be .*, got True"),
    ],
)
def test_wrong_targets_are_told(name, target, message, small_net, pictures):
    with pytest.raises(ValueError, match=message):
        explain(name, small_net, pictures, target)


@every_method
def test_wrong_inputs_are_told(name, small_net, pictures):
    broken = pictures.clone()
    broken[1, 0, 2, 3] = torch.nan
    for inputs, message in [
        (broken, "`inputs` must be finite, got NaN"),
        (pictures[:0], "`inputs` must be a batch .* with at least one row"),
        (pictures[0, 0, 0], "`inputs` must be a batch"),
        ((pictures * 255).byte(), "`inputs` must be a floating tensor .*, got a uint8 tensor"),
        (pictures.numpy(), "`inputs` must be a floating tensor .*, got a ndarray"),
    ]:
        with pytest.raises(ValueError, match=message):
            explain(name, small_net, inputs)
    with pytest.raises(ValueError, match="`batch_size` must be an integer of at least 1, got 0"):
        explain(name, small_net, pictures, batch_size=0)


@every_black_box
def test_a_model_that_returns_no_scores_is_told(name, small_net, pictures):
    for broken in (
        lambda x: small_net.stem(x),
        lambda x: small_net(x).argmax(dim=1),
        lambda x: (small_net(x)[1:],),
        lambda x: small_net(x)[1:],
        lambda x: {"features": small_net.stem(x)},
    ):
        with pytest.raises(ValueError, match=r"`model` must return floating scores of shape \(N, C\) .*, got a "):
            explain(name, broken, pictures, **layer_options(name, small_net))
