"""The rows of an explanation in chunks that fit into memory, and sums over many points of them."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from .arguments import as_target, check_batch_size, check_inputs
from .lending import lent
from .memory import fitting_chunks, memory_kept
from .protocols import Model, Target

BATCH_SIZE = 16  # rows per call where memory is not watched: nearly all of the speed of 32 for half of the memory


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
    with torch.inference_mode(False), torch.no_grad(), lent(model), memory_kept():
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
