"""Faithfulness scores against slow loops, and models of which the truth is known."""

import pytest
import torch
from torch import Tensor

from hw_xai.evaluate.faithfulness import (
    area_under,
    average_drop,
    deletion,
    increase_in_confidence,
    insertion,
    masked_confidence,
    sensitivity_n,
    stability,
)
from hw_xai.explain import gradient, input_x_gradient
from hw_xai.explain.fills import blurred


@pytest.fixture
def net(small_net):
    return small_net.eval().requires_grad_(False)


@pytest.fixture
def maps() -> Tensor:
    return torch.randn((3, 1, 16, 16), generator=torch.Generator().manual_seed(2)).double()


def slow_confidence(model, x: Tensor, values: Tensor, target: int, share: float) -> tuple[float, float]:
    """One picture (C, H, W) and its map (H, W), pixel by pixel: p and p̂."""
    values = (values - values.min()) / (values.max() - values.min())
    kept = sorted(values.flatten().tolist(), reverse=True)[: round(share * values.numel())]
    masked = x.clone()
    for i in range(x.shape[1]):
        for j in range(x.shape[2]):
            masked[:, i, j] *= values[i, j] if values[i, j] >= kept[-1] else 0
    return tuple(model(one[None]).softmax(dim=1)[0, target].item() for one in (x, masked))


def test_average_drop_and_increase_are_the_slow_loop(net, pictures, maps):
    drops, increases = average_drop(net, pictures, maps), increase_in_confidence(net, pictures, maps)
    assert drops.shape == increases.shape == (3, 3)
    for i, (x, values) in enumerate(zip(pictures, maps[:, 0], strict=True)):
        target = int(net(x[None]).argmax())
        for s, share in enumerate((1.0, 0.5, 0.15)):
            p, seen = slow_confidence(net, x, values, target, share)
            assert drops[i, s].item() == pytest.approx(max(0, p - seen) / p)
            assert increases[i, s].item() == float(seen > p)


@pytest.mark.parametrize(("curve", "fill"), [(deletion, "zero"), (insertion, "blur"), (deletion, 0.3)])
def test_curves_are_the_slow_loop(curve, fill, net, pictures, maps):
    found = curve(net, pictures, maps, 2, n_steps=8, fill=fill)
    shown = {"zero": torch.zeros_like(pictures), "blur": blurred(pictures), 0.3: torch.full_like(pictures, 0.3)}[fill]
    for row, x, hide, values in zip(found, pictures, shown, maps[:, 0], strict=True):
        order = values.flatten().argsort(descending=True)
        for step, p in enumerate(row):
            reached = torch.zeros(256, dtype=torch.bool)
            reached[order[: 32 * step]] = True
            hidden = (reached if curve is deletion else ~reached).reshape(16, 16)
            assert p.item() == pytest.approx(net(torch.where(hidden, hide, x)[None]).softmax(dim=1)[0, 2].item())


def test_sensitivity_n_of_a_linear_model_is_one(pictures):
    weight = torch.randn((3 * 16 * 16, 2), generator=torch.Generator().manual_seed(0)).double()
    model = lambda x: x.flatten(1) @ weight + 7  # noqa: E731
    for cells in (4, 16, None):
        found = sensitivity_n(model, pictures, input_x_gradient(model, pictures, 1), 1, shares=(0.1, 0.5), cells=cells)
        torch.testing.assert_close(found, torch.ones(3, 2).double())
        opposite = sensitivity_n(model, pictures, -input_x_gradient(model, pictures, 1), 1, cells=cells)
        torch.testing.assert_close(opposite, -torch.ones(3, 1).double())


def test_stability_of_a_linear_model_is_perfect_and_that_of_a_square_is_the_noise(pictures):
    linear = lambda x: x.flatten(1)[:, :2]  # noqa: E731
    assert stability(linear, pictures, gradient, 1) == (pytest.approx([0] * 3), pytest.approx([0] * 3))
    square = lambda x: x.square().flatten(1).sum(dim=1, keepdim=True)  # noqa: E731
    found = stability(square, pictures, gradient, 0, noise_level=0.1, n_samples=3)
    reach = 0.1 * (pictures.amax((1, 2, 3)) - pictures.amin((1, 2, 3)))
    expected = reach * (pictures[0].numel() / 3) ** 0.5 / pictures.flatten(1).norm(dim=1)  # uniform: variance 1/3
    torch.testing.assert_close(found.mean, expected, rtol=0.1, atol=0)
    assert (found.largest >= found.mean).all()


