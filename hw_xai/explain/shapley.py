"""Shapley values: what each region of an input adds to the score, on average over all orders of showing the regions.

Any function is a model. Each input is explained on its own, batch_size masked copies at a time.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from ..core.arguments import check_batch_size, check_choice, check_count
from ..core.batches import explaining
from ..core.model import known_target
from ..core.preparing import prepared
from ..core.protocols import Model, Target
from ..core.randomness import generator
from .fills import Fill, Filler, as_fills, constant
from .perturbation import hidden_scores
from .surrogate import Segments, as_regions, region_means

Estimator = Literal["permutation", "kernel", "exact"]
Worth = Callable[[Tensor], Tensor]  # which regions are shown (n, K) -> scores (n,), float64 on the CPU


@dataclass(frozen=True)
class ShapleyValues:
    """What each region of one input adds to its score, and how sure that is."""

    segments: Tensor  # LongTensor (1, ...) that broadcasts against the input: the region of every element, 0 to K-1
    values: Tensor  # (K,) with Σ values = score − hidden_score
    standard_errors: Tensor  # (K,) of the sampling: 0 when exact, NaN when there were too few samples to tell
    score: float  # of the whole input
    hidden_score: float  # with every region hidden
    target: int

    @property
    def attribution(self) -> Tensor:
        """Return the value of each element's region, in the shape of segments."""
        return self.values[self.segments]


def shapley(
    model: Model,
    inputs: Tensor,
    target: Target = None,
    *,
    segments: Segments = None,
    method: Estimator = "permutation",
    n_samples: int = 1000,
    fill: Fill | None = None,
    seed: int = 0,
    batch_size: int | None = None,
    progress: bool = False,
) -> Tensor:
    """Shapley value of each region: what showing it adds to the score, on average over all orders of showing them.

    (N, C, H, W) -> (N, 1, H, W); the values of an input's regions sum to score(inputs) − score(all hidden), and every
    element of a region gets its whole value. segments: as for `lime`. fill: as for `occlusion`, None for the region's
    own mean, 0 where it is one element. method: "permutation" averages over pairs of a random order and its reverse,
    and gives a region without influence exactly 0; "kernel" (Kernel SHAP) is a regression on pairs of a random subset
    and its complement, with noise of one size on all regions; "exact" takes all subsets, of at most 12 regions. Forward
    passes for each input with K regions: 2^K for "exact", else at most n_samples, but no fewer than the 2K of one pair
    of orders; one more when target is None. Štrumbelj and Kononenko 2014, KAIS 41; Lundberg and Lee 2017,
    arXiv 1705.07874.

    >>> from hw_xai.explain import shapley
    >>> from hw_xai.testing import pictures, small_network
    >>> shapley(small_network(), pictures(), segments=(pictures()[0, 0] > 0.5).long(), n_samples=20).shape
    torch.Size([3, 1, 16, 16])
    """
    values = shapley_values(
        model, inputs, target, segments=segments, method=method, n_samples=n_samples, fill=fill, seed=seed,
        batch_size=batch_size, progress=progress,
    )  # fmt: skip
    return torch.cat([one.attribution for one in values])


def shapley_values(
    model: Model,
    inputs: Tensor,
    target: Target = None,
    *,
    segments: Segments = None,
    method: Estimator = "permutation",
    n_samples: int = 1000,
    fill: Fill | None = None,
    seed: int = 0,
    batch_size: int | None = None,
    progress: bool = False,
) -> list[ShapleyValues]:
    """Return the values behind `shapley` for each input, with their standard errors. Options as there."""
    check_choice("method", method, ESTIMATORS)
    check_count("n_samples", n_samples, least=4)
    check_count("seed", seed, least=0)
    check_batch_size(batch_size)

    def shared_out(x: Tensor, target: Tensor | None, regions: Tensor, fill: Filler | None) -> ShapleyValues:
        target = known_target(model, x, target)
        n_regions = int(regions.max()) + 1
        fill = fill or partial(constant, region_means(x, regions))

        def worth(shown: Tensor, progress: bool = progress) -> Tensor:  # which regions are shown (n, K) -> scores (n,)
            hide = ~shown.to(x.device)

            def hidden(chunk: range) -> Tensor:  # (k, *regions.shape[1:])
                return hide[chunk.start : chunk.stop, regions[0]]

            scores = hidden_scores(model, x, target, len(shown), hidden, fill, batch_size, progress)
            return scores.double().cpu()

        none_and_all = worth(torch.tensor([[False], [True]]).expand(2, n_regions), progress=False)  # (2,)
        if n_regions == 1:
            values, errors = none_and_all.diff(), torch.zeros(1)
        else:
            values, errors = ESTIMATORS[method](worth, none_and_all, n_regions, n_samples, generator(seed))
        hidden_score, score = none_and_all.tolist()
        return ShapleyValues(regions, values.to(x), errors.to(x), score, hidden_score, int(target))

    with explaining(model, inputs, target, 1) as rows, prepared(model, inputs, n_samples * len(inputs)):
        regions = as_regions(segments, inputs)  # N × (1, ...)
        fills = [None] * len(inputs) if fill is None else as_fills(fill, inputs)
        return [shared_out(x, t, r, f) for (x, t), r, f in zip(rows, regions, fills, strict=True)]


