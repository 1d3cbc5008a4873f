"""DeepLIFT and LRP against Captum, zennit, loops by hand, what must add up, and what they cannot explain."""

import warnings
from functools import partial

import captum.attr
import pytest
import torch
import torchvision
import zennit.attribution
import zennit.canonizers
import zennit.composites
import zennit.rules
import zennit.torchvision
import zennit.types
from torch import Tensor, nn

from hw_xai.explain import completeness_gap, deep_lift, gradient, lrp
from hw_xai.vision.networks import FoodNet

close = partial(torch.testing.assert_close, rtol=1e-6, atol=1e-9)
BOTH = pytest.mark.parametrize("explain", [deep_lift, lrp])
TARGET = torch.tensor([1, 2])


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def photos(size: int = 32) -> Tensor:
    coarse = torch.rand(2, 3, 6, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return nn.functional.interpolate(coarse, size=(size, size), mode="bilinear") * 2 - 1


def seasoned(model: nn.Module) -> nn.Module:
    """Return the model in float64 and eval mode, with BatchNorm statistics of a pass and biases that matter."""
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
        nn.init.normal_(norm.bias, std=0.3)
    if norms:
        with torch.no_grad():
            model.train()(torch.rand(8, 3, 64, 64) * 2 - 1)
    return model.double().eval()


def plain(activation: type[nn.Module] = nn.ReLU) -> nn.Module:
    return seasoned(
        nn.Sequential(
            nn.Conv2d(3, 6, 3, padding=1), activation(), nn.AvgPool2d(2), nn.Conv2d(6, 8, 3, stride=2), activation(),
            nn.Flatten(), nn.Linear(8 * 7 * 7, 10), activation(), nn.Linear(10, 4),
        )
    )  # fmt: skip


# ------------------------------------------------------------------------------------------------------------ DeepLIFT


@pytest.mark.parametrize("activation", [nn.ReLU, nn.Sigmoid, nn.Tanh, nn.LeakyReLU])
def test_captum_agrees_on_deep_lift(activation):
    model, x, away = plain(activation), photos(), photos().flip(0) * 0.3
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its hooks
        expected = captum.attr.DeepLift(model).attribute(x.requires_grad_(), baselines=away, target=TARGET)
    close(deep_lift(model, x, TARGET, baselines=away), expected.detach())


def by_loops(model: nn.Module, x: Tensor, away: Tensor, target: int) -> Tensor:
    """Multipliers of Linear, ReLU, Linear, element by element: (D,), (D,) -> (D,)."""
    first, _, last = model
    before, here = first(away), first(x)
    found = torch.zeros_like(x)
    for i in range(len(x)):
        for k in range(len(here)):
            slope = (here[k].clamp(min=0) - before[k].clamp(min=0)) / (here[k] - before[k])
            found[i] += (x[i] - away[i]) * first.weight[k, i] * slope * last.weight[target, k]
    return found


def test_deep_lift_by_hand():
    model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3)).double()
    x, away = torch.randn(2, 4).double(), torch.randn(2, 4).double()
    with torch.no_grad():
        expected = torch.stack([by_loops(model, a, b, 2) for a, b in zip(x, away, strict=True)])
    close(deep_lift(model, x, 2, baselines=away), expected)


def test_a_saturated_cause_is_found_where_the_gradient_sees_none():
    """Shrikumar et al., figure 1: 1 − ReLU(1 − x₁ − x₂) at (1, 1)."""

    def model(x: Tensor) -> Tensor:
        return 1 - nn.functional.relu(1 - x.sum(dim=1, keepdim=True))

    x = torch.ones(1, 2, dtype=torch.float64)
    assert not gradient(model, x, 0).any()
    close(deep_lift(model, x, 0), torch.full((1, 2), 0.5, dtype=torch.float64))


class Gated(nn.Module):
    """Maxima, gates, products, squeeze and excitation, and sums of branches."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 6, 3, padding=1), nn.Conv2d(3, 6, 3, padding=1)
        self.squeeze, self.norm, self.head = nn.Conv2d(6, 6, 1), nn.BatchNorm2d(6), nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        y = nn.functional.max_pool2d(self.a(x), 3, 2)
        y = self.norm(y) + nn.functional.hardswish(nn.functional.max_pool2d(self.b(x), 3, 2), inplace=True)
        y = y * self.squeeze(y.mean(dim=(2, 3), keepdim=True)).sigmoid()
        y += torch.nn.functional.gelu(y)
        return self.head(torch.cat([y[:, :3], y[:, 3:] / 2], dim=1).amax(dim=(2, 3)))


BACKBONES = {
    "gated": Gated,
    "foodnet": lambda: FoodNet(channels=8),
    "resnet18": lambda: torchvision.models.resnet18(num_classes=4),
    "mobilenet": lambda: torchvision.models.mobilenet_v3_small(num_classes=4),
    "densenet": lambda: torchvision.models.DenseNet(8, (2, 2), 8, num_classes=4),
    "shufflenet": lambda: torchvision.models.ShuffleNetV2([1, 1, 1], [8, 16, 16, 16, 32], num_classes=4),
}


@pytest.mark.parametrize("name", BACKBONES)
def test_deep_lift_adds_up_to_the_difference_of_scores(name):
    model, x, away = seasoned(BACKBONES[name]()), photos(64), [0.0, photos(64).flip(0)]
    gap = completeness_gap(deep_lift(model, x, TARGET, baselines=away), model, x, TARGET, away)
    whole = completeness_gap(torch.zeros_like(x), model, x, TARGET, away)
    assert gap.abs().max() < 1e-6 * whole.abs().max()


# ----------------------------------------------------------------------------------------------------------------- LRP


def theirs(model: nn.Module, x: Tensor, rule: str, canonizers: list) -> Tensor:
    """zennit's relevance, from the score itself."""
    epsilon, gamma = zennit.rules.Epsilon(), zennit.rules.Gamma()
    kinds = {
        "epsilon": [(zennit.types.Convolution, epsilon), (zennit.types.Linear, epsilon)],
        "gamma": [(zennit.types.Convolution, gamma), (zennit.types.Linear, gamma)],
        "composite": [(zennit.types.Convolution, gamma), (zennit.types.Linear, epsilon)],
    }
    layers = kinds[rule] + zennit.composites.layer_map_base()
    first = [(zennit.types.Convolution, zennit.rules.Flat())] if rule == "composite" else []
    composite = zennit.composites.SpecialFirstLayerMapComposite(layers, first, canonizers=canonizers)
    with zennit.attribution.Gradient(model, composite) as attributor:
        one_hot = torch.eye(4, dtype=x.dtype)[TARGET]
        return attributor(x.clone(), lambda scores: scores.detach() * one_hot)[1]


