"""The two colour maps of hw_xai, as numpy tables: the page, the figures and the legends all take theirs from here.

Signed maps: blue (against) over nothing to red (for). Unsigned maps: nothing over violet and orange to pale yellow.
"Nothing" is transparent: where a map is silent, the photo shows through.
"""

import numpy as np
from numpy.typing import ArrayLike

from .normalize import scale

LEVELS = 255  # odd, so that level 127 is exactly zero in a signed map

_BLUE = ["#8fbcff", "#3f83f2", "#124fc4"]
_RED = ["#ff9c86", "#ee4434", "#b30d24"]
_FIRE = ["#14082f", "#471677", "#8f2580", "#cf4264", "#f47a42", "#fdbb45", "#fcf7b8"]
PAPER = "#f6f5f2"  # behind a signed map that is shown without its photo
NIGHT = _FIRE[0]  # behind an unsigned one


def table(signed: bool) -> np.ndarray:
    """Return the colours (LEVELS, 4) uint8, RGBA, from the lowest value to the highest."""
    return _SIGNED if signed else _UNSIGNED


def levels(scaled: ArrayLike, signed: bool) -> np.ndarray:
    """Turn scaled values (from `scale`) into indices of `table`, uint8."""
    scaled = np.asarray(scaled)
    unit = (scaled + 1) / 2 if signed else scaled
    return np.round(np.clip(unit, 0, 1) * (LEVELS - 1)).astype(np.uint8)


def colour(scaled: ArrayLike, signed: bool) -> np.ndarray:
    """Colour scaled values (H,W) as (H,W,4) uint8."""
    return table(signed)[levels(scaled, signed)]


def overlay(image: np.ndarray, heatmap: ArrayLike, signed: bool) -> np.ndarray:
    """Lay a heatmap (H,W) over the muted photo (H,W,3) uint8 of the same size. Returns (H,W,3) uint8."""
    if np.shape(heatmap) != image.shape[:2]:
        raise ValueError(f"`heatmap` must be {image.shape[:2]} like the image, got the shape {np.shape(heatmap)}")
    return over(colour(scale(heatmap, signed=signed), signed), mute(image, signed))


def mute(image: np.ndarray, signed: bool) -> np.ndarray:
    """Turn a photo (H,W,3) uint8 grey: pale under a signed map, dark under an unsigned one, as its colours need."""
    grey = image @ np.array([0.299, 0.587, 0.114])
    grey = 128 + 0.48 * grey if signed else 0.42 * grey
    return np.repeat(np.round(grey).astype(np.uint8)[..., None], 3, axis=-1)


def over(front: np.ndarray, back: np.ndarray | str) -> np.ndarray:
    """Composite RGBA (...,4) uint8 over RGB (...,3) uint8 or one hex colour."""
    back = np.array(_rgb(back)) if isinstance(back, str) else back
    alpha = front[..., 3:] / 255
    return np.round(alpha * front[..., :3] + (1 - alpha) * back).astype(np.uint8)


def css_gradient(signed: bool, stops: int = 17) -> str:
    """Return the colour map as a CSS gradient, from low to high."""
    picked = table(signed)[np.linspace(0, LEVELS - 1, stops).round().astype(int)]
    colours = over(picked, PAPER if signed else NIGHT)
    return "linear-gradient(to right," + ",".join("#{:02x}{:02x}{:02x}".format(*rgb) for rgb in colours) + ")"


def _rgb(hexadecimal: str) -> list[int]:
    return [int(hexadecimal[i : i + 2], 16) for i in (1, 3, 5)]


def _ramp(anchors: list[str], n: int) -> np.ndarray:
    """Interpolate the hex `anchors` in OKLab, where equal steps look equal (Ottosson 2020). Returns (n,3) in 0..255."""
    linear = (np.array([_rgb(anchor) for anchor in anchors]) / 255) ** 2.2
    to_cones = np.array(
        [[0.4122214708, 0.5363325363, 0.0514459929], [0.2119034982, 0.6806995451, 0.1073969566],
         [0.0883024619, 0.2817188376, 0.6299787005]]
    )  # fmt: skip
    to_lab = np.array(
        [[0.2104542553, 0.7936177850, -0.0040720468], [1.9779984951, -2.4285922050, 0.4505937099],
         [0.0259040371, 0.7827717662, -0.8086757660]]
    )  # fmt: skip
    lab = np.cbrt(linear @ to_cones.T) @ to_lab.T
    position = np.linspace(0, len(anchors) - 1, n)
    mixed = np.stack([np.interp(position, range(len(anchors)), column) for column in lab.T], axis=-1)
    linear = (mixed @ np.linalg.inv(to_lab).T) ** 3 @ np.linalg.inv(to_cones).T
    return 255 * np.clip(linear, 0, 1) ** (1 / 2.2)


def _table(colours: np.ndarray, strength: np.ndarray, power: float) -> np.ndarray:
    """Join colours (LEVELS,3) with an opacity that grows with the strength in 0..1."""
    alpha = 255 * strength**power
    return np.round(np.concatenate([colours, alpha[:, None]], axis=1)).astype(np.uint8)


_HALF = LEVELS // 2
_SIGNED = _table(
    np.concatenate([_ramp(_BLUE, _HALF + 1)[:0:-1], _ramp(_RED, _HALF + 1)]),
    strength=np.abs(np.linspace(-1, 1, LEVELS)),
    power=0.8,
)
_UNSIGNED = _table(_ramp(_FIRE, LEVELS), strength=np.linspace(0, 1, LEVELS), power=0.9)
