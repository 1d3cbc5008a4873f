"""hw-xai data check finds every fault that was put in, and no other."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hw_xai.errors import UserError
from hw_xai.vision.food11.check import check
from hw_xai.vision.food11.layout import UNKNOWN


@pytest.fixture
def root(tmp_path) -> Path:
    """A faultless food-11: two noise photos of each class in training, one in validation."""
    draws = np.random.default_rng(0)
    for split, each in (("training", 2), ("validation", 1)):
        (tmp_path / split).mkdir()
        for target in range(11):
            for index in range(each):
                pixels = draws.integers(0, 255, (8, 8, 3)).astype(np.uint8)
                Image.fromarray(pixels).save(tmp_path / split / f"{target}_{index}.png")
    return tmp_path


def test_a_faultless_folder_is_ok(root):
    report = check(root, progress=False)
    assert report.ok
    assert {split: counted.total() for split, counted in report.counts.items()} == {"training": 22, "validation": 11}
    table = report.table()
    assert "Nothing needs mending." in table
    assert "10 Vegetable/Fruit         2           1" in table


def test_unreadable_photos(root):
    (root / "training/0_2.jpg").write_bytes(b"no image")
    (root / "training/0_3.png").write_bytes((root / "training/0_0.png").read_bytes()[:-100])
    report = check(root, progress=False)
    assert not report.ok
    assert len(report.unreadable) == 2
    assert "Photos that cannot be read: 2" in report.table()
    assert "0_2.jpg" in report.table()


def test_photos_that_are_not_rgb_are_only_remarked(root):
    Image.open(root / "training/4_0.png").convert("L").save(root / "training/4_0.png")
    report = check(root, progress=False)
    assert report.ok
    assert report.converted == [(root / "training/4_0.png", "L")]
    assert "training/4_0.png (L)" in report.table()


def test_names_without_a_class(root):
    (root / "training/4_0.png").rename(root / "training/my_favourite.png")
    report = check(root, progress=False)
    assert report.nameless == [root / "training/my_favourite.png"]
    assert report.counts["training"][UNKNOWN] == 1
    assert not report.ok
    assert "unknown" in report.table()


def test_missing_classes(root):
    (root / "validation/7_0.png").unlink()
    report = check(root, progress=False)
    assert report.missing == [("validation", 7)]
    assert "7 Rice in validation" in report.table()


def test_leaks_are_found_by_pixels_even_when_the_bytes_differ(root):
    Image.open(root / "training/4_0.png").save(root / "validation/4_9.bmp")
    report = check(root, progress=False)
    assert report.leaks == [[root / "training/4_0.png", root / "validation/4_9.bmp"]]
    assert not report.conflicts
    assert not report.ok
    assert "training/4_0.png = validation/4_9.bmp" in report.table()


def test_one_photo_under_two_classes_is_a_conflict(root):
    Image.open(root / "training/4_0.png").save(root / "training/5_9.png")
    report = check(root, progress=False)
    assert report.conflicts == [[root / "training/4_0.png", root / "training/5_9.png"]]
    assert not report.leaks


def test_equal_bytes_of_another_shape_are_no_duplicate(root):
    Image.new("RGB", (4, 16), "red").save(root / "training/0_8.png")
    Image.new("RGB", (16, 4), "red").save(root / "validation/0_9.png")
    assert check(root, progress=False).ok


def test_a_test_split_may_be_unknown(root):
    (root / "testing").mkdir()
    Image.new("RGB", (8, 8)).save(root / "testing/0001.png")
    report = check(root, progress=False)
    assert report.ok
    assert report.counts["testing"] == {UNKNOWN: 1}


def test_long_findings_are_cut(root):
    for number in range(20):
        (root / f"training/0_{number + 10}.jpg").write_bytes(b"no image")
    assert "… and 15 more" in check(root, progress=False).table()


def test_loose_photos_can_be_checked(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "cat.png")
    report = check(tmp_path, progress=False)
    assert report.ok
    assert report.counts == {"photos": {UNKNOWN: 1}}
    assert "unknown" in report.table()


def test_nothing_to_check_is_told(tmp_path):
    with pytest.raises(UserError, match="food-11 folder must exist"):
        check(tmp_path / "none")
    with pytest.raises(UserError, match="at least one photo"):
        check(tmp_path)
    (tmp_path / "training").mkdir()
    with pytest.raises(UserError, match="its folders training hold none"):
        check(tmp_path)


def test_the_ten_real_photos_are_ok():
    folder = os.environ.get("HW_XAI_PHOTOS")
    if not folder:
        pytest.skip("HW_XAI_PHOTOS names no folder of real photos")
    report = check(Path(folder, "hw9_images"), progress=False)
    assert report.ok
    assert report.counts["photos"].total() == 10
