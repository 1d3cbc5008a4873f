"""Layers of any layout read as maps, and the last map of features found by what runs."""

import pytest
import torch
import torchvision
from torch import Tensor, nn

from hw_xai.core.maps import as_maps, last_map, layout_of, spread, token_grid
from hw_xai.explain import block_layers, extreme_images, filter_activation, grad_cam, mean_activations

models = torchvision.models


@pytest.fixture(scope="module")
def swin() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        small = {"patch_size": [4, 4], "window_size": [2, 2], "depths": [1, 1], "num_heads": [1, 2], "num_classes": 5}
        return models.SwinTransformer(embed_dim=8, **small).double().eval()


@pytest.fixture(scope="module")
def vit() -> nn.Module:
    """As torchvision makes it, with a head of zeros."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return models.VisionTransformer(64, 16, 2, 2, 32, 64, num_classes=5).double().eval()


@pytest.fixture(scope="module")
def x() -> Tensor:
    return torch.rand((2, 3, 64, 64), generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def test_a_layer_with_channels_last_has_the_same_map_as_the_one_behind_it(swin, x):
    torch.testing.assert_close(grad_cam(swin, x, 3, layer="norm"), grad_cam(swin, x, 3, layer="permute"))
    with torch.no_grad():
        expected = swin.permute(swin.norm(swin.features(x)))[:, 5:6]
    torch.testing.assert_close(filter_activation(swin, x, "norm", 5), expected)


def test_tokens_are_no_channels(vit, x):
    with torch.no_grad():
        tokens = vit.encoder(torch.cat([vit.class_token.expand(2, -1, -1), vit._process_input(x)], 1))
    assert mean_activations(vit, list(x), ["encoder.ln"])[0].shape == (2, 32)
    ranked = extreme_images(vit, list(x), "encoder.ln", 5, k=2).most
    torch.testing.assert_close(ranked.values, tokens[:, 1:, 5].mean(dim=1).sort(descending=True).values)
    row, column = ranked.places[0].tolist()
    assert tokens[ranked.indices[0], 1:, 5].argmax() == 4 * row + column
    torch.testing.assert_close(filter_activation(vit, x, "encoder.ln", 5)[:, 0].flatten(1), tokens[:, 1:, 5])


def test_grad_cam_of_a_vit_is_that_of_its_tokens_by_hand(vit, x):
    model = models.VisionTransformer(64, 16, 2, 2, 32, 64, num_classes=5).double().eval()
    model.load_state_dict(vit.state_dict())
    nn.init.normal_(model.heads.head.weight, generator=torch.Generator().manual_seed(0))
    kept = []
    layer = last_map(model, x)
    handle = layer.register_forward_hook(lambda module, args, output: kept.append(output))
    score = model(x)[:, 3].sum()
    handle.remove()
    (slopes,) = torch.autograd.grad(score, kept[0])
    weights = slopes[:, 1:].mean(dim=1)  # (2, 32)
    coarse = torch.einsum("nk,ntk->nt", weights, kept[0][:, 1:]).clamp(min=0).reshape(2, 1, 4, 4).detach()
    expected = nn.functional.interpolate(coarse, size=(64, 64), mode="bilinear", align_corners=False)
    assert expected.any()
    torch.testing.assert_close(grad_cam(model, x, 3), expected)


@pytest.mark.parametrize(
    ("n_tokens", "size", "grid", "prefix"),
    [
        (197, (224, 224), (14, 14), 1),
        (196, (224, 224), (14, 14), 0),
        (201, (224, 224), (14, 14), 5),
        (17, (64, 64), (4, 4), 1),
        (33, (64, 128), (4, 8), 1),
        (7, (32, 48), (2, 3), 1),
    ],
)
def test_tokens_lie_on_the_grid_of_the_picture(n_tokens, size, grid, prefix):
    layout = token_grid(n_tokens, *size)
    assert (layout.grid, layout.prefix) == (grid, prefix)


@pytest.mark.parametrize(
    ("shape", "maps"),
    [
        ((1, 96, 56, 56), (96, 56, 56)),
        ((1, 56, 56, 96), (96, 56, 56)),
        ((1, 7, 7, 768), (768, 7, 7)),
        ((1, 768, 7, 7), (768, 7, 7)),
        ((1, 64, 64, 64), (64, 64, 64)),
        ((1, 16, 56, 28), (16, 56, 28)),
    ],
)
def test_where_the_channels_are_is_seen_from_the_shape(shape, maps):
    assert as_maps(torch.zeros(shape), nn.Identity(), torch.zeros(1, 3, 224, 224)).shape[1:] == maps


@pytest.mark.parametrize("shape", [(2, 6, 4, 4), (2, 4, 4, 6), (2, 18, 6)])
def test_weights_of_places_are_laid_out_like_the_output(shape):
    x, layer = torch.zeros(2, 3, 32, 32), nn.Identity()
    output = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    weights = torch.rand((2, 1, 4, 4), generator=torch.Generator().manual_seed(1))
    weighted = spread(weights, output, layer, x) * output
    torch.testing.assert_close(as_maps(weighted, layer, x), as_maps(output, layer, x) * weights)
    if output.ndim == 3:
        assert torch.equal(weighted[:, :2], output[:, :2])


def test_what_has_no_places_is_told():
    x = torch.zeros(1, 3, 32, 32)
    assert layout_of(torch.zeros(1, 5), nn.Identity(), x) is None
    with pytest.raises(ValueError, match="`layer` must return maps .*, or tokens on a grid, got a float32 tensor"):
        as_maps(torch.zeros(1, 5), nn.Identity(), x)


class Wrapped(nn.Module):
    """A network that somebody gave another face, with a layer that never runs."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model, self.spare = model, nn.Conv2d(3, 3, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x)


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("resnet18", "layer4"),
        ("alexnet", "features.11"),
        ("squeezenet1_1", "classifier.2"),
        ("mobilenet_v3_small", "features"),
        ("mnasnet0_5", "layers"),
        ("shufflenet_v2_x0_5", "conv5"),
        ("regnet_y_400mf", "trunk_output"),
    ],
)
def test_the_last_map_of_torchvisions_networks(name, layer):
    model = models.get_model(name, weights=None).eval()
    wrapped, x = Wrapped(model), torch.rand(1, 3, 64, 64)
    assert last_map(model, x) is model.get_submodule(layer)
    assert last_map(wrapped, x) is model.get_submodule(layer)


def test_the_last_map_of_transformers(swin, vit, x):
    assert last_map(swin, x) is swin.permute
    assert last_map(vit, x) is vit.encoder.layers.encoder_layer_1.ln_1  # behind it only the class token is read
    assert block_layers(swin, x[:1])[-1] is swin.permute


def test_a_failed_look_is_not_kept(vit):
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    last_map(model, torch.rand(1, 7, 8, 8))
    assert last_map(model, torch.rand(1, 3, 8, 8)) is model[1]
