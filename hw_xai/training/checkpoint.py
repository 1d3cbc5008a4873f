"""Checkpoints, so that a killed run resumes to the same weights."""

import io
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from ..errors import UserError
from ..files import atomic


def check_same_recipe(place: Path, saved: Mapping[str, object], now: Mapping[str, object]) -> None:
    """Raise UserError when the run kept in `place` was made by another recipe than the one of now."""
    changed = [f"{key} was {saved.get(key)}, is {value}" for key, value in now.items() if saved.get(key) != value]
    if changed:
        raise UserError(
            f"{place} holds a run of another recipe ({'; '.join(changed)}): choose another `out`, or delete it"
        )


def read_checkpoint(path: Path) -> dict[str, Any] | None:
    """Return what `write_checkpoint` wrote, on the CPU; None where there is no file; UserError for a damaged one."""
    if not path.exists():
        return None
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError, OSError, ValueError, KeyError) as error:
        raise UserError(f"{path} is damaged: delete it to start again") from error


def write_checkpoint(path: Path, content: Mapping[str, object]) -> None:
    """Write a checkpoint, whole or not at all."""
    # into memory first: on a full disk torch's own writer raises an error that does not say so
    torch.save(content, packed := io.BytesIO())
    with atomic(path) as temporary:
        temporary.write_bytes(packed.getbuffer())
