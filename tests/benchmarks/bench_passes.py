"""Passes until a map has rank correlation .98 with the converged one: what better samples save over plain ones.

    python tests/benchmarks/bench_passes.py PHOTO... [--methods lime,rise] [--size 64] [--quick]

Each variant gives its map after a growing number of passes; its Spearman correlation with a long run is averaged over
seeds, and the crossing of .98 (where it stays above) is interpolated on a logarithmic scale, or extrapolated (~). The
first variant of each method is what its peers do; the ratio is to it, the geometric mean over the photos. No time is
measured here; a photo takes about four minutes of one core, half of that with --quick.
"""

import argparse
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from scipy.stats import rankdata
from torch import Tensor, nn

from hw_xai.core.memory import even_chunks
from hw_xai.core.randomness import gaussian
from hw_xai.explain import superpixels
from hw_xai.explain.gradients import differentiate, path_rule, value_range
from hw_xai.explain.subsets import balanced_subsets
from hw_xai.explain.surrogate import as_regions, region_means
from hw_xai.vision.networks import load
from hw_xai.vision.preprocess import preprocessing

ENOUGH = 0.98
Growing = Iterator[tuple[int, Tensor]]  # passes so far, the map they give


def rungs(least: int, most: int, step: int = 1) -> list[int]:
    """Return numbers of samples that grow by √2, in multiples of step."""
    powers = (least * 2 ** (i / 2) for i in range(64))
    return sorted({step * max(1, round(n / step)) for n in powers if n <= most})


@dataclass(frozen=True)
class Subject:
    """One photo and its most likely class, with the passes that the variants are made of."""

    model: nn.Module
    x: Tensor  # (1, 3, H, W)
    target: Tensor  # (1,)
    regions: Tensor  # (1, 1, H, W), superpixels 0 to K-1

    @property
    def n_regions(self) -> int:
        return int(self.regions.max()) + 1

    def scores(self, pictures: Iterator[Tensor]) -> Tensor:
        """(k, 3, H, W), ... -> (n,), float64"""
        with torch.inference_mode():
            return torch.cat([self.model(part)[:, self.target[0]] for part in pictures]).double()

    def shown_scores(self, shown: Tensor) -> Tensor:
        """Scores with the superpixels hidden that a row leaves out: bool (n, K) -> (n,)."""
        means = region_means(self.x, self.regions)
        return self.scores(torch.where(part[:, self.regions[0]], self.x, means) for part in shown.split(32))

    def gradients(self, points: Iterator[Tensor], n: int) -> Iterator[Tensor]:
        """Yield the gradient at each of n points (1, 3, H, W)."""
        for chunk in even_chunks(n, 32):
            stacked = torch.cat([next(points) for _ in chunk])
            yield from differentiate(self.model, stacked, self.target.expand(len(stacked))).double().split(1)


# --------------------------------------------------------------------------------------------------------- the methods


def smooth_grad(noise: Callable, subject: Subject, n: int, seed: int, places: list[int]) -> Growing:
    sigma = 0.15 * value_range(subject.x)
    total = 0
    points = (subject.x + sigma * e for e in noise(subject.x, n, seed))
    for i, gradient in enumerate(subject.gradients(points, n), start=1):
        total = total + gradient
        if i in places:
            yield i, total / i


def iid_noise(x: Tensor, n: int, seed: int) -> Iterator[Tensor]:
    return gaussian(x, n, seed)


