"""How alike two explanations are: by the order of their pixels, and to the eye. And the edge detectors to beat."""

from collections.abc import Callable
from typing import Literal

import numpy as np
import torch
from skimage.feature import canny, hog
from skimage.filters import sobel
from skimage.metrics import structural_similarity
from torch import Tensor

from ..core.arguments import check_choice, check_inputs, described
from ..core.protocols import Model, Target
from ..core.statistics import rank_correlation

MEASURES = {
    "rank": "rank correlation of the signed maps",
    "rank_absolute": "rank correlation of the absolute maps",
    "ssim": "structural similarity of the absolute maps",
    "hog": "rank correlation of the absolute maps' edge histograms",
}
LEAST_SIDE = 11  # pixels: the window of SSIM


def similarity(original: Tensor, changed: Tensor) -> dict[str, Tensor]:
    """Return how alike two attributions of each input are, by every measure: (N, C, H, W) twice -> (N,) float64 each.

    1 is the same map, 0 nothing in common; a rank correlation may reach −1. `rank` compares the sums over the channels,
    the others the sums of the absolute values; `ssim` and `hog` see those as a figure shows them, from 0 to 1 where 1
    is the 99th percentile. A map that has become constant has nothing in common with the original: 0. NaN where either
    map has NaN or infinite values, and where the original is constant: there was nothing to keep.
    SSIM: Wang et al. 2004 (Gaussian window of σ = 1.5). HOG: Dalal and Triggs 2005.
    """
    _check_maps(original, changed)
    original, changed = original.detach().double().cpu(), changed.detach().double().cpu()
    signed = original.sum(dim=1), changed.sum(dim=1)  # (N, H, W)
    absolute = original.abs().sum(dim=1), changed.abs().sum(dim=1)  # (N, H, W)
    return {
        "rank": _for_each(signed, rank_correlation),
        "rank_absolute": _for_each(absolute, rank_correlation),
        "ssim": _for_each(absolute, _structural_similarity),
        "hog": _for_each(absolute, lambda a, b: rank_correlation(_edge_histograms(a), _edge_histograms(b))),
    }


def edges(
    model: Model, inputs: Tensor, target: Target = None, *, detector: Literal["sobel", "canny"] = "sobel"
) -> Tensor:
    """The edges of the picture, called as an explainer that looks neither at the model nor at the target: (N, 1, H, W).

    What an explanation must differ from. "sobel": strength of the slope of the grey value; "canny": 1 on thin edges
    (σ = 2 pixels), 0 elsewhere. Canny 1986, IEEE TPAMI 8.
    """
    check_inputs(inputs)
    check_choice("detector", detector, ("sobel", "canny"))
    if inputs.ndim != 4:
        raise ValueError(f"`inputs` must be pictures (N, C, H, W) for an edge detector, got {described(inputs)}")
    grey = inputs.detach().mean(dim=1).double().cpu().numpy()  # (N, H, W)
    strengths = [sobel(one) if detector == "sobel" else canny(one, sigma=2) for one in grey]
    return torch.from_numpy(np.stack(strengths)[:, None]).to(inputs)


def _check_maps(original: Tensor, changed: Tensor) -> None:
    for name, maps in (("original", original), ("changed", changed)):
        if not isinstance(maps, Tensor) or not maps.is_floating_point() or maps.ndim != 4 or maps.numel() == 0:
            raise ValueError(f"`{name}` must be floating maps (N, C, H, W), got {described(maps)}")
    if changed.shape != original.shape:
        expected = f"maps of the shape of `original`, {tuple(original.shape)}"
        raise ValueError(f"`changed` must be {expected}, got shape {tuple(changed.shape)}")
    if min(original.shape[2:]) < LEAST_SIDE:
        expected = f"at least {LEAST_SIDE}×{LEAST_SIDE} pixels large"
        raise ValueError(f"`original` must be {expected}, got {tuple(original.shape[2:])}: enlarge the inputs")


def _for_each(maps: tuple[Tensor, Tensor], measure: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Measure the pairs of maps (N, H, W) that can be compared; 0 and NaN for the others, as `similarity` says."""
    original, changed = maps
    usable = (original.isfinite() & changed.isfinite()).all(dim=(1, 2)) & ~_is_constant(original)
    values = torch.where(usable, 0.0, torch.nan).double()
    usable &= ~_is_constant(changed)
    if usable.any():
        values[usable] = measure(original[usable], changed[usable]).double()
    return values


def _is_constant(maps: Tensor) -> Tensor:
    return maps.amax(dim=(1, 2)) == maps.amin(dim=(1, 2))


def _structural_similarity(original: Tensor, changed: Tensor) -> Tensor:
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 1.0}
    pairs = zip(_visible(original), _visible(changed), strict=True)
    return torch.tensor([structural_similarity(a, b, **options) for a, b in pairs])


def _edge_histograms(maps: Tensor) -> Tensor:
    """Histograms of the directions of edges in cells of 16 pixels, or fewer: (n, H, W) -> (n, features)."""
    cell = min(16, min(maps.shape[1:]) // 4)  # 3 × 3 cells make a block: four to a side give it room to move
    return torch.from_numpy(np.stack([hog(one, pixels_per_cell=(cell, cell)) for one in _visible(maps)]))


def _visible(maps: Tensor) -> np.ndarray:
    """Scale absolute maps (n, H, W) to 0..1 as the figures do, so that a few extreme pixels do not hide the rest."""
    flat = maps.flatten(1)
    top = flat.quantile(0.99, dim=1)
    top = torch.where(top > 0, top, flat.amax(dim=1))[:, None, None]
    return (maps / top).clamp(max=1).numpy()
