"""What layers and channels respond to: recorded activations, activation maps, and inputs that excite a channel most."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from .contract import (
    BATCH_SIZE,
    Layer,
    Model,
    Recording,
    check_amount,
    check_count,
    check_inputs,
    described,
    explaining,
    find_layer,
    generator,
    graph_nodes,
    progress_bar,
    record,
    scores_of,
    slope,
)

RELAXED_STEPS = 16  # so long a gradient passes through ReLUs that would otherwise stop all of it


@contextmanager
def record_activations(model: nn.Module, layers: Layer | Sequence[Layer]) -> Iterator[Recording]:
    """Record what layers return: `with record_activations(model, "cnn.3") as seen: model(x); seen["cnn.3"]`.

    layers: modules or dotted paths, one or several. The mapping holds the last forward pass, by module or by path, each
    tensor a copy that later in-place operations cannot reach, with its gradient. ValueError for a layer that is not in
    the model, was not called, is called twice in one pass, or does not return one tensor.
    """
    layers = [layers] if layers is None or isinstance(layers, str | nn.Module) else layers
    with record(model, [find_layer(model, layer) for layer in layers]) as recording:
        yield recording


def filter_activation(
    model: Model, inputs: Tensor, layer: Layer = None, channel: int = 0, *, batch_size: int = BATCH_SIZE
) -> Tensor:
    """Return where a channel responds, and how strongly: (N, 1, h, w) at the layer's own resolution.

    layer: None is the last convolution. One forward pass. Zeiler and Fergus 2013, arXiv 1311.2901.
    """
    layer = find_layer(model, layer)
    with explaining(model, inputs, None, batch_size) as chunks:
        return torch.cat([channel_of(model, layer, channel, x) for x, _ in chunks])


def maximize_activation(
    model: Model,
    layer: Layer = None,
    channel: int = 0,
    *,
    inputs: Tensor | None = None,
    size: Sequence[int] = (3, 128, 128),
    n_steps: int = 64,
    lr: float = 0.1,
    jitter: int = 4,
    blur: float = 1.0,
    total_variation: float = 0.1,
    seed: int = 0,
    batch_size: int = BATCH_SIZE,
    progress: bool = False,
) -> Tensor:
    """Return pictures (N, C, H, W) in [0, 1] that drive the mean activation of a channel up, by gradient ascent.

    Starts from photos, `inputs` in [0, 1] (left as they are), or from noise of `size` (C, H, W): then N = 1. The layer
    may also end in (N, C): its channel is then a class. Regularisers: the picture is shifted by up to `jitter` pixels
    at each step; `blur` is the standard deviation in pixels of the Gaussian that smooths each step; `total_variation`
    pulls neighbours together; both gradients count alike at 1. Each step moves by `lr` on average, before the sigmoid.
    n_steps forward and backward passes. Erhan et al. 2009; Yosinski et al. 2015, arXiv 1506.06579.
    """
    check_count("n_steps", n_steps)
    check_count("jitter", jitter, least=0)
    for name, amount in {"lr": lr, "blur": blur, "total_variation": total_variation}.items():
        check_amount(name, amount)
    layer = find_layer(model, layer)

    def ascend(picture: Tensor) -> Tensor:  # (n, C, H, W) -> (n, C, H, W)
        shifts = torch.randint(-jitter, jitter + 1, (n_steps, 2), generator=generator(seed)).tolist()
        z = picture.clamp(0.01, 0.99).logit().requires_grad_()  # any z is a picture in (0, 1): z.sigmoid()
        with progress_bar(n_steps, "steps", progress) as bar:
            for step, shift in enumerate(shifts):
                with torch.enable_grad():
                    picture = z.sigmoid()
                    response = channel_of(model, layer, channel, picture.roll(shift, dims=(2, 3)))
                    objective = response.flatten(1).mean(dim=1).sum()
                    if step < RELAXED_STEPS:
                        _revive(objective)
                    excite = unit_rms(slope(objective, z, retain_graph=True))
                    roughen = slope(roughness(picture), z)
                z += lr * unit_rms(smoothed(excite - total_variation * roughen, blur))
                bar.update()
        return z.detach().sigmoid()

    start = noise(model, size, seed) if inputs is None else as_pictures(inputs)
    with explaining(model, start, None, batch_size) as chunks:
        return torch.cat([ascend(x) for x, _ in chunks])


# ------------------------------------------------------------------------------------------------------------- parts


def channel_of(model: Model, layer: nn.Module, channel: int, x: Tensor) -> Tensor:
    """Run the model and return one channel of what the layer returns: (n, C, ...) -> (n, 1, ...)."""
    with record(model, [layer]) as recording:
        scores_of(model, x)
    activation = recording[layer]
    n_channels = activation.shape[1] if activation.ndim > 1 else 0
    if isinstance(channel, bool) or not isinstance(channel, int) or not 0 <= channel < n_channels:
        raise ValueError(f"`channel` must be between 0 and {n_channels - 1}, got {described(channel)}")
    return activation[:, channel : channel + 1]


def noise(model: Model, size: Sequence[int], seed: int) -> Tensor:
    """Return a faint grey noise picture (1, C, H, W) in [0, 1], with the dtype and device of the model."""
    if len(size) != 3 or any(not isinstance(n, int) or n < 1 for n in size):
        raise ValueError(f"`size` must be three sizes (C, H, W), got {tuple(size)}")
    like = next(model.parameters(), torch.zeros(1)) if isinstance(model, nn.Module) else torch.zeros(1)
    return (0.3 * torch.randn(1, *size, generator=generator(seed))).sigmoid().to(like)


def as_pictures(inputs: Tensor) -> Tensor:
    """Return inputs if they are pictures (N, C, H, W) with values in [0, 1]."""
    check_inputs(inputs)
    low, high = inputs.aminmax()
    if inputs.ndim != 4 or low < 0 or high > 1:
        got = f"shape {tuple(inputs.shape)} with values from {low:.3g} to {high:.3g}"
        raise ValueError(f"`inputs` must be pictures (N, C, H, W) with values from 0 to 1, got {got}")
    return inputs


def unit_rms(gradient: Tensor) -> Tensor:
    """Scale each row to a root mean square of 1, so that neither the layer nor the scale of its weights matters."""
    rms = gradient.square().flatten(1).mean(dim=1).sqrt().reshape(-1, *[1] * (gradient.ndim - 1))
    return gradient / rms.clamp(min=torch.finfo(gradient.dtype).tiny)


def roughness(picture: Tensor) -> Tensor:
    """Return the total variation Σ |∂x| + |∂y| of pictures (n, C, H, W)."""
    return picture.diff(dim=2).abs().sum() + picture.diff(dim=3).abs().sum()


def smoothed(picture: Tensor, sigma: float) -> Tensor:
    """Blur pictures (n, C, H, W) with a Gaussian of standard deviation sigma in pixels, zero outside the picture."""
    if sigma == 0:
        return picture
    radius = math.ceil(3 * sigma)
    kernel = (-0.5 * (torch.arange(-radius, radius + 1).to(picture) / sigma) ** 2).exp()
    kernel = (kernel / kernel.sum()).expand(picture.shape[1], 1, -1)  # (C, 1, k)
    for dim in (2, 3):
        line = kernel.unsqueeze(5 - dim)  # (C, 1, k, 1) along the height, (C, 1, 1, k) along the width
        picture = nn.functional.conv2d(picture, line, padding="same", groups=len(kernel))
    return picture


def _revive(objective: Tensor) -> None:
    """Let the whole gradient through each ReLU that would pass nothing of it: from a dead start there is a way out."""

    def through(passed: tuple[Tensor, ...], arrived: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        (kept,), (whole,) = passed, arrived
        dead = (kept.flatten(1) == 0).all(dim=1).reshape(-1, *[1] * (kept.ndim - 1))  # (n, 1, ...)
        return (torch.where(dead, whole, kept),)

    for node in graph_nodes(objective):
        if node.name() == "ReluBackward0":
            node.register_hook(through)
