"""Copies of a model that have forgotten what they learned: all from the output down to a block, or one block alone.

A block is a part of the model under a dotted path, such as "features.3". The user's model is never touched.
"""

import copy
from collections.abc import Iterator, Sequence
from typing import Literal, TypeGuard, get_args

import torch
from torch import Tensor, nn

from ..core.arguments import check_choice, check_count, check_inputs, described
from ..core.protocols import Model
from ..core.randomness import random_states_preserved
from ..errors import nearest
from ..training.run import seed_of

Mode = Literal["cascading", "independent"]
Normalization = Literal["refit", "keep", "reset"]
_NormalizationLayer = nn.modules.batchnorm._NormBase | nn.GroupNorm | nn.LayerNorm | nn.RMSNorm


def randomized_models(
    model: Model,
    inputs: Tensor,
    blocks: Sequence[str] | None = None,
    *,
    mode: Mode = "cascading",
    normalization: Normalization = "refit",
    seed: int = 0,
) -> Iterator[tuple[str, nn.Module]]:
    """Yield (block, model with this block randomized) for every block, from the output to the input, in eval mode.

    mode: "cascading" randomizes the block on top of those before it, "independent" the block alone.
    blocks: dotted paths, in the order in which they are randomized; None is `blocks_of(model)`.
    normalization: what becomes of BatchNorm. "reset" gives it back weight 1, bias 0, mean 0 and variance 1 along with
    its block, as Quantus does: then nothing normalizes any more, and the scores of a deep network shrink to a constant
    (FoodNet: to 1e-8). "keep" leaves it alone: the statistics of other activations, and the scores explode (to 1e21).
    "refit" resets it and then takes its mean and variance from `inputs` (N, ...), throughout the model: a network as it
    is at the start of training. Other normalization layers are left alone by "keep" and reset by the other two.
    The model yielded is a copy, and the same object each time when cascading: use it before asking for the next.
    Adebayo et al. 2018, arXiv 1810.03292.
    """
    check_choice("mode", mode, get_args(Mode))
    check_choice("normalization", normalization, get_args(Normalization))
    check_count("seed", seed, least=0)
    check_inputs(inputs)
    if blocks is None:
        blocks = blocks_of(model, normalization)
    check_blocks(model, blocks)
    module = _as_module(model)
    places = {name: place for place, (name, _) in enumerate(module.named_modules())}
    forgetting = copy.deepcopy(module).eval()
    for block in blocks:
        if mode == "independent":
            forgetting = copy.deepcopy(module).eval()
        # by the block's place: it gets the same new weights in both modes, whatever is randomized besides
        randomize(forgetting.get_submodule(block), normalization, seed_of(seed, places[block]))
        if normalization == "refit":
            refit_statistics(forgetting, inputs)
        yield block, forgetting


def blocks_of(model: Model, normalization: Normalization = "refit") -> list[str]:
    """Return the paths of the model's blocks with parameters, from the output to the input (as they are registered).

    The children of the model; in place of an nn.Sequential, and of a child that holds all the parameters, its children.
    FoodNet has sixteen, a torchvision ResNet one for each residual block, a plain stack of layers its layers.
    A normalization layer that stands alone is a block of its own, unless such layers are to be kept.
    """
    return _blocks_below(_as_module(model), "", normalization)[::-1]


def check_blocks(model: Model, blocks: Sequence[str]) -> None:
    """Raise ValueError unless every block is the path of a module of the model that has parameters."""
    modules = dict(_as_module(model).named_modules())
    if isinstance(blocks, str) or not blocks:
        raise ValueError(f"`blocks` must be a list of at least one path of a module, got {described(blocks)}")
    known = [name for name, module in modules.items() if name and _has_parameters(module)]
    for block in blocks:
        if block not in modules:
            kind = type(model).__name__
            raise ValueError(f'`blocks` must name modules of {kind}, got "{block}".{nearest(str(block), known)}')
        if not _has_parameters(modules[block]):
            raise ValueError(f'`blocks` must name modules with parameters, got "{block}", which has none')


@torch.no_grad()
def randomize(module: nn.Module, normalization: Normalization = "reset", seed: int = 0) -> None:
    """Give all parameters of the module new random values, in place, by the layers' own reset_parameters.

    normalization: "keep" leaves those layers as they are. A parameter that no reset_parameters reaches is drawn from a
    normal distribution around zero of the same root mean square as before, cut off at two standard deviations.
    """
    with random_states_preserved():
        torch.manual_seed(seed)
        for part in module.modules():
            if is_normalization(part):
                if normalization != "keep":
                    part.reset_parameters()  # the running statistics too
                continue
            before = {name: (p, p.clone()) for name, p in part.named_parameters(recurse=False)}
            reset = getattr(part, "reset_parameters", None) or getattr(part, "_reset_parameters", None)
            if before and reset is not None:
                reset()
            for parameter, old in before.values():
                if torch.equal(parameter, old):  # an old weight_norm, a bare nn.Parameter
                    parameter.copy_(_truncated_normal_like(old))


@torch.no_grad()
def refit_statistics(model: nn.Module, inputs: Tensor, batch_size: int = 64) -> None:
    """Set the running mean and variance of every BatchNorm to those of the inputs (N, ...), in place."""
    norms = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm) and m.track_running_stats]
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain mean over all batches
        norm.training = True
    for x in inputs.tensor_split(-(-len(inputs) // batch_size)):  # even: no batch of one left over
        model(x)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum, norm.training = momentum, False


def is_normalization(module: nn.Module) -> TypeGuard[_NormalizationLayer]:
    """Tell whether the module normalizes with weights or statistics of its own."""
    return isinstance(module, _NormalizationLayer)


def _as_module(model: Model) -> nn.Module:
    if not isinstance(model, nn.Module) or not _has_parameters(model):
        got = f"a {type(model).__name__} without any" if isinstance(model, nn.Module) else described(model)
        raise ValueError(f"`model` must be an nn.Module with parameters that can be randomized, got {got}")
    return model


def _has_parameters(module: nn.Module) -> bool:
    return next(module.parameters(), None) is not None


def _blocks_below(module: nn.Module, path: str, normalization: Normalization) -> list[str]:
    children = {name: child for name, child in module.named_children() if _has_parameters(child)}
    if not children or next(module.parameters(recurse=False), None) is not None:
        return [path]
    blocks = []
    for name, child in children.items():
        below = f"{path}.{name}".lstrip(".")
        if len(children) == 1 or _is_stack(child):
            blocks += _blocks_below(child, below, normalization)
        elif normalization != "keep" or not is_normalization(child):
            blocks.append(below)
    return blocks


def _is_stack(module: nn.Module) -> bool:
    """Tell whether the module lists several layers; a convolution with its normalization is one."""
    return isinstance(module, nn.Sequential) and sum(map(_counts, module)) > 1


def _counts(module: nn.Module) -> bool:
    return _has_parameters(module) and not is_normalization(module)


def _truncated_normal_like(old: Tensor) -> Tensor:
    size = old.square().mean().sqrt().item()
    return nn.init.trunc_normal_(torch.empty_like(old), std=size, a=-2 * size, b=2 * size) if size else old
