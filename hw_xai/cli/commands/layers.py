"""List the layers of a model that can be chosen by --layer, in the order they run."""

import argparse
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ...explain import block_layers, last_convolution, layer_shapes, mean_activations
from ...models import load_model
from ...vision.reading import read_photo
from ..options import add_model, model_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_model(parser, default="foodnet-photos")
    parser.add_argument("--input", metavar="PATH", help="a photo: also say which channel of each layer it excites most")


def run(options: argparse.Namespace) -> None:
    loaded = load_model(options.model, **model_of(options))
    model = loaded.module
    inputs = torch.zeros(1, 3, loaded.size, loaded.size, device=loaded.device)
    if options.input:
        inputs = loaded.inputs(read_photo(options.input))
    shapes = layer_shapes(model, inputs)
    strongest = _strongest(model, inputs, list(shapes)) if options.input else {}
    defaults = _defaults(model, inputs)
    header = ("layer", "kind", "output", "channels", *(["strongest"] if options.input else []), "default for")
    rows = [
        (
            name,
            type(model.get_submodule(name)).__name__,
            "×".join(map(str, shape)),
            str(shape[0]),
            *([strongest[name]] if options.input else []),
            ", ".join(defaults.get(name, [])),
        )
        for name, shape in shapes.items()
    ]
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    for row in [header, *rows]:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    print(f"\n{len(rows)} layers of {options.model} for inputs {tuple(inputs.shape[1:])}; channels count from 0")


def _strongest(model: nn.Module, inputs: Tensor, names: Sequence[str]) -> dict[str, str]:
    """Return for each layer "CHANNEL (mean activation)" of the channel that the photo excites most."""
    found = {}
    for name, values in zip(names, mean_activations(model, inputs, names), strict=True):
        value, channel = values[0].max(dim=0)
        found[name] = f"{int(channel)} ({float(value):.2g})"
    return found


def _defaults(model: nn.Module, inputs: Tensor) -> dict[str, list[str]]:
    """Return which methods take a layer when none is named."""
    names = {module: name for name, module in model.named_modules()}
    found: dict[str, list[str]] = {}
    try:
        found[names[last_convolution(model)]] = ["CAM family, features"]
        for layer in block_layers(model, inputs):
            found.setdefault(names[layer], []).append("SISE")
    except ValueError:  # no convolution: every method asks for a layer
        pass
    return found
