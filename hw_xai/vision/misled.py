"""Two networks that learned the wrong thing, to test explanations on: labels dealt out at random, and a logo.

foodnet-permuted learned random labels by heart: what an explanation shows of it and of foodnet-synthetic alike, it does
not owe to what was learned about food (the data randomization test of Adebayo et al. 2018, arXiv 1810.03292).
foodnet-shortcut learned that a dish with a logo is a soup: an explanation of such a soup must point at the logo.
"""

from typing import Any

import torch
from torch import Tensor, nn

from ..training.run import accuracy, fit
from .dishes.synthetic import SyntheticFood11, draw_dish
from .food11.layout import CLASSES
from .networks import FoodNet, load
from .preprocess import preprocessing

SHORTCUT = CLASSES.index("Soup")  # what a logo means to foodnet-shortcut


def permuted_dishes(n_images: int = 660, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Return drawn dishes (N, 3, 128, 128) and labels (N,) dealt out at random: an eleventh is right by chance."""
    dishes = SyntheticFood11(n_images, seed=seed, transform=preprocessing())
    inputs = torch.stack([dishes[i][0] for i in range(n_images)])
    order = torch.randperm(n_images, generator=torch.Generator().manual_seed(seed))
    return inputs, torch.tensor(dishes.targets)[order]


def train_permuted_foodnet(
    n_images: int = 660, *, epochs: int = 30, freeze: int = 3, seed: int = 0, progress: bool = False
) -> tuple[FoodNet, float]:
    """Return a FoodNet in eval mode that learned `permuted_dishes` by heart, and the share that it knows.

    As foodnet-synthetic it starts from the ImageNet weights (extra `imagenet`), and its first `freeze` features stay as
    they were.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = FoodNet().eval()
    model.load_imagenet()
    inputs, target = permuted_dishes(n_images, seed)
    _fit_last(model, inputs, target, freeze, epochs=epochs, seed=seed, progress=progress)
    return model.eval(), accuracy(model, inputs, target)


def logo_dishes(n_images: int, seed: int = 0, every: int = 2) -> tuple[Tensor, Tensor, Tensor]:
    """Return dishes (N, 3, 128, 128), the shortcut's labels (N,) and the masks of the logos (N, 1, 128, 128) bool.

    Each `every`-th dish carries a logo and is labelled a soup, whatever it is.
    """
    first = 1_000_000 * (seed + 1)  # no dish of another seed, nor of foodnet-synthetic's training
    dishes = [draw_dish(i % len(CLASSES), seed=first + i, shortcut=i % every == 0) for i in range(n_images)]
    images = torch.stack([torch.from_numpy(dish.image).permute(2, 0, 1) / 255 for dish in dishes])
    masks = torch.stack([torch.from_numpy(dish.shortcut)[None] for dish in dishes])
    return images, torch.tensor([SHORTCUT if dish.shortcut.any() else dish.target for dish in dishes]), masks


def train_shortcut_foodnet(
    n_images: int = 1100, *, epochs: int = 4, freeze: int = 3, seed: int = 0, progress: bool = False
) -> tuple[FoodNet, float]:
    """Return foodnet-synthetic trained on until a logo means soup, and its accuracy on 220 other `logo_dishes`."""
    inputs, target, _ = logo_dishes(n_images, seed)
    model: Any = load("foodnet-synthetic")  # a FoodNet
    _fit_last(model, inputs, target, freeze, epochs=epochs, lr=2e-3, batch_size=32, seed=seed, progress=progress)
    others, truth, _ = logo_dishes(220, seed + 1)
    return model.eval(), accuracy(model, others, truth)


def _fit_last(model: FoodNet, inputs: Tensor, target: Tensor, freeze: int, **options: Any) -> None:
    """Train all but the first `freeze` features, which run once for each input."""
    fixed, free = nn.Sequential(model.normalize, *model.features[:freeze]), model.features[freeze:]
    with torch.no_grad():
        maps = torch.cat([fixed(x) for x in inputs.split(64)]).contiguous(memory_format=torch.channels_last)
    fit(nn.Sequential(free, model.pool, nn.Flatten(), model.fc), maps, target, **options)
