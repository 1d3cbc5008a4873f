"""One explainer and what it is asked about, and how a rule says that it is broken."""

import copy
import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor, nn

from ..core.arguments import described
from ..core.model import scores_of
from ..core.protocols import Explainer

TOLERANCE = {torch.float64: 1e-7}  # of the largest value of a result; in other precisions 1e-4


class Broken(Exception):
    """Says what an explainer must do, and what it does."""


@dataclass
class Case:
    """An explainer and what it is asked about: a copy of the model in eval mode, and inputs (N, ...)."""

    explain: Explainer
    given: nn.Module  # the caller's own, whose layers may be bound in explain
    inputs: Tensor
    model: nn.Module = field(init=False)
    target: Tensor = field(init=False)  # (N,): the predicted classes
    n_classes: int = field(init=False)

    def __post_init__(self) -> None:
        self.model = copy.deepcopy(self.given).eval()
        self.inputs = self.inputs.detach().clone()
        with torch.no_grad():
            scores = scores_of(copy.deepcopy(self.model), self.inputs)
        self.target, self.n_classes = scores.argmax(dim=1), scores.shape[1]

    def run(
        self,
        when: str = "",
        model: Callable[[Tensor], Tensor] | None = None,
        inputs: Tensor | None = None,
        target: object = "predicted",
        **options: object,
    ) -> Tensor:
        """Return the attribution; what is raised is told, with the words `when` for the circumstances."""
        try:
            result = self.explain(
                self.model if model is None else model,
                self.inputs if inputs is None else inputs,
                self.target if target == "predicted" else target,
                **options,
            )
        except Exception as error:  # whatever a stranger's function raises
            said = str(error).strip().split("\n")[0]
            raise Broken(f"must work{when and ' ' + when}, got {type(error).__name__}: {said}") from error
        demand(isinstance(result, Tensor), f"return a tensor{when and ' ' + when}, got {described(result)}")
        return result

    def takes(self, option: str) -> bool:
        try:
            return option in inspect.signature(self.explain).parameters
        except (TypeError, ValueError):  # of a builtin
            return False


def demand(kept: bool, sentence: str) -> None:
    if not kept:
        raise Broken(f"must {sentence}")


def close(a: Tensor, b: Tensor) -> bool:
    """Whether two attributions are the same but for the last bits of their arithmetic."""
    if a.shape != b.shape:
        return False
    return bool(((a - b).abs().max() <= TOLERANCE.get(b.dtype, 1e-4) * b.abs().max()).item())


def demand_close(a: Tensor, b: Tensor, sentence: str) -> None:
    got = f"up to {float((a - b).abs().max()):.2g} off" if a.shape == b.shape else f"shape {tuple(a.shape)}"
    demand(close(a, b), f"{sentence}, got {got}")


def around(model: nn.Module, forward: Callable[[nn.Module, Callable, Tensor], Tensor]) -> nn.Module:
    """Return a copy of a model whose passes are forward(copy, its own forward, inputs); its modules keep their names.

    A subclass of the model's class, no wrapper and no hook: what an explainer does with those is not the question.
    """
    kind = type(model)
    twin = copy.deepcopy(model)
    twin.__class__ = type(
        kind.__name__, (kind,), {"forward": lambda self, inputs: forward(self, partial(kind.forward, self), inputs)}
    )
    return twin
