"""Random views of photos, a batch at a time: crops, light, and resolution, so that sharpness tells no class."""

from collections.abc import Sequence

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

_GRAY = (0.299, 0.587, 0.114)


def _uniform(n: int, low: float, high: float, generator: torch.Generator) -> Tensor:
    return low + (high - low) * torch.rand(n, generator=generator)


def random_views(photos: Sequence[np.ndarray], size: int, generator: torch.Generator) -> Tensor:
    """Return (N, 3, size, size) float in [0, 1]: one random view of each photo, (side, side, 3) uint8.

    Everything random comes from `generator`. Crops of 30 to 100 % of the area, mirrored, turned by up to ten degrees;
    brightness, contrast, saturation and white balance; then half of them lose resolution (as far as 28 pixels across),
    a quarter are sharpened and a quarter go through JPEG.
    """
    views = torch.empty(len(photos), 3, size, size)
    for side in sorted({len(photo) for photo in photos}):
        rows = [i for i, photo in enumerate(photos) if len(photo) == side]
        pixels = torch.from_numpy(np.stack([photos[i] for i in rows])).permute(0, 3, 1, 2).float() / 255
        views[rows] = _crops(pixels, size, generator)
    views = _light(views, generator)
    return _resolution(views, generator).clamp_(0, 1)


def _crops(pixels: Tensor, size: int, generator: torch.Generator) -> Tensor:
    """Return a random crop of each of (N, 3, H, W), mirrored and turned, as (N, 3, size, size)."""
    n = len(pixels)
    edge = _uniform(n, 0.3, 1.0, generator).sqrt()  # of the area
    stretch = torch.exp(_uniform(n, -0.28, 0.28, generator) / 2)  # aspect 3:4 to 4:3
    wide, high = (edge * stretch).clamp(max=1), (edge / stretch).clamp(max=1)
    shift_x, shift_y = (_uniform(n, -1, 1, generator) * (1 - part) for part in (wide, high))
    mirrored = torch.where(torch.rand(n, generator=generator) < 0.5, -1.0, 1.0)
    angle = _uniform(n, -10, 10, generator).deg2rad()
    cos, sin = angle.cos(), angle.sin()
    theta = torch.stack(
        [
            torch.stack([wide * cos * mirrored, -wide * sin, shift_x], 1),
            torch.stack([high * sin * mirrored, high * cos, shift_y], 1),
        ],
        1,
    )  # (N, 2, 3)
    grid = F.affine_grid(theta, [n, 3, size, size], align_corners=False)
    return F.grid_sample(pixels, grid, padding_mode="reflection", align_corners=False)


def _light(views: Tensor, generator: torch.Generator) -> Tensor:
    """Change white balance, brightness, contrast and saturation of (N, 3, H, W)."""
    n = len(views)

    def factors(spread: float, channels: int = 1) -> Tensor:
        return _uniform(n * channels, 1 - spread, 1 + spread, generator).view(n, channels, 1, 1)

    views = views * factors(0.1, 3) * factors(0.3)
    mean = views.mean((1, 2, 3), keepdim=True)
    views = mean + (views - mean) * factors(0.3)
    gray = (views * torch.tensor(_GRAY).view(1, 3, 1, 1)).sum(1, keepdim=True)
    return (gray + (views - gray) * factors(0.4)).clamp_(0, 1)


def _resolution(views: Tensor, generator: torch.Generator) -> Tensor:
    """Let half of (N, 3, S, S) lose resolution, sharpen a quarter, send a quarter through JPEG."""
    size = views.shape[-1]
    order = torch.randperm(len(views), generator=generator)
    for rows in order[: len(order) // 2].split(8):  # one resolution for eight views: resizing goes by batches
        small = int(torch.randint(min(28, size), size + 1, (), generator=generator))
        reduced = F.interpolate(views[rows], (small, small), mode="bilinear", antialias=True)
        views[rows] = F.interpolate(reduced, (size, size), mode="bilinear", antialias=True)
    sharpened = torch.rand(len(views), generator=generator) < 0.25
    strength = _uniform(len(views), 0.5, 2.0, generator)[sharpened].view(-1, 1, 1, 1)
    if sharpened.any():
        chosen = views[sharpened]
        views[sharpened] = (
            chosen + strength * (chosen - F.avg_pool2d(chosen, 3, 1, 1, count_include_pad=False))
        ).clamp(0, 1)
    qualities = torch.randint(25, 96, (len(views),), generator=generator).tolist()
    for i in torch.nonzero(torch.rand(len(views), generator=generator) < 0.25).flatten().tolist():
        pixels = (views[i].clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).contiguous().numpy()
        views[i] = torch.from_numpy(_through_jpeg(pixels, qualities[i])).permute(2, 0, 1).float() / 255
    return views


def _through_jpeg(pixels: np.ndarray, quality: int) -> np.ndarray:
    """Return (H, W, 3) uint8 as JPEG of that quality keeps it. OpenCV's order of colours is blue first."""
    _, packed = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR))[..., ::-1].copy()
