"""What every training loop of the kit shares: seeds by step, parameter groups, a plain loop over tensors."""

from collections.abc import Sized
from typing import cast

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset


def seed_of(*numbers: int) -> int:
    """Mix whole numbers into one seed: neighbouring steps and samples must not share their randomness."""
    mixed = 0
    for number in numbers:
        mixed = ((mixed ^ (number + 1)) * 0x9E3779B97F4A7C15 + 0xD1B54A32D192ED03) % 2**63
        mixed ^= mixed >> 29
    return mixed


def size_of(dataset: Dataset) -> int:
    """Return the number of samples: PyTorch's Dataset does not promise a length, those of the kit have one."""
    return len(cast(Sized, dataset))


def decay_groups(model: nn.Module, weight_decay: float) -> list[dict]:
    """Return AdamW's parameter groups: no decay on biases and normalization, nothing for frozen parameters."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    return [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]


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
