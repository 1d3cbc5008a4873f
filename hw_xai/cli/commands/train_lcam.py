"""Train L-CAM's attention for a classifier, to explain it in one pass; the same command resumes an interrupted run."""

import argparse

from ..options import add_recipe, count, recipe_of
from .train import workers

_HELP = {
    "variant": "what the attention lies on while it is trained: fm, the layer's maps, or img, the image",
    "epochs": "passes over the images",
    "batch_size": "images per step",
    "lr": "learning rate; the authors take 1e-4, and many more steps",
    "weight_decay": "SGD's weight decay",
    "seed": "decides everything that is random",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class = argparse.ArgumentDefaultsHelpFormatter
    parser.add_argument("--model", required=True, help="shipped name or weights file of the classifier")
    parser.add_argument("--data", required=True, help='food-11 folder, any folder of photos, or "synthetic"')
    parser.add_argument("--out", required=True, help="folder of the run: checkpoint and lcam.safetensors")
    parser.add_argument("--images", type=count, help="how many images to take or draw, by the seed (all, or 2,200)")
    parser.add_argument("--workers", type=workers, default=0, help="processes that read photos")
    parser.add_argument("--threads", type=count, help="CPU threads (PyTorch's own choice)")
    from ...training.recipe import LcamRecipe

    add_recipe(parser, LcamRecipe, _HELP)


def run(options: argparse.Namespace) -> None:
    import torch

    from ...studies.pictures import device
    from ...training.recipe import LcamRecipe
    from ...vision.lcam import train
    from ...vision.networks import load

    if options.threads:
        torch.set_num_threads(options.threads)
    recipe = recipe_of(options, LcamRecipe)
    model = load(options.model).to(device(), memory_format=torch.channels_last)
    train(model, _images(options, model.input_size), recipe, options.out, workers=options.workers)
    file = f"{options.out}/lcam.safetensors"
    print(f"L-CAM: {file}\nuse it: hw-xai explain PHOTO --model {options.model} --method lcam --lcam {file}")


def _images(options: argparse.Namespace, size: int):
    """Return the dataset to learn from: drawn dishes, the training photos of food-11, or the photos in a folder."""
    from ...vision.preprocess import preprocessing

    if options.data == "synthetic":
        from ...vision.dishes.synthetic import SyntheticFood11

        return SyntheticFood11(options.images or 2_200, seed=options.seed, transform=preprocessing(size))
    import torch
    from torch.utils.data import Subset

    from ...training.run import seed_of
    from ...vision.food11.layout import Food11, split_folders

    split = "training" if "training" in split_folders(options.data) else "photos"
    photos = Food11(options.data, split, transform=preprocessing(size))
    if options.images is None or options.images >= len(photos):
        return photos
    source = torch.Generator().manual_seed(seed_of(options.seed))
    return Subset(photos, torch.randperm(len(photos), generator=source)[: options.images].tolist())
