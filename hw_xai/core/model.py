"""A model asked for scores and slopes, and given back as it was found: modes, buffers, gradients, random states."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.autograd.graph import Node

from .arguments import described
from .memory import watched
from .protocols import Model
from .randomness import random_states_preserved


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
