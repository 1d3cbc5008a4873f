"""Layers of a model: found by name or by default, hooked, recorded."""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager

from torch import Tensor, nn

from ..errors import nearest
from .arguments import described
from .lending import borrowed
from .protocols import Layer, Model

# each with the BatchNorm that belongs to it
CONVOLUTIONS: dict[type[nn.Module], type[nn.Module]] = {
    nn.Conv1d: nn.BatchNorm1d,
    nn.Conv2d: nn.BatchNorm2d,
    nn.Conv3d: nn.BatchNorm3d,
}


def find_layer(model: Model, layer: Layer) -> nn.Module:
    """Return the module that `layer` means: a module of the model, its dotted path, None for the last convolution."""
    if layer is None:
        return last_convolution(model)
    if isinstance(layer, str):
        names = dict(model.named_modules()) if isinstance(model, nn.Module) else {}
        if layer not in names:
            kind = type(model).__name__
            raise ValueError(f'`layer` must name a module of {kind}, got "{layer}".{nearest(layer, names)}')
        return names[layer]
    if not isinstance(layer, nn.Module):
        raise ValueError(f"`layer` must be a module of the model or its dotted path, got {described(layer)}")
    if isinstance(model, nn.Module) and all(borrowed(module) is not borrowed(layer) for module in model.modules()):
        raise ValueError(f"`layer` must be a module of the model, got another {type(layer).__name__}")
    return layer


def last_convolution(model: Model) -> nn.Module:
    """Return the convolution that was registered last: the usual layer for class activation maps."""
    modules = model.modules() if isinstance(model, nn.Module) else []
    convolutions = [module for module in modules if isinstance(module, tuple(CONVOLUTIONS))]
    if not convolutions:
        raise ValueError(f"`layer` must be given for a model without convolution modules, got {described(model)}")
    return convolutions[-1]


@contextmanager
def hooked(layers: Iterable[nn.Module], hook: Callable[[nn.Module, Tensor], Tensor | None]) -> Iterator[None]:
    """Call hook(layer, output) after each of the layers; what it returns, if anything, replaces the output.

    Layers of a model that is lent are listened to in its copy. Passes of other threads are not listened to.
    """
    thread = threading.get_ident()

    def listen(layer: nn.Module) -> Callable[[nn.Module, tuple, Tensor], Tensor | None]:
        return lambda _, args, output: hook(layer, output) if threading.get_ident() == thread else None

    with ExitStack() as stack:
        for layer in layers:
            stack.callback(borrowed(layer).register_forward_hook(listen(layer)).remove)
        yield


class Recording(Mapping[str | nn.Module, Tensor]):
    """What each layer returned in the last forward pass, by module or dotted path; downstream gradients reach it."""

    def __init__(self, names: dict[nn.Module, str]):
        self._names = names
        self._outputs: dict[str, Tensor] = {}
        self._thread = threading.get_ident()

    def __getitem__(self, layer: str | nn.Module) -> Tensor:
        name = layer if isinstance(layer, str) else self._names[layer]
        if name in self._names.values() and name not in self._outputs:
            raise ValueError(f'`layer` must run when the model does, got "{name}", which was not called')
        return self._outputs[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._outputs)

    def __len__(self) -> int:
        return len(self._outputs)

    def add(self, layer: nn.Module, output: Tensor) -> Tensor:
        """Take down an output, and hand the rest of the model a copy: an in-place ReLU cannot spoil the record."""
        name = self._names[layer]
        if not isinstance(output, Tensor):
            raise ValueError(f'`layer` must return one tensor, got "{name}", which returned {described(output)}')
        if name in self._outputs:
            raise ValueError(f'`layer` must run once in a forward pass, got "{name}", which ran again: take its block')
        self._outputs[name] = output
        return output.clone()

    def begin(self, *_: object) -> None:
        """Forget the pass before; a pass of another thread is none of ours."""
        if threading.get_ident() == self._thread:
            self._outputs.clear()


@contextmanager
def record(model: Model, layers: Sequence[nn.Module]) -> Iterator[Recording]:
    """Record what the layers return; every pass of an nn.Module starts anew, of another callable make just one."""
    paths = {module: name for name, module in model.named_modules()} if isinstance(model, nn.Module) else {}
    recording = Recording({layer: paths.get(layer, f"layers[{i}]") for i, layer in enumerate(layers)})
    with ExitStack() as stack:
        if isinstance(model, nn.Module):
            stack.callback(borrowed(model).register_forward_pre_hook(recording.begin).remove)
        stack.enter_context(hooked(layers, recording.add))
        yield recording
