"""What an explainer is asked about by default: a small network with all that gets explainers into trouble."""

import torch
from torch import Tensor, nn


class SmallNet(nn.Module):
    """(N, 3, 16, 16) -> (N, 5) with BatchNorm, Dropout, in-place and functional ReLU, and a residual connection."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(inplace=True))
        self.pool = nn.MaxPool2d(2)
        self.block = nn.Sequential(nn.Conv2d(6, 6, 3, padding=1), nn.BatchNorm2d(6))
        self.dropout = nn.Dropout(0.5)
        self.head = nn.Linear(6 * 4 * 4, 5)

    def forward(self, inputs: Tensor) -> Tensor:
        x = self.pool(self.stem(inputs))
        x = nn.functional.relu(x + self.block(x))
        return self.head(self.dropout(self.pool(x).flatten(1)))


def small_network() -> SmallNet:
    """Return a SmallNet in float64 with random weights and BatchNorm statistics of real passes, in training mode."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = SmallNet().double()
        for _ in range(20):
            model(torch.rand(16, 3, 16, 16).double())
        return model


def pictures() -> Tensor:
    """Return three random pictures (3, 3, 16, 16) in [0, 1], float64, smooth enough to have superpixels."""
    coarse = torch.rand(3, 3, 5, 5, generator=torch.Generator().manual_seed(1)).double()
    return nn.functional.interpolate(coarse, size=(16, 16), mode="bilinear", align_corners=True)
