"""A pen that draws on layers, the shapes it draws, and how one layer settles on the picture below it.

Every picture is (S, S, 4) uint8: red, green, blue, and what the pixel is (NOTHING, PROP or FOOD). The fourth channel
rides along through every stroke, so the mask of the food is exact by construction: what is painted over is no longer
food. Shapes are (n, 2) arrays in a dish's own coordinates: the dish fills about the unit circle, x to the right,
y downwards.
"""

import colorsys
import math
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

Colour = tuple[float, float, float]
NOTHING, PROP, FOOD = 0, 128, 255
_SHIFT = 4  # OpenCV takes fixed-point coordinates: 4 bits are a sixteenth of a pixel
_ONE = 1 << _SHIFT
FLAT = 0.85  # the brightness of a level surface; slopes towards the light are brighter
_COARSE = 64  # shadows and relief are smooth, so they are worked out on this grid


@dataclass(frozen=True)
class Pen:
    """Draws on `pixels (S, S, 4)` in the coordinates of `frame (2, 3)`, an affine map from the dish to 1/16 pixels."""

    pixels: np.ndarray
    frame: np.ndarray
    kind: int = FOOD

    @classmethod
    def over(cls, pixels: np.ndarray, kind: int = FOOD) -> "Pen":
        """Return a pen on a layer (S, S, 4), whose unit circle touches the edges of the layer."""
        return cls(pixels, _ONE * len(pixels) / 2 * np.array([[1.0, 0.0, 1.0], [0.0, 1.0, 1.0]]), kind)

    def at(self, x: float = 0.0, y: float = 0.0, turn: float = 0.0, size: float = 1.0, squash: float = 1.0) -> "Pen":
        """Return a pen whose origin is (x, y), turned by `turn` radians, `size` times as large, y squashed first."""
        cos, sin = size * math.cos(turn), size * math.sin(turn)
        local = np.array([[cos, -sin * squash, x], [sin, cos * squash, y], [0.0, 0.0, 1.0]])
        return Pen(self.pixels, self.frame @ local, self.kind)

    @property
    def prop(self) -> "Pen":
        """The same pen, drawing what is not food."""
        return Pen(self.pixels, self.frame, PROP)

    def fill(self, points: np.ndarray, colour: Colour) -> None:
        cv2.fillPoly(self.pixels, [self._fixed(points)], (*colour, self.kind), cv2.LINE_8, _SHIFT)

    def stroke(self, points: np.ndarray, colour: Colour, width: float, closed: bool = False) -> None:
        """Draw one line (n, 2), or many at once (k, n, 2)."""
        fixed = self._fixed(points)
        lines = list(fixed) if fixed.ndim == 3 else [fixed]
        (a, b, _), (c, d, _) = self.frame.tolist()
        thickness = max(1, round(width * math.sqrt(abs(a * d - b * c)) / _ONE))
        cv2.polylines(self.pixels, lines, closed, (*colour, self.kind), thickness, cv2.LINE_8, _SHIFT)

    def dots(self, centers: np.ndarray, radius: float, colour: Colour) -> None:
        # a thick line from a point to itself is a disc, and one call draws them all
        self.stroke(np.repeat(centers[:, None], 2, 1), colour, 2 * radius)

    def _fixed(self, points: np.ndarray) -> np.ndarray:
        return np.rint(points @ self.frame[:, :2].T + self.frame[:, 2]).astype(np.int32)


def ellipse(x: float = 0.0, y: float = 0.0, rx: float = 1.0, ry: float | None = None, n: int = 36) -> np.ndarray:
    """Return the outline of an ellipse, or of a circle when `ry` is None."""
    return _circle(n) * (rx, rx if ry is None else ry) + (x, y)


@cache
def _circle(n: int) -> np.ndarray:
    t = np.linspace(0, 2 * np.pi, n, endpoint=False)
    return np.stack([np.cos(t), np.sin(t)], 1)


def box(x: float, y: float, width: float, height: float) -> np.ndarray:
    """Return the corners of an upright rectangle with its middle at (x, y)."""
    return np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * (width / 2, height / 2) + (x, y)


def squarish(power: float, n: int = 48) -> np.ndarray:
    """Return a superellipse: power 2 is a circle, larger powers go towards a rounded square."""
    circle = ellipse(n=n)
    return np.sign(circle) * np.abs(circle) ** (2 / power)


def blob(rng: np.random.Generator, rough: float = 0.1, waves: int = 5, n: int = 48) -> np.ndarray:
    """Return a wobbly circle: a radius of 1 plus `waves` random harmonics of total size about `rough`."""
    t = np.linspace(0, 2 * np.pi, n, endpoint=False)
    k = np.arange(2, 2 + waves)[:, None]
    sizes = rng.normal(0, rough, (waves, 1)) / np.sqrt(k)
    radius = 1 + (sizes * np.cos(k * t + rng.uniform(0, 2 * np.pi, (waves, 1)))).sum(0)
    return np.stack([radius * np.cos(t), radius * np.sin(t)], 1)


