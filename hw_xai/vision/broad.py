"""Train for dishes that no photo of the training showed: first the head, then the trunk, judged on dishes held out.

LP-FT (Kumar et al. 2022, arXiv 2202.10054): a head learned on features that stay as they were spoils them less when the
whole network is tuned. Every step is a function of (weights, step), so a killed run resumes to the same weights.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel
from tqdm import tqdm

from ..errors import UserError
from ..files import write_rows
from ..training.recipe import BroadRecipe
from ..training.run import Run, averaging, decay_groups, descend, seed_of, set_rate, warmup_cosine
from .networks import build, load, save
from .photos import Photo
from .views import random_views

_FEWEST_OF_A_DISH = 10  # photos, for a row of the dish head


@dataclass
class _State:
    """Where a run stands; together with the tensors this is the checkpoint."""

    step: int = 0
    loss: float = 0.0  # of the steps of this epoch, summed
    history: list[dict[str, float]] = field(default_factory=list)


class _WithDishes(nn.Module):
    """A network whose last layer is `fc`, and beside it a head for dishes on the same features; only the net ships."""

    def __init__(self, net: Any, n_dishes: int):  # net: any module with such an `fc`
        super().__init__()
        self.net = net
        self.dishes = nn.Linear(net.fc.in_features, max(1, n_dishes))

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 3, H, W) -> scores of the classes (N, C), scores of the dishes (N, D)."""
        kept = []
        handle = self.net.fc.register_forward_pre_hook(lambda _, arguments: kept.append(arguments[0]))
        try:
            scores = self.net(inputs)
        finally:
            handle.remove()
        return scores, self.dishes(kept[0])


@torch.no_grad()
def scores_of(model: Callable, photos: Sequence[Photo], size: int, batch_size: int = 64) -> Tensor:
    """Return the scores (N, C) of photos, each resized to size × size as in use."""
    return torch.cat([model(inputs_of(photos[i : i + batch_size], size)) for i in range(0, len(photos), batch_size)])


def inputs_of(photos: Sequence[Photo], size: int) -> Tensor:
    """Return (N, 3, size, size) in [0, 1], channels last: what `preprocessing` makes of the photos."""
    inputs = torch.empty(len(photos), 3, size, size).contiguous(memory_format=torch.channels_last)
    for i, photo in enumerate(photos):
        pixels = torch.from_numpy(np.array(photo.pixels)).permute(2, 0, 1)[None].float() / 255
        inputs[i] = F.interpolate(pixels, (size, size), mode="bilinear", antialias=True)[0]
    return inputs


def found_by_dish(scores: Tensor, photos: Sequence[Photo]) -> float:
    """Return the share of photos whose class the scores (N, C) find, each dish counting the same."""
    right = (scores.argmax(1) == torch.tensor([photo.target for photo in photos])).double()
    by_dish: dict[str, list[float]] = {}
    for photo, value in zip(photos, right.tolist(), strict=True):
        by_dish.setdefault(photo.dish, []).append(value)
    return float(np.mean([np.mean(values) for values in by_dish.values()]))


def epoch_rows(photos: Sequence[Photo], seed: int, epoch: int) -> list[int]:
    """Return the rows that an epoch draws, shuffled: all photos of weight 1, of the others the share that it says."""
    generator = torch.Generator().manual_seed(seed_of(seed, epoch))
    by_weight: dict[float, list[int]] = {}
    for row, photo in enumerate(photos):
        by_weight.setdefault(photo.weight, []).append(row)
    drawn = []
    for weight, rows in sorted(by_weight.items()):
        order = torch.randperm(len(rows), generator=generator)[: round(weight * len(rows))]
        drawn += [rows[i] for i in order.tolist()]
    return [drawn[i] for i in torch.randperm(len(drawn), generator=generator).tolist()]


