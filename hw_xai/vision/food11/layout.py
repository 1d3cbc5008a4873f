"""The food-11 photos: their classes, and every folder layout they are found in."""

import glob
import os
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from torch.utils.data import Dataset

from ...errors import UserError, nearest
from ...files import shipped
from ..reading import read_photo

CLASSES = (
    "Bread", "Dairy product", "Dessert", "Egg", "Fried food", "Meat",
    "Noodles/Pasta", "Rice", "Seafood", "Soup", "Vegetable/Fruit",
)  # fmt: skip


UNKNOWN = -1  # the target of a photo whose class nobody wrote down


PHOTO_SUFFIXES = {".jpg", ".jpeg", ".jfif", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".avif", ".heic", ".heif"}


SHIPPED_PHOTOS = "shipped-photos"  # names the photos of food in data/photos wherever photos are named


SPLITS = {
    "training": ("training", "train"),
    "validation": ("validation", "valid", "val"),
    "testing": ("testing", "test", "evaluation"),
    "unlabeled": ("unlabeled",),
}


_MUST_HAVE_CLASSES = ("training", "validation")


def _letters(name: str) -> str:
    """Class names differ in the wild by case and separators only: Noodles-Pasta, noodles_pasta, Noodles/Pasta."""
    return re.sub(r"[^a-z]", "", name.lower())


_BY_LETTERS = {_letters(name): index for index, name in enumerate(CLASSES)}


def _spelled(name: str) -> str:
    return re.sub(r"[\W_]", "", name.casefold())


def class_index(name: str | int, classes: Sequence[str] = CLASSES) -> int:
    """Return the index of a class given by name or by index, in any case and spelling of the separator."""
    text = str(name).strip()
    if text in classes:
        return classes.index(text)
    if re.fullmatch(r"[0-9]{1,6}", text) and int(text) < len(classes):
        return int(text)
    spelled = [_spelled(one) for one in classes]
    if _spelled(text) in spelled:
        return spelled.index(_spelled(text))
    listed = ", ".join(classes[:30]) + (", …" if len(classes) > 30 else "")
    raise UserError(f'class must be 0 to {len(classes) - 1} or one of {listed}, got "{text}".' + nearest(text, classes))


def target_of(path: Path) -> int:
    """Return the class that the folders of `path` (03/7.jpg, Egg/7.jpg) or its name (3_7.jpg) give, else UNKNOWN.

    The innermost class folder wins over the name; pass a path relative to its split, or outer folders may speak too.
    """
    for folder in reversed(path.parts[:-1]):
        if _letters(folder) in _BY_LETTERS and not re.search(r"[0-9]", folder):
            return _BY_LETTERS[_letters(folder)]
        if re.fullmatch(r"[0-9]{1,2}", folder) and int(folder) < len(CLASSES):
            return int(folder)
    named = re.fullmatch(r"([0-9]{1,2})_[0-9]+", path.stem)
    return int(named[1]) if named and int(named[1]) < len(CLASSES) else UNKNOWN


def _in_number_order(path: Path) -> tuple:
    """Sort key under which 0_2.jpg comes before 0_10.jpg."""
    return tuple(int(part) if part.isdecimal() else part for part in re.split(r"([0-9]+)", path.as_posix())), str(path)


def _ignored(name: str) -> bool:
    """What archives made on a Mac bring along: .DS_Store, ._3_7.jpg, __MACOSX."""
    return name.startswith(".") or name == "__MACOSX"


def _is_photo(path: Path) -> bool:
    return path.suffix.lower() in PHOTO_SUFFIXES and not _ignored(path.name) and path.is_file()


def photos_below(folder: Path, without: tuple[str, ...] = ()) -> list[Path]:
    """Return every photo in `folder` and below, in number order, leaving out folders named in `without`."""
    found = []
    for here, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not _ignored(name) and name.lower() not in without]
        # no _is_photo here: one more system call a file is seconds over a slow disk
        found += [Path(here, name) for name in names
                  if Path(name).suffix.lower() in PHOTO_SUFFIXES and not _ignored(name)]  # fmt: skip
    return sorted(found, key=_in_number_order)


def photos_in(folder: Path) -> list[Path]:
    """Return the photos that lie directly in a folder, in number order."""
    return sorted((path for path in folder.iterdir() if _is_photo(path)), key=_in_number_order)


def class_folders(folder: Path) -> list[Path]:
    """Return the subfolders that hold photos, each a class, by name; what is unlabeled is none."""
    found = [sub for sub in _subfolders(folder) if sub.name.lower() != "unlabeled" and photos_below(sub)]
    return class_folders(found[0]) if [sub.name.lower() for sub in found] == ["labeled"] else found


def _subfolders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not _ignored(path.name))


def split_folders(root: str | Path) -> dict[str, Path]:
    """Return {split: folder} of the splits present in `root`, which is the food-11 folder or one or two above it."""
    root = Path(root)
    if not root.is_dir():
        raise UserError(f'the food-11 folder must exist, but "{root}" does not: name the folder that holds training/')
    level = [root]
    for _ in range(3):
        found = [splits for splits in map(_splits_in, level) if splits]
        if len(found) > 1:
            both = ", ".join(str(next(iter(splits.values())).parent) for splits in found)
            raise UserError(f'"{root}" must hold one copy of food-11, but it holds {len(found)}: name one of {both}')
        if found:
            return found[0]
        level = [below for folder in level for below in _subfolders(folder)]
    return {}


