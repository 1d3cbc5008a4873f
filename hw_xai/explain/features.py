"""What layers and channels respond to: recorded activations, activation maps, and the images that excite them most."""

from collections.abc import Iterable, Iterator, Sequence, Sized
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..core.arguments import check_count, check_inputs, described
from ..core.batches import BATCH_SIZE, explaining, progress_bar
from ..core.layers import Recording, find_layer, hooked, record
from ..core.lending import lent
from ..core.maps import channels_first
from ..core.model import scores_of
from ..core.protocols import Layer, Model


@contextmanager
def record_activations(model: Model, layers: Layer | Sequence[Layer]) -> Iterator[Recording]:
    """Record what layers return: `with record_activations(model, "cnn.3") as seen: model(x); seen["cnn.3"]`.

    layers: modules or dotted paths, one or several. The mapping holds the last forward pass, by module or by path, each
    tensor a copy that later in-place operations cannot reach, with its gradient. ValueError for a layer that is not in
    the model, was not called, is called twice in one pass, or does not return one tensor.
    """
    layers = [layers] if layers is None or isinstance(layers, str | nn.Module) else layers
    with record(model, [find_layer(model, layer) for layer in layers]) as recording:
        yield recording


def filter_activation(
    model: Model, inputs: Tensor, layer: Layer = None, channel: int = 0, *, batch_size: int | None = None
) -> Tensor:
    """Return where a channel responds, and how strongly: (N, 1, h, w) at the layer's own resolution.

    layer: None is the last convolution. One forward pass. Zeiler and Fergus 2013, arXiv 1311.2901.

    >>> from hw_xai.explain import filter_activation
    >>> from hw_xai.testing import pictures, small_network
    >>> filter_activation(small_network(), pictures(), "block", channel=1).shape
    torch.Size([3, 1, 8, 8])
    """
    layer, chosen = find_layer(model, layer), as_channels(channel)
    with explaining(model, inputs, None, batch_size) as chunks:
        return torch.cat([channel_of(model, layer, chosen.expand(len(x)), x) for x, _ in chunks])


def layer_shapes(model: nn.Module, inputs: Tensor) -> dict[str, tuple[int, ...]]:
    """Return the layers that can be chosen, in the order they run: dotted path -> shape of what it returns, without N.

    Left out are modules that do not run, run twice in a pass, or return no single tensor. One forward pass.
    """
    if not isinstance(model, nn.Module):
        raise ValueError(f"`model` must be an nn.Module, whose layers have names, got {described(model)}")
    names = {module: name for name, module in model.named_modules() if name}
    returned: dict[str, list[object]] = {}
    with explaining(model, inputs[:1], None, 1) as chunks:
        ((x, _),) = chunks
        with hooked(names, lambda module, output: returned.setdefault(names[module], []).append(output)):
            scores_of(model, x)
    return {
        name: tuple(outputs[0].shape[1:])
        for name, outputs in returned.items()
        if len(outputs) == 1 and isinstance(outputs[0], Tensor) and outputs[0].ndim > 1
    }


# ---------------------------------------------------------------------------------------------------- over a data set


class Ranked(NamedTuple):
    """The images that a channel answers most, or least, the extreme first: (k,) each, or (channels, k)."""

    indices: Tensor  # int64, of the data set
    values: Tensor  # mean activation
    places: Tensor  # (..., 2) int64, row and column of the strongest response in the map; 0 where there is no map


class ExtremeImages(NamedTuple):
    """Both ends of a data set."""

    most: Ranked
    least: Ranked


def extreme_images(
    model: Model,
    dataset: Iterable,
    layer: Layer = None,
    channel: int | Sequence[int] = 0,
    *,
    k: int = 9,
    batch_size: int = BATCH_SIZE,
    progress: bool = False,
) -> ExtremeImages:
    """Return which k images of a data set activate a channel most and least, by its mean over the map.

    dataset: anything to walk through once that gives inputs (C, H, W), or tuples that begin with one: of any size, as
    only a batch is held. channel: one, or several in the same walk. A layer may also end in (N, C): then a channel is
    a class. Of equal images the one that came first wins. One forward pass per image.
    """
    check_count("k", k)
    layer, channels = find_layer(model, layer), as_channels(channel)
    most = least = None
    for first, inputs, recording in _passes(model, [layer], dataset, batch_size, progress):
        activation = channels_first(recording[layer], layer, inputs)
        check_channels(channels, activation)
        response = activation[:, channels]  # (n, K, ...)
        values = response.reshape(*response.shape[:2], -1).mean(dim=2).T.cpu()  # (K, n)
        if not values.isfinite().all():
            raise ValueError(f"`model` must return finite activations, got others from image {first} on")
        indices = torch.arange(first, first + values.shape[1]).expand_as(values)
        batch = Ranked(indices, values, _places(response).transpose(0, 1).cpu())
        most, least = _best(most, batch, k, True), _best(least, batch, k, False)
    if most is None or least is None:
        raise ValueError("`dataset` must hold at least one image, got none")
    ends = most, least
    if isinstance(channel, int):
        return ExtremeImages(*(Ranked(*(part[0] for part in ranked)) for ranked in ends))
    return ExtremeImages(*ends)


