"""Photos with their dishes: read from a folder, held out by dish, taken from where they are sharper."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hw_xai.errors import UserError
from hw_xai.vision.photos import at_most, hold_out, read_photos, sharper


def archive(root: Path, side: int, manifest: bool = True) -> Path:
    """Six photos in two splits, three dishes."""
    rows = ["split,class,index,dish,source_path"]
    for split in ("training", "validation"):
        (root / split).mkdir(parents=True)
        for target, index, dish in [(0, 0, "bun"), (0, 1, "pizza"), (3, 0, "omelette")]:
            Image.new("RGB", (side, side), (40 * target, 90 * index, 7)).save(root / split / f"{target}_{index}.png")
            rows.append(f"{split},{target},{index},{dish},a:b")
    if manifest:
        (root / "manifest.csv").write_text("\n".join(rows))
    return root


def test_classes_dishes_and_pixels(tmp_path):
    photos = read_photos(archive(tmp_path, 20), "train", weight=0.3)
    assert [(p.name, p.target, p.dish) for p in photos] == [
        ("training/0_0", 0, "bun"),
        ("training/0_1", 0, "pizza"),
        ("training/3_0", 3, "omelette"),
    ]
    assert all(p.pixels.shape == (20, 20, 3) and p.pixels.dtype == np.uint8 and p.weight == 0.3 for p in photos)


def test_large_photos_are_made_small_and_small_ones_not_large(tmp_path):
    assert {len(p.pixels) for p in read_photos(archive(tmp_path / "a", 300), "validation")} == {128}
    assert {len(p.pixels) for p in read_photos(archive(tmp_path / "b", 30), "validation")} == {30}


def test_without_a_manifest_no_dish_is_known(tmp_path):
    assert {p.dish for p in read_photos(archive(tmp_path, 20, manifest=False), "training")} == {""}


def test_a_dish_held_out_is_in_no_training(tmp_path):
    training, held = hold_out(read_photos(archive(tmp_path, 20), "training"), ["pizza"])
    assert [p.dish for p in training] == ["bun", "omelette"]
    assert [p.dish for p in held] == ["pizza"]


def test_the_first_photos_of_each_dish(tmp_path):
    photos = read_photos(archive(tmp_path, 20), "training")
    assert [p.dish for p in at_most([*photos, photos[1]], 1)] == ["bun", "pizza", "omelette"]


def test_the_sharper_of_two_archives(tmp_path):
    small, large = (read_photos(archive(tmp_path / str(side), side), "training", weight=0.3) for side in (20, 40))
    made = sharper(small, large[1:])
    assert [len(p.pixels) for p in made] == [20, 40, 40]
    assert [p.weight for p in made] == [0.3] * 3
    assert [len(p.pixels) for p in sharper(large, small)] == [40] * 3


def test_what_a_user_may_get_wrong(tmp_path):
    root = archive(tmp_path, 20)
    with pytest.raises(UserError, match="but moussaka is not"):
        hold_out(read_photos(root, "training"), ["moussaka"])
    with pytest.raises(UserError, match="must hold a folder testing/"):
        read_photos(root, "testing")
    (root / "manifest.csv").write_text("split,class,index\ntraining,0,0\n")
    with pytest.raises(UserError, match="but dish is missing"):
        read_photos(root, "training")
    Image.new("RGB", (9, 9)).save(root / "training" / "lunch.png")
    (root / "manifest.csv").unlink()
    with pytest.raises(UserError, match=r"lunch\.png does not"):
        read_photos(root, "training")