def test_a_constant_map_is_defined_everywhere(net, pictures):
    constant = torch.full((3, 1, 16, 16), 0.7).double()
    black = net(torch.zeros_like(pictures)).softmax(dim=1)[:, 2]
    assert torch.allclose(masked_confidence(net, pictures, constant, 2).masked, black[:, None])
    assert sensitivity_n(net, pictures, constant, 2, cells=4).isnan().all()
    curves = [deletion(net, pictures, constant, 2, seed=seed) for seed in (0, 0, 1)]
    assert torch.equal(curves[0], curves[1])
    assert not torch.equal(curves[0], curves[2]), "hidden in a random order, that seed decides"
    zero = lambda model, x, target: torch.zeros_like(x)  # noqa: E731
    assert torch.stack(stability(net, pictures, zero)).isnan().all()


def test_a_model_that_always_says_the_same(pictures, maps):
    model = lambda x: torch.tensor([[3.0, 0.0]]).double().repeat(len(x), 1)  # noqa: E731
    assert (average_drop(model, pictures, maps) == 0).all()
    assert (increase_in_confidence(model, pictures, maps) == 0).all()
    torch.testing.assert_close(area_under(deletion(model, pictures, maps)), model(pictures).softmax(dim=1)[:, 0])
    assert sensitivity_n(model, pictures, maps).isnan().all()


@pytest.mark.parametrize(
    ("score", "options", "passes"),
    [
        (average_drop, {}, 4),
        (average_drop, {"shares": (0.5,)}, 2),
        (deletion, {"n_steps": 20}, 21),
        (insertion, {"n_steps": 7}, 8),
        (sensitivity_n, {"shares": (0.2, 0.5), "n_subsets": 9}, 19),
    ],
)
def test_passes_and_the_promises_of_an_explainer(score, options, passes, small_net, pictures, maps):
    rows = []
    small_net.register_forward_hook(lambda module, args, output: rows.append(len(output)))
    small_net.train()
    before, state = pictures.clone(), {k: v.clone() for k, v in small_net.state_dict().items()}
    together = score(small_net, pictures, maps, 2, batch_size=4, **options)
    assert sum(rows) == 3 * passes
    assert max(rows) <= 4
    assert small_net.training
    assert torch.equal(pictures, before)
    assert all(torch.equal(v, state[k]) for k, v in small_net.state_dict().items())
    alone = torch.cat([score(small_net, pictures[i : i + 1], maps[i : i + 1], 2, **options) for i in range(3)])
    torch.testing.assert_close(together, alone)


@pytest.mark.parametrize("score", [average_drop, deletion, insertion, sensitivity_n])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m / 0 - m / 0, "`attributions` must be finite, got NaN or infinite values"),
        (lambda m: m[..., :9], r"`attributions` must be one map for each of the inputs .*, got shape \(3, 1, 16, 9\)"),
        (lambda m: m[:2], r"`attributions` must be one map for each of the inputs .*, got shape \(2, 1, 16, 16\)"),
        (lambda m: m.numpy(), "`attributions` must be a floating tensor, got a ndarray"),
    ],
)
def test_mistakes_in_maps_are_told(score, change, message, net, pictures, maps):
    with pytest.raises(ValueError, match=message):
        score(net, pictures, change(maps))


@pytest.mark.parametrize(
    ("score", "options", "message"),
    [
        (average_drop, {"shares": (0.5, 2)}, r"`shares` must be a list of numbers in \(0, 1\], got \(0.5, 2\)"),
        (deletion, {"n_steps": 0}, "`n_steps` must be an integer of at least 1, got 0"),
        (sensitivity_n, {"n_subsets": 2}, "`n_subsets` must be an integer of at least 3, got 2"),
    ],
)
def test_mistakes_in_options_are_told(score, options, message, net, pictures, maps):
    with pytest.raises(ValueError, match=message):
        score(net, pictures, maps, **options)
