"""The same photo by two of anything, networks or classes: each answer, and where they differ."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import UserError
from ..models import Loaded
from ..show import Item, Tile, compare, save_png
from .pictures import Explained, Picture, explain_picture, stretched, write_explained

COLUMNS = 6  # of maps on a slide
DIFFERENCE = (
    "Each map divided by its strongest value, then one minus the other: red where the first says more for it, blue "
    "where the second does."
)


@dataclass(frozen=True)
class Variant:
    """One network asked about one class."""

    loaded: Loaded
    target: int | None  # None for the class that it predicts
    label: str  # what tells it from the others, "" where there is no other
    settings: Mapping[str, Any]


def variants(models: Sequence[tuple[Loaded, Mapping[str, Any]]], target: str | None) -> list[Variant]:
    """Return every network, with its settings, about every class in "A,B", or about the one that it predicts."""
    asked = [(*one, [None] if target is None else targets_of(one[0], target)) for one in models]
    several = any(len(classes) > 1 for *_, classes in asked)
    found = []
    for loaded, settings, classes in asked:
        for chosen in classes:
            parts = [_short(loaded.name)] * (len(models) > 1)
            parts += [loaded.classes[chosen]] * several if chosen is not None else []
            found.append(Variant(loaded, chosen, " · ".join(parts), settings))
    return found


def _short(name: str) -> str:
    """Return what a network is called in a title: a file by its stem."""
    return Path(name).stem if Path(name).exists() else name


def targets_of(loaded: Loaded, names: str) -> list[int]:
    """Return the classes in "A,B", each once; a class may have a comma in its name."""
    try:
        return [loaded.target(names)]
    except UserError:
        if "," not in names:
            raise
    return list(dict.fromkeys(loaded.target(name.strip()) for name in names.split(",") if name.strip()))


def explained_by(asked: Sequence[Variant], picture: Picture, methods: list[str]) -> Iterator[Explained]:
    """Yield what each variant answers about a picture, and after each but the first how it differs from the first."""
    first = None
    for variant in asked:
        name = picture.name + (f" {variant.label}" if variant.label else "")
        found = explain_picture(variant.loaded, replace(picture, name=name), methods, variant.target, variant.settings)
        yield replace(found, item=replace(found.item, tallied=len(asked) == 1))
        if first is None:
            first = variant, found
        elif found.complete:
            yield difference(picture.name, (first[0].label, variant.label), first[1], found)


def difference(name: str, labels: tuple[str, str], first: Explained, second: Explained) -> Explained:
    """Return the maps of the first less those of the second, each divided by its largest absolute value."""
    tiles, arrays = [], {}
    for one, other in zip(first.item.tiles, second.item.tiles, strict=True):
        tile = replace(one, heatmap=None, signed=True, text=DIFFERENCE, settings="", details={}, inside=None)
        if one.heatmap is None or other.heatmap is None:
            tile = replace(tile, error=one.error or other.error)
        else:
            arrays[one.method] = _scaled(one.heatmap) - stretched(_scaled(other.heatmap), one.heatmap.shape)
            tile = replace(tile, heatmap=arrays[one.method])
        tiles.append(tile)
    title = f"{name} {labels[0]} less {labels[1]}"
    item = Item(name=title, image=first.item.image, tiles=tiles, note=f"{labels[0]} less {labels[1]}")
    return Explained(item, arrays)


def _scaled(heatmap: np.ndarray) -> np.ndarray:
    most = np.abs(heatmap).max()
    return heatmap / most if most > 0 else heatmap


def write_compared(folder: Path, name: str, found: Sequence[Explained]) -> None:
    """Write what there is of one photo: maps and heatmaps of each answer, and all of them as NAME/figure.png.

    Where more methods answer than a slide has room for, the others are on NAME/figure-2.png and so on.
    """
    for one in found:
        same = one.item.name == name
        file = name if same else re.sub(r"[^\w.-]+", "-", one.item.name).strip("-")
        write_explained(folder, one if same else replace(one, item=replace(one.item, name=file)))
    for number, figure in enumerate(slides(found), start=1):
        save_png(figure, folder / name / f"figure{'' if number == 1 else f'-{number}'}.png")


def slides(found: Sequence[Explained]) -> Iterator:
    """Yield figures of one photo, a row for each answer and a column for each method that answers in all of them."""
    tiles: dict[str, list[Tile]] = {}
    for one in found:
        for tile in one.item.tiles:
            tiles.setdefault(tile.title, []).append(tile)
    maps = {
        title: [tile.heatmap for tile in row]
        for title, row in tiles.items()
        if len(row) == len(found) and all(tile.heatmap is not None for tile in row)
    }
    captions = [_caption(one, several=len(found) > 1) for one in found]
    images, masks = [one.item.image for one in found], [one.item.mask for one in found]
    names = list(maps)
    for start in range(0, len(names), COLUMNS):
        yield compare(images, {name: maps[name] for name in names[start : start + COLUMNS]}, captions, masks)


def _caption(one: Explained, several: bool) -> str:
    """Say which class was explained, how likely the network finds it, and of which answer the row is."""
    if one.item.prediction is None:
        return one.item.name
    tile = next((tile for tile in one.item.tiles if "explained class" in tile.details), None)
    asked = one.item.prediction if tile is None else tile.details["explained class"]
    share = float(one.arrays["probabilities"][int(one.arrays["target"])])
    return (f"{one.item.name}\n" if several else "") + f"{asked} {share:.0%}"
