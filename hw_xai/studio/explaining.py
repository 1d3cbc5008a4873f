"""Maps of a scene by methods of the catalog, one after another; of long ones a first estimate comes early."""

import base64
import inspect
import time
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import UserError
from ..explain.catalog import METHODS
from ..studies.pictures import CANNOT, run_method, told, trained_lcam
from .controls import controls_of, read_options
from .jobs import Job
from .kept import Kept
from .models import Models
from .scene import Scene

ROWS = 8  # in one call of the network: so long takes a job to notice that nobody waits any more
FIRST = 100  # samples of the first estimate
MOST_METHODS = len(METHODS)

LOCAL = {name: method for name, method in METHODS.items() if method.locality == "local"}


@dataclass(frozen=True)
class Map:
    """One method's answer for a scene."""

    attribution: np.ndarray  # (C or 1, H, W), as the method gave it
    heatmap: np.ndarray  # (H, W) float32
    signed: bool
    seconds: float
    quality: Mapping[str, str]

    @property
    def bytes(self) -> int:
        return self.attribution.nbytes + self.heatmap.nbytes


Maps = Kept[Map]


def new_maps() -> Maps:
    """Return where the maps of all scenes are kept."""
    return Kept(400, 64 * 2**20, lambda found: found.bytes)


@dataclass(frozen=True)
class Asked:
    """A method with its options, as a page asks for them."""

    name: str
    options: Mapping[str, Any]  # those that are not left at their defaults

    @property
    def key(self) -> Hashable:
        return (self.name, tuple(sorted(self.options.items(), key=str)))


def read_methods(asked: Any, scene: Scene, models: Models) -> list[Asked]:
    """Return the methods that a page asks for: [{name, options}]; UserError where something is amiss."""
    if not isinstance(asked, list) or not 1 <= len(asked) <= MOST_METHODS:
        raise UserError(f"the methods must be a list of 1 to {MOST_METHODS}")
    return [read_method(one, scene, models) for one in asked]


def read_method(asked: Any, scene: Scene, models: Models) -> Asked:
    """Return one method that a page asks for: {name, options}."""
    name = asked.get("name") if isinstance(asked, Mapping) else None
    if name not in LOCAL:
        raise UserError(f"the method must be one of {', '.join(LOCAL)}")
    options = asked.get("options", {})
    if not isinstance(options, Mapping):
        raise UserError("the options must be an object")
    return Asked(name, read_options(name, options, models.layers(scene.model), scene.loaded.size))


def explain(job: Job, scene: Scene, methods: Sequence[Asked], maps: Maps) -> None:
    """Tell the maps of a scene one after another, those first that are known or need one pass."""
    waiting = sorted(methods, key=lambda asked: (maps.get(_key(scene, asked)) is None, _passes(scene, asked)))
    for asked in waiting:
        job.tell(event="begin", method=asked.name)
        try:
            for found, done in estimates(job, scene, asked, maps):
                cost = {"seconds": round(found.seconds, 3), "quality": dict(found.quality)}
                job.tell(event="map", method=asked.name, final=done, **cost, **as_json(found.heatmap, found.signed))
        except CANNOT as error:
            job.tell(event="failed", method=asked.name, sentence=told(error))
    job.tell(event="end", target=scene.target)


def estimates(job: Job, scene: Scene, asked: Asked, maps: Maps) -> Iterator[tuple[Map, bool]]:
    """Yield a method's map of a scene, after a first estimate where it takes long; with it, whether it is the last."""
    known = maps.get(_key(scene, asked))
    if known is not None:
        yield known, True
        return
    n_samples = samples_of(asked)
    if n_samples is not None and n_samples >= 4 * FIRST:
        first = Asked(asked.name, {**asked.options, "n_samples": FIRST})
        yield map_of(job, scene, first, maps), False
    yield map_of(job, scene, asked, maps), True


def samples_of(asked: Asked) -> int | None:
    """Return how many samples a method draws; None for one that draws none."""
    default = next((c.default for c in controls_of(METHODS[asked.name]) if c.name == "n_samples"), None)
    return asked.options.get("n_samples", default)


def map_of(job: Job, scene: Scene, asked: Asked, maps: Maps) -> Map:
    """Return a method's map of a scene, from what is kept or computed."""
    key = _key(scene, asked)
    known = maps.get(key)
    if known is not None:
        return known
    method, start = METHODS[asked.name], time.perf_counter()
    used: dict[str, Any] = {**asked.options, **own_options(scene, asked.name)}
    if "batch_size" in inspect.signature(method.function).parameters:
        used["batch_size"] = ROWS
    with job.progress(method=asked.name):
        attribution, _, quality = run_method(asked.name, scene.loaded.model, scene.inputs, scene.target, used)
    values = attribution[0].detach().float().cpu().numpy()  # (C or 1, H, W)
    heatmap = values.sum(0) if method.signed else values.max(0)
    found = Map(values, heatmap.astype(np.float32), method.signed, time.perf_counter() - start, quality)
    return maps.put(key, found)


def own_options(scene: Scene, method: str) -> dict[str, Any]:
    """Return the options that the network itself brings for a method: its trained L-CAM."""
    return trained_lcam(scene.loaded, None) if method == "lcam" else {}


def _key(scene: Scene, asked: Asked) -> Hashable:
    return (scene.key, scene.target, asked.key)


def _passes(scene: Scene, asked: Asked) -> int:
    try:
        return sum(METHODS[asked.name].passes(shape=(3, scene.loaded.size, scene.loaded.size), **asked.options))
    except (ValueError, TypeError, ZeroDivisionError):
        return 0


def as_json(heatmap: np.ndarray, signed: bool) -> dict[str, Any]:
    """Return a map as a page reads it: the numbers themselves, which the page scales and colours."""
    values = np.nan_to_num(heatmap, nan=0.0, posinf=0.0, neginf=0.0)
    packed = base64.b64encode(np.ascontiguousarray(values, "<f4").tobytes()).decode()
    return {"shape": list(values.shape), "values": packed, "signed": signed}
