"""Activation maps and activation maximisation on networks whose filters are known."""

import copy

import pytest
import torch
from torch import nn

from hw_xai.explain import filter_activation, maximize_activation
from hw_xai.explain.features import smoothed, unit_rms


def test_filter_activation_is_one_channel_of_the_layer(small_net, pictures):
    expected = small_net.eval().stem[:2](pictures)
    found = filter_activation(small_net, pictures, "stem.1", 4)
    torch.testing.assert_close(found, expected[:, 4:5])
    torch.testing.assert_close(filter_activation(lambda x: small_net(x), pictures, small_net.stem[1], 4), found)


def test_maximize_activation_raises_it_from_noise_and_from_a_photo(trained_net, pictures):
    for layer, channel in [("block.0", 3), ("stem.0", 0), ("head", 2)]:
        noise = maximize_activation(trained_net, layer, channel, size=(3, 16, 16), n_steps=1, lr=0, total_variation=0)
        for start in (None, pictures):
            found = maximize_activation(trained_net, layer, channel, inputs=start, size=(3, 16, 16), n_steps=40)
            before = filter_activation(trained_net, noise if start is None else start, layer, channel)
            after = filter_activation(trained_net, found, layer, channel)
            assert (after.flatten(1).mean(dim=1) > before.flatten(1).mean(dim=1)).all()
            low, high = found.aminmax()
            assert 0 <= low < high <= 1
            assert found.dtype == torch.float64


def test_the_picture_of_a_class_is_an_example_of_it(trained_net):
    for place in range(5):
        found = maximize_activation(trained_net, "head", place, size=(3, 16, 16))
        assert trained_net(found).argmax() == place


def test_a_photo_is_left_as_it_is(trained_net, squares):
    photo = squares(1, seed=3)[0].clamp(0, 1)
    before = photo.clone()
    maximize_activation(trained_net, "block.0", 1, inputs=photo, n_steps=3)
    assert torch.equal(photo, before)


def test_total_variation_and_blur_make_smoother_pictures(trained_net):
    def roughness(**options):
        found = maximize_activation(trained_net, "head", 1, size=(3, 16, 16), n_steps=40, **options)
        return found.diff(dim=2).abs().mean() + found.diff(dim=3).abs().mean()

    rough = roughness(total_variation=0.0, jitter=0)
    assert roughness(total_variation=0.5, jitter=0) < rough
    assert roughness(total_variation=0.0, jitter=0, blur=1.5) < rough


def test_there_is_a_way_out_of_dead_relus():
    """A bias that shuts every unit off for all faint pictures: without relaxed ReLUs the gradient is zero."""
    model = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.ReLU(), nn.Conv2d(2, 2, 3), nn.ReLU(), nn.Flatten(1))
    with torch.no_grad():
        model[0].weight.fill_(1.0)
        model[0].bias.fill_(-7.0)
        model[2].weight.fill_(1.0)
        model[2].bias.fill_(-0.1)
    assert filter_activation(model, torch.full((1, 1, 8, 8), 0.6), "3", 1).max() == 0
    found = maximize_activation(model, "3", 1, size=(1, 8, 8), lr=0.1, jitter=0, n_steps=60)
    assert filter_activation(model, found, "3", 1).mean() > 0


def test_scale_of_the_weights_does_not_matter(trained_net):
    options = {"size": (3, 16, 16), "n_steps": 5}
    expected = maximize_activation(trained_net, "head", 1, **options)
    scaled = copy.deepcopy(trained_net)
    with torch.no_grad():
        scaled.head.weight *= 1000
    torch.testing.assert_close(maximize_activation(scaled, "head", 1, **options), expected)


def test_smoothing_keeps_sums_and_unit_rms_keeps_zeros():
    dot = torch.zeros(1, 2, 21, 21).double()
    dot[0, 0, 10, 10] = 1
    blurred = smoothed(dot, 2.0)
    torch.testing.assert_close(blurred.sum(dim=(2, 3)), dot.sum(dim=(2, 3)), rtol=0, atol=1e-6)
    offsets = torch.arange(21).double() - 10
    variance = (blurred[0, 0].sum(dim=0) * offsets**2).sum()
    assert variance == pytest.approx(4, rel=0.05)
    assert unit_rms(torch.zeros(2, 3)).abs().max() == 0
    torch.testing.assert_close(unit_rms(dot).square().mean(), torch.tensor(1.0).double())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m, x: filter_activation(m, x, "stem.0", 6), "`channel` must be between 0 and 5, got 6"),
        (lambda m, x: filter_activation(m, x, "stem.0", -1), "`channel` must be between 0 and 5, got -1"),
        (lambda m, x: filter_activation(m, x, "nowhere"), "`layer` must name a module of SmallNet"),
        (lambda m, x: filter_activation(m, x, "pool"), '`layer` must run once .* got "pool"'),
        (lambda m, x: maximize_activation(m, inputs=2 * x), r"`inputs` must be pictures .* from 0 to 1, got .* values"),
        (lambda m, x: maximize_activation(m, inputs=x[0]), r"`inputs` must be pictures .* got shape \(3, 16, 16\)"),
        (lambda m, x: maximize_activation(m, size=(16, 16)), r"`size` must be three sizes \(C, H, W\), got \(16, 16\)"),
        (lambda m, x: maximize_activation(m, n_steps=0), "`n_steps` must be an integer of at least 1, got 0"),
        (lambda m, x: maximize_activation(m, blur=-1.0), "`blur` must be a finite number of at least 0, got -1.0"),
    ],
)
def test_mistakes_are_told_in_a_sentence(call, message, small_net, pictures):
    with pytest.raises(ValueError, match=message):
        call(small_net, pictures)
