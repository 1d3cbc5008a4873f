"""Explanations from a simple model fitted to the scores around one input: LIME through its authors' package.

The package supplies segmentation, kernel and regressor; the predictions are ours, in batches. The numbers are those of
`lime_image.LimeImageExplainer(random_state=seed)` called by hand with the same superpixels, numbered from 0.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .contract import (
    BATCH_SIZE,
    Model,
    Target,
    check_count,
    described,
    even_chunks,
    explaining,
    like_inputs,
    progress_bar,
    resolve_target,
    scores_of,
)

Segments = Tensor | Callable[[np.ndarray], np.ndarray] | None


@dataclass(frozen=True)
class Surrogate:
    """The linear model that stands in for the network around one input, and how well it does so."""

    segments: Tensor  # LongTensor (1, ...) that broadcasts against the input: the superpixel of every element, 0 to K-1
    coefficients: Tensor  # (K,) what showing superpixel k adds to the score
    intercept: float  # the score that it gives when every superpixel is hidden
    r2: float  # share of the scores' weighted variance that it explains, on the samples that it was fitted to
    local_prediction: float  # its score for the whole input ...
    score: float  # ... and the model's own
    target: int

    @property
    def attribution(self) -> Tensor:
        """Return the coefficient of each element's superpixel, in the shape of segments."""
        return self.coefficients[self.segments]


def lime(
    model: Model,
    inputs: Tensor,
    target: Target = None,
    *,
    segments: Segments = None,
    n_samples: int = 1000,
    n_features: int | None = None,
    fill: Tensor | float | None = None,
    seed: int = 0,
    batch_size: int = BATCH_SIZE,
    progress: bool = False,
) -> Tensor:
    """Coefficient of each superpixel in a linear model of the score, fitted to inputs with random superpixels hidden.

    (N, C, H, W) -> (N, 1, H, W). segments: None for `superpixels()`; a function of a picture (H, W, C) that returns
    its superpixels (H, W); or a LongTensor that broadcasts against inputs of any shape, whose shape the result takes.
    fill: what a hidden superpixel shows: None for its own mean, a number, or a tensor that broadcasts to inputs.
    n_features: keep only so many superpixels, as the package selects them; the others get 0. n_samples forward passes
    for each input: give at least 10 per superpixel. Ribeiro et al. 2016, arXiv 1602.04938.
    """
    options = {"segments": segments, "n_samples": n_samples, "n_features": n_features, "fill": fill, "seed": seed}
    found = lime_surrogates(model, inputs, target, **options, batch_size=batch_size, progress=progress)
    return torch.cat([surrogate.attribution for surrogate in found])


def lime_surrogates(
    model: Model,
    inputs: Tensor,
    target: Target = None,
    *,
    segments: Segments = None,
    n_samples: int = 1000,
    n_features: int | None = None,
    fill: Tensor | float | None = None,
    seed: int = 0,
    batch_size: int = BATCH_SIZE,
    progress: bool = False,
) -> list[Surrogate]:
    """Return the linear model behind `lime` for each input, with its intercept and quality. Options as there."""
    check_count("n_samples", n_samples, least=2)
    check_count("seed", seed, least=0)
    check_count("batch_size", batch_size)
    check_count("n_features", 1 if n_features is None else n_features)
    fills = [] if fill is None else [like_inputs("fill", fill, inputs)]

    def fit(x: Tensor, target: Tensor | None, regions: Tensor, fill: Tensor | None = None) -> Surrogate:
        from lime.lime_image import LimeImageExplainer  # here: importing it draws from the global random state
        from sklearn.metrics import pairwise_distances

        package = LimeImageExplainer(random_state=seed)
        samples = random_subsets(package.random_state, n_samples, int(regions.max()) + 1)  # (n_samples, K)
        hidden = region_means(x, regions) if fill is None else fill  # (1, ...)
        scores = masked_scores(model, x, hidden, regions, samples, batch_size, progress)  # (n_samples, C)
        index = int(resolve_target(scores[:1], target))
        intercept, weights, r2, local_prediction = package.base.explain_instance_with_data(
            samples,
            scores.cpu().numpy(),
            pairwise_distances(samples, samples[:1], metric="cosine").ravel(),
            index,
            n_features or samples.shape[1],
            feature_selection=package.feature_selection,
        )
        coefficients = torch.zeros(samples.shape[1]).to(x)
        for k, weight in weights:
            coefficients[k] = float(weight)
        score = float(scores[0, index])
        return Surrogate(regions, coefficients, float(intercept), float(r2), float(local_prediction[0]), score, index)

    with explaining(model, inputs, target, 1, *fills) as rows:
        regions = as_regions(segments, inputs)  # N × (1, ...)
        return [fit(x, t, r, *f) for r, (x, t, *f) in zip(regions, rows, strict=True)]


