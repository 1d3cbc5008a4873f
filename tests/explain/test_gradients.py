"""Gradient methods against formulas that are known exactly, slow obvious loops, and Captum."""

import warnings
from functools import partial

import captum.attr
import pytest
import torch
import torchvision
from torch import Tensor, nn

from hw_xai.explain import (
    completeness_gap,
    gradient,
    guided_backprop,
    input_x_gradient,
    integrated_gradients,
    saliency,
    smooth_grad,
)
from hw_xai.vision.networks import Classifier

close = partial(torch.testing.assert_close, rtol=1e-6, atol=1e-9)
RULES = ["midpoint", "gauss_legendre", "trapezoid"]


@pytest.fixture(scope="module", params=["homework", "resnet18"])
def network(request) -> nn.Module:
    """The homework's Classifier and a ResNet-18 for pictures of 32², float64, with statistics of real passes."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        if request.param == "homework":
            model = Classifier()
            model.fc[0] = nn.Linear(512, 1024)  # its own 8192 inputs are for pictures of 128²
            shape, passes = (4, 3, 32, 32), 3
        else:
            model, shape, passes = torchvision.models.resnet18(weights=None, num_classes=11), (16, 3, 32, 32), 20
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = None  # the mean over all passes
        with torch.no_grad():
            for _ in range(passes):
                model(torch.rand(shape))
    return model.double().eval()


@pytest.fixture(scope="module")
def pictures() -> Tensor:
    return torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


TARGET = torch.tensor([3, 7])


def linear(weight: Tensor):
    return lambda x: x.flatten(1) @ weight


def polynomial(x: Tensor) -> Tensor:
    """f = 5x + y² + sin z for rows (x, y, z)."""
    return (5 * x[:, 0] + x[:, 1] ** 2 + x[:, 2].sin())[:, None]


# ------------------------------------------------------------------------------------------------------ known exactly


def test_linear_model_has_its_weights_for_gradient_whatever_the_method():
    weight, x = torch.randn(12, 4).double(), torch.randn(2, 3, 4).double()
    expected = weight[:, 1].reshape(3, 4).expand_as(x)
    close(gradient(linear(weight), x, 1), expected)
    close(saliency(linear(weight), x, 1), expected.abs())
    close(smooth_grad(linear(weight), x, 1, n_samples=3), expected)
    close(input_x_gradient(linear(weight), x, 1), x * expected)
    for rule in RULES:  # Captum's riemann_trapezoid reaches only 1 - 1/n of this
        close(integrated_gradients(linear(weight), x, 1, n_steps=10, method=rule), x * expected)


def test_polynomial():
    x = torch.tensor([[1.0, 2.0, 3.0], [0.5, -1.0, 0.0]], dtype=torch.float64)
    slopes = torch.stack([torch.full((2,), 5.0).double(), 2 * x[:, 1], x[:, 2].cos()], dim=1)
    close(gradient(polynomial, x, 0), slopes)
    parts = torch.stack([5 * x[:, 0], x[:, 1] ** 2, x[:, 2].sin()], dim=1)
    close(integrated_gradients(polynomial, x, 0, method="gauss_legendre"), parts)
    close(integrated_gradients(polynomial, x, 0), parts, rtol=1e-3, atol=1e-3)
    start = torch.tensor([[0.0, 1.0, 0.0]]).double()
    parts[:, 1] -= 1
    close(integrated_gradients(polynomial, x, 0, baselines=start, method="gauss_legendre"), parts)


def test_gauss_legendre_is_exact_to_degree_2n_minus_1_and_trapezoid_uses_both_ends():
    cubic = lambda x: (x**4).sum(dim=1, keepdim=True)  # noqa: E731  its gradient is of degree 3
    x = torch.tensor([[2.0]], dtype=torch.float64)
    close(integrated_gradients(cubic, x, 0, n_steps=2, method="gauss_legendre"), x**4)
    close(integrated_gradients(cubic, x, 0, n_steps=2, method="trapezoid"), x * (0 + 4 * x**3) / 2)
    close(integrated_gradients(cubic, x, 0, n_steps=1), x * 4 * (x / 2) ** 3)


def test_several_baselines_are_averaged():
    x = torch.randn(3, 4).double()
    low, high = integrated_gradients(torch.sin, x, 1), integrated_gradients(torch.sin, x, 1, baselines=1.0)
    both = integrated_gradients(torch.sin, x, 1, baselines=[torch.zeros(3, 4), 1])
    close(both, (low + high) / 2)
    close(completeness_gap(both, torch.sin, x, 1, baselines=[0, 1]), torch.zeros(3).double(), atol=1e-3)


def test_one_sample_without_noise_is_the_gradient(small_net, pictures):
    inputs = pictures[..., :16, :16]
    assert torch.equal(smooth_grad(small_net, inputs, 1, n_samples=1, noise_level=0), gradient(small_net, inputs, 1))


def test_constant_input_has_no_range_and_so_no_noise(small_net):
    grey = torch.full((1, 3, 16, 16), 0.5).double()
    close(smooth_grad(small_net, grey, 1), gradient(small_net, grey, 1))


def test_noise_is_a_share_of_each_inputs_own_range():
    seen = []
    x = torch.stack([torch.linspace(0, 1, 10_000), torch.linspace(-3, 1, 10_000)]).double()
    model = lambda x: seen.append(x.detach()) or x[:, :2]  # noqa: E731
    smooth_grad(model, x, 0, n_samples=8, noise_level=0.2, batch_size=2)
    noise = torch.stack(seen) - x  # (8, 2, 10000)
    close(noise.std(dim=(0, 2)), torch.tensor([0.2, 0.8]).double(), rtol=0.02, atol=0)
    close(noise.mean(dim=(0, 2)), torch.zeros(2).double(), rtol=0, atol=0.01)


def test_target_is_decided_once_on_the_clean_inputs(pictures):
    class Wavering(nn.Module):
        """Two classes, so close that noise changes which one wins."""

        def forward(self, x: Tensor) -> Tensor:
            x = x.flatten(1)
            return torch.stack([x.mean(dim=1) + 1e-9, 2 * x.mean(dim=1) - x.mean(dim=1).detach()], dim=1)

    found = smooth_grad(Wavering(), pictures)
    close(found, torch.full_like(pictures, 1 / pictures[0].numel()))


def test_smooth_grad_smooths_any_explainer(small_net, pictures):
    inputs = pictures[..., :16, :16]
    short = partial(integrated_gradients, n_steps=3)
    found = smooth_grad(small_net, inputs, 1, explain=short, n_samples=2, seed=5)
    source = torch.Generator().manual_seed(5)
    expected = torch.zeros_like(inputs)
    for _ in range(2):
        noise = torch.randn((1, 3, 16, 16), generator=source)
        sigma = 0.15 * (inputs.flatten(1).max(dim=1).values - inputs.flatten(1).min(dim=1).values)
        expected += short(small_net, inputs + sigma[:, None, None, None] * noise, 1) / 2
    close(found, expected)


def test_embeddings_are_explained_through_a_closure():
    embedding, recurrent, head = nn.Embedding(20, 6), nn.GRU(6, 8, batch_first=True), nn.Linear(8, 3)
    scores = lambda vectors: head(recurrent(vectors)[0][:, -1])  # noqa: E731
    vectors = embedding(torch.tensor([[1, 2, 3, 4], [5, 6, 7, 8]]))  # (2, 4, 6), with a gradient of their own
    found = integrated_gradients(scores, vectors)
    assert found.shape == vectors.shape
    gap = completeness_gap(found, scores, vectors)
    assert gap.abs().max() < 0.01 * (scores(vectors) - scores(0 * vectors)).amax(dim=1).abs().min()


# ----------------------------------------------------------------------------------------------- the slow obvious way


def test_integrated_gradients_against_the_loop(small_net, pictures):
    inputs = pictures[..., :16, :16]
    small_net.eval()
    black = torch.zeros(3, 16, 16).double()
    for i, x in enumerate(inputs):
        total = torch.zeros_like(x)
        for s in range(7):
            point = (black + (s + 0.5) / 7 * (x - black)).requires_grad_()
            small_net(point[None])[0, 1].backward()
            total += point.grad / 7
        close(integrated_gradients(small_net, inputs, 1, n_steps=7)[i], (x - black) * total)


@pytest.mark.parametrize("rule", RULES)
def test_completeness_within_one_percent_at_fifty_steps(rule, trained_net, squares):
    inputs, places = squares(16, seed=7)
    found = integrated_gradients(trained_net, inputs, places, method=rule)
    with torch.no_grad():
        difference = (trained_net(inputs) - trained_net(0 * inputs)).gather(1, places[:, None])[:, 0]
    gap = completeness_gap(found, trained_net, inputs, places)
    close(found.flatten(1).sum(dim=1) - difference, gap)
    assert (gap / difference).abs().max() < 0.01


def test_attribution_lies_on_the_square(trained_net, squares):
    inputs, places = squares(16, seed=7)
    on_square = (inputs > 0.55).any(dim=1, keepdim=True)
    for method in (saliency, smooth_grad, integrated_gradients, guided_backprop):
        positive = method(trained_net, inputs, places).clamp(min=0)
        share = (positive * on_square).sum() / positive.sum()
        assert share > 2 * on_square.double().mean()


# ------------------------------------------------------------------------------------------------------------- Captum


def test_captum_agrees_on_single_passes(network, pictures):
    ours = [method(network, pictures, TARGET) for method in (gradient, saliency, input_x_gradient)]
    inputs = pictures.clone().requires_grad_()
    close(ours[0], captum.attr.Saliency(network).attribute(inputs, TARGET, abs=False))
    close(ours[1], captum.attr.Saliency(network).attribute(inputs, TARGET))
    close(ours[2], captum.attr.InputXGradient(network).attribute(inputs, TARGET).detach())


@pytest.mark.parametrize(("rule", "theirs"), [("midpoint", "riemann_middle"), ("gauss_legendre", "gausslegendre")])
def test_captum_agrees_on_integrated_gradients(rule, theirs, network, pictures):
    options = {"n_steps": 3, "baselines": 0.1 + 0 * pictures}
    torch.set_default_dtype(torch.float64)  # Captum makes its points by it: in single precision a ReLU may flip
    try:
        expected = captum.attr.IntegratedGradients(network).attribute(pictures, target=TARGET, method=theirs, **options)
    finally:
        torch.set_default_dtype(torch.float32)
    close(integrated_gradients(network, pictures, TARGET, method=rule, **options), expected, atol=1e-6 * expected.std())


def test_captum_agrees_on_smooth_grad_in_expectation(small_net, pictures):
    inputs = pictures[:1, :, :16, :16]
    sigma = 0.15 * (inputs.max() - inputs.min())
    tunnel = captum.attr.NoiseTunnel(captum.attr.Saliency(small_net.eval()))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        expected = tunnel.attribute(inputs.clone().requires_grad_(), nt_samples=2000, nt_samples_batch_size=500,
                                    stdevs=sigma.item(), target=1, abs=False)  # fmt: skip
    found = smooth_grad(small_net, inputs, 1, n_samples=2000, batch_size=500)
    assert torch.corrcoef(torch.stack([found.flatten(), expected.flatten()]))[0, 1] > 0.99


def test_captum_agrees_on_guided_backprop(network, pictures):
    found = guided_backprop(network, pictures, TARGET)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Captum announces its backward hooks
        captums = captum.attr.GuidedBackprop(network)
        close(found, captums.attribute(pictures.clone().requires_grad_(), TARGET))


# ---------------------------------------------------------------------------------------------------- guided backprop


class Activated(nn.Module):
    """Two linear layers with any activation between them."""

    def __init__(self, activation):
        super().__init__()
        self.first, self.activation, self.second = nn.Linear(8, 16), activation, nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.activation(self.first(x)))


@pytest.mark.parametrize("relu", [nn.ReLU(), nn.ReLU(inplace=True), nn.functional.relu, torch.relu, torch.relu_])
def test_guided_backprop_sees_every_kind_of_relu(relu):
    """Captum silently returns the plain gradient when the ReLU is a function."""
    model, x = Activated(relu), torch.randn(4, 8)
    active = model.first(x).detach() > 0
    arrived = model.second.weight[1].detach().clamp(min=0)
    close(guided_backprop(model, x, 1), (active * arrived) @ model.first.weight.detach(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("activation", "got"),
    [
        (nn.GELU(), "Gelu"),
        (nn.SiLU(), "Silu"),
        (nn.LeakyReLU(), "LeakyRelu"),
        (nn.ReLU6(), "Hardtanh"),
        (nn.Sequential(nn.ReLU(), nn.Tanh()), "Tanh"),
        (nn.PReLU(), "PreluKernel"),
        (lambda x: x.clamp(min=0), "Clamp"),
        (nn.Identity(), "none at all"),
    ],
)
def test_guided_backprop_refuses_other_activations(activation, got):
    with pytest.raises(ValueError, match=f"`model` must use ReLU as its only activation .*, got {got}"):
        guided_backprop(Activated(activation), torch.randn(2, 8), 1)


# ------------------------------------------------------------------------------------------------------------ mistakes


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m, x: smooth_grad(m, x, n_samples=0), "`n_samples` must be an integer of at least 1, got 0"),
        (lambda m, x: smooth_grad(m, x, n_samples=2.5), "`n_samples` must be an integer of at least 1, got 2.5"),
        (lambda m, x: smooth_grad(m, x, noise_level=-1), "`noise_level` must be a finite number of at least 0, got -1"),
        (lambda m, x: smooth_grad(m, x, seed=None), "`seed` must be an integer of at least 0, got None"),
        (lambda m, x: integrated_gradients(m, x, n_steps=0), "`n_steps` must be an integer of at least 1, got 0"),
        (lambda m, x: integrated_gradients(m, x, n_steps=1, method="trapezoid"), "`n_steps` must be .* at least 2"),
        (lambda m, x: integrated_gradients(m, x, method="simpson"), "`method` must be \"midpoint\", .*, got 'simpson'"),
        (lambda m, x: integrated_gradients(m, x, baselines=torch.zeros(7)), "`baselines` must be .* broadcasts"),
        (lambda m, x: integrated_gradients(m, x, baselines="black"), "`baselines` must be a number .*, got 'black'"),
        (lambda m, x: integrated_gradients(m, x, baselines=[]), "`baselines` must hold at least one"),
        (lambda m, x: integrated_gradients(m, x, baselines=torch.nan), "`baselines` must be finite"),
        (lambda m, x: gradient(lambda x: m(x).detach(), x), "`model` must be differentiable, got scores that do not"),
        (lambda m, x: gradient(lambda x: m.head.weight[: len(x)], x), "`model` must be differentiable"),
        (lambda m, x: completeness_gap(x[:1], m, x), "`attribution` must have one row per input, got a float64 tensor"),
    ],
)
def test_mistakes_are_told_in_a_sentence(call, message, small_net, pictures):
    with pytest.raises(ValueError, match=message):
        call(small_net, pictures[..., :16, :16])


def test_progress_bar_counts_the_samples(small_net, pictures, capsys):
    smooth_grad(small_net, pictures[..., :16, :16], 1, n_samples=6, progress=True)
    assert "6/6" in capsys.readouterr().err
