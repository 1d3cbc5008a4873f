"""Layers: found by name or by default, hooked, recorded, and left as they were."""

import pytest
import torch
import torchvision
from torch import nn

from hw_xai.core.layers import find_layer, hooked
from hw_xai.explain import last_convolution, record_activations

# ------------------------------------------------------------------------------------------------------------- layers


def test_last_convolution():
    model = torchvision.models.resnet18(weights=None)
    assert last_convolution(model) is model.layer4[1].conv2
    with pytest.raises(ValueError, match="`layer` must be given for a model without convolution modules"):
        last_convolution(nn.Linear(2, 2))
    with pytest.raises(ValueError, match="`layer` must be given for a model without convolution .*, got a function"):
        last_convolution(lambda x: x)


def test_layers_are_found_by_module_path_or_default(small_net):
    assert find_layer(small_net, "stem.0") is small_net.stem[0]
    assert find_layer(small_net, small_net.pool) is small_net.pool
    assert find_layer(small_net, None) is small_net.block[0]
    assert find_layer(lambda x: small_net(x), small_net.pool) is small_net.pool
    for layer, message in [
        ("stam.0", '`layer` must name a module of SmallNet, got "stam.0". Did you mean "stem.0"?'),
        (nn.ReLU(), "`layer` must be a module of the model, got another ReLU"),
        (3, "`layer` must be a module of the model or its dotted path, got 3"),
    ]:
        with pytest.raises(ValueError, match=message.replace("?", r"\?")):
            find_layer(small_net, layer)


def test_hooks_replace_outputs_and_go_away(small_net, pictures):
    small_net.eval()
    expected = small_net(pictures)
    with hooked([small_net.block[1]], lambda module, output: torch.zeros_like(output)):
        without_block = small_net(pictures)
    torch.testing.assert_close(small_net(pictures), expected)
    assert not torch.allclose(without_block, expected)


# ---------------------------------------------------------------------------------------------------------- recording


def test_recordings_survive_in_place_relu_and_carry_gradients(small_net, pictures):
    """grad-cam stores what the in-place ReLU after the layer has already overwritten."""
    small_net.eval()
    expected = small_net.stem[1](small_net.stem[0](pictures))
    with record_activations(small_net, ["stem.1", small_net.stem[2]]) as seen:
        scores = small_net(pictures)
    torch.testing.assert_close(seen["stem.1"], expected)
    torch.testing.assert_close(seen["stem.2"], expected.clamp(min=0))
    assert seen[small_net.stem[1]] is seen["stem.1"]
    assert list(seen) == ["stem.1", "stem.2"]
    assert torch.autograd.grad(scores.sum(), seen["stem.1"])[0].abs().sum() > 0


def test_each_pass_starts_a_new_recording(small_net, pictures):
    with record_activations(small_net, "pool") as seen, pytest.raises(ValueError, match='"pool", which ran again'):
        small_net(pictures)  # SmallNet pools twice
    with record_activations(small_net.eval(), "head") as seen:
        small_net(pictures)
        torch.testing.assert_close(small_net(pictures[:1]), seen["head"])


def test_a_layer_that_is_not_called_is_told(small_net, pictures):
    small_net.spare = nn.Linear(2, 2)
    with record_activations(small_net, "spare") as seen:
        small_net(pictures)
    with pytest.raises(ValueError, match='`layer` must run when the model does, got "spare", which was not called'):
        seen["spare"]
    with pytest.raises(KeyError):
        seen["head"]


def test_a_layer_that_returns_several_tensors_is_told():
    model = nn.Sequential(nn.LSTM(3, 4))
    with (
        record_activations(model, "0"),
        pytest.raises(ValueError, match='`layer` must return one tensor, got "0", which returned a tuple'),
    ):
        model(torch.zeros(2, 3))


def test_hooks_are_removed_after_a_failing_forward(small_net):
    with pytest.raises(RuntimeError), record_activations(small_net, ["stem.0", "head"]):
        small_net(torch.zeros(1, 99))
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in small_net.modules())


def test_the_namespace_holds_only_what_exists():
    import hw_xai.explain

    assert all(hasattr(hw_xai.explain, name) for name in hw_xai.explain.__all__)
