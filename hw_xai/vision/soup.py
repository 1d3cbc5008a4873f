"""Averages of weights: between before and after tuning (WiSE-FT), and over several runs (model soups)."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from ..errors import UserError
from .networks import load

State = Mapping[str, Tensor]


def averaged(states: Sequence[State], shares: Sequence[float] | None = None) -> dict[str, Tensor]:
    """Return the average of state dicts of one architecture, each by its share (all the same by default).

    Shares sum to 1. Buffers are averaged as weights are; whole numbers (BatchNorm's count) come from the first.
    UserError for none, other keys or shapes, or shares that do not sum to 1.
    """
    if not states:
        raise UserError("an average needs the weights of at least one network, got none")
    shares = [1 / len(states)] * len(states) if shares is None else list(shares)
    if len(shares) != len(states) or abs(sum(shares) - 1) > 1e-6:
        raise UserError(f"the shares must be {len(states)} numbers that sum to 1, got {shares}")
    first = states[0]
    for other in states[1:]:
        if {key: value.shape for key, value in other.items()} != {key: value.shape for key, value in first.items()}:
            raise UserError("the weights averaged must belong to one architecture, but their names or shapes differ")
    return {
        key: torch.stack([share * state[key].double() for share, state in zip(shares, states, strict=True)])
        .sum(dim=0)
        .to(value.dtype)
        if value.is_floating_point()
        else value.clone()
        for key, value in first.items()
    }


def between(before: State, after: State, share: float) -> dict[str, Tensor]:
    """Return (1 − share) · before + share · after: WiSE-FT (Wortsman et al. 2022, arXiv 2109.01903)."""
    if not 0 <= share <= 1:
        raise UserError(f"the share of the tuned weights must be between 0 and 1, got {share:g}")
    return averaged([before, after], [1 - share, share])


def soup(paths: Sequence[str | Path], shares: Sequence[float] | None = None) -> nn.Module:
    """Return the network whose weights are the average of those in files (arXiv 2203.05482), in eval mode."""
    nets = [load(path) for path in paths]
    other = next(
        (net for net in nets if net.architecture != nets[0].architecture or net.classes != nets[0].classes), None
    )
    if other is not None:
        raise UserError(
            f"the weights averaged must belong to one architecture and its classes, got {other.architecture}"
        )
    state = averaged([net.state_dict() for net in nets], shares)
    nets[0].load_state_dict(state)
    return nets[0]


def greedy(states: Sequence[State], judge: Callable[[State], float]) -> tuple[dict[str, Tensor], list[int]]:
    """Return a soup of the states and which of them are in it: from the best on, one joins where `judge` gains by it.

    `judge` maps a state dict to a figure, higher is better: on photos that neither trained nor will measure.
    """
    alone = [judge(state) for state in states]
    order = sorted(range(len(states)), key=lambda i: -alone[i])
    chosen, best = order[:1], alone[order[0]]
    for i in order[1:]:
        figure = judge(averaged([states[j] for j in [*chosen, i]]))
        if figure >= best:
            chosen, best = [*chosen, i], figure
    return averaged([states[j] for j in chosen]), chosen
