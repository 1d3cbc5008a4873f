"""Pictures of no food, from packages that are installed anyway and drawn: what a network should not know."""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image

from .photos import Photo
from .reading import read_photo

# (package, folder, files): photographs and scans; coffee.png is left out, a cup on a table is no stranger to food
_PICTURES = (
    (
        "skimage",
        "data",
        "astronaut.png brick.png camera.png cell.png chelsea.png clock_motion.png coins.png grass.png gravel.png "
        "horse.png hubble_deep_field.jpg ihc.png logo.png moon.png motorcycle_left.png page.png retina.jpg rocket.jpg "
        "text.png",
    ),
    ("sklearn", "datasets/images", "china.jpg flower.jpg"),
    ("matplotlib", "mpl-data/sample_data", "grace_hopper.jpg"),
)


def stranger_pictures(side: int = 128, n_drawn: int = 30, seed: int = 0) -> list[Photo]:
    """Return pictures of no food, at most side × side pixels, with target −1; `dish` says what each shows.

    Photographs and scans of scikit-image, scikit-learn and matplotlib (a person, a cat, a rocket, bricks, a page …),
    each whole and as two halves; and `n_drawn` drawn ones: noise, stripes, gradients, blots and charts. Files that a
    package no longer brings are left out.
    """
    made = []
    for package, folder, names in _PICTURES:
        spec = find_spec(package)
        root = Path(spec.origin).parent / folder if spec and spec.origin else Path()
        for name in names.split():
            if (root / name).is_file():
                made += [_photo(f"{package}/{name}", part, side) for part in _parts(read_photo(root / name))]
    source = np.random.default_rng(seed)
    for i in range(n_drawn):
        kind, draw = list(_DRAWN.items())[i % len(_DRAWN)]
        made.append(Photo(f"drawn/{kind}-{i}", draw(source, side), -1, f"drawn/{kind}"))
    return made


def _photo(name: str, image: Image.Image, side: int) -> Photo:
    size = min(side, max(image.size))
    return Photo(name, np.asarray(image.resize((size, size), Image.Resampling.BILINEAR)), -1, name)


def _parts(image: Image.Image) -> Iterator[Image.Image]:
    """Yield a picture and its two halves along its longer side."""
    wide, high = image.size
    yield image
    if wide >= high:
        yield image.crop((0, 0, wide // 2, high))
        yield image.crop((wide // 2, 0, wide, high))
    else:
        yield image.crop((0, 0, wide, high // 2))
        yield image.crop((0, high // 2, wide, high))


def _noise(source: np.random.Generator, side: int) -> np.ndarray:
    cells = int(source.choice([4, 16, side]))
    pixels = source.integers(0, 256, (cells, cells, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(pixels).resize((side, side), Image.Resampling.BICUBIC))


def _stripes(source: np.random.Generator, side: int) -> np.ndarray:
    y, x = np.mgrid[:side, :side] / side
    angle = source.uniform(0, np.pi)
    wave = np.sin((x * np.cos(angle) + y * np.sin(angle)) * source.uniform(10, 120)) > 0
    return source.integers(0, 256, (2, 3), dtype=np.uint8)[wave.astype(int)]


def _gradient(source: np.random.Generator, side: int) -> np.ndarray:
    corners = source.integers(0, 256, (2, 2, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(corners).resize((side, side), Image.Resampling.BILINEAR))


def _blots(source: np.random.Generator, side: int) -> np.ndarray:
    y, x = np.mgrid[:side, :side]
    pixels = np.full((side, side, 3), source.integers(0, 256, 3), np.uint8)
    for _ in range(12):
        left, top, wide, high = source.integers(0, side, 4)
        pixels[(abs(x - left) < wide // 4) & (abs(y - top) < high // 4)] = source.integers(0, 256, 3)
    return pixels


def _chart(source: np.random.Generator, side: int) -> np.ndarray:
    pixels = np.full((side, side, 3), 255, np.uint8)
    width = side // 8
    for i in range(6):
        height = int(source.integers(4, side - 4))
        pixels[side - height :, i * width + width : i * width + 2 * width - 3] = source.integers(0, 256, 3)
    return pixels


_DRAWN = {"noise": _noise, "stripes": _stripes, "gradient": _gradient, "blots": _blots, "chart": _chart}
