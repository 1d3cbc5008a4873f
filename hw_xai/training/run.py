"""One training run for every network of the kit: its steps, its checkpoint, and how it goes on; and a plain loop.

Every step of a run is a function of (what is trained, number of the step): all that is random draws from a seed that
`seed_of` mixes from the step. So a killed run resumes to the same weights as if it had never stopped.
"""

import math
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sized
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn
from torch.utils.data import Dataset
from tqdm.auto import tqdm

from ..core.randomness import random_states_preserved
from .checkpoint import check_same_recipe, read_checkpoint, write_checkpoint


def only_the_step(done: int) -> Mapping[str, object]:
    """Return what a checkpoint holds besides tensors when a run is known by the number of its steps."""
    return {"step": done}


@dataclass(frozen=True)
class Run:
    """A run and its checkpoint.

    recipe: all that decides the weights. parts: what has a state_dict, by its name in the checkpoint. values: what else
    the checkpoint is to hold after so many steps.
    """

    checkpoint: Path
    recipe: Mapping[str, object]
    parts: Mapping[str, Any]
    values: Callable[[int], Mapping[str, object]] = only_the_step
    writes: bool = True  # of several processes, one

    def resume(self) -> dict[str, Any]:
        """Restore what an earlier run of the same recipe kept, and return it; {} where there is none."""
        saved = read_checkpoint(self.checkpoint)
        if saved is None:
            return {}
        check_same_recipe(self.checkpoint, saved["recipe"], self.recipe)
        self.restore(saved)
        return saved

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Put the parts in the state that a checkpoint holds."""
        for name, part in self.parts.items():
            part.load_state_dict(saved[name])

    def keep(self, done: int) -> None:
        """Write the checkpoint after so many steps."""
        states = {name: part.state_dict() for name, part in self.parts.items()}
        write_checkpoint(self.checkpoint, {"recipe": self.recipe, **states, **self.values(done)})

    def go(
        self,
        one_step: Callable[[int], Mapping[str, str] | None],
        first: int,
        until: int,
        *,
        every: Iterable[int] = (),
        seconds: float = math.inf,
        progress: bool = True,
        description: str | None = None,
    ) -> None:
        """Do the steps first, …, until − 1; keep a checkpoint after the last of them and wherever one is due.

        one_step(number of the step) returns what the progress bar is to show, None for what it shows already. every: a
        checkpoint is due after each so many steps of the whole run; seconds: and when the last one is so old. An
        interrupt says where the run goes on.
        """
        kept_at = time.monotonic()
        settings: dict[str, Any] = {"desc": description, "unit": "step", "disable": not progress}
        if not sys.stderr.isatty():
            settings["mininterval"] = 30  # a log, which keeps every line
        try:
            with random_states_preserved(), tqdm(total=until, initial=first, **settings) as bar:
                for step in range(first, until):
                    if shown := one_step(step):
                        bar.set_postfix(shown, refresh=False)
                    bar.update()
                    done = step + 1
                    old = time.monotonic() - kept_at >= seconds
                    if self.writes and (old or done == until or any(done % n == 0 for n in every)):
                        self.keep(done)
                        kept_at = time.monotonic()
        except KeyboardInterrupt:
            some = first > 0 or self.checkpoint.exists()
            kept = "the last checkpoint in" if some else "the start: there is no checkpoint yet in"
            raise KeyboardInterrupt(f"the same command goes on from {kept} {self.checkpoint.parent}") from None


def descend(
    optimizer: torch.optim.Optimizer,
    loss: Tensor,
    parameters: Iterable[nn.Parameter] = (),
    *,
    clip: float | None = None,
) -> None:
    """Take one step against the loss; clip: the greatest norm of the gradient of `parameters` together."""
    optimizer.zero_grad()
    loss.backward()
    if clip is not None:
        nn.utils.clip_grad_norm_(parameters, clip)
    optimizer.step()


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Give every group of parameters this learning rate."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def warmup_cosine(highest: float, step: int, n_steps: int, warmup: float) -> float:
    """Return the learning rate at a step: over the share `warmup` up to the highest in a line, then down a cosine."""
    n_warmup = max(1, round(warmup * n_steps))
    if step < n_warmup:
        return highest * (step + 1) / n_warmup
    return highest * 0.5 * (1 + math.cos(math.pi * (step - n_warmup) / max(1, n_steps - n_warmup)))


def averaging(decay: float) -> Callable:
    """Return the exponential moving average for AveragedModel, with a warm-up: early averages are short."""

    def update(averaged: list[Tensor], current: list[Tensor], n: Tensor | int) -> None:
        get_ema_multi_avg_fn(min(decay, (1 + int(n)) / (10 + int(n))))(averaged, current, n)

    return update


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
    n_batches = -(-len(inputs) // batch_size)
    optimizer = torch.optim.AdamW(decay_groups(model, weight_decay), lr=lr)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=epochs * n_batches)
    with torch.random.fork_rng():
        torch.manual_seed(seed)  # of the order and of dropout
        model.train()
        for _ in (bar := tqdm(range(epochs), desc="epochs", disable=not progress)):
            for rows in torch.randperm(len(inputs)).tensor_split(n_batches):  # even: no batch of one for BatchNorm
                loss = nn.functional.cross_entropy(model(inputs[rows]), target[rows])
                descend(optimizer, loss)
                rate.step()
            bar.set_postfix(loss=f"{loss.item():.3f}")
    return accuracy(model.eval(), inputs, target)


@torch.no_grad()
def accuracy(model: nn.Module, inputs: Tensor, target: Tensor, batch_size: int = 256) -> float:
    """Return the share of inputs (N, ...) whose largest score is that of target (N,)."""
    predicted = torch.cat([model(x).argmax(dim=1) for x in inputs.split(batch_size)])
    return (predicted == target).float().mean().item()
