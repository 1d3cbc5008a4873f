"""Eleven painters, one for each class of food-11: each draws a dish of its class around the unit circle.

A painter takes a pen and a random generator. The pen draws food; `pen.prop` draws what belongs to the dish but is not
to be eaten (a bowl, a box, a bone). Most painters know two or three ways to serve their dish.
"""

import numpy as np

from .pen import Colour, Pen, any_colour, blob, box, ellipse, lit, mixed, scatter, smooth, squarish, tint
from .tableware import bowl, maybe_in_bowl
from .vegetables import LEAF, leaf, vegetables

_TOAST = smooth([(-0.6, 0.72), (-0.62, -0.1), (-0.82, -0.4), (-0.5, -0.75), (0, -0.8), (0.5, -0.75), (0.82, -0.4),
                 (0.62, -0.1), (0.6, 0.72), (0, 0.76)])  # fmt: skip
_FISH = smooth([(-1, 0.02), (-0.7, -0.25), (-0.2, -0.4), (0.3, -0.28), (0.68, -0.08), (0.68, 0.08), (0.3, 0.27),
                (-0.2, 0.38), (-0.7, 0.22)])  # fmt: skip
_STEAK = smooth([(-0.95, -0.1), (-0.6, -0.62), (0.1, -0.6), (0.8, -0.7), (0.98, -0.1), (0.6, 0.3), (0.25, 0.75),
                 (-0.4, 0.6)])  # fmt: skip
_BOTTLE = smooth([(-0.16, -0.9), (-0.17, -0.6), (-0.38, -0.3), (-0.4, 0.3), (-0.38, 0.86), (0, 0.92), (0.38, 0.86),
                  (0.4, 0.3), (0.38, -0.3), (0.17, -0.6), (0.16, -0.9)])  # fmt: skip
_WEDGE = np.array([[-0.95, 0.12], [0.55, -0.55], [0.95, -0.02]])  # the top face of a slice of cake or cheese
_DOWN = np.array([0.0, 1.0])
_RIGHT = np.array([1.0, 0.0])


def bread(pen: Pen, rng: np.random.Generator) -> None:
    """A scored loaf, slices of toast, or a tin loaf with its cut face to the front."""
    crust = tint(rng, "#b8762f", "#c98a45", "#8d5524", "#6b3f1d", "#d9a663")
    crumb = tint(rng, "#f3e1b8", "#e8cf9c", "#d8b98a", "#b89468", wobble=8)
    serving = rng.integers(3)
    if serving == 0:
        pen = pen.at(turn=rng.uniform(0, 2 * np.pi))
        thick = rng.uniform(0.42, 0.62)
        outline = squarish(2.4) * (1, thick) + rng.normal(0, 0.008, (48, 2))
        pen.fill(outline, lit(crust, 0.75))
        pen.fill(outline * (0.93, 0.84) + (0, -0.03), crust)
        pen.fill(outline * (0.8, 0.5) + (0, -0.1), lit(crust, 1.14))
        for x in np.linspace(-0.66, 0.66, rng.integers(3, 6)):
            cut = pen.at(x, -0.02, turn=-0.9, size=thick * 0.75)
            cut.fill(LEAF * (1, 0.62), lit(crust, 0.62))
            cut.fill(LEAF * (0.94, 0.42), crumb)
        pen.dots(scatter(rng, 25) * (0.85, thick * 0.8), 0.014, (250, 244, 230))
    elif serving == 1:
        n = rng.integers(1, 4)
        for i in range(n):
            spot = (i - (n - 1) / 2) * 0.42
            _slice(pen.at(spot, 0.25 * spot, turn=rng.uniform(-0.4, 0.4), size=1.0 - 0.1 * n), rng, crust, crumb)
    else:
        pen = pen.at(-0.32, 0.12, turn=rng.uniform(-0.35, 0.35), size=0.8)
        for t in np.linspace(1, 0, 9):
            pen.fill(_TOAST * (1, 1 - 0.12 * t) + (t * 1.05, -t * 0.3), lit(crust, 0.82 + 0.25 * (int(8 * t) % 8 > 1)))
        _slice(pen, rng, crust, crumb)


