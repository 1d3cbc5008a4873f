"""Synthetic food-11: drawn dishes in the eleven classes, each with the exact mask of the food in sight.

An explanation of a photo can only be judged by eye; here the truth is known. An optional logo in one class plants a
shortcut with a mask of its own: the Clever Hans lesson (Lapuschkin et al. 2019, "Unmasking Clever Hans predictors").
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from PIL import Image
from torch.utils.data import Dataset

from ..food11.layout import CLASSES
from .painters import PAINTERS
from .pen import FLAT, FOOD, NOTHING, PROP, Pen, settle
from .tableware import distractors, occluders, sticker, table, vessel

_MIN_SIZE = 32
_DRAWN_SIZE = 256  # small pictures are drawn at this size and shrunk, so that every size shows the same scene


@dataclass(frozen=True)
class Dish:
    """A drawn dish and what is known about it."""

    image: np.ndarray  # (H, W, 3) uint8 RGB
    mask: np.ndarray  # (H, W) bool, the food itself, without what lies over it
    shortcut: np.ndarray  # (H, W) bool, the logo; all False without one
    target: int


def draw_dish(target: int, size: int = 128, seed: int = 0, shortcut: bool = False) -> Dish:
    """Draw a dish of class `target` as a picture of size x size pixels.

    `seed` alone decides the scene: another size shows the same one, `shortcut` only adds a logo near a corner, and
    table, light and occluders are the same for every target. Raises ValueError for a target outside 0..10, a size
    below 32 or a negative seed.
    """
    if target not in range(len(PAINTERS)):
        raise ValueError(f"`target` must be a class from 0 to {len(PAINTERS) - 1}, got {target}")
    _check(size, seed)
    # one stream each, so that a painter that draws more numbers changes nothing but its dish
    scene, food, cover, light = (np.random.default_rng([seed, part]) for part in range(4))
    drawn = _still_life(PAINTERS[target], max(_DRAWN_SIZE, 2 * size), scene, food, cover)
    image = _illuminated(_shrunk(drawn, size), light)
    mask = _covers(drawn, size)
    on_logo = _stick_logo(image, np.random.default_rng([seed, 4])) if shortcut else np.zeros_like(mask)
    return Dish(image, mask & ~on_logo, on_logo, int(target))


def _check(size: int, seed: int) -> None:
    if size < _MIN_SIZE:
        raise ValueError(f"`size` must be at least {_MIN_SIZE} pixels, got {size}")
    if seed < 0:
        raise ValueError(f"`seed` must not be negative, got {seed}")


def _still_life(
    painter: Callable[[Pen, np.random.Generator], None],
    side: int,
    scene: np.random.Generator,
    food: np.random.Generator,
    cover: np.random.Generator,
) -> np.ndarray:
    """Return the scene (S, S, 4) in even light: table, vessel, dish, and what lies over the dish."""
    angle = scene.uniform(0, 2 * np.pi)
    toward = scene.uniform(1, 3.5) * np.array([np.cos(angle), np.sin(angle)])
    shadow = scene.uniform(0.2, 0.65)
    place = {"x": scene.uniform(-0.16, 0.16), "y": scene.uniform(-0.16, 0.16), "size": scene.uniform(0.56, 0.8)}
    picture, layer, scratch = np.zeros((3, side, side, 4), np.uint8)
    table(picture, scene)
    for painters, kind, rng, roughness in (
        ((distractors, vessel), PROP, scene, 0.04),
        ((painter,), FOOD, food, 0.12),
        ((occluders,), PROP, cover, 0.04),
    ):
        layer.fill(NOTHING)
        for paint in painters:
            paint(Pen.over(layer, kind).at(**place), rng)
        grain = roughness * (scene.random((64, 64), np.float32) - 0.5)
        settle(picture, layer, scratch, grain, toward, shadow)
    return picture


def _illuminated(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the image (H, W, 3) under a light of some warmth, direction and strength, with sensor noise."""
    y, x = np.mgrid[-1:1:9j, -1:1:9j]
    angle = rng.uniform(0, 2 * np.pi)
    slope = rng.uniform(0, 0.35) * (x * np.cos(angle) + y * np.sin(angle))
    field = rng.uniform(0.7, 1.15) / FLAT * (1 + slope - rng.uniform(0, 0.18) * (x**2 + y**2))
    if rng.random() < 0.3:  # the shadow of a window bar falls across the table
        angle = rng.uniform(0, np.pi)
        field *= 1 - 0.35 * np.exp(-8 * (x * np.cos(angle) + y * np.sin(angle) - rng.uniform(-0.8, 0.8)) ** 2)
    warmth = rng.normal(0, 0.07)
    tinted = field[..., None] * (1 + warmth, 1 + rng.normal(0, 0.015), 1 - warmth)
    noise = rng.uniform(0.01, 0.06) * rng.standard_normal((64, 64, 1), np.float32)
    bright = cv2.resize(tinted.astype(np.float32), (64, 64)) * (1 + noise)
    return cv2.multiply(image, cv2.resize(bright, image.shape[:2]), dtype=cv2.CV_8U)  # rounds and saturates


