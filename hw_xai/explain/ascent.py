"""Pictures that excite a network: what a channel looks for (activation maximization), what it sees in a photo (dreams).

A picture is climbed through the numbers it is made of. Pixels are free of each other, and end as noise that only the
network sees. The waves of a Fourier transform in decorrelated colours start coarse, as photos are.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from ..core.arguments import check_amount, check_choice, check_count, check_inputs
from ..core.batches import explaining, progress_bar
from ..core.layers import find_layer, record
from ..core.model import graph_nodes, scores_of, slope
from ..core.protocols import Layer, Model
from ..core.randomness import generator
from .features import as_channels, channel_of

RELAXED_STEPS = 16  # so long a gradient passes through ReLUs that would otherwise stop all of it

# What varies most in photos: light, then blue to red, then green. Columns are √eigenvalue · eigenvector of the
# covariance of the logit of red, green and blue over 1,317 photos, the largest of length 1.
COLOURS = ((0.544, 0.240, 0.075), (0.579, 0.027, -0.132), (0.607, -0.242, 0.059))


def maximize_activation(
    model: Model,
    layer: Layer = None,
    channel: int | Sequence[int] = 0,
    *,
    position: tuple[int, int] | None = None,
    inputs: Tensor | None = None,
    size: Sequence[int] = (3, 128, 128),
    parametrization: Literal["fft", "pixel"] = "fft",
    n_steps: int = 128,
    lr: float = 0.05,
    jitter: float = 1 / 16,
    scale: float = 0.1,
    rotate: float = 10.0,
    seed: int = 0,
    batch_size: int | None = None,
    progress: bool = False,
) -> Tensor:
    """Return pictures (N, C, H, W) in [0, 1] that drive the activation of a channel up, by Adam with steps of `lr`.

    channel: one, or one per picture. Its mean over the map is driven up, or its value at `position` (row, column): a
    single neuron. A layer may also end in (N, C): then a channel is a class. Starts from photos, `inputs` in [0, 1]
    (left as they are), or from noise of `size` (C, H, W), one picture per channel.
    parametrization: "fft" climbs decorrelated colours of waves, "pixel" each pixel alone. Each step looks at the
    picture shifted by up to `jitter` of its side, `scale` of its size larger or smaller and turned by up to `rotate`
    degrees, grey around it. n_steps forward and backward passes. Erhan et al. 2009; Olah et al. 2017,
    doi 10.23915/distill.00007.

    >>> from hw_xai.explain import maximize_activation
    >>> from hw_xai.testing import small_network
    >>> maximize_activation(small_network(), "block", channel=1, size=(3, 16, 16), n_steps=4).shape
    torch.Size([1, 3, 16, 16])
    """
    check_count("n_steps", n_steps)
    for name, amount in {"lr": lr, "jitter": jitter, "scale": scale, "rotate": rotate}.items():
        check_amount(name, amount)
    check_choice("parametrization", parametrization, PARAMETRIZATIONS)
    numbers_of, picture_of = PARAMETRIZATIONS[parametrization]
    layer = find_layer(model, layer)
    looks = list(views(n_steps, jitter, scale, rotate, seed))

    def ascend(start: Tensor, channels: Tensor) -> Tensor:  # (n, C, H, W), (n,) -> (n, C, H, W)
        z = numbers_of(start).requires_grad_()
        channels = channels.clone()  # one made under inference_mode can take no part in a gradient
        step_of = adam(lr)
        with progress_bar(n_steps, "steps", progress) as bar:
            for step, look in enumerate(looks):
                with torch.enable_grad():
                    seen = looked_at(picture_of(z, start.shape), look)
                    response = channel_of(model, layer, channels, seen)  # (n, 1, ...)
                    objective = at(response, position).flatten(1).mean(dim=1).sum()
                    if step < RELAXED_STEPS:
                        _revive(objective)
                    climb = unit_rms(slope(objective, z))
                z += step_of(climb)
                bar.update()
        return picture_of(z.detach(), start.shape)

    channels = as_channels(channel)
    start = noise(model, size, seed).expand(len(channels), *size) if inputs is None else as_pictures(inputs)
    if len(channels) not in (1, len(start)):
        raise ValueError(f"`channel` must be one or {len(start)}, one for each of the `inputs`, got {len(channels)}")
    with explaining(model, start, None, batch_size, channels.expand(len(start))) as chunks:
        return torch.cat([ascend(x, chosen) for x, _, chosen in chunks])


def deep_dream(
    model: Model,
    inputs: Tensor,
    layer: Layer = None,
    channel: int | None = None,
    *,
    octaves: int = 3,
    octave_scale: float = 1.4,
    n_steps: int = 20,
    lr: float = 0.01,
    seed: int = 0,
    batch_size: int | None = None,
    progress: bool = False,
) -> Tensor:
    """Return photos (N, C, H, W) in [0, 1] with more of what a layer already sees in them: its norm driven up.

    channel: None is the whole layer. Runs on `octaves` sizes of the photo, each `octave_scale` larger than the one
    before, up to its own: so a pattern grows in all sizes. Each step changes a pixel by `lr` on average. A smaller
    photo is mirrored at its edges to the size of the inputs: every model can look at it. octaves · n_steps forward
    and backward passes. Mordvintsev et al. 2015, "Inceptionism".

    >>> from hw_xai.explain import deep_dream
    >>> from hw_xai.testing import pictures, small_network
    >>> deep_dream(small_network(), pictures(), "block", octaves=2, n_steps=2).shape
    torch.Size([3, 3, 16, 16])
    """
    check_count("octaves", octaves)
    check_count("n_steps", n_steps)
    check_amount("octave_scale", octave_scale)
    check_amount("lr", lr)
    as_pictures(inputs)
    height, width = inputs.shape[2:]
    scales = [octave_scale**o for o in reversed(range(octaves))]
    sizes = [(round(height / scale), round(width / scale)) for scale in scales]
    if octave_scale < 1 or min(sizes[0]) < 2:
        raise ValueError(f"`octave_scale` must be at least 1 and leave 2 pixels, got {octave_scale} for {octaves}")
    layer = find_layer(model, layer)
    shifts = torch.randint(max(height, width), (octaves, n_steps, 2), generator=generator(seed)).tolist()

    def excitement(x: Tensor) -> Tensor:  # Σ over the rows of mean square activation
        if channel is not None:
            response = channel_of(model, layer, as_channels(channel).expand(len(x)), x)
        else:
            with record(model, [layer]) as recording:
                scores_of(model, x)
            response = recording[layer]
        return response.square().flatten(1).mean(dim=1).sum()

    def dream(photo: Tensor) -> Tensor:  # (n, C, H, W) -> (n, C, H, W)
        dreamt = torch.zeros_like(photo)  # what is added to the photo
        with progress_bar(octaves * n_steps, "steps", progress) as bar:
            for size, moves in zip(sizes, shifts, strict=True):
                plain = resized(photo, size)
                picture = (plain + resized(dreamt, size)).clamp(0, 1).requires_grad_()
                for down, right in moves:
                    rows, columns = mirrored(size[0], height, down), mirrored(size[1], width, right)
                    with torch.enable_grad():
                        objective = excitement(picture[..., rows[:, None], columns])
                        climb = unit_rms(slope(objective, picture))
                    picture = (picture.detach() + lr * climb).clamp(0, 1).requires_grad_()
                    bar.update()
                dreamt = picture.detach() - plain
        return picture.detach()

    with explaining(model, inputs, None, batch_size) as chunks:
        return torch.cat([dream(x) for x, _ in chunks])


# -------------------------------------------------------------------------------------------------- what is climbed


def waves_of(picture: Tensor) -> Tensor:
    """Return the waves whose `picture_of_waves` this is: (n, C, H, W) -> (n, C, H, W // 2 + 1, 2)."""
    colours = recoloured(picture.clamp(0.01, 0.99).logit(), inverse=True)
    return torch.view_as_real(torch.fft.rfft2(colours, norm="ortho") / amplitudes(picture))


def picture_of_waves(waves: Tensor, shape: Sequence[int]) -> Tensor:
    """Return the picture in (0, 1) that the waves add up to: (n, C, H, W // 2 + 1, 2) -> (n, C, H, W)."""
    spectrum = torch.view_as_complex(waves) * amplitudes(waves, shape)
    return recoloured(torch.fft.irfft2(spectrum, s=tuple(shape[2:]), norm="ortho")).sigmoid()


def amplitudes(like: Tensor, shape: Sequence[int] | None = None) -> Tensor:
    """Return how strong a wave of each frequency is in photos, about 1 / frequency: (H, W // 2 + 1)."""
    height, width = (shape or like.shape)[2:]
    down, right = torch.fft.fftfreq(height)[:, None], torch.fft.rfftfreq(width)  # cycles per pixel
    frequency = (down**2 + right**2).sqrt().clamp(min=1 / max(height, width))
    return (0.25 / frequency).to(like)


def recoloured(x: Tensor, inverse: bool = False) -> Tensor:
    """Mix decorrelated colours into red, green and blue, or back; (n, C, H, W), as it is unless C = 3."""
    if x.shape[1] != 3:
        return x
    mix = torch.tensor(COLOURS).to(x)
    return torch.einsum("dc,nchw->ndhw", mix.inverse() if inverse else mix, x)


# start (n, C, H, W) -> numbers z, and (z, shape) -> picture in (0, 1)
PARAMETRIZATIONS: dict[str, tuple[Callable[[Tensor], Tensor], Callable[[Tensor, Sequence[int]], Tensor]]] = {
    "fft": (waves_of, picture_of_waves),
    "pixel": (lambda picture: picture.clamp(0.01, 0.99).logit(), lambda z, shape: z.sigmoid()),
}


def noise(model: Model, size: Sequence[int], seed: int) -> Tensor:
    """Return a faint grey noise picture (1, C, H, W) in [0, 1], with the dtype and device of the model."""
    if len(size) != 3 or any(not isinstance(n, int) or n < 1 for n in size):
        raise ValueError(f"`size` must be three sizes (C, H, W), got {tuple(size)}")
    like = next(model.parameters(), torch.zeros(1)) if isinstance(model, nn.Module) else torch.zeros(1)
    return (0.1 * torch.randn(1, *size, generator=generator(seed))).sigmoid().to(like)


def as_pictures(inputs: Tensor) -> Tensor:
    """Return inputs if they are pictures (N, C, H, W) with values in [0, 1]."""
    check_inputs(inputs)
    low, high = inputs.aminmax()
    if inputs.ndim != 4 or low < 0 or high > 1:
        got = f"shape {tuple(inputs.shape)} with values from {low:.3g} to {high:.3g}"
        raise ValueError(f"`inputs` must be pictures (N, C, H, W) with values from 0 to 1, got {got}")
    return inputs


# ------------------------------------------------------------------------------------------------ how it is looked at


class View(NamedTuple):
    """One way to look at a picture."""

    angle: float  # radians
    zoom: float  # above 1 shows more than the picture
    right: float  # as a share of the side
    down: float


def views(n: int, jitter: float, scale: float, rotate: float, seed: int) -> Iterator[View]:
    """Yield n random views: patterns that only excite the network at one exact place do not survive them."""
    for angle, zoom, right, down in (2 * torch.rand(n, 4, generator=generator(seed)) - 1).tolist():
        yield View(math.radians(rotate) * angle, (1 + scale) ** zoom, jitter * right, jitter * down)


def looked_at(picture: Tensor, view: View) -> Tensor:
    """Shift, zoom and turn pictures (n, C, H, W), in grey surroundings."""
    n, _, height, width = picture.shape
    cos, sin = view.zoom * math.cos(view.angle), view.zoom * math.sin(view.angle)
    # both axes run from -1 to 1 whatever the sides are, so a turn must cross from one unit to the other
    matrix = [[cos, -sin * height / width, 2 * view.right], [sin * width / height, cos, 2 * view.down]]
    grid = nn.functional.affine_grid(torch.tensor(matrix).to(picture).expand(n, 2, 3), list(picture.shape), False)
    return nn.functional.grid_sample(picture - 0.5, grid, align_corners=False) + 0.5


def resized(picture: Tensor, size: tuple[int, int]) -> Tensor:
    return nn.functional.interpolate(picture, size, mode="bilinear", align_corners=False, antialias=True)


def mirrored(n: int, length: int, shift: int) -> Tensor:
    """Return the indices that continue 0..n-1 by reflection at both ends, `length` of them from `shift` on."""
    index = (torch.arange(length) + shift) % (2 * n)
    return torch.minimum(index, 2 * n - 1 - index)


# ------------------------------------------------------------------------------------------------------------- ascent


def adam(lr: float, keep: tuple[float, float] = (0.9, 0.999)) -> Callable[[Tensor], Tensor]:
    """Return a function from each gradient to the step that Adam takes uphill (Kingma and Ba 2014, arXiv 1412.6980)."""
    # 1e-4 and not 1e-8: a wave that nothing but rounding speaks for must not grow like the others
    mean: Tensor | float = 0.0  # written out here, because the first step of torch.optim's takes seconds of imports
    square: Tensor | float = 0.0
    count = 0

    def step(gradient: Tensor) -> Tensor:
        nonlocal mean, square, count
        count += 1
        mean = keep[0] * mean + (1 - keep[0]) * gradient
        square = keep[1] * square + (1 - keep[1]) * gradient**2
        return lr * (mean / (1 - keep[0] ** count)) / ((square / (1 - keep[1] ** count)).sqrt() + 1e-4)

    return step


def at(response: Tensor, position: tuple[int, int] | None) -> Tensor:
    """Return the response (n, 1, h, w) at one place, (n, 1); all of it where position is None."""
    if position is None:
        return response
    if response.ndim != 4:
        raise ValueError(f"`position` must be None for a layer without maps, got {position}")
    height, width = response.shape[2:]
    row, column = position
    if not (0 <= row < height and 0 <= column < width):
        raise ValueError(f"`position` must be a row and a column of the {height}×{width} map, got {position}")
    return response[:, :, row, column]


def unit_rms(gradient: Tensor) -> Tensor:
    """Scale each row to a root mean square of 1, so that neither the layer nor the scale of its weights matters."""
    rms = gradient.square().flatten(1).mean(dim=1).sqrt().reshape(-1, *[1] * (gradient.ndim - 1))
    return gradient / rms.clamp(min=torch.finfo(gradient.dtype).tiny)


def _revive(objective: Tensor) -> None:
    """Let the whole gradient through each ReLU that would pass nothing of it: from a dead start there is a way out."""

    def through(passed: tuple[Tensor, ...], arrived: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        (kept,), (whole,) = passed, arrived
        dead = (kept.flatten(1) == 0).all(dim=1).reshape(-1, *[1] * (kept.ndim - 1))  # (n, 1, ...)
        return (torch.where(dead, whole, kept),)

    for node in graph_nodes(objective):
        if node.name() == "ReluBackward0":
            node.register_hook(through)
