"""The rows of an explanation in chunks that fit into memory, and sums over many points of them."""

import inspect
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor
from tqdm.auto import tqdm

from .arguments import as_target, check_batch_size, check_inputs
from .lending import lent
from .memory import fitting_chunks, memory_kept
from .model import autocast_for_the_model_alone, scores_of
from .protocols import Model, Target

BATCH_SIZE = 16  # rows per call where memory is not watched: nearly all of the speed of 32 for half of the memory


@contextmanager
def explaining(
    model: Model, inputs: Tensor, target: Target, batch_size: int | None, *per_row: Tensor
) -> Iterator[Iterator[tuple[Any, ...]]]:
    """Check the arguments, preserve the model and yield rows in chunks: (x, target, *per_row), at most batch_size rows.

    batch_size None: as many as fit into memory, after a first row alone. No gradient is recorded inside unless a method
    asks for it with `torch.enable_grad()`.
    """
    check_inputs(inputs)
    check_batch_size(batch_size)
    precision = autocast_for_the_model_alone(inputs.device)
    with torch.inference_mode(False), torch.no_grad(), precision, lent(model), memory_kept():
        target = as_target(target, len(inputs))
        # a tensor made under inference_mode can never take part in a gradient, its copy can
        inputs = inputs.clone() if inputs.is_inference() else inputs.detach()
        if (batch_size or 1) < len(inputs) and holds_rows(model, len(inputs)):
            check_rows_alone(model, inputs)
        chunks = fitting_chunks(model, len(inputs), batch_size, gradients=None)
        rows = (slice(chunk.start, chunk.stop) for chunk in chunks)
        yield ((inputs[r], None if target is None else target[r], *(tensor[r] for tensor in per_row)) for r in rows)


def holds_rows(model: Model, n: int) -> bool:
    """Whether a function holds a tensor of n rows, such as a second input for each of n inputs."""
    if not inspect.isfunction(model):
        return False
    reached = inspect.getclosurevars(model)
    values = [*reached.nonlocals.values(), *reached.globals.values()]
    return any(isinstance(value, Tensor) and value.ndim > 0 and len(value) == n for value in values)


def check_rows_alone(model: Model, inputs: Tensor) -> None:
    """Raise ValueError unless the last of the inputs (N, ...) has the scores alone that it has among the others."""
    among, alone = scores_of(model, inputs)[-1:], scores_of(model, inputs[-1:])
    if (among - alone).abs().max() > 1e-3 * among.abs().max():
        expected = "give an input the same scores alone and among others"
        cause = f"explain one input at a time, or give batch_size={len(inputs)} to a method that explains all at once"
        raise ValueError(f"`model` must {expected}, got others: does it hold data of each input? Then {cause}")


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
    total, n, points = torch.zeros(()), len(target), iter(points)
    with progress_bar(len(weights), "points", progress) as bar:
        for chunk in fitting_chunks(model, len(weights), batch_size, gradients=True, each=n):
            stacked = torch.cat(list(itertools.islice(points, len(chunk))))  # (k·n, ...)
            values = explain(stacked, target.repeat(len(chunk))).unflatten(0, (len(chunk), n))  # (k, n, ...)
            total = total + torch.tensordot(values.new_tensor(weights[chunk.start : chunk.stop]), values, dims=1)
            bar.update(len(chunk))
    return total


Listener = Callable[[int, int], None]  # how many are done, of how many
_listener: ContextVar[Listener | None] = ContextVar("listener", default=None)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Call listener(done, total) whenever an explanation of this thread gets on; what it raises ends the explanation.

    So whoever runs one can show how far it is, and cancel it: everything is given back as after any other exception.
    """
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def progress_bar(total: int | None, description: str, progress: bool):
    """Return a tqdm bar, to be used in a `with`; one that stays silent unless progress is asked for."""
    listener = _listener.get()
    bar = tqdm(total=total, desc=description, disable=not progress)
    # what has no length is nowhere near its end: a listener hears of nothing but steps to a known one
    return bar if listener is None or total is None else _Heard(bar, total, listener)


class _Heard:
    """A bar that also tells a listener."""

    def __init__(self, bar, total: int, listener: Listener):
        self.bar, self.total, self.listener, self.done = bar, total, listener, 0

    def __enter__(self):
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.close()

    def update(self, n: int = 1) -> None:
        self.bar.update(n)
        self.done += n
        self.listener(self.done, self.total)
