"""Train a network on food-11 or on class folders of your own; the same command resumes an interrupted run.

Several processes or GPUs: `accelerate launch -m hw_xai.cli train …`.
"""

import argparse
import sys

import torch
from accelerate import PartialState

from ...studies.training import train_and_draw
from ...training.recipe import Recipe
from ...vision.dishes.synthetic import SyntheticFood11
from ...vision.folders import TrainingData, open_training_data
from ...vision.food11.layout import CLASSES
from ..options import add, add_recipe, recipe_of

_HELP = {
    "architecture": "foodnet, classifier (the homework's) or any torchvision backbone, such as resnet18",
    "pretrained": "start from ImageNet weights",
    "init": "weights file to start from, such as an earlier run's best.safetensors",
    "freeze": "leading children of model.features that stay as they are",
    "epochs": "passes over the training photos",
    "batch_size": "images per step and process",
    "lr": "highest learning rate",
    "weight_decay": "AdamW's weight decay",
    "warmup": "share of the steps in which the learning rate rises",
    "label_smoothing": "share of the label spread over all classes",
    "mix": "share of the batches under mixup or cutmix",
    "ema": "decay of the averaged weights",
    "train_size": "side of the training crops, pixels",
    "eval_size": "side of the validation photos, pixels",
    "seed": "decides everything that is random",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add(parser, "--data", required=True, help='a folder with a folder of photos for each class, food-11, or '
        '"synthetic" for the drawn dishes')  # fmt: skip
    add(parser, "--out", required=True, help="folder of the run: checkpoints, log, pictures")
    add(parser, "--images", "--synthetic-images", help="how many training images to take or draw (all, or 11,000)")
    add(parser, "--workers")
    add(parser, "--threads")
    parser.add_argument("--tensorboard", action="store_true", help="also log for TensorBoard")
    add_recipe(parser, Recipe, _HELP)


def run(options: argparse.Namespace) -> None:
    if options.threads:
        torch.set_num_threads(options.threads)
    recipe = recipe_of(options, Recipe)
    report = train_and_draw(
        recipe, _data(options), options.out, workers=options.workers, tensorboard=options.tensorboard
    )
    if not PartialState().is_main_process:
        return
    width = max(map(len, report["per_class"]))
    for name, accuracy in report["per_class"].items():
        print(f"{name:<{width}}  {accuracy:.3f}")
    print(f"{'top-1':<{width}}  {report['top1']:.4f} after epoch {report['epoch']}")
    print(f"weights: {options.out}/best.safetensors")


def _data(options: argparse.Namespace) -> TrainingData:
    if options.data == "synthetic":
        # the two seeds share no picture
        training, validation = SyntheticFood11(options.images or 11_000, seed=0), SyntheticFood11(1_100, seed=1)
        return TrainingData(training, validation, CLASSES, "drawn")
    data = open_training_data(options.data, images=options.images, seed=options.seed)
    print(f"classes: {data.note}: {', '.join(data.classes)}", file=sys.stderr)
    return data
