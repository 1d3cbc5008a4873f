"""Own classes: class folders of any names are learned as they are called, never by digits of file names."""

from pathlib import Path

import pytest
from PIL import Image

from hw_xai.cli import main
from hw_xai.errors import UserError
from hw_xai.models import load_model
from hw_xai.vision.folders import open_training_data
from hw_xai.vision.food11.layout import CLASSES


def photos(folder: Path, n: int, colour: tuple[int, int, int], name: str = "{}.png") -> None:
    folder.mkdir(parents=True)
    for i in range(n):
        Image.new("RGB", (32, 32), tuple(min(255, part + i) for part in colour)).save(folder / name.format(i))


def targets(dataset) -> list[int]:
    return [dataset[i][1] for i in range(len(dataset))]


def test_the_folders_are_the_classes_whatever_the_files_are_called(tmp_path):
    photos(tmp_path / "dog", 10, (200, 0, 0), "9_{}.png")  # food-11 would call these soups
    photos(tmp_path / "cat", 5, (0, 0, 200), "3_{}.png")
    data = open_training_data(tmp_path)
    assert data.classes == ("cat", "dog")
    assert sorted(targets(data.training)) == [0] * 4 + [1] * 8
    assert sorted(targets(data.validation)) == [0] + [1] * 2
    assert not set(data.training.paths) & set(data.validation.paths)
    assert open_training_data(tmp_path).training.paths == data.training.paths
    assert open_training_data(tmp_path, seed=1).validation.paths != data.validation.paths


def test_a_split_that_is_there_is_kept(tmp_path):
    for split, n in (("train", 4), ("val", 2)):
        photos(tmp_path / split / "cat", n, (0, 0, 200))
        photos(tmp_path / split / "dog", n, (200, 0, 0))
    data = open_training_data(tmp_path, images=3)
    assert (len(data.training), len(data.validation)) == (3, 4)
    photos(tmp_path / "val" / "cow", 1, (9, 9, 9))
    with pytest.raises(UserError, match="but it also holds cow"):
        open_training_data(tmp_path)


def test_food_11_stays_food_11(tmp_path):
    for split in ("training", "validation"):
        photos(tmp_path / split, 2, (9, 9, 9), "3_{}.png")
    data = open_training_data(tmp_path)
    assert data.classes == CLASSES
    assert "by the numbers of their file names" in data.note
    assert targets(data.training) == [3, 3]


def test_what_cannot_be_told_apart_is_refused(tmp_path):
    photos(tmp_path / "cat", 4, (0, 0, 200))
    with pytest.raises(UserError, match="at least two classes, but it holds cat alone"):
        open_training_data(tmp_path)
    photos(tmp_path / "dog", 1, (200, 0, 0))
    with pytest.raises(UserError, match="at least 2 photos, one to learn and one to judge, but dog has 1"):
        open_training_data(tmp_path)
    Image.new("RGB", (32, 32)).save(tmp_path / "5_1.png")
    with pytest.raises(UserError, match="1 lie beside the class folders, first 5_1.png"):
        open_training_data(tmp_path)


def test_training_on_own_classes_and_opening_what_came_of_it(tmp_path, capsys):
    photos(tmp_path / "own" / "red", 10, (200, 0, 0))
    photos(tmp_path / "own" / "blue", 10, (0, 0, 200))
    small = ["--epochs", "1", "--batch-size", "4", "--train-size", "32", "--eval-size", "32", "--images", "8"]
    run = ["train", "--data", str(tmp_path / "own"), "--out", str(tmp_path / "run"), *small]
    assert main(run) == 0
    said = capsys.readouterr()
    assert "classes: 2 class folders: blue, red" in said.err
    assert "red" in said.out
    loaded = load_model(tmp_path / "run" / "best.safetensors")
    assert (loaded.classes, loaded.size) == (("blue", "red"), 32)
    assert main(run) == 0, "the same command goes on, and finds all done"
