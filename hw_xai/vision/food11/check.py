"""Look through a food-11 folder for what would spoil a training or a measurement: hw-xai data check."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ...errors import UserError
from ..reading import decode_photo, quiet_pillow
from .layout import CLASSES, UNKNOWN, find_photos, labelled_photos, split_folders, target_of

_EXAMPLES = 5  # named of each kind of finding; the rest is only counted
_LABELLED = ("training", "validation")  # the splits that are of no use without every class


@dataclass(frozen=True)
class FolderReport:
    """What was found. Each finding makes `ok` False, except `converted`: photos that read_photo turns into RGB."""

    root: Path
    counts: dict[str, Counter[int]]  # split -> class (or UNKNOWN) -> photos
    unreadable: list[str]  # one sentence each
    nameless: list[Path]  # in a labelled split, but neither name nor folder tells a class
    missing: list[tuple[str, int]]  # (split, class) without a photo
    leaks: list[list[Path]]  # photos, equal pixel by pixel, in more than one split
    conflicts: list[list[Path]]  # equal photos that carry different classes
    converted: list[tuple[Path, str]]  # (photo, its mode)

    @property
    def ok(self) -> bool:
        return not (self.unreadable or self.nameless or self.missing or self.leaks or self.conflicts)

    def table(self) -> str:
        """Return the counts as a table and the findings below it, for a terminal."""
        return "\n".join([*self._count_rows(), "", *self._finding_rows()])

    def _count_rows(self) -> list[str]:
        known = [] if set(self.counts) == {"photos"} else list(range(len(CLASSES)))
        shown = sorted(set(known).union(*self.counts.values()) - {UNKNOWN})
        if any(UNKNOWN in counted for counted in self.counts.values()):
            shown.append(UNKNOWN)
        rows = [["class", *self.counts]]
        rows += [[_class_name(target), *(str(counted[target]) for counted in self.counts.values())] for target in shown]
        rows += [["all", *(str(counted.total()) for counted in self.counts.values())]]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows]
        rule = "-" * len(lines[0])
        return [lines[0], rule, *lines[1:-1], rule, lines[-1]]

    def _finding_rows(self) -> list[str]:
        lines = []
        rows: tuple[tuple[str, Sequence, Callable[[Any], str]], ...] = (
            ("Photos that cannot be read", self.unreadable, str),
            ("Photos that tell no class by name or folder", self.nameless, self._short),
            ("Classes without a photo", self.missing, lambda gap: f"{_class_name(gap[1]).strip()} in {gap[0]}"),
            ("Photos in more than one split", self.leaks, self._group),
            ("Photos that carry more than one class", self.conflicts, self._group),
            ("Photos that are not RGB, which reading makes them", self.converted, self._mode),
        )
        for what, found, words in rows:
            if found:
                lines.append(f"{what}: {len(found)}")
                lines += [f"  {words(one)}" for one in found[:_EXAMPLES]]
                lines += [f"  … and {len(found) - _EXAMPLES} more"] * (len(found) > _EXAMPLES)
        return [*lines, "Nothing needs mending." if self.ok else "Mend what is listed, then check again."]

    def _short(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()

    def _mode(self, photo: tuple[Path, str]) -> str:
        return f"{self._short(photo[0])} ({photo[1]})"

    def _group(self, paths: list[Path]) -> str:
        return " = ".join(map(self._short, paths))


def _class_name(target: int) -> str:
    return "unknown" if target == UNKNOWN else f"{target:2d} {CLASSES[target]}"


def check(root: str | Path, progress: bool = True) -> FolderReport:
    """Read every photo of a food-11 folder, or of a folder of loose photos, and report what is wrong with them."""
    root = Path(root).expanduser()
    splits = {split: labelled_photos(split, folder) for split, folder in split_folders(root).items()}
    if not splits:
        splits = {"photos": [(path, target_of(Path(path.name))) for path in find_photos([root])]}
    if not any(splits.values()):
        raise UserError(f'"{root}" must hold photos, but its folders {", ".join(splits)} hold none')

    unreadable, converted = [], []
    equal = defaultdict(list)  # fingerprint -> [(split, target, path)]
    samples = [(split, target, path) for split, photos in splits.items() for path, target in photos]
    paths = [path for *_, path in samples]
    # quiet_pillow is held once around all threads: inside them it would let one work at a time
    with quiet_pillow(), ThreadPoolExecutor() as pool:
        results = pool.map(_look_at, paths)
        for sample, result in zip(samples, tqdm(results, "check", len(samples), unit="photo", disable=not progress),
                                  strict=True):  # fmt: skip
            if isinstance(result, UserError):
                unreadable.append(str(result))
                continue
            fingerprint, mode = result
            equal[fingerprint].append(sample)
            if mode != "RGB":
                converted.append((sample[2], mode))

    counts = {split: Counter(target for _, target in photos) for split, photos in splits.items()}
    return FolderReport(
        root,
        counts,
        unreadable,
        nameless=[path for split, target, path in samples if split in _LABELLED and target == UNKNOWN],
        missing=[(split, target) for split in counts if split in _LABELLED
                 for target in range(len(CLASSES)) if not counts[split][target]],
        leaks=[[path for *_, path in same] for same in equal.values() if len({split for split, *_ in same}) > 1],
        conflicts=[[path for *_, path in same] for same in equal.values()
                   if len({target for _, target, _ in same} - {UNKNOWN}) > 1],
        converted=converted,
    )  # fmt: skip


def _look_at(path: Path) -> tuple[bytes, str] | UserError:
    """Return a fingerprint of a photo's pixels and its stored mode, or why it cannot be read."""
    try:
        image, mode = decode_photo(path)
    except UserError as error:
        return error
    return hashlib.blake2b(image.tobytes(), digest_size=16, key=repr(image.size).encode()).digest(), mode
