"""One photo of any kind, whole or broken, becomes an upright RGB image or one sentence."""

import io
import struct
import threading
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image

from hw_xai.errors import UserError
from hw_xai.vision import reading
from hw_xai.vision.food11.layout import find_photos
from hw_xai.vision.reading import read_photo


def gradient(mode: str) -> Image.Image:
    ramp = np.linspace(0, 255, 64).astype(np.uint8).reshape(8, 8)
    return Image.fromarray(ramp).convert("RGB").convert(mode)


@pytest.mark.parametrize(
    ("mode", "suffix"),
    [("L", "jpg"), ("CMYK", "jpg"), ("RGB", "webp"), ("1", "png"), ("P", "gif"), ("LA", "png"), ("RGBA", "png"),
     ("YCbCr", "jpg"), ("LAB", "tif"), ("CMYK", "tif"), ("RGB", "bmp")],
)  # fmt: skip
def test_every_mode_becomes_rgb(tmp_path, mode, suffix):
    path = tmp_path / f"photo.{suffix}"
    gradient(mode).save(path)
    image = read_photo(path)
    assert (image.mode, image.size) == ("RGB", (8, 8))
    gray = np.asarray(image.convert("L")).ravel().astype(int)
    assert gray[0] < 40
    assert gray[-1] > 215


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_16_bits_keep_their_shades(tmp_path, suffix):
    values = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)
    Image.fromarray(values).save(tmp_path / f"deep.{suffix}")
    gray = np.asarray(read_photo(tmp_path / f"deep.{suffix}"))[..., 0]
    np.testing.assert_array_equal(gray, values >> 8)


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
def test_images_without_a_range_are_stretched(tmp_path, dtype):
    values = np.linspace(-1000, 70000, 64).astype(dtype).reshape(8, 8)
    Image.fromarray(values).save(tmp_path / "wide.tif")
    gray = np.asarray(read_photo(tmp_path / "wide.tif"))[..., 0]
    assert gray.min() == 0
    assert gray.max() >= 254
    Image.fromarray(np.full((8, 8), np.nan, dtype=np.float32)).save(tmp_path / "nan.tif")
    assert read_photo(tmp_path / "nan.tif").getextrema() == ((0, 0),) * 3


def test_transparency_becomes_white(tmp_path):
    clear = Image.new("RGBA", (8, 8), (255, 0, 0, 0))
    clear.putpixel((0, 0), (255, 0, 0, 255))
    clear.save(tmp_path / "clear.png")
    image = read_photo(tmp_path / "clear.png")
    assert image.getpixel((0, 0)) == (255, 0, 0)
    assert image.getpixel((7, 7)) == (255, 255, 255)


def test_a_palette_with_transparency_in_bytes_does_not_warn(tmp_path):
    palette = Image.new("P", (8, 8), 1)
    palette.putpalette([255, 0, 0, 0, 255, 0])
    palette.putpixel((0, 0), 0)
    palette.save(tmp_path / "palette.png", transparency=bytes([255, 0]))
    image = read_photo(tmp_path / "palette.png")
    assert image.getpixel((0, 0)) == (255, 0, 0)
    assert image.getpixel((7, 7)) == (255, 255, 255)


def test_an_animation_gives_its_first_frame(tmp_path):
    frames = [Image.new("RGB", (8, 8), color) for color in ("red", "blue")]
    for suffix in ("gif", "webp", "png"):
        options = {"lossless": True} if suffix == "webp" else {}
        frames[0].save(tmp_path / f"moving.{suffix}", save_all=True, append_images=frames[1:], **options)
        assert read_photo(tmp_path / f"moving.{suffix}").getpixel((0, 0)) == (255, 0, 0)


def test_a_photo_on_its_side_is_turned_upright(tmp_path):
    image = Image.new("RGB", (8, 4), "black")
    image.paste("white", (0, 0, 4, 4))
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise
    image.save(tmp_path / "side.png", exif=exif)
    upright = read_photo(tmp_path / "side.png")
    assert upright.size == (4, 8)
    assert upright.getpixel((0, 0)) == (255, 255, 255)
    assert upright.getpixel((0, 7)) == (0, 0, 0)


@pytest.mark.parametrize("exif", [b"garbage", b"II*\0\xff\xff\xff\xff", b"II*\0\x08\0\0\0\xff\xff"])
def test_a_broken_exif_block_costs_nothing(tmp_path, exif):
    Image.new("RGB", (8, 8), "red").save(tmp_path / "exif.jpg", exif=b"Exif\0\0" + exif)
    assert read_photo(tmp_path / "exif.jpg").size == (8, 8)


@pytest.mark.parametrize("content", [b"", b"no image at all", b"\xff\xd8\xff", b"<svg/>", b"PK\x03\x04"])
def test_what_is_no_image_is_told(tmp_path, content):
    (tmp_path / "odd.jpg").write_bytes(content)
    with pytest.raises(UserError, match=r'odd.jpg" must be an image, but no known image format fits'):
        read_photo(tmp_path / "odd.jpg")


@pytest.mark.parametrize("suffix", ["jpg", "png", "gif", "tif", "webp", "bmp"])
def test_an_image_cut_off_is_told(tmp_path, suffix):
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3)).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, {"jpg": "jpeg", "tif": "tiff"}.get(suffix, suffix))
    whole = buffer.getvalue()
    for kept in (0.9, 0.5, 0.1):
        (tmp_path / f"cut.{suffix}").write_bytes(whole[: int(len(whole) * kept)])
        with pytest.raises(UserError, match=rf'cut.{suffix}" must be (a whole|an) image'):
            read_photo(tmp_path / f"cut.{suffix}")


def png_that_claims(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


def test_a_decompression_bomb_is_refused(tmp_path):
    (tmp_path / "bomb.png").write_bytes(png_that_claims(60000, 60000))
    with pytest.raises(UserError, match=r'bomb.png" must have at most 178 million pixels'):
        read_photo(tmp_path / "bomb.png")


def test_a_missing_file_or_a_folder_is_told(tmp_path):
    for path in (tmp_path / "none.jpg", tmp_path):
        with pytest.raises(UserError, match="must be a photo, but there is no such file"):
            read_photo(path)


def test_reading_in_threads_leaves_the_warning_filters_as_they_were(tmp_path):
    Image.new("RGB", (8, 8), (200, 100, 50)).save(tmp_path / "1.jpg")
    before = list(warnings.filters)
    threads = [threading.Thread(target=lambda: [read_photo(tmp_path / "1.jpg") for _ in range(20)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(warnings.filters) == before


def test_a_photo_of_an_iphone_is_read_or_the_extra_is_named(tmp_path, monkeypatch):
    heif = pytest.importorskip("pillow_heif")
    heif.from_pillow(Image.new("RGB", (40, 30), (200, 30, 30))).save(tmp_path / "phone.HEIC")
    assert find_photos([tmp_path]) == [tmp_path / "phone.HEIC"]
    assert read_photo(tmp_path / "phone.HEIC").size == (40, 30)
    monkeypatch.setattr(reading, "_reads_heif", lambda: False)
    with pytest.raises(UserError, match="uv sync --extra heic"):
        read_photo(tmp_path / "phone.HEIC")
