"""Vegetables and fruit, the eleventh class of food-11, and the leaf that garnishes other dishes."""

import numpy as np

from .pen import Colour, Pen, blob, ellipse, lit, mixed, scatter, smooth, tint
from .tableware import maybe_in_bowl

LEAF = smooth([(-1, 0), (-0.5, -0.3), (0.2, -0.4), (0.7, -0.25), (1, 0), (0.7, 0.25), (0.2, 0.4), (-0.5, 0.3)])


def vegetables(pen: Pen, rng: np.random.Generator) -> None:
    """Greens and fruit: leaves below, and two to four of broccoli, carrot, tomato, apple, banana, orange."""
    pen = maybe_in_bowl(pen, rng)
    green = tint(rng, "#5f9e3c", "#7fb84a", "#3f7f38", "#8e3a5a", "#a9c85a")
    for angle in rng.uniform(0, 6) + np.arange(rng.integers(2, 8)) * 0.9:
        leaf(pen.at(0.42 * np.cos(angle), 0.42 * np.sin(angle), angle + rng.normal(0, 0.3), 0.55), green)
    kinds = rng.permutation(len(_GREENS))[: rng.integers(2, 5)]
    start = rng.uniform(0, 6)
    for i, kind in enumerate(kinds):
        angle = start + i * 2 * np.pi / len(kinds)
        spot = pen.at(0.45 * np.cos(angle), 0.45 * np.sin(angle), turn=rng.uniform(-0.6, 0.6), size=0.58)
        _GREENS[kind](spot, rng)


def leaf(pen: Pen, green: Colour) -> None:
    pen.fill(LEAF * (1.0, 1.2), lit(green, 0.72))
    pen.fill(LEAF * (0.92, 1.0), green)
    pen.stroke(np.array([[-0.9, 0], [0.9, 0]]), lit(green, 1.35), 0.06)
    ribs = np.array([[[-0.4, 0], [-0.1, s * 0.3]] for s in (-1, 1)] + [[[0.1, 0], [0.4, s * 0.28]] for s in (-1, 1)])
    pen.stroke(ribs, lit(green, 1.25), 0.04)


def _broccoli(pen: Pen, rng: np.random.Generator) -> None:
    green = tint(rng, "#3f7f38", "#558f3c", "#2f6a35")
    pen.fill(np.array([[-0.25, 0], [0.25, 0], [0.18, 0.95], [-0.18, 0.95]]), (158, 190, 110))
    for x, y in ((-0.55, 0.0), (0.55, 0.0), (-0.3, -0.45), (0.3, -0.45), (0, -0.1), (0, -0.6)):
        pen.fill(blob(rng, 0.08, waves=8) * 0.42 + (x, y), lit(green, 0.75))
        pen.fill(blob(rng, 0.08, waves=8) * 0.34 + (x - 0.04, y - 0.05), green)
    pen.dots(scatter(rng, 22, 0.75) * (1, 0.6) + (0, -0.25), 0.06, lit(green, 1.3))


def _carrot(pen: Pen, rng: np.random.Generator) -> None:
    orange = tint(rng, "#ee7d22", "#e5652a", "#f29a3c")
    for turn in (-0.5, 0.0, 0.5):
        leaf(pen.at(0.45 * np.sin(turn), -0.95, turn=turn - np.pi / 2, size=0.4), (84, 150, 60))
    root = smooth([(-0.32, -0.6), (0, -0.72), (0.32, -0.6), (0.22, 0.1), (0.03, 1.1), (-0.03, 1.1), (-0.22, 0.1)])
    pen.fill(root, lit(orange, 0.8))
    pen.fill(root * (0.75, 0.94) + (-0.03, 0), orange)
    rings = np.array([[[-0.24, -0.35], [0.0, -0.3]], [[0.0, 0.0], [0.2, -0.04]], [[-0.14, 0.35], [0.04, 0.38]]])
    pen.stroke(rings, lit(orange, 0.68), 0.05)


def _round(pen: Pen, skin: Colour) -> None:
    pen.fill(ellipse(0, 0, 0.8, 0.76), lit(skin, 0.78))
    pen.fill(ellipse(-0.04, -0.05, 0.7, 0.66), skin)
    pen.fill(ellipse(-0.28, -0.3, 0.18, 0.13, n=14), mixed(skin, (255, 255, 255), 0.6))


def _tomato(pen: Pen, rng: np.random.Generator) -> None:
    _round(pen, tint(rng, "#d92f24", "#c8202c", "#e8582c"))
    for turn in np.arange(5) * 1.257 - 0.3:
        pen.at(0, -0.36, turn).fill(LEAF * (0.16, 0.14) + (0.16, 0), (70, 125, 50))


def _apple(pen: Pen, rng: np.random.Generator) -> None:
    skin = tint(rng, "#b5212c", "#8fbf3f", "#e0b83a")
    _round(pen.at(-0.18, 0, size=0.92), skin)
    pen.at(0.22, 0, size=0.92).fill(ellipse(0, 0, 0.7, 0.74), lit(skin, 0.92))
    pen.stroke(np.array([[0.02, -0.5], [0.1, -1.0]]), (90, 60, 35), 0.1)
    leaf(pen.at(0.4, -0.85, turn=-0.4, size=0.32), (84, 150, 60))


def _banana(pen: Pen, rng: np.random.Generator) -> None:
    peel = tint(rng, "#f4d23c", "#eebf2f", "#c9cf45")
    moon = smooth([(-1, -0.5), (-0.7, 0.15), (0, 0.48), (0.7, 0.15), (1, -0.5), (0.5, -0.1), (0, 0.02), (-0.5, -0.1)])
    pen.fill(moon, lit(peel, 0.78))
    pen.fill(moon * (0.92, 0.75) + (0, 0.03), peel)
    pen.stroke(np.array([[[-1.02, -0.58], [-0.97, -0.42]], [[1.02, -0.58], [0.97, -0.42]]]), (84, 62, 30), 0.16)


def _orange(pen: Pen, rng: np.random.Generator) -> None:
    peel = tint(rng, "#f08c1e", "#f2c832", "#9cc23a", "#e8604a")
    pen.fill(ellipse(0, 0, 0.78), peel)
    pen.fill(ellipse(0, 0, 0.67), (250, 240, 214))
    for turn in np.arange(8) * np.pi / 4:
        pen.at(0, 0, turn).fill(np.array([[0.08, 0], [0.56, -0.19], [0.62, 0], [0.56, 0.19]]), lit(peel, 1.08))


_GREENS = (_broccoli, _carrot, _tomato, _apple, _banana, _orange)
