"""Food-11 in every layout, and photos of every kind."""

import os
from pathlib import Path

import pytest
from PIL import Image

from hw_xai.errors import UserError
from hw_xai.vision.food11.layout import CLASSES, UNKNOWN, Food11, class_index, find_photos


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
