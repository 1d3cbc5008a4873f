"""A model prepared once for many calls: Conv + BatchNorm folded, channels_last.

    with prepared(model, x, passes=n):
        ... scores_of(model, rows)

Plain no_grad, not inference_mode: that saves under 1 % here, and what a model keeps from a call could never be trained
again.
"""

import inspect
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from types import ModuleType
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules import module as nn_module
from torch.overrides import TorchFunctionMode

from .known import Known
from .layers import CONVOLUTIONS
from .lending import HOOKS, borrowed, copied, has_hooks, is_private
from .model import as_scores, called
from .protocols import Model

WORTH_IT = 12  # passes; preparing a ResNet-18 takes about as long as it then saves in so many
LAYOUT_DEPENDENT = {"view", "view_as", "as_strided", "stride", "is_contiguous", "data_ptr", "numpy", "storage"}
SHAPES = {"size", "dim", "ndimension", "numel", "nelement", "__len__", "is_floating_point", "is_complex"}
TOLERANCE = 1e-3  # of the largest score: rounding in single precision stays far below, another graph far above


class Wiring(NamedTuple):
    """What a forward pass did with convolutions, by the places of the modules in `model.modules()`."""

    convolutions: tuple[tuple[int, int | None], ...]  # each with the BatchNorm that alone gets its output, if any does
    any_layout: bool  # whether the maps may lie in memory in another order


UNTOUCHED = Wiring((), any_layout=False)
_known: Known[Wiring] = Known()


@contextmanager
def prepared(model: Model, x: Tensor, passes: int) -> Iterator[None]:
    """Make calls of a module that is lent faster while inside: the same scores and gradients, to rounding.

    Each BatchNorm that gets nothing but the output of one convolution, which goes nowhere else, is folded into it, and
    weights of convolutions in single precision are laid out channels_last. What goes where is seen in one pass of the
    first row of x, and kept for as long as the model lives; where the scores of that row are not the same afterwards,
    nothing is done. Nothing of the user's module is touched: the copy that is lent uses copies of the weights. Inside,
    a folded convolution returns what its BatchNorm would: record no convolution there. Where a maximum is tied, as in a
    picture of one colour, rounding decides which side has the gradient. Does nothing for fewer passes than pay for it,
    for a model that is no module, that has hooks, or whose forward depends on the data.
    """
    asked = borrowed(model)
    with ExitStack() as stack:
        if (
            isinstance(model, nn.Module)
            and passes >= WORTH_IT
            and is_private(asked)
            and not any("forward" in m.__dict__ for m in asked.modules())
        ):
            wiring = _known.of(model, lambda module: find_wiring(module, x))
            if wiring is not None:
                apply(wiring, asked, stack)
        yield


def find_wiring(model: nn.Module, x: Tensor) -> Wiring | None:
    """Look at one pass of the first row of x, and ask for its scores once more with the folded convolutions."""
    modules = list(model.modules())
    if not any(map(_is_plain_convolution, modules)) or any(map(has_hooks, modules)) or _is_listened_to():
        return UNTOUCHED
    try:
        if not all(_keeps_to_itself(kind) for kind in {type(module) for module in modules}):
            return UNTOUCHED
        # on a copy with lists of its own, so that counters do not see these passes
        copies = copied(model, for_a_look=True)
        if copies is None:
            return UNTOUCHED
        copy, row = copies[id(model)], x[:1]
        with torch.no_grad():
            wiring, scores = observed(copy, row)
            with ExitStack() as stack:
                apply(wiring, copy, stack)
                again = as_scores(called(copy, row), row)
            if (again - scores).abs().max() > TOLERANCE * scores.abs().max():
                return UNTOUCHED
        return wiring
    except Exception:  # whatever a forward does not like about being watched: do without
        return None


def observed(model: nn.Module, x: Tensor) -> tuple[Wiring, Tensor]:
    """Run a model that nobody else has, and return how it is wired, with the scores (N, C) of x."""
    modules = list(model.modules())
    norms = tuple(CONVOLUTIONS.values())
    watch = _Uses()
    with ExitStack() as stack:
        for place, module in enumerate(modules):
            if type(module) in CONVOLUTIONS or type(module) in norms:
                module.__dict__["forward"] = partial(watch.leaf, place, module.forward)
                stack.callback(module.__dict__.pop, "forward")
        with watch:
            output = called(model, x)
    scores = as_scores(output, x)
    if watch.reads_values:
        return UNTOUCHED, scores
    times = Counter(watch.calls)
    pairs = []
    for output, place in watch.made.values():
        convolution, users = modules[place], watch.users[id(output)]
        if not _is_plain_convolution(convolution) or times[place] > 1:
            continue
        norm = users[0] if len(users) == 1 else None
        fits = norm is not None and times[norm] == 1 and _can_fold(modules[norm], convolution)
        pairs.append((place, norm if fits else None))
    return Wiring(tuple(pairs), watch.any_layout), scores


