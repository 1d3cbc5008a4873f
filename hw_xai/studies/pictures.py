"""From a photo and a model to a gallery item: what `explain` and `demo` share."""

import inspect
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from ..core.layers import find_layer
from ..core.protocols import Model
from ..errors import UserError
from ..explain import (
    METHODS,
    filter_activation,
    lime_surrogates,
    maximize_activation,
    record_activations,
    shapley_values,
)
from ..explain.catalog import Method
from ..models import Loaded
from ..show import Item, Panel, Tile, overlay, save_picture
from ..vision import lcam
from ..vision.food11.layout import CLASSES, UNKNOWN, target_of
from .choices import names_or_all, written
from .tables import write_npz

SHOWN_SIDE = 384  # the page shows photos no larger than this
# what a method raises that cannot explain a model, and what breaks inside somebody's network
CANNOT = (ValueError, RuntimeError, TypeError, NotImplementedError)


@dataclass(frozen=True)
class Picture:
    """A picture to be explained, with what is known about it."""

    name: str
    image: Image.Image
    true_class: str | None = None  # where somebody knows it
    mask: np.ndarray | None = None  # (H, W) bool, where the object truly is


@dataclass(frozen=True)
class Explained:
    """An item for the page and the raw numbers behind it."""

    item: Item
    arrays: Mapping[str, np.ndarray]
    complete: bool = True  # False when Ctrl-C came before the last method


def told(error: Exception) -> str:
    """Return an error in one line; a sentence of ours as it is, what breaks inside somebody's network with its kind."""
    lines = str(error).strip().splitlines() or [""]
    return str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {lines[0]}"


def true_class(loaded: Loaded, path: Path) -> str | None:
    """Return the class that a photo's path tells, as 3_7.jpg does for a network of food-11's classes; else None."""
    target = target_of(path) if loaded.classes == CLASSES else UNKNOWN
    return None if target == UNKNOWN else CLASSES[target]


def check_layer(loaded: Loaded, layer: str | None) -> None:
    """Raise UserError, before anything is computed, when the model has no such layer."""
    try:
        find_layer(loaded.model, layer)
    except ValueError as error:
        raise UserError(str(error)) from error


def trained_lcam(loaded: Loaded, wished: str | None) -> dict[str, object]:
    """Return L-CAM's own options: the attention wished for, or shipped for the model, and its layer, the last map."""
    default = f"lcam-{loaded.name}-fm"
    wished = wished or (default if default in lcam.SHIPPED else None)
    return {"learned": wished and lcam.load(wished, loaded.module), "layer": None}


def chosen_methods(
    names: str, kinds: Callable[[Method], bool] = lambda method: method.locality == "local"
) -> list[str]:
    """Return the catalog names in "a,b,c", or all of the given kind for "all"."""
    known = [name for name, method in METHODS.items() if kinds(method)]
    for name in written(names):
        if name in METHODS and name not in known:
            raise UserError(f"{name} explains the model and no photo: choose among {', '.join(known)}")
    return names_or_all(names, known)


def explain_picture(
    loaded: Loaded, picture: Picture, methods: list[str], target: int | None, options: Mapping[str, Any]
) -> Explained:
    """Run the methods on one picture; a method that cannot explain this model says so in its tile.

    options: keywords for every method that knows them; under a method's name, a mapping of keywords for it alone.
    """
    inputs = loaded.inputs(picture.image)
    with torch.no_grad():
        probabilities = loaded(inputs)[0].softmax(dim=0).cpu()  # (C,)
    best = probabilities.topk(min(3, len(probabilities)))
    top3 = [(loaded.classes[i], p) for i, p in zip(best.indices.tolist(), best.values.tolist(), strict=True)]
    explained = int(best.indices[0]) if target is None else target

    maps: dict[str, np.ndarray] = {}
    tiles = []
    complete = True
    for name in methods:
        try:
            tile, attribution = _tile(loaded, inputs, name, explained, options, picture.mask)
        except KeyboardInterrupt:
            complete = False  # what the methods before it found is worth keeping
            break
        tiles.append(tile)
        if attribution is not None:
            maps[name] = attribution
    shown = np.asarray(at_most(picture.image, SHOWN_SIDE))
    item = Item(
        name=picture.name,
        image=shown,
        prediction=top3[0][0],
        probabilities=top3,
        true_class=picture.true_class,
        mask=None if picture.mask is None else _resized_mask(picture.mask, shown.shape[:2]),
        tiles=tiles,
        note="" if explained == int(best.indices[0]) else _asked(loaded, explained, probabilities),
    )
    numbers = {"inputs": inputs[0].cpu().numpy(), "probabilities": probabilities.numpy(), "target": np.array(explained)}
    return Explained(item, numbers | maps, complete)


def _asked(loaded: Loaded, explained: int, probabilities: Tensor) -> str:
    return f"explained: {loaded.classes[explained]}, {probabilities[explained]:.0%}"


