"""The weights that ship do what their cards say."""

import os
import re
import zipfile
from pathlib import Path

import pytest
import torch
from PIL import Image

from hw_xai.files import shipped
from hw_xai.vision.dishes.synthetic import SyntheticFood11
from hw_xai.vision.food11.layout import Food11
from hw_xai.vision.networks import SHIPPED, load
from hw_xai.vision.preprocess import preprocessing

PHOTOS = os.environ.get("HW_XAI_PHOTOS")
needs_photos = pytest.mark.skipif(not PHOTOS, reason="HW_XAI_PHOTOS names no folder of real photos")


def accuracy(model, samples: list[tuple[torch.Tensor, int]]) -> float:
    with torch.no_grad():
        right = [
            (model(torch.stack([x for x, _ in samples[i : i + 64]])).argmax(1)
             == torch.tensor([target for _, target in samples[i : i + 64]])).float()
            for i in range(0, len(samples), 64)
        ]  # fmt: skip
    return torch.cat(right).mean().item()


def promised(name: str) -> float:
    """Return the top-1 accuracy that the card states."""
    card = shipped(f"{name}.md").read_text()
    return float(re.search(r"\| top-1 \| \*\*([01]\.\d+)\*\*", card)[1])


@pytest.mark.parametrize("name", SHIPPED)
def test_weights_are_small_and_have_a_card(name):
    assert shipped(SHIPPED[name]).stat().st_size <= 6_000_000
    assert promised(name) > 0.6


def test_foodnet_synthetic_knows_dishes_it_never_saw():
    dishes = SyntheticFood11(330, seed=12345, transform=preprocessing())
    found = accuracy(load("foodnet-synthetic"), [dishes[i] for i in range(len(dishes))])
    assert found >= 0.97


@needs_photos
def test_foodnet_photos_reaches_its_cards_accuracy(tmp_path):
    with zipfile.ZipFile(Path(PHOTOS) / "food11_photos.zip") as archive:
        archive.extractall(tmp_path, [name for name in archive.namelist() if "/validation/" in name])
    photos = Food11(tmp_path, "validation", transform=preprocessing())
    found = accuracy(load("foodnet-photos"), [photos[i] for i in range(len(photos))])
    assert found == pytest.approx(promised("foodnet-photos"), abs=0.005)


@needs_photos
def test_foodnet_photos_on_the_ten_photos():
    photos = Food11(Path(PHOTOS) / "hw9_images", "photos", transform=preprocessing())
    assert len(photos) == 10
    assert accuracy(load("foodnet-photos"), [photos[i] for i in range(10)]) >= 0.5


def test_predictions_do_not_depend_on_the_sharpness_of_the_file():
    """Weights trained on small photos must not be thrown by large ones."""
    dish = SyntheticFood11(11, size=512, seed=3)
    small = [preprocessing()(dish[i][0].resize((64, 64), Image.Resampling.BICUBIC)) for i in range(11)]
    large = [preprocessing()(dish[i][0]) for i in range(11)]
    model = load("foodnet-synthetic")
    with torch.no_grad():
        agree = model(torch.stack(small)).argmax(1) == model(torch.stack(large)).argmax(1)
    assert agree.float().mean() >= 0.8
