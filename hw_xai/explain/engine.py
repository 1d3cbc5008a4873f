"""How a model is called many times: prepared once for speed, and with as many rows at a time as fit into memory.

    with prepared(model, passes=n):                        # a module: Conv + BatchNorm folded, channels_last
        for chunk in fitting_chunks(model, n, batch_size):     # ranges; batch_size None: what fits into memory
            ... scores_of(model, rows of the chunk)        # the first chunk has one row, and its memory is watched

Plain no_grad, not inference_mode: that saves under 1 % here, and what a model keeps from a call could never be trained
again.
"""

import copy
import inspect
import itertools
import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from functools import partial
from types import ModuleType

import numpy as np
import torch
from torch import Tensor, fx, nn
from torch.nn.modules import module as nn_module
from torch.utils._python_dispatch import TorchDispatchMode

Model = Callable[[Tensor], Tensor]

WORTH_IT = 12  # passes; preparing a ResNet-18 takes about as long as it then saves in so many
MEMORY = 48 * 2**20  # bytes of activations that one call may hold; a backward pass adds about half as much again
MOST_ROWS = 32  # more are no faster on a CPU
UNKNOWN_ROWS = 8  # where nothing could be watched

# ---------------------------------------------------------------------------------------------------------- preparing

CONVOLUTIONS = {nn.Conv1d: nn.BatchNorm1d, nn.Conv2d: nn.BatchNorm2d, nn.Conv3d: nn.BatchNorm3d}
LAYOUT_DEPENDENT = {"view", "view_as", "as_strided", "stride", "is_contiguous", "data_ptr", "numpy", "storage"}


@contextmanager
def prepared(model: Model, passes: int) -> Iterator[None]:
    """Make calls of a module in eval mode faster while inside: the same scores and gradients, to rounding.

    Each BatchNorm that gets nothing but the output of one convolution, which goes nowhere else, is folded into it, and
    weights of convolutions in single precision are laid out channels_last. Nothing of the module is written: its
    convolutions use copies. Inside, a folded convolution returns what its BatchNorm would: record no convolution there.
    Where a maximum is tied, as in a picture of one colour, rounding decides which side has the gradient. Does nothing
    for fewer passes than pay for it, for a model that is no module, that has hooks, or that fx cannot trace.
    """
    with ExitStack() as stack:
        graph = dataflow(model) if passes >= WORTH_IT else None
        if graph is not None:
            for module, forward in faster_forwards(model, graph):
                # on the instance, where it hides the class's own: parameters, hooks and names stay what they are
                module.__dict__["forward"] = forward
                stack.callback(module.__dict__.pop, "forward")
        yield


def dataflow(model: Model) -> fx.Graph | None:
    """Return what calls what in a module of convolutions in eval mode; None where that cannot be found out safely."""
    modules = list(model.modules()) if isinstance(model, nn.Module) else []
    if not any(map(_is_plain_convolution, modules)) or any(map(_has_hooks, [*modules, nn_module])):
        return None
    try:
        if not all(_keeps_to_itself(kind) for kind in {type(module) for module in modules}):
            return None
        # tracing runs the forward once, with symbols: on a copy, so that counters and lists do not see them
        parameters = {id(parameter): parameter for parameter in model.parameters()}
        return fx.Tracer().trace(_Root(copy.deepcopy(model, parameters)))
    except Exception:  # control flow that depends on data, attributes that cannot be copied: whatever it is, do without
        return None


class _Root(nn.Module):
    """Calls the model as the explainers do, with one argument: others take their defaults in the trace as well."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, inputs: Tensor) -> Tensor:
        return self.model(inputs)


def faster_forwards(model: nn.Module, graph: fx.Graph) -> Iterator[tuple[nn.Module, Callable[[Tensor], Tensor]]]:
    """Yield modules, each with a function that does in its place what it and a BatchNorm behind it do."""
    calls = [node for node in graph.nodes if node.op == "call_module"]
    called = {node: model.get_submodule(node.target.removeprefix("model.")) for node in calls}
    times = Counter(called.values())
    # .view() of a channels_last tensor can fail
    any_layout = not any(node.op == "call_method" and node.target in LAYOUT_DEPENDENT for node in graph.nodes)
    for node, convolution in called.items():
        if not _is_plain_convolution(convolution) or times[convolution] > 1:
            continue
        weight, bias = convolution.weight.detach(), convolution.bias
        norm = called.get(next(iter(node.users))) if len(node.users) == 1 else None
        if norm is not None and times[norm] == 1 and _can_fold(norm, convolution):
            weight, bias = folded(convolution, norm)
            yield norm, _identity
        if any_layout and weight.ndim == 4 and weight.dtype != torch.float64:  # in double precision it gains nothing
            weight = weight.contiguous(memory_format=torch.channels_last)
        yield convolution, partial(_convolve, convolution, weight, None if bias is None else bias.detach())


def folded(convolution: nn.Module, norm: nn.Module) -> tuple[Tensor, Tensor]:
    """Return weight and bias of the convolution that does both: norm(conv(x)) = scale · conv(x) + shift."""
    scale = (norm.running_var.double() + norm.eps).rsqrt()  # (K,), as all below
    if norm.affine:
        scale = scale * norm.weight.detach().double()
    before = 0 if convolution.bias is None else convolution.bias.detach().double()
    shift = (before - norm.running_mean.double()) * scale + (norm.bias.detach().double() if norm.affine else 0)
    weight = convolution.weight.detach()  # (K, C, ...)
    return (weight.double() * scale.reshape(-1, *[1] * (weight.ndim - 1))).to(weight), shift.to(weight)


def _is_plain_convolution(module: nn.Module) -> bool:
    return type(module) in CONVOLUTIONS and not module.training and "forward" not in module.__dict__


def _can_fold(norm: nn.Module, convolution: nn.Module) -> bool:
    kind = type(norm) is CONVOLUTIONS[type(convolution)] and not norm.training and "forward" not in norm.__dict__
    return kind and norm.running_mean is not None and norm.running_var.dtype == convolution.weight.dtype


def _has_hooks(module: nn.Module | ModuleType) -> bool:
    kinds = ("forward_hooks", "forward_pre_hooks", "backward_hooks", "backward_pre_hooks")
    return any(getattr(module, prefix + kind, None) for kind in kinds for prefix in ("_", "_global_"))


def _keeps_to_itself(kind: type[nn.Module]) -> bool:
    """Whether a forward uses nothing from outside but functions and classes: no list that a trace could mark."""
    if kind.__module__.startswith("torch."):
        return True
    reached = inspect.getclosurevars(kind.forward)
    values = [*reached.nonlocals.values(), *reached.globals.values()]
    return "print" not in reached.builtins and all(callable(v) or isinstance(v, ModuleType) for v in values)


def _identity(x: Tensor) -> Tensor:
    return x


def _convolve(convolution: nn.Module, weight: Tensor, bias: Tensor | None, x: Tensor) -> Tensor:
    return convolution._conv_forward(x, weight, bias)  # with the convolution's own stride and padding


# ------------------------------------------------------------------------------------------------------------- memory


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
