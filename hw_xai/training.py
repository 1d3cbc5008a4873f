"""What every training loop of the kit needs so that a killed run resumes to the same weights."""

import io
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .errors import UserError
from .files import atomic


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


def fit(
    model: nn.Module,
    inputs: Tensor,
    target: Tensor,
    *,
    epochs: int,
    lr: float = 3e-3,
    batch_size: int = 64,
    weight_decay: float = 0.0,
    seed: int = 0,
    progress: bool = False,
) -> float:
    """Train the model in place on (inputs, target) just as they are; return the share that it then gets right.

    inputs (N, ...); target LongTensor (N,). AdamW on the parameters that require a gradient, with warm-up and cosine.
    No augmentation and no decay by default: what remains is what memorizing takes. Leaves the model in eval mode.
    """
    from tqdm.auto import tqdm

    n_batches = -(-len(inputs) // batch_size)
    optimizer = torch.optim.AdamW(decay_groups(model, weight_decay), lr=lr)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=epochs * n_batches)
    with torch.random.fork_rng():
        torch.manual_seed(seed)  # of the order and of dropout
        model.train()
        for _ in (bar := tqdm(range(epochs), desc="epochs", disable=not progress)):
            for rows in torch.randperm(len(inputs)).tensor_split(n_batches):  # even: no batch of one for BatchNorm
                loss = nn.functional.cross_entropy(model(inputs[rows]), target[rows])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                rate.step()
            bar.set_postfix(loss=f"{loss.item():.3f}")
    return accuracy(model.eval(), inputs, target)


@torch.no_grad()
def accuracy(model: nn.Module, inputs: Tensor, target: Tensor, batch_size: int = 256) -> float:
    """Return the share of inputs (N, ...) whose largest score is that of target (N,)."""
    predicted = torch.cat([model(x).argmax(dim=1) for x in inputs.split(batch_size)])
    return (predicted == target).float().mean().item()
