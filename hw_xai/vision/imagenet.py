"""A network of a thousand classes for any photo: EfficientNet-Lite0, as it was trained on ImageNet."""

from torch import Tensor, nn
from torchvision.models import ResNet18_Weights

from .networks import Normalize, imagenet_weights

CLASSES: tuple[str, ...] = tuple(ResNet18_Weights.IMAGENET1K_V1.meta["categories"])  # the same for all of ImageNet-1k
SIZE = 224
_MEAN_AND_STD = ((127 / 255,) * 3, (128 / 255,) * 3)  # as TensorFlow's models

# (channels in, out, kernel, stride, expand)
_BLOCKS = (
    (32, 16, 3, 1, 1),
    *((16, 24, 3, 2, 6), (24, 24, 3, 1, 6)),
    *((24, 40, 5, 2, 6), (40, 40, 5, 1, 6)),
    *((40, 80, 3, 2, 6), (80, 80, 3, 1, 6), (80, 80, 3, 1, 6)),
    *((80, 112, 5, 1, 6), (112, 112, 5, 1, 6), (112, 112, 5, 1, 6)),
    *((112, 192, 5, 2, 6), (192, 192, 5, 1, 6), (192, 192, 5, 1, 6), (192, 192, 5, 1, 6)),
    (192, 320, 3, 1, 6),
)


def _convolution(channels_in: int, channels_out: int, kernel: int, stride: int, groups: int = 1) -> list[nn.Module]:
    """Return a convolution and its BatchNorm, padded as TensorFlow does: at stride 2 one more on the right."""
    more = kernel - stride
    pad = nn.ZeroPad2d((more // 2, more - more // 2) * 2)
    layers = [nn.Conv2d(channels_in, channels_out, kernel, stride, groups=groups, bias=False)]
    return [*([pad] if more else []), *layers, nn.BatchNorm2d(channels_out, eps=1e-3)]


class _Block(nn.Module):
    def __init__(self, channels_in: int, channels_out: int, kernel: int, stride: int, expand: int):
        super().__init__()
        width = channels_in * expand
        layers = [*_convolution(channels_in, width, 1, 1), nn.ReLU6()] if expand > 1 else []
        layers += [*_convolution(width, width, kernel, stride, groups=width), nn.ReLU6()]
        self.layers = nn.Sequential(*layers, *_convolution(width, channels_out, 1, 1))
        self.residual = stride == 1 and channels_in == channels_out

    def forward(self, inputs: Tensor) -> Tensor:
        outputs = self.layers(inputs)
        return inputs + outputs if self.residual else outputs


class EfficientNetLite0(nn.Module):
    """4.7 M parameters: inputs (N, 3, 224, 224) in [0, 1] -> (N, 1000). Tan & Le 2019, arXiv 1905.11946."""

    def __init__(self) -> None:
        super().__init__()
        self.normalize = Normalize(*_MEAN_AND_STD)
        self.features = nn.Sequential(
            nn.Sequential(*_convolution(3, 32, 3, 2), nn.ReLU6()),
            *(_Block(*block) for block in _BLOCKS),
            nn.Sequential(*_convolution(320, 1280, 1, 1), nn.ReLU6()),
        )
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(1280, len(CLASSES))

    def forward(self, inputs: Tensor) -> Tensor:
        return self.fc(self.pool(self.features(self.normalize(inputs))).flatten(1))


def load_imagenet() -> EfficientNetLite0:
    """Return the trained network in eval mode."""
    model = EfficientNetLite0()
    ours = [key for key in model.state_dict() if not key.startswith("normalize.")]
    # both list the same layers in the same order under other names
    model.load_state_dict(dict(zip(ours, imagenet_weights().values(), strict=True)), strict=False)
    return model.eval()
