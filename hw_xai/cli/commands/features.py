"""What do the channels of a layer look for, and how does the network see photos? One page.

The first photo is the one whose activations are shown and that the network dreams of; all of them, any number, are
searched for those that excite a channel most and least, and placed as each layer sees them.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from ...errors import UserError, nearest
from ...explain import (
    block_layers,
    cosine_similarity,
    deep_dream,
    extreme_images,
    last_convolution,
    layer_shapes,
    maximize_activation,
    mean_activations,
    project,
    record_activations,
)
from ...models import Loaded, load_model
from ...show import Panel, pictures, save_picture, save_png
from ...show.frame.planes import Plane
from ...show.pages.activation.page import Channel, Example, LayerPlane, Photo, write_activation_page
from ...studies.pictures import true_class
from ...vision.food11.layout import find_photos
from ...vision.reading import read_photo
from ..options import add, add_model, model_of

PROJECTIONS = ("pca", "tsne", "umap")
N_CHANNELS = 6  # shown unless --channel names others
N_MAPS = 64  # of a layer's maps, from the first on
N_EXTREMES = 9
N_PLACED = 300  # dots in the projection: more hide each other
THUMBNAIL, MAP_SIDE = 72, 96  # pixels


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("paths", nargs="+", metavar="PATH", help="photo, folder, glob pattern or shipped-photos")
    add_model(parser, default="foodnet-photos")
    add(parser, "--layer", help="see `hw-xai layers` (default: the last convolution)")
    parser.add_argument("--channel", help=f"such as 3,17 (default: the {N_CHANNELS} that the first photo excites most)")
    add(parser, "--n-steps", default=128, help="steps to each picture from noise")
    parser.add_argument("--method", choices=PROJECTIONS, default="pca", help="of the projection (default: %(default)s)")
    add(parser, "--batch-size", default=16, help="photos in one call of the model")
    add(parser, "--seed")
    add(parser, "--out", default="features")


def run(options: argparse.Namespace) -> None:
    loaded = load_model(options.model, **model_of(options))
    model = loaded.module
    photos = Photos(find_photos(options.paths), loaded)
    inputs = photos.first()[None]
    layer, shape = _layer(model, inputs, options.layer)
    channels = _channels(model, inputs, layer, options.channel)
    study = Study(options, loaded, model, photos, inputs, layer, shape, channels)
    study.out.mkdir(parents=True, exist_ok=True)
    try:
        for part in (_show_photo, _search, _place, _grow):
            part(study)
    finally:
        # also after Ctrl-C: what was finished is worth looking at
        if study.panels:
            page = _write(study)
    print(f"done: {len(photos.read)} photos, {len(study.channels)} channels of {layer}: open {page}")


class Photos:
    """Photos as inputs, one after the other; one that cannot be read is told and left out."""

    def __init__(self, paths: Sequence[Path], loaded: Loaded):
        self.paths, self.loaded = list(paths), loaded
        self.read: list[Path] = []  # those of the last walk that could be read

    def first(self) -> Tensor:
        """Return the first photo (3, H, W); UserError when it cannot be read."""
        return self.loaded.inputs(read_photo(self.paths[0]))[0]

    def __iter__(self) -> Iterator[Tensor]:
        self.read = []
        for path in tqdm(self.paths, desc="looking at photos", unit="photo"):
            try:
                image = read_photo(path)
            except UserError as error:
                print(f"skipped: {error}", file=sys.stderr)
                continue
            self.read.append(path)
            yield self.loaded.inputs(image)[0]


@dataclass
class Study:
    """What is asked, and what is known so far: each part adds its own, and the page shows the parts that are there."""

    options: argparse.Namespace
    loaded: Loaded
    model: nn.Module
    photos: Photos
    inputs: Tensor  # the first photo, (1, 3, H, W)
    layer: str
    shape: tuple[int, ...]  # of what the layer gives for one photo
    channels: list[int]
    panels: list[Panel] = field(default_factory=list)
    sought: dict[int, np.ndarray] = field(default_factory=dict)  # channel -> picture
    extremes: dict[int, list[list[Example]]] = field(default_factory=dict)  # channel -> most, least
    dots: list[Photo] = field(default_factory=list)
    planes: list[LayerPlane] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)

    @property
    def out(self) -> Path:
        return Path(self.options.out)


def _layer(model: nn.Module, inputs: Tensor, named: str | None) -> tuple[str, tuple[int, ...]]:
    """Return the dotted path of a layer and the shape of what it gives for one photo."""
    shapes = layer_shapes(model, inputs)
    if named is None:
        names = {module: name for name, module in model.named_modules()}
        try:
            named = names[last_convolution(model)]
        except ValueError as error:
            raise UserError("`layer` must be given for a model without convolutions: see `hw-xai layers`") from error
    if named not in shapes:
        raise UserError(
            f'`layer` must name a layer that runs once, got "{named}".{nearest(named, shapes)} '
            "`hw-xai layers` lists them"
        )
    return named, shapes[named]


def _channels(model: nn.Module, inputs: Tensor, layer: str, named: str | None) -> list[int]:
    """Return the channels in "3,17", or those that the photo excites most."""
    ((means,),) = mean_activations(model, inputs, [layer])  # (C,)
    if named is None:
        return means.topk(min(N_CHANNELS, len(means))).indices.tolist()
    parts = [part.strip() for part in named.split(",") if part.strip()]
    if not parts or not all(part.isdecimal() and int(part) < len(means) for part in parts):
        raise UserError(f'`channel` must be numbers from 0 to {len(means) - 1} such as 0,3 for {layer}, got "{named}"')
    return list(dict.fromkeys(map(int, parts)))


# ---------------------------------------------------------------------------------------------------------- the parts


def _show_photo(study: Study) -> None:
    """Add the layer's maps of the photo, and the photo as the layer dreams it."""
    model, inputs, layer = study.model, study.inputs, study.layer
    photo = (_shown(inputs[0]), "the photo")
    if len(study.shape) == 3:
        with torch.no_grad(), record_activations(model, layer) as seen:
            model(inputs)
        maps = seen[layer][0, :N_MAPS].float().cpu().numpy()  # (K, h, w)
        captions = [f"{channel}: {one.max():.2g}" for channel, one in enumerate(maps)]
        figure = pictures(maps, captions, f"{layer} of {study.options.model}")
        save_png(figure, study.out / "activations.png")
        shown = [(_enlarged(one), caption) for one, caption in zip(maps, captions, strict=True)]
        text = f"{len(maps)} of the {study.shape[0]} maps of {layer}, each in colours of its own. Beside its number, "
        text += "a map's highest activation: bright means strong only where that is high."
        study.panels.append(Panel("What the layer makes of the photo", text, [photo, *shown]))
    dream = _shown(deep_dream(model, inputs, layer, seed=study.options.seed, progress=True)[0])
    save_picture(dream, study.out / "dream.png")
    text = f"Deep Dream: the photo, changed step by step until {layer} is excited more by whatever it saw a trace of."
    study.panels.append(Panel("A dream of the photo", text, [photo, (dream, f"as {layer} dreams it")]))


