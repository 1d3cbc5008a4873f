"""Does the explanation lie on the object? Attributions against the true mask, where one is known.

All take attributions (N, C or 1, H, W), summed over the channels with their signs, and masks bool (N, 1, H, W), and
return one score per map (N,), 1 at best. A constant map says nothing and gets what chance gets: the share of the
picture that the mask covers, or an AUROC of 0.5. NaN where the mask is empty: there is nothing to find.
"""

import torch
from torch import Tensor, nn

from ..core.arguments import check_count, described
from .maps import per_place


def pointing_game(attributions: Tensor, masks: Tensor, *, tolerance: int = 0) -> Tensor:
    """Whether the largest attribution lies inside the mask: 1 or 0; of several largest, the share that does.

    tolerance: in pixels, how far outside still counts; its authors take 15 on photos of about 400 pixels. Zhang et al.
    2016, arXiv 1608.00507.
    """
    check_count("tolerance", tolerance, least=0)
    values, inside = _checked(attributions, masks)
    if tolerance:
        offset = torch.arange(-tolerance, tolerance + 1)
        disc = (offset[:, None] ** 2 + offset**2 <= tolerance**2).to(masks.device, torch.float32)
        near = nn.functional.conv2d(masks.float(), disc[None, None], padding=tolerance) > 0.5
        inside = near.flatten(1)
    largest = values == values.amax(dim=1, keepdim=True)  # (N, P)
    return _or_nan((largest & inside).sum(dim=1) / largest.sum(dim=1), inside)


def mass_inside(attributions: Tensor, masks: Tensor) -> Tensor:
    """Σ positive attribution inside the mask ÷ Σ positive attribution; chance level where there is no positive one.

    Also called relevance mass accuracy. Arras et al. 2020, arXiv 2003.07258.
    """
    values, inside = _checked(attributions, masks)
    positive = values.double().clamp(min=0)
    positive = torch.where((positive > 0).any(dim=1, keepdim=True), positive, 1)
    return _or_nan((positive * inside).sum(dim=1) / positive.sum(dim=1), inside)


def best_iou(attributions: Tensor, masks: Tensor) -> Tensor:
    """Largest intersection over union of the mask and {attribution ≥ t}, over all thresholds t.

    The threshold is chosen knowing the mask: an upper bound of what the map can say, not a segmentation.
    """
    inside, true, _, cut = _roc(attributions, masks)
    taken = torch.arange(1, true.shape[1] + 1, device=true.device)
    union = taken + inside.sum(dim=1, keepdim=True) - true
    return _or_nan(torch.where(cut, true / union, 0).amax(dim=1), inside)


def auroc(attributions: Tensor, masks: Tensor) -> Tensor:
    """How often a place inside the mask has more attribution than one outside; a tie counts for a half.

    NaN where the mask is empty or covers all.
    """
    inside, true, false, cut = _roc(attributions, masks)
    # between two thresholds the curve is a straight line: within a tie, stay at its last corner
    true, false = (nn.functional.pad(torch.where(cut, n, 0).cummax(dim=1).values, (1, 0)) for n in (true, false))
    return torch.trapezoid(true, false, dim=1) / (true[:, -1] * false[:, -1])


# -------------------------------------------------------------------------------------------------------------- parts


def _checked(attributions: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
    """Return the attribution of each place (N, P) and which places lie inside the mask (N, P)."""
    if not isinstance(masks, Tensor) or masks.dtype != torch.bool or masks.ndim != 4 or masks.shape[1] != 1:
        raise ValueError(f"`masks` must be a bool tensor (N, 1, H, W), got {described(masks)}")
    shape = tuple(attributions.shape) if isinstance(attributions, Tensor) else ()
    if len(shape) != 4:
        raise ValueError(f"`attributions` must be maps (N, C, H, W), got {described(attributions)}")
    if masks.shape != (shape[0], 1, *shape[2:]):
        expected = f"one mask for each of the attributions {shape}, of their size"
        raise ValueError(f"`masks` must be {expected}, got shape {tuple(masks.shape)}")
    return per_place(attributions, attributions), masks.to(attributions.device).flatten(1)


def _roc(attributions: Tensor, masks: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return which places lie inside, and for the places from the largest attribution down, all (N, P):

    how many so far lie inside, how many outside (float64), and whether a threshold can cut here: not within a tie.
    """
    values, inside = _checked(attributions, masks)
    ordered, order = values.sort(dim=1, descending=True)
    hits = inside.gather(1, order)
    cut = nn.functional.pad(ordered.diff(dim=1) != 0, (0, 1), value=True)
    return inside, hits.cumsum(dim=1).double(), (~hits).cumsum(dim=1).double(), cut


def _or_nan(scores: Tensor, inside: Tensor) -> Tensor:
    return torch.where(inside.any(dim=1), scores.double(), torch.nan)
