"""All that is measured of one explanation: which scores there are, which way is better, and how each is computed.

What takes many passes for a steady number is measured with few here: the mean over the images steadies it as well.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from ..core.lending import lent
from ..core.preparing import prepared
from ..core.protocols import Explainer, Model
from ..explain import completeness_gap
from .faithfulness import SHARES, area_under, deletion, insertion, masked_confidence, sensitivity_n, stability
from .localization import auroc, best_iou, mass_inside, pointing_game
from .maps import per_place, place_shape
from .sanity import MEASURES
from .similarity import similarity


@dataclass(frozen=True)
class Column:
    """One number of an explanation."""

    title: str
    best: Literal["high", "low"]
    meaning: str


@dataclass(frozen=True)
class Case:
    """One explanation of one input, and what is needed to judge it."""

    model: Model
    inputs: Tensor  # (1, C, H, W)
    target: Tensor  # (1,)
    explain: Explainer  # called as explain(model, inputs, target)
    attribution: Tensor  # (1, C or 1, H, W)
    mask: Tensor | None = None  # (1, 1, H, W) bool, where it is known
    by_size: bool = False  # whether its sign says which way to change a place, not whether it speaks for the class
    adds_up: bool = False  # whether the method promises Σ attribution = score(inputs) − score(black)
    forgotten: Sequence[tuple[str, Model]] = ()  # (block, the model randomized down to it)
    twin: Model | None = None  # the same network, trained on labels that were dealt out at random

    @property
    def importance(self) -> Tensor:
        """Return how much each place is said to speak for the class."""
        return self.attribution.abs() if self.by_size else self.attribution


@dataclass
class Measurements:
    """What was measured: numbers, None where not defined; curves; and the maps (1 + S, H, W) of forgotten models."""

    numbers: dict[str, float | None] = field(default_factory=dict)
    curves: dict[str, list[float | None]] = field(default_factory=dict)
    maps: Tensor | None = None

    def add(self, name: str, value: Tensor | float) -> None:
        self.numbers[name] = as_number(value)


@dataclass(frozen=True)
class ScoreGroup:
    """A group of numbers that are measured together."""

    columns: dict[str, Column]
    measure: Callable[..., None]  # (case, measurements, **options)
    options: dict[str, object] = field(default_factory=dict)
    first: int | None = None  # measured on so many images only, None for all: it takes several explanations of each


def measured(case: Case, scores: Sequence[str]) -> Measurements:
    """Return what the named scores measure of one explanation. ValueError for a map of another size, and for NaN."""
    per_place(case.attribution, case.inputs)
    measurements = Measurements()
    for name in scores:
        SCORES[name].measure(case, measurements, **SCORES[name].options)
    return measurements


def as_number(value: Tensor | float) -> float | None:
    """Round to six digits, None where there is no number: what is stored shall not depend on the last bits."""
    value = float(value)
    return float(f"{value:.6g}") if math.isfinite(value) else None


def shown_blocks(blocks: Sequence[str], n_shown: int = 5) -> list[str]:
    """Return evenly many of the blocks, the last among them: to explain a model after each one takes too long."""
    n_shown = min(n_shown, len(blocks))
    return [blocks[round((k + 1) * len(blocks) / n_shown) - 1] for k in range(n_shown)]


# --------------------------------------------------------------------------------------------------------- the measures


def _faithfulness(case: Case, measurements: Measurements, n_steps: int, n_subsets: int) -> None:
    given = case.model, case.inputs, case.importance, case.target
    # once for all: by itself none of them is worth it
    with lent(case.model), prepared(case.model, case.inputs, 4 * n_steps):
        confidence = masked_confidence(*given)
        for place, share in enumerate(SHARES):
            measurements.add(f"average_drop_{share:.0%}".rstrip("%"), confidence.drop[0, place])
            measurements.add(f"increase_{share:.0%}".rstrip("%"), confidence.increase[0, place])
        for name, curve in {"deletion": deletion, "insertion": insertion}.items():
            p = curve(*given, n_steps=n_steps)  # (1, n_steps + 1)
            measurements.add(name, area_under(p)[0])
            measurements.curves[name] = [as_number(value) for value in p[0]]
        measurements.add("sensitivity_n", sensitivity_n(*given, n_subsets=n_subsets)[0, 0])


def _completeness(case: Case, measurements: Measurements) -> None:
    if case.adds_up:
        gap = completeness_gap(case.attribution, case.model, case.inputs, case.target)
        difference = case.attribution.sum() - gap
        measurements.add("completeness", (gap / difference).abs())


def _stability(case: Case, measurements: Measurements, n_samples: int) -> None:
    measurements.add(
        "stability", stability(case.model, case.inputs, case.explain, case.target, n_samples=n_samples).largest[0]
    )


def _localization(case: Case, measurements: Measurements) -> None:
    if case.mask is not None:
        maps = per_place(case.importance, case.inputs).reshape(1, *place_shape(case.inputs))
        for score in (pointing_game, mass_inside, best_iou, auroc):
            measurements.add(score.__name__, score(maps, case.mask)[0])


def _sanity(case: Case, measurements: Measurements) -> None:
    if not case.forgotten:
        return
    maps = [case.attribution, *(case.explain(model, case.inputs, case.target) for _, model in case.forgotten)]
    # all stages in one call: as if they were inputs
    after = torch.cat(maps[1:])
    alike = similarity(case.attribution.expand_as(after), after)
    for name in MEASURES:
        measurements.curves[f"sanity_{name}"] = [as_number(value) for value in alike[name]]
    measurements.add("sanity", alike["rank"][-1].abs())
    measurements.maps = torch.cat(maps).sum(dim=1)


def _labels(case: Case, measurements: Measurements) -> None:
    if case.twin is not None:
        alike = similarity(case.attribution, case.explain(case.twin, case.inputs, case.target))
        measurements.add("labels", alike["rank"][0].abs())


SCORES: dict[str, ScoreGroup] = {
    "faithfulness": ScoreGroup(
        {
            "average_drop_100": Column("AD 100 %", "low", "average drop: share of the class's probability that is "
                                       "lost when the picture is seen through the map"),
            "average_drop_50": Column("AD 50 %", "low", "the same, only the top half of the map"),
            "average_drop_15": Column("AD 15 %", "low", "the same, only the top 15 % of the map"),
            "increase_100": Column("IC 100 %", "high", "increase in confidence: how often the probability is larger "
                                   "when the picture is seen through the map"),
            "increase_50": Column("IC 50 %", "high", "the same, only the top half of the map"),
            "increase_15": Column("IC 15 %", "high", "the same, only the top 15 % of the map"),
            "deletion": Column("Deletion", "low", "area under the probability while the most important places are "
                               "hidden first"),
            "insertion": Column("Insertion", "high", "area under the probability while the most important places are "
                                "shown first, on a blurred picture"),
            "sensitivity_n": Column("Sensitivity-n", "high", "correlation of what random places are said to "
                                    "contribute with what the score loses without them"),
        },
        _faithfulness,
        {"n_steps": 6, "n_subsets": 10},
    ),
    "completeness": ScoreGroup(
        {"completeness": Column("Gap", "low", "completeness gap: |sum of the attributions ÷ (score − score of black) "
                                "− 1|, for methods that promise it")},
        _completeness,
    ),
    "stability": ScoreGroup(
        {"stability": Column("Instability", "low", "largest relative change of the map under noise too small to "
                             "see")},
        _stability,
        {"n_samples": 2},
        first=6,
    ),
    "localization": ScoreGroup(
        {
            "pointing_game": Column("Pointing", "high", "how often the largest attribution lies on the object"),
            "mass_inside": Column("Mass", "high", "share of the positive attribution that lies on the object"),
            "best_iou": Column("IoU", "high", "intersection over union with the object, at the best threshold"),
            "auroc": Column("AUROC", "high", "how often a place of the object has more attribution than another"),
        },
        _localization,
    ),
    "sanity": ScoreGroup(
        {"sanity": Column("Sanity", "low", "|rank correlation| with the map of a model whose weights are all random: "
                          "what does not change does not explain the model")},
        _sanity,
        first=3,
    ),
    "labels": ScoreGroup(
        {"labels": Column("Labels", "low", "|rank correlation| with the map of a twin that learned random labels by "
                          "heart: what both show is not owed to what was learned")},
        _labels,
        first=12,
    ),
}  # fmt: skip
COSTS = {
    "passes": Column("Passes", "low", "forward and backward passes for one picture, counted on the first"),
    "seconds": Column("Seconds", "low", "processor seconds for one picture on one core, without the first"),
}


def columns_of(scores: Sequence[str]) -> dict[str, Column]:
    """Return the columns that the named scores fill, and what the explanations cost."""
    return {key: column for name in scores for key, column in SCORES[name].columns.items()} | COSTS
