"""The one door to models: a name, a file or an import path becomes a classifier that knows its classes and its size."""

import importlib
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor, nn

from .core.device import device_of
from .core.lending import lent
from .core.model import scores_of
from .core.protocols import Model
from .errors import UserError
from .vision import networks
from .vision.food11.layout import class_index
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


def load_model(source: str | Path, *, device: str = "auto", size: int | None = None) -> Loaded:
    """Return the classifier that `source` names, in eval mode, on a device: auto, cpu, cuda or mps.

    source: a shipped name, as "foodnet-photos"; a weights file that `networks.save` wrote, or a checkpoint of the
    homework; or package.module:function, a function that returns a model. Of its model the attributes `classes` and
    `input_size` are heeded; else classes are called by their numbers and pictures are 128 pixels wide;
    `size` asks for pictures of another one.
    UserError when there is no such model, or when it gives no scores for a picture.
    """
    name, place = str(source), device_of(device)
    path, colon, function = name.partition(":")
    model = _made_by(path, function) if colon and not Path(name).exists() else networks.load(name)
    if isinstance(model, nn.Module):
        model = model.to(place).eval()
    size = size or int(getattr(model, "input_size", INPUT_SIZE))
    n_classes = _n_scores(model, name, size, place)
    classes = tuple(map(str, getattr(model, "classes", range(n_classes))))
    if len(classes) != n_classes:
        raise UserError(f"`model` must have a name for each score, but {name} gives {n_classes} scores and names "
                        f"{len(classes)} classes")  # fmt: skip
    return Loaded(model, name, classes, size, place)


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
