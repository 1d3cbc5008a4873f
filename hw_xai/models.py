"""The one door to models: a name, a file or an import path becomes a classifier that knows its classes and its size."""

import importlib
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from .core.device import device_of
from .core.lending import lent
from .core.model import scores_of
from .core.protocols import Model
from .errors import UserError, nearest
from .vision import imagenet, networks
from .vision.food11.layout import class_index
from .vision.foreign import Foreign, class_names, from_hugging_face, from_timm, from_torchvision, torchvision_names
from .vision.preprocess import INPUT_SIZE, preprocessing


@dataclass(frozen=True)
class Loaded:
    """A model with all that is needed to show it pictures and to read its answers; called, it is the model."""

    model: Model  # pictures (N, 3, size, size) in [0, 1] -> scores (N, C): normalization lies inside
    name: str
    classes: tuple[str, ...]  # their numbers where nobody named them
    size: int  # side of the pictures, pixels
    device: torch.device

    def __call__(self, inputs: Tensor) -> Tensor:
        return self.model(inputs)

    @property
    def module(self) -> nn.Module:
        """The model where it has layers; UserError for a mere function."""
        if isinstance(self.model, nn.Module):
            return self.model
        raise UserError(f"`model` must be an nn.Module, whose layers can be seen, but {self.name} is a function")

    def inputs(self, image: Image.Image) -> Tensor:
        """Return a picture as the model takes it: (1, 3, size, size) in [0, 1], on its device."""
        return preprocessing(self.size)(image)[None].to(self.device)

    def target(self, name: str | int) -> int:
        """Return the index of a class given by name, in any case, or by number; UserError when there is none."""
        return class_index(name, self.classes)


def load_model(
    source: str | Path,
    *,
    device: str = "auto",
    size: int | None = None,
    weights: str | Path | None = None,
    classes: str | Sequence[str] | None = None,
    normalize: str = "own",
) -> Loaded:
    """Return the classifier that `source` names, in eval mode, on a device: auto, cpu, cuda or mps.

    source:
    - a shipped name, as "foodnet-photos", or "imagenet", a thousand classes (extra `imagenet`)
    - a file that `networks.save` wrote, or a checkpoint of the homework
    - package.module:function, a function that returns a model; its attributes `classes` and `input_size` are heeded
    - a name of torchvision's, as "resnet50", or "timm:NAME", with a file of `weights`: a state dict or checkpoint
    - a folder of a Hugging Face image classifier, or its name on the hub, as "google/vit-base-patch16-224"

    size: side of the pictures, where not the model's own. classes: other names of the classes, a sequence, "a,b,c", or
    a file. normalize: "none" where a network with `weights` was trained without its architecture's own normalization.
    UserError when there is no such model, or when it gives no scores (N, C) for pictures (N, 3, size, size).
    """
    name, place = str(source), device_of(device)
    opened = _opened(name, weights, normalize)
    model = opened.model.to(place).eval() if isinstance(opened.model, nn.Module) else opened.model
    side = size or opened.size
    n_classes = _n_scores(model, name, side, place)
    return Loaded(model, name, class_names(classes or opened.classes, n_classes), side, place)


def _opened(name: str, weights: str | Path | None, normalize: str) -> Foreign:
    """Return the model that a name means, with its size and classes."""
    prefix, colon, rest = name.partition(":")
    if colon and prefix == "timm":
        return from_timm(rest, weights, normalize)
    if weights is not None:
        if name not in torchvision_names():
            raise UserError(f"`weights` must come with a `model` of torchvision or timm, such as resnet50, got {name}."
                            + nearest(name, torchvision_names()))  # fmt: skip
        return from_torchvision(name, weights, normalize)
    if normalize != "own":
        raise UserError("`normalize` must come with `weights`: other models carry their normalization")
    if colon and not Path(name).exists():
        made: Any = _made_by(prefix, rest)  # a module or any other callable
        return Foreign(made, int(getattr(made, "input_size", INPUT_SIZE)), getattr(made, "classes", None))
    if name == "imagenet":
        return Foreign(imagenet.load_imagenet(), imagenet.SIZE, imagenet.CLASSES)
    place = Path(name).expanduser()
    if place.is_dir():
        return from_hugging_face(place)
    if "/" in name and not place.exists():
        if _reads_as_path(name):
            raise UserError(f'`model` must be there, but there is no file or folder "{name}": check the path')
        return from_hugging_face(name)
    model: Any = networks.load(name)
    return Foreign(model, model.input_size, model.classes)


def _reads_as_path(name: str) -> bool:
    """Whether a name with a slash, at which nothing lies, cannot be OWNER/NAME on the hub."""
    first, *rest = name.split("/")
    return (
        len(rest) != 1
        or not rest[0]
        or first in ("", ".", "..", "~")
        or Path(first).is_dir()
        or (Path(name).suffix in (".safetensors", ".pth", ".pt", ".bin", ".ckpt", ".pkl", ".onnx"))
    )


def _made_by(path: str, function: str) -> Model:
    """Return what the function of a module returns; the module may lie beside the user, as for `python -m`."""
    sys.path.insert(0, os.getcwd())
    try:
        made = getattr(importlib.import_module(path), function)()
    except Exception as error:  # somebody else's code breaks in ways of its own
        told = f"{type(error).__name__}: {error}".splitlines()[0]
        raise UserError(
            f"`model` must name a function that returns a model, but {path}:{function} says {told}"
        ) from error
    finally:
        sys.path.remove(os.getcwd())
    if not callable(made):
        raise UserError(f"`model` must be an nn.Module or another callable, but {path}:{function} returns a "
                        f"{type(made).__name__}")  # fmt: skip
    return made


def _n_scores(model: Model, name: str, size: int, device: torch.device) -> int:
    """Return C, once the model has shown that it gives scores (1, C) for a picture."""
    try:
        with lent(model), torch.no_grad():
            return scores_of(model, torch.zeros(1, 3, size, size, device=device)).shape[1]
    except UserError:
        raise
    except Exception as error:  # a model breaks in ways of its own
        told = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UserError(f"`model` must take pictures (N, 3, {size}, {size}) in [0, 1] and give scores (N, C), but for "
                        f"one black picture {name} says: {told}") from error  # fmt: skip
