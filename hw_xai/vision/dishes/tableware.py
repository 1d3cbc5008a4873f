"""What surrounds a dish: tables, plates, distractors beside it and occluders on top of it.

Nothing here knows the class of the dish, so nothing in the background can give it away.
"""

from collections.abc import Callable

import cv2
import numpy as np

from .pen import Colour, Pen, any_colour, blob, box, ellipse, hsv, lit, mixed, scatter, squarish, tint

_GRID = 96  # tables are painted on this grid and then turned and enlarged
_U = np.linspace(-1, 1, _GRID, dtype=np.float32)[None]  # (1, 96), across
_V = _U.T  # (96, 1), down


def table(picture: np.ndarray, rng: np.random.Generator) -> None:
    """Fill the picture (S, S, 4) with a table top: a pattern that mixes two colours, at any angle and zoom."""
    pattern = _PATTERNS[rng.integers(len(_PATTERNS))]
    first = any_colour(rng)
    second = any_colour(rng) if rng.random() < 0.3 else lit(first, rng.uniform(0.55, 0.85))
    if pattern is _wood:
        first = hsv(rng.uniform(0.03, 0.12), rng.uniform(0.1, 0.65), rng.uniform(0.3, 0.95))
        second = lit(first, rng.uniform(0.55, 0.8))
    share = np.clip(pattern(rng), 0, 1)[..., None]  # (96, 96, 1): how much of the second colour
    colours = np.array([(*first, 0), (*second, 0)], np.float32)
    top = (colours[0] + share * (colours[1] - colours[0])).astype(np.uint8)  # (96, 96, 4), nowhere food
    # half the resolution is enough for what lies out of focus, and three times as fast
    half = len(picture) // 2
    frame = cv2.getRotationMatrix2D((_GRID / 2, _GRID / 2), rng.uniform(0, 360), rng.uniform(1.0, 1.6) * half / _GRID)
    frame = frame + np.array([0, 0, half / 2 - _GRID / 2])
    top = cv2.warpAffine(top, frame, (half, half), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    cv2.resize(top, picture.shape[:2], picture, interpolation=cv2.INTER_NEAREST)


def _noise(rng: np.random.Generator, rows: int, columns: int) -> np.ndarray:
    return cv2.resize(rng.random((rows, columns), np.float32), (_GRID, _GRID), interpolation=cv2.INTER_CUBIC)


def _wood(rng: np.random.Generator) -> np.ndarray:
    planks = rng.integers(2, 6)
    plank = np.floor((_V + 1) / 2 * planks)
    grain = _noise(rng, 48, 3) * 0.6 + 0.25 * np.sin(9 * _V + 2.5 * _U * _noise(rng, 6, 3))
    seam = ((_V + 1) / 2 * planks % 1) < 0.05
    return grain + 0.12 * (plank % 2) + 0.9 * seam


def _gingham(rng: np.random.Generator) -> np.ndarray:
    checks = rng.uniform(8, 22)
    return ((np.sin(checks * _U) > 0) * 0.5 + (np.sin(checks * _V) > 0) * 0.5) + 0.1 * _noise(rng, 48, 48)


def _stripes(rng: np.random.Generator) -> np.ndarray:
    return (np.sin(rng.uniform(8, 26) * _V) > rng.uniform(-0.5, 0.8)) + 0.15 * _noise(rng, 48, 48)


def _cloth(rng: np.random.Generator) -> np.ndarray:
    return 0.3 + 0.3 * np.sin(70 * _U) * np.sin(70 * _V) + 0.6 * (_noise(rng, 4, 4) - 0.5)


def _marble(rng: np.random.Generator) -> np.ndarray:
    wander = 3 * _noise(rng, 5, 5) + 1.2 * _noise(rng, 14, 14)
    return np.exp(-6 * np.abs(np.sin(2.5 * _U + wander))) + 0.25 * _noise(rng, 8, 8)


def _tiles(rng: np.random.Generator) -> np.ndarray:
    tiles = rng.uniform(1.5, 4)
    grout = np.minimum(np.abs((_U * tiles) % 1 - 0.5), np.abs((_V * tiles) % 1 - 0.5)) < 0.035
    return 0.9 * grout + 0.3 * _noise(rng, 10, 10)


def _slate(rng: np.random.Generator) -> np.ndarray:
    return 0.7 * _noise(rng, 7, 7) + 0.35 * _noise(rng, 40, 40)


def _spots(rng: np.random.Generator) -> np.ndarray:
    spots = rng.uniform(9, 20)
    return np.sin(spots * _U) * np.sin(spots * _V) > rng.uniform(0.3, 0.8)


_PATTERNS: list[Callable[[np.random.Generator], np.ndarray]] = [
    _wood, _wood, _gingham, _stripes, _cloth, _marble, _tiles, _slate, _spots
]  # fmt: skip


def vessel(pen: Pen, rng: np.random.Generator) -> None:
    """Draw a round, oval or square plate, a board, a paper or nothing below the unit circle."""
    glaze, rim = any_colour(rng), any_colour(rng)
    pen = pen.at(turn=rng.uniform(0, np.pi), size=rng.uniform(1.15, 1.4))
    shape = rng.integers(6)
    if shape == 5:
        return
    if shape == 4:
        wood = hsv(rng.uniform(0.04, 0.11), rng.uniform(0.2, 0.6), rng.uniform(0.4, 0.95))
        board = squarish(7) * (1.15, 0.9)
        pen.fill(board * 1.02 + 0.02, lit(wood, 0.6))
        pen.fill(board, wood)
        y = np.linspace(-0.8, 0.8, 9)
        lines = np.stack([np.stack([0 * y - 1.08, y], 1), np.stack([0 * y + 1.08, y + rng.normal(0, 0.03, 9)], 1)], 1)
        pen.stroke(lines, lit(wood, 0.86), 0.02)
        return
    outline = (ellipse(n=64), ellipse(0, 0, 1.2, 0.92, n=64), squarish(5, n=64), blob(rng, 0.02, n=64))[shape]
    pen.fill(outline, lit(glaze, 0.8))
    pen.fill(outline * 0.985, glaze)
    if rng.random() < 0.5:
        pen.stroke(outline * rng.uniform(0.88, 0.95), rim, rng.uniform(0.02, 0.09), closed=True)
    inner = rng.uniform(0.68, 0.8)
    pen.fill(outline * (inner + 0.02), lit(glaze, 0.84))
    pen.fill(outline * inner, lit(glaze, 1.04) if rng.random() < 0.75 else rim)


def bowl(pen: Pen, rng: np.random.Generator) -> Pen:
    """Draw an empty bowl and return a pen for what lies in it."""
    pen = pen.at(squash=rng.uniform(0.82, 1))
    glaze, inside = any_colour(rng), any_colour(rng)
    if rng.random() < 0.3:
        pen.prop.stroke(np.array([[-1.3, 0], [1.3, 0]]), lit(glaze, 0.8), 0.3)
    pen.prop.fill(ellipse(0, 0.14, 1.08), lit(glaze, 0.62))
    pen.prop.fill(ellipse(0, 0, 1.12), glaze)
    pen.prop.fill(ellipse(0, 0, 1.0), lit(inside, 0.7))
    pen.prop.fill(ellipse(0, 0.05, 0.95), lit(inside, 0.88))
    return pen.at(0, 0.05, size=0.84)


def maybe_in_bowl(pen: Pen, rng: np.random.Generator) -> Pen:
    """Draw a bowl half of the time, and return a pen for the food."""
    return bowl(pen, rng) if rng.random() < 0.5 else pen


def distractors(pen: Pen, rng: np.random.Generator) -> None:
    """Put up to three small things on the table around the unit circle, and some crumbs."""
    n = rng.integers(0, 4)
    start = rng.uniform(0, 2 * np.pi)
    for i in range(n):
        angle, away = start + i * 2 * np.pi / n + rng.normal(0, 0.3), rng.uniform(1.35, 1.8)
        spot = pen.at(away * np.cos(angle), away * np.sin(angle), turn=rng.uniform(0, 6), size=rng.uniform(0.25, 0.45))
        _THINGS[rng.integers(len(_THINGS))](spot, rng)
    if rng.random() < 0.5:
        pen.dots(scatter(rng, 24, 1.9), rng.uniform(0.015, 0.035), any_colour(rng))


def _tumbler(pen: Pen, rng: np.random.Generator) -> None:
    drink = any_colour(rng)
    pen.fill(ellipse(), (206, 218, 224))
    pen.fill(ellipse(0, 0, 0.88), mixed(drink, (190, 200, 205), 0.4))
    pen.fill(ellipse(0.05, 0.05, 0.74), drink)
    pen.stroke(ellipse(0, 0, 0.8)[20:28], (255, 255, 255), 0.12)


def _cup(pen: Pen, rng: np.random.Generator) -> None:
    glaze = any_colour(rng)
    pen.stroke(ellipse(1.05, 0, 0.35), lit(glaze, 0.85), 0.2, closed=True)
    pen.fill(ellipse(), glaze)
    pen.fill(ellipse(0, 0, 0.82), lit(glaze, 0.65))
    pen.fill(ellipse(0.04, 0.04, 0.72), any_colour(rng))


def _dip(pen: Pen, rng: np.random.Generator) -> None:
    glaze = any_colour(rng)
    pen.fill(squarish(rng.uniform(2, 6)), glaze)
    pen.fill(ellipse(0, 0, 0.72), lit(glaze, 0.7))
    pen.fill(blob(rng, 0.06) * 0.62, any_colour(rng))


def _shaker(pen: Pen, rng: np.random.Generator) -> None:
    pen.fill(box(0, 0.25, 0.9, 1.4), any_colour(rng))
    pen.fill(squarish(4) * (0.5, 0.32) + (0, -0.6), (170, 172, 178))
    pen.dots(np.array([[-0.2, -0.6], [0.0, -0.7], [0.2, -0.6], [0.0, -0.5]]), 0.06, (50, 50, 55))


def _card(pen: Pen, rng: np.random.Generator) -> None:
    paper = any_colour(rng)
    pen.fill(box(0, 0, 1.9, 1.2), paper)
    rows = np.linspace(-0.35, 0.35, 4)
    lines = np.stack([np.stack([0 * rows - 0.7, rows], 1), np.stack([rng.uniform(0, 0.7, 4), rows], 1)], 1)
    pen.stroke(lines, lit(paper, 0.5), 0.08)


def _coins(pen: Pen, rng: np.random.Generator) -> None:
    for x, y in scatter(rng, 4, 1.0):
        metal = tint(rng, "#b9bcc2", "#b07a4a", "#c9ab5a")
        pen.fill(ellipse(x, y, 0.32), lit(metal, 0.7))
        pen.fill(ellipse(x, y, 0.25), metal)


def _splash(pen: Pen, rng: np.random.Generator) -> None:
    sauce = any_colour(rng)
    pen.fill(blob(rng, 0.25) * 0.6, sauce)
    pen.dots(scatter(rng, 6, 1.2), 0.1, sauce)


_THINGS = (_tumbler, _cup, _dip, _shaker, _card, _coins, _splash)


def occluders(pen: Pen, rng: np.random.Generator) -> None:
    """Lay cutlery, a napkin or a hand over the rim of the unit circle; every third dish stays uncovered."""
    for _ in range(rng.choice([0, 1, 2], p=[0.34, 0.44, 0.22])):
        angle = rng.uniform(0, 2 * np.pi)
        # the occluder's own x axis points to the middle of the dish, and it comes in from outside
        spot = pen.at(0.95 * np.cos(angle), 0.95 * np.sin(angle), turn=angle + np.pi + rng.normal(0, 0.35))
        (_fork, _knife, _spoon, _napkin, _hand)[rng.integers(5)](spot, rng)


def _metal(rng: np.random.Generator) -> Colour:
    return tint(rng, "#c6c9cf", "#9b9ea6", "#caa75a", "#4a4c52", "#a5793f", "#f0f0f0")


def _handle(pen: Pen, metal: Colour) -> None:
    pen.fill(np.array([[-0.1, -0.045], [-0.1, 0.045], [-1.8, 0.1], [-1.8, -0.1]]), metal)
    pen.stroke(np.array([[-0.1, -0.02], [-1.8, -0.04]]), lit(metal, 1.3), 0.03)


def _fork(pen: Pen, rng: np.random.Generator) -> None:
    metal = _metal(rng)
    _handle(pen, metal)
    pen.fill(squarish(3, n=24) * (0.16, 0.15), metal)
    y = np.linspace(-0.12, 0.12, 4)
    pen.stroke(np.stack([np.stack([0 * y, y], 1), np.stack([0 * y + 0.5, y], 1)], 1), metal, 0.05)


def _knife(pen: Pen, rng: np.random.Generator) -> None:
    metal = _metal(rng)
    _handle(pen, any_colour(rng))
    pen.fill(np.array([[-0.2, -0.08], [0.45, -0.08], [0.62, 0.02], [0.4, 0.1], [-0.2, 0.1]]), metal)
    pen.fill(np.array([[-0.2, 0.04], [0.42, 0.04], [0.4, 0.1], [-0.2, 0.1]]), lit(metal, 1.25))


def _spoon(pen: Pen, rng: np.random.Generator) -> None:
    metal = _metal(rng)
    _handle(pen, metal)
    pen.fill(ellipse(0.1, 0, 0.34, 0.22), metal)
    pen.fill(ellipse(0.12, 0.02, 0.28, 0.16), lit(metal, 0.75))
    pen.fill(ellipse(0.04, -0.05, 0.1, 0.05, n=14), lit(metal, 1.4))


def _napkin(pen: Pen, rng: np.random.Generator) -> None:
    cloth, line = any_colour(rng), any_colour(rng)
    pen = pen.at(-0.62, 0, turn=rng.uniform(-0.6, 0.6))
    pen.fill(box(0, 0, 1.5, 1.3) + rng.normal(0, 0.05, (4, 2)), lit(cloth, 0.85))
    pen.fill(box(-0.04, -0.03, 1.38, 1.18), cloth)
    pen.stroke(box(-0.04, -0.03, 1.15, 0.95), line, 0.06, closed=True)
    pen.stroke(np.array([[-0.72, -0.05], [0.66, 0.02]]), lit(cloth, 0.78), 0.03)


def _hand(pen: Pen, rng: np.random.Generator) -> None:
    skin = tint(rng, "#f2c9a8", "#d9a27a", "#a9744a", "#6f4a30", "#4a3022", wobble=8)
    pen = pen.at(-0.15, 0, squash=rng.choice([-1, 1]), size=rng.uniform(0.8, 1))
    for y, reach in ((-0.3, 0.22), (-0.1, 0.38), (0.1, 0.34), (0.29, 0.16)):
        finger = np.array([[-1.0, 0.7 * y], [reach, y]])
        pen.stroke(finger, lit(skin, 0.72), 0.215)
        pen.stroke(finger, skin, 0.17)
        pen.fill(ellipse(reach + 0.02, y, 0.07, 0.05, n=14), mixed(skin, (255, 220, 215), 0.5))
    pen.stroke(np.array([[-0.9, 0.45], [-0.35, 0.62]]), lit(skin, 0.9), 0.2)
    pen.fill(squarish(3) * (0.75, 0.42) + (-1.25, 0), lit(skin, 0.97))


def sticker(pen: Pen, rng: np.random.Generator) -> None:
    """Draw a logo: a bright ring round a star."""
    pen.fill(ellipse(), (250, 250, 252))
    pen.fill(ellipse(0, 0, 0.86), hsv(0.8 + 0.05 * rng.random(), 0.9, 0.95))
    t = np.arange(10) * np.pi / 5 + rng.uniform(0, 1)
    pen.fill(np.stack([np.cos(t), np.sin(t)], 1) * np.where(np.arange(10) % 2, 0.28, 0.66)[:, None], (255, 240, 90))