def _tile(
    loaded: Loaded, inputs: Tensor, name: str, target: int, options: Mapping[str, Any], mask: np.ndarray | None
) -> tuple[Tile, np.ndarray | None]:
    """Return one method's tile and its raw attribution (C or 1, H, W)."""
    method = METHODS[name]
    wished = {**options, **options.get(name, {})}
    used = {key: value for key, value in wished.items() if key in inspect.signature(method.function).parameters}
    start = time.perf_counter()
    try:
        # a hook on the model makes its passes slower: count only where the catalog knows no exact number
        counting = method.at_most and isinstance(loaded.model, nn.Module)
        counter = counted(loaded.module) if counting else nullcontext()
        with counter as rows, warnings.catch_warnings(record=True) as noted:
            warnings.filterwarnings("always", "`n_samples`")
            attribution, facts, quality = run_method(name, loaded.model, inputs, target, used)
    except CANNOT as error:
        return Tile(name, method.title, None, method.signed, error=told(error)), None
    seconds = time.perf_counter() - start
    attribution = attribution[0].detach().float().cpu()
    heatmap = (attribution.sum(0) if method.signed else attribution.amax(0)).numpy()
    passes = method.passes(shape=tuple(inputs.shape[1:]), **(used | facts))
    forward = passes.forward if rows is None else sum(rows)
    settings = ", ".join(f"{key}={value}" for key, value in used.items() if key not in ("batch_size", "progress"))
    tile = Tile(
        method=name,
        title=method.title,
        heatmap=heatmap,
        signed=method.signed,
        text=method.use,
        settings=settings,
        details={
            "explained class": loaded.classes[target],
            "passes": f"{forward} forward, {passes.backward} backward",
            "seconds": f"{seconds:.2f}",
            **quality,
            **({"beware": ", ".join(str(warning.message) for warning in noted)} if noted else {}),
            "paper": method.paper,
        },
        inside=None if mask is None else share_inside(heatmap, mask),
    )
    return tile, attribution.numpy()


def run_method(
    name: str, model: Model, inputs: Tensor, target: int, used: dict[str, Any]
) -> tuple[Tensor, dict[str, int], dict[str, str]]:
    """Return the attribution, facts on which the number of passes depends, and what it says of its own quality.

    used: the keywords of the method that are not left at their defaults.
    """
    method, targets = METHODS[name], torch.tensor([target])
    if name == "lime":
        (surrogate,) = lime_surrogates(model, inputs, targets, **used)
        return surrogate.attribution, {}, {"R² of the surrogate": f"{surrogate.r2:.2f}"}
    if name == "shapley":
        (shares,) = shapley_values(model, inputs, targets, **used)
        error, most = shares.standard_errors.mean(), shares.values.abs().max()
        return shares.attribution, {"n_regions": len(shares.values)}, {"standard error": f"{error:.2g} of {most:.2g}"}
    if not method.explainer:
        used["channel"] = strongest_channel(model, inputs, used.get("layer"))
        return filter_activation(model, inputs, **used), {}, {}
    return method.function(model, inputs, targets, **used), {}, {}


@contextmanager
def counted(model: nn.Module) -> Iterator[list[int]]:
    """Yield a list that grows by the number of rows at each forward pass of the model."""
    rows: list[int] = []
    handle = model.register_forward_pre_hook(lambda _, arguments: rows.append(len(arguments[0])))
    try:
        yield rows
    finally:
        handle.remove()


def strongest_channel(model: Model, inputs: Tensor, layer: nn.Module | str | None) -> int:
    """Return the channel of a layer that responds most, on average, to the first input."""
    module = find_layer(model, layer)
    with torch.no_grad(), record_activations(model, module) as seen:
        model(inputs[:1])
    return int(seen[module][0].flatten(1).mean(1).argmax())


def share_inside(heatmap: np.ndarray, mask: np.ndarray) -> float | None:
    """Return the share of |heatmap| that lies where the mask (H, W) does; None for a map of zeros."""
    strength = np.abs(heatmap)
    total = strength.sum()
    return float(strength[_resized_mask(mask, heatmap.shape)].sum() / total) if total > 0 else None


def class_pictures(loaded: Loaded, targets: list[int], **options: Any) -> Panel:
    """Return what the network looks for in each class: pictures that raise the class score, from noise."""
    network, classes = loaded.module, loaded.classes
    pictures = [(maximize_activation(network, "", target, **options)[0], classes[target]) for target in targets]
    return Panel(
        "What each class looks like to the network",
        "Activation maximization: gradient ascent from noise, until the picture excites the class score most. "
        "It shows what the network has learned, not why it decided on one photo.",
        [(picture.permute(1, 2, 0).cpu().numpy(), caption) for picture, caption in pictures],
    )


def write_explained(folder: Path, explained: Explained) -> None:
    """Write the raw maps as NAME.npz and each heatmap over its photo as NAME/METHOD.png."""
    name, image = explained.item.name, explained.item.image
    write_npz(folder / f"{name}.npz", explained.arrays)
    for tile in explained.item.tiles:
        if tile.heatmap is not None and image is not None:
            heatmap = stretched(tile.heatmap, image.shape[:2])
            save_picture(overlay(image, heatmap, tile.signed), folder / name / f"{tile.method}.png")


def stretched(heatmap: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return a map (h, w) at another size, bilinearly."""
    return nn.functional.interpolate(torch.from_numpy(heatmap)[None, None], shape, mode="bilinear")[0, 0].numpy()


def at_most(image: Image.Image, side: int) -> Image.Image:
    """Return a copy of a picture whose longer side is at most so many pixels."""
    image = image.copy()
    image.thumbnail((side, side))
    return image


def _resized_mask(mask: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    height, width = shape
    return np.asarray(Image.fromarray(mask).resize((width, height), Image.Resampling.NEAREST))
