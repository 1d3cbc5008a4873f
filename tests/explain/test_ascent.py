"""Gradient ascent on pictures: parametrizations, views, and networks whose filters are known."""

import copy

import pytest
import torch
from torch import nn

from hw_xai.explain import deep_dream, filter_activation, maximize_activation, record_activations
from hw_xai.explain.ascent import (
    COLOURS,
    PARAMETRIZATIONS,
    View,
    adam,
    amplitudes,
    looked_at,
    mirrored,
    unit_rms,
    views,
)

SMALL = {"size": (3, 16, 16), "n_steps": 30}
STILL = {"jitter": 0, "scale": 0, "rotate": 0}


def mean_of(model, pictures, layer, channel):
    return filter_activation(model, pictures, layer, channel).flatten(1).mean(dim=1)


# ---------------------------------------------------------------------------------------------------- parametrizations


@pytest.mark.parametrize("name", PARAMETRIZATIONS)
@pytest.mark.parametrize("shape", [(2, 3, 16, 16), (1, 3, 9, 7), (2, 1, 8, 11)])
def test_numbers_and_pictures_turn_into_each_other(name, shape):
    pictures = 0.02 + 0.96 * torch.rand(shape, generator=torch.Generator().manual_seed(0)).double()
    numbers_of, picture_of = PARAMETRIZATIONS[name]
    torch.testing.assert_close(picture_of(numbers_of(pictures), shape), pictures)


def test_a_wave_of_low_frequency_weighs_as_much_more_as_it_is_longer():
    weights = amplitudes(torch.zeros(1, 3, 64, 64).double())
    assert weights.shape == (64, 33)
    torch.testing.assert_close(weights[0, 2] / weights[0, 8], torch.tensor(4.0).double())
    torch.testing.assert_close(weights[2, 0], weights[0, 2])
    assert weights.max() == weights[0, 0]


def test_colours_are_decorrelated():
    columns = torch.tensor(COLOURS).double().T
    lengths = columns.norm(dim=1)
    angles = (columns @ columns.T) / (lengths[:, None] * lengths)
    torch.testing.assert_close(angles, torch.eye(3).double(), rtol=0, atol=0.02)
    assert lengths.argmax() == 0
    assert lengths[0] == pytest.approx(1, abs=0.01)


# --------------------------------------------------------------------------------------------------------------- views


def test_the_plain_view_shows_the_picture_and_others_move_it_in_grey():
    picture = torch.full((1, 1, 8, 12), 0.5).double()
    picture[0, 0, 2, 3] = 1
    torch.testing.assert_close(looked_at(picture, View(0, 1, 0, 0)), picture)
    torch.testing.assert_close(looked_at(picture, View(0, 1, 1 / 12, 2 / 8)), picture.roll((-2, -1), (2, 3)))
    turned = looked_at(picture, View(torch.pi, 1, 0, 0))
    torch.testing.assert_close(turned, picture.flip(2, 3))
    quarter = looked_at(picture, View(torch.pi / 2, 1, 0, 0))  # in pixels, also where the sides differ
    assert quarter[0, 0].max() == pytest.approx(1)
    assert looked_at(torch.ones(1, 1, 8, 8), View(0, 2, 0, 0))[0, 0, 0, 0] == 0.5


def test_views_stay_in_their_bounds_and_follow_the_seed():
    found = list(views(200, 0.1, 0.2, 30, seed=1))
    assert found == list(views(200, 0.1, 0.2, 30, seed=1)) != list(views(200, 0.1, 0.2, 30, seed=2))
    assert max(abs(v.angle) for v in found) <= torch.pi / 6
    assert all(1 / 1.2 <= v.zoom <= 1.2 and abs(v.right) <= 0.1 and abs(v.down) <= 0.1 for v in found)


def test_mirrors_continue_a_photo_without_a_seam():
    assert mirrored(4, 10, 2).tolist() == [2, 3, 3, 2, 1, 0, 0, 1, 2, 3]
    assert mirrored(5, 5, 0).tolist() == [0, 1, 2, 3, 4]


# --------------------------------------------------------------------------------------------- activation maximization