def mean_activations(
    model: Model,
    dataset: Iterable,
    layers: Sequence[Layer],
    *,
    batch_size: int = BATCH_SIZE,
    progress: bool = False,
) -> list[Tensor]:
    """Return what each layer makes of each image of a data set, its maps averaged: (n, channels) per layer, float32.

    dataset: as for `extreme_images`. The vectors to project, layer by layer. One forward pass per image.
    """
    modules = [find_layer(model, layer) for layer in layers]
    rows: list[list[Tensor]] = [[] for _ in modules]
    for _, inputs, recording in _passes(model, modules, dataset, batch_size, progress):
        for row, module in zip(rows, modules, strict=True):
            activation = channels_first(recording[module], module, inputs)
            row.append(activation.reshape(*activation.shape[:2], -1).mean(dim=2).float().cpu())
    if not rows[0]:
        raise ValueError("`dataset` must hold at least one image, got none")
    return [torch.cat(row) for row in rows]


def _passes(
    model: Model, layers: Sequence[nn.Module], dataset: Iterable, batch_size: int, progress: bool
) -> Iterator[tuple[int, Tensor, Recording]]:
    """Run the model on a data set batch by batch; yield each first index, the batch and what layers gave."""
    check_count("batch_size", batch_size)
    total = len(dataset) if isinstance(dataset, Sized) else None
    # a map-style data set may lack the IndexError that ends a plain `for`
    items = (dataset[i] for i in range(total)) if hasattr(dataset, "__getitem__") and total is not None else dataset
    parameter = next(model.parameters(), None) if isinstance(model, nn.Module) else None
    first = 0
    batch: list[Tensor] = []

    def run() -> tuple[Tensor, Recording]:
        inputs = torch.stack(batch)
        check_inputs(inputs)
        with torch.no_grad(), lent(model), record(model, layers) as recording:
            scores_of(model, inputs if parameter is None else inputs.to(parameter.device))
        return inputs, recording

    with progress_bar(total, "images", progress) as bar:
        for item in items:
            batch.append(item[0] if isinstance(item, tuple | list) else item)
            if len(batch) == batch_size:
                yield first, *run()
                bar.update(len(batch))
                first, batch = first + len(batch), []
        if batch:
            yield first, *run()
            bar.update(len(batch))


def _best(held: Ranked | None, batch: Ranked, k: int, largest: bool) -> Ranked:
    """Return the k best of those held and a later batch."""
    both = batch if held is None else Ranked(*map(lambda a, b: torch.cat([a, b], dim=1), held, batch))
    # stable: of equals the one before stays before, and those held have the lower indices
    order = both.values.sort(dim=1, descending=largest, stable=True).indices[:, :k]  # (K, k)
    return Ranked(*(part[torch.arange(len(order))[:, None], order] for part in both))


def _places(response: Tensor) -> Tensor:
    """Return where each map is strongest: (n, K, h, w) -> (n, K, 2); zeros where there is no map."""
    if response.ndim != 4:
        return torch.zeros(*response.shape[:2], 2, dtype=torch.long, device=response.device)
    strongest, width = response.flatten(2).argmax(dim=2), response.shape[3]
    return torch.stack([strongest // width, strongest % width], dim=2)


# ----------------------------------------------------------------------------------------------------------- channels


def as_channels(channel: int | Sequence[int]) -> Tensor:
    """Return one channel or several as a LongTensor (K,)."""
    several = [channel] if isinstance(channel, int) else channel
    if not isinstance(several, list | tuple | range) or not several or any(type(one) is not int for one in several):
        raise ValueError(f"`channel` must be an integer or a list of them, got {described(channel)}")
    return torch.tensor(several)


def channel_of(model: Model, layer: nn.Module, channels: Tensor, x: Tensor) -> Tensor:
    """Run the model on x (n, ...) and return of what the layer gives one channel for each row: (n, 1, ...)."""
    with record(model, [layer]) as recording:
        scores_of(model, x)
    activation = channels_first(recording[layer], layer, x)  # (n, C, ...)
    check_channels(channels, activation)
    return activation[torch.arange(len(x)), channels][:, None]


def check_channels(channels: Tensor, activation: Tensor) -> None:
    """Raise ValueError unless an activation (n, C, ...) has all the channels."""
    n_channels = activation.shape[1] if activation.ndim > 1 else 0
    for channel in channels.tolist():
        if not 0 <= channel < n_channels:
            raise ValueError(f"`channel` must be between 0 and {n_channels - 1}, got {channel}")
