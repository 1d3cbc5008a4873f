"""What DESIGN promises of every explainer, tested for every row of METHODS."""

import inspect
from functools import partial, wraps

import pytest
import torch
from torch import Tensor, nn

from hw_xai.explain import METHODS, LearnedCAM
from hw_xai.testing import CLAIMS, RULES, check_explainer

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
ATTENTION = ("rollout", "attention_relevance")  # of transformers only
every_black_box = pytest.mark.parametrize(  # CAM reads the weights of the last layer: no function has them
    "name", [name for name, method in METHODS.items() if method.explainer and name != "cam"]
)
KEPT = [
    (name, rule)
    for name, method in METHODS.items()
    for rule in RULES
    # weights, the layer's resolution, and where a network looks whatever it is asked for
    if (name, rule) not in (("cam", "function"), ("filter_activation", "shape"), ("rollout", "target"))
    if method.explainer or rule not in ("target", "target_forms", "refusals")  # those are asked about a channel
]


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


class Attending(nn.Module):
    """Scores (N, 5) of pictures (N, 3, 16, 16) by a transformer that reads its first token."""

    def __init__(self):
        super().__init__()
        self.stem, self.head = nn.Conv2d(3, 8, 4, stride=4), nn.Linear(8, 5)
        self.first = nn.Parameter(torch.randn(1, 1, 8))
        self.block = nn.Sequential(*[nn.TransformerEncoderLayer(8, 2, 16, batch_first=True) for _ in range(2)])

    def forward(self, inputs: Tensor) -> Tensor:
        patches = self.stem(inputs).flatten(2).mT
        return self.head(self.block(torch.cat([self.first.expand(len(inputs), -1, -1), patches], dim=1))[:, 0])


@pytest.fixture
def small_net(request, small_net) -> nn.Module:
    name = request.node.callspec.params["name"]
    if name in ATTENTION:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return Attending().double()
    return Pooled(small_net) if name == "cam" else small_net


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


def explainer(name: str, **options):
    """Return a method of the catalog as f(model, inputs, target), with cheap options."""
    function, options = METHODS[name].function, FAST.get(name, {}) | options
    if METHODS[name].explainer:
        return partial(function, **options)

    @wraps(function)  # its options are read off
    def explain(model, inputs, target=None, **more):
        layer = options.get("layer", "block.0")
        return function(model, inputs=inputs, channel=1, **(options | more | {"layer": layer}))

    return explain


@pytest.mark.parametrize(("name", "rule"), KEPT)
def test_every_rule_is_kept(name, rule, small_net, pictures):
    options = layer_options(name, small_net) if rule == "function" else {}
    assert check_explainer(explainer(name, **options), small_net, pictures, rules=[rule]) == []


@pytest.mark.parametrize("claim", CLAIMS)
@pytest.mark.parametrize("name", ["integrated_gradients", "deep_lift"])
def test_what_is_claimed_is_kept(name, claim, small_net, pictures):
    path = partial(METHODS[name].function, **({"n_steps": 200} if name == "integrated_gradients" else {}))
    assert check_explainer(path, small_net, pictures, rules=[], claims=[claim]) == []


@every_method
def test_the_catalog_counts_the_passes(name, small_net, pictures):
    for batch_size in (1, 7):
        model = Counting(small_net)
        explain(name, model, pictures, batch_size=batch_size)
        passes = METHODS[name].passes(**FACTS, **FAST.get(name, {}))
        counted, rows = passes.forward * len(pictures), sum(model.forward_rows)
        assert rows == counted or METHODS[name].at_most and rows < counted, "the catalog counts the forward passes"
        if METHODS[name].explainer:
            assert sum(model.backward_rows) == passes.backward * len(pictures), "and the backward passes"


@every_method
def test_the_shape_is_what_the_catalog_says(name, small_net, pictures):
    result = explain(name, small_net, pictures)
    assert len(result) == len(pictures)
    if METHODS[name].resolution in ("element", "new picture"):
        assert result.shape == pictures.shape
    else:
        assert result.shape[:2] == (3, 1)


def test_what_is_random_takes_a_seed():
    seeded = {name for name, method in METHODS.items() if "seed" in inspect.signature(method.function).parameters}
    assert seeded == {"smooth_grad", "lime", "rise", "shapley", "maximize_activation", "deep_dream"}


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