def _search(study: Study) -> None:
    """Find the photos that each channel answers most and least."""
    photos, maps = study.photos, study.shape[1:]
    k = min(N_EXTREMES, max(1, len(photos.paths) // 2))  # no photo at both ends
    batch_size = study.options.batch_size
    ends = extreme_images(study.model, photos, study.layer, study.channels, k=k, batch_size=batch_size)

    def example(index: int, value: float, place: list[int]) -> Example:
        path = photos.read[index]
        spot = ((place[0] + 0.5) / maps[0], (place[1] + 0.5) / maps[1]) if len(maps) == 2 else None
        return Example(_thumbnail(path), f"{path.name}: {value:.2f}", spot)

    for row, channel in enumerate(study.channels):
        study.extremes[channel] = [
            [example(*found) for found in zip(*(part[row].tolist() for part in end), strict=True)] for end in ends
        ]


def _place(study: Study) -> None:
    """Project what each block, the layer and the whole network make of the photos."""
    model, method, read = study.model, study.options.method, study.photos.read
    least = 4 if method == "umap" else 3
    if len(read) < least:
        study.notices.append(f"There is no projection: it needs at least {least} photos, got {len(read)}.")
        return
    paths = [read[i] for i in np.linspace(0, len(read) - 1, min(N_PLACED, len(read))).round().astype(int)]
    if len(paths) < len(read):
        study.notices.append(f"The projection shows {len(paths)} of the {len(read)} photos, evenly taken.")
    blocks = block_layers(model, study.inputs)
    names = [name for name in layer_shapes(model, study.inputs)
             if name == study.layer or any(model.get_submodule(name) is block for block in blocks)]  # fmt: skip
    again = Photos(paths, study.loaded)
    vectors = mean_activations(model, again, [*names, ""], batch_size=study.options.batch_size)
    for name, rows in zip([*names, "class scores"], vectors, strict=True):
        found = project(rows, method, seed=study.options.seed)
        plane = Plane(found.points, found.explained_variance, found.trustworthiness)
        study.planes.append(LayerPlane(name, plane, np.asarray(cosine_similarity(rows))))
    for path in paths:
        group = true_class(study.loaded, Path(*path.parts[-2:])) or "class unknown"
        study.dots.append(Photo(path.name, _thumbnail(path), group))


def _grow(study: Study) -> None:
    """Grow a picture for each channel; one after the other, so that Ctrl-C keeps those that are grown."""
    settings = {"size": study.inputs.shape[1:], "n_steps": study.options.n_steps, "seed": study.options.seed}
    for channel in tqdm(study.channels, desc="growing pictures", unit="channel"):
        [grown] = maximize_activation(study.model, study.layer, channel, **settings)
        study.sought[channel] = _shown(grown)
        save_picture(study.sought[channel], study.out / f"channel-{channel}.png")


def _write(study: Study) -> Path:
    layer, classes = study.layer, study.loaded.classes
    titles = [f"channel {c}" for c in study.channels]
    if study.shape == (len(classes),):
        titles = [f"channel {c}, {classes[c]}" for c in study.channels]
    complete = len(study.dots) > 0
    return write_activation_page(
        study.out / "index.html",
        f"What does {layer} see?",
        f"{study.options.model} looked at {len(study.photos.read)} photos. Where do its layers put them, what do "
        f"single channels of {layer} answer to, and what does the layer make of one photo?",
        study.panels,
        [
            Channel(title, study.sought.get(c), *study.extremes.get(c, ((), ())))
            for c, title in zip(study.channels, titles, strict=True)
            if c in study.sought or c in study.extremes
        ],
        study.dots,
        study.planes if complete else [],
        method=study.options.method,
        notices=study.notices,
    )


# ------------------------------------------------------------------------------------------------------------ pictures


def _shown(picture: Tensor) -> np.ndarray:
    """Turn a tensor (3, H, W) into a picture (H, W, 3)."""
    return picture.permute(1, 2, 0).cpu().numpy()


def _thumbnail(path: Path, side: int = THUMBNAIL) -> np.ndarray:
    """Return a photo as the network sees it, square, but small."""
    return np.asarray(read_photo(path).resize((side, side)))


def _enlarged(values: np.ndarray) -> np.ndarray:
    """Repeat the cells of a map (h, w) until its picture is large enough to be seen."""
    times = max(1, MAP_SIDE // max(values.shape))
    return values.repeat(times, axis=0).repeat(times, axis=1)
