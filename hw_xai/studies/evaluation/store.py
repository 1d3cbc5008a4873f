"""The folder of an evaluation: one small file for each method and image, so that what is done stays done.

run.json                    what is evaluated and how; a later call must ask for the same
scores/METHOD/000123.json   the numbers of one explanation, or why there is none
maps/METHOD/000123.npy      the map (H, W) of one of the first images
sanity/METHOD/000123.npy    the maps (1 + S, H, W) of the trained model and of the randomized ones
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import UserError
from ...files import atomic

Record = dict[str, Any]


@dataclass(frozen=True)
class Store:
    """Reads and writes the folder `out`; every file appears whole or not at all."""

    out: Path

    def begin(self, recipe: Mapping[str, object]) -> None:
        """Write run.json, or raise UserError when the folder holds another run."""
        path = self.out / "run.json"
        earlier = _read(path)
        if earlier is None:
            if path.exists():
                raise UserError(f"{path} is damaged: delete it, and {self.out / 'scores'} if another run may lie there")
            with atomic(path) as temporary:
                temporary.write_text(json.dumps(recipe, indent=1) + "\n", encoding="utf-8")
            return
        for part in recipe:
            if earlier.get(part) != recipe[part]:
                difference = _difference(earlier.get(part), recipe[part])
                raise UserError(f"{self.out} holds a run with other {part} ({difference}): "
                                "choose another `out`, or delete it")  # fmt: skip

    def tidy(self) -> None:
        """Delete what a killed run left half written."""
        for left in self.out.glob("*/*/.*"):
            left.unlink(missing_ok=True)

    def read(self, method: str, image: int) -> Record | None:
        """Return what was stored; None when the method must still explain the image."""
        return _read(self._path("scores", method, image, "json"))

    def write(self, record: Record) -> None:
        with atomic(self._path("scores", record["method"], record["image"], "json")) as temporary:
            temporary.write_text(json.dumps(record) + "\n", encoding="utf-8")

    def write_maps(self, kind: str, method: str, image: int, maps: np.ndarray) -> None:
        """Keep maps for the page, in half precision: kind is maps or sanity."""
        most = np.abs(maps).max(axis=(-2, -1), keepdims=True)  # gradients may be too small for half precision
        with atomic(self._path(kind, method, image, "npy")) as temporary, temporary.open("wb") as file:
            np.save(file, (maps / np.where(most > 0, most, 1)).astype(np.float16))

    def read_maps(self, kind: str, method: str, image: int) -> np.ndarray | None:
        """Return the maps as float32, each divided by its largest value; None where there are none."""
        path = self._path(kind, method, image, "npy")
        return np.load(path, allow_pickle=False).astype(np.float32) if path.exists() else None

    def records(self, methods: Sequence[str], images: Sequence[int]) -> dict[str, list[Record]]:
        """Return what is stored of each method, in the order of the images."""
        found = {method: [self.read(method, image) for image in images] for method in methods}
        return {method: [one for one in records if one is not None] for method, records in found.items()}

    def _path(self, kind: str, method: str, image: int, suffix: str) -> Path:
        return self.out / kind / method / f"{image:06d}.{suffix}"


def _read(path: Path) -> dict | None:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):  # not there, or damaged by a full disk: to be done again
        return None


def _difference(was: object, now: object) -> str:
    """Say in few words what was and is; of tables, only the entries that differ."""
    if isinstance(was, dict) and isinstance(now, dict):
        keys = [key for key in {**was, **now} if was.get(key, "absent") != now.get(key, "absent")]
        if all(key in was and key in now for key in keys):
            return f"{', '.join(keys)} with other options"
        was, now = (", ".join(key for key in keys if key in table) or "no others" for table in (was, now))
    return f"{was}, not {now}"
