"""One HTML page that holds everything: photos, heatmaps, words. It asks no network for anything."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ...frame.images import heatmap_uri, outline, photo_uri, to_rgb
from ...frame.normalize import scale
from ...frame.packing import write_page


@dataclass(frozen=True)
class Tile:
    """One method's answer for one image; `error` says in a sentence why there is no heatmap."""

    method: str  # the key people filter by
    title: str
    heatmap: np.ndarray | None  # (H,W), as the method gave it: the page scales
    signed: bool
    text: str = ""  # one plain sentence: what this map means
    settings: str = ""
    details: Mapping[str, str] = field(default_factory=dict)  # e.g. {"passes": "50 forward, 50 backward"}
    inside: float | None = None  # share of the attribution's strength that lies inside the mask, 0..1
    error: str | None = None


@dataclass(frozen=True)
class Item:
    """One image with all that is known and claimed about it; `error` says in a sentence why it was not explained."""

    name: str
    image: np.ndarray | None  # (H,W,3) uint8
    prediction: str | None = None
    probabilities: Sequence[tuple[str, float]] = ()  # the likeliest first
    true_class: str | None = None
    mask: np.ndarray | None = None  # (H,W) bool, where the object truly is
    tiles: Sequence[Tile] = ()
    error: str | None = None
    note: str = ""  # what is shown beyond the prediction, such as the class that is explained instead
    tallied: bool = True  # whether the page counts its prediction as right or wrong

    @property
    def right(self) -> bool | None:
        """Whether the prediction is right, None when nobody knows."""
        return None if self.true_class is None or self.prediction is None else self.prediction == self.true_class


@dataclass(frozen=True)
class Panel:
    """Pictures that belong to the model and not to one image, such as what its filters look for."""

    title: str
    text: str
    pictures: Sequence[tuple[np.ndarray, str]]  # (image as `to_rgb` takes it, caption)
    links: Sequence[str] = ()  # the page that each picture opens, beside this one


def write_gallery(
    path: str | Path, title: str, intro: str, items: Sequence[Item], panels: Sequence[Panel] = ()
) -> Path:
    """Write the page, whole or not at all, and return its path. Equal arguments give equal bytes."""
    return write_page(
        path,
        "gallery.html.j2",
        title=title,
        intro=intro,
        items=[_item(item) for item in items],
        panels=[_panel(panel) for panel in panels],
        methods={tile.method: tile.title for item in items for tile in item.tiles},
        classes=sorted({name for item in items for name in (item.true_class, item.prediction) if name}),
        judged=[item.right for item in items if item.right is not None and item.tallied],
        kinds={tile.signed for item in items for tile in item.tiles if tile.heatmap is not None},
    )


def _item(item: Item) -> dict:
    """Turn an item into what the template prints: strings, numbers and data URIs."""
    image = None if item.image is None else to_rgb(item.image)
    shape = None if image is None else image.shape[:2]
    if item.mask is not None and np.shape(item.mask) != shape:
        raise ValueError(f"`mask` of {item.name} must be {shape} like its image, got the shape {np.shape(item.mask)}")
    return vars(item) | {
        "right": item.right,
        "photo": None if image is None else photo_uri(image),
        "shape": shape,
        "mask": None if item.mask is None else _path(item.mask),
        "tiles": [_tile(tile) for tile in item.tiles],
    }


def _tile(tile: Tile) -> dict:
    if tile.heatmap is None:
        return vars(tile)
    if np.ndim(tile.heatmap) != 2:
        raise ValueError(f"`heatmap` of {tile.method} must be (H,W), got the shape {np.shape(tile.heatmap)}")
    return vars(tile) | {"heatmap": heatmap_uri(scale(tile.heatmap, signed=tile.signed), tile.signed)}


def _panel(panel: Panel) -> dict:
    links: Sequence[str | None] = panel.links or [None] * len(panel.pictures)
    pictures = zip(panel.pictures, links, strict=True)
    shown = [(photo_uri(to_rgb(image)), caption, link) for (image, caption), link in pictures]
    return vars(panel) | {"pictures": shown}


def _path(mask: np.ndarray) -> str:
    """Write the outline of a mask as the `d` of an SVG path in pixels."""
    return "".join("M" + "L".join(f"{x:g} {y:g}" for x, y in polygon[:-1].round(1)) + "Z" for polygon in outline(mask))
