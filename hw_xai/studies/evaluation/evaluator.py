"""One evaluation: its plan, and the evaluator that explains pictures and stores how good the explanations are."""

import copy
import time
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor, nn

from ... import __version__
from ...core.protocols import Explainer, Model
from ...errors import UserError
from ...evaluate.randomize import blocks_of, randomized_models
from ...evaluate.scores import SCORES, Case, Measurements, measured, shown_blocks
from ...explain import METHODS, superpixels
from ...models import load_model
from ...training.run import seed_of
from ...vision import lcam
from ..pictures import CANNOT, Picture, counted, told, trained_lcam
from .inputs import open_pictures
from .methods import ADDS_UP, BASELINES, BY_SIZE, SEGMENTS, options_of
from .store import Store

N_SHOWN = 8  # images whose maps are kept for the page
N_CALIBRATION = 16  # images on which BatchNorm is refitted when the model is randomized


@dataclass(frozen=True)
class EvaluationPlan:
    """What is asked for: all that a worker process needs to know."""

    model: str
    data: str
    methods: tuple[str, ...]
    scores: tuple[str, ...]
    out: Path
    lcam: str | None = None
    twin: str | None = None
    size: int | None = None  # side of the pictures, None for the model's own
    seed: int = 0
    device: str = "auto"
    weights: str | None = None
    classes: str | None = None
    normalize: str = "own"


