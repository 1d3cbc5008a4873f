"""Grad-CAM, LayerCAM and occlusion for a network that labels every pixel: what makes it call this region a disc?

python docs/examples/segmentation.py
"""

import torch
from torch import Tensor, nn

from hw_xai.explain import SegmentScores, grad_cam, layer_cam, occlusion

SIDE = 48
GROUND, DISC, SQUARE = range(3)


def pictures(n: int, source: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return noisy grey pictures (n, 1, S, S) of a disc and a square, and what each pixel is (n, S, S)."""
    y, x = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    centre = 9 + torch.randint(0, SIDE - 18, (2, 2, n, 1, 1), generator=source)
    disc = (y - centre[0, 0]) ** 2 + (x - centre[0, 1]) ** 2 < 49
    square = ((y - centre[1, 0]).abs() < 7) & ((x - centre[1, 1]).abs() < 7) & ~disc
    labels = GROUND + DISC * disc + SQUARE * square
    shades = 0.3 + 0.5 * (labels > 0).float() + 0.08 * torch.randn(labels.shape, generator=source)
    return shades[:, None], labels


def train(n_steps: int = 150) -> nn.Module:
    torch.manual_seed(0)
    source, layers = torch.Generator().manual_seed(0), []
    for channels, step in ((1, 1), (16, 1), (16, 2), (16, 4)):
        layers += [nn.Conv2d(channels, 16, 3, padding=step, dilation=step), nn.ReLU()]
    model = nn.Sequential(*layers, nn.Conv2d(16, 3, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(n_steps):
        shades, labels = pictures(16, source)
        loss = nn.functional.cross_entropy(model(shades), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model.eval()


def main() -> None:
    model = train()
    photo, labels = pictures(1, torch.Generator().manual_seed(1))
    right = (model(photo).argmax(dim=1) == labels).float().mean()
    print(f"{right:.1%} of the pixels are labelled right")
    # the pixels of the disc alone: without a mask, all that the class wins are asked about
    scores = SegmentScores(model, mask=labels[0] == DISC)
    maps = {
        "Grad-CAM": grad_cam(scores, photo, DISC, layer="model.7"),  # one weight for a map: wherever it is active
        "LayerCAM": layer_cam(scores, photo, DISC, layer="model.7"),  # a weight for each place
        "occlusion": occlusion(scores, photo, DISC, window=8, stride=4).clamp(min=0),
    }
    for name, found in maps.items():
        shares = [float(found[0, 0][labels[0] == kind].sum() / found.sum()) for kind in (GROUND, DISC, SQUARE)]
        print(f"{name:10} of the map {shares[DISC]:.0%} lies on the disc, {shares[SQUARE]:.0%} on the square")


if __name__ == "__main__":
    main()
