"""Models of other kinds as models of scores (N, C), so that every explainer explains them: small wrappers.

Each is a module that holds the one given, under the name `model`: a layer of it is `model.` and its own name.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ..core.arguments import check_count, described


class SegmentScores(nn.Module):
    """Scores (N, C) of a segmentation network: each class's mean logit over the pixels that are asked about.

    model: pictures (N, ...) -> logits (N, C, H, W), or a dict of them under "out", or `.logits`. mask: (H, W) of the
    logits, true for these pixels; None: for each class those that it wins, which makes 0 for one without any. So
    Grad-CAM becomes Seg-Grad-CAM. Vinogradova et al. 2020, arXiv 2002.11434.

    >>> import torch
    >>> from hw_xai.explain import SegmentScores, grad_cam
    >>> grad_cam(SegmentScores(torch.nn.Conv2d(3, 4, 3)), torch.rand(2, 3, 16, 16), 1).shape
    torch.Size([2, 1, 16, 16])
    """

    mask: Tensor | None

    def __init__(self, model: Callable[[Tensor], Any], mask: Tensor | None = None):
        super().__init__()
        self.model = model
        self.register_buffer("mask", mask)

    def forward(self, inputs: Tensor) -> Tensor:
        output = self.model(inputs)
        logits = output.get("out") if isinstance(output, dict) else getattr(output, "logits", output)
        if not isinstance(logits, Tensor) or logits.ndim != 4 or len(logits) != len(inputs):
            expected = f"logits (N, C, H, W) for N = {len(inputs)} inputs"
            raise ValueError(f"`model` must return {expected}, got {described(logits)}")
        if self.mask is None:
            won = nn.functional.one_hot(logits.argmax(dim=1), logits.shape[1]).movedim(-1, 1)  # (N, C, H, W)
        elif self.mask.shape != logits.shape[2:] or not self.mask.any():
            expected = f"true somewhere, and of the logits' shape {tuple(logits.shape[2:])}"
            raise ValueError(f"`mask` must be {expected}, got {described(self.mask)}")
        else:
            won = self.mask.expand_as(logits)
        weights = won.to(logits)
        return (logits * weights).sum(dim=(2, 3)) / weights.sum(dim=(2, 3)).clamp(min=1)


class BoxScores(nn.Module):
    """Scores (N, C) of a detector about one box: for each class the best of IoU · confidence among what it finds.

    model: a list of pictures (C, H, W) -> a list of dicts with `boxes` (K, 4) as x1, y1, x2, y2, `labels` (K,) and
    `scores` (K,), as torchvision's detectors. box: (4,). A class that is not found there has 0. For occlusion, RISE,
    LIME and Shapley; gradients pass as far as the detector lets them. Petsiuk et al. 2021, arXiv 2006.03204.

    >>> import torch
    >>> from hw_xai.explain import BoxScores
    >>> found = {"boxes": torch.tensor([[0.0, 0, 8, 8]]), "labels": torch.tensor([2]), "scores": torch.tensor([0.5])}
    >>> BoxScores(lambda pictures: [found] * len(pictures), [0, 0, 8, 4], n_classes=3)(torch.rand(1, 3, 8, 8)).tolist()
    [[0.0, 0.0, 0.25]]
    """

    box: Tensor

    def __init__(self, model: Callable[[list[Tensor]], list[dict[str, Tensor]]], box: Any, n_classes: int):
        super().__init__()
        check_count("n_classes", n_classes)
        self.model, self.n_classes = model, n_classes
        self.register_buffer("box", torch.as_tensor(box, dtype=torch.float32))
        if self.box.shape != (4,) or not (self.box[2:] > self.box[:2]).all():
            raise ValueError(f"`box` must be four numbers x1 < x2, y1 < y2 as (x1, y1, x2, y2), got {box}")

    def forward(self, inputs: Tensor) -> Tensor:
        rows = []
        for found in self.model(list(inputs)):
            value = _overlap(found["boxes"], self.box.to(found["boxes"])) * found["scores"]  # (K,)
            labels = found["labels"].to(value.device)
            if len(labels) and int(labels.max()) >= self.n_classes:
                raise ValueError(f"`n_classes` must be above every label, got {self.n_classes} for {int(labels.max())}")
            here = (labels[:, None] == torch.arange(self.n_classes, device=value.device)) * value[:, None]  # (K, C)
            rows.append(torch.cat([here, here.new_zeros(1, self.n_classes)]).amax(dim=0))
        return torch.stack(rows).to(inputs)


def _overlap(boxes: Tensor, box: Tensor) -> Tensor:
    """Return intersection over union of boxes (K, 4) with one (4,): (K,)."""
    corner, end = torch.maximum(boxes[:, :2], box[:2]), torch.minimum(boxes[:, 2:], box[2:])
    shared = (end - corner).clamp(min=0).prod(dim=1)
    both = (boxes[:, 2:] - boxes[:, :2]).prod(dim=1) + (box[2:] - box[:2]).prod()
    return shared / (both - shared)


class SimilarityScores(nn.Module):
    """Scores (N, C) of an encoder: the cosine of each input's vector with C references, such as sentences' or photos'.

    model: inputs (N, ...) -> vectors (N, D). references: (C, D). So "which part of the photo makes it like this text"
    is asked of a model as CLIP, and "like this other photo" of any network without its head.

    >>> import torch
    >>> from hw_xai.explain import SimilarityScores, saliency
    >>> saliency(SimilarityScores(torch.nn.Linear(6, 4), torch.rand(3, 4)), torch.rand(2, 6), target=1).shape
    torch.Size([2, 6])
    """

    references: Tensor

    def __init__(self, model: Callable[[Tensor], Tensor], references: Tensor):
        super().__init__()
        if not isinstance(references, Tensor) or references.ndim != 2 or not references.is_floating_point():
            raise ValueError(f"`references` must be floating vectors (C, D), got {described(references)}")
        self.model = model
        self.register_buffer("references", references.detach())

    def forward(self, inputs: Tensor) -> Tensor:
        vectors = self.model(inputs)
        if not isinstance(vectors, Tensor) or vectors.shape != (len(inputs), self.references.shape[1]):
            expected = f"vectors ({len(inputs)}, {self.references.shape[1]}) as long as the references"
            raise ValueError(f"`model` must return {expected}, got {described(vectors)}")
        references = nn.functional.normalize(self.references.to(vectors), dim=1)
        return nn.functional.normalize(vectors, dim=1) @ references.T