class Evaluator:
    """Explains pictures and judges the explanations; one in each process."""

    def __init__(self, plan: EvaluationPlan):
        self.plan, self.store = plan, Store(plan.out)
        self.loaded = load_model(
            plan.model, device=plan.device, size=plan.size, weights=plan.weights, classes=plan.classes,
            normalize=plan.normalize,
        )  # fmt: skip
        self.model, self.size = self.loaded.model, self.loaded.size
        self.pictures = open_pictures(plan.data, self.size)
        self.twin = self._twin(plan.twin) if plan.twin else None
        self.explainers = {name: self._explainer(name) for name in plan.methods}

    def _twin(self, name: str) -> Model:
        twin = load_model(name, device=self.plan.device, size=self.size)
        n_classes = len(self.loaded.classes)
        if len(twin.classes) != n_classes:
            raise UserError(f"`twin` must tell the {n_classes} classes of the model apart, got {len(twin.classes)}")
        return twin.model

    def recipe(self) -> dict[str, object]:
        """Return all that decides the numbers, as JSON."""
        return {
            "version": __version__,
            "model": self.plan.model,
            "weights": lcam.fingerprint(self.model) if isinstance(self.model, nn.Module) else "unknown",
            "twin": self.plan.twin,
            "data": self.plan.data,
            "size": self.size,
            "pictures": len(self.pictures.order),
            "seed": self.plan.seed,
            "methods": {name: options_of(name, self.plan.seed) for name in self.plan.methods},
            "scores": {name: SCORES[name].options | {"first": SCORES[name].first} for name in self.plan.scores},
        }

    def pending(self, place: int) -> list[str]:
        """Return the methods that must still explain the picture at this place of the order."""
        image = self.pictures.order[place]
        return [name for name in self.plan.methods if self.store.read(name, image) is None]

    def evaluate(self, place: int) -> Iterator[str]:
        """Explain one picture by all methods that have not yet, store what comes of it, and yield each method."""
        image = self.pictures.order[place]
        try:
            picture = self.pictures.get(image)
        except UserError as error:  # an unreadable photo
            for name in self.pending(place):
                unread = {"name": self.pictures.name(image), "error": str(error), "unread": True}
                self.store.write({"method": name, "image": image} | unread)
                yield name
            return
        inputs = self._inputs(picture)
        with torch.no_grad():
            target = self.model(inputs).argmax(dim=1).cpu()  # (1,): the prediction is what is explained
        known = {
            "name": picture.name,
            "class": picture.true_class,
            "predicted": self.loaded.classes[int(target)],
        }
        for name in self.pending(place):
            record = {"method": name, "image": image, **known}
            try:
                self.store.write(record | self._judged(name, place, picture, inputs, target))
            except CANNOT as error:  # also a map that cannot be judged
                self.store.write(record | {"error": told(error)})
            yield name

    def _judged(self, name: str, place: int, picture: Picture, inputs: Tensor, target: Tensor) -> dict[str, object]:
        mask = None if picture.mask is None else torch.from_numpy(picture.mask)[None, None].to(inputs.device)
        explain = self.explainers[name] or partial(_true_mask, mask)
        counting = place == 0 and isinstance(self.model, nn.Module)  # a hook makes the model slower
        counter: AbstractContextManager[list[int]] = counted(self.loaded.module) if counting else nullcontext([])
        start = time.process_time()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "`n_samples`")  # few samples are meant: see OPTIONS
            with counter as rows:
                attribution = explain(self.model, inputs, target)
                seconds = time.process_time() - start
            scores = [s for s in self.plan.scores if (first := SCORES[s].first) is None or place < first]
            forgotten = self._forgotten(place) if "sanity" in scores and isinstance(self.model, nn.Module) else []
            case = Case(
                self.model, inputs, target, explain, attribution, mask, by_size=name in BY_SIZE,
                adds_up=name in ADDS_UP, forgotten=forgotten, twin=self.twin,
            )  # fmt: skip
            found = measured(case, scores)
        self._keep_maps(name, place, attribution, found)
        if counting and name in METHODS:
            found.add("passes", sum(rows) + METHODS[name].passes(**options_of(name, 0)).backward)
        else:  # the first picture bears the cost of counting, and of all that is imported when it is first needed
            found.add("seconds", seconds)
        blocks = [block for block, _ in forgotten]
        return {"scores": found.numbers, "curves": found.curves, "blocks": blocks}

    def _keep_maps(self, name: str, place: int, attribution: Tensor, found: Measurements) -> None:
        image = self.pictures.order[place]
        if place < N_SHOWN:
            self.store.write_maps("maps", name, image, attribution[0].detach().float().sum(0).cpu().numpy())
        if found.maps is not None:
            self.store.write_maps("sanity", name, image, found.maps.float().cpu().numpy())

    def shown(self, image: int) -> Image.Image:
        """Return the picture as the model sees it."""
        return self.pictures.get(image).image.resize((self.size,) * 2)

    def _inputs(self, picture: Picture) -> Tensor:
        return self.loaded.inputs(picture.image)

    def _explainer(self, name: str) -> Explainer | None:
        """Return a method with its options; None for the one that is every picture's own mask."""
        options = options_of(name, self.plan.seed)
        if name not in METHODS:
            baseline = BASELINES[name].function
            return baseline and partial(baseline, **options)
        if "segments" in options:
            options["segments"] = superpixels("slic", **SEGMENTS)
        if name == "lcam" and isinstance(self.model, nn.Module):
            options |= trained_lcam(self.loaded, self.plan.lcam)
        return partial(METHODS[name].function, **options)

    def _forgotten(self, place: int) -> list[tuple[str, Model]]:
        """Return the model randomized from the output down to some of its blocks, anew for every picture.

        So the spread over the pictures is the spread over seeds as well.
        """
        if self._randomized[0] != place:
            self._randomized = place, list(self._randomize(seed_of(self.plan.seed, place)))
        return self._randomized[1]

    _randomized: tuple[int, list[tuple[str, Model]]] = (-1, [])

    def _randomize(self, seed: int) -> Iterator[tuple[str, Model]]:
        shown = shown_blocks(blocks_of(self.model))
        for block, model in randomized_models(self.model, self._calibration, seed=seed):
            if block in shown:
                yield block, copy.deepcopy(model)

    @cached_property
    def _calibration(self) -> Tensor:
        found = []
        for image in self.pictures.order[:N_CALIBRATION]:
            with suppress(UserError):  # an unreadable photo has a record that says so
                found.append(self._inputs(self.pictures.get(image)))
        if not found:
            raise UserError("`data` must hold photos that can be read, but of the first ones none can")
        return torch.cat(found)


def _true_mask(mask: Tensor | None, model: Model, inputs: Tensor, target: Tensor) -> Tensor:
    """Return the mask (1, 1, H, W) of a picture as the explanation that points at all of the food and nothing else."""
    if mask is None:
        raise ValueError("`data` must come with true masks for the method mask, got a picture without one")
    return mask.to(inputs)
