"""The controls of a method, made from its signature: what a page can ask for, and what it asked for, checked."""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from torch import nn

from ..core.protocols import Layer
from ..errors import UserError
from ..explain.catalog import METHODS, Method

OURS = ("batch_size", "progress")  # how it is run, not what is asked
MOST_PASSES = 20_000  # of one map: about a minute on a laptop


@dataclass(frozen=True)
class Control:
    """One option of a method, as far as a page can show it."""

    name: str
    default: Any
    choices: tuple[str, ...] = ()
    number: Literal["", "whole", "real"] = ""  # whether it may be a number, and of which kind
    layer: bool = False  # the name of a layer
    optional: bool = False  # whether None has a meaning

    def read(self, value: Any, layers: Sequence[str]) -> Any:
        """Return the value that a page gives, which came as JSON; UserError for one that the control does not offer."""
        if (value is None and self.optional) or (isinstance(value, str) and value in self.choices):
            return value
        if self.layer and isinstance(value, str) and value in layers:
            return value
        if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 2**31:
            if self.number == "whole" and value == int(value):
                return int(value)
            if self.number == "real":
                return value  # 16 stays a whole number: of pixels, where 0.5 is a share
        raise UserError(f"`{self.name}` must be {self.offer()}, got {str(value)[:40]!r}")

    def offer(self) -> str:
        """Return what may be chosen, in words."""
        numbers = {"whole": "a whole number", "real": "a number"}
        parts = [f'"{choice}"' for choice in self.choices] + ([numbers[self.number]] if self.number else [])
        parts += (["the name of a layer"] if self.layer else []) + (["nothing"] if self.optional else [])
        return " or ".join(parts)


def controls_of(method: Method) -> list[Control]:
    """Return the controls of a method of the catalog, in the order of its signature."""
    hints = get_type_hints(method.function)
    found = []
    for name, parameter in inspect.signature(method.function).parameters.items():
        if parameter.kind is parameter.KEYWORD_ONLY and name not in OURS:
            control = _control(name, parameter.default, hints[name])
            if control is not None:
                found.append(control)
    return found


def _control(name: str, default: Any, hint: Any) -> Control | None:
    """Return the control of one parameter; None for what a page cannot give, such as a function."""
    kinds = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    choices = tuple(c for kind in kinds if get_origin(kind) is Literal for c in get_args(kind) if isinstance(c, str))
    number: Literal["", "whole", "real"] = "real" if float in kinds else "whole" if int in kinds else ""
    layer = hint == Layer or (nn.Module in kinds and str in kinds)
    if not (choices or number or layer):
        return None
    literals = [c for kind in kinds if get_origin(kind) is Literal for c in get_args(kind)]
    return Control(name, default, choices, number, layer, NoneType in kinds or None in literals)


def read_options(name: str, asked: Mapping[str, Any], layers: Sequence[str], side: int) -> dict[str, Any]:
    """Return the keywords for a method that a page asks for, without those left at their defaults.

    side: of the pictures, pixels. UserError for an option that the method has not, and for what would take too long.
    """
    method = METHODS[name]
    known = {control.name: control for control in controls_of(method)}
    for option in asked:
        if option not in known:
            raise UserError(f"{method.title} has no option {str(option)[:40]!r}")
    options = {option: known[option].read(value, layers) for option, value in asked.items()}
    options = {option: value for option, value in options.items() if value != known[option].default}
    try:
        passes = method.passes(shape=(3, side, side), **options)
    except (ValueError, TypeError, ZeroDivisionError, OverflowError):
        return options  # the method itself says what is wrong with them
    if sum(passes) > MOST_PASSES:
        raise UserError(
            f"{method.title} would take {sum(passes):,} passes with these options: stay below {MOST_PASSES:,}"
        )
    return options
