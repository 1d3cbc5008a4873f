"""Is the explanation any good? Knows only (model, inputs, target) and explainers: no subject, no files, no plots."""

from ..core.statistics import rank_correlation
from .faithfulness import (
    Confidence,
    Stability,
    area_under,
    average_drop,
    deletion,
    increase_in_confidence,
    insertion,
    masked_confidence,
    sensitivity_n,
    stability,
)
from .localization import auroc, best_iou, mass_inside, pointing_game
from .randomize import blocks_of, randomized_models
from .sanity import (
    Comparison,
    Curve,
    SanityVerdict,
    curves,
    label_randomization,
    randomization,
    randomized_maps,
    verdict,
)
from .similarity import edges, similarity
from .statistics import Interval, mean_interval

__all__ = [
    "Comparison",
    "Confidence",
    "Curve",
    "Interval",
    "SanityVerdict",
    "Stability",
    "area_under",
    "auroc",
    "average_drop",
    "best_iou",
    "blocks_of",
    "curves",
    "deletion",
    "edges",
    "increase_in_confidence",
    "insertion",
    "label_randomization",
    "mass_inside",
    "masked_confidence",
    "mean_interval",
    "pointing_game",
    "randomization",
    "randomized_maps",
    "randomized_models",
    "rank_correlation",
    "sensitivity_n",
    "similarity",
    "stability",
    "verdict",
]
