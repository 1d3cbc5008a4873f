"""Backward passes by rules of one's own instead of the chain rule, for whatever network: DeepLIFT and LRP.

Operations are seen while the model runs, by a mode of this thread alone: no module is hooked and no forward replaced.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from ..core.model import scores_of
from ..core.preparing import tensors_in
from ..core.protocols import Model

Rule = Callable[[Tensor], Sequence[Tensor | None]]  # what arrives at an output -> what goes on to each of its inputs

# what only moves numbers to other places, or chooses among them: any rule follows it there, as the gradient does
MOVING = {
    "view", "reshape", "flatten", "unflatten", "permute", "transpose", "movedim", "moveaxis", "swapaxes", "squeeze",
    "unsqueeze", "contiguous", "clone", "to", "float", "double", "type", "cat", "concat", "stack", "split", "chunk",
    "unbind", "narrow", "select", "index_select", "getitem", "get", "gather", "roll", "flip", "expand", "expand_as",
    "repeat", "pad", "pixel_shuffle", "pixel_unshuffle", "channel_shuffle", "identity", "view_as", "detach", "T", "mT",
}  # fmt: skip
# linear in what they are given, without a constant
AVERAGING = {
    "mean", "sum", "avg_pool1d", "avg_pool2d", "avg_pool3d", "adaptive_avg_pool1d", "adaptive_avg_pool2d",
    "adaptive_avg_pool3d", "interpolate", "upsample",
}  # fmt: skip
CONVOLVING = {"conv1d", "conv2d", "conv3d"}
WEIGHTED = {*CONVOLVING, "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "linear"}
LARGEST = {
    "max_pool1d", "max_pool2d", "max_pool3d", "adaptive_max_pool1d", "adaptive_max_pool2d", "adaptive_max_pool3d",
    "amax",
}  # fmt: skip
GATES = {"sigmoid", "hardsigmoid"}
ACTIVATIONS = {
    "relu", "relu6", "leaky_relu", "prelu", "rrelu", "elu", "celu", "selu", "gelu", "silu", "mish", "hardswish",
    "hardtanh", "tanh", "softplus", "softsign", "threshold", "clamp", "clamp_min", *GATES,
}  # fmt: skip
DROPOUT = {"dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_dropout"}
OPERATORS = {"iadd": "add", "radd": "add", "isub": "sub", "imul": "mul", "rmul": "mul", "truediv": "div"}


class ByRule(torch.autograd.Function):
    """Goes forward as it is computed, and back by a rule."""

    @staticmethod
    def forward(ctx, compute: Callable[[], Tensor], rule: Rule, *inputs: Tensor) -> Tensor:
        ctx.rule = rule
        return compute()

    @staticmethod
    def backward(ctx, arriving: Tensor):
        return None, None, *ctx.rule(arriving)


class Ruled(TorchFunctionMode):
    """Sees every operation on what depends on the inputs, under its plain name, and may go its own way back."""

    method = ""  # for sentences
    refused = ""  # the first operation without a rule, told once it is clear that the model works at all

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if not any(map(carries, tensors_in((args, kwargs)))):
            return function(*args, **kwargs)
        name = getattr(function, "__name__", "").strip("_")
        name = OPERATORS.get(name, name)
        if name in DROPOUT:  # of a model in eval mode
            return args[0] if args else kwargs["input"]
        return self.follow(name, function, args, kwargs)

    def follow(self, name: str, function: Callable, args: tuple, kwargs: dict):
        """Return what the function gives, with a way back by this method's rule."""
        raise NotImplementedError

    def unknown(self, name: str, function: Callable, args: tuple, kwargs: dict):
        """Return what is no number that depends on the inputs, such as a shape; another operation is refused."""
        result = function(*args, **kwargs)
        if not self.refused and any(map(carries, tensors_in(result))):
            self.refused = name
        return result


def scores_seen(mode: Ruled, model: Model, x: Tensor) -> Tensor:
    """Return the scores (N, C) of x, whose making a mode sees; ValueError for an operation without a rule."""
    with mode:
        scores = scores_of(model, x)
    if mode.refused:
        expected = f"have a rule of {mode.method} for all it does"
        raise ValueError(f"`model` must {expected}, got {mode.refused}: integrated_gradients needs none")
    return scores


def argument(name: str, place: int, args: tuple, kwargs: dict) -> Any:
    """Return what an operation was given, by name or in its place; None where it was not."""
    return kwargs.get(name, args[place] if len(args) > place else None)


def carries(tensor: Tensor) -> bool:
    """Whether a tensor depends on the inputs; parameters, which in a closure may not be frozen, are leaves."""
    return tensor.grad_fn is not None


def carried_back(function: Callable[..., Tensor], inputs: Sequence[Tensor], arriving: Tensor) -> tuple[Tensor, ...]:
    """Return Jᵀ · arriving for each of the inputs."""
    with torch.enable_grad():
        leaves = [tensor.detach().clone().requires_grad_() for tensor in inputs]
        # its own copy: what works in place may not do so in a leaf
        return torch.autograd.grad(function(*(leaf.clone() for leaf in leaves)), leaves, arriving)