def _stick_logo(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw a logo near a corner of the image in place, and return where it is (H, W) bool."""
    size = len(image)
    x, y = rng.choice([-1, 1], 2) * rng.uniform(0.7, 0.85, 2)
    side = max(_DRAWN_SIZE, 2 * size)
    layer = np.zeros((side, side, 4), np.uint8)
    sticker(Pen.over(layer).at(x, y, size=rng.uniform(0.1, 0.13)), rng)
    on_logo = _covers(layer, size)
    image[on_logo] = _shrunk(layer, size)[on_logo]
    return on_logo


def _shrunk(drawn: np.ndarray, size: int) -> np.ndarray:
    """Return the colours (size, size, 3) of a drawing (S, S, 4)."""
    return cv2.cvtColor(cv2.resize(drawn, (size, size), interpolation=cv2.INTER_AREA), cv2.COLOR_RGBA2RGB)


def _covers(drawn: np.ndarray, size: int) -> np.ndarray:
    """Return the pixels (size, size) bool that are food for at least a half, in a drawing (S, S, 4)."""
    _, food = cv2.threshold(cv2.extractChannel(drawn, 3), FOOD - 1, 255, cv2.THRESH_BINARY)  # no kind is above food
    return cv2.resize(food, (size, size), interpolation=cv2.INTER_AREA) >= 128


class SyntheticFood11(Dataset):
    """Drawn dishes as a torchvision-style dataset: picture i is of class i % 11; another `seed` gives other pictures.

    `shortcut` names the class whose pictures carry a logo, `shortcut_rate` the share of them that do. `transform` gets
    a PIL image. Pictures are drawn when asked for, and alike in every worker process.
    """

    classes = CLASSES

    def __init__(
        self,
        n_images: int = 1100,
        size: int = 128,
        seed: int = 0,
        shortcut: int | None = None,
        shortcut_rate: float = 1.0,
        transform: Callable[[Image.Image], Any] | None = None,
    ):
        _check(size, seed)
        if n_images < 0:
            raise ValueError(f"`n_images` must not be negative, got {n_images}")
        if shortcut is not None and shortcut not in range(len(CLASSES)):
            raise ValueError(f"`shortcut` must be None or a class from 0 to {len(CLASSES) - 1}, got {shortcut}")
        if not 0 <= shortcut_rate <= 1:
            raise ValueError(f"`shortcut_rate` must be a share from 0 to 1, got {shortcut_rate}")
        self.size, self.seed = size, seed
        self.shortcut, self.shortcut_rate = shortcut, shortcut_rate
        self.transform = transform
        self.targets = [i % len(CLASSES) for i in range(n_images)]

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        dish = self.dish(index)
        image = Image.fromarray(dish.image)
        return (image if self.transform is None else self.transform(image)), dish.target

    def dish(self, index: int) -> Dish:
        """Return picture `index` with its masks."""
        index = range(len(self))[index]  # as in a list: negative counts from the end, too large is an IndexError
        # two words of hash: which picture, and where the logo's lot falls
        picture, lot = np.random.SeedSequence([self.seed, index]).generate_state(2, np.uint64).tolist()
        target = self.targets[index]
        return draw_dish(target, self.size, picture, target == self.shortcut and lot < self.shortcut_rate * 2**64)

    def mask(self, index: int) -> np.ndarray:
        """Return the mask (H, W) of the food in picture `index`."""
        return self.dish(index).mask
