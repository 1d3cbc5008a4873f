"""How a method comes about, frame by frame; the last frame is the method's own map."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..core.model import score_of_target
from ..core.randomness import gaussian
from ..errors import UserError
from ..explain import METHODS, gradient
from ..explain.fills import as_fills
from ..explain.gradients import as_baselines, path_rule, value_range
from ..explain.perturbation import mean_over_windows, window_covers, windows_at
from ..explain.surrogate import as_regions, region_means, region_subsets
from ..show import overlay
from ..show.frame.images import encoded
from ..studies.pictures import at_most
from .explaining import ROWS, Asked, Maps, as_json, map_of, samples_of
from .jobs import Job
from .keeping import shown, stretched
from .predicting import pixels_of, png_uri
from .scene import Scene

MOST = 30  # frames of a path, a walk
GIF_SIDE, GIF_MS = 320, 180


@dataclass(frozen=True)
class Frame:
    """One step: what the network looks at, the map so far, and where on a curve it is."""

    label: str
    heatmap: np.ndarray  # (H, W)
    signed: bool
    seen: np.ndarray | None = None  # (H, W, 3) uint8
    point: tuple[float, float] | None = None


def has_frames(name: str) -> bool:
    """Whether a method comes about in steps that can be shown."""
    return name in WALKS or samples_of(Asked(name, {})) is not None


def frames(job: Job, scene: Scene, asked: Asked, maps: Maps) -> Iterator[Frame]:
    """Yield the frames of a method for a scene; UserError for one that comes about in one step."""
    n_samples = samples_of(asked)
    if asked.name in WALKS:
        yield from WALKS[asked.name](job, scene, asked)
    elif n_samples is not None:
        yield from _growing(job, scene, asked, n_samples, maps)
    else:
        raise UserError(f"{METHODS[asked.name].title} comes about in one step: there is nothing to watch")


def tell_frames(job: Job, scene: Scene, asked: Asked, maps: Maps) -> None:
    """Tell the frames of a method as they are computed."""
    for frame in frames(job, scene, asked, maps):
        values = np.ascontiguousarray(frame.heatmap, "<f4")
        seen = None if frame.seen is None else png_uri(frame.seen)
        job.tell(event="frame", label=frame.label, seen=seen, point=frame.point, **as_json(values, frame.signed))
    job.tell(event="end")


def gif(job: Job, scene: Scene, asked: Asked, maps: Maps) -> bytes:
    """Return the frames of a method as a GIF: what the network looks at, and the map so far over the picture."""
    photo = at_most(Image.fromarray(shown(scene)), GIF_SIDE)
    drawn = []
    for frame in frames(job, scene, asked, maps):
        left = photo if frame.seen is None else Image.fromarray(frame.seen).resize(photo.size)
        right = overlay(np.asarray(photo), stretched(frame.heatmap, photo.size[::-1]), frame.signed)
        both = np.concatenate([np.asarray(left), right], axis=1)
        drawn.append(Image.fromarray(both).quantize(256))
    lasting = [GIF_MS] * (len(drawn) - 1) + [1500]
    return encoded(drawn[0], "GIF", save_all=True, append_images=drawn[1:], duration=lasting, loop=0)


# -------------------------------------------------------------------------------------------------------------- kinds


def _growing(job: Job, scene: Scene, asked: Asked, n_samples: int, maps: Maps) -> Iterator[Frame]:
    """The method with 1/64 of its samples, 1/32, … all of them: with one seed the first draws are the same."""
    for n in sorted({n_samples >> k for k in range(7)} - {0, 1} | ({1} if asked.name == "smooth_grad" else set())):
        part = Asked(asked.name, {**asked.options, "n_samples": n})
        found = map_of(job, scene, asked if n == n_samples else part, maps)
        sample = SAMPLES.get(asked.name)
        seen = None if sample is None else pixels_of(sample(scene.inputs.cpu(), n, asked.options))
        yield Frame(f"n = {n}", found.heatmap, found.signed, seen)


def _noisy(x: Tensor, n: int, options: Mapping[str, Any]) -> Tensor:
    """Return the last of SmoothGrad's n noisy copies."""
    *_, noise = gaussian(x, n, options.get("seed", 0))
    return x + options.get("noise_level", 0.15) * value_range(x) * noise


def _with_regions(x: Tensor, n: int, options: Mapping[str, Any]) -> Tensor:
    """Return the last of LIME's n samples."""
    (regions,) = as_regions(None, x)
    shows = region_subsets(n, int(regions.max()) + 1, options.get("seed", 0))[-1]
    return torch.where(shows[regions], x, region_means(x, regions))


SAMPLES = {"smooth_grad": _noisy, "lime": _with_regions}


@torch.no_grad()
def _path(job: Job, scene: Scene, asked: Asked) -> Iterator[Frame]:
    """Integrated gradients: the picture fades in from the baseline, and the gradients on the way add up."""
    x, target, options = scene.inputs, scene.target, asked.options
    alphas, weights = path_rule(options.get("method", "midpoint"), options.get("n_steps", 50))
    (baseline,) = as_baselines(options.get("baselines"), x)
    total, each = torch.zeros_like(x), math.ceil(len(alphas) / MOST)
    wanted = torch.tensor([target])
    for start in range(0, len(alphas), each):
        job.check()
        some = alphas[start : start + each]
        points = torch.cat([baseline + alpha * (x - baseline) for alpha in some])
        slopes = gradient(scene.loaded.model, points, target, batch_size=ROWS)
        total += torch.tensordot(slopes.new_tensor(weights[start : start + each]), slopes, dims=1)[None]
        score = score_of_target(scene.loaded.model, points[-1:], wanted)
        heatmap = ((x - baseline) * total)[0].sum(0).cpu().numpy()
        yield Frame(f"α = {some[-1]:.2f}", heatmap, True, pixels_of(points[-1:]), (some[-1], float(score)))


@torch.no_grad()
def _walk(job: Job, scene: Scene, asked: Asked) -> Iterator[Frame]:
    """Occlusion: a window walks over the picture, row by row, and what the score loses is noted down."""
    x, options = scene.inputs, asked.options
    covers = window_covers(x.shape[1:], options.get("window", 16), options.get("stride", 8))
    (fill,) = as_fills(options.get("fill", "zero"), x)
    rows, columns = (len(cover) for cover in covers)
    wanted = torch.tensor([scene.target])
    whole = score_of_target(scene.loaded.model, x, wanted)
    drops = torch.zeros(rows, columns)
    each = math.ceil(rows * columns / MOST)
    for start in range(0, rows * columns, each):
        chunk = range(start, min(start + each, rows * columns))
        for part in (range(i, min(i + ROWS, chunk.stop)) for i in range(chunk.start, chunk.stop, ROWS)):
            job.check()
            mask = windows_at(covers, part)[:, None].to(x.device)
            masked = torch.where(mask, fill(mask), x)
            scores = score_of_target(scene.loaded.model, masked, wanted.expand(len(part)))
            drops.view(-1)[part.start : part.stop] = (whole - scores).float().cpu()
        heatmap = mean_over_windows(drops, covers).numpy()
        yield Frame(f"{chunk.stop} / {rows * columns}", heatmap, True, pixels_of(masked[-1:]))


WALKS = {"integrated_gradients": _path, "occlusion": _walk}