def _slice(pen: Pen, rng: np.random.Generator, crust: Colour, crumb: Colour) -> None:
    pen.fill(_TOAST, lit(crust, 0.8))
    pen.fill(_TOAST * 0.95, crust)
    pen.fill(_TOAST * 0.86, crumb)
    pen.dots(scatter(rng, 16, 0.6), 0.03, lit(crumb, 0.87))
    pen.dots(scatter(rng, 10, 0.62), 0.05, lit(crumb, 0.94))


def dairy(pen: Pen, rng: np.random.Generator) -> None:
    """Cheese and milk (a bottle, a carton, a full glass), together or alone."""
    pen = pen.at(turn=rng.uniform(-0.3, 0.3))
    serving = rng.choice(3, p=[0.5, 0.25, 0.25])
    if serving == 1:
        _cheese(pen, rng)
        return
    milk = (_bottle, _carton, _glass)[rng.integers(3)]
    if serving == 2:
        milk(pen, rng)
        return
    where = rng.choice([-1, 1])
    milk(pen.at(0.45 * where, -0.12, size=0.88), rng)
    _cheese(pen.at(-0.35 * where, 0.42, turn=rng.uniform(-0.2, 0.2), size=0.66), rng)


def _cheese(pen: Pen, rng: np.random.Generator) -> None:
    paste = tint(rng, "#f4cf4f", "#f0a63a", "#f5e6a8", "#f2ead0", "#e8b84a")
    deep = _DOWN * rng.uniform(0.4, 0.6)
    left, back, right = _WEDGE
    pen.fill(np.array([left, right, right + deep, left + deep]), lit(paste, 0.82))
    pen.fill(_WEDGE, lit(paste, 1.08))
    rind = tint(rng, "#b5302a", "#d9b87a", "#6e4a2a", "#f0e4c4")
    pen.stroke(np.array([back, right, right + deep]), rind, 0.07)
    along = rng.uniform(0.12, 0.9, 6)
    for i, t in enumerate(along):
        x, y = left + t * (right - left) + deep * (0.25 + 0.5 * (i % 2))
        size = rng.uniform(0.05, 0.13)
        pen.fill(ellipse(x, y, size, size * 0.8, n=16), lit(paste, 0.58))
        pen.fill(ellipse(x + 0.02, y + 0.02, size * 0.8, size * 0.62, n=16), lit(paste, 0.7))
    for t in rng.uniform(0.3, 0.9, 3):
        on_the_back = back + rng.uniform(0.3, 0.7) * (right - back)
        x, y = left + t * (on_the_back - left)
        pen.fill(ellipse(x, y, 0.09, 0.05, n=16), lit(paste, 0.74))


def _bottle(pen: Pen, rng: np.random.Generator) -> None:
    milk, lid = tint(rng, "#fbfaf4", "#f6efe0", "#f5c9cf", "#cfa98a", wobble=5), any_colour(rng)
    pen.fill(_BOTTLE, (196, 212, 220))
    pen.fill(_BOTTLE * (0.86, 0.95) + (0, 0.02), milk)
    pen.fill(_BOTTLE * (0.3, 0.8) + (0.19, 0.08), lit(milk, 0.93))
    pen.fill(box(0, -0.96, 0.42, 0.16), lid)
    pen.fill(box(-0.06, 0.25, 0.58, 0.34), lid)
    pen.stroke(np.array([[-0.25, -0.1], [-0.26, 0.75]]), (255, 255, 255), 0.05)


