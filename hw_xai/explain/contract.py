"""What every explainer promises: checked arguments, bounded batches, its own randomness, a model left as it was found.

Model      any function from a batch (N, ...) to scores (N, C)
Explainer  f(model, inputs, target=None, *, options) -> attribution that broadcasts against inputs
"""

import itertools
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from numbers import Real

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.graph import Node

from ..errors import nearest
from .engine import Model as Model
from .engine import even_chunks as even_chunks
from .engine import fitting_chunks, memory_kept, watched

Explainer = Callable[..., Tensor]
Target = int | Tensor | None
Layer = nn.Module | str | None

BATCH_SIZE = 16  # rows per call where memory is not watched: nearly all of the speed of 32 for half of the memory


# ---------------------------------------------------------------------------------------------------------- arguments


def described(value: object) -> str:
    """Say what a value is in a few words, for the end of an error message."""
    if isinstance(value, Tensor):
        return f"a {str(value.dtype).removeprefix('torch.')} tensor of shape {tuple(value.shape)}"
    return repr(value) if value is None or isinstance(value, Real | str) else f"a {type(value).__name__}"


def check_inputs(inputs: Tensor) -> None:
    """Raise ValueError unless inputs are a non-empty batch (N, ...) of finite floating numbers."""
    if not isinstance(inputs, Tensor) or not inputs.is_floating_point():
        raise ValueError(f"`inputs` must be a floating tensor (N, ...), got {described(inputs)}")
    if inputs.ndim < 2 or inputs.numel() == 0:
        raise ValueError(f"`inputs` must be a batch (N, ...) with at least one row, got shape {tuple(inputs.shape)}")
    if not inputs.isfinite().all():
        raise ValueError("`inputs` must be finite, got NaN or infinite values")


def check_count(name: str, value: int, least: int = 1) -> None:
    """Raise ValueError unless the option `name` is an integer of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"`{name}` must be an integer of at least {least}, got {described(value)}")


def check_batch_size(batch_size: int | None) -> None:
    """Raise ValueError unless batch_size is a count, or None for what fits into memory."""
    if batch_size is not None:
        check_count("batch_size", batch_size)


def check_amount(name: str, value: float) -> None:
    """Raise ValueError unless the option `name` is a finite number of at least 0."""
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 <= value < float("inf"):
        raise ValueError(f"`{name}` must be a finite number of at least 0, got {described(value)}")


def like_inputs(name: str, value: Tensor | float, inputs: Tensor) -> Tensor:
    """Return a number or tensor as a tensor of the inputs' shape, dtype and device."""
    check_inputs(inputs)
    try:
        # with the dtype at once: a Python float would pass through float32 on its way to float64
        tensor = torch.as_tensor(value, dtype=inputs.dtype, device=inputs.device).detach().expand_as(inputs)
    except (TypeError, RuntimeError, ValueError):
        expected = f"a number or a tensor that broadcasts to the inputs' shape {tuple(inputs.shape)}"
        raise ValueError(f"`{name}` must be {expected}, got {described(value)}") from None
    if not tensor.isfinite().all():
        raise ValueError(f"`{name}` must be finite, got NaN or infinite values")
    return tensor


def as_target(target: Target, n: int) -> Tensor | None:
    """Return target as a LongTensor (n,) on the CPU, or None for "what the model predicts"."""
    if target is None:
        return None
    if isinstance(target, int) and not isinstance(target, bool):
        return torch.full((n,), target)
    if isinstance(target, Tensor) and target.dtype == torch.long and target.shape == (n,):
        return target.detach().cpu().clone()
    raise ValueError(f"`target` must be None, an int or a LongTensor of shape ({n},), got {described(target)}")


# -------------------------------------------------------------------------------------------------- calling the model


def scores_of(model: Model, x: Tensor) -> Tensor:
    """Call the model: (N, ...) -> (N, C), checked."""
    # its own copy: a model whose first layer works in place must reach neither our tensors nor a leaf with gradient
    with watched(model, x):
        scores = model(x.clone())
    if not isinstance(scores, Tensor) or not scores.is_floating_point() or scores.ndim != 2 or len(scores) != len(x):
        got = described(scores)
        raise ValueError(f"`model` must return floating scores of shape (N, C) for N = {len(x)} inputs, got {got}")
    return scores


