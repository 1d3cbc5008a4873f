"""Train a network on photos, and draw after every epoch how it learns and what it takes for what."""

from pathlib import Path
from typing import Any

from torch import Tensor

from ..show.figures.pictures import confusion_matrix, learning_curves, save_png
from ..training.recipe import Recipe
from ..vision.folders import TrainingData
from ..vision.train import train


def train_and_draw(recipe: Recipe, data: TrainingData, out: str | Path, **settings: Any) -> dict:
    """Train into the folder `out` as `vision.train.train` does, with curves.png and, of the best epoch, confusion.png.

    settings: other keywords of `train`. Returns its report.
    """

    def draw(history: list[dict[str, float]], matrix: Tensor, best: bool) -> None:
        save_png(learning_curves(history), Path(out) / "curves.png")
        if best:
            save_png(confusion_matrix(matrix.numpy(), data.classes), Path(out) / "confusion.png")

    photos = (data.training, data.validation)
    return train(recipe, *photos, out, classes=data.classes, after_epoch=draw, **settings)
