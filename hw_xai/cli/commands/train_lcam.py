"""Train L-CAM's attention for a classifier, to explain it in one pass; the same command resumes an interrupted run."""

import argparse

import torch
from torch.utils.data import Dataset, Subset

from ...models import load_model
from ...training.recipe import LcamRecipe
from ...training.run import seed_of
from ...vision.dishes.synthetic import SyntheticFood11
from ...vision.food11.layout import Food11, split_folders
from ...vision.lcam import train
from ...vision.preprocess import preprocessing
from ..options import add, add_model, add_recipe, model_of, recipe_of

_HELP = {
    "variant": "what the attention lies on while it is trained: fm, the layer's maps, or img, the image",
    "epochs": "passes over the images",
    "batch_size": "images per step",
    "lr": "learning rate; the authors take 1e-4, and many more steps",
    "weight_decay": "SGD's weight decay",
    "seed": "decides everything that is random",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_model(parser, required=True)
    add(parser, "--data", required=True)
    add(parser, "--out", required=True, help="folder of the run: checkpoint and lcam.safetensors")
    add(parser, "--images", help="how many images to take or draw, by the seed (all, or 2,200)")
    add(parser, "--workers")
    add(parser, "--threads")
    add_recipe(parser, LcamRecipe, _HELP)


def run(options: argparse.Namespace) -> None:
    if options.threads:
        torch.set_num_threads(options.threads)
    recipe = recipe_of(options, LcamRecipe)
    loaded = load_model(options.model, **model_of(options))
    model = loaded.module.to(memory_format=torch.channels_last)
    train(model, _images(options, loaded.size), recipe, options.out, workers=options.workers)
    file = f"{options.out}/lcam.safetensors"
    print(f"L-CAM: {file}\nuse it: hw-xai explain PHOTO --model {options.model} --method lcam --lcam {file}")


def _images(options: argparse.Namespace, size: int) -> Dataset:
    """Return the dataset to learn from: drawn dishes, the training photos of food-11, or the photos in a folder."""
    if options.data == "synthetic":
        return SyntheticFood11(options.images or 2_200, seed=options.seed, transform=preprocessing(size))
    split = "training" if "training" in split_folders(options.data) else "photos"
    photos = Food11(options.data, split, transform=preprocessing(size))
    if options.images is None or options.images >= len(photos):
        return photos
    source = torch.Generator().manual_seed(seed_of(options.seed))
    return Subset(photos, torch.randperm(len(photos), generator=source)[: options.images].tolist())
