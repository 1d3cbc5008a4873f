"""What a layer gives, read as maps (N, K, h, w) whatever its layout, and the layer whose maps are the last.

Convolutions give (N, K, h, w), Swin's blocks (N, h, w, K), a ViT's (N, T, K): one token for each patch, row after row,
behind those that stand for no place, such as the class token.
"""

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from .arguments import check_inputs, described
from .known import Known
from .layers import CONVOLUTIONS, hooked, last_convolution
from .lending import copied, lent, unwrapped
from .model import as_scores, called, scores_of
from .protocols import Model

SMALL = 64  # pixels: many networks divide the sides by 32
MOST_PREFIX = 16  # tokens that stand for no place: a class token, a distillation token, registers
CERTAIN = nn.modules.batchnorm._BatchNorm | nn.GroupNorm | nn.modules.pooling._AdaptiveAvgPoolNd | nn.MaxPool2d


class Layout(NamedTuple):
    """How maps lie in what a layer gives."""

    grid: tuple[int, ...]  # h, w
    last: bool = False  # channels last
    prefix: int | None = None  # tokens before those of the grid; None for what are no tokens

    def maps(self, output: Tensor) -> Tensor:
        """Return maps (n, K, h, w), which the gradient passes."""
        if self.prefix is not None:
            return output[:, self.prefix :].mT.unflatten(2, self.grid)
        return output.movedim(-1, 1) if self.last else output

    def spread(self, weights: Tensor) -> Tensor:
        """Return weights (n, 1, h, w) of places laid out to be multiplied with an output; other tokens count fully."""
        if self.prefix is not None:
            tokens = weights.flatten(2).mT  # (n, T, 1)
            return torch.cat([tokens.new_ones(len(tokens), self.prefix, 1), tokens], dim=1)
        return weights.movedim(1, -1) if self.last else weights


def layout_of(output: Tensor, layer: nn.Module, x: Tensor) -> Layout | None:
    """Return how the output of a layer holds maps for x (n, C, H, W), or other numbers of dimensions; None for none."""
    sides = tuple(x.shape[2:])
    if len(output) != len(x) or x.ndim < 3:
        return None
    if output.ndim == 3 and x.ndim == 4:
        return token_grid(output.shape[1], *sides)
    if output.ndim != x.ndim:
        return None
    first, last = tuple(output.shape[2:]), tuple(output.shape[1:-1])
    if type(layer) in CONVOLUTIONS or isinstance(layer, CERTAIN) or x.ndim != 4:
        return Layout(first)
    if type(layer) in (nn.Linear, nn.LayerNorm) or _distortion(last, sides) < min(0.1, _distortion(first, sides)):
        return Layout(last, last=True)
    return Layout(first)


def token_grid(n_tokens: int, height: int, width: int) -> Layout | None:
    """Return the grid of patches of a picture, of its proportions, with as few other tokens before it as possible."""
    for prefix in range(min(MOST_PREFIX, n_tokens - 1) + 1):
        rows = round(math.sqrt((n_tokens - prefix) * height / width))
        for down in {rows, max(1, rows - 1), rows + 1}:
            across, rest = divmod(n_tokens - prefix, down) if down else (0, 1)
            # patches are squares, and the last of a row may be cut off
            side = height / down if down else 0
            if rest == 0 and across > 1 and abs(width / across - side) <= side / max(down, across):
                return Layout((down, across), prefix=prefix)
    return None


def as_maps(output: Tensor, layer: nn.Module, x: Tensor) -> Tensor:
    """Return what a layer gave for x (n, C, H, W) as maps (n, K, h, w); ValueError where there are none."""
    layout = layout_of(output, layer, x)
    if layout is None:
        expected = f"maps (N, K, ...) with as many dimensions as the inputs' {tuple(x.shape)}, or tokens on a grid"
        raise ValueError(f"`layer` must return {expected}, got {described(output)}")
    return layout.maps(output)


def spread(weights: Tensor, output: Tensor, layer: nn.Module, x: Tensor) -> Tensor:
    """Return weights (n, 1, h, w) of places laid out like the output that a layer gave for x (n, C, H, W)."""
    layout = layout_of(output, layer, x)
    return weights if layout is None else layout.spread(weights)


def channels_first(output: Tensor, layer: nn.Module, x: Tensor) -> Tensor:
    """Return what a layer gave with its channels in dimension 1, whether it has maps or not."""
    layout = layout_of(output, layer, x) if x.ndim == 4 else None
    return output if layout is None else layout.maps(output)


def _distortion(grid: tuple[int, ...], sides: tuple[int, ...]) -> float:
    """Return how differently the sides of a picture are divided: 0 for squares."""
    if any(a > b for a, b in zip(grid, sides, strict=True)):
        return math.inf
    scales = [math.log(b / a) for a, b in zip(grid, sides, strict=True)]
    return max(scales) - min(scales)


