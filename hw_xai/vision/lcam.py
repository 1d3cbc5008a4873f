"""Train L-CAM beside a frozen classifier, save and load it; a killed run resumes to the same weights."""

import hashlib
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal, cast

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from ..errors import UserError
from ..explain import LearnedCAM
from ..files import shipped
from ..training.recipe import LcamRecipe
from ..training.run import Run, descend, seed_of, size_of
from .networks import read_tensors, write_tensors

Variant = Literal["fm", "img"]

SHIPPED = {
    f"lcam-{model}-{variant}": f"lcam-{model}-{variant}.safetensors"
    for model in ("foodnet-photos", "foodnet-synthetic")
    for variant in ("fm", "img")
}


def train(
    model: nn.Module,
    images: Dataset,
    recipe: LcamRecipe,
    out: str | Path,
    *,
    workers: int = 0,
    checkpoint_every: int = 20,
    progress: bool = True,
) -> LearnedCAM:
    """Train an attention for the model by `recipe` into the folder `out`; resume there when a run was cut off.

    images gives (image (C, H, W) as the model takes it, anything). Runs where the model is. Writes last.pt (the
    checkpoint) and lcam.safetensors (for `load`).
    """
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    device = next(model.parameters()).device
    learned = LearnedCAM.for_model(model, images[0][0][None].to(device), cast(Variant, recipe.variant))
    groups: list[dict[str, Any]] = [{"params": [learned.weight]}, {"params": [learned.bias], "lr": 2 * recipe.lr}]
    optimizer = torch.optim.SGD(groups, lr=recipe.lr, momentum=0.9, nesterov=True, weight_decay=recipe.weight_decay)
    facts = asdict(recipe) | {"classifier": fingerprint(model), "images": size_of(images)}
    losses: list[float] = []  # one a step: their number says where the run stands
    parts = {"learned": learned, "optimizer": optimizer}
    run = Run(out / "last.pt", facts, parts, lambda done: {"losses": losses})
    losses += run.resume().get("losses", [])
    steps = _batches(size_of(images), recipe)
    batches = iter(DataLoader(images, batch_sampler=steps[len(losses) :], num_workers=workers))

    def one_step(step: int) -> dict[str, str]:
        batch, _ = next(batches)
        loss = learned.loss(model, batch.to(device))
        descend(optimizer, loss)
        losses.append(loss.item())
        return {"loss": f"{sum(losses[-20:]) / len(losses[-20:]):.3f}"}

    run.go(one_step, len(losses), len(steps), every=[checkpoint_every], progress=progress, description="L-CAM")
    save(learned, out / "lcam.safetensors", model)
    return learned


def _batches(n_images: int, recipe: LcamRecipe) -> list[list[int]]:
    """Return the images of every step of the run: each epoch has all of them once, in an order of its own."""
    batches = []
    for epoch in range(recipe.epochs):
        source = torch.Generator().manual_seed(seed_of(recipe.seed, epoch))
        batches += torch.randperm(n_images, generator=source).split(recipe.batch_size)
    return [batch.tolist() for batch in batches]


# -------------------------------------------------------------------------------------------------------------- files


def save(learned: LearnedCAM, path: str | Path, model: nn.Module) -> None:
    """Write the attention as safetensors (14 KB for FoodNet), with the fingerprint of the model that it belongs to."""
    tensors = {key: value.float() for key, value in learned.state_dict().items()}
    write_tensors(path, tensors, {"lcam": learned.variant, "classifier": fingerprint(model)})


def load(name_or_path: str | Path, model: nn.Module) -> LearnedCAM:
    """Return the attention of a shipped name or a file that `save` wrote; UserError unless it belongs to the model."""
    name = str(name_or_path)
    path = shipped(SHIPPED[name]) if name in SHIPPED else Path(name)
    if not path.is_file():
        raise UserError(f'no L-CAM is called "{name}": give a file of hw-xai train-lcam or one of {", ".join(SHIPPED)}')
    state, facts = read_tensors(path)
    if "lcam" not in facts or state.keys() != {"weight", "bias"}:
        raise UserError(f"{path} must hold an L-CAM: make one with hw-xai train-lcam")
    if facts.get("classifier") != fingerprint(model):
        raise UserError(f"{path} was trained beside another model: train one for this model with hw-xai train-lcam")
    n_classes, n_channels = state["weight"].shape
    learned = LearnedCAM(n_channels, n_classes, cast(Variant, facts["lcam"]))
    learned.load_state_dict(state)
    return learned


def fingerprint(model: nn.Module) -> str:
    """Return 16 hexadecimal digits that change with any weight of the model."""
    digest = hashlib.sha256()
    for name, tensor in model.state_dict().items():
        digest.update(name.encode() + tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]
