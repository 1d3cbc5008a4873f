"""Does an explanation depend on what the model has learned? It must change when the model forgets.

`randomization` and `label_randomization` compare the maps of the model with those of one that has forgotten, and yield
one small record for each method and seed; `curves` averages the records, `verdict` says in words what they show.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

import torch
from torch import Tensor

from ..core.arguments import described
from ..core.batches import BATCH_SIZE, explaining
from ..core.model import known_target
from ..core.protocols import Explainer, Model, Target
from .randomize import Mode, Normalization, randomized_models
from .similarity import MEASURES, similarity
from .statistics import with_nan

Forgetting = Mode | Literal["labels"]  # how a model forgot, by its parameters or by what it was taught
Number = float | None  # None where a similarity is not defined: JSON knows no NaN


@dataclass(frozen=True)
class Comparison:
    """How alike the maps of one method are before and after the model forgot. Names and numbers only, to be JSON."""

    method: str
    mode: Forgetting
    seed: int
    blocks: list[str]  # in the order in which they were randomized; ["labels"] for a model of permuted labels
    similarity: dict[str, list[list[Number]]]  # measure -> inputs × blocks


def randomization(
    methods: Mapping[str, Explainer],
    model: Model,
    inputs: Tensor,
    target: Target = None,
    *,
    blocks: Sequence[str] | None = None,
    mode: Mode = "cascading",
    normalization: Normalization = "refit",
    calibration: Tensor | None = None,
    seeds: Iterable[int] = (0, 1, 2),
) -> Iterator[Comparison]:
    """Yield how each method's maps change when the model's parameters are randomized: all methods, seed by seed.

    inputs (N, C, H, W). The target is kept: where it is None, the class that the trained model predicts. An explainer's
    layer must be given by its path, which a copy of the model has too. For blocks, mode and normalization see
    `randomized_models`. calibration: inputs that BatchNorm is refitted on, None for `inputs` themselves; give the same
    to every call when the pictures come in several.
    """
    _check_methods(methods)
    if isinstance(seeds, int | str):
        raise ValueError(f"`seeds` must be a list of whole numbers, got {described(seeds)}")
    target = predicted(model, inputs, target)
    known = inputs if calibration is None else calibration
    originals = {name: explain(model, inputs, target) for name, explain in methods.items()}
    for seed in seeds:
        alike: dict[str, dict[str, dict[str, Tensor]]] = {name: {} for name in methods}
        forgetting = randomized_models(model, known, blocks, mode=mode, normalization=normalization, seed=seed)
        for block, changed in forgetting:  # outside the methods: refitting costs as much as a gradient
            for name, explain in methods.items():
                alike[name][block] = similarity(originals[name], explain(changed, inputs, target))
        for name in methods:
            yield _comparison(name, mode, seed, alike[name])


def randomized_maps(
    explain: Explainer,
    model: Model,
    inputs: Tensor,
    target: Target = None,
    *,
    blocks: Sequence[str] | None = None,
    mode: Mode = "cascading",
    normalization: Normalization = "refit",
    calibration: Tensor | None = None,
    seed: int = 0,
) -> Iterator[tuple[str, Tensor]]:
    """Yield (block, maps (N, ...)) of each randomized model: what `randomization` measures, to be looked at."""
    target = predicted(model, inputs, target)
    known = inputs if calibration is None else calibration
    forgetting = randomized_models(model, known, blocks, mode=mode, normalization=normalization, seed=seed)
    for block, changed in forgetting:
        yield block, explain(changed, inputs, target)


def label_randomization(
    methods: Mapping[str, Explainer],
    model: Model,
    twin: Model,
    inputs: Tensor,
    target: Target = None,
    *,
    seed: int = 0,
) -> Iterator[Comparison]:
    """Yield how each method's maps differ from those of the twin: the same network trained on permuted labels.

    The twin must have learned its labels by heart, 95 % of them or more, or it is just a model that has learned little.
    seed: the one the twin was trained with, for the record.
    """
    _check_methods(methods)
    target = predicted(model, inputs, target)
    for name, explain in methods.items():
        alike = {"labels": similarity(explain(model, inputs, target), explain(twin, inputs, target))}
        yield _comparison(name, "labels", seed, alike)


def predicted(model: Model, inputs: Tensor, target: Target = None) -> Tensor:
    """Return target (N,); where it is None, the class that the model predicts."""
    with explaining(model, inputs, target, BATCH_SIZE) as chunks:
        return torch.cat([known_target(model, x, t) for x, t in chunks])


def _check_methods(methods: object) -> None:
    if not isinstance(methods, Mapping) or not methods or not all(map(callable, methods.values())):
        expected = "a mapping of names to explainers f(model, inputs, target)"
        raise ValueError(f"`methods` must be {expected}, got {described(methods)}")


def _comparison(method: str, mode: Forgetting, seed: int, alike: Mapping[str, Mapping[str, Tensor]]) -> Comparison:
    table = {measure: torch.stack([alike[block][measure] for block in alike], dim=1) for measure in MEASURES}
    as_lists = {measure: [_numbers(row) for row in values] for measure, values in table.items()}
    return Comparison(method, mode, seed, list(alike), as_lists)


def _numbers(values: Tensor) -> list[Number]:
    return [None if value != value else value for value in values.tolist()]


# -------------------------------------------------------------------------------------------------------------- curves


@dataclass(frozen=True)
class Curve:
    """The mean similarity after each block over all inputs and seeds, and its standard deviation."""

    method: str
    mode: Forgetting
    blocks: list[str]
    mean: dict[str, list[Number]]  # measure -> blocks
    spread: dict[str, list[Number]]  # measure -> blocks
    n: int  # maps behind each mean, inputs × seeds; those without a similarity are left out


def curves(comparisons: Iterable[Comparison]) -> list[Curve]:
    """Average the comparisons of each method and mode, in order of their names; of any inputs and seeds."""

    def group(one: Comparison) -> tuple:
        return one.method, one.mode, one.blocks

    found = list(comparisons)
    if not all(isinstance(one, Comparison) for one in found):
        raise ValueError("`comparisons` must be what `randomization` and its like yield, got something else")
    return [_averaged(list(same)) for _, same in groupby(sorted(found, key=group), group)]


def _averaged(same: list[Comparison]) -> Curve:
    mean, spread, first = {}, {}, same[0]
    for measure in MEASURES:
        values = with_nan([row for c in same for row in c.similarity[measure]])  # (inputs · seeds, blocks)
        mean[measure] = _numbers(values.nanmean(dim=0))
        spread[measure] = _numbers((values - values.nanmean(dim=0)).square().nanmean(dim=0).sqrt())
    return Curve(first.method, first.mode, first.blocks, mean, spread, len(values))


# ------------------------------------------------------------------------------------------------------------- verdict

# similarities: 1 is the same map, 0 has nothing in common with it
SAME = 0.99  # ranks from here on, with all blocks randomized: the model plays no part
KEPT = 0.5  # from here on the map is still more like the trained model's than not; gradients come to about 0

Kind = Literal["no map", "ignores the model", "shows the picture", "keeps the edges", "depends on the model"]

SENTENCES: dict[Kind, str] = {
    "no map": "Gives no map that could be compared: all are constant or not finite.",
    "ignores the model": "Does not change when the whole model is randomized: explains the picture, not the model.",
    "shows the picture": "Changes little when the top layers are randomized, the ones that know the classes: mostly "
    "shows what the filters like in the picture.",
    "keeps the edges": "Still looks alike when the whole model is randomized, though what speaks for and against does "
    "not: the eye cannot tell such maps from good ones, its signs can.",
    "depends on the model": "Changes when the model is randomized: may be trusted to depend on what was learned.",
}


@dataclass(frozen=True)
class SanityVerdict:
    """What the curve of one method says to a student, and the numbers that decided."""

    method: str
    kind: Kind
    sentence: str
    top: dict[str, Number]  # measure -> similarity with the top third of the blocks randomized
    end: dict[str, Number]  # measure -> similarity with all of them randomized


def verdict(curve: Curve) -> SanityVerdict:
    """Judge a method by its curve under cascading randomization of the whole model.

    In turn: all ranks at the end at least SAME; the signed rank after the top third of the blocks at least KEPT; one of
    the absolute measures at the end at least KEPT; none of these.
    """
    if curve.mode != "cascading":
        raise ValueError(f'`curve` must be of mode "cascading" for a verdict, got "{curve.mode}"')
    third = -(-len(curve.blocks) // 3)
    top = {measure: values[third - 1] for measure, values in curve.mean.items()}
    end = {measure: values[-1] for measure, values in curve.mean.items()}
    kind = _kind(top, end)
    return SanityVerdict(curve.method, kind, SENTENCES[kind], top, end)


def _kind(top: dict[str, Number], end: dict[str, Number]) -> Kind:
    after_top, after_all = _defined(top), _defined(end)
    if after_top.keys() < top.keys() or after_all.keys() < end.keys():
        return "no map"
    if min(after_all["rank"], after_all["rank_absolute"]) >= SAME:
        return "ignores the model"
    if after_top["rank"] >= KEPT:
        return "shows the picture"
    if max(after_all["rank_absolute"], after_all["ssim"], after_all["hog"]) >= KEPT:
        return "keeps the edges"
    return "depends on the model"


def _defined(similarities: Mapping[str, Number]) -> dict[str, float]:
    return {measure: value for measure, value in similarities.items() if value is not None}