def paired_noise(x: Tensor, n: int, seed: int) -> Iterator[Tensor]:
    for noise in gaussian(x, -(-n // 2), seed):
        yield from (noise, -noise)


def sobol_noise(x: Tensor, n: int, seed: int) -> Iterator[Tensor]:
    engine = torch.quasirandom.SobolEngine(x.numel(), scramble=True, seed=seed)
    for _ in range(n):
        uniform = engine.draw(1, dtype=torch.float64).clamp(1e-7, 1 - 1e-7)
        yield (math.sqrt(2) * torch.erfinv(2 * uniform - 1)).reshape(x.shape).to(x)


def integrated_gradients(rule: Callable, subject: Subject, n: int, seed: int, places: list[int]) -> Growing:
    for count in places:
        alphas, weights, pilot = rule(subject, count)
        found = subject.gradients((alpha * subject.x for alpha in alphas), len(alphas))
        yield len(alphas) + pilot, subject.x * sum(w * g for w, g in zip(weights, found, strict=True))


def fixed(method: str) -> Callable:
    return lambda subject, n: (*path_rule(method, n), 0)


def left_end(subject: Subject, n: int) -> tuple[np.ndarray, np.ndarray, float]:
    return np.arange(n) / n, np.full(n, 1 / n), 0


def adaptive(subject: Subject, n: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Points where the score changes: midpoints of intervals over which a pilot of n/2 forward passes changes alike."""
    edges = np.linspace(0, 1, max(3, n // 2))
    scores = subject.scores(part * subject.x for part in torch.from_numpy(edges).float().view(-1, 1, 1, 1).split(32))
    change = np.abs(np.diff(scores.numpy()))
    density = 0.5 / len(change) + 0.5 * change / change.sum()
    ends = np.interp(np.linspace(0, 1, n + 1), [0, *np.cumsum(density)], edges)
    return (ends[1:] + ends[:-1]) / 2, np.diff(ends), len(edges) / 3  # a forward pass is a third of both


def lime(subsets: Callable, subject: Subject, n: int, seed: int, places: list[int]) -> Growing:
    shown = subsets(n, subject.n_regions, seed)
    shown[0] = True
    scores = subject.shown_scores(shown)
    design = shown.double()
    distance = 1 - design.mean(dim=1).sqrt()  # cosine, to showing all
    weights = torch.exp(-((distance / 0.25) ** 2)).sqrt()
    for count in places:
        w, d, s = weights[:count], design[:count], scores[:count]
        d, s = d - w @ d / w.sum(), s - w @ s / w.sum()
        ridge = d.T @ (w[:, None] * d) + torch.eye(d.shape[1])
        yield count, torch.linalg.solve(ridge, d.T @ (w * s))[subject.regions]


def iid_subsets(n: int, size: int, seed: int) -> Tensor:
    return torch.rand(n, size, generator=torch.Generator().manual_seed(seed)) < 0.5


def with_complements(subsets: Tensor) -> Tensor:
    return torch.stack([subsets, ~subsets], dim=1).flatten(0, 1)


def paired_subsets(n: int, size: int, seed: int) -> Tensor:
    return with_complements(iid_subsets(n // 2, size, seed))


def orthogonal_subsets(n: int, size: int, seed: int) -> Tensor:
    return balanced_subsets(n, size, torch.Generator().manual_seed(seed))


def sobol_subsets(n: int, size: int, seed: int) -> Tensor:
    return torch.quasirandom.SobolEngine(size, scramble=True, seed=seed).draw(n) < 0.5


def rise(masks: Callable, subject: Subject, n: int, seed: int, places: list[int]) -> Growing:
    total, done = 0, 0
    for part in masks(subject.x, n, seed):
        scores = subject.scores([subject.x * part])
        for score, mask in zip(scores, part.double(), strict=True):
            total, done = total + score * mask, done + 1
            if done in places:
                yield done, total / (done * 0.5)


def grids_of(subsets: Callable, x: Tensor, n: int, seed: int, *, paired: bool) -> Iterator[Tensor]:
    """RISE's masks from chosen grids of 7 × 7 cells, shifted at random, a pair by the same shift."""
    grids = subsets(n, 49, seed).reshape(n, 1, 7, 7).float()
    side = x.shape[-1]
    cell = -(-side // 7)
    shifts = torch.randint(cell, (n, 2), generator=torch.Generator().manual_seed(seed + 1))
    if paired:
        shifts[1::2] = shifts[::2]
    for rows in torch.arange(n).split(32):
        large = nn.functional.interpolate(grids[rows], size=8 * cell, mode="bilinear", align_corners=False)
        yield torch.stack([m[:, a : a + side, b : b + side] for m, (a, b) in zip(large, shifts[rows], strict=True)])


def permutations(subject: Subject, n: int, seed: int, places: list[int], *, reverse: bool) -> Growing:
    size, source = subject.n_regions, torch.Generator().manual_seed(seed)
    n_orders = n // (size - 1)
    ranks = torch.rand(n_orders, size, generator=source).argsort(dim=1)
    if reverse:
        ranks[1::2] = size - 1 - ranks[: 2 * (n_orders // 2) : 2]
    shown = ranks[:, None, :] < torch.arange(1, size)[:, None]  # (n_orders, K−1, K)
    ends = subject.shown_scores(torch.tensor([[False], [True]]).expand(2, size))
    between = subject.shown_scores(shown.flatten(0, 1)).reshape(n_orders, -1)
    worths = torch.cat([ends[:1].expand(n_orders, 1), between, ends[1:].expand(n_orders, 1)], dim=1)
    gains = worths.diff(dim=1).gather(1, ranks)
    for count in places:
        used = count // (size - 1)
        if used and (not reverse or used % 2 == 0):
            yield used * (size - 1), gains[:used].mean(dim=0)[subject.regions]


def kernel(subject: Subject, n: int, seed: int, places: list[int], *, even: bool) -> Growing:
    size, source = subject.n_regions, torch.Generator().manual_seed(seed)
    ends = subject.shown_scores(torch.tensor([[False], [True]]).expand(2, size))
    sizes = torch.arange(1, size)
    odds = (1 / (sizes * (size - sizes))).double()
    rows = n // 2
    if even:  # sizes by a golden-ratio walk through their distribution instead of independently
        walk = (torch.rand(1, generator=source).double() + torch.arange(rows) * (math.sqrt(5) - 1) / 2) % 1
        drawn = torch.searchsorted((odds / odds.sum()).cumsum(0), walk).clamp(max=size - 2)
    else:
        drawn = torch.multinomial(odds, rows, replacement=True, generator=source)
    shown = torch.rand(rows, size, generator=source).argsort(dim=1) < sizes[drawn, None]
    shown = with_complements(shown)
    scores = subject.shown_scores(shown)
    total, share = ends.diff(), shown.double().mean(dim=1, keepdim=True)
    design, excess = shown.double() - share, scores - ends[0] - share[:, 0] * total
    for count in places:
        yield count, (torch.linalg.pinv(design[:count]) @ excess[:count])[subject.regions]


@dataclass(frozen=True)
class Study:
    """A method: its variants, the one whose long run is the converged map, and the numbers of samples to look at."""

    variants: dict[str, Callable[..., Growing]]
    reference: str
    converged: int
    places: list[int]
    n_seeds: int = 1


STUDIES = {
    "integrated_gradients": Study(
        {
            "Gauss-Legendre (Captum)": partial(integrated_gradients, fixed("gauss_legendre")),
            "left end": partial(integrated_gradients, left_end),
            "trapezoid": partial(integrated_gradients, fixed("trapezoid")),
            "midpoint": partial(integrated_gradients, fixed("midpoint")),
            "adaptive midpoint": partial(integrated_gradients, adaptive),
        },
        reference="midpoint",
        converged=1024,
        places=rungs(4, 256),
    ),
    "smooth_grad": Study(
        {
            "independent": partial(smooth_grad, iid_noise),
            "pairs ±": partial(smooth_grad, paired_noise),
            "Sobol": partial(smooth_grad, sobol_noise),
        },
        reference="pairs ±",
        converged=4096,
        places=rungs(8, 1024, step=2),
    ),
    "lime": Study(
        {
            "independent": partial(lime, iid_subsets),
            "complements": partial(lime, paired_subsets),
            "orthogonal + complements": partial(lime, orthogonal_subsets),
            "Sobol": partial(lime, sobol_subsets),
        },
        reference="orthogonal + complements",
        converged=8192,
        places=rungs(32, 2048, step=2),
        n_seeds=2,
    ),
    "shapley": Study(
        {
            "orders": partial(permutations, reverse=False),
            "orders and reverses": partial(permutations, reverse=True),
            "kernel, complements": partial(kernel, even=False),
            "kernel, complements, even sizes": partial(kernel, even=True),
        },
        reference="kernel, complements, even sizes",
        converged=8192,
        places=rungs(64, 2048, step=2),
        n_seeds=2,
    ),
    "rise": Study(
        {
            "independent": partial(rise, partial(grids_of, iid_subsets, paired=False)),
            "complements": partial(rise, partial(grids_of, paired_subsets, paired=True)),
            "orthogonal + complements": partial(rise, partial(grids_of, orthogonal_subsets, paired=True)),
        },
        reference="orthogonal + complements",
        converged=16384,
        places=rungs(64, 4096, step=2),
    ),
}


# ------------------------------------------------------------------------------------------------------------ measuring


def crossing(passes: np.ndarray, correlation: np.ndarray) -> float:
    """Return the passes at which the correlation reaches ENOUGH for good."""
    below = np.flatnonzero(correlation < ENOUGH)
    if len(below) == 0:
        return passes[0]
    last = below[-1]
    if last + 1 == len(passes):  # not reached: go on as the error of a mean does, 1 − ρ ~ 1 / passes
        return passes[-1] * (1 - correlation[-1]) / (1 - ENOUGH)
    # 1 − ρ falls like a power of the passes: a straight line on two logarithmic scales
    gap, log_passes = np.log(np.maximum(1 - correlation[last : last + 2], 1e-9)), np.log(passes[last : last + 2])
    return float(np.exp(np.interp(-math.log(1 - ENOUGH), -gap, log_passes)))


def measure(study: Study, subject: Subject, quick: bool) -> dict[str, float]:
    """Return the passes that each variant needs for one photo."""
    converged = study.converged // 2 if quick else study.converged
    places = [n for n in study.places if not quick or n <= study.places[-1] // 2]
    *_, (_, reference) = study.variants[study.reference](subject, converged, 1000, [converged])
    target = ranks(reference)
    needed = {}
    for name, variant in study.variants.items():
        curves = []
        for seed in range(min(2, study.n_seeds) if quick else study.n_seeds):
            steps = [(n, ranks(found)) for n, found in variant(subject, places[-1], seed, places)]
            curves.append([(n, np.corrcoef(rank, target)[0, 1]) for n, rank in steps])
        passes, correlation = np.mean(curves, axis=0).T
        needed[name] = crossing(passes, correlation)
    return needed


def ranks(tensor: Tensor) -> np.ndarray:
    return rankdata(tensor.flatten().numpy())


def as_subject(model: nn.Module, path: Path, size: int) -> Subject:
    x = preprocessing(size)(Image.open(path).convert("RGB"))[None]
    with torch.no_grad():
        return Subject(model, x, model(x).argmax(dim=1), as_regions(superpixels(), x)[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", nargs="+", type=Path)
    parser.add_argument("--model", default="foodnet-photos")
    parser.add_argument("--methods", default=",".join(STUDIES))
    parser.add_argument("--size", type=int, default=64, help="side of the input in pixels")
    parser.add_argument("--quick", action="store_true", help="half of the passes, two seeds at most")
    options = parser.parse_args()
    torch.set_num_threads(1)
    model = load(options.model).requires_grad_(False)
    subjects = [as_subject(model, path, options.size) for path in options.photos]
    for method in options.methods.split(","):
        study = STUDIES[method]
        needed = [measure(study, subject, options.quick) for subject in subjects]
        print(f"\n{method}: passes to Spearman {ENOUGH}, {len(subjects)} photos of {options.size}²")
        plain = next(iter(study.variants))
        for name in study.variants:
            counts = [row[name] for row in needed]
            ratio = math.exp(np.mean([math.log(row[name] / row[plain]) for row in needed]))
            listed = "  ".join(f"{'~' if count > study.places[-1] else ''}{count:.0f}".rjust(6) for count in counts)
            print(f"  {name:32} {ratio:5.2f}   {listed}", flush=True)


if __name__ == "__main__":
    main()
