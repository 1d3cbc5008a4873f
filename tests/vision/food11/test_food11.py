"""Food-11 in every layout, and photos of every kind."""

import io
import os
import struct
import threading
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hw_xai.errors import UserError
from hw_xai.vision.food11.layout import CLASSES, UNKNOWN, Food11, class_index, find_photos
from hw_xai.vision.food11.reading import read_photo


def photo(path: Path, color: tuple[int, int, int] = (200, 100, 50)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8), color).save(path)
    return path


def read(root: Path, split: str) -> list[tuple[str, int]]:
    data = Food11(root, split)
    return [(path.relative_to(root).as_posix(), target) for path, target in zip(data.paths, data.targets, strict=True)]


# ---- classes


@pytest.mark.parametrize(
    ("name", "index"),
    [("Bread", 0), ("noodles/pasta", 6), ("Noodles-Pasta", 6), ("vegetable_fruit", 10), ("DAIRY PRODUCT", 1),
     ("10", 10), ("03", 3), (" 7 ", 7), (5, 5)],
)  # fmt: skip
def test_class_index_reads_names_and_numbers(name, index):
    assert class_index(name) == index


@pytest.mark.parametrize("name", ["11", "-1", "", "1e1", "²", "99999999999999999999", "None", "3 Egg"])
def test_class_index_refuses_what_is_no_class(name):
    with pytest.raises(UserError, match=r"class must be 0 to 10 or one of Bread, .*Vegetable/Fruit, got"):
        class_index(name)


def test_class_index_suggests_the_nearest():
    with pytest.raises(UserError, match='Did you mean "Seafood"'):
        class_index("seefood")
    with pytest.raises(UserError, match='Did you mean "Noodles/Pasta"'):
        class_index("noodles")


# ---- layouts


@pytest.mark.parametrize(
    ("asked", "folder"),
    [("training", "training"), ("train", "training"), ("training", "train"), ("Train", "Training"),
     ("validation", "val"), ("valid", "validation"), ("val", "valid"),
     ("testing", "evaluation"), ("test", "testing"), ("evaluation", "test")],
)  # fmt: skip
def test_split_goes_by_every_alias(tmp_path, asked, folder):
    photo(tmp_path / folder / "4_0.jpg")
    assert read(tmp_path, asked) == [(f"{folder}/4_0.jpg", 4)]


@pytest.mark.parametrize("above", [".", "food-11", "data/food11"])
def test_root_may_lie_above(tmp_path, above):
    photo(tmp_path / above / "training" / "10_3.jpg")
    assert [target for _, target in read(tmp_path, "training")] == [10]


def test_files_come_in_number_order(tmp_path):
    for name in ("10_1", "2_10", "2_9", "0_100", "0_99", "0_9"):
        photo(tmp_path / "training" / f"{name}.jpg")
    names = [path.stem for path in Food11(tmp_path).paths]
    assert names == ["0_9", "0_99", "0_100", "2_9", "2_10", "10_1"]


def test_labeled_and_unlabeled_folders(tmp_path):
    photo(tmp_path / "training/labeled/03/7.jpg")
    photo(tmp_path / "training/labeled/10/0_2.jpg")  # the folder wins over the name
    photo(tmp_path / "training/unlabeled/00/8.jpg")
    photo(tmp_path / "testing/00/0001.jpg")
    assert read(tmp_path, "train") == [("training/labeled/03/7.jpg", 3), ("training/labeled/10/0_2.jpg", 10)]
    assert read(tmp_path, "unlabeled") == [("training/unlabeled/00/8.jpg", UNKNOWN)]
    assert read(tmp_path, "test") == [("testing/00/0001.jpg", UNKNOWN)]


def test_kaggle_class_folders(tmp_path):
    spelled = [name.replace("/", "-") for name in CLASSES]
    for name in spelled:
        photo(tmp_path / "training" / name / "0.jpg")
    assert {Path(path).parts[1]: target for path, target in read(tmp_path, "training")} == {
        name: index for index, name in enumerate(spelled)
    }


def test_numbers_only_testing_is_unknown(tmp_path):
    for number in (10, 9, 1):
        photo(tmp_path / "test" / f"{number:04}.jpg")
    assert read(tmp_path, "test") == [(f"test/{number:04}.jpg", UNKNOWN) for number in (1, 9, 10)]


def test_litter_is_ignored(tmp_path):
    photo(tmp_path / "food-11/training/0_0.jpg")
    photo(tmp_path / "__MACOSX/food-11/training/._0_0.jpg")
    photo(tmp_path / "__MACOSX/food-11/training/0_0.jpg")
    photo(tmp_path / "food-11/training/._0_1.jpg")
    photo(tmp_path / "food-11/training/.cache/0_2.jpg")
    (tmp_path / "food-11/training/.DS_Store").write_bytes(b"x")
    (tmp_path / "food-11/training/Thumbs.db").write_bytes(b"x")
    assert read(tmp_path, "training") == [("food-11/training/0_0.jpg", 0)]


