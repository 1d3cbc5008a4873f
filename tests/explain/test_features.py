"""Activation maps, layers to choose from, and the extremes of a data set, against the slow obvious way."""

import pytest
import torch
from torch import Tensor, nn

from hw_xai.core.batches import listening
from hw_xai.explain import extreme_images, filter_activation, layer_shapes, mean_activations, record_activations


@pytest.fixture
def images() -> Tensor:
    return torch.rand(23, 3, 16, 16, generator=torch.Generator().manual_seed(5)).double()


def test_filter_activation_is_one_channel_of_the_layer(small_net, pictures):
    expected = small_net.eval().stem[:2](pictures)
    found = filter_activation(small_net, pictures, "stem.1", 4)
    torch.testing.assert_close(found, expected[:, 4:5])
    torch.testing.assert_close(filter_activation(lambda x: small_net(x), pictures, small_net.stem[1], 4), found)


def test_layers_to_choose_are_those_that_run_once_in_the_order_they_run(small_net, pictures):
    small_net.spare = nn.Linear(2, 2)
    found = layer_shapes(small_net, pictures)
    assert list(found) == ["stem.0", "stem.1", "stem.2", "stem", "block.0", "block.1", "block", "dropout", "head"]
    assert found["stem"] == (6, 16, 16)
    assert found["head"] == (5,)
    with pytest.raises(ValueError, match="`model` must be an nn.Module, whose layers have names, got a function"):
        layer_shapes(lambda x: small_net(x), pictures)


# ------------------------------------------------------------------------------------------------------ extreme images


def everything(model, images, layer, channel) -> tuple[Tensor, Tensor]:
    """Return all means (N,) and all maps (N, h, w) at once."""
    maps = filter_activation(model, images, layer, channel, batch_size=len(images))[:, 0]
    return maps.flatten(1).mean(dim=1), maps


@pytest.mark.parametrize("batch_size", [1, 4, 23, 64])
def test_extremes_are_the_ends_of_the_full_order(batch_size, small_net, images):
    values, maps = everything(small_net, images, "block.0", 3)
    order = values.sort(stable=True).indices
    most, least = extreme_images(small_net, images, "block.0", 3, k=5, batch_size=batch_size)
    assert most.indices.tolist() == order.flip(0)[:5].tolist()
    assert least.indices.tolist() == order[:5].tolist()
    for found in (most, least):
        torch.testing.assert_close(found.values, values[found.indices])
        for index, (row, column) in zip(found.indices, found.places, strict=True):
            assert maps[index, row, column] == maps[index].max()


@pytest.mark.parametrize("batch_size", [1, 2, 3, 7, 40])
def test_of_equal_images_the_first_wins_whatever_the_batches(batch_size):
    model = nn.Sequential(nn.Conv2d(1, 1, 1, bias=False), nn.Flatten())
    nn.init.ones_(model[0].weight)
    levels = torch.tensor([2, 5, 5, 1, 5, 2, 1, 5, 1, 3])
    most, least = extreme_images(model, levels.float()[:, None, None, None], "0", k=4, batch_size=batch_size)
    assert most.indices.tolist() == [1, 2, 4, 7]
    assert least.indices.tolist() == [3, 6, 8, 0]
    assert least.values.tolist() == [1, 1, 1, 2]


def test_several_channels_and_classes_in_one_walk(small_net, images):
    calls = []
    handle = small_net.register_forward_pre_hook(lambda _, arguments: calls.append(len(arguments[0])))
    together = extreme_images(small_net, images, "head", [4, 0], k=3, batch_size=8)
    handle.remove()
    assert calls == [8, 8, 7]
    assert together.most.indices.shape == (2, 3)
    for row, channel in enumerate([4, 0]):
        alone = extreme_images(small_net, images, "head", channel, k=3)
        assert together.most.indices[row].tolist() == alone.most.indices.tolist()
        assert together.least.indices[row].tolist() == alone.least.indices.tolist()
    scores = small_net.eval()(images)[:, 4]
    assert together.most.indices[0].tolist() == scores.topk(3).indices.tolist()
    assert together.most.places.abs().max() == 0


