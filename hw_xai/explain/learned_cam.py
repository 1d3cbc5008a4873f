"""L-CAM: an attention that is trained once beside a frozen classifier, and then explains in the pass that predicts.

    learned = LearnedCAM.for_model(model, images[:1], variant="img")
    for images, _ in loader:  # the labels are not needed
        learned.loss(model, images).backward()
        ...
    learned(model, images)  # or lcam(model, images, learned=learned)

Gkartzonika, Gkalelis and Mezaris 2022, arXiv 2209.11189. The loop with checkpoints is `hw_xai.vision.lcam.train`.
"""

from typing import Literal, get_args

import torch
from torch import Tensor, nn

from ..core.arguments import as_target, check_choice, check_inputs, described
from ..core.batches import explaining
from ..core.layers import hooked
from ..core.lending import lent
from ..core.maps import spread
from ..core.model import resolve_target, scores_of
from ..core.protocols import Layer, Model, Target
from .cam import enlarged, map_layer, spatial, weighted_sum_of
from .masked_cam import maps_and_scores

Variant = Literal["fm", "img"]
CROSS_ENTROPY, AREA, VARIATION = 1.5, 2.0, 0.01  # the authors' weights of the three losses


class LearnedCAM(nn.Module):
    """For each class c a map of its own, σ(Σₖ weight[c, k] Aₖ + bias[c]): a 1×1 convolution on a layer's maps A.

    weight (C, K), bias (C,): all that is trained, from zeros, where every place counts the same. Called as an explainer
    it takes one forward pass. variant: what the classifier must still recognize while `loss` shrinks the map, its own
    maps A under the attention ("fm") or the image under it ("img").
    """

    def __init__(self, n_channels: int, n_classes: int, variant: Variant = "fm"):
        super().__init__()
        check_choice("variant", variant, get_args(Variant))
        self.variant = variant
        self.weight = nn.Parameter(torch.zeros(n_classes, n_channels))
        self.bias = nn.Parameter(torch.zeros(n_classes))

    @classmethod
    def for_model(cls, model: Model, inputs: Tensor, variant: Variant = "fm", layer: Layer = None) -> "LearnedCAM":
        """Return an untrained attention of the size that the model's layer needs; inputs: any (N, C, H, W) it takes."""
        check_inputs(inputs)
        with torch.no_grad(), lent(model):
            maps, scores = maps_and_scores(model, map_layer(model, layer, inputs), inputs)
        return cls(maps.shape[1], scores.shape[1], variant).to(maps)

    def extra_repr(self) -> str:
        n_classes, n_channels = self.weight.shape
        return f"{self.variant}, {n_channels} channels, {n_classes} classes"

    def forward(
        self,
        model: Model,
        inputs: Tensor,
        target: Target = None,
        *,
        layer: Layer = None,
        batch_size: int | None = None,
    ) -> Tensor:
        """Explain: inputs (N, C, H, W) -> (N, 1, H, W), what lies inside σ, enlarged and moved to a least value of 0.

        layer: the one it was trained on; None is `last_map`. One forward pass and no backward pass.
        """
        chosen = map_layer(model, layer, inputs)

        def attended(x: Tensor, target: Tensor | None) -> Tensor:  # (n, C, H, W) -> (n, 1, H, W)
            maps, scores = maps_and_scores(model, chosen, x)
            logits = enlarged(self.logits(maps, scores, target), x)
            return logits - logits.amin(dim=spatial(logits), keepdim=True)

        with explaining(model, inputs, target, batch_size) as chunks:
            return torch.cat([attended(x, t) for x, t in chunks])

    def logits(self, maps: Tensor, scores: Tensor, target: Tensor | None) -> Tensor:
        """Return Σₖ weight[c, k] Aₖ + bias[c] (n, 1, h, w) for maps A (n, K, h, w), c the target or the prediction."""
        n_classes, n_channels = self.weight.shape
        if scores.shape[1] != n_classes:
            raise ValueError(f"`model` must have the {n_classes} classes L-CAM was trained on, got {scores.shape[1]}")
        if maps.shape[1] != n_channels:
            raise ValueError(f"`layer` must give the {n_channels} maps L-CAM was trained on, got {maps.shape[1]}")
        index = resolve_target(scores, target)
        weight, bias = self.weight.to(maps)[index], self.bias.to(maps)[index]  # (n, K), (n,)
        return weighted_sum_of(maps, weight) + bias.reshape(-1, *[1] * (maps.ndim - 1))

    def loss(self, model: Model, inputs: Tensor, target: Target = None, *, layer: Layer = None) -> Tensor:
        """Return 1.5 · cross-entropy under the attention + 2 · area + 0.01 · total variation, for a training step.

        inputs (n, C, H, W) in [0, 1], 0 for nothing to see; target None is what the model itself predicts. Each image
        is asked about its own class only, where the authors' program takes area and variation over all n × n pairs of
        the batch's images and classes. The model stays as it is, in eval mode and frozen.
        Two forward passes, and one backward pass to the layer ("fm") or to the image ("img").
        """
        check_inputs(inputs)
        layer = map_layer(model, layer, inputs)
        with lent(model):
            with torch.no_grad():
                maps, scores = maps_and_scores(model, layer, inputs)
            index = resolve_target(scores, as_target(target, len(inputs)))
            attention = self.logits(maps.detach(), scores, index).sigmoid()  # (n, 1, h, w)
            if self.variant == "img":
                attended = scores_of(model, enlarged(attention, inputs) * inputs)
            else:
                with hooked([layer], lambda _, output: spread(attention, output, layer, inputs) * output):
                    attended = scores_of(model, inputs)
        recognized = nn.functional.cross_entropy(attended, index)
        area = ((attention + 0.0005) ** 0.3).mean()
        return CROSS_ENTROPY * recognized + AREA * area + VARIATION * total_variation(attention)


def lcam(
    model: Model,
    inputs: Tensor,
    target: Target = None,
    *,
    learned: LearnedCAM | None = None,
    layer: Layer = None,
    batch_size: int | None = None,
) -> Tensor:
    """The class's learned attention: where the classifier needs to look to recognize it. (N, 1, H, W), never negative.

    learned: a `LearnedCAM` that was trained on this model, and on this layer; None for the layer is `last_map`. Only
    differences within a map count. One forward pass. Gkartzonika et al. 2022, arXiv 2209.11189.

    >>> from hw_xai.explain import LearnedCAM, lcam
    >>> from hw_xai.testing import pictures, small_network
    >>> lcam(small_network(), pictures(), learned=LearnedCAM(6, 5)).shape
    torch.Size([3, 1, 16, 16])
    """
    if not isinstance(learned, LearnedCAM):
        how = "train one with LearnedCAM.loss"
        raise ValueError(f"`learned` must be a LearnedCAM trained on this model, got {described(learned)}: {how}")
    return learned(model, inputs, target, layer=layer, batch_size=batch_size)


def total_variation(maps: Tensor) -> Tensor:
    """Return the mean over n maps (n, 1, h, w) of ½ (Σ |steps between neighbours|² + 0.3 Σ border²)."""
    none = maps.new_zeros(())
    steps = sum((maps.diff(dim=d).square().sum() for d in spatial(maps)), none)
    border = sum((maps.select(d, end).square().sum() for d in spatial(maps) for end in (0, -1)), none)
    return (steps + 0.3 * border) / (2 * len(maps))