def by_permutation(
    worth: Worth, none_and_all: Tensor, n_regions: int, n_samples: int, source: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Show the regions one after the other, in random orders and their reverses; average what each one adds."""
    n_pairs = max(1, (n_samples - 2) // (2 * (n_regions - 1)))
    ranks = random_ranks(n_pairs, n_regions, source)
    ranks = torch.stack([ranks, n_regions - 1 - ranks], dim=1).flatten(0, 1)  # (2·n_pairs, K)
    shown = ranks[:, None, :] < torch.arange(1, n_regions)[:, None]  # (2·n_pairs, K−1, K): after 1 ... K−1 steps
    ends = none_and_all.expand(len(ranks), 2)
    between = worth(shown.flatten(0, 1)).reshape(shown.shape[:2])
    steps = torch.cat([ends[:, :1], between, ends[:, 1:]], dim=1).diff(dim=1)  # (2·n_pairs, K): what a step adds
    gains = steps.gather(1, ranks).unflatten(0, (n_pairs, 2)).mean(dim=1)  # (n_pairs, K): what a region adds
    spread = gains.std(dim=0) if n_pairs > 1 else torch.full((n_regions,), math.nan)
    return gains.mean(dim=0), spread / math.sqrt(n_pairs)


def by_regression(
    worth: Worth, none_and_all: Tensor, n_regions: int, n_samples: int, source: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Fit score ≈ hidden_score + Σ of the shown regions' values to pairs of a random subset and its complement.

    A size s of K regions is drawn with the weight that makes this least squares problem Shapley's: 1 / (s (K − s)).
    """
    n_pairs, sizes = (n_samples - 2) // 2, torch.arange(1, n_regions)
    drawn = torch.multinomial(1 / (sizes * (n_regions - sizes)), n_pairs, replacement=True, generator=source)
    subsets = random_ranks(n_pairs, n_regions, source) < sizes[drawn, None]  # (n_pairs, K)
    shown = torch.stack([subsets, ~subsets], dim=1).flatten(0, 1)  # (2·n_pairs, K)
    hidden_score, total = none_and_all[0], none_and_all.diff()

    share = shown.double().mean(dim=1, keepdim=True)  # (2·n_pairs, 1)
    design = shown.double() - share  # its rows sum to zero and so does the solution: `total` is kept exactly
    excess = worth(shown) - hidden_score - share[:, 0] * total  # over sharing out `total` evenly
    inverse = torch.linalg.pinv(design)  # (K, 2·n_pairs)
    deviations = inverse @ excess  # (K,)
    residuals = excess - design @ deviations
    pushes = (inverse * residuals).unflatten(1, (n_pairs, 2)).sum(dim=2)  # (K, n_pairs): each pair's pull on a value
    free = n_pairs - (n_regions - 1)
    correction = n_pairs / free if free > 0 else math.nan
    return total / n_regions + deviations, (correction * pushes.square().sum(dim=1)).sqrt()


def by_enumeration(
    worth: Worth, none_and_all: Tensor, n_regions: int, n_samples: int, source: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Σ over all subsets S without region k of |S|! (K − |S| − 1)! / K! · (score of S and k − score of S)."""
    if n_regions > 12:
        raise ValueError(f'`segments` must have at most 12 regions for the method "exact", got {n_regions}')
    shown = (torch.arange(2**n_regions)[:, None] >> torch.arange(n_regions)) % 2 == 1  # (2^K, K)
    worths = torch.cat([none_and_all[:1], worth(shown[1:-1]), none_and_all[1:]])
    size = shown.sum(dim=1)
    # of all K! orders, those that show region k right after a subset of size s are one in so many
    one_in = torch.tensor([n_regions * math.comb(n_regions - 1, s) for s in range(n_regions)]).double()
    with_k, without_k = 1 / one_in[(size - 1).clamp(min=0)], 1 / one_in[size.clamp(max=n_regions - 1)]  # (2^K,)
    weights = torch.where(shown, with_k[:, None], -without_k[:, None])  # (2^K, K)
    return worths @ weights, torch.zeros(n_regions)


ESTIMATORS: dict[Estimator, Callable] = {
    "permutation": by_permutation,
    "kernel": by_regression,
    "exact": by_enumeration,
}


def random_ranks(n: int, n_regions: int, source: torch.Generator) -> Tensor:
    """Return the place of each region in n random orders: (n, K)."""
    return torch.rand((n, n_regions), generator=source, dtype=torch.float64).argsort(dim=1)


def shapley_passes(method: str, n_samples: int, n_regions: int) -> int:
    """Return how many masked inputs `shapley` looks at."""
    if n_regions == 1:
        return 2
    if method == "exact":
        return 2**n_regions
    pair = 2 * (n_regions - 1) if method == "permutation" else 2  # of orders, or of subsets
    return 2 + max(1, (n_samples - 2) // pair) * pair
