"""The pictures of an evaluation: drawn, or from a folder."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image

from ...errors import UserError, nearest
from ...vision.dishes.synthetic import SyntheticFood11
from ...vision.food11.layout import CLASSES, UNKNOWN, Food11, split_folders
from ..pictures import Picture


@dataclass(frozen=True)
class Pictures:
    """Pictures in the order in which they are taken; the first N are a fair sample of all."""

    order: Sequence[int]
    get: Callable[[int], Picture]
    name: Callable[[int], str]
    known_masks: bool


def open_pictures(data: str, size: int) -> Pictures:
    """Return drawn dishes that no model was trained on for "synthetic", or the photos of a food-11 or other folder."""
    if data == "synthetic":
        dishes = SyntheticFood11(1_000_000, size, seed=1)

        def named(i: int) -> str:
            return f"dish {i}"

        def draw(i: int) -> Picture:
            dish = dishes.dish(i)
            return Picture(named(i), Image.fromarray(dish.image), CLASSES[dish.target], dish.mask)

        return Pictures(range(len(dishes)), draw, named, known_masks=True)
    if not Path(data).is_dir():
        choices = nearest(data, ("synthetic",)) or " Give synthetic, or the folder of food-11 or of photos"
        raise UserError(f'`data` must be synthetic or a folder, but there is no "{data}".{choices}')
    photos = Food11(data, "validation" if "validation" in split_folders(data) else "photos")
    order = torch.randperm(len(photos), generator=torch.Generator().manual_seed(0)).tolist()

    def read(i: int) -> Picture:
        image, target = photos[i]
        return Picture(photos.paths[i].name, image, None if target == UNKNOWN else CLASSES[target])

    return Pictures(order, read, lambda i: photos.paths[i].name, known_masks=False)