def _carton(pen: Pen, rng: np.random.Generator) -> None:
    card, band = tint(rng, "#f8f8f5", "#eef3f8", "#f7efe0", wobble=5), any_colour(rng)
    right = np.array([[0.22, -0.4], [0.55, -0.52], [0.55, 0.76], [0.22, 0.9]])
    pen.fill(box(-0.17, 0.25, 0.78, 1.3), card)
    pen.fill(right, lit(card, 0.8))
    pen.fill(np.array([[-0.56, -0.4], [0.22, -0.4], [0.3, -0.82], [-0.42, -0.82]]), lit(band, 0.9))
    pen.fill(np.array([[0.22, -0.4], [0.55, -0.52], [0.3, -0.82]]), lit(band, 0.7))
    pen.fill(box(-0.06, -0.9, 0.74, 0.16), card)
    wave = np.stack([np.linspace(-0.56, 0.22, 14), 0.35 + 0.1 * np.sin(np.linspace(0, 7, 14))], 1)
    pen.fill(np.concatenate([wave, [[0.22, 0.9], [-0.56, 0.9]]]), band)
    pen.fill(ellipse(-0.17, -0.05, 0.2, n=20), band)
    pen.fill(ellipse(-0.17, -0.05, 0.12, n=20), card)
    pen.fill(np.array([[0.22, 0.4], [0.55, 0.3], [0.55, 0.76], [0.22, 0.9]]), lit(band, 0.75))


def _glass(pen: Pen, rng: np.random.Generator) -> None:
    milk = tint(rng, "#fbfaf4", "#f6efe0", "#f5c9cf", wobble=5)
    pen.fill(np.array([[-0.5, -0.85], [0.5, -0.85], [0.38, 0.85], [-0.38, 0.85]]), (188, 205, 214))
    pen.fill(ellipse(0, 0.85, 0.38, 0.1), (170, 188, 198))
    pen.fill(np.array([[-0.44, -0.5], [0.44, -0.5], [0.34, 0.76], [-0.34, 0.76]]), milk)
    pen.fill(ellipse(0, 0.76, 0.34, 0.08), milk)
    pen.fill(ellipse(0, -0.5, 0.44, 0.1), lit(milk, 0.92))
    pen.stroke(ellipse(0, -0.85, 0.5, 0.12), (225, 235, 240), 0.04, closed=True)
    pen.stroke(np.array([[0.3, -0.4], [0.24, 0.6]]), lit(milk, 0.86), 0.08)


def dessert(pen: Pen, rng: np.random.Generator) -> None:
    """A slice of layer cake, a whole cake or a cupcake, with icing and a berry."""
    icing = tint(rng, "#f7ece0", "#f3a9b8", "#5a3320", "#b9e0cf", "#c9b3e6", "#f2d675")
    sponge = tint(rng, "#e9c27a", "#6d3f22", "#b5342f", "#f0dca8")
    pen = pen.at(turn=rng.uniform(-0.25, 0.25))
    (_cake_slice, _cake, _cupcake)[rng.integers(3)](pen, rng, icing, sponge)


def _cake_slice(pen: Pen, rng: np.random.Generator, icing: Colour, sponge: Colour) -> None:
    pen = pen.at(0, -0.2)
    left, back, right = _WEDGE
    bands = [icing, sponge, icing, sponge, icing, sponge]
    deep = rng.uniform(0.14, 0.17)
    for i, colour in enumerate(bands):
        top, bottom = deep * i * _DOWN, deep * (i + 1) * _DOWN
        pen.fill(np.array([left + top, right + top, right + bottom, left + bottom]), lit(colour, 0.85))
    pen.fill(_WEDGE, icing)
    t = np.linspace(0, 1, 24)[:, None]
    drip = left + t * (right - left) + _DOWN * (0.1 + 0.08 * np.sin(t * rng.uniform(18, 26)))
    pen.fill(np.concatenate([drip, _WEDGE[[2, 0]]]), lit(icing, 0.94))
    pen.stroke(np.array([back, right]), lit(icing, 0.88), 0.12)
    _berry(pen.at(0.3, -0.24, size=0.24), rng)


