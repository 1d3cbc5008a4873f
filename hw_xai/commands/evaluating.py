"""What `evaluate` evaluates: any model on any pictures, by methods of the catalog and by explanations to beat."""

import copy
import importlib
import inspect
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor, nn

from .. import __version__
from ..errors import UserError, nearest
from ..evaluate.randomize import blocks_of, randomized_models
from ..evaluate.scores import SCORES, Case, Found, measured, shown_blocks
from ..evaluate.similarity import edges
from ..explain import METHODS, superpixels
from ..explain.contract import Explainer, Model
from ..training import seed_of
from ..vision import lcam, models
from ..vision.food11 import Food11, split_folders
from ..vision.preprocess import INPUT_SIZE, preprocessing
from ..vision.synthetic import SyntheticFood11
from .evaluation_store import Store
from .explain import trained_lcam
from .explaining import Subject, counted, device

# Fewer passes than the methods' own defaults: 200 images by all methods shall not take an afternoon, and the mean over
# the images forgives some noise in each map. LIME and Shapley share regions so large that few samples tell them apart.
SEGMENTS = {"n_segments": 16, "compactness": 10.0}
OPTIONS: dict[str, dict[str, object]] = {
    "smooth_grad": {"n_samples": 16},
    "integrated_gradients": {"n_steps": 16},  # midpoint: a gap of a few per cent
    "occlusion": {"window": 32, "stride": 16},
    "rise": {"n_samples": 128},
    "lime": {"n_samples": 160},
    "shapley": {"n_samples": 130},
}
ADDS_UP = ("input_x_gradient", "integrated_gradients")  # Σ attribution = score(inputs) − score(black), or so they say
N_SHOWN = 8  # images whose maps are kept for the page
N_CALIBRATION = 16  # images on which BatchNorm is refitted when the model is randomized


@dataclass(frozen=True)
class Plan:
    """What is asked for: all that a worker process needs to know."""

    model: str
    data: str
    methods: tuple[str, ...]
    scores: tuple[str, ...]
    out: Path
    lcam: str | None = None
    seed: int = 0


# ------------------------------------------------------------------------------------------------ baselines, explainers


def noise(model: Model, inputs: Tensor, target: Tensor, *, seed: int = 0) -> Tensor:
    """Return random numbers: what says nothing at all. (N, 1, H, W)."""
    numbers = torch.rand((1, 1, *inputs.shape[2:]), generator=torch.Generator().manual_seed(seed)).to(inputs)
    return numbers.expand(len(inputs), -1, -1, -1)


@dataclass(frozen=True)
class Baseline:
    """An explanation that looks at no model: a method worth its passes must beat it."""

    title: str
    function: Explainer | None  # None: the true mask of the image
    signed: bool = False


BASELINES = {
    "random": Baseline("Random map", noise),
    "edges": Baseline("Edge detector", edges),
    "mask": Baseline("True mask", None),
}


def method_names(known_masks: bool = True) -> list[str]:
    """Return what can be evaluated: the explainers of the catalog and the baselines."""
    explainers = [name for name, method in METHODS.items() if method.explainer and method.locality == "local"]
    return explainers + [name for name in BASELINES if known_masks or name != "mask"]


def title_of(name: str) -> str:
    return (METHODS.get(name) or BASELINES[name]).title


def is_signed(name: str) -> bool:
    return (METHODS.get(name) or BASELINES[name]).signed


def chosen(option: str, names: str, known: Sequence[str]) -> tuple[str, ...]:
    """Return the names in "a,b,c", or all that are known for "all"; UserError for one that is not."""
    if names.strip().lower() == "all":
        return tuple(known)
    wished = dict.fromkeys(name.strip().lower().replace("-", "_") for name in names.split(",") if name.strip())
    for name in wished:
        if name not in known:
            raise UserError(f'{option} has no "{name}".{nearest(name, known)} There are: {", ".join(known)}')
    if not wished:
        raise UserError(f"{option} needs at least one name, or all. There are: {', '.join(known)}")
    return tuple(wished)


def options_of(name: str, seed: int) -> dict[str, object]:
    """Return the options by which a method is called, as far as JSON can tell them."""
    if name not in METHODS:
        return {"seed": seed} if name == "random" else {}
    known = inspect.signature(METHODS[name].function).parameters
    segments = {"segments": SEGMENTS} if "segments" in known else {}
    return OPTIONS.get(name, {}) | segments | ({"seed": seed} if "seed" in known else {})


# ----------------------------------------------------------------------------------------------------- model and images


def load_model(name: str) -> Model:
    """Return a shipped model, one of a weights file, or what package.module:function returns when called."""
    path, colon, attribute = name.partition(":")
    if not colon or Path(name).exists():
        return models.load(name).to(device())
    sys.path.insert(0, os.getcwd())  # a module beside the user, as `python -m` finds it
    try:
        made = getattr(importlib.import_module(path), attribute)()
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise UserError(f'--model {name} must name a function that returns a model, but: {error}') from error
    finally:
        sys.path.remove(os.getcwd())
    if not callable(made):
        raise UserError(f"--model {name} must return an nn.Module or another callable, got a {type(made).__name__}")
    return made.to(device()).eval() if isinstance(made, nn.Module) else made


def input_size(model: Model) -> int:
    return getattr(model, "input_size", INPUT_SIZE)


def class_name(model: Model, index: int) -> str:
    classes = getattr(model, "classes", ())
    return classes[index] if 0 <= index < len(classes) else str(index)


