"""From a PIL image to what the networks take."""

from collections.abc import Callable

import torch
from torchvision.transforms import v2

INPUT_SIZE = 128


def preprocessing(size: int = INPUT_SIZE) -> Callable:
    """PIL image -> (3, size, size) float in [0, 1]: the homework's transform, which every model of the kit takes."""
    return v2.Compose(
        [v2.PILToTensor(), v2.Resize((size, size), antialias=True), v2.ToDtype(torch.float32, scale=True)]
    )


def augmentation(size: int) -> Callable:
    """PIL image -> (3, size, size) float in [0, 1]: crop, mirror, light, sharpness."""
    return v2.Compose([
        v2.PILToTensor(),
        v2.RandomResizedCrop(size, scale=(0.35, 1.0), antialias=True),
        v2.RandomHorizontalFlip(),
        v2.ColorJitter(brightness=0.3, contrast=0.3, saturation=0.3),
        v2.RandomAdjustSharpness(3.0, p=0.3),
        v2.ToDtype(torch.float32, scale=True),
    ])  # fmt: skip