def _cake(pen: Pen, rng: np.random.Generator, icing: Colour, sponge: Colour) -> None:
    pen.fill(ellipse(0, 0.5, 0.95, 0.34), lit(sponge, 0.8))
    pen.fill(box(0, 0.16, 1.9, 0.68), lit(sponge, 0.9))
    middle = ellipse(0, 0.24, 0.95, 0.34)
    pen.stroke(middle[: len(middle) // 2 + 1], lit(icing, 0.9), 0.1)
    t = np.linspace(0, np.pi, 40)
    drip = np.stack([0.95 * np.cos(t), -0.18 + 0.34 * np.sin(t) + 0.17 + 0.09 * np.sin(t * rng.uniform(12, 18))], 1)
    pen.fill(np.concatenate([drip, [[-0.95, -0.18], [0.95, -0.18]]]), lit(icing, 0.9))
    pen.fill(ellipse(0, -0.18, 0.95, 0.34), icing)
    for x, y in ellipse(0, -0.2, 0.68, 0.2, n=int(rng.integers(5, 8))):
        _berry(pen.at(x, y, size=0.15), rng)
    if rng.random() < 0.5:
        for x in (-0.3, 0.0, 0.3):
            pen.fill(box(x, -0.46, 0.07, 0.46), any_colour(rng))
            pen.fill(ellipse(x, -0.76, 0.05, 0.1, n=12), (255, 190, 60))


def _cupcake(pen: Pen, rng: np.random.Generator, icing: Colour, sponge: Colour) -> None:
    paper = any_colour(rng)
    pen.fill(np.array([[-0.7, 0.05], [0.7, 0.05], [0.5, 0.9], [-0.5, 0.9]]), paper)
    for x in np.linspace(-0.6, 0.6, 7):
        pen.stroke(np.array([[x, 0.05], [x * 0.72, 0.9]]), lit(paper, 0.72), 0.05)
    pen.fill(ellipse(0, 0.06, 0.74, 0.16), sponge)
    for y, width in ((-0.06, 0.82), (-0.32, 0.64), (-0.56, 0.42), (-0.74, 0.22)):
        pen.at(0, y, turn=-0.12).fill(ellipse(0, 0.05, width, 0.24), lit(icing, 0.78))
        pen.at(0, y, turn=-0.12).fill(ellipse(0, 0, width, 0.21), icing)
    for x, y in scatter(rng, 12) * (0.55, 0.32) + (0, -0.25):
        pen.at(x, y, turn=rng.uniform(0, 3)).fill(box(0, 0, 0.12, 0.04), any_colour(rng))
    _berry(pen.at(0, -0.88, size=0.16), rng)


def _berry(pen: Pen, rng: np.random.Generator) -> None:
    red = tint(rng, "#c81d2b", "#a3122e", "#3b2a66", "#e0402f")
    pen.fill(ellipse(n=20), red)
    pen.fill(ellipse(-0.3, -0.35, 0.3, n=10), mixed(red, (255, 255, 255), 0.6))
    pen.stroke(np.array([[0.1, -0.7], [0.4, -1.3]]), (70, 110, 40), 0.25)


def egg(pen: Pen, rng: np.random.Generator) -> None:
    """One to three fried eggs, or the halves of boiled ones."""
    white = tint(rng, "#fbf8f0", "#f4efe2", "#f8f4e4", wobble=5)
    yolk = tint(rng, "#f9b517", "#f28f1c", "#f7cf3e", "#e8741c", wobble=8)
    boiled = rng.random() < 0.3
    n = rng.integers(2, 4) if boiled else rng.integers(1, 4)
    start = rng.uniform(0, 2 * np.pi)
    for i in range(n):
        away = 0.0 if n == 1 else 0.5
        angle = start + i * 2 * np.pi / n
        one = pen.at(away * np.cos(angle), away * np.sin(angle), turn=rng.uniform(0, 6), size=1 - 0.15 * n)
        if boiled:
            one.fill(ellipse(0, 0, 0.95, 0.72), lit(white, 0.82))
            one.fill(ellipse(0, 0, 0.89, 0.66), white)
            one.fill(ellipse(-0.18, 0, 0.45), lit(yolk, 0.92))
            one.fill(ellipse(-0.18, 0, 0.37), yolk)
            continue
        outline, (x, y) = blob(rng, 0.16), rng.normal(0, 0.1, 2)
        one.fill(outline, mixed(white, (150, 95, 45), rng.uniform(0.1, 0.8)))
        one.fill(outline * 0.93, lit(white, 0.93))
        one.fill(outline * 0.82, white)
        one.fill(ellipse(x, y, 0.44), lit(yolk, 0.82))
        one.fill(ellipse(x, y, 0.4), yolk)
        one.fill(ellipse(x - 0.13, y - 0.14, 0.12, 0.09), mixed(yolk, (255, 255, 255), 0.75))
        one.dots(scatter(rng, 9, 0.75), 0.022, (60, 50, 40))


def fried(pen: Pen, rng: np.random.Generator) -> None:
    """French fries, in a heap or standing in a paper box."""
    gold = tint(rng, "#eebb4d", "#f3d07a", "#d9952f", "#c47f2c")
    if rng.random() < 0.5:
        spots, turns = scatter(rng, 34, 0.62), rng.normal(rng.uniform(0, 3), 0.6, 34)
        for (x, y), turn in zip(spots, turns, strict=True):
            _fry(pen.at(x, y, turn), rng, gold)
        return
    pen = pen.at(0, 0.05, turn=rng.uniform(-0.5, 0.5))
    paper = any_colour(rng)
    pen.prop.fill(np.array([[-0.62, -0.2], [0.62, -0.2], [0.45, 0.95], [-0.45, 0.95]]), lit(paper, 0.6))
    for x in rng.permutation(np.linspace(-0.52, 0.52, 17)):
        _fry(pen.at(x, rng.uniform(-0.4, -0.1), np.pi / 2 + 0.55 * x + rng.normal(0, 0.1)), rng, gold)
    rim = np.stack([np.linspace(-0.64, 0.64, 16), 0.08 - 0.25 * np.linspace(-1, 1, 16) ** 2], 1)
    pen.prop.fill(np.concatenate([rim, [[0.47, 0.95], [-0.47, 0.95]]]), paper)
    pen.prop.fill(ellipse(0, 0.5, 0.2), mixed(paper, any_colour(rng), 0.8))


def _fry(pen: Pen, rng: np.random.Generator, gold: Colour) -> None:
    long, wide = rng.uniform(0.65, 1.05), rng.uniform(0.11, 0.15)
    gold = lit(gold, rng.uniform(0.86, 1.1))
    pen.fill(box(0, 0, long + 0.03, wide + 0.03), lit(gold, 0.55))
    pen.fill(box(0, 0.22 * wide, long, wide * 0.6), lit(gold, 0.8))
    pen.fill(box(0, -0.18 * wide, long - 0.02, wide * 0.6), lit(gold, 1.1))


def meat(pen: Pen, rng: np.random.Generator) -> None:
    """A grilled steak with its bone and fat, or roast drumsticks."""
    flesh = tint(rng, "#7a3b26", "#5b2f20", "#a3493a", "#b84a45", "#93552f")
    if rng.random() < 0.6:
        pen = pen.at(turn=rng.uniform(0, 2 * np.pi), squash=rng.uniform(0.8, 1))
        flip = rng.choice([-1, 1])
        outline = _STEAK * (1, flip) + rng.normal(0, 0.012, _STEAK.shape)
        fat = tint(rng, "#ecd3b0", "#e0b98c", "#f3e3d0")
        pen.fill(outline, lit(fat, 0.78))
        pen.fill(outline * 0.97, fat)
        pen.fill(outline * 0.86, lit(flesh, 0.85))
        pen.fill(outline * 0.8, flesh)
        if rng.random() < 0.6:
            stripes = np.linspace(-0.6, 0.6, rng.integers(4, 6))
            ends = np.sqrt(0.6 - 0.8 * stripes**2)
            marks = np.stack([np.stack([stripes - 0.2, -0.85 * ends], 1), np.stack([stripes + 0.1, 0.8 * ends], 1)], 1)
            pen.stroke(marks * 0.8, lit(flesh, 0.45), 0.075)
        else:
            veins = scatter(rng, 14, 0.52)[:, None] + np.cumsum(rng.normal(0, 0.07, (14, 4, 2)), 1)
            pen.stroke(veins, mixed(flesh, fat, 0.7), 0.03)
        if rng.random() < 0.5:
            bone = np.array([[[0.0, -0.6], [0.05, 0.15]], [[-0.3, -0.56], [0.3, -0.58]]]) * (1, flip)
            pen.stroke(bone, lit(fat, 0.8), 0.17)
            pen.stroke(bone, lit(fat, 1.04), 0.12)
        return
    n = rng.integers(1, 3)
    side = rng.choice([-1, 1])
    for i in range(n):
        lower = 0.42 * (2 * i - 1) * (n > 1)
        _drumstick(pen.at(0, lower, turn=rng.uniform(-0.6, 0.6) * side + 0.4, size=1.1 - 0.22 * (n - 1)), flesh)


def _drumstick(pen: Pen, flesh: Colour) -> None:
    bone = (238, 226, 204)
    pen.prop.stroke(np.array([[0.2, 0.0], [0.82, 0.0]]), lit(bone, 0.9), 0.16)
    pen.prop.fill(ellipse(0.88, -0.1, 0.13, n=16), bone)
    pen.prop.fill(ellipse(0.88, 0.1, 0.13, n=16), bone)
    leg = smooth([(-0.95, 0), (-0.75, -0.45), (-0.3, -0.55), (0.15, -0.3), (0.55, -0.12), (0.58, 0.12), (0.15, 0.32),
                  (-0.3, 0.52), (-0.78, 0.42)])  # fmt: skip
    pen.fill(leg, lit(flesh, 0.75))
    pen.fill(leg * 0.9 + (-0.02, -0.03), flesh)
    pen.fill(leg * (0.6, 0.45) + (-0.1, -0.14), lit(flesh, 1.25))
    pen.fill(leg * (0.25, 0.16) + (-0.22, -0.26), lit(flesh, 1.7))


def noodles(pen: Pen, rng: np.random.Generator) -> None:
    """A nest of long strands, half of them in a bowl, with sauce or leaves on top."""
    pen = maybe_in_bowl(pen, rng)
    dough = tint(rng, "#f2d98a", "#ecc25c", "#f5e8c0", "#d98a45", "#c9a06a", "#b8854a")
    pen.fill(blob(rng, 0.05) * 0.97, lit(dough, 0.5))
    for shade in (0.82, 0.92, 1.0, 0.88, 1.06, 0.95, 1.08, 1.0):
        n = 6
        # each strand runs round a center of its own, so that the strands cross
        radius = rng.uniform(0.2, 0.74, (n, 1))
        t = rng.uniform(0, 2 * np.pi, (n, 1)) + np.linspace(0, 1, 13) * rng.uniform(2, 4, (n, 1))
        wave = radius * (1 + 0.09 * np.sin(t * rng.uniform(2, 5, (n, 1))))
        strands = np.stack([wave * np.cos(t), wave * np.sin(t)], 2) + scatter(rng, n, 0.22)[:, None]
        pen.stroke(strands, lit(dough, 0.58), 0.115)
        pen.stroke(strands, lit(dough, shade), 0.07)
    topping = rng.integers(4)
    if topping == 0:
        sauce = tint(rng, "#b3271e", "#7a4a24", "#c9502a", "#3f7a34")
        pen.fill(blob(rng, 0.2) * 0.36, lit(sauce, 0.85))
        pen.fill(blob(rng, 0.2) * 0.28, sauce)
    elif topping == 1:
        for x, y in scatter(rng, 3, 0.45):
            pen.fill(ellipse(x, y, 0.19), (92, 52, 32))
            pen.fill(ellipse(x - 0.05, y - 0.05, 0.1), (135, 84, 54))
    if topping < 3:
        for x, y in scatter(rng, 3, 0.4):
            leaf(pen.at(x, y, turn=rng.uniform(0, 6), size=0.17), tint(rng, "#3f8a36", "#5aa544"))


def rice(pen: Pen, rng: np.random.Generator) -> None:
    """A mound of grains, half of them in a bowl, plain or mixed with vegetables."""
    pen = maybe_in_bowl(pen, rng)
    grain = tint(rng, "#f7f4ec", "#f7f4ec", "#f3e2a8", "#eac66c", "#d8ae7c", "#e8c9a0", "#e0a060", wobble=9)
    pen.fill(blob(rng, 0.05) * 0.93, lit(grain, 0.66))
    n = 42
    for shade in (0.78, 0.92, 0.84, 1.0, 0.9, 1.06):
        middle, turn = scatter(rng, n, 0.86), rng.uniform(0, np.pi, n)
        half = 0.062 * np.stack([np.cos(turn), np.sin(turn)], 1)
        grains = np.stack([middle - half, middle + half], 1)
        pen.stroke(grains + 0.012, lit(grain, shade * 0.7), 0.075)
        pen.stroke(grains, lit(grain, shade), 0.055)
    mixed_in = rng.integers(3)
    if mixed_in == 1:
        pen.dots(scatter(rng, 9, 0.8), 0.07, tint(rng, "#5d9c3a", "#79b84a"))
        for x, y in scatter(rng, 8, 0.8):
            pen.at(x, y, turn=rng.uniform(0, 3)).fill(box(0, 0, 0.12, 0.12), tint(rng, "#e8822c", "#d9502c"))
    elif mixed_in == 2:
        pen.dots(scatter(rng, 22, 0.4), 0.022, tint(rng, "#2b2420", "#2f6a2c"))


def seafood(pen: Pen, rng: np.random.Generator) -> None:
    """A whole fish, or a few shrimps."""
    if rng.random() < 0.7:
        pen = pen.at(0, 0, turn=rng.uniform(0, 2 * np.pi), squash=rng.choice([-1, 1]) * rng.uniform(0.95, 1.3))
        _fish(pen, rng)
        return
    shell = tint(rng, "#f08a5c", "#f4a58a", "#e0603c", "#b8a89a", "#f2c0a8")
    start = rng.uniform(0, 6)
    n = rng.integers(2, 4)
    for angle in start + np.arange(n) * 2 * np.pi / n:
        _shrimp(pen.at(0.46 * np.cos(angle), 0.46 * np.sin(angle), turn=rng.uniform(0, 6), size=0.6), shell)


def _fish(pen: Pen, rng: np.random.Generator) -> None:
    scale = tint(rng, "#9fb0bd", "#d0705a", "#e39a4c", "#7d8f72", "#b9a06a", "#6f86a8", "#8a5a3a")
    belly = mixed(scale, (250, 244, 232), 0.6)
    fin = lit(scale, 0.68)
    pen.fill(np.array([[0.6, 0], [1.05, -0.42], [0.92, 0], [1.05, 0.42]]), fin)
    pen.fill(smooth([(-0.4, -0.3), (-0.15, -0.6), (0.25, -0.52), (0.4, -0.2)]), fin)
    pen.fill(smooth([(-0.1, 0.3), (0.15, 0.56), (0.3, 0.25)]), fin)
    pen.fill(_FISH, lit(scale, 0.8))
    pen.fill(_FISH * (0.97, 0.9) + (-0.01, 0.02), scale)
    pen.fill(_FISH * (0.88, 0.5) + (-0.02, 0.13), belly)
    x, y = (axis.ravel() for axis in np.meshgrid(np.linspace(-0.28, 0.5, 8), np.linspace(-0.18, 0.18, 4)))
    t = np.linspace(-1.2, 1.2, 5)
    arcs = np.stack([x[:, None] + 0.06 * np.cos(t), (y * (1 - 0.7 * x))[:, None] + 0.07 * np.sin(t)], 2)
    pen.stroke(arcs, lit(scale, 0.62), 0.022)
    pen.stroke(np.stack([-0.5 + 0.1 * np.cos(t), 0.24 * np.sin(t)], 1), lit(scale, 0.5), 0.045)
    pen.fill(smooth([(-0.3, 0.05), (-0.05, 0.02), (-0.02, 0.2), (-0.25, 0.16)]), fin)
    pen.fill(ellipse(-0.7, -0.07, 0.085, n=16), (245, 240, 225))
    pen.fill(ellipse(-0.7, -0.07, 0.05, n=12), (20, 20, 25))
    pen.stroke(np.array([[-0.98, 0.05], [-0.82, 0.08]]), lit(scale, 0.4), 0.03)


def _shrimp(pen: Pen, shell: Colour) -> None:
    angles = np.linspace(-2.6, 1.3, 8)
    end = 0.62 * np.array([np.cos(1.75), np.sin(1.75)])
    pen.fill(np.array([end + (0.1, -0.06), end + (-0.42, 0.05), end + (-0.45, 0.34)]), lit(shell, 0.7))
    for i, t in enumerate(angles[::-1]):
        size = 0.17 + 0.022 * i
        pen.fill(ellipse(0.62 * np.cos(t), 0.62 * np.sin(t), size + 0.03, n=18), lit(shell, 0.62))
        pen.fill(ellipse(0.62 * np.cos(t), 0.62 * np.sin(t), size, n=18), lit(shell, 1.0 if i % 2 else 1.12))
    head = 0.62 * np.array([np.cos(-2.6), np.sin(-2.6)])
    pen.fill(ellipse(head[0] - 0.12, head[1] + 0.02, 0.05, n=10), (25, 20, 20))
    pen.stroke(np.array([head + (-0.2, 0.1), head + (-0.45, 0.5), head + (-0.35, 0.9)]), lit(shell, 0.7), 0.04)
    pen.stroke(np.array([head + (-0.15, 0.2), head + (-0.2, 0.6), head + (0.0, 0.8)]), lit(shell, 0.7), 0.04)


def soup(pen: Pen, rng: np.random.Generator) -> None:
    """A bowl of soup: clear, creamy or thick, with something afloat."""
    pen = bowl(pen, rng).at(size=1.06)
    broth = tint(rng, "#c9432a", "#e08a2c", "#d9b45a", "#7f9a45", "#8a2f45", "#e9d9b0", "#a06a35", "#5f3a22", wobble=10)
    pen.fill(ellipse(), lit(broth, 0.8))
    pen.fill(ellipse(0, 0.04, 0.93), broth)
    afloat = rng.integers(4)
    if afloat == 0:
        t = np.linspace(0, 12, 40)
        swirl = np.stack([0.055 * t * np.cos(t), 0.055 * t * np.sin(t)], 1)
        pen.stroke(swirl, mixed(broth, (255, 250, 238), 0.85), 0.07)
    elif afloat == 1:
        for x, y in scatter(rng, 7, 0.68):
            bit = tint(rng, "#e08a3c", "#f0e4c0", "#6fa84a", "#c9462c")
            pen.at(x, y, turn=rng.uniform(0, 3)).fill(box(0, 0, 0.26, 0.22), lit(bit, 0.75))
            pen.at(x - 0.02, y - 0.02, turn=rng.uniform(0, 3)).fill(box(0, 0, 0.2, 0.17), bit)
    elif afloat == 2:
        for x, y in scatter(rng, 16, 0.78):
            pen.stroke(ellipse(x, y, rng.uniform(0.04, 0.12), n=14), lit(broth, 1.25), 0.025, closed=True)
    else:
        pen.fill(blob(rng, 0.2) * 0.3, mixed(broth, (255, 252, 245), 0.9))
    for x, y in scatter(rng, int(rng.integers(3, 14)), 0.7):
        leaf(pen.at(x, y, turn=rng.uniform(0, 6), size=0.09), tint(rng, "#3f8a36", "#2f6a2c"))
    t = np.linspace(3.5, 4.6, 8)
    pen.stroke(0.8 * np.stack([np.cos(t), np.sin(t)], 1), mixed(broth, (255, 255, 255), 0.65), 0.06)


PAINTERS = [bread, dairy, dessert, egg, fried, meat, noodles, rice, seafood, soup, vegetables]
