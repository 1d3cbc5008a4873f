"""A model prepared once for many calls: Conv + BatchNorm folded, channels_last.

    with prepared(model, passes=n):
        ... scores_of(model, rows)

Plain no_grad, not inference_mode: that saves under 1 % here, and what a model keeps from a call could never be trained
again.
"""

import copy
import inspect
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from types import ModuleType

import torch
from torch import Tensor, fx, nn
from torch.nn.modules import module as nn_module

from .layers import CONVOLUTIONS
from .protocols import Model

WORTH_IT = 12  # passes; preparing a ResNet-18 takes about as long as it then saves in so many
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
