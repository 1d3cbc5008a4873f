"""What `evaluate` takes: any model by its name, file or import path, and pictures drawn or from a folder."""

import importlib
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from torch import nn

from ...core.protocols import Model
from ...errors import UserError, nearest
from ...vision import networks as models
from ...vision.dishes.synthetic import SyntheticFood11
from ...vision.food11.layout import Food11, split_folders
from ...vision.preprocess import INPUT_SIZE
from ..pictures import Subject, device


def load_model(name: str) -> Model:
    """Return a shipped model, one of a weights file, or what package.module:function returns when called."""
    path, colon, attribute = name.partition(":")
    if not colon or Path(name).exists():
        return models.load(name).to(device())
    sys.path.insert(0, os.getcwd())  # a module beside the user, as `python -m` finds it
    try:
        made = getattr(importlib.import_module(path), attribute)()
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise UserError(f"--model {name} must name a function that returns a model, but: {error}") from error
    finally:
        sys.path.remove(os.getcwd())
    if not callable(made):
        raise UserError(f"--model {name} must return an nn.Module or another callable, got a {type(made).__name__}")
    return made.to(device()).eval() if isinstance(made, nn.Module) else made


def input_size(model: Model) -> int:
    return getattr(model, "input_size", INPUT_SIZE)


def class_name(model: Model, index: int) -> str:
    classes = getattr(model, "classes", ())
    return classes[index] if 0 <= index < len(classes) else str(index)


@dataclass(frozen=True)
class Pictures:
    """Pictures in the order in which they are taken; the first N are a fair sample of all."""

    order: Sequence[int]
    get: Callable[[int], Subject]
    known_masks: bool


def open_pictures(data: str, size: int) -> Pictures:
    """Return drawn dishes that no model was trained on for "synthetic", or the photos of a food-11 or other folder."""
    if data == "synthetic":
        dishes = SyntheticFood11(1_000_000, size, seed=1)

        def draw(i: int) -> Subject:
            dish = dishes.dish(i)
            return Subject(f"dish {i}", Image.fromarray(dish.image), dish.target, dish.mask)

        return Pictures(range(len(dishes)), draw, known_masks=True)
    if not Path(data).is_dir():
        choices = nearest(data, ("synthetic",)) or " Give synthetic, or the folder of food-11 or of photos"
        raise UserError(f'--data must be synthetic or a folder, but there is no "{data}".{choices}')
    photos = Food11(data, "validation" if "validation" in split_folders(data) else "photos")
    order = torch.randperm(len(photos), generator=torch.Generator().manual_seed(0)).tolist()

    def read(i: int) -> Subject:
        image, target = photos[i]
        return Subject(photos.paths[i].name, image, target)

    return Pictures(order, read, known_masks=False)
