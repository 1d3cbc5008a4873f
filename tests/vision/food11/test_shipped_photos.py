"""The photos of food that come with the library: readable, small, licensed one by one, and found by name."""

import re
from pathlib import Path

import pytest

from hw_xai.files import shipped
from hw_xai.vision.food11.layout import CLASSES, SHIPPED_PHOTOS, find_photos, photos_in, target_of
from hw_xai.vision.reading import read_photo

PHOTOS = photos_in(shipped("photos"))


def rows() -> dict[str, list[str]]:
    """Return {file: [what, class, author, source, licence]} of the table in the photos' README."""
    lines = (shipped("photos") / "README.md").read_text(encoding="utf-8").splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if re.match(r"\| [0-9]+_", line)]
    return {name: rest for name, *rest in cells}


def test_a_dozen_photos_of_most_classes_in_less_than_a_megabyte():
    assert 11 <= len(PHOTOS) <= 16
    assert len({target_of(Path(photo.name)) for photo in PHOTOS}) >= 7
    assert sum(photo.stat().st_size for photo in PHOTOS) <= 1_000_000


@pytest.mark.parametrize("photo", PHOTOS, ids=lambda photo: photo.stem)
def test_each_photo_is_small_and_read_in_color(photo):
    assert photo.stat().st_size <= 60_000
    image = read_photo(photo)
    assert image.mode == "RGB"
    assert 128 <= max(image.size) <= 384


def test_each_photo_has_class_author_source_and_licence_in_the_readme():
    table = rows()
    assert sorted(table) == sorted(photo.name for photo in PHOTOS)
    for name, (_, label, author, source, licence) in table.items():
        assert CLASSES.index(label) == target_of(Path(name)), name
        assert author, name
        assert source, name
        assert re.match(r"BSD-3-Clause|public domain|CC0|CC-BY|MIT", licence), name


def test_shipped_photos_are_found_by_name_from_anywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_photos(SHIPPED_PHOTOS) == PHOTOS


def test_a_folder_of_ones_own_of_that_name_comes_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    own = tmp_path / SHIPPED_PHOTOS / "lunch.png"
    own.parent.mkdir()
    own.write_bytes(PHOTOS[0].read_bytes())
    assert [path.resolve() for path in find_photos(SHIPPED_PHOTOS)] == [own.resolve()]
