"""Train a food-11 network for dishes it never saw: first the head, then the trunk; the same command resumes."""

import argparse
from pathlib import Path

import torch

from ...errors import UserError
from ...training.recipe import BroadRecipe
from ...vision.broad import train_broad
from ...vision.judged import KNOWN, finish
from ...vision.photos import Photo, at_most, hold_out, read_photos, sharper
from ..options import add, add_recipe, recipe_of, share

_HELP = {
    "architecture": "foodnet, or another network of `features` and one layer `fc`",
    "start": 'where to start: "imagenet", "nothing", or a weights file',
    "probe_epochs": "epochs in which only the head learns",
    "probe_lr": "their highest learning rate",
    "epochs": "epochs in which the trunk learns too",
    "lr": "their highest learning rate",
    "freeze": "leading children of model.features that stay as they are",
    "batch_size": "photos per step",
    "weight_decay": "AdamW's weight decay",
    "warmup": "share of the steps with the trunk in which the learning rate rises",
    "label_smoothing": "share of the label spread over all classes",
    "mix": "share of the batches under mixup",
    "dish_weight": "weight of the dish head's loss beside the class head's",
    "ema": "decay of the averaged weights",
    "train_size": "side of the training views, pixels",
    "eval_size": "side of the photos judged, pixels",
    "seed": "decides everything that is random",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add(parser, "--data", required=True, help="food-11 folder; its manifest.csv names the dishes")
    parser.add_argument("--more", metavar="FOLDER", help="a second food-11 folder, of other dishes, drawn less often")
    parser.add_argument(
        "--more-weight",
        type=share,
        default=0.3,
        metavar="SHARE",
        help="share of its photos that an epoch draws (default: %(default)s)",
    )
    parser.add_argument(
        "--sharper", metavar="FOLDER", help="photos of --more under the same names, of more pixels: taken instead"
    )
    parser.add_argument(
        "--hold-out",
        required=True,
        metavar="FILE",
        help="dishes that no step sees, one a line under the [heading] of their group; those of [unseen] choose",
    )
    add(parser, "--out", required=True, help="folder of the run: checkpoint, weights, report.json")
    add(parser, "--threads")
    add_recipe(parser, BroadRecipe, _HELP)


def run(options: argparse.Namespace) -> None:
    if options.threads:
        torch.set_num_threads(options.threads)
    recipe = recipe_of(options, BroadRecipe)
    training, judged = _photos(options, read_groups(Path(options.hold_out)))
    few = {name: at_most(photos, 20) for name, photos in judged.items()}  # in each epoch; all of them at the end
    train_broad(recipe, training, few, options.out)
    report = finish(options.out, at_most(training, 60), judged)
    width = max(map(len, judged))
    for name, group in report["groups"].items():
        low, high = group["by_dish_interval"]
        print(f"{name:<{width}}  {group['by_dish']:.3f} [{low:.3f}, {high:.3f}]  {group['photos']} photos")
    strangers = report["strangers"]
    print(f"unknown: {strangers['unknown']:.0%} of {strangers['pictures']} pictures of no food")
    print(f"{report['tuned_share']:.0%} of the tuned weights, temperature {report['temperature']:.2f}")
    print(f"weights: {options.out}/best.safetensors")


def read_groups(path: Path) -> dict[str, list[str]]:
    """Return {group: dishes} of a file with a [group] line above its dishes; UserError for anything else."""
    if not path.is_file():
        raise UserError(f"`hold_out` must be a text file of dishes, but there is none at {path}")
    groups: dict[str, list[str]] = {}
    name = "unseen"
    for line in path.read_text(encoding="utf-8").splitlines():
        text = line.strip()
        if text.startswith("[") and text.endswith("]"):
            name = text[1:-1]
        elif text and not text.startswith("#"):
            groups.setdefault(name, []).append(text)
    if "unseen" not in groups:
        raise UserError(f"`hold_out={path}` must name the dishes to choose by, under [unseen] or no heading")
    return groups


def _photos(options: argparse.Namespace, groups: dict[str, list[str]]) -> tuple[list[Photo], dict[str, list[Photo]]]:
    """Return the photos to train on and those of each group, the validation photos of known dishes among them."""
    training, validation = read_photos(options.data, "training"), read_photos(options.data, "validation")
    if options.more:
        for split in ("training", "validation"):  # other dishes need no validation of their own
            more = read_photos(options.more, split, weight=options.more_weight)
            training += sharper(more, read_photos(options.sharper, split)) if options.sharper else more
    pool = [*validation, *training]
    training, _ = hold_out(training, [dish for dishes in groups.values() for dish in dishes])
    judged = {name: hold_out(pool, dishes)[1] for name, dishes in groups.items()}
    known = {photo.dish for photo in training}
    return training, judged | {KNOWN: [photo for photo in validation if photo.dish in known]}
