"""What decides the thirty questions: each is a function that measures, and says of every option how true it is."""

import torch
from torch import Tensor

Evidence = dict[str, float]  # option -> from 1 on it is true, down from -1 it is false, between them nobody can say


def above(value: float | Tensor, line: float, clear: float) -> float:
    """How far a value lies above a line, in steps that are clear enough to see."""
    return float((value - line) / clear)


def below(value: float | Tensor, line: float, clear: float) -> float:
    """How far a value lies below a line."""
    return above(-value, -line, clear)


def alike(a: Tensor, b: Tensor) -> float:
    """Equal but for rounding: true up to 1e-4 of the largest element, false from 1e-2 on."""
    off = float((a - b).abs().max() / b.abs().max())
    return above(-torch.tensor(max(off, 1e-12)).log10(), 3, 1)


def largest(values: dict[str, float], clear: float) -> Evidence:
    """One option is the largest, by `clear` at least, and the others are not."""
    best, second = sorted(values.values(), reverse=True)[:2]
    return {name: float((value - (second if value == best else best)) / clear) for name, value in values.items()}


def nearest(value: float, lines: dict[str, float]) -> Evidence:
    """One option names the line on which a value lies; the lines are 1 or more apart."""
    return {name: below(abs(value - line), 0.5, 0.25) for name, line in lines.items()}


def correlation(a: Tensor, b: Tensor) -> float:
    """Pearson's correlation of all elements."""
    return float(torch.corrcoef(torch.stack([a.flatten(), b.flatten()]))[0, 1])


def ranks(values: Tensor) -> Tensor:
    """The rank of each element, as a float."""
    return values.flatten().argsort().argsort().to(torch.float64)
