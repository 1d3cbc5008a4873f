"""Train on photos: every step is a function of (weights, step), so a killed run resumes to the same weights."""

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import DataLoader, Dataset, Sampler
from torchvision.transforms import v2
from tqdm import tqdm

from ..errors import UserError, how_to_add
from ..files import atomic, write_rows
from ..training.recipe import Recipe
from ..training.run import Run, averaging, decay_groups, seed_of, set_rate, size_of, warmup_cosine
from .food11.layout import CLASSES
from .networks import build, load, save
from .preprocess import augmentation, preprocessing

CHECKPOINT_SECONDS = 120  # at most so much work is lost, however long an epoch is


@dataclass
class Progress:
    """Where a run stands; together with the tensors this is the checkpoint."""

    step: int = 0
    best: float = -1.0
    history: list[dict[str, float]] = field(default_factory=list)
    running: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])  # loss sum, correct, seen in this epoch


class _Augmented(Dataset):
    """A dataset whose item (epoch, index) is augmented by a seed of its own, the same in every worker and every run."""

    def __init__(self, dataset: Dataset, recipe: Recipe):
        self.dataset, self.seed, self.augment = dataset, recipe.seed, augmentation(recipe.train_size)

    def __getitem__(self, key: tuple[int, int]) -> tuple[Tensor, int]:
        epoch, index = key
        image, target = self.dataset[index]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed_of(self.seed, epoch, index))
            return self.augment(image), target


class _Evaluated(Dataset):
    """A dataset under `preprocessing`."""

    def __init__(self, dataset: Dataset, size: int):
        self.dataset, self.preprocess = dataset, preprocessing(size)

    def __len__(self) -> int:
        return size_of(self.dataset)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        image, target = self.dataset[index]
        return self.preprocess(image), target