@pytest.mark.parametrize("name", PARAMETRIZATIONS)
def test_the_picture_of_a_planted_wave_turns_on_exactly_it(name):
    """Three channels wait for three waves that know nothing of each other."""
    y, x = torch.meshgrid(*[2 * torch.pi * torch.arange(16).double() / 16] * 2, indexing="ij")
    waves = torch.stack([(2 * x).cos(), (2 * y).cos(), (4 * x + 4 * y).cos()])
    model = nn.Sequential(nn.Flatten(), nn.Linear(256, 3, bias=False).double())
    with torch.no_grad():
        model[1].weight.copy_(waves.flatten(1))
    grey = torch.full((3, 1, 16, 16), 0.5).double()
    scores = model(maximize_activation(model, "1", [0, 1, 2], inputs=grey, parametrization=name, n_steps=30, **STILL))
    assert (scores.diagonal() > 4).all()
    assert (scores - scores.diagonal().diag()).abs().max() < 0.02


def test_it_raises_a_channel_from_noise_and_from_a_photo(trained_net, pictures):
    for layer, channel in [("block.0", 3), ("head", 2)]:
        grey = torch.full((1, 3, 16, 16), 0.5).double()
        for start in (None, pictures):
            found = maximize_activation(trained_net, layer, channel, inputs=start, **SMALL)
            before = mean_of(trained_net, grey if start is None else start, layer, channel)
            assert (mean_of(trained_net, found, layer, channel) > before).all()
            assert found.dtype == torch.float64
            assert 0 <= found.min() < found.max() <= 1


def test_the_picture_of_a_class_is_an_example_of_it(trained_net):
    found = maximize_activation(trained_net, "head", range(5), size=(3, 16, 16), n_steps=60)
    assert trained_net(found).argmax(dim=1).tolist() == [0, 1, 2, 3, 4]


def test_several_channels_at_once_are_each_alone(trained_net, pictures):
    for start in (None, pictures):
        together = maximize_activation(trained_net, "block.0", [1, 4, 2], inputs=start, size=(3, 16, 16), n_steps=3)
        for i, channel in enumerate([1, 4, 2]):
            row = None if start is None else start[i : i + 1]
            alone = maximize_activation(trained_net, "block.0", channel, inputs=row, size=(3, 16, 16), n_steps=3)
            torch.testing.assert_close(together[i : i + 1], alone)


def test_a_single_neuron_is_raised_where_it_looks(trained_net):
    found = maximize_activation(trained_net, "stem.0", 2, position=(3, 12), **SMALL, **STILL)
    response = filter_activation(trained_net, found, "stem.0", 2)[0, 0]
    assert response[3, 12] == response.max()
    assert response[3, 12] > 2 * response.mean()


def test_a_photo_is_left_as_it_is_and_no_steps_up_give_it_back(trained_net, pictures):
    before = pictures.clone()
    for name in PARAMETRIZATIONS:
        found = maximize_activation(trained_net, "head", 1, inputs=pictures, parametrization=name, lr=0, n_steps=2)
        torch.testing.assert_close(found, pictures.clamp(0.01, 0.99))
    assert torch.equal(pictures, before)


def test_waves_make_smoother_pictures_than_pixels(trained_net):
    def roughness(name):
        found = maximize_activation(trained_net, "head", 1, parametrization=name, **SMALL)
        return (found.diff(dim=2).abs().mean() + found.diff(dim=3).abs().mean()) / found.std()

    assert roughness("fft") < roughness("pixel")


def test_there_is_a_way_out_of_dead_relus():
    """A bias that shuts every unit off for all faint pictures: without relaxed ReLUs the gradient is zero."""
    model = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.ReLU(), nn.Conv2d(2, 2, 3), nn.ReLU(), nn.Flatten(1))
    with torch.no_grad():
        model[0].weight.fill_(1.0)
        model[0].bias.fill_(-7.0)
        model[2].weight.fill_(1.0)
        model[2].bias.fill_(-0.1)
    assert filter_activation(model, torch.full((1, 1, 8, 8), 0.6), "3", 1).max() == 0
    for name in PARAMETRIZATIONS:
        found = maximize_activation(model, "3", 1, parametrization=name, size=(1, 8, 8), lr=1.0, n_steps=30)
        assert filter_activation(model, found, "3", 1).mean() > 0


def test_scale_of_the_weights_does_not_matter(trained_net):
    options = {"size": (3, 16, 16), "n_steps": 5}
    expected = maximize_activation(trained_net, "head", 1, **options)
    scaled = copy.deepcopy(trained_net)
    with torch.no_grad():
        scaled.head.weight *= 1000
    torch.testing.assert_close(maximize_activation(scaled, "head", 1, **options), expected)