def test_any_walk_is_a_data_set_and_no_more_than_a_batch_is_held(small_net, images):
    expected = extreme_images(small_net, images, "block.0", 1, k=2)
    held = []

    def walk():
        for i, image in enumerate(images):
            held.append(i)
            yield image, "a target that nobody asks for"

    class Indexed(torch.utils.data.Dataset):
        def __len__(self):
            return len(images)

        def __getitem__(self, index):
            return images[index % len(images)], 0  # never an IndexError

    sizes = []
    handle = small_net.register_forward_pre_hook(lambda _, arguments: sizes.append(len(held)))
    for dataset in (walk(), Indexed(), list(images)):
        found = extreme_images(small_net, dataset, "block.0", 1, k=2, batch_size=5)
        assert found.most.indices.tolist() == expected.most.indices.tolist()
    handle.remove()
    assert sizes[:5] == [5, 10, 15, 20, 23]


def test_a_listener_hears_of_steps_to_an_end_that_is_known(small_net, images):
    heard = []
    with listening(lambda done, total: heard.append((done, total))):
        extreme_images(small_net, list(images), "block.0", 1, batch_size=20)
        extreme_images(small_net, iter(images), "block.0", 1, batch_size=20)  # says nothing of its length
    assert heard == [(20, 23), (23, 23)]


def test_fewer_images_than_asked_for_are_all_there_are(small_net, images):
    most, least = extreme_images(small_net, images[:3], "block.0", k=9)
    assert most.indices.tolist() == least.indices.tolist()[::-1]


def test_the_model_and_the_random_state_are_as_before(small_net, images):
    state = {name: tensor.clone() for name, tensor in small_net.state_dict().items()}
    random = torch.get_rng_state()
    extreme_images(small_net, images, "block.0")
    with pytest.raises(ZeroDivisionError):
        extreme_images(small_net, (images[0] * (1 // n) for n in [1, 0]), "block.0")
    assert small_net.training
    assert all(p.requires_grad for p in small_net.parameters())
    assert all(torch.equal(tensor, state[name]) for name, tensor in small_net.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in small_net.modules())


def test_mean_activations_are_the_means_of_the_maps(small_net, images):
    maps, scores = mean_activations(small_net, images, ["block.0", "head"], batch_size=7)
    with torch.no_grad(), record_activations(small_net.eval(), ["block.0", "head"]) as seen:
        small_net(images)
    torch.testing.assert_close(maps, seen["block.0"].mean(dim=(2, 3)).float())
    torch.testing.assert_close(scores, seen["head"].float())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m, x: filter_activation(m, x, "stem.0", 6), "`channel` must be between 0 and 5, got 6"),
        (lambda m, x: filter_activation(m, x, "stem.0", -1), "`channel` must be between 0 and 5, got -1"),
        (lambda m, x: filter_activation(m, x, "stem.0", True), "`channel` must be an integer .*, got True"),
        (lambda m, x: filter_activation(m, x, "nowhere"), "`layer` must name a module of SmallNet"),
        (lambda m, x: filter_activation(m, x, "pool"), '`layer` must run once .* got "pool"'),
        (lambda m, x: extreme_images(m, x, "stem.0", 6), "`channel` must be between 0 and 5, got 6"),
        (lambda m, x: extreme_images(m, x, "stem.0", []), "`channel` must be an integer or a list of them, got a list"),
        (lambda m, x: extreme_images(m, x, k=0), "`k` must be an integer of at least 1, got 0"),
        (lambda m, x: extreme_images(m, []), "`dataset` must hold at least one image, got none"),
        (lambda m, x: extreme_images(m, x / 0), "`inputs` must be finite, got NaN or infinite"),
        (lambda m, x: mean_activations(m, [], ["head"]), "`dataset` must hold at least one image, got none"),
    ],
)
def test_mistakes_are_told_in_a_sentence(call, message, small_net, pictures):
    with pytest.raises(ValueError, match=message):
        call(small_net, pictures)


def test_activations_that_are_no_numbers_win_nothing():
    model = nn.Sequential(nn.Conv2d(1, 1, 1), nn.Flatten())
    nn.init.constant_(model[0].weight, torch.nan)
    with pytest.raises(ValueError, match="`model` must return"):
        extreme_images(model, torch.ones(2, 1, 1, 1), "0")
