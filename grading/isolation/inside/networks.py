"""The networks that exercises are asked about, made from a seed: small, random and different each time.

Known to the sandbox: nothing here may import the reference solutions or the keys.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Subject:
    """Which network: one of SUBJECTS, with random weights of this seed."""

    kind: str
    seed: int = 0


@dataclass(frozen=True)
class Layer:
    """The module at this dotted path of the call's model."""

    path: str


class SmallCNN(nn.Module):
    """(N, 3, 12, 12) -> (N, 5): two smooth convolutional layers, BatchNorm and global pooling of products.

    Smooth, so that float32 and float64 agree: the gradient of a ReLU jumps where rounding decides on which side. Its
    input range is wide enough for it to be far from linear: a straight path and its end differ.
    """

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.second = nn.Conv2d(8, 12, 3, stride=2, padding=1)
        self.act = nn.Softplus(beta=3)
        self.head = nn.Linear(12, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.norm(self.first(x)))
        x = self.act(self.second(x))  # (N, 12, 6, 6)
        return self.head(x.square().mean(dim=(2, 3)))


class SmallSequence(nn.Module):
    """(N, T, 8) -> (N, 4): each token attends to all, so that a token's share depends on its neighbours."""

    def __init__(self):
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(8, 8) for _ in range(3))
        self.head = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        weights = (self.query(x) @ self.key(x).transpose(1, 2)).softmax(dim=2)  # (N, T, T)
        return self.head((weights @ self.value(x)).tanh().mean(dim=1))


SUBJECTS: dict[str, Callable[[], nn.Module]] = {
    "small_cnn": SmallCNN,
    "small_sequence": SmallSequence,
}


def build(subject: Subject) -> nn.Module:
    """Return the network in eval mode; the same subject gives the same weights, whatever the global random state is."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(subject.seed)  # the processor's alone: see outputs_of
        model = SUBJECTS[subject.kind]()
        for name, tensor in model.state_dict().items():
            if tensor.ndim > 1:  # weights large enough for the scores to bend
                tensor.mul_(2.5)
            elif name.endswith(("running_mean", "norm.bias")):
                tensor.copy_(torch.randn_like(tensor) / 2)
            elif name.endswith(("running_var", "norm.weight")):
                tensor.copy_(torch.rand_like(tensor) + 0.5)
    return model.eval()
