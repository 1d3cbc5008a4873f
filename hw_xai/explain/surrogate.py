"""Explanations from a simple model fitted to the scores around one input: LIME through its authors' package.

The package supplies segmentation, kernel and ridge regression; the predictions are ours, in batches, and so are the
samples: balanced instead of independent, they take about half of the passes to the same map. The numbers are those
of `lime_image.LimeImageExplainer` called by hand with the same samples and the same superpixels, numbered from 0.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypedDict, Unpack, get_args

import numpy as np
import torch
from torch import Tensor

from ..core.arguments import check_batch_size, check_choice, check_count, check_inputs, described, like_inputs
from ..core.batches import explaining, progress_bar
from ..core.memory import fitting_chunks
from ..core.model import resolve_target, scores_of
from ..core.preparing import prepared
from ..core.protocols import Model, Target
from ..core.randomness import generator
from .subsets import balanced_subsets

Kind = Literal["ridge", "tree"]
Segments = Tensor | Callable[[np.ndarray], np.ndarray] | None


@dataclass(frozen=True)
class Surrogate:
    """The simple model that stands in for the network around one input, and how well it does so."""

    segments: Tensor  # LongTensor (1, ...) that broadcasts against the input: the superpixel of every element, 0 to K-1
    coefficients: Tensor  # (K,) what showing superpixel k adds to its score
    intercept: float  # the score that it gives when every superpixel is hidden
    r2: float  # share of the scores' weighted variance that it explains, on the samples that it was fitted to
    local_prediction: float  # its score for the whole input ...
    score: float  # ... and the model's own
    target: int

    @property
    def attribution(self) -> Tensor:
        """Return the coefficient of each element's superpixel, in the shape of segments."""
        return self.coefficients[self.segments]


@dataclass(frozen=True)
class LimeReport:
    """What several runs of LIME on one input have in common: how far one of them can be trusted."""

    surrogates: list[Surrogate]  # one for each seed
    r2: float  # mean share of the scores' variance that a surrogate explains
    stability: float  # mean correlation between the coefficients of two seeds: 1 when chance decides nothing

    @property
    def coefficients(self) -> Tensor:
        """Return the coefficients of each seed: (n_seeds, K)."""
        return torch.stack([surrogate.coefficients for surrogate in self.surrogates])


def lime(
    model: Model,
    inputs: Tensor,
    target: Target = None,
    *,
    segments: Segments = None,
    surrogate: Kind = "ridge",
    n_samples: int = 1000,
    n_features: int | None = None,
    fill: Tensor | float | None = None,
    seed: int = 0,
    batch_size: int | None = None,
    progress: bool = False,
) -> Tensor:
    """Coefficient of each superpixel in a simple model of the score, fitted to inputs with random superpixels hidden.

    (N, C, H, W) -> (N, 1, H, W). segments: None for `superpixels()`; a function of a picture (H, W, C) that returns
    its superpixels (H, W); or a LongTensor that broadcasts against inputs of any shape, whose shape the result takes.
    surrogate: "ridge" for a linear model; "tree" for a decision tree of at most 16 leaves, where the coefficient is
    what showing the superpixel adds to the tree's answer, on average over the samples. fill: what a hidden superpixel
    shows: None for its own mean (0 where it is one element), a number, or a tensor that broadcasts to inputs.
    n_features: keep only so many superpixels, as the package selects them; the others get 0. n_samples forward passes
    for each input: with less than 10 for a superpixel there is a warning. Ribeiro et al. 2016, arXiv 1602.04938.

    >>> from hw_xai.explain import lime
    >>> from hw_xai.testing import pictures, small_network
    >>> lime(small_network(), pictures(), segments=(pictures()[0, 0] > 0.5).long(), n_samples=40).shape
    torch.Size([3, 1, 16, 16])
    """
    surrogates = lime_surrogates(
        model, inputs, target, segments=segments, surrogate=surrogate, n_samples=n_samples, n_features=n_features,
        fill=fill, seed=seed, batch_size=batch_size, progress=progress,
    )  # fmt: skip
    return torch.cat([one.attribution for one in surrogates])