@dataclass(frozen=True)
class Pictures:
    """Pictures in the order in which they are taken; the first N are a fair sample of all."""

    order: Sequence[int]
    get: Callable[[int], Subject]
    known_masks: bool


def open_pictures(data: str, size: int) -> Pictures:
    """Return drawn dishes that no model was trained on for "synthetic", or the photos of a food-11 or other folder."""
    if data == "synthetic":
        dishes = SyntheticFood11(1_000_000, size, seed=1)

        def draw(i: int) -> Subject:
            dish = dishes.dish(i)
            return Subject(f"dish {i}", Image.fromarray(dish.image), dish.target, dish.mask)

        return Pictures(range(len(dishes)), draw, known_masks=True)
    if not Path(data).is_dir():
        choices = nearest(data, ("synthetic",)) or " Give synthetic, or the folder of food-11 or of photos"
        raise UserError(f'--data must be synthetic or a folder, but there is no "{data}".{choices}')
    photos = Food11(data, "validation" if "validation" in split_folders(data) else "photos")
    order = torch.randperm(len(photos), generator=torch.Generator().manual_seed(0)).tolist()

    def read(i: int) -> Subject:
        image, target = photos[i]
        return Subject(photos.paths[i].name, image, target)

    return Pictures(order, read, known_masks=False)


# ---------------------------------------------------------------------------------------------------------- evaluation


class Evaluator:
    """Explains pictures and judges the explanations; one in each process."""

    def __init__(self, plan: Plan):
        self.plan, self.store = plan, Store(plan.out)
        self.model = load_model(plan.model)
        self.pictures = open_pictures(plan.data, input_size(self.model))
        self.explainers = {name: self._explainer(name) for name in plan.methods if name != "mask"}

    def recipe(self) -> dict[str, object]:
        """Return all that decides the numbers, as JSON."""
        is_module = isinstance(self.model, nn.Module)
        return {
            "version": __version__,
            "model": self.plan.model,
            "weights": lcam.fingerprint(self.model) if is_module else "unknown",
            "data": self.plan.data,
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
            subject = self.pictures.get(image)
        except UserError as error:  # an unreadable photo
            for name in self.pending(place):
                self.store.write({"method": name, "image": image, "name": str(image), "error": str(error)})
                yield name
            return
        inputs = self._inputs(subject)
        with torch.no_grad():
            target = self.model(inputs).argmax(dim=1).cpu()  # (1,): the prediction is what is explained
        known = {
            "name": subject.name,
            "class": class_name(self.model, subject.target) if subject.target >= 0 else None,
            "predicted": class_name(self.model, int(target)),
        }
        for name in self.pending(place):
            record = {"method": name, "image": image, **known}
            try:
                self.store.write(record | self._judged(name, place, subject, inputs, target))
            except ValueError as error:  # a method that cannot explain this model, or a map that cannot be judged
                self.store.write(record | {"error": str(error)})
            yield name

    def _judged(self, name: str, place: int, subject: Subject, inputs: Tensor, target: Tensor) -> dict[str, object]:
        mask = None if subject.mask is None else torch.from_numpy(subject.mask)[None, None].to(inputs.device)
        explain = self.explainers.get(name) or (lambda model, inputs, target: mask.to(inputs))
        counting = place == 0 and isinstance(self.model, nn.Module)  # a hook makes the model slower
        start = time.process_time()
        with counted(self.model) if counting else nullcontext([]) as rows, warnings.catch_warnings():
            warnings.filterwarnings("ignore", "`n_samples`")  # few samples are meant: see OPTIONS
            attribution = explain(self.model, inputs, target)
            seconds = time.process_time() - start
        scores = [s for s in self.plan.scores if SCORES[s].first is None or place < SCORES[s].first]
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "`n_samples`")
            forgotten = self._forgotten(place) if "sanity" in scores and isinstance(self.model, nn.Module) else []
            case = Case(self.model, inputs, target, explain, attribution, mask, name in ADDS_UP, forgotten)
            found = measured(case, scores)
        self._keep_maps(name, place, attribution, found)
        if counting and name in METHODS:
            found.add("passes", sum(rows) + METHODS[name].passes(**options_of(name, 0)).backward)
        found.add("seconds", seconds)
        blocks = [block for block, _ in forgotten]
        return {"scores": found.numbers, "curves": found.curves, "blocks": blocks}

    def _keep_maps(self, name: str, place: int, attribution: Tensor, found: Found) -> None:
        image = self.pictures.order[place]
        if place < N_SHOWN:
            self.store.write_maps("maps", name, image, attribution[0].detach().float().sum(0).cpu().numpy())
        if found.maps is not None:
            self.store.write_maps("sanity", name, image, found.maps.float().cpu().numpy())

    def shown(self, image: int) -> Image.Image:
        """Return the picture as the model sees it."""
        return self.pictures.get(image).image.resize((input_size(self.model),) * 2)

    def _inputs(self, subject: Subject) -> Tensor:
        return preprocessing(input_size(self.model))(subject.image)[None].to(device())

    def _explainer(self, name: str) -> Explainer:
        if name not in METHODS:
            return partial(BASELINES[name].function, **options_of(name, self.plan.seed))
        options = options_of(name, self.plan.seed)
        if "segments" in options:
            options["segments"] = superpixels("slic", **SEGMENTS)
        if name == "lcam" and isinstance(self.model, nn.Module):
            options |= trained_lcam(self.model, self.plan.model, self.plan.lcam)
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
        return torch.cat([self._inputs(self.pictures.get(i)) for i in self.pictures.order[:N_CALIBRATION]])
