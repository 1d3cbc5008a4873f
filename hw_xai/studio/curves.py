"""Is the open map any good? The curves of deletion and insertion, coarse ones first."""

import torch

from ..evaluate import area_under, deletion, insertion
from .explaining import ROWS, Asked, Maps, map_of
from .jobs import Job
from .scene import Scene

STEPS = (4, 20)  # of a first curve, and of the one that counts


def tell_curves(job: Job, scene: Scene, asked: Asked, maps: Maps) -> None:
    """Tell the curves of a map: the probability of the class while its places are hidden, or shown, largest first."""
    attribution = torch.from_numpy(map_of(job, scene, asked, maps).attribution)[None].to(scene.inputs)
    if attribution.shape[2:] != scene.inputs.shape[2:]:
        attribution = torch.nn.functional.interpolate(attribution, scene.inputs.shape[2:], mode="bilinear")
    for n_steps in STEPS:
        for name, curve_of in (("deletion", deletion), ("insertion", insertion)):
            with job.progress(curve=name):
                curve = curve_of(
                    scene.loaded.model, scene.inputs, attribution, scene.target, n_steps=n_steps, batch_size=ROWS
                )
            area = float(area_under(curve)[0])
            job.tell(event="curve", name=name, values=curve[0].tolist(), area=area, final=n_steps == STEPS[-1])
    job.tell(event="end")
