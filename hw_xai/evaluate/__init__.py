"""Is the explanation any good? Knows only (model, inputs, target) and explainers: no subject, no files, no plots.

What goes in, everywhere:
- model, inputs (N, ...), target: as for the explainers; N at least 1, numbers finite. Scores that compare maps as
  pictures, `similarity` and what stands on it, take inputs (N, C, H, W).
- attributions: what an explainer returned for these inputs, one row each, of any floating precision, on any device:
  (N, C or 1, H, W), (N, T, D or 1), (N, C or 1, T) of a module that reads signals, or (N, F). Signed; channels are
  summed. Of another size, say of a layer's maps, they are refused: enlarge them first.
- masks: bool (N, 1, H, W), True on the object.
- explain, methods: an explainer f(model, inputs, target), or a mapping of names to them; options by `partial`.

Whatever does not fit is a ValueError of one sentence. A score that is not defined for an input is NaN.
"""

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