@pytest.mark.parametrize("rule", ["epsilon", "gamma", "composite"])
@pytest.mark.parametrize("name", ["plain", "vgg", "resnet18"])
def test_zennit_agrees_on_lrp(name, rule):
    make = {
        "plain": plain,
        "vgg": lambda: nn.Sequential(
            nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.ReLU(inplace=True), nn.MaxPool2d(2),
            nn.Conv2d(6, 6, 3, bias=False), nn.BatchNorm2d(6), nn.ReLU(), nn.Flatten(), nn.Linear(6 * 29 * 29, 4),
        ),
        "resnet18": BACKBONES["resnet18"],
    }[name]  # fmt: skip
    model, x = seasoned(make()), photos(32 if name == "plain" else 64)
    x = x + torch.randn(x.shape, dtype=x.dtype) / 10  # nowhere flat: of equal numbers rounding chooses the largest
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = 0.0  # zennit adds it once more to what it has folded
    found = lrp(model, x, TARGET, rule=rule)
    kind = zennit.torchvision.ResNetCanonizer if name == "resnet18" else zennit.canonizers.SequentialMergeBatchNorm
    expected = theirs(model, x, rule, [kind()])
    assert expected.abs().max() > 0
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5 * expected.abs().max().item())


def test_epsilon_by_hand():
    model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3)).double()
    x = torch.randn(1, 4).double()
    with torch.no_grad():
        z = model[0](x)[0]
        a, score = z.clamp(min=0), model(x)[0, 2]
        expected = torch.zeros(1, 4).double()
        for k in range(6):
            r = a[k] * model[2].weight[2, k] / score * score
            for i in range(4):
                expected[0, i] += x[0, i] * model[0].weight[k, i] / z[k] * r
    close(lrp(model, x, 2, rule="epsilon", epsilon=0.0), expected)


@pytest.mark.parametrize("name", BACKBONES)
@pytest.mark.parametrize("rule", ["epsilon", "gamma"])
def test_without_biases_nothing_is_lost(name, rule):
    """With means and biases of zero the score is all there is to share."""
    model, x = seasoned(BACKBONES[name]()), photos(64)
    for module in model.modules():
        for constant in ("bias", "running_mean", "mean"):
            if getattr(module, constant, None) is not None:
                getattr(module, constant).data.zero_()
    total = lrp(model, x, TARGET, rule=rule, epsilon=1e-12).flatten(1).sum(dim=1)
    scores = model(x).detach().gather(1, TARGET[:, None])[:, 0]
    assert ((total - scores).abs() < 1e-3 * scores.abs()).all()


def test_epsilon_and_gamma_zero_are_gradient_times_input_without_biases():
    model = nn.Sequential(nn.Conv2d(3, 6, 3, bias=False), nn.ReLU(), nn.Flatten(), nn.Linear(5400, 4, bias=False))
    model, x = model.double(), photos()
    expected = gradient(model, x, 1) * x
    close(lrp(model, x, 1, rule="epsilon", epsilon=0.0), expected)
    close(lrp(model, x, 1, rule="gamma", gamma=0.0, epsilon=0.0), expected)


# --------------------------------------------------------------------------------------------------- what has no rules


class MovesInPlace(nn.Module):
    """Uses a tensor again that an activation has changed in place: seen from outside, that is another tensor."""

    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 4, 3), nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        nn.functional.relu(y, inplace=True)
        return self.head(y.mean(dim=(2, 3)))


@BOTH
@pytest.mark.parametrize(
    ("make", "got"),
    [
        (lambda: torchvision.models.VisionTransformer(32, 8, 1, 2, 16, 32, num_classes=4), "layer_norm: integrated_"),
        (lambda: nn.Sequential(plain(), nn.Softmax(dim=1)), "got softmax: integrated_gradients needs none"),
        (lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.GroupNorm(2, 4), nn.Flatten(), nn.Linear(3600, 4)), "group_norm"),
        (MovesInPlace, "all that it does"),
        (lambda: torch.jit.trace(plain(), photos()), "all that it does.*: is it compiled"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning", "ignore:.*torch.jit:DeprecationWarning")
def test_what_has_no_rule_is_refused_in_a_sentence(explain, make, got):
    with pytest.raises(ValueError, match="^`model` must .*" + got):
        explain(make().double().eval(), photos(), 1)


def test_a_network_that_does_other_things_for_the_baseline_is_refused():
    def model(x: Tensor) -> Tensor:
        return (x.relu() if x.mean() > 0 else x.tanh()).flatten(1)[:, :3]

    with pytest.raises(ValueError, match="`model` must do the same whatever its inputs are .*, got another operation"):
        deep_lift(model, photos().abs(), 1, baselines=-1.0)
