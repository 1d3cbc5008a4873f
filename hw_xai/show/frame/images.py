"""Pictures in and out: anything image-like becomes (H,W,3) uint8, and uint8 becomes files, data URIs and outlines."""

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image

from ...files import atomic
from .colours import NIGHT, colour, levels, over, table
from .normalize import scale


def to_rgb(image: ArrayLike) -> np.ndarray:
    """Return (H,W,3) uint8 of an (H,W,3) or (3,H,W) image, uint8 or float in [0,1], or of an unsigned (H,W) map."""
    if hasattr(image, "detach"):
        image = image.detach().cpu()
    picture = np.asarray(image)
    if picture.ndim == 2:
        return over(colour(scale(picture, signed=False), signed=False), NIGHT)
    if picture.ndim == 3 and picture.shape[-1] != 3 and picture.shape[0] == 3:
        picture = np.moveaxis(picture, 0, -1)
    if picture.ndim != 3 or picture.shape[-1] != 3:
        raise ValueError(f"`image` must be (H,W,3), (3,H,W) or (H,W), got the shape {picture.shape}")
    if picture.dtype != np.uint8:
        picture = np.round(255 * np.clip(np.nan_to_num(picture), 0, 1)).astype(np.uint8)
    return picture


def photo_uri(image: np.ndarray) -> str:
    """Encode a photo (H,W,3) uint8 as a data URI."""
    return data_uri(encoded(Image.fromarray(image), "WEBP", quality=88, method=4), "WEBP")


def heatmap_uri(scaled: np.ndarray, signed: bool) -> str:
    """Encode a scaled map (H,W) as the data URI of a transparent PNG.

    A heatmap has 255 levels, so the PNG holds the levels and the colour table: a third of the bytes of RGBA.
    """
    picture = Image.fromarray(levels(scaled, signed))
    picture.putpalette(table(signed)[:, :3].tobytes())
    return data_uri(encoded(picture, "PNG", transparency=table(signed)[:, 3].tobytes()), "PNG")


def save_picture(image: ArrayLike, path: str | Path) -> Path:
    """Write an image as a PNG, whole or not at all."""
    with atomic(path) as temporary:
        Image.fromarray(to_rgb(image)).save(temporary, "PNG")
    return Path(path)


def outline(mask: ArrayLike) -> list[np.ndarray]:
    """Trace a mask (H,W) bool as closed polygons (K,2) of (x, y); pixel [i, j] covers x j..j+1 and y i..i+1.

    The steps between pixels are smoothed by up to 0.6 of a pixel.
    """
    # late: `import hw_xai.show` does without scikit-image
    from skimage.measure import approximate_polygon, find_contours

    padded = np.pad(np.asarray(mask, dtype=float), 1)  # so that a mask touching the border is closed along it
    polygons = (approximate_polygon(contour, tolerance=0.6) for contour in find_contours(padded, 0.5))
    # from the centres of the padded pixels (row, column) to the corners of the picture's (x, y)
    return [np.clip(polygon[:, ::-1] - 0.5, 0, np.shape(mask)[::-1]) for polygon in polygons]


def encoded(picture: Image.Image, kind: str, **options: Any) -> bytes:
    """Return a picture as the content of a file of a kind such as PNG; options: Pillow's for that kind."""
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def data_uri(content: bytes, kind: str) -> str:
    """Return the file of an image, of a kind such as PNG, as a data URI."""
    return f"data:image/{kind.lower()};base64,{base64.b64encode(content).decode()}"
