"""A folder of photos as training data: a subfolder for each class, of any names, or food-11 in any of its layouts.

photos/cat/*.jpg, photos/dog/*.jpg                      a fifth of each class is kept for validation
photos/training/cat/*.jpg, photos/validation/cat/*.jpg  the split that is there
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from torch.utils.data import Dataset, Subset

from ..errors import UserError
from ..training.run import seed_of, size_of
from .food11.layout import CLASSES, UNKNOWN, Food11, class_folders, photos_below, photos_in, split_folders, target_of
from .reading import read_photo

HELD_OUT = 5  # one photo of so many is for validation where no folder says which


@dataclass(frozen=True)
class TrainingData:
    """What a network learns from and is judged on, as datasets of (PIL image, class index)."""

    training: Dataset
    validation: Dataset
    classes: tuple[str, ...]
    note: str  # how the classes were told


class PhotoFolders(Dataset):
    """Photos as (PIL RGB image, target): the target is the place of their class folder in `classes`."""

    def __init__(self, samples: Sequence[tuple[Path, int]], classes: tuple[str, ...]):
        self.paths, self.targets = [path for path, _ in samples], [target for _, target in samples]
        self.classes = classes

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[Image.Image, int]:
        return read_photo(self.paths[index]), self.targets[index]


def open_training_data(root: str | Path, *, images: int | None = None, seed: int = 0) -> TrainingData:
    """Return the training and validation photos of a folder; images: take no more than so many for training, by seed.

    Class folders of any names give the classes. Where they are food-11's, or there are none, the folder is read as
    food-11, whose file names may tell the class. UserError when the photos cannot be told apart.
    """
    root = Path(root).expanduser()
    splits = split_folders(root)
    first = splits.get("training", root)
    folders = class_folders(first)
    foods = all(target_of(Path(folder.name, "photo.jpg")) != UNKNOWN for folder in folders)
    if not folders or (foods and "training" in splits):
        foods_to_learn, foods_to_judge = Food11(root, "training"), Food11(root, "validation")
        told = "by class folders" if folders else "by the numbers of their file names, 3_7.jpg for the fourth"
        return TrainingData(
            _some(foods_to_learn, images, seed), foods_to_judge, CLASSES, f"food-11's classes, told {told}"
        )
    if loose := photos_in(first):
        raise UserError(f'every photo in "{first}" must lie in the folder of its class, but {len(loose)} lie beside '
                        f"the class folders, first {loose[0].name}: move or remove them")  # fmt: skip
    classes = tuple(folder.name for folder in folders)
    if len(classes) < 2:
        raise UserError(
            f'"{first}" must hold a folder for each of at least two classes, but it holds {classes[0]} alone'
        )
    samples = _samples(first, classes)
    if "validation" in splits:
        held = _samples(splits["validation"], classes)
    else:
        samples, held = _split(samples, len(classes), seed)
    training, validation = PhotoFolders(samples, classes), PhotoFolders(held, classes)
    return TrainingData(_some(training, images, seed), validation, classes, f"{len(classes)} class folders")


def _samples(folder: Path, classes: Sequence[str]) -> list[tuple[Path, int]]:
    foreign = [sub.name for sub in class_folders(folder) if sub.name not in classes]
    if foreign:
        raise UserError(f'"{folder}" must hold the classes that training has ({", ".join(classes)}), but it also holds '
                        f"{', '.join(foreign)}")  # fmt: skip
    found = [(path, target) for target, name in enumerate(classes) if (folder / name).is_dir()
             for path in photos_below(folder / name)]  # fmt: skip
    if not found:
        raise UserError(f'"{folder}" must hold photos in the folders {", ".join(classes)}, but it holds none')
    return found


def _split(samples: Sequence[tuple[Path, int]], n_classes: int, seed: int) -> tuple[list, list]:
    """Return the samples for training and those held out, a fifth of each class."""
    kept, held = [], []
    for target in range(n_classes):
        mine = [sample for sample in samples if sample[1] == target]
        if len(mine) < 2:
            raise UserError(f"every class must have at least 2 photos, one to learn and one to judge, but "
                            f"{mine[0][0].parent.name} has {len(mine)}")  # fmt: skip
        order = torch.randperm(len(mine), generator=torch.Generator().manual_seed(seed_of(seed, target))).tolist()
        n_held = max(1, len(mine) // HELD_OUT)
        held += [mine[i] for i in sorted(order[:n_held])]
        kept += [mine[i] for i in sorted(order[n_held:])]
    return kept, held


def _some(dataset: Dataset, images: int | None, seed: int) -> Dataset:
    """Return the dataset, or a random part of it by the seed."""
    n = size_of(dataset)
    if images is None or images >= n:
        return dataset
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed_of(seed)))
    return Subset(dataset, order[:images].tolist())
