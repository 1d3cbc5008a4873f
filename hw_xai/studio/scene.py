"""What is looked at: a picture with paint on it, and the network that sees it. Pictures are kept within bounds."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from ..errors import UserError
from ..files import shipped
from ..models import Loaded
from ..studies.painting import painted
from ..vision.dishes.synthetic import SyntheticFood11
from ..vision.food11.layout import CLASSES, photos_in, target_of
from ..vision.reading import read_photo
from .kept import Kept
from .models import Models, scores
from .uploads import Paint, read_paint, read_picture

MOST_PICTURES = 64
HEAVIEST = 512 * 2**20  # bytes of decoded pictures that are kept
SHOWN_SIDE = 640  # pixels
N_DISHES, DISH_SIDE, DISH_SEED = 11, 256, 7


@dataclass(frozen=True)
class OpenedPicture:
    """A picture that a browser has opened, under a name that nobody can guess."""

    id: str
    image: Image.Image
    name: str  # for people and for files: letters, digits, - and _ only
    dish: int | None = None  # which of the drawn dishes it is
    photo: int | None = None  # which of the shipped photos it is
    true_class: str | None = None
    mask: np.ndarray | None = None  # (H, W) bool, where the food is


class OpenedPictures:
    """The opened pictures; the longest unused are forgotten."""

    def __init__(self) -> None:
        self._kept: Kept[OpenedPicture] = Kept(
            MOST_PICTURES, HEAVIEST, lambda picture: 3 * picture.image.width * picture.image.height
        )
        self.dishes = SyntheticFood11(N_DISHES, size=DISH_SIDE, seed=DISH_SEED)
        self.photos = photos_in(shipped("photos"))

    def __len__(self) -> int:
        return len(self._kept)

    def upload(self, content: bytes, name: str) -> OpenedPicture:
        """Keep a photo that a browser has sent."""
        return self.keep(read_picture(content), name)

    def keep(self, image: Image.Image, name: str, **known: Any) -> OpenedPicture:
        """Keep a picture under a new name."""
        safe = "".join(c if c.isalnum() and c.isascii() or c in "-_" else "-" for c in name.rsplit(".", 1)[0])[
            :40
        ].strip("-")
        picture = OpenedPicture(secrets.token_urlsafe(18), image, safe or "photo", **known)
        return self._kept.put(picture.id, picture)

    def dish(self, number: Any) -> OpenedPicture:
        """Open one of the drawn dishes."""
        found = self.dishes.dish(_place("dish", number, N_DISHES))
        true_class = self.dishes.classes[found.target]
        return self.keep(
            Image.fromarray(found.image), f"dish-{number}", dish=number, true_class=true_class, mask=found.mask
        )

    def photo(self, number: Any) -> OpenedPicture:
        """Open one of the photos that come with the library."""
        path = self.photos[_place("photo", number, len(self.photos))]
        true_class = CLASSES[target_of(path)]
        return self.keep(read_photo(path), f"photo-{number}", photo=number, true_class=true_class)

    def shipped(self, kind: str, number: int) -> Image.Image:
        """Return what `dish` or `photo` would open, and keep nothing."""
        if kind == "dish":
            return Image.fromarray(self.dishes.dish(_place(kind, number, N_DISHES)).image)
        return read_photo(self.photos[_place(kind, number, len(self.photos))])

    def open(self, name: Any) -> OpenedPicture:
        """Return a kept picture; UserError for one that is not, or not any more."""
        found = self._kept.get(name) if isinstance(name, str) else None
        if found is None:
            raise UserError("this picture is not kept any more: open it again")
        return found


def _place(kind: str, number: Any, most: int) -> int:
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < most:
        raise UserError(f"the {kind} must be a number from 0 to {most - 1}")
    return number


@dataclass(frozen=True)
class Scene:
    """A picture with paint on it, before one network."""

    picture: OpenedPicture
    paint: Paint
    loaded: Loaded
    model: str
    n_randomized: int  # blocks, from the output
    wished: int | None  # the class to explain; None for the predicted one

    @cached_property
    def inputs(self) -> Tensor:
        """The picture as the network takes it, (1, 3, size, size) in [0, 1], with the paint."""
        return painted(self.loaded.inputs(self.picture.image), self.paint.masks, self.paint.values)

    @cached_property
    def scores(self) -> Tensor:
        """The scores (C,)."""
        return scores(self.loaded, self.inputs)[0]

    @property
    def target(self) -> int:
        """The class that is explained."""
        return int(self.scores.argmax()) if self.wished is None else self.wished

    @property
    def key(self) -> tuple:
        """What tells it from other scenes; the class is told apart by `target`."""
        return (self.picture.id, self.paint.key, self.model, self.n_randomized)


def read_scene(asked: Any, pictures: OpenedPictures, models: Models) -> Scene:
    """Return what a page looks at: {picture, paint, model, randomized, target}; UserError where something is amiss."""
    if not isinstance(asked, Mapping):
        raise UserError("the scene must be an object")
    n_randomized, target = asked.get("randomized", 0), asked.get("target")
    if isinstance(n_randomized, bool) or not isinstance(n_randomized, int) or n_randomized < 0:
        raise UserError("the number of randomized blocks must be a whole number of at least 0")
    model = asked.get("model", models.names[0])
    loaded = models.load(model, n_randomized)
    if target is not None and (isinstance(target, bool) or not isinstance(target, int)):
        raise UserError("the class must be a number, or nothing for the predicted one")
    if target is not None and not 0 <= target < len(loaded.classes):
        raise UserError(f"{model} has {len(loaded.classes)} classes, got number {target}")
    return Scene(
        pictures.open(asked.get("picture")), read_paint(asked.get("paint", [])), loaded, model, n_randomized, target
    )