def lime_surrogates(
    model: Model,
    inputs: Tensor,
    target: Target = None,
    *,
    segments: Segments = None,
    surrogate: Kind = "ridge",
    n_samples: int = 1000,
    n_features: int | None = None,
    fill: Tensor | float | None = None,
    seed: int = 0,
    batch_size: int | None = None,
    progress: bool = False,
) -> list[Surrogate]:
    """Return the simple model behind `lime` for each input, with its intercept and quality. Options as there."""
    check_choice("surrogate", surrogate, get_args(Kind))
    check_count("n_samples", n_samples, least=2)
    check_count("seed", seed, least=0)
    check_batch_size(batch_size)
    check_count("n_features", 1 if n_features is None else n_features)
    fills = [] if fill is None else [like_inputs("fill", fill, inputs)]

    def fit(x: Tensor, target: Tensor | None, regions: Tensor, fill: Tensor | None = None) -> Surrogate:
        from lime.lime_image import LimeImageExplainer  # here: importing it draws from the global random state
        from sklearn.metrics import pairwise_distances  # late: seconds to load; `import hw_xai.explain` does without

        package = LimeImageExplainer(random_state=seed)
        samples = region_subsets(n_samples, int(regions.max()) + 1, seed)  # (n_samples, K)
        hidden = region_means(x, regions) if fill is None else fill  # (1, ...)
        scores = masked_scores(model, x, hidden, regions, samples, batch_size, progress)  # (n_samples, C)
        index = int(resolve_target(scores[:1], target))
        shown = samples.numpy().astype(int)
        intercept, weights, r2, local_prediction = package.base.explain_instance_with_data(
            shown,
            scores.cpu().numpy(),
            pairwise_distances(shown, shown[:1], metric="cosine").ravel(),
            index,
            n_features or shown.shape[1],
            feature_selection=package.feature_selection,
            model_regressor=_Tree(seed) if surrogate == "tree" else None,
        )
        coefficients = torch.zeros(shown.shape[1]).to(x)
        for k, weight in weights:
            coefficients[k] = float(weight)
        score = float(scores[0, index])
        return Surrogate(regions, coefficients, float(intercept), float(r2), float(local_prediction[0]), score, index)

    with explaining(model, inputs, target, 1, *fills) as rows, prepared(model, inputs, n_samples * len(inputs)):
        regions = as_regions(segments, inputs)  # N × (1, ...)
        most = max(int(of_input.max()) + 1 for of_input in regions)
        if n_samples < 10 * most:
            expected = f"`n_samples` should be at least {10 * most}, 10 for each of {most} regions"
            warnings.warn(f"{expected}, got {n_samples}: another seed may tell another story", stacklevel=2)
        return [fit(x, t, r, *f) for r, (x, t, *f) in zip(regions, rows, strict=True)]


class LimeOptions(TypedDict, total=False):
    """The options of `lime` that all runs of a report share."""

    surrogate: Kind
    n_samples: int
    n_features: int | None
    fill: Tensor | float | None
    batch_size: int | None
    progress: bool


def lime_report(
    model: Model,
    inputs: Tensor,
    target: Target = None,
    *,
    n_seeds: int = 5,
    seed: int = 0,
    segments: Segments = None,
    **options: Unpack[LimeOptions],
) -> list[LimeReport]:
    """Run LIME with n_seeds seeds on the same superpixels; return for each input how good and how stable it is.

    options: those of `lime`. n_seeds · n_samples forward passes for each input. Under a stability of about .9 take more
    samples; an R² near 0 says that the surrogate explains something else than the model, whatever its coefficients.
    """
    check_count("n_seeds", n_seeds, least=2)
    check_inputs(inputs)
    regions = torch.cat(as_regions(segments, inputs))  # (N, ...)
    seeds = range(seed, seed + n_seeds)
    runs = [lime_surrogates(model, inputs, target, segments=regions, seed=s, **options) for s in seeds]
    return [as_report(list(of_input)) for of_input in zip(*runs, strict=True)]