def resolve_target(scores: Tensor, target: Tensor | None) -> Tensor:
    """Return target (N,) checked against scores (N, C); the predicted class where target is None."""
    if target is None:
        return scores.detach().argmax(dim=1)
    low, high, n_classes = int(target.min()), int(target.max()), scores.shape[1]
    if low < 0 or high >= n_classes:
        raise ValueError(f"`target` must be between 0 and {n_classes - 1}, got {low if low < 0 else high}")
    return target.to(scores.device, non_blocking=True)


def score_of_target(model: Model, x: Tensor, target: Tensor | None) -> Tensor:
    """Return one score per row: (N, ...) -> (N,)."""
    scores = scores_of(model, x)
    return scores.gather(1, resolve_target(scores, target)[:, None])[:, 0]


def known_target(model: Model, x: Tensor, target: Tensor | None) -> Tensor:
    """Return target, or with one forward pass the class predicted for the clean inputs.

    A method of many passes decides here, once: on noisy copies the prediction may jump from class to class.
    """
    return resolve_target(scores_of(model, x), None).cpu() if target is None else target


def slope(score: Tensor, x: Tensor, *, retain_graph: bool = False) -> Tensor:
    """∂ score / ∂ x, of no parameter; ValueError when the score does not depend on x."""
    found = None
    if score.requires_grad:
        (found,) = torch.autograd.grad(score, x, retain_graph=retain_graph, allow_unused=True)
    if found is None:
        cause = "(is there a detach(), no_grad() or argmax inside?)"
        raise ValueError(f"`model` must be differentiable, got scores that do not depend on the inputs {cause}")
    return found


def graph_nodes(tensor: Tensor) -> Iterator[Node]:
    """Yield every operation in the autograd graph behind a tensor, once."""
    stack, seen = [tensor.grad_fn], {None}
    while stack:
        node = stack.pop()
        if node not in seen:
            seen.add(node)
            yield node
            stack.extend(parent for parent, _ in node.next_functions)


# ------------------------------------------------------------------------------------------------------------- chunks


@contextmanager
def explaining(
    model: Model, inputs: Tensor, target: Target, batch_size: int | None, *per_row: Tensor
) -> Iterator[Iterator[tuple[Tensor, ...]]]:
    """Check the arguments, preserve the model and yield rows in chunks: (x, target, *per_row), at most batch_size rows.

    batch_size None: as many as fit into memory, after a first row alone. No gradient is recorded inside unless a method
    asks for it with `torch.enable_grad()`.
    """
    check_inputs(inputs)
    check_batch_size(batch_size)
    with torch.inference_mode(False), torch.no_grad(), preserved(model), memory_kept():
        target = as_target(target, len(inputs))
        # a tensor made under inference_mode can never take part in a gradient, its copy can
        inputs = inputs.clone() if inputs.is_inference() else inputs.detach()
        chunks = fitting_chunks(model, len(inputs), batch_size, gradients=None)
        rows = (slice(chunk.start, chunk.stop) for chunk in chunks)
        yield ((inputs[r], None if target is None else target[r], *(tensor[r] for tensor in per_row)) for r in rows)


def weighted_sum(
    model: Model,
    explain: Callable[[Tensor, Tensor], Tensor],
    points: Iterable[Tensor],
    weights: Sequence[float],
    target: Tensor,
    batch_size: int | None,
    progress: bool = False,
) -> Tensor:
    """Return Σₛ weights[s] · explain(points[s], target), with as many points in one call as batch_size rows hold.

    model: whose gradients explain takes. points: an iterable of len(weights) tensors (n, ...), made only when needed;
    target (n,).
    """
    total, n, points = 0, len(target), iter(points)
    with progress_bar(len(weights), "points", progress) as bar:
        for chunk in fitting_chunks(model, len(weights), batch_size, gradients=True, each=n):
            stacked = torch.cat(list(itertools.islice(points, len(chunk))))  # (k·n, ...)
            values = explain(stacked, target.repeat(len(chunk))).unflatten(0, (len(chunk), n))  # (k, n, ...)
            total = total + torch.tensordot(values.new_tensor(weights[chunk.start : chunk.stop]), values, dims=1)
            bar.update(len(chunk))
    return total


def progress_bar(total: int, description: str, progress: bool):
    """Return a tqdm bar, to be used in a `with`; one that stays silent unless progress is asked for."""
    from tqdm.auto import tqdm

    return tqdm(total=total, desc=description, disable=not progress)


# --------------------------------------------------------------------------------------------------------- randomness


def generator(seed: int) -> torch.Generator:
    """Return a seeded generator on the CPU, so that the draws are the same whatever device the model is on."""
    check_count("seed", seed, least=0)
    return torch.Generator().manual_seed(seed)


