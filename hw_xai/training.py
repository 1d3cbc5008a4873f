"""What every training loop of the kit needs so that a killed run resumes to the same weights."""

from collections.abc import Mapping
from pathlib import Path

from torch import nn

from .errors import UserError


def seed_of(*numbers: int) -> int:
    """Mix whole numbers into one seed: neighbouring steps and samples must not share their randomness."""
    mixed = 0
    for number in numbers:
        mixed = ((mixed ^ (number + 1)) * 0x9E3779B97F4A7C15 + 0xD1B54A32D192ED03) % 2**63
        mixed ^= mixed >> 29
    return mixed


def decay_groups(model: nn.Module, weight_decay: float) -> list[dict]:
    """Return AdamW's parameter groups: no decay on biases and normalization, nothing for frozen parameters."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    return [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]


def check_same_recipe(place: Path, saved: Mapping[str, object], now: Mapping[str, object]) -> None:
    """Raise UserError when the run kept in `place` was made by another recipe than the one of now."""
    changed = [f"{key} was {saved.get(key)}, is {value}" for key, value in now.items() if saved.get(key) != value]
    if changed:
        raise UserError(
            f"{place} holds a run of another recipe ({'; '.join(changed)}): choose another --out, or delete it"
        )