def superpixels(algorithm: str = "slic", **settings: float) -> Callable[[np.ndarray], np.ndarray]:
    """Return the lime package's segmentation: picture (H, W, C) -> superpixels (H, W).

    Without settings 33 to 47 superpixels on a photo of 128²: `slic` with n_segments=50, compactness=10, sigma=1.
    """
    # late: seconds to load; `import hw_xai.explain` does without
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
            got = tuple(inputs.shape)
            raise ValueError(f"`segments` must be given as a LongTensor unless inputs are (N, C, H, W), got {got}")
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


def region_subsets(n_samples: int, n_regions: int, seed: int) -> Tensor:
    """Return which regions each sample shows: bool (n_samples, K). The first sample shows all of them."""
    samples = balanced_subsets(n_samples, n_regions, generator(seed))
    samples[0] = True
    return samples


def as_report(surrogates: list[Surrogate]) -> LimeReport:
    """Compare the surrogates of one input, fitted with several seeds."""
    alike = torch.corrcoef(torch.stack([found.coefficients for found in surrogates]))  # (n_seeds, n_seeds)
    n = len(surrogates)
    stability = (alike.sum() - alike.trace()) / (n * (n - 1))
    return LimeReport(surrogates, sum(found.r2 for found in surrogates) / n, float(stability))


class _Tree:
    """A decision tree that answers what the package asks a linear model: its coefficients and its intercept."""

    def __init__(self, seed: int):
        from sklearn.tree import DecisionTreeRegressor  # late: seconds to load; `import hw_xai.explain` does without

        self.tree = DecisionTreeRegressor(max_leaf_nodes=16, min_samples_leaf=5, random_state=seed)
        self.predict, self.score = self.tree.predict, self.tree.score

    def fit(self, samples: np.ndarray, scores: np.ndarray, sample_weight: np.ndarray) -> None:
        self.tree.fit(samples, scores, sample_weight=sample_weight)
        self.intercept_ = self.predict(np.zeros_like(samples[:1]))[0]
        self.coef_ = [np.average(self._gain(samples, k), weights=sample_weight) for k in range(samples.shape[1])]

    def _gain(self, samples: np.ndarray, k: int) -> np.ndarray:
        """Return what showing region k adds to the answer for each sample: (n_samples,)."""
        with_k, without_k = samples.copy(), samples.copy()
        with_k[:, k], without_k[:, k] = 1, 0
        return self.predict(with_k) - self.predict(without_k)


def region_means(x: Tensor, regions: Tensor) -> Tensor:
    """Replace each element by the mean of its region, for each channel of its own: (1, ...) -> (1, ...).

    A region of one element would hide nothing behind its own mean: it becomes 0.

    Channels are the dimensions that regions (1, ...) leave at size 1: a picture's superpixels (1, 1, H, W) keep colour.
    """
    channel_shape = [size if own == 1 else 1 for size, own in zip(x.shape, regions.shape, strict=True)]
    channels = torch.arange(int(np.prod(channel_shape)), device=x.device).reshape(channel_shape)
    groups = (regions * channels.numel() + channels).expand_as(x)  # each region of each channel, one number
    values, index = x.flatten().double(), groups.flatten()
    sums = values.new_zeros(int(groups.max()) + 1).index_add(0, index, values)
    sizes = index.bincount()
    return torch.where(sizes > 1, sums / sizes, 0)[groups].to(x)


def masked_scores(
    model: Model, x: Tensor, hidden: Tensor, regions: Tensor, samples: Tensor, batch_size: int | None, progress: bool
) -> Tensor:
    """Return the scores (n_samples, C) of x (1, ...) with the regions that each sample leaves out taken from hidden."""
    show = samples.to(x.device)  # (n_samples, K)
    scores = []
    with progress_bar(len(samples), "samples", progress) as bar:
        for chunk in fitting_chunks(model, len(samples), batch_size):
            scores.append(scores_of(model, torch.where(show[chunk.start : chunk.stop, regions[0]], x, hidden)))
            bar.update(len(chunk))
    return torch.cat(scores)
