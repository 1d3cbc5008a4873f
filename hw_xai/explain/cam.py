"""Class activation maps from one pass: which places of a layer's maps speak for the class.

All take (model, inputs, target=None, layer=None): inputs (N, C, H, W) -> (N, 1, H, W), the maps of the layer weighted,
summed over its channels and enlarged bilinearly; other numbers of dimensions alike. The layer is a module of the model
or its dotted path; None is `last_map`.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ..core.arguments import described
from ..core.batches import explaining
from ..core.layers import Recording, find_layer, hooked, record
from ..core.lending import borrowed
from ..core.maps import as_maps, last_map
from ..core.model import resolve_target, score_of_target, scores_of, slope
from ..core.protocols import Layer, Model, Target
from .gradients import guided_backprop

# maps (n, K, h, w) and ∂ score / ∂ maps -> weights (n, K, 1, 1) of maps, or (n, K, h, w) of their places
Weights = Callable[[Tensor, Tensor], Tensor]


def grad_cam(
    model: Model, inputs: Tensor, target: Target = None, *, layer: Layer = None, batch_size: int | None = None
) -> Tensor:
    """ReLU(Σₖ wₖ Aₖ), where the weight of a map is the mean of its gradient: wₖ = mean(∂ score / ∂ Aₖ).

    One forward pass and a backward pass down to the layer. Selvaraju et al. 2016, arXiv 1610.02391.

    >>> from hw_xai.explain import grad_cam
    >>> from hw_xai.testing import pictures, small_network
    >>> grad_cam(small_network(), pictures(), layer="block").shape
    torch.Size([3, 1, 16, 16])
    """

    def mean_slope(maps: Tensor, slopes: Tensor) -> Tensor:
        return slopes.mean(dim=spatial(maps), keepdim=True)

    return _weighted_by_slopes(mean_slope, model, inputs, target, layer, batch_size)


def grad_cam_plus_plus(
    model: Model, inputs: Tensor, target: Target = None, *, layer: Layer = None, batch_size: int | None = None
) -> Tensor:
    """ReLU(Σₖ wₖ Aₖ) with wₖ = Σ α · ReLU(g), where g = ∂ score / ∂ Aₖ and α = g² / (2 g² + g³ · Σ Aₖ).

    For maps that are not negative, such as a ReLU's. The formula is that of the score exp(logit), so by itself it is
    not free of the logits' scale: for small g it tends to wₖ ∝ Σ ReLU(g). One forward pass and a backward pass down to
    the layer. Chattopadhay et al. 2017, arXiv 1710.11063.

    >>> from hw_xai.explain import grad_cam_plus_plus
    >>> from hw_xai.testing import pictures, small_network
    >>> grad_cam_plus_plus(small_network(), pictures(), layer="block").shape
    torch.Size([3, 1, 16, 16])
    """

    def weighted_slope(maps: Tensor, slopes: Tensor) -> Tensor:
        positive = slopes.clamp(min=0)
        # α · ReLU(g) without the g² that cancels: 0/0 cannot occur, so no epsilon drowns the slopes of small logits
        total = maps.sum(dim=spatial(maps), keepdim=True)
        return (positive / (2 + positive * total)).sum(dim=spatial(maps), keepdim=True)

    return _weighted_by_slopes(weighted_slope, model, inputs, target, layer, batch_size)


def layer_cam(
    model: Model, inputs: Tensor, target: Target = None, *, layer: Layer = None, batch_size: int | None = None
) -> Tensor:
    """ReLU(Σₖ ReLU(g) ⊙ Aₖ) with g = ∂ score / ∂ Aₖ: each place of a map has a weight of its own.

    So maps of early layers, of which a mean slope says little, can be shown too: name one by `layer` for finer detail.
    One forward pass and a backward pass down to the layer. Jiang et al. 2021, doi 10.1109/TIP.2021.3089943.

    >>> from hw_xai.explain import layer_cam
    >>> from hw_xai.testing import pictures, small_network
    >>> layer_cam(small_network(), pictures(), layer="block").shape
    torch.Size([3, 1, 16, 16])
    """

    def positive_slope(maps: Tensor, slopes: Tensor) -> Tensor:
        return slopes.clamp(min=0)

    return _weighted_by_slopes(positive_slope, model, inputs, target, layer, batch_size)


def cam(
    model: Model, inputs: Tensor, target: Target = None, *, layer: Layer = None, batch_size: int | None = None
) -> Tensor:
    """Σₖ wₖ Aₖ with the weights of the class in the last linear layer: what each place adds to the score. Signed.

    For networks whose last two steps are the global average of the layer's maps and one nn.Linear: then the mean of
    the map, plus the bias, is the score. ValueError for others: `grad_cam` is the same up to a factor where both work.
    One forward pass. Zhou et al. 2015, arXiv 1512.04150.

    >>> import torch
    >>> from hw_xai.explain import cam
    >>> layers = [torch.nn.Conv2d(3, 6, 3), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(6, 5)]
    >>> cam(torch.nn.Sequential(*layers), torch.rand(2, 3, 16, 16)).shape
    torch.Size([2, 1, 16, 16])
    """
    layer = map_layer(model, layer, inputs)
    head = last_linear(model)

    def weighted(x: Tensor, target: Tensor | None) -> Tensor:  # (n, C, H, W) -> (n, 1, H, W)
        features = []
        keep = borrowed(head).register_forward_pre_hook(lambda _, args: features.append(args[0]))
        with keep, record(model, [layer]) as recording:
            scores = scores_of(model, x)
        maps = maps_of(recording, layer, x)  # (n, K, h, w)
        check_pooled(maps, features, head, scores)
        weights = head.weight[resolve_target(scores, target)]  # (n, K)
        return enlarged(weighted_sum_of(maps, weights), x)

    with explaining(model, inputs, target, batch_size) as chunks:
        return torch.cat([weighted(x, t) for x, t in chunks])


def guided_grad_cam(
    model: Model, inputs: Tensor, target: Target = None, *, layer: Layer = None, batch_size: int | None = None
) -> Tensor:
    """guided_backprop · grad_cam: (N, C, H, W). The fine edges of the one, where the other sees the class. Signed.

    Inherits from guided backprop that it hardly changes when the last layers are randomised, and that it is refused for
    other activations than ReLU. Two forward and two backward passes. Selvaraju et al. 2016, arXiv 1610.02391.

    >>> from hw_xai.explain import guided_grad_cam
    >>> from hw_xai.testing import pictures, small_network
    >>> guided_grad_cam(small_network(), pictures(), layer="block").shape
    torch.Size([3, 3, 16, 16])
    """
    where = grad_cam(model, inputs, target, layer=layer, batch_size=batch_size)
    return guided_backprop(model, inputs, target, batch_size=batch_size) * where


# ------------------------------------------------------------------------------------------------------------- layers


def map_layer(model: Model, layer: Layer, inputs: Tensor) -> nn.Module:
    """Return the module that `layer` means; None for the last map."""
    return last_map(model, inputs) if layer is None else find_layer(model, layer)


def last_linear(model: Model) -> nn.Linear:
    """Return the linear layer that was registered last; ValueError when there is none."""
    modules = list(model.modules()) if isinstance(model, nn.Module) else []
    found = [module for module in modules if isinstance(module, nn.Linear)]
    if not found:
        raise ValueError(f"`model` must be a module that ends in one nn.Linear for CAM, got {described(model)}")
    return found[-1]


def check_pooled(maps: Tensor, features: list[Tensor], head: nn.Linear, scores: Tensor) -> None:
    """Raise ValueError unless scores (n, C) are head(features), and features (n, K) the mean of maps (n, K, h, w)."""
    tolerance = max([1e-3, *(4 * torch.finfo(given.dtype).eps for given in features)])
    if len(features) != 1 or features[0].shape != maps.shape[:2]:
        got = f"{head.in_features} features"
    elif not _alike(features[0], maps.mean(dim=spatial(maps)), tolerance):
        got = "features that are not the mean of the layer's maps"
    elif not _alike(scores, nn.functional.linear(features[0].to(head.weight), head.weight, head.bias), tolerance):
        got = "scores that are not what that layer returns"
    else:
        return
    expected = f"pool its {maps.shape[1]} maps globally, by their mean, into its last linear layer for CAM"
    raise ValueError(f"`model` must {expected}, got {got}: use grad_cam, or name another layer")


def _alike(a: Tensor, b: Tensor, tolerance: float) -> bool:
    return a.shape == b.shape and bool((a - b).abs().max() <= tolerance * b.abs().max())


# -------------------------------------------------------------------------------------------------------------- parts


def _weighted_by_slopes(
    weights: Weights, model: Model, inputs: Tensor, target: Target, layer: Layer, batch_size: int | None
) -> Tensor:
    """Return ReLU(Σₖ weightsₖ Aₖ) for all inputs, enlarged to their size."""
    layer = map_layer(model, layer, inputs)

    def weighted(x: Tensor, target: Tensor | None) -> Tensor:  # (n, C, H, W) -> (n, 1, H, W)
        with torch.enable_grad(), starting_at([layer]), record(model, [layer]) as recording:
            score = score_of_target(model, x, target).sum()
            maps = maps_of(recording, layer, x).detach()  # (n, K, h, w)
            slopes = as_maps(slope(score, recording[layer]), layer, x)
        return enlarged(weighted_sum_of(maps, weights(maps, slopes)).clamp(min=0), x)

    with explaining(model, inputs, target, batch_size) as chunks:
        return torch.cat([weighted(x, t) for x, t in chunks])


def starting_at(layers: list[nn.Module]):
    """Let gradients start at the first of the layers, in a `with`: what comes before it needs no graph."""

    def require_grad(module: nn.Module, output: Tensor) -> None:
        if isinstance(output, Tensor) and output.is_floating_point() and not output.requires_grad:
            output.requires_grad_()

    return hooked(layers, require_grad)


def maps_of(recording: Recording, layer: nn.Module, x: Tensor) -> Tensor:
    """Return what the layer gave for x (n, C, H, W) as maps (n, K, h, w)."""
    return as_maps(recording[layer], layer, x)


def spatial(maps: Tensor) -> tuple[int, ...]:
    """Return the dimensions after batch and channels."""
    return tuple(range(2, maps.ndim))


def weighted_sum_of(maps: Tensor, weights: Tensor) -> Tensor:
    """Return Σₖ wₖ Aₖ: (n, K, h, w) and (n, K), (n, K, 1, 1) or (n, K, h, w) -> (n, 1, h, w)."""
    return (maps * weights.reshape(*weights.shape, *[1] * (maps.ndim - weights.ndim))).sum(dim=1, keepdim=True)


def enlarged(maps: Tensor, x: Tensor) -> Tensor:
    """Enlarge maps (n, K, h, w) bilinearly to the size of x (n, C, H, W), corners not aligned."""
    mode = {1: "linear", 2: "bilinear", 3: "trilinear"}[maps.ndim - 2]
    return nn.functional.interpolate(maps, x.shape[2:], mode=mode, align_corners=False).to(x)
