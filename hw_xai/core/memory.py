"""How many rows of a batch fit into memory: the first call of a model is watched, the others follow it.

for chunk in fitting_chunks(model, n, batch_size):     # ranges; batch_size None: what fits into memory
    ... scores_of(model, rows of the chunk)            # the first chunk has one row, and its memory is watched
"""

import itertools
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from .protocols import Model

MEMORY = 48 * 2**20  # bytes of activations that one call may hold; a backward pass adds about half as much again
MOST_ROWS = 32  # more are no faster on a CPU
UNKNOWN_ROWS = 8  # where nothing could be watched


class Memory:
    """What the calls of one explanation have told about the memory that a row of a model takes."""

    def __init__(self):
        self.rows: dict[tuple[int, bool], int] = {}  # the model's id, whether gradients are recorded -> rows that fit
        self.asked: set[int] = set()  # ids of models of which somebody waits to know it

    def fitting(self, model: Model, gradients: bool | None) -> int | None:
        """Return how many rows fit into memory, gradients recorded or not or (None) as it was seen; None: not known."""
        kinds = (False, True) if gradients is None else (gradients,)
        return min((self.rows[id(model), kind] for kind in kinds if (id(model), kind) in self.rows), default=None)


_memory: ContextVar[Memory | None] = ContextVar("memory", default=None)


@contextmanager
def memory_kept() -> Iterator[None]:
    """Keep inside what is told about memory, for this explainer and those that it calls."""
    token = _memory.set(_memory.get() or Memory())
    try:
        yield
    finally:
        _memory.reset(token)


def fitting_chunks(
    model: Model, n: int, batch_size: int | None, *, gradients: bool | None = False, each: int = 1
) -> Iterator[range]:
    """Cut range(n) into as few ranges as possible, for calls of the model with at most batch_size rows.

    batch_size None: as many as fit into memory; unless that is known already, the first range has one element, whose
    call (by `scores_of`, in this explanation) is watched. each: rows that one element stands for. gradients: whether
    the calls record gradients, None for what is not said.
    """
    memory, start = _memory.get() or Memory(), 0
    if n > 1 and batch_size is None and memory.fitting(model, gradients) is None:
        memory.asked.add(id(model))
        yield range(1)
        start = 1
    size = batch_size or memory.fitting(model, gradients) or UNKNOWN_ROWS
    for chunk in even_chunks(n - start, max(1, size // each)):
        yield range(start + chunk.start, start + chunk.stop)


def even_chunks(n: int, size: int) -> Iterator[range]:
    """Cut range(n) into as few ranges of at most `size` as possible, of nearly equal length."""
    # 50 = 13 + 13 + 12 + 12 and not 16 + 16 + 16 + 2: a batch of 2 costs more per row
    edges = np.linspace(0, n, -(-n // size) + 1).round().astype(int).tolist()
    return itertools.starmap(range, itertools.pairwise(edges))


@contextmanager
def watched(model: Model, x: Tensor) -> Iterator[None]:
    """Measure a call of the model with x (n, ...), if somebody waits to know what a row takes."""
    memory, key = _memory.get(), (id(model), torch.is_grad_enabled())
    if memory is None or id(model) not in memory.asked or key in memory.rows:
        yield
        return
    with Watch() as watch:
        yield
    memory.rows[key] = max(1, int(min(most_rows(x.device), budget(x.device) * len(x) / max(1, watch.most))))


def budget(device: torch.device) -> int:
    """Return how many bytes of activations a call may hold."""
    return torch.cuda.mem_get_info(device)[0] // 4 if device.type == "cuda" else MEMORY


def most_rows(device: torch.device) -> int:
    """Return the number of rows from which on a call is no faster per row."""
    return MOST_ROWS if device.type == "cpu" else 16 * MOST_ROWS


class Watch(TorchDispatchMode):
    """Counts the bytes of the tensors that are made inside and still alive: `most` is their highest number."""

    def __init__(self):
        super().__init__()
        self.alive: dict[int, int] = {}
        self.total = self.most = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Torch would import its compiler, for seconds, to keep it out of here; under a mode it stays out by itself."""
        return False

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        given = {storage._cdata for storage in _storages(args)}  # a view and an in-place result are nothing new
        for storage in _storages(result):
            if storage._cdata not in given and storage._cdata not in self.alive:
                self.note(storage)
        return result

    def note(self, storage: torch.UntypedStorage) -> None:
        """Count a storage from now until it is freed."""
        self.alive[storage._cdata] = storage.nbytes()
        self.total += storage.nbytes()
        self.most = max(self.most, self.total)
        weakref.finalize(storage, self.forget, storage._cdata)

    def forget(self, key: int) -> None:
        """Take a storage off the count."""
        self.total -= self.alive.pop(key)


def _storages(values: object) -> Iterator[torch.UntypedStorage]:
    for value in values if isinstance(values, tuple | list) else (values,):
        if isinstance(value, Tensor):
            yield value.untyped_storage()
        elif isinstance(value, tuple | list):
            yield from _storages(value)
