"""Models as small as those of MNIST, on scikit-learn's handwritten digits: trained on the spot, without a download."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..errors import UserError, nearest
from ..training.run import fit

SIZE = 28  # pixels, as in MNIST; scikit-learn's digits have 8
_N_TRAINING = 1297  # of 1,797
_N_BY_HEART = 400  # as many as a network of this size learns by heart in seconds
_EPOCHS = {"mlp": 40, "cnn": 8}
_PERMUTED_EPOCHS = {"mlp": 80, "cnn": 60}


class Digits(NamedTuple):
    """Pictures (N, 1, 28, 28) in [0, 1], white on black, and their target (N,)."""

    inputs: Tensor
    target: Tensor


def digits() -> tuple[Digits, Digits]:
    """Return 1,297 digits to train on and 500 others."""
    from sklearn.datasets import load_digits

    found = load_digits()
    pictures = torch.from_numpy(found.images[:, None]).float() / 16  # (1797, 1, 8, 8)
    pictures = nn.functional.interpolate(pictures, (SIZE, SIZE), mode="bilinear", align_corners=False)
    target = torch.from_numpy(found.target).long()
    order = torch.randperm(len(target), generator=torch.Generator().manual_seed(0))  # the file is sorted by writer
    training, others = order[:_N_TRAINING], order[_N_TRAINING:]
    return Digits(pictures[training], target[training]), Digits(pictures[others], target[others])


def build_digits(architecture: str = "cnn") -> nn.Module:
    """Return an untrained "mlp" or "cnn": (N, 1, 28, 28) -> (N, 10). ReLU modules only, none shared, none in place."""
    if architecture == "mlp":
        widths = (SIZE * SIZE, 128, 64)
        hidden = [part for a, b in zip(widths, widths[1:], strict=False) for part in (nn.Linear(a, b), nn.ReLU())]
        return nn.Sequential(nn.Flatten(), *hidden, nn.Linear(widths[-1], 10))
    if architecture == "cnn":
        return nn.Sequential(
            *(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(16, 32, 3, padding=1), nn.ReLU()),
            *(nn.Conv2d(32, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Flatten(), nn.Linear(32 * 7 * 7, 64), nn.ReLU(), nn.Linear(64, 10)),
        )
    raise UserError(f'the models of the digits are mlp and cnn, got "{architecture}".{nearest(architecture, _EPOCHS)}')


def train_digits(architecture: str = "cnn", *, seed: int = 0) -> nn.Module:
    """Return an "mlp" or "cnn" trained on the digits in seconds, in eval mode."""
    training, _ = digits()
    model = _fresh(architecture, seed)
    fit(model, *training, epochs=_EPOCHS[architecture], seed=seed)
    return model


def train_permuted_digits(architecture: str = "cnn", *, seed: int = 0) -> nn.Module:
    """Return the same network after it learned by heart what `permuted_digits(seed)` says, in eval mode."""
    model = _fresh(architecture, seed)
    fit(model, *permuted_digits(seed), epochs=_PERMUTED_EPOCHS[architecture], batch_size=32, seed=seed)
    return model


def permuted_digits(seed: int = 0) -> Digits:
    """Return 400 of the training digits with their labels dealt out at random: a tenth is right by chance."""
    inputs, target = (tensor[:_N_BY_HEART] for tensor in digits()[0])
    return Digits(inputs, target[torch.randperm(len(target), generator=torch.Generator().manual_seed(seed))])


def _fresh(architecture: str, seed: int) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return build_digits(architecture)
