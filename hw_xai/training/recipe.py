"""What decides a training run. Apart from train.py because the command line shows it without loading torch."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from ..errors import UserError

POSITIONS = 192  # of a BERT of ours: more than a sentence needs, for the reader's passages


@dataclass(frozen=True)
class Recipe:
    """What decides the trained weights, apart from the data and the number of processes."""

    architecture: str = "foodnet"
    pretrained: bool = False  # start from ImageNet weights
    init: str = ""  # a weights file to start from, instead
    freeze: int = 0  # leading children of model.features that stay as they are
    epochs: int = 10
    batch_size: int = 64  # per process
    lr: float = 1e-3
    weight_decay: float = 0.05
    warmup: float = 0.1  # share of all steps
    label_smoothing: float = 0.1
    mix: float = 0.3  # share of batches under mixup or cutmix
    ema: float = 0.998  # decay of the averaged weights, which are the ones evaluated and saved
    train_size: int = 96  # random crops look larger than whole photos, so train smaller (arXiv 1906.06423)
    eval_size: int = 128
    seed: int = 0

    def __post_init__(self):
        _check_bounds(self)
        if self.init and self.pretrained:
            raise UserError("`init` and `pretrained` both say where to start: give only one of them")


@dataclass(frozen=True)
class BroadRecipe:
    """What decides weights trained for dishes never seen, apart from the photos: first the head, then the trunk."""

    architecture: str = "foodnet"
    start: str = "imagenet"  # "imagenet", "nothing", or a weights file
    probe_epochs: int = 1  # the head alone
    probe_lr: float = 3e-3
    epochs: int = 8  # then the trunk too
    lr: float = 5e-4
    freeze: int = 4  # leading children of model.features that stay as they are
    batch_size: int = 64
    weight_decay: float = 0.05
    warmup: float = 0.1  # share of the steps with the trunk
    label_smoothing: float = 0.1
    mix: float = 0.2  # share of batches under mixup
    dish_weight: float = 0.3  # of the dish head's loss beside the class head's
    ema: float = 0.998  # decay of the averaged weights, which are the ones evaluated and saved
    train_size: int = 96  # random crops look larger than whole photos, so train smaller (arXiv 1906.06423)
    eval_size: int = 128
    seed: int = 0

    def __post_init__(self):
        _check_bounds(self)


@dataclass(frozen=True)
class LcamRecipe:
    """What decides a trained L-CAM, apart from the classifier and the images."""

    variant: str = "fm"  # what the attention lies on: the layer's maps or the image
    epochs: int = 5
    batch_size: int = 64
    lr: float = 0.1
    weight_decay: float = 5e-4
    seed: int = 0

    def __post_init__(self):
        _check_bounds(self)
        if self.variant not in ("fm", "img"):
            raise UserError(f'`variant` must be fm or img, got "{self.variant}"')


@dataclass(frozen=True)
class BertRecipe:
    """Everything that decides the weights of the masked language model."""

    sentences: int = 60_000
    layers: int = 4
    width: int = 96
    heads: int = 4
    steps: int = 4000
    batch_size: int = 64
    lr: float = 2e-3
    weight_decay: float = 0.05
    warmup: float = 0.06
    dropout: float = 0.0
    masked: float = 0.15  # share of the common tokens that are to be predicted ...
    masked_rare: float = 0.4  # ... and of the rarest
    context: float = 1.0  # weight of the second task: from a word that is there, guess those that are not
    cut: float = 0.33  # share of the sentences with a comma that are shown on one side of it only
    seed: int = 0

    def __post_init__(self):
        _check_bounds(self)
        if self.width % self.heads:
            raise UserError(f"`heads` must divide `width`, got {self.heads} heads and a width of {self.width}")


@dataclass(frozen=True)
class ReaderRecipe:
    """Everything that decides the weights of the reader, besides those it starts from."""

    examples: int = 12_000
    steps: int = 1500
    batch_size: int = 32
    lr: float = 1e-3
    weight_decay: float = 0.01
    warmup: float = 0.06
    seed: int = 0

    def __post_init__(self):
        _check_bounds(self)


@dataclass(frozen=True)
class MaskedWordsRecipe:
    """Everything that decides the weights of the masked language model, apart from the text."""

    start: str = "e5"  # "e5", a name or folder that load_bert knows, or "nothing"
    layers: tuple[int, ...] = (0, 1, 2, 3, 4, 5)  # which of e5; from "nothing": as many
    vocabulary: int = 13_200  # pieces; of a model that is trained on, its own
    steps: int = 20_000
    warmup: int = 300  # steps in which the rate rises
    decay: int = 1200  # steps, the last, in which it falls
    batch_size: int = 48  # sentences, on average: short ones go more to a batch, long ones fewer
    max_length: int = 40  # tokens, special ones included
    lr: float = 5e-4
    head_lr: float = 1.2e-3  # of the head that guesses words, which is new
    weight_decay: float = 0.01
    masked: float = 0.25  # share of the tokens
    chinese: float = 0.55  # share of the sentences
    everyday: float = 1.0  # how often a sentence of such a source is drawn
    broad: float = 0.4
    narrow: float = 0.5
    generated: float = 0.02  # share of the sentences that are made of our own clauses: each sense of an ambiguous word
    seed: int = 0

    def __post_init__(self):
        _check_bounds(self, BOUNDS | MASKED_WORDS_BOUNDS)
        if self.warmup + self.decay > self.steps:
            raise UserError(f"`steps` must be at least `warmup` and `decay` together, {self.warmup + self.decay:g}")

    def rate(self, step: int) -> float:
        """Return the share of the learning rates at a step: up in a line, level, down to nothing in a line."""
        return min((step + 1) / self.warmup, 1.0, (self.steps - step) / (self.decay + 1))

    @property
    def level_until(self) -> int:
        """The step at which the rate begins to fall."""
        return self.steps - self.decay


def _check_bounds(recipe: Any, bounds: Mapping[str, tuple[float, float]] | None = None) -> None:
    """Raise UserError when a number of the recipe, or how many a list of it holds, is out of its bounds."""
    for option in fields(recipe):
        ends = (bounds or BOUNDS).get(option.name)
        value = getattr(recipe, option.name)
        value = len(value) if isinstance(value, tuple) else value
        if ends and not ends[0] <= value <= ends[1]:
            raise UserError(f"`{option.name}` must be between {ends[0]:,g} and {ends[1]:,g}, got {value:g}")


# the least and the most of every number of a recipe
BOUNDS: dict[str, tuple[float, float]] = {
    "sentences": (1, 100_000_000),
    "examples": (1, 100_000_000),
    "layers": (1, 100),
    "width": (1, 10_000),
    "heads": (1, 1000),
    "steps": (1, 100_000_000),
    "dropout": (0, 0.99),
    "masked": (0.001, 1),
    "masked_rare": (0.001, 1),
    "context": (0, 100),
    "cut": (0, 1),
    "freeze": (0, 1000),
    "epochs": (1, 100_000),
    "probe_epochs": (0, 100_000),
    "probe_lr": (0, 100),
    "dish_weight": (0, 100),
    "batch_size": (1, 100_000),
    "lr": (0, 100),
    "weight_decay": (0, 100),
    "warmup": (0, 1),
    "label_smoothing": (0, 1),
    "mix": (0, 1),
    "ema": (0, 1),
    "train_size": (8, 4096),
    "eval_size": (8, 4096),
    "seed": (0, 2**62),
}
MASKED_WORDS_BOUNDS = {  # those of a MaskedWordsRecipe that are others
    "vocabulary": (500, 60_000),
    "steps": (1, 10_000_000),
    "warmup": (1, 1_000_000),  # steps here, not a share
    "decay": (0, 1_000_000),
    "max_length": (4, POSITIONS),
    "head_lr": (0, 100),
    "masked": (0.01, 0.9),
    "chinese": (0, 1),
    "everyday": (0, 1),
    "broad": (0, 1),
    "narrow": (0, 1),
    "generated": (0, 0.9),
}

# Of people's questions: the passages are longer and the model is larger. Chinese and English in turn while both last.
PEOPLES = ReaderRecipe(examples=20_476, steps=3200, batch_size=16, lr=1.5e-4)