def gaussian(like: Tensor, n_samples: int, seed: int) -> Iterator[Tensor]:
    """Yield n_samples standard normal draws (1, ...) for inputs `like` (n, ...).

    All rows of a batch share a draw, and each draw is made alone: so the result of one input depends neither on
    its neighbours nor on how the draws are batched.
    """
    source = generator(seed)
    for _ in range(n_samples):
        yield torch.randn((1, *like.shape[1:]), generator=source).to(like)


# ------------------------------------------------------------------------------------------------- the model, unharmed


@contextmanager
def preserved(model: Model) -> Iterator[None]:
    """Lend the model in eval mode with frozen parameters, and give it and all global random states back as they were.

    Kept, also after an exception: train/eval flags, requires_grad, buffers, and the random states of torch, numpy
    and random. A model that is no nn.Module is called as it is: what lies inside a closure cannot be seen from here.
    """
    modules = list(model.modules()) if isinstance(model, nn.Module) else []
    flags = [module.training for module in modules]
    trainable = [p for module in modules for p in module.parameters(recurse=False) if p.requires_grad]
    buffers = [(module, dict(module._buffers)) for module in modules if module._buffers]
    copies = [(b, b._version, b.clone()) for _, held in buffers for b in held.values() if b is not None]
    with random_states_preserved():
        try:
            for module in modules:
                module.training = False
            for parameter in trainable:
                parameter.requires_grad_(False)  # saves the memory and time of gradients that nobody asked for
            yield
        finally:
            for module, flag in zip(modules, flags, strict=True):
                module.training = flag
            for parameter in trainable:
                parameter.requires_grad_(True)
            for module, held in buffers:
                module._buffers.update(held)
            for buffer, version, copy in copies:
                if buffer._version != version:  # writing only what changed keeps the user's own open graphs valid
                    buffer.detach().copy_(copy)


@contextmanager
def random_states_preserved() -> Iterator[None]:
    """Restore the global random states of torch (CPU and CUDA), numpy and random on leaving."""
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else []
    numpy_state, python_state = np.random.get_state(), random.getstate()  # noqa: NPY002  the global state is the point
    with torch.random.fork_rng(devices):
        try:
            yield
        finally:
            np.random.set_state(numpy_state)  # noqa: NPY002
            random.setstate(python_state)


# ------------------------------------------------------------------------------------------------------------- layers


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
    if isinstance(model, nn.Module) and all(module is not layer for module in model.modules()):
        raise ValueError(f"`layer` must be a module of the model, got another {type(layer).__name__}")
    return layer


def last_convolution(model: Model) -> nn.Module:
    """Return the convolution that was registered last: the usual layer for class activation maps."""
    kinds = nn.Conv1d | nn.Conv2d | nn.Conv3d
    found = [module for module in model.modules() if isinstance(module, kinds)] if isinstance(model, nn.Module) else []
    if not found:
        raise ValueError(f"`layer` must be given for a model without convolution modules, got {described(model)}")
    return found[-1]


@contextmanager
def hooked(layers: Iterable[nn.Module], hook: Callable[[nn.Module, Tensor], Tensor | None]) -> Iterator[None]:
    """Call hook(layer, output) after each of the layers; what it returns, if anything, replaces the output."""
    with ExitStack() as stack:
        for layer in layers:
            handle = layer.register_forward_hook(lambda module, _, output: hook(module, output))
            stack.callback(handle.remove)
        yield


class Recording(Mapping[str | nn.Module, Tensor]):
    """What each layer returned in the last forward pass, by module or dotted path; downstream gradients reach it."""

    def __init__(self, names: dict[nn.Module, str]):
        self._names, self._outputs = names, {}

    def __getitem__(self, layer: str | nn.Module) -> Tensor:
        name = self._names.get(layer, layer)
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

    def clear(self, *_: object) -> None:
        """Forget the pass before."""
        self._outputs.clear()


@contextmanager
def record(model: Model, layers: Sequence[nn.Module]) -> Iterator[Recording]:
    """Record what the layers return; every pass of an nn.Module starts anew, of another callable make just one."""
    paths = {module: name for name, module in model.named_modules()} if isinstance(model, nn.Module) else {}
    recording = Recording({layer: paths.get(layer, f"layers[{i}]") for i, layer in enumerate(layers)})
    with ExitStack() as stack:
        if isinstance(model, nn.Module):
            stack.callback(model.register_forward_pre_hook(recording.clear).remove)
        stack.enter_context(hooked(layers, recording.add))
        yield recording
