"""Train a food-11 network for dishes it never saw: first the head, then the trunk; the same command resumes."""

import argparse
from pathlib import Path

from ...errors import UserError
from ..options import add_recipe, count, recipe_of, share

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
    parser.formatter_class = argparse.ArgumentDefaultsHelpFormatter
    parser.add_argument("--data", required=True, help="food-11 folder; its manifest.csv names the dishes")
    parser.add_argument("--more", help="a second food-11 folder, of other dishes, drawn less often")
    parser.add_argument("--more-weight", type=share, default=0.3, help="share of its photos that an epoch draws")
    parser.add_argument("--sharper", help="a folder with photos of --more under the same names and of more pixels")
    parser.add_argument(
        "--hold-out", required=True, metavar="FILE",
        help="text file of dishes that no step sees, one a line, under [unseen] or other headings of groups; "
        "[unseen] chooses",
    )  # fmt: skip
    parser.add_argument("--out", required=True, help="folder of the run: checkpoint, weights, report.json")
    parser.add_argument("--threads", type=count, help="CPU threads (PyTorch's own choice)")
    from ...training.recipe import BroadRecipe

    add_recipe(parser, BroadRecipe, _HELP)


def run(options: argparse.Namespace) -> None:
    import torch

    from ...training.recipe import BroadRecipe
    from ...vision.broad import train_broad
    from ...vision.judged import finish
    from ...vision.photos import at_most

    if options.threads:
        torch.set_num_threads(options.threads)
    recipe = recipe_of(options, BroadRecipe)
    groups = read_groups(Path(options.hold_out))
    training, judged = _photos(options, groups)
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
        raise UserError(f"--hold-out must be a text file of dishes, but there is none at {path}")
    groups: dict[str, list[str]] = {}
    name = "unseen"
    for line in path.read_text(encoding="utf-8").splitlines():
        text = line.strip()
        if text.startswith("[") and text.endswith("]"):
            name = text[1:-1]
        elif text and not text.startswith("#"):
            groups.setdefault(name, []).append(text)
    if "unseen" not in groups:
        raise UserError(f"--hold-out {path} must name the dishes to choose by, under [unseen] or no heading")
    return groups


def _photos(options: argparse.Namespace, groups: dict[str, list[str]]) -> tuple[list, dict[str, list]]:
    """Return the photos to train on and those of each group, the validation photos of known dishes among them."""
    from ...vision.judged import KNOWN
    from ...vision.photos import hold_out, read_photos, sharper

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
