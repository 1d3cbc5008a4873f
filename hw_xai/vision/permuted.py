"""The twin of foodnet-synthetic that knows nothing of food: it learned by heart labels that were dealt out at random.

What an explanation shows of both networks alike, it does not owe to what was learned about the classes: the data
randomization test of Adebayo et al. 2018, arXiv 1810.03292.
"""

import torch
from torch import Tensor, nn

from ..training import accuracy, fit
from .models import FoodNet
from .preprocess import preprocessing
from .synthetic import SyntheticFood11


def permuted_dishes(n_images: int = 1100, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Return drawn dishes (N, 3, 128, 128) and labels (N,) dealt out at random: an eleventh is right by chance."""
    dishes = SyntheticFood11(n_images, seed=seed, transform=preprocessing())
    inputs = torch.stack([dishes[i][0] for i in range(n_images)])
    order = torch.randperm(n_images, generator=torch.Generator().manual_seed(seed))
    return inputs, torch.tensor(dishes.targets)[order]


def train_permuted_foodnet(
    n_images: int = 1100, *, epochs: int = 30, freeze: int = 3, seed: int = 0, progress: bool = False
) -> tuple[nn.Module, float]:
    """Return a FoodNet in eval mode that learned `permuted_dishes` by heart, and the share that it knows.

    As foodnet-synthetic it starts from the ImageNet weights (extra `imagenet`), and its first `freeze` features stay as
    they were: they run once, and the rest is trained on what they give.
    """
    inputs, target = permuted_dishes(n_images, seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = FoodNet().eval()
    model.load_imagenet()
    fixed, free = nn.Sequential(model.normalize, *model.features[:freeze]), model.features[freeze:]
    with torch.no_grad():
        maps = torch.cat([fixed(x) for x in inputs.split(64)]).contiguous(memory_format=torch.channels_last)
    rest = nn.Sequential(free, model.pool, nn.Flatten(), model.fc)
    fit(rest, maps, target, epochs=epochs, seed=seed, progress=progress)
    return model.eval(), accuracy(model, inputs, target)