def _splits_in(folder: Path) -> dict[str, Path]:
    by_name = {path.name.lower(): path for path in _subfolders(folder)}
    found = {split: by_name[alias] for split, names in SPLITS.items() for alias in names if alias in by_name}
    if "training" in found:  # homework 3 (2021): training/labeled/NN and training/unlabeled/NN
        inside = {path.name.lower(): path for path in _subfolders(found["training"])}
        if "unlabeled" in inside:
            found["unlabeled"] = inside["unlabeled"]
    return found


def labelled_photos(split: str, folder: Path) -> list[tuple[Path, int]]:
    """Return (path, target) of every photo of a split, in number order; target is UNKNOWN where no class is given."""
    paths = photos_below(folder, without=("unlabeled",))
    targets = [target_of(path.relative_to(folder)) for path in paths]
    # homework 3 (2021) puts photos without a class into a folder 00, only because its loader wants a folder
    placeholder = {path.parent.name for path in paths} == {"00"} and not any("_" in path.stem for path in paths)
    if split == "unlabeled" or (split == "testing" and placeholder):
        targets = [UNKNOWN] * len(paths)
    return list(zip(paths, targets, strict=True))


class Food11(Dataset):
    """A food-11 split as a dataset of (PIL RGB image or what `transform` makes of it, target); target -1 is unknown.

    `root` is the food-11 folder or one above it; `split` is training, validation, testing (or an alias of theirs:
    train, valid, val, test, evaluation), unlabeled, or photos: the loose photos that lie in `root` itself.
    """

    classes = CLASSES

    def __init__(self, root: str | Path, split: str = "training", transform: Callable | None = None) -> None:
        self.root, self.transform = Path(root), transform
        if split.lower() == "photos":
            self.split = "photos"
            samples = [(path, target_of(Path(path.name))) for path in find_photos([root])]
        else:
            self.split = split_name(split)
            samples = labelled_photos(self.split, self._folder())
        self.paths = [path for path, _ in samples]
        self.targets = [target for _, target in samples]
        self._check()

    def _folder(self) -> Path:
        found = split_folders(self.root)
        if self.split not in found:
            wanted = " or ".join(f"{name}/" for name in SPLITS[self.split])
            raise UserError(f'"{self.root}" must hold a folder {wanted}, but it holds {", ".join(found) or "no split"}:'
                            " name the food-11 folder, or the split photos for loose photos")  # fmt: skip
        return found[self.split]

    def _check(self) -> None:
        if not self.paths:
            raise UserError(f'the {self.split} split in "{self.root}" must hold photos, but it holds none')
        if self.split in _MUST_HAVE_CLASSES and UNKNOWN in self.targets:
            first = self.paths[self.targets.index(UNKNOWN)]
            raise UserError(f"every {self.split} photo must tell its class as CLASS_INDEX.jpg (0_12.jpg) or by a class "
                            f"folder, but {self.targets.count(UNKNOWN)} do not, first {first}: "
                            "rename or remove them")  # fmt: skip

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple:
        image = read_photo(self.paths[index])
        return (self.transform(image) if self.transform else image), self.targets[index]


def split_name(split: str) -> str:
    """Return the one name of a split that goes by several: "train" -> "training"."""
    for name, aliases in SPLITS.items():
        if split.lower() in aliases:
            return name
    raise UserError(f'split must be one of {", ".join(SPLITS)}, photos, got "{split}".' + nearest(split, SPLITS))


def find_photos(paths: Iterable[str | Path]) -> list[Path]:
    """Return the photos that files, folders (those directly inside) and patterns (*.jpg, **/*.png) name, each once.

    SHIPPED_PHOTOS names those that come with hw_xai, unless a file or folder of that name exists.
    """
    paths = [paths] if isinstance(paths, str | Path) else list(paths)
    if not paths:
        raise UserError("at least one photo, folder or pattern must be given, but there was none")
    return list(dict.fromkeys(photo for path in paths for photo in _photos_named(path)))


def _photos_named(path: str | Path) -> list[Path]:
    given = Path(path).expanduser()
    if str(path) == SHIPPED_PHOTOS and not given.exists():
        given = shipped("photos")
    if given.is_file():
        return [given]
    if given.is_dir():
        found = [inside for inside in given.iterdir() if _is_photo(inside)]
    elif glob.has_magic(str(given)):
        found = [match for match in map(Path, glob.glob(str(given), recursive=True)) if _is_photo(match)]
    else:
        raise UserError(f'"{path}" must be a photo, a folder or a pattern, but there is no such file: check the path')
    if not found:
        raise UserError(f'"{path}" must name at least one photo ({", ".join(sorted(PHOTO_SUFFIXES))}), but names none')
    return sorted(found, key=_in_number_order)
