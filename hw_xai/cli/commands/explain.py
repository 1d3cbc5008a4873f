"""Explain photos by any methods of the catalog: a page, a PNG for each heatmap, and the raw maps."""

import argparse
import itertools
import sys
from pathlib import Path

from ..options import count, seed, share


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("paths", nargs="+", metavar="PATH", help="photo, folder or glob pattern")
    parser.add_argument(
        "--method",
        default="saliency,smooth_grad,integrated_gradients,lime",
        help="names of the catalog with commas between them, or all (default: %(default)s)",
    )
    parser.add_argument("--model", default="foodnet-photos", help="shipped name or weights file (default: %(default)s)")
    parser.add_argument("--target", help="class to explain (default: the predicted one)")
    parser.add_argument("--out", default="explained", help="folder for the results (default: %(default)s)")
    parser.add_argument("--layer", help="layer for the methods that look at one (default: the last convolution)")
    parser.add_argument("--lcam", metavar="NAME|FILE", help="trained L-CAM (default: the one shipped for the model)")
    parser.add_argument("--n-samples", type=count, help="draws of SmoothGrad, LIME, RISE and Shapley")
    parser.add_argument("--n-steps", type=count, help="points on the path of integrated gradients")
    parser.add_argument("--noise-level", type=share, help="SmoothGrad's σ as a share of the input's range")
    parser.add_argument("--batch-size", type=count, help="rows in one call of the model: less needs less memory")
    parser.add_argument("--seed", type=seed, default=0, help="decides everything that is random (default: %(default)s)")


def run(options: argparse.Namespace) -> None:
    from tqdm import tqdm

    from ...errors import UserError
    from ...show import Item, write_gallery
    from ...studies.pictures import Subject, chosen_methods, device, explain_subject, write_explained
    from ...vision.food11.layout import class_index, find_photos, target_of
    from ...vision.food11.reading import read_photo
    from ...vision.networks import load

    methods = chosen_methods(options.method)
    model = load(options.model).to(device())
    target = None if options.target is None else class_index(options.target)
    check_layer(model, options.layer)
    settings = {name: getattr(options, name) for name in ("layer", "n_samples", "n_steps", "noise_level", "batch_size")}
    settings = {name: value for name, value in settings.items() if value is not None} | {"seed": options.seed}
    if "lcam" in methods:
        settings["lcam"] = trained_lcam(model, options.model, options.lcam)
    paths = find_photos(options.paths)
    out = Path(options.out)
    out.mkdir(parents=True, exist_ok=True)

    items: list[Item] = []
    failures = []
    try:
        for path, name in tqdm(list(zip(paths, _names(paths), strict=True)), desc="explaining", unit="photo"):
            try:
                image = read_photo(path)
            except UserError as error:
                if len(paths) == 1:
                    raise
                failures.append(str(error))
                items.append(Item(name, None, error=str(error)))
                continue
            explained = explain_subject(
                model, Subject(name, image, target_of(Path(path.name))), methods, target, settings
            )
            items.append(explained.item)
            write_explained(out, explained)
            failures += [f"{name}: {tile.title}: {tile.error}" for tile in explained.item.tiles if tile.error]
            if not explained.complete:
                raise KeyboardInterrupt
    finally:
        # also after Ctrl-C: what was finished is worth looking at
        if items:
            page = write_gallery(out / "index.html", "Photos explained", _intro(options, methods), items)
    for failure in failures:
        print(f"skipped: {failure}", file=sys.stderr)
    done = [item for item in items if any(tile.heatmap is not None for tile in item.tiles)]
    if not done:
        raise UserError(f"nothing could be explained: {failures[0]}")
    print(f"explained {_counted(len(done), 'photo')} by {_counted(len(methods), 'method')}: open {page}")


def check_layer(model, layer: str | None) -> None:
    """Raise UserError, before anything is computed, when the model has no such layer."""
    from ...core.layers import find_layer
    from ...errors import UserError

    try:
        find_layer(model, layer)
    except ValueError as error:
        raise UserError(str(error).replace("`layer`", "--layer")) from error


def trained_lcam(model, name: str, wished: str | None) -> dict[str, object]:
    """Return L-CAM's own options: the attention wished for, or shipped for the model, and its layer, the last map."""
    from ...vision.lcam import SHIPPED, load

    default = f"lcam-{name}-fm"
    wished = wished or (default if default in SHIPPED else None)
    return {"learned": wished and load(wished, model), "layer": None}


def _counted(n: int, thing: str) -> str:
    return f"{n} {thing}" if n == 1 else f"{n} {thing}s"


def _names(paths: list[Path]) -> list[str]:
    """Return a name for each photo: its stem, numbered where another photo holds it already."""
    names: list[str] = []
    for path in paths:
        candidates = itertools.chain([path.stem], (f"{path.stem}-{n}" for n in itertools.count(2)))
        names.append(next(name for name in candidates if name not in names))
    return names


def _intro(options: argparse.Namespace, methods: list[str]) -> str:
    asked = f"the class {options.target}" if options.target else "the class it predicts"
    return (
        f"Why does {options.model} give each photo its score for {asked}? {len(methods)} methods answer side by side. "
        "Where they agree, trust grows; where they do not, ask which question each of them really answers."
    )
