"""One page on what a layer sees: its maps of a photo, what its channels look for, and where it puts many photos."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...figures.style import GROUP_COLOURS
from ...frame.images import photo_uri, to_rgb
from ...frame.packing import rounded, write_page
from ...frame.planes import METHOD_NOTES, Plane, nearest_others, steadied
from ..gallery.page import Panel

CLASS_COLOURS = (*GROUP_COLOURS, "#6f7c85", "#5b5fc7", "#a3b13c")  # food-11 has eleven classes


@dataclass(frozen=True)
class Example:
    """A photo of the data set that a channel answers to."""

    image: np.ndarray  # as `to_rgb` takes it
    caption: str
    spot: tuple[float, float] | None = None  # where the channel answers most, as shares of the height and the width


@dataclass(frozen=True)
class Channel:
    """What one channel looks for, and which photos it answers most and least."""

    title: str
    sought: np.ndarray | None  # the picture that excites it most, as `to_rgb` takes it
    most: Sequence[Example] = ()
    least: Sequence[Example] = ()


@dataclass(frozen=True)
class Photo:
    """A dot of the projection."""

    name: str
    image: np.ndarray  # a thumbnail, as `to_rgb` takes it
    group: str  # decides the colour


@dataclass(frozen=True)
class LayerPlane:
    """Where one layer puts the photos: points (n, 2), and how alike it finds them (n, n)."""

    name: str
    plane: Plane
    cosine: np.ndarray


def write_activation_page(
    path: str | Path,
    title: str,
    intro: str,
    panels: Sequence[Panel] = (),
    channels: Sequence[Channel] = (),
    photos: Sequence[Photo] = (),
    layers: Sequence[LayerPlane] = (),
    *,
    method: str = "pca",
    notices: Sequence[str] = (),
) -> Path:
    """Write the page, whole or not at all, and return its path. Without layers it has no projection."""
    for layer in layers:
        if len(layer.plane.points) != len(photos) or layer.cosine.shape != (len(photos), len(photos)):
            raise ValueError(
                f"`layers` must place {len(photos)} photos, got {len(layer.plane.points)} points in {layer.name}"
            )
    groups = sorted({photo.group for photo in photos})
    planes = steadied([layer.plane for layer in layers]) if layers else []
    data = {
        "points": [_point(photo) for photo in photos],
        "groups": groups,
        "colours": CLASS_COLOURS,
        "layers": [
            {
                "name": one.name,
                "points": rounded(plane.points),
                "worth": plane.worth,
                "nearest": nearest_others(one.cosine),
            }
            for one, plane in zip(layers, planes, strict=True)
        ],
        "matrices": {},
        "report": None,
    }
    return write_page(
        path,
        "activation.html.j2",
        title=title,
        intro=intro,
        notices=notices,
        panels=[
            vars(panel) | {"pictures": [(photo_uri(to_rgb(image)), caption) for image, caption in panel.pictures]}
            for panel in panels
        ],
        channels=[_channel(channel) for channel in channels],
        n_layers=len(layers),
        method_note=METHOD_NOTES[method],
        data=data,
    )


def _point(photo: Photo) -> dict:
    """Return what embedding.js draws as a dot: a photo in place of a word in its sentence."""
    image = photo_uri(to_rgb(photo.image))
    return {"before": "", "word": photo.name, "after": "", "label": "", "group": photo.group, "image": image}


def _channel(channel: Channel) -> dict:
    def shown(examples: Sequence[Example]) -> list[dict]:
        return [vars(example) | {"image": photo_uri(to_rgb(example.image))} for example in examples]

    sought = None if channel.sought is None else photo_uri(to_rgb(channel.sought))
    return vars(channel) | {"sought": sought, "most": shown(channel.most), "least": shown(channel.least)}