def test_loose_photos_take_any_name(tmp_path):
    for name in ("0_0.jpg", "9_9.JPG", "IMG_0001.jpeg", "cat.png", "20240101_120000.jpg", "11_1.jpg"):
        photo(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no photo")
    found = dict(read(tmp_path, "photos"))
    assert found == {"0_0.jpg": 0, "9_9.JPG": 9, "IMG_0001.jpeg": -1, "cat.png": -1,
                     "20240101_120000.jpg": -1, "11_1.jpg": -1}  # fmt: skip


def test_items_are_rgb_images_or_what_the_transform_makes(tmp_path):
    photo(tmp_path / "training/5_0.png", (1, 2, 3))
    image, target = Food11(tmp_path)[0]
    assert (image.mode, image.getpixel((0, 0)), target) == ("RGB", (1, 2, 3), 5)
    data = Food11(tmp_path, transform=lambda image: image.size)
    assert data[0] == ((8, 8), 5)
    assert len(data) == 1
    assert data.classes == CLASSES


def test_mistakes_with_the_root_are_told(tmp_path):
    with pytest.raises(UserError, match="food-11 folder must exist"):
        Food11(tmp_path / "nowhere")
    with pytest.raises(UserError, match="must hold a folder training/ or train/, but it holds no split"):
        Food11(tmp_path)
    photo(tmp_path / "food11/training/0_0.jpg")
    with pytest.raises(UserError, match="must hold a folder validation/ .* but it holds training"):
        Food11(tmp_path, "valid")
    with pytest.raises(UserError, match='split must be one of .*got "trainning".*Did you mean "training"'):
        Food11(tmp_path, "trainning")
    photo(tmp_path / "food-11/training/0_0.jpg")
    with pytest.raises(UserError, match="one copy of food-11, but it holds 2"):
        Food11(tmp_path)


def test_a_labelled_split_refuses_photos_without_a_class(tmp_path):
    photo(tmp_path / "training/0_0.jpg")
    photo(tmp_path / "training/11_0.jpg")
    with pytest.raises(UserError, match=r"CLASS_INDEX.jpg .*but 1 do not, first .*11_0.jpg"):
        Food11(tmp_path)


def test_an_empty_split_is_told(tmp_path):
    (tmp_path / "training").mkdir()
    with pytest.raises(UserError, match="training split in .* must hold photos"):
        Food11(tmp_path)


# ---- one photo


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
    photo(tmp_path / "1.jpg")
    before = list(warnings.filters)
    threads = [threading.Thread(target=lambda: [read_photo(tmp_path / "1.jpg") for _ in range(20)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(warnings.filters) == before


# ---- naming photos


def test_files_folders_and_patterns_name_photos_once(tmp_path):
    two, ten, deep = (photo(tmp_path / name) for name in ("2.jpg", "10.png", "deep/1.jpg"))
    (tmp_path / "notes.txt").write_text("no photo")
    photo(tmp_path / "._2.jpg")
    assert find_photos([tmp_path]) == [two, ten]
    assert find_photos(tmp_path) == [two, ten]
    assert find_photos([str(tmp_path / "*.png"), two, tmp_path]) == [ten, two]
    assert find_photos([f"{tmp_path}/**/*.jpg"]) == [two, deep]
    odd = photo(tmp_path / "a[1].jpg")
    assert find_photos([odd]) == [odd]


def test_a_file_is_taken_at_its_word(tmp_path):
    """Whether it is an image is for read_photo to say, with a better sentence."""
    odd = tmp_path / "photo.heic"
    odd.write_bytes(b"x")
    assert find_photos([odd]) == [odd]


def test_naming_no_photo_is_told(tmp_path):
    (tmp_path / "notes.txt").write_text("no photo")
    with pytest.raises(UserError, match="at least one photo, folder or pattern"):
        find_photos([])
    with pytest.raises(UserError, match="must name at least one photo .*jpg"):
        find_photos([tmp_path])
    with pytest.raises(UserError, match="must name at least one photo"):
        find_photos([tmp_path / "*.txt"])
    with pytest.raises(UserError, match="but there is no such file"):
        find_photos([tmp_path / "none.jpg"])


def test_the_ten_real_photos_read_with_their_classes():
    folder = os.environ.get("HW_XAI_PHOTOS")
    if not folder:
        pytest.skip("HW_XAI_PHOTOS names no folder of real photos")
    data = Food11(Path(folder, "hw9_images"), "photos")
    assert data.targets == [0, 1, 1, 2, 2, 3, 5, 6, 8, 9]
    assert all(image.mode == "RGB" for image, _ in data)


def test_a_photo_of_an_iphone_is_read_or_the_extra_is_named(tmp_path, monkeypatch):
    from hw_xai.vision.food11 import reading

    heif = pytest.importorskip("pillow_heif")
    heif.from_pillow(Image.new("RGB", (40, 30), (200, 30, 30))).save(tmp_path / "phone.HEIC")
    assert find_photos([tmp_path]) == [tmp_path / "phone.HEIC"]
    assert read_photo(tmp_path / "phone.HEIC").size == (40, 30)
    monkeypatch.setattr(reading, "_reads_heif", lambda: False)
    with pytest.raises(UserError, match="uv sync --extra heic"):
        read_photo(tmp_path / "phone.HEIC")
