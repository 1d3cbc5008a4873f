"""Reads one photo safely: any format and mode becomes an upright RGB image, alpha over white, or one sentence."""

import io
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image, ImageOps

from ..errors import UserError, how_to_add

# Entering and leaving warnings.catch_warnings is not thread-safe, and loaders read from several threads.
_one_at_a_time = threading.RLock()

_IPHONES = (b"heic", b"heix", b"hevc", b"mif1", b"msf1")  # brands of the files of iPhones


@contextmanager
def quiet_pillow() -> Iterator[None]:
    """Keep Pillow from warning about odd photos: what matters of it we say ourselves, in one sentence."""
    with _one_at_a_time, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def read_photo(path: str | Path) -> Image.Image:
    """Return a photo as an upright RGB image, whatever it was: gray, CMYK, 16 bits, palette, transparent, animated.

    Transparent parts become white, an animation its first frame. UserError for what is no readable image.
    """
    with quiet_pillow():
        return decode_photo(Path(path))[0]


def decode_photo(path: Path) -> tuple[Image.Image, str]:
    """Return the RGB image and the mode it was stored in; the caller holds quiet_pillow, once for many threads."""
    if not path.is_file():
        raise UserError(f'"{path}" must be a photo, but there is no such file: check the path')
    iphones = path.suffix.lower() in (".heic", ".heif")
    if iphones and not _reads_heif():
        raise _needs_heif(path)
    try:
        with path.open("rb") as file:
            return _decoded(file, str(path), None)
    except PermissionError:
        raise UserError(f'"{path}" must be readable, but permission was denied: check who owns the file') from None


def read_photo_bytes(content: bytes, name: str, most_pixels: int) -> Image.Image:
    """Return what `read_photo` returns for a file of this content; UserError for one of more pixels than `most_pixels`.

    name: what the sentences of the errors call it.
    """
    with quiet_pillow():
        if content[4:8] == b"ftyp" and content[8:12] in _IPHONES and not _reads_heif():
            raise _needs_heif(name)
        return _decoded(io.BytesIO(content), name, most_pixels)[0]


def _decoded(file: IO[bytes], name: str, most_pixels: int | None) -> tuple[Image.Image, str]:
    """Return the RGB image of an open file and the mode it was stored in; the size is looked at before the pixels."""
    try:
        with Image.open(file) as opened:
            if most_pixels is not None and opened.width * opened.height > most_pixels:
                raise _TooLarge
            opened.load()
            image: Image.Image = opened
            with suppress(Exception):  # a broken EXIF block only costs the rotation
                image = ImageOps.exif_transpose(opened)
            return _to_rgb(image), image.mode
    except Image.UnidentifiedImageError:
        raise UserError(f'"{name}" must be an image, but no known image format fits: convert it to JPEG') from None
    except (Image.DecompressionBombError, _TooLarge):
        most = (most_pixels or 2 * (Image.MAX_IMAGE_PIXELS or 0)) // 10**6
        raise UserError(f'"{name}" must have at most {most} million pixels, but has more: make it smaller') from None
    except Exception as error:  # each of Pillow's decoders breaks in its own way: OSError, SyntaxError, struct.error
        raise UserError(f'"{name}" must be a whole image, but it is damaged or cut off ({error}): '
                        "get it again") from None  # fmt: skip


class _TooLarge(Exception):
    """More pixels than the caller takes."""


def _needs_heif(name: object) -> UserError:
    return UserError(f'"{name}" is in the format of iPhones: convert it to JPEG, or {how_to_add("heic")}')


@cache
def _reads_heif() -> bool:
    """Tell whether Pillow reads HEIC, and let it."""
    try:
        from pillow_heif import register_heif_opener  # late: an extra
    except ImportError:
        return False
    register_heif_opener()
    return True


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):  # convert() would clip all above 255 to white
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    if image.mode in ("I", "F"):  # no agreed range: stretch from darkest to brightest
        values = np.nan_to_num(np.asarray(image, dtype=np.float64), posinf=0, neginf=0)
        stretched = (values - values.min()) / max(np.ptp(values), 1e-12) * 255
        return Image.fromarray(stretched.astype(np.uint8)).convert("RGB")
    if "transparency" in image.info or image.mode in ("RGBA", "LA", "PA", "RGBa", "La"):
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image.convert("RGB")