# -------------------------------------------------------------------------------------------------------- the last map

_last: Known[nn.Module] = Known()


def last_map(model: Model, inputs: Tensor | None = None) -> nn.Module:
    """Return the module that gives the last map of features, before it is pooled, flattened or read by a class token.

    What is asked is one pass of the first of the inputs (N, C, H, W), or of noise where there are none; the answer is
    kept. FoodNet: `features`; the homework's Classifier: the last ReLU, `cnn.36`; torchvision's ResNets: `layer4`;
    Swin: `permute`. Of a network that only reads its class token, the last tokens that this one attends to: for
    torchvision's ViT `encoder.layers.encoder_layer_11.ln_1`.
    """
    if not isinstance(model, nn.Module) or isinstance(model, torch.jit.ScriptModule):
        return last_convolution(model)
    if inputs is not None:
        check_inputs(inputs)
    found = _last.of(model, lambda module: _find_last(module, inputs))
    return last_convolution(model) if found is None else found


class _Given(NamedTuple):
    layer: nn.Module
    output: Tensor
    layout: Layout


def _find_last(model: nn.Module, inputs: Tensor | None) -> nn.Module | None:
    given_first = [] if inputs is None else [inputs[:1]]
    # a small picture may shrink to one place before the network pools it: a larger one shows the last map
    small = inputs is not None and inputs.ndim == 4 and min(inputs.shape[2:]) < SMALL
    for x in [*_guesses(model), *given_first] if small else given_first or _guesses(model):
        try:
            with torch.inference_mode(False), lent(model):
                x = x.detach().clone()
                with torch.no_grad():
                    given, _, _ = _pass(model, x)
                if given and given[-1].layout.prefix:  # does anybody look at the patches' tokens here?
                    with torch.enable_grad():
                        return _last_read(*_pass(model, x.requires_grad_()))
                return given[-1].layer if given else None
        except (RuntimeError, ValueError, TypeError, IndexError, AssertionError):
            continue  # the guess does not fit, or the model fails: its own explanation will say so
    return None


def _guesses(model: nn.Module):
    """Yield pictures (1, C, H, W) that the model may take."""
    kinds = [module for module in model.modules() if type(module) in CONVOLUTIONS]
    if kinds:
        first: Any = kinds[0]
        n_dims, like = first.weight.ndim - 2, first.weight
        for side in (224, 128, 64, 32, 16):
            noise = torch.rand((1, first.in_channels, *[side] * n_dims), generator=torch.Generator().manual_seed(0))
            yield noise.to(like)


def _pass(model: nn.Module, x: Tensor) -> tuple[list[_Given], Tensor, list[Tensor]]:
    """Run the model; return what its modules give as maps in the order they finish, the scores, what a head reads."""
    given: list[_Given] = []
    kept: list[Tensor] = []  # alive, so that no other tensor gets its id
    pooled: set[int] = set()
    heads: list[Tensor] = []

    def note(module: nn.Module, output: object) -> Tensor | None:
        if not isinstance(output, Tensor) or not output.is_floating_point():
            return None
        copy = output.clone()  # what works in place afterwards must not reach what is kept
        kept.append(copy)
        if "Pool" in type(module).__name__ or id(output) in pooled:
            pooled.add(id(copy))
            return copy
        layout = layout_of(output, module, x)
        if layout is not None and math.prod(layout.grid) > 1 and type(module) is not nn.Linear:
            given.append(_Given(module, output, layout))
        return copy

    modules = [module for module in unwrapped(model).modules() if module is not unwrapped(model)]
    copies = copied(model, for_a_look=True)
    if copies is None:  # lent itself: its counters will see the pass
        with hooked(modules, note):
            return given, scores_of(model, x), heads
    for module in modules:
        copy = copies[id(module)]
        copy.register_forward_hook(lambda _, args, output, module=module: note(module, output))
        if isinstance(copy, nn.Linear):
            copy.register_forward_pre_hook(lambda _, args: heads.__setitem__(slice(None), args[:1]))
    return given, as_scores(called(copies[id(unwrapped(model))], x), x), heads


def _last_read(given: list[_Given], scores: Tensor, heads: list[Tensor]) -> nn.Module:
    """Return the last module whose tokens on the grid have a say in the scores; the last one where none has."""
    tokens = [one for one in given if one.layout.prefix is not None]
    source = torch.Generator().manual_seed(0)
    # not the plain sum: that of normalized numbers is constant; and what the head reads, whose weights may be zero
    parts = [(t * torch.randn(t.shape, generator=source).to(t)).sum() for t in [scores, *heads]]
    goal = torch.stack([part.to(scores) for part in parts]).sum()
    for one in reversed(tokens):
        (slopes,) = torch.autograd.grad(goal, one.output, retain_graph=True, allow_unused=True)
        if slopes is not None and one.layout.maps(slopes).any():
            return one.layer
    return tokens[-1].layer
