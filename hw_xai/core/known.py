"""What one look at a model has told about it, kept for as long as it lives and is put together the same way."""

import threading
import weakref
from collections.abc import Callable
from typing import Generic, TypeVar

from torch import nn

from .lending import unwrapped

T = TypeVar("T")


class Known(Generic[T]):
    """A fact about each model, found at its first use; None, for "could not see", is asked again. For any threads."""

    def __init__(self):
        self._facts: weakref.WeakKeyDictionary[nn.Module, tuple[object, T]] = weakref.WeakKeyDictionary()
        self._lock = threading.Lock()

    def of(self, model: nn.Module, find: Callable[[nn.Module], T | None]) -> T | None:
        """Return what find(model) says, or said before."""
        model = unwrapped(model)
        parts = tuple((id(module), type(module), "forward" in module.__dict__) for module in model.modules())
        with self._lock:
            seen, fact = self._facts.get(model, (None, None))
        if seen != parts:
            fact = find(model)
            if fact is not None:
                with self._lock:
                    self._facts[model] = parts, fact
        return fact
