"""Explain photos by any methods of the catalog: a page, a PNG for each heatmap, and the raw maps."""

import argparse
import itertools
import sys
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from ...errors import UserError
from ...models import Loaded, load_model
from ...show import Item, write_gallery
from ...studies.comparing import explained_by, variants, write_compared
from ...studies.pictures import (
    Picture,
    check_layer,
    chosen_methods,
    trained_lcam,
    true_class,
)
from ...vision.food11.layout import find_photos
from ...vision.reading import read_photo
from ..options import add, add_model, model_of

MODELS = (
    "as `load_model` takes them: shipped name, imagenet, weights file, package.module:function, torchvision's or "
    "timm:NAME with --weights, Hugging Face folder or hub name; several with commas between them are compared"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("paths", nargs="+", metavar="PATH", help="photo, folder, glob pattern or shipped-photos")
    add(parser, "--method", default="saliency,smooth_grad,integrated_gradients,lime")
    add_model(parser, default="foodnet-photos", help=MODELS)
    add(parser, "--target", help="class to explain, or several with commas between them (default: the predicted one)")
    add(parser, "--out", default="explained")
    add(parser, "--layer", help="layer for the methods that look at one (default: the last convolution)")
    add(parser, "--lcam")
    add(parser, "--n-samples", help="draws of SmoothGrad, LIME, RISE and Shapley")
    add(parser, "--n-steps")
    add(parser, "--noise-level")
    add(parser, "--batch-size")
    add(parser, "--seed")


def run(options: argparse.Namespace) -> None:
    methods = chosen_methods(options.method)
    settings = {name: getattr(options, name) for name in ("layer", "n_samples", "n_steps", "noise_level", "batch_size")}
    settings = {name: value for name, value in settings.items() if value is not None} | {"seed": options.seed}
    models = []
    for loaded in _loaded(options):
        if options.layer is not None:
            check_layer(loaded, options.layer)
        own = {"lcam": trained_lcam(loaded, options.lcam)} if "lcam" in methods else {}
        models.append((loaded, settings | own))
    asked = variants(models, options.target)
    paths = find_photos(options.paths)
    out = Path(options.out)
    out.mkdir(parents=True, exist_ok=True)

    items: list[Item] = []
    failures: list[str] = []
    unread = 0
    try:
        for path, name in tqdm(list(zip(paths, _names(paths), strict=True)), desc="explaining", unit="photo"):
            try:
                image = read_photo(path)
            except UserError as error:
                if len(paths) == 1:
                    raise
                unread += 1
                failures.append(str(error))
                items.append(Item(name, None, error=str(error)))
                continue
            picture = Picture(name, image, true_class(asked[0].loaded, Path(path.name)))
            found = []
            try:
                for explained in explained_by(asked, picture, methods):
                    found.append(explained)
                    items.append(explained.item)
                    told = [tile for tile in explained.item.tiles if tile.error and explained.item.prediction]
                    failures += [f"{explained.item.name}: {tile.title}: {tile.error}" for tile in told]
                    if not explained.complete:
                        raise KeyboardInterrupt
            finally:
                write_compared(out, name, found)
    finally:
        # also after Ctrl-C: what was finished is worth looking at
        if items:
            page = write_gallery(out / "index.html", "Photos explained", _intro(options, methods), items)
    for failure in failures:
        print(f"skipped: {failure}", file=sys.stderr)
    done = [item for item in items if item.prediction and any(tile.heatmap is not None for tile in item.tiles)]
    n_done = -(-len(done) // len(asked))
    if not done:
        raise UserError(f"nothing could be explained: {failures[0]}")
    left = f" ({unread} could not be read)" if unread else ""
    print(f"explained {_counted(n_done, 'photo')}{left} by {_counted(len(methods), 'method')}: open {page}")


def _loaded(options: argparse.Namespace) -> list[Loaded]:
    """Return the network or networks that --model names."""
    names = list(dict.fromkeys(name.strip() for name in options.model.split(",") if name.strip()))
    if Path(options.model).exists() or len(names) < 2:
        names = [options.model]
    elif options.weights is not None:
        raise UserError("`weights` must come with one `model`, got several: save each as a file of its own first")
    return [load_model(name, **model_of(options)) for name in names]


def _counted(n: int, thing: str) -> str:
    return f"{n} {thing}" if n == 1 else f"{n} {thing}s"


def _names(paths: Sequence[Path]) -> list[str]:
    """Return a name for each photo: its stem, numbered where another photo holds it already."""
    names: list[str] = []
    for path in paths:
        candidates = itertools.chain([path.stem], (f"{path.stem}-{n}" for n in itertools.count(2)))
        names.append(next(name for name in candidates if name not in names))
    return names


def _intro(options: argparse.Namespace, methods: Sequence[str]) -> str:
    asked = f"the class {options.target.replace(',', ' or ')}" if options.target else "the class it predicts"
    return (
        f"Why does {options.model.replace(',', ' or ')} give each photo its score for {asked}? {len(methods)} methods "
        "answer side by side. Where they agree, trust grows; where they do not, ask which question each of them really "
        "answers."
    )
