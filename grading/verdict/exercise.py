"""What an exercise, a known mistake and a verdict are: plain data that the judge and the tables share."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from ..isolation.inside.calls import Call
from ..words import Text
from .distances import Answers, Distance, exact


@dataclass(frozen=True)
class Property:
    """Something that every right answer has and that a student can check by hand, with the sentence when it lacks."""

    sentence: Text
    holds: Callable[[Sequence[Call], Answers], bool]


@dataclass(frozen=True)
class Misconception:
    """A known wrong version: what it is, and a hint at the repair that does not give it away."""

    name: str
    function: Callable
    sentence: Text
    hint: Text


@dataclass(frozen=True)
class Exercise:
    """What is asked, on which calls it is judged, and how."""

    title: Text
    notebook: str  # the stem of its master
    points: float
    minutes: int
    lines: int  # that the reference solution takes
    reference: Callable
    plan: Callable[[int], list[Call]]  # seed -> the calls; other seeds, other inputs and networks
    properties: tuple[Property, ...] = ()
    distance: Distance = field(default_factory=lambda: exact())
    of_points: bool = False  # rows of an output are points: drawn as a scatter


@dataclass(frozen=True)
class Verdict:
    """The result of one exercise; yours and expected are the outputs of the first call that went wrong."""

    passed: bool
    reason: Text
    hint: Text = Text("", "")
    misconception: str | None = None
    call: Call | None = None
    yours: np.ndarray | None = None
    expected: np.ndarray | None = None