class _Batches(Sampler):
    """All batches of a run from `first_step` on, as lists of (epoch, index): one loader serves all epochs."""

    drop_last = True

    def __init__(self, n_images: int, recipe: Recipe, n_processes: int, first_step: int = 0):
        self.n_images, self.recipe, self.n_processes, self.first_step = n_images, recipe, n_processes, first_step
        self.batch_size = recipe.batch_size
        self.steps_per_epoch = max(1, n_images // (recipe.batch_size * n_processes))

    def __len__(self) -> int:
        return (self.recipe.epochs * self.steps_per_epoch - self.first_step) * self.n_processes

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        first_epoch, skipped = divmod(self.first_step, self.steps_per_epoch)
        for epoch in range(first_epoch, self.recipe.epochs):
            shuffled = torch.randperm(self.n_images, generator=_generator(self.recipe.seed, epoch)).tolist()
            for i in range(skipped * self.n_processes, self.steps_per_epoch * self.n_processes):
                yield [(epoch, index) for index in shuffled[i * self.batch_size : (i + 1) * self.batch_size]]
            skipped = 0


def _generator(*numbers: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed_of(*numbers))


def _start(recipe: Recipe, classes: tuple[str, ...]) -> nn.Module:
    """Return the network as the run begins."""
    if not recipe.init:
        return build(recipe.architecture, len(classes), pretrained=recipe.pretrained)
    model: Any = load(recipe.init)
    if model.classes != classes:
        raise UserError(f"`init={recipe.init}` tells {', '.join(model.classes[:3])}, … apart, but the photos are of "
                        f"{', '.join(classes[:3])}, …: start from a network of the same classes")  # fmt: skip
    if model.architecture != recipe.architecture:
        raise UserError(f"`init={recipe.init}` holds a {model.architecture}: say `architecture={model.architecture}`")
    return model


@torch.no_grad()
def _check_sizes(model: nn.Module, recipe: Recipe) -> None:
    """Raise UserError, before anything is trained, when the network does not take pictures of these sizes."""
    model.eval()
    for name in ("train_size", "eval_size"):
        size = getattr(recipe, name)
        try:
            model(torch.zeros(1, 3, size, size))
        except (RuntimeError, AssertionError) as error:
            raise UserError(
                f"`{name}={size}` does not fit {recipe.architecture}: give the size that it takes"
            ) from error


def _freeze(model: nn.Module, n_children: int) -> list[nn.Module]:
    """Freeze the first children of model.features; return them, to be kept in eval mode while the rest trains."""
    if n_children == 0:
        return []
    features = getattr(model, "features", None)
    if not isinstance(features, nn.Sequential) or n_children > len(features):
        size = len(features) if isinstance(features, nn.Sequential) else "no"
        raise UserError(f"`freeze` must be at most the number of model.features' children ({size}), got {n_children}")
    return [child.requires_grad_(False) for child in features[:n_children]]


@torch.no_grad()
def confusion(model: Callable, loader: DataLoader, gather: Callable | None = None, n_classes: int = 11) -> Tensor:
    """Return the confusion matrix (n_classes, n_classes), rows the true class, over batches of (inputs, target)."""
    matrix = torch.zeros(n_classes, n_classes, dtype=torch.long)
    for inputs, target in loader:
        predicted = model(inputs).argmax(1)
        if gather:
            predicted, target = gather((predicted, target))
        matrix += torch.bincount(target.cpu() * n_classes + predicted.cpu(), minlength=n_classes**2).view_as(matrix)
    return matrix


def train(
    recipe: Recipe,
    training: Dataset,
    validation: Dataset,
    out: str | Path,
    *,
    workers: int = 0,
    classes: tuple[str, ...] = CLASSES,
    checkpoint_every: int = 100,
    tensorboard: bool = False,
    progress: bool = True,
    after_epoch: Callable[[list[dict[str, float]], Tensor, bool], None] = lambda history, matrix, best: None,
) -> dict:
    """Train by `recipe` into the folder `out`; resume there when an earlier run of the same recipe was cut off.

    `training` and `validation` give (PIL image, index into `classes`). Writes last.pt (the checkpoint),
    best.safetensors (for `networks.load`), history.csv and report.json; returns the report. after_epoch is called with
    the rows of history.csv, the confusion matrix (classes, classes), rows the true class, and whether it is the best.
    Runs on every device that `accelerate launch` gives it, else on one GPU, else on the CPU.
    """
    precision = "bf16" if torch.cuda.is_available() and torch.cuda.is_bf16_supported() else "no"
    # on a CPU accelerate looks for other processes only when it is told that there will be no GPU
    accelerator = Accelerator(cpu=not torch.cuda.is_available(), mixed_precision=precision)
    files = _Files(Path(out), recipe, classes)
    files.out.mkdir(parents=True, exist_ok=True)
    n_images = size_of(training)
    if n_images < recipe.batch_size * accelerator.num_processes:
        raise UserError(
            f"training needs at least one batch of {recipe.batch_size} images per process, got {n_images} images: "
            "give more data or a smaller `batch_size`"
        )

    torch.manual_seed(recipe.seed)
    net = _start(recipe, classes)
    _check_sizes(net, recipe)
    frozen = _freeze(net, recipe.freeze)
    net = net.to(memory_format=torch.channels_last)
    ema = AveragedModel(net, multi_avg_fn=averaging(recipe.ema), use_buffers=True).to(accelerator.device)
    own_optimizer = torch.optim.AdamW(decay_groups(net, recipe.weight_decay), lr=recipe.lr)

    facts: dict[str, object] = asdict(recipe) | {"processes": accelerator.num_processes}
    if classes != CLASSES:  # runs on food-11 are older than other classes
        facts["classes"] = list(classes)
    state = Progress()
    parts = {"model": net, "ema": ema, "optimizer": own_optimizer}
    run = Run(files.out / "last.pt", facts, parts, lambda done: asdict(state), writes=accelerator.is_main_process)
    if saved := run.resume():
        state = Progress(**{f.name: saved[f.name] for f in fields(Progress)})
    # the optimizer is restored before accelerate wraps it: its state then moves to the device with the parameters
    model, optimizer = accelerator.prepare(net, own_optimizer)

    sampler = _Batches(n_images, recipe, accelerator.num_processes, state.step)
    steps_per_epoch, n_steps = sampler.steps_per_epoch, recipe.epochs * sampler.steps_per_epoch
    loader = accelerator.prepare(DataLoader(_Augmented(training, recipe), batch_sampler=sampler, num_workers=workers))
    eval_loader = accelerator.prepare(
        DataLoader(_Evaluated(validation, recipe.eval_size), batch_size=128, num_workers=workers)
    )
    batches = iter(loader)
    mixing = v2.RandomChoice([v2.MixUp(alpha=0.2, num_classes=len(classes)), v2.CutMix(num_classes=len(classes))])
    loss_of = nn.CrossEntropyLoss(label_smoothing=recipe.label_smoothing)
    writer = _tensorboard(files.out) if tensorboard and accelerator.is_main_process else None

    def one_step(step: int) -> dict[str, str]:
        inputs, target = next(batches)
        model.train()
        for module in frozen:
            module.eval()
        # mixing and dropout draw from here, so that a step's randomness depends on nothing before it
        torch.manual_seed(seed_of(recipe.seed, step, accelerator.process_index))
        set_rate(optimizer, warmup_cosine(recipe.lr, step, n_steps, recipe.warmup))
        hard = target
        if torch.rand(()) < recipe.mix:
            inputs, target = mixing(inputs, target)
        with accelerator.autocast():
            scores = model(inputs.contiguous(memory_format=torch.channels_last))
            loss = loss_of(scores, target)
        optimizer.zero_grad()
        accelerator.backward(loss)
        accelerator.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        ema.update_parameters(net)

        counts = (loss.item() * len(hard), (scores.argmax(1) == hard).sum().item(), len(hard))
        state.running = [total + more for total, more in zip(state.running, counts, strict=True)]
        state.step = step + 1
        loss_sum, correct, seen = state.running
        if state.step % steps_per_epoch == 0:
            end_epoch(loss_sum / seen, correct / seen)
        epoch = f"{step // steps_per_epoch + 1}/{recipe.epochs}"
        return {"epoch": epoch, "loss": f"{loss_sum / seen:.3f}", "accuracy": f"{correct / seen:.3f}"}

    def end_epoch(loss: float, accuracy: float) -> None:
        for buffer in ema.buffers():
            broadcast(buffer)  # BatchNorm's statistics differ between processes, and one network is judged
        matrix = confusion(ema.module.eval(), eval_loader, accelerator.gather_for_metrics, len(classes))
        row = {
            "epoch": state.step // steps_per_epoch,
            "lr": warmup_cosine(recipe.lr, state.step - 1, n_steps, recipe.warmup),
            "train_loss": loss,
            "train_accuracy": accuracy,
            "validation_accuracy": (matrix.diag().sum() / matrix.sum()).item(),
        }
        state.history.append(row)
        state.running = [0.0, 0.0, 0.0]
        if not accelerator.is_main_process:
            return
        best = row["validation_accuracy"] > state.best
        state.best = max(state.best, row["validation_accuracy"])
        files.write_epoch(state.history, ema.module, matrix, best)
        after_epoch(state.history, matrix, best)
        if writer:
            for key in set(row) - {"epoch"}:
                writer.add_scalar(key, row[key], row["epoch"])
        if progress:
            tqdm.write(f"epoch {row['epoch']}: loss {loss:.3f}, validation accuracy {row['validation_accuracy']:.4f}")

    shown = progress and accelerator.is_main_process
    every = [checkpoint_every, steps_per_epoch]
    try:
        run.go(one_step, state.step, n_steps, every=every, seconds=CHECKPOINT_SECONDS, progress=shown)
    finally:
        if writer:
            writer.close()
    accelerator.wait_for_everyone()
    return files.report()


@dataclass(frozen=True)
class _Files:
    """What a run writes besides its checkpoint."""

    out: Path
    recipe: Recipe
    classes: tuple[str, ...]

    def write_epoch(self, history: list[dict[str, float]], model: nn.Module, matrix: Tensor, best: bool) -> None:
        """Record one epoch in the history, and, when it is the best so far, the weights with their report."""
        write_rows(self.out / "history.csv", history)
        if not best:
            return
        row = history[-1]
        per_class = (matrix.diag() / matrix.sum(1).clamp(min=1)).tolist()
        report = {
            "recipe": asdict(self.recipe),
            "epoch": row["epoch"],
            "top1": row["validation_accuracy"],
            "per_class": dict(zip(self.classes, per_class, strict=True)),
            "confusion": matrix.tolist(),
        }
        path, top1 = self.out / "best.safetensors", f"{row['validation_accuracy']:.4f}"
        save(model, path, self.recipe.architecture, self.classes, input_size=self.recipe.eval_size, top1=top1)
        with atomic(self.out / "report.json") as temporary:
            temporary.write_text(json.dumps(report, indent=1) + "\n")

    def report(self) -> dict:
        return json.loads((self.out / "report.json").read_text())


def _tensorboard(out: Path):
    try:
        from torch.utils.tensorboard import SummaryWriter  # late: an extra
    except ImportError as error:
        raise UserError(f"`tensorboard` needs the extra of that name: {how_to_add('tensorboard')}") from error
    return SummaryWriter(out / "tensorboard")
