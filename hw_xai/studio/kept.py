"""What is kept between requests, within bounds: the longest unused goes first."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Kept(Generic[Value]):
    """Values by key, at most so many and at most so heavy together; several threads may use it."""

    def __init__(self, most: int, heaviest: int | None = None, weigh: Callable[[Value], int] = lambda value: 0):
        self.most, self.heaviest, self.weigh = most, heaviest, weigh
        self._values: OrderedDict[Hashable, Value] = OrderedDict()
        self._weight = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: Hashable) -> Value | None:
        """Return the value of a key, or None."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
            return self._values.get(key)

    def put(self, key: Hashable, value: Value) -> Value:
        """Keep a value, and let go of the longest unused ones when there are too many."""
        with self._lock:
            if key in self._values:
                self._weight -= self.weigh(self._values.pop(key))
            self._values[key] = value
            self._weight += self.weigh(value)
            while len(self._values) > self.most or (
                self.heaviest is not None and self._weight > self.heaviest and len(self._values) > 1
            ):
                _, gone = self._values.popitem(last=False)
                self._weight -= self.weigh(gone)
        return value
