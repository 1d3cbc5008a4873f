"""A model asked for scores and slopes, in one form whatever it returns."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from typing import TypeGuard

import torch
from torch import Tensor, nn
from torch.autograd.graph import Node

from .arguments import check_choice, described
from .lending import borrowed
from .memory import watched
from .protocols import Model, Probabilities

_autocast: ContextVar[tuple[str, torch.dtype] | None] = ContextVar("autocast", default=None)


@contextmanager
def autocast_for_the_model_alone(device: torch.device) -> Iterator[None]:
    """Leave the autocast around an explanation to the model's passes: sums over them would lose half their digits."""
    if not torch.is_autocast_enabled(device.type):
        yield
        return
    token = _autocast.set((device.type, torch.get_autocast_dtype(device.type)))
    try:
        with torch.autocast(device.type, enabled=False):
            yield
    finally:
        _autocast.reset(token)


def scores_of(model: Model, x: Tensor) -> Tensor:
    """Call the model, or what stands in for it while it is lent: (N, ...) -> (N, C) in the inputs' dtype, checked.

    A model of another precision gets inputs of its own. Of several outputs the scores are `logits`, or the first
    floating tensor (N, C) of a tuple or dict.
    """
    with watched(model, x):
        output = called(borrowed(model), x)
    return as_scores(output, x)


def called(model: Model, x: Tensor) -> object:
    """Return whatever the model itself makes of x (N, ...)."""
    dtype, autocast = dtype_of(model, x), _autocast.get()
    with nullcontext() if autocast is None else torch.autocast(*autocast):
        # its own copy: a model whose first layer works in place must reach neither our tensors nor a leaf with gradient
        return model(x.clone() if dtype == x.dtype else x.to(dtype))


def as_scores(output: object, x: Tensor) -> Tensor:
    """Return the scores (N, C) in what a model made of x (N, ...)."""
    scores = next((value for value in _candidates(output) if _are_scores(value, len(x))), None)
    if scores is None:
        expected = f"floating scores of shape (N, C) for N = {len(x)} inputs"
        raise ValueError(f"`model` must return {expected}, got {described(output)}")
    if scores.isnan().any():
        raise ValueError("`model` must return scores that are numbers, got NaN")
    return scores.to(x.dtype)


def dtype_of(model: Model, x: Tensor) -> torch.dtype:
    """Return the precision in which a model reads inputs: that of its first parameter, where it has one."""
    parameters = model.parameters() if isinstance(model, nn.Module) else ()
    return next((parameter.dtype for parameter in parameters if parameter.is_floating_point()), x.dtype)


def _candidates(output: object) -> Iterator[object]:
    """Yield what may be the scores in what a model returned, the likeliest first."""
    yield output
    if not isinstance(output, Tensor):
        yield getattr(output, "logits", None)
    if isinstance(output, Mapping):
        yield output.get("logits")
        yield from output.values()
    elif isinstance(output, tuple | list):
        yield from output


def _are_scores(value: object, n: int) -> TypeGuard[Tensor]:
    return isinstance(value, Tensor) and value.is_floating_point() and value.ndim == 2 and len(value) == n


def check_probabilities(probabilities: Probabilities) -> None:
    """Raise ValueError unless it says what makes probabilities of scores."""
    if probabilities is not None:
        check_choice("probabilities", probabilities, ("auto", "softmax", "sigmoid"))


def meaning_of(model: Model, scores: Tensor, probabilities: Probabilities) -> Probabilities:
    """Return what makes probabilities of the scores (N, C) of a model; for "auto", what its head says.

    One score is a logit of its own, of which a softmax would always make 1: "sigmoid". Scores that a Sigmoid or Softmax
    gives out, or that are shares of 1, are probabilities already: None. Others are logits of classes: "softmax".
    """
    if probabilities != "auto":
        return probabilities
    unit = bool(((scores >= 0) & (scores <= 1)).all())
    modules = list(model.modules()) if isinstance(model, nn.Module) else []
    if unit and modules and isinstance(modules[-1], nn.Sigmoid | nn.Softmax):
        return None
    if scores.shape[1] == 1:
        return "sigmoid"
    return None if unit and bool((scores.sum(dim=1) - 1).abs().max() < 1e-4) else "softmax"


def as_probabilities(scores: Tensor, meaning: Probabilities) -> Tensor:
    """Return what `meaning_of` scores (N, C) makes of them: (N, C)."""
    return scores.softmax(dim=1) if meaning == "softmax" else scores.sigmoid() if meaning == "sigmoid" else scores


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
    return of_target(scores_of(model, x), target)


def of_target(scores: Tensor, target: Tensor | None) -> Tensor:
    """Return of scores (N, C) the one of each row's target: (N,)."""
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
    stack: list[Node | None] = [tensor.grad_fn]
    seen: set[Node] = set()
    while stack:
        node = stack.pop()
        if node is not None and node not in seen:
            seen.add(node)
            yield node
            stack.extend(parent for parent, _ in node.next_functions)