def superpixels(algorithm: str = "slic", **settings: float) -> Callable[[np.ndarray], np.ndarray]:
    """Return the lime package's segmentation: picture (H, W, C) -> superpixels (H, W).

    Without settings 33 to 47 superpixels on a photo of 128²: `slic` with n_segments=50, compactness=10, sigma=1.
    """
    from lime.wrappers.scikit_image import SegmentationAlgorithm

    if algorithm == "slic":
        settings = {"n_segments": 50, "compactness": 10, "sigma": 1, **settings}
    return SegmentationAlgorithm(algorithm, **settings)


# ------------------------------------------------------------------------------------------------------------- parts


def as_regions(segments: Segments, inputs: Tensor) -> list[Tensor]:
    """Return for each input the region of every element, numbered 0 to K-1 without gaps: N × LongTensor (1, ...)."""
    if isinstance(segments, Tensor):
        try:
            shape = (1,) * (inputs.ndim - segments.ndim) + segments.shape
            regions = segments.reshape(shape).expand(len(inputs), *shape[1:])
            regions.expand_as(inputs)
        except RuntimeError:
            regions = None
        if regions is None or segments.dtype != torch.long:
            expected = f"a LongTensor that broadcasts to the inputs' shape {tuple(inputs.shape)}"
            raise ValueError(f"`segments` must be {expected}, got {described(segments)}")
    else:
        if segments is not None and not callable(segments):
            raise ValueError(f"`segments` must be None, a function or a LongTensor, got {described(segments)}")
        if inputs.ndim != 4:
            shape = tuple(inputs.shape)
            raise ValueError(f"`segments` must be given as a LongTensor unless inputs are (N, C, H, W), got {shape}")
        regions = torch.stack([_segmented(segments or superpixels(), picture) for picture in inputs.detach()])
    # lime hides "superpixel number j" for column j = 0 ... K-1: numbered from 1, the last one would never be hidden
    return [torch.unique(row, return_inverse=True)[1][None].to(inputs.device) for row in regions]


def _segmented(segment: Callable[[np.ndarray], np.ndarray], picture: Tensor) -> Tensor:  # (C, H, W) -> (1, H, W)
    regions = np.asarray(segment(picture.permute(1, 2, 0).cpu().numpy()))
    if regions.shape != picture.shape[1:] or not np.issubdtype(regions.dtype, np.integer):
        expected = tuple(picture.shape[1:])
        got = f"{regions.dtype} of shape {regions.shape}"
        raise ValueError(f"`segments` must return an integer array of shape {expected} for a picture, got {got}")
    return torch.from_numpy(regions.astype(np.int64))[None]


def random_subsets(random: np.random.RandomState, n_samples: int, n_regions: int) -> np.ndarray:
    """Return which regions each sample shows: 0 or 1, (n_samples, K). The first sample shows all of them."""
    random.randint(0, high=1000)  # the package spends its first draw on the segmentation: keep in step with it
    samples = random.randint(0, 2, n_samples * n_regions).reshape(n_samples, n_regions)
    samples[0] = 1
    return samples


def region_means(x: Tensor, regions: Tensor) -> Tensor:
    """Replace each element by the mean of its region, for each channel of its own: (1, ...) -> (1, ...).

    Channels are the dimensions that regions (1, ...) leave at size 1: a picture's superpixels (1, 1, H, W) keep colour.
    """
    channel_shape = [size if own == 1 else 1 for size, own in zip(x.shape, regions.shape, strict=True)]
    channels = torch.arange(int(np.prod(channel_shape)), device=x.device).reshape(channel_shape)
    groups = (regions * channels.numel() + channels).expand_as(x)  # each region of each channel, one number
    values, index = x.flatten().double(), groups.flatten()
    sums = values.new_zeros(int(groups.max()) + 1).index_add(0, index, values)
    return (sums / index.bincount())[groups].to(x)


def masked_scores(
    model: Model, x: Tensor, hidden: Tensor, regions: Tensor, samples: np.ndarray, batch_size: int, progress: bool
) -> Tensor:
    """Return the scores (n_samples, C) of x (1, ...) with the regions that each sample leaves out taken from hidden."""
    show = torch.from_numpy(samples > 0).to(x.device)  # (n_samples, K)
    scores = []
    with progress_bar(len(samples), "samples", progress) as bar:
        for chunk in even_chunks(len(samples), batch_size):
            scores.append(scores_of(model, torch.where(show[chunk.start : chunk.stop, regions[0]], x, hidden)))
            bar.update(len(chunk))
    return torch.cat(scores)