class _Uses(TorchFunctionMode):
    """Notes where the outputs of convolutions go. Of this thread only: a mode is no patch."""

    def __init__(self):
        super().__init__()
        self.made: dict[int, tuple[Tensor, int]] = {}  # id of an output -> the output, kept alive, and its module
        self.users: dict[int, list[int | None]] = {}  # ... -> the modules it goes into, None for any other function
        self.calls: list[int] = []
        self.inside = self.reads_values = False
        self.any_layout = True

    def leaf(self, place: int, forward: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        """Stand in for the forward of a convolution or BatchNorm, whose inside matters to nobody."""
        self.use(x, place)
        self.inside = True
        try:
            output = forward(x)
        finally:
            self.inside = False
        self.calls.append(place)
        self.made[id(output)], self.users[id(output)] = (output, place), []
        return output

    def use(self, value: object, place: int | None) -> None:
        for tensor in tensors_in(value):
            if id(tensor) in self.users:
                self.users[id(tensor)].append(place)

    def __torch_function__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        name = getattr(function, "__name__", "")
        if self.inside or name in SHAPES:
            return result
        self.any_layout &= name not in LAYOUT_DEPENDENT
        if any(True for _ in tensors_in(result)):
            self.use((args, kwargs), None)
        elif name != "__get__" and any(True for _ in tensors_in((args, kwargs))):
            self.reads_values |= name not in ("stride", "is_contiguous")  # a number, or a yes or no, of the data
        return result


def tensors_in(value: object) -> Iterator[Tensor]:
    """Yield the tensors in arguments or results, also of tuples, lists and dicts."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, tuple | list):
        for part in value:
            yield from tensors_in(part)
    elif isinstance(value, dict):
        yield from tensors_in(list(value.values()))


def apply(wiring: Wiring, model: nn.Module, stack: ExitStack) -> None:
    """Let modules of a model that nobody else has do in one what a convolution and its BatchNorm do."""
    modules = list(model.modules())
    for place, norm in wiring.convolutions:
        convolution: Any = modules[place]  # one of CONVOLUTIONS
        weight, bias = convolution.weight.detach(), convolution.bias
        if norm is not None:
            weight, bias = folded(convolution, modules[norm])
            modules[norm].__dict__["forward"] = _identity
            stack.callback(modules[norm].__dict__.pop, "forward")
        if wiring.any_layout and weight.ndim == 4 and weight.dtype != torch.float64:  # in double it gains nothing
            weight = weight.contiguous(memory_format=torch.channels_last)
        forward = partial(_convolve, convolution, weight, None if bias is None else bias.detach())
        convolution.__dict__["forward"] = forward
        stack.callback(convolution.__dict__.pop, "forward")


def folded(convolution: Any, norm: Any) -> tuple[Tensor, Tensor]:
    """Return weight and bias of the convolution that does both: norm(conv(x)) = scale · conv(x) + shift."""
    scale = (norm.running_var.double() + norm.eps).rsqrt()  # (K,), as all below
    if norm.affine:
        scale = scale * norm.weight.detach().double()
    before = 0 if convolution.bias is None else convolution.bias.detach().double()
    shift = (before - norm.running_mean.double()) * scale + (norm.bias.detach().double() if norm.affine else 0)
    weight = convolution.weight.detach()  # (K, C, ...)
    return (weight.double() * scale.reshape(-1, *[1] * (weight.ndim - 1))).to(weight), shift.to(weight)


def _is_plain_convolution(module: nn.Module) -> bool:
    return type(module) in CONVOLUTIONS and "forward" not in module.__dict__


def _can_fold(norm: Any, convolution: Any) -> bool:
    kind = type(norm) is CONVOLUTIONS[type(convolution)] and "forward" not in norm.__dict__
    return kind and norm.running_mean is not None and norm.running_var.dtype == convolution.weight.dtype


def _is_listened_to() -> bool:
    """Whether somebody listens to all modules there are."""
    return any(getattr(nn_module, f"_global{name}", None) for name in HOOKS)


def _keeps_to_itself(kind: type[nn.Module]) -> bool:
    """Whether a forward uses nothing from outside but functions and classes: no list that a pass could mark."""
    if kind.__module__.startswith("torch."):
        return True
    reached = inspect.getclosurevars(kind.forward)
    values = [*reached.nonlocals.values(), *reached.globals.values()]
    return "print" not in reached.builtins and all(callable(v) or isinstance(v, ModuleType) for v in values)


def _identity(x: Tensor) -> Tensor:
    return x


def _convolve(convolution: Any, weight: Tensor, bias: Tensor | None, x: Tensor) -> Tensor:
    return convolution._conv_forward(x, weight, bias)  # with the convolution's own stride and padding