def train_broad(
    recipe: BroadRecipe,
    training: Sequence[Photo],
    judged: Mapping[str, Sequence[Photo]],
    out: str | Path,
    *,
    checkpoint_every: float = 180.0,
    progress: bool = True,
) -> list[dict[str, float]]:
    """Train by `recipe` into the folder `out`, resuming an earlier run of it there; return one row per epoch.

    A checkpoint is written at the end of an epoch, and in it every `checkpoint_every` seconds.
    `judged` names groups of photos that no step sees. Writes last.pt (the checkpoint), history.csv with the share that
    each group finds (each dish counting the same), probe.safetensors (the head learned, the trunk as it was) and
    tuned.safetensors (the end), both averaged over the last steps and for `networks.load`.
    """
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    counts: dict[str, int] = {}
    for photo in training:
        counts[photo.dish] = counts.get(photo.dish, 0) + 1
    dishes = sorted(dish for dish, n in counts.items() if dish and n >= _FEWEST_OF_A_DISH)
    row_of_dish = {dish: i for i, dish in enumerate(dishes)}
    per_epoch = len(epoch_rows(training, recipe.seed, 0)) // recipe.batch_size
    if per_epoch == 0:
        raise UserError(f"training needs at least one batch of {recipe.batch_size} photos, got {len(training)} photos")

    torch.manual_seed(recipe.seed)
    net: Any = _start(recipe)
    model = _WithDishes(net, len(dishes)).to(memory_format=torch.channels_last)
    fixed, trunk = list(net.features[: recipe.freeze]), net.features[recipe.freeze : -1]
    for module in fixed:
        module.requires_grad_(False)
    average = AveragedModel(net, multi_avg_fn=averaging(recipe.ema), use_buffers=True)
    optimizer = torch.optim.AdamW(decay_groups(model, recipe.weight_decay), lr=recipe.lr)

    state, facts = _State(), asdict(recipe) | {"photos": len(training), "dishes": len(dishes)}
    parts = {"model": model, "average": average, "optimizer": optimizer}
    run = Run(out / "last.pt", facts, parts, lambda done: {"state": asdict(state)})
    state = _State(**run.resume().get("state", {}))
    n_probe, n_steps = recipe.probe_epochs * per_epoch, (recipe.probe_epochs + recipe.epochs) * per_epoch
    rows_of = lru_cache(maxsize=1)(partial(epoch_rows, training, recipe.seed))

    def one_step(step: int) -> None:
        epoch, i = divmod(step, per_epoch)
        probing = step < n_probe
        model.train()
        for module in fixed:
            module.eval()
        # the trunk's statistics follow the photos from the start on; its weights only once the head knows something
        trunk.requires_grad_(not probing)
        rate = _rate(recipe, step, n_probe, n_steps)
        set_rate(optimizer, rate)
        torch.manual_seed(seed_of(recipe.seed, step))  # dropout
        batch = [training[row] for row in rows_of(epoch)[i * recipe.batch_size : (i + 1) * recipe.batch_size]]
        loss = _loss(model, batch, row_of_dish, recipe, step)
        descend(optimizer, loss, model.parameters(), clip=5.0)
        average.update_parameters(net)
        state.loss += loss.item()
        state.step = step + 1
        if state.step % per_epoch == 0:
            end_epoch({"epoch": epoch + 1, "lr": rate, "loss": state.loss / per_epoch})

    def end_epoch(row: dict[str, float]) -> None:
        average.module.eval()
        for name, photos in judged.items():
            row[name] = found_by_dish(scores_of(average.module, photos, recipe.eval_size), photos)
        state.history.append(row)
        state.loss = 0.0
        name = "probe" if state.step <= n_probe else "tuned"
        save(average.module, out / f"{name}.safetensors", recipe.architecture, input_size=recipe.eval_size)
        write_rows(out / "history.csv", state.history)
        if progress:
            tqdm.write("  ".join(f"{key} {value:.4g}" for key, value in row.items()))

    run.go(one_step, state.step, n_steps, every=[per_epoch], seconds=checkpoint_every, progress=progress)
    return state.history


def _start(recipe: BroadRecipe) -> nn.Module:
    """Return the network as the run begins; UserError where the head cannot be trained alone."""
    if recipe.start in ("imagenet", "nothing"):
        net: Any = build(recipe.architecture, pretrained=recipe.start == "imagenet")
    else:
        net = load(recipe.start)
        if net.architecture != recipe.architecture:
            raise UserError(f"`start={recipe.start}` holds a {net.architecture}: say `architecture={net.architecture}`")
    if not (
        isinstance(getattr(net, "features", None), nn.Sequential) and isinstance(getattr(net, "fc", None), nn.Linear)
    ):
        raise UserError(f"`architecture` must be a network of `features` and one layer `fc`, got {recipe.architecture}")
    if recipe.freeze >= len(net.features):
        raise UserError(f"`freeze` must be below the number of model.features' children ({len(net.features)})")
    return net


def _rate(recipe: BroadRecipe, step: int, n_probe: int, n_steps: int) -> float:
    """The learning rate: the head's falls to a tenth; then the network's rises again and falls to zero (cosines)."""
    if step < n_probe:
        return recipe.probe_lr * (0.55 + 0.45 * float(np.cos(np.pi * step / n_probe)))
    return warmup_cosine(recipe.lr, step - n_probe, n_steps - n_probe, recipe.warmup)


def _loss(
    model: _WithDishes, batch: Sequence[Photo], row_of_dish: Mapping[str, int], recipe: BroadRecipe, step: int
) -> Tensor:
    """Return the loss of one random view of each photo: classes, and at `dish_weight` the dishes that have a row."""
    generator = torch.Generator().manual_seed(seed_of(recipe.seed, step, 1))
    inputs = random_views([photo.pixels for photo in batch], recipe.train_size, generator)
    target = torch.tensor([photo.target for photo in batch])
    dish = torch.tensor([row_of_dish.get(photo.dish, -100) for photo in batch])
    share = 1.0
    if torch.rand((), generator=generator) < recipe.mix:  # mixup with the batch reversed
        share = 0.5 + 0.5 * torch.rand((), generator=generator).item()
        inputs = share * inputs + (1 - share) * inputs.flip(0)
    scores, dish_scores = model(inputs.contiguous(memory_format=torch.channels_last))

    def loss_of(target: Tensor, dish: Tensor) -> Tensor:
        loss = F.cross_entropy(scores, target, label_smoothing=recipe.label_smoothing)
        if recipe.dish_weight and (dish >= 0).any():
            loss = loss + recipe.dish_weight * F.cross_entropy(
                dish_scores, dish, label_smoothing=recipe.label_smoothing
            )
        return loss

    loss = share * loss_of(target, dish)
    return loss if share == 1 else loss + (1 - share) * loss_of(target.flip(0), dish.flip(0))
