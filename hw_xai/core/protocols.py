"""The words that every signature uses: what a model is, what an explainer is, and what they are asked about."""

from collections.abc import Callable
from typing import Literal, Protocol, runtime_checkable

from torch import Tensor, nn


class Model(Protocol):
    """Any callable from a batch (N, ...) to scores (N, C): a module, a function, a closure over one."""

    def __call__(self, inputs: Tensor, /) -> Tensor: ...


@runtime_checkable
class Classifier(Protocol):
    """A model that knows what its scores stand for: C class names, and the size of the pictures it was made for."""

    classes: tuple[str, ...]

    def __call__(self, inputs: Tensor, /) -> Tensor: ...


# f(model, inputs, target=None, *, options) -> an attribution that broadcasts against inputs
Explainer = Callable[..., Tensor]
Target = int | Tensor | None  # one class for all, one a row, or None for the predicted one
# what makes probabilities of scores: "auto" finds out, None is for scores that are what is asked about as they are
Probabilities = Literal["auto", "softmax", "sigmoid"] | None
Layer = nn.Module | str | None  # a module, its dotted path, or None for the default one
