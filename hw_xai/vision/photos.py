"""Decoded photos with their class and their dish: what training on many dishes draws from."""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from ..errors import UserError
from .food11.layout import CLASSES, photos_below, split_folders, split_name, target_of
from .reading import read_photo


@dataclass(frozen=True)
class Photo:
    """One decoded photo: pixels (side, side, 3) uint8, its class index, its dish ("" where nobody wrote it down)."""

    name: str  # training/CLASS_INDEX
    pixels: np.ndarray
    target: int
    dish: str
    weight: float = 1.0  # the chance that an epoch draws it


def read_photos(root: str | Path, split: str, *, side: int = 128, weight: float = 1.0) -> list[Photo]:
    """Return the photos of a food-11 split in number order, none larger than side × side pixels.

    A manifest.csv beside the splits (columns split, class, index, dish) names the dishes. UserError for a photo without
    a class, and for a folder without the split.
    """
    split = split_name(split)
    folders = split_folders(root)
    if split not in folders:
        raise UserError(f'"{root}" must hold a folder {split}/, but it holds {", ".join(folders) or "no split"}')
    folder = folders[split]
    dishes = _dishes(folder.parent / "manifest.csv", split)
    photos = []
    for path in photos_below(folder):
        target = target_of(path.relative_to(folder))
        if not 0 <= target < len(CLASSES):
            raise UserError(f"every photo must tell its class as CLASS_INDEX.jpg, but {path} does not")
        photos.append(
            Photo(f"{split}/{path.stem}", _square(read_photo(path), side), target, dishes.get(path.stem, ""), weight)
        )
    return photos


def _dishes(manifest: Path, split: str) -> dict[str, str]:
    """Return {CLASS_INDEX: dish} of a split; empty where there is no manifest."""
    if not manifest.is_file():
        return {}
    with manifest.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    missing = {"split", "class", "index", "dish"} - set(rows[0] if rows else ())
    if missing:
        raise UserError(
            f"{manifest} must have the columns split, class, index, dish, but {', '.join(missing)} is missing"
        )
    return {f"{row['class']}_{row['index']}": row["dish"] for row in rows if row["split"] == split}


def _square(image: Image.Image, side: int) -> np.ndarray:
    """Return the image as (s, s, 3) uint8 with s = min(side, its longer edge): nothing is blown up here."""
    size = min(side, max(image.size))
    return np.asarray(image if image.size == (size, size) else image.resize((size, size), Image.Resampling.BILINEAR))


def hold_out(photos: Sequence[Photo], dishes: Iterable[str]) -> tuple[list[Photo], list[Photo]]:
    """Return (the photos to train on, those of the dishes held out); UserError for a dish that no photo shows."""
    held = set(dishes)
    unknown = held - {photo.dish for photo in photos}
    if unknown:
        raise UserError(f"the dishes held out must be in the photos, but {sorted(unknown)[0]} is not")
    return [photo for photo in photos if photo.dish not in held], [photo for photo in photos if photo.dish in held]


def at_most(photos: Iterable[Photo], n_each: int) -> list[Photo]:
    """Return the photos without those that come after the first `n_each` of their dish."""
    counts: dict[str, int] = {}
    kept = []
    for photo in photos:
        counts[photo.dish] = counts.get(photo.dish, 0) + 1
        if counts[photo.dish] <= n_each:
            kept.append(photo)
    return kept


def sharper(photos: Sequence[Photo], others: Iterable[Photo]) -> list[Photo]:
    """Return the photos with the pixels that `others` give under the same name, where they have more of them."""
    by_name = {photo.name: photo.pixels for photo in others}
    return [
        replace(photo, pixels=by_name[photo.name]) if len(by_name.get(photo.name, ())) > len(photo.pixels) else photo
        for photo in photos
    ]