def smooth(points: list[tuple[float, float]], n: int = 6) -> np.ndarray:
    """Return the closed Catmull-Rom curve through `points`, with `n` steps between neighbours."""
    p1 = np.array(points, float)[:, None]  # (k, 1, 2)
    p0, p2, p3 = np.roll(p1, 1, 0), np.roll(p1, -1, 0), np.roll(p1, -2, 0)
    t = np.linspace(0, 1, n, endpoint=False)[:, None]
    curve = 2 * p1 + (p2 - p0) * t + (2 * p0 - 5 * p1 + 4 * p2 - p3) * t**2 + (3 * p1 - p0 - 3 * p2 + p3) * t**3
    return curve.reshape(-1, 2) / 2


def scatter(rng: np.random.Generator, n: int, radius: float = 1.0) -> np.ndarray:
    """Return `n` points spread evenly over a disc."""
    r, t = radius * np.sqrt(rng.random(n)), rng.uniform(0, 2 * np.pi, n)
    return np.stack([r * np.cos(t), r * np.sin(t)], 1)


def hsv(hue: float, saturation: float, value: float) -> Colour:
    """Return the colour of a hue in turns (0 red, 1/3 green, 2/3 blue), a saturation and a value in [0, 1]."""
    red, green, blue = colorsys.hsv_to_rgb(hue, saturation, value)
    return 255 * red, 255 * green, 255 * blue


def tint(rng: np.random.Generator, *palette: str, wobble: float = 10.0) -> Colour:
    """Return one of the #rrggbb colours of the palette, a little off."""
    code = int(palette[rng.integers(len(palette))][1:], 16)
    *off, brighter = rng.normal(0, wobble, 4).tolist()
    rgb = code >> 16, code >> 8 & 255, code & 255
    red, green, blue = (min(255.0, max(0.0, c + d + brighter)) for c, d in zip(rgb, off, strict=True))
    return red, green, blue


def any_colour(rng: np.random.Generator) -> Colour:
    """Return a colour of any hue; a third of them are greys, near white or near black."""
    grey = rng.random() < 0.35
    return hsv(rng.random(), rng.uniform(0, 0.1) if grey else rng.uniform(0.2, 0.85), rng.uniform(0.2, 1) ** 0.6)


def lit(colour: Colour, factor: float) -> Colour:
    """Return the colour `factor` times as bright."""
    red, green, blue = colour
    return min(255.0, factor * red), min(255.0, factor * green), min(255.0, factor * blue)


def mixed(first: Colour, second: Colour, share: float) -> Colour:
    """Return a blend: `share` of the second colour in the first."""
    red, green, blue = (a + share * (b - a) for a, b in zip(first, second, strict=True))
    return red, green, blue


def settle(
    picture: np.ndarray, layer: np.ndarray, scratch: np.ndarray, grain: np.ndarray, toward: np.ndarray, shadow: float
) -> None:
    """Lay `layer` on `picture` in place: it casts a shadow away from the light and gets relief and grain of its own.

    picture, layer, scratch: (S, S, 4), the last two are spoilt; grain: (64, 64) float around 0; toward: (2,) where the
    light comes from, its length in 1/64 of the side is how far the shadow reaches; shadow: how dark, 0 to 1.
    """
    _, there = cv2.threshold(cv2.extractChannel(layer, 3), NOTHING, 255, cv2.THRESH_BINARY)  # 255 where above
    if not cv2.countNonZero(there):
        return
    body = cv2.resize(there, (_COARSE, _COARSE), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    height = cv2.GaussianBlur(body, (0, 0), 1.6)
    away = np.array([[1, 0, -toward[0]], [0, 1, -toward[1]]])
    cast = cv2.warpAffine(height, away, height.shape, borderMode=cv2.BORDER_REPLICATE)
    _dim(picture, scratch, 1 - shadow * cast)
    # where the layer is higher than it is nearer to the light, its slope faces the light and is bright
    _dim(layer, scratch, FLAT * (1 + 0.3 * (height - cast) + grain))
    cv2.copyTo(layer, there, picture)


def _dim(picture: np.ndarray, scratch: np.ndarray, factor: np.ndarray) -> None:
    """Multiply red, green and blue by a factor (64, 64) of at most 1 in place; leave the fourth channel as it is."""
    factor = cv2.resize(np.clip(255 * factor, 0, 255).astype(np.uint8), picture.shape[:2])
    cv2.cvtColor(factor, cv2.COLOR_GRAY2BGRA, scratch)  # sets the fourth channel to 255; fresh memory would cost 100 us
    cv2.multiply(picture, scratch, picture, 1 / 255)
