"""Arguments of an explainer, checked: whatever does not fit is one ValueError sentence that says what came instead."""

from collections.abc import Collection
from numbers import Real

import numpy as np
import torch
from torch import Tensor

from ..errors import nearest
from .protocols import Target


def described(value: object) -> str:
    """Say what a value is in a few words, for the end of an error message."""
    if isinstance(value, Tensor):
        return f"a {str(value.dtype).removeprefix('torch.')} tensor of shape {tuple(value.shape)}"
    return repr(value) if value is None or isinstance(value, Real | str) else f"a {type(value).__name__}"


def check_inputs(inputs: Tensor) -> None:
    """Raise ValueError unless inputs are a non-empty batch (N, ...) of finite floating numbers."""
    if not isinstance(inputs, Tensor) or not inputs.is_floating_point():
        raise ValueError(f"`inputs` must be a floating tensor (N, ...), got {described(inputs)}")
    if inputs.ndim < 2 or inputs.numel() == 0:
        raise ValueError(f"`inputs` must be a batch (N, ...) with at least one row, got shape {tuple(inputs.shape)}")
    if not inputs.isfinite().all():
        raise ValueError("`inputs` must be finite, got NaN or infinite values")


def check_count(name: str, value: int, least: int = 1) -> None:
    """Raise ValueError unless the option `name` is an integer of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"`{name}` must be an integer of at least {least}, got {described(value)}")


def check_batch_size(batch_size: int | None) -> None:
    """Raise ValueError unless batch_size is a count, or None for what fits into memory."""
    if batch_size is not None:
        check_count("batch_size", batch_size)


def check_amount(name: str, value: float) -> None:
    """Raise ValueError unless the option `name` is a finite number of at least 0."""
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 <= value < float("inf"):
        raise ValueError(f"`{name}` must be a finite number of at least 0, got {described(value)}")


def check_choice(name: str, value: object, choices: Collection[str]) -> None:
    """Raise ValueError unless the option `name` is one of the choices."""
    if not isinstance(value, str) or value not in choices:
        *others, last = (f'"{choice}"' for choice in choices)
        expected = f"{', '.join(others)} or {last}" if others else last
        guess = nearest(value, choices) if isinstance(value, str) else ""
        raise ValueError(f"`{name}` must be {expected}, got {described(value)}{guess and '.' + guess}")


def like_inputs(name: str, value: Tensor | float, inputs: Tensor) -> Tensor:
    """Return a number or tensor as a tensor of the inputs' shape, dtype and device."""
    check_inputs(inputs)
    try:
        # with the dtype at once: a Python float would pass through float32 on its way to float64
        tensor = torch.as_tensor(value, dtype=inputs.dtype, device=inputs.device).detach().expand_as(inputs)
    except (TypeError, RuntimeError, ValueError):
        expected = f"a number or a tensor that broadcasts to the inputs' shape {tuple(inputs.shape)}"
        raise ValueError(f"`{name}` must be {expected}, got {described(value)}") from None
    if not tensor.isfinite().all():
        raise ValueError(f"`{name}` must be finite, got NaN or infinite values")
    return tensor


def as_target(target: Target, n: int) -> Tensor | None:
    """Return target as a LongTensor (n,) on the CPU, or None for "what the model predicts".

    A list or an array of integers does as well, and a single one stands for all rows.
    """
    if target is None:
        return None
    if isinstance(target, np.ndarray | np.integer | list | tuple):
        try:
            whole = np.asarray(target)
            given = torch.from_numpy(whole.astype(np.int64)) if whole.dtype.kind in "iu" else target
        except ValueError:  # lists of different lengths
            given = target
    else:
        given = torch.tensor(target) if isinstance(target, int) and not isinstance(target, bool) else target
    if isinstance(given, Tensor) and given.dtype == torch.long and given.shape in ((), (n,)):
        return given.detach().cpu().expand(n).clone()
    raise ValueError(f"`target` must be None, an int or a LongTensor of shape ({n},), got {described(target)}")