def test_adam_divides_the_mean_of_the_gradients_by_their_root_mean_square():
    gradients = torch.randn(6, 4, generator=torch.Generator().manual_seed(0)).double()
    step_of = adam(0.1)
    for t, gradient in enumerate(gradients, start=1):
        recent = 0.9 ** torch.arange(t).flip(0).double()  # later ones weigh more
        lasting = 0.999 ** torch.arange(t).flip(0).double()
        mean = (recent[:, None] * gradients[:t]).sum(0) / recent.sum()
        square = (lasting[:, None] * gradients[:t] ** 2).sum(0) / lasting.sum()
        torch.testing.assert_close(step_of(gradient), 0.1 * mean / (square.sqrt() + 1e-4))


def test_unit_rms_keeps_zeros():
    assert unit_rms(torch.zeros(2, 3)).abs().max() == 0
    torch.testing.assert_close(unit_rms(torch.tensor([[3.0, 4.0]])).square().mean(), torch.tensor(1.0))


# ---------------------------------------------------------------------------------------------------------- deep dream


def test_deep_dream_raises_the_norm_of_the_layer_in_every_photo(trained_net, pictures):
    def norm(x):
        with torch.no_grad(), record_activations(trained_net, "block.0") as seen:
            trained_net(x)
        return seen["block.0"].square().flatten(1).mean(dim=1)

    before = pictures.clone()
    for octaves in (1, 3):
        dream = deep_dream(trained_net, pictures, "block.0", octaves=octaves, n_steps=5)
        assert (norm(dream) > norm(pictures)).all()
        assert dream.shape == pictures.shape
        assert dream.dtype == pictures.dtype
        assert 0 <= dream.min() < dream.max() <= 1
    assert torch.equal(pictures, before)


def test_deep_dream_of_a_channel_raises_that_channel(trained_net, pictures):
    dream = deep_dream(trained_net, pictures, "stem.2", 3, n_steps=5)
    assert (mean_of(trained_net, dream, "stem.2", 3) > mean_of(trained_net, pictures, "stem.2", 3)).all()


def test_deep_dream_without_steps_up_is_the_photo_and_the_seed_decides(trained_net, pictures):
    torch.testing.assert_close(deep_dream(trained_net, pictures, "block.0", lr=0, n_steps=2), pictures)
    first, again, other = (deep_dream(trained_net, pictures, "block.0", n_steps=2, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.allclose(first, other)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m, x: maximize_activation(m, inputs=2 * x), r"`inputs` must be pictures .* from 0 to 1, got .* values"),
        (lambda m, x: maximize_activation(m, inputs=x[0]), r"`inputs` must be pictures .* got shape \(3, 16, 16\)"),
        (lambda m, x: maximize_activation(m, size=(16, 16)), r"`size` must be three sizes \(C, H, W\), got \(16, 16\)"),
        (lambda m, x: maximize_activation(m, n_steps=0), "`n_steps` must be an integer of at least 1, got 0"),
        (lambda m, x: maximize_activation(m, rotate=-1.0), "`rotate` must be a finite number of at least 0, got -1.0"),
        (lambda m, x: maximize_activation(m, parametrization="dct"), '`parametrization` must be "fft" or "pixel", got'),
        (lambda m, x: maximize_activation(m, "stem.0", 6, **SMALL), "`channel` must be between 0 and 5, got 6"),
        (lambda m, x: maximize_activation(m, channel=[0, 1], inputs=x), "`channel` must be one or 3, .* got 2"),
        (lambda m, x: maximize_activation(m, channel="red"), "`channel` must be an integer or a list .*, got 'red'"),
        (
            lambda m, x: maximize_activation(m, "stem.0", position=(0, 16), **SMALL),
            r"`position` must be a row and a column of the 16×16 map, got \(0, 16\)",
        ),
        (
            lambda m, x: maximize_activation(m, "head", position=(0, 0), **SMALL),
            "`position` must be None for a layer without maps",
        ),
        (lambda m, x: deep_dream(m, 2 * x), "`inputs` must be pictures .* from 0 to 1"),
        (lambda m, x: deep_dream(m, x, octaves=0), "`octaves` must be an integer of at least 1, got 0"),
        (lambda m, x: deep_dream(m, x, octaves=9), "`octave_scale` must be at least 1 and leave 2 pixels, got 1.4 for"),
        (lambda m, x: deep_dream(m, x, "stem.0", 6), "`channel` must be between 0 and 5, got 6"),
    ],
)
def test_mistakes_are_told_in_a_sentence(call, message, small_net, pictures):
    with pytest.raises(ValueError, match=message):
        call(small_net, pictures)
