"""What a network says of a scene, and the regions that can be hidden by a click."""

from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from ..core.model import as_probabilities, meaning_of
from ..explain.surrogate import as_regions
from ..show.frame.images import data_uri, encoded, to_rgb
from ..show.frame.packing import packed
from .scene import Scene

MOST_SHOWN = 12  # classes


def predict(scene: Scene) -> dict[str, Any]:
    """Return the likeliest classes with their probabilities, the class that is explained, and what the network sees."""
    scores = scene.scores[None]
    probabilities = as_probabilities(scores, meaning_of(scene.loaded.model, scores, "auto"))[0]
    order = probabilities.argsort(descending=True).tolist()
    shown = order[:MOST_SHOWN]
    shown += [] if scene.target in shown else [scene.target]
    return {
        "target": scene.target,
        "predicted": order[0],
        "score": float(scene.scores[scene.target]),
        "classes": [
            {"index": i, "name": scene.loaded.classes[i], "p": float(probabilities[i]), "score": float(scene.scores[i])}
            for i in shown
        ],
        "seen": seen(scene) if len(scene.paint.fills) else None,
    }


def seen(scene: Scene) -> str:
    """Return what the network sees as the data URI of a PNG."""
    return png_uri(pixels_of(scene.inputs))


def png_uri(pixels: np.ndarray) -> str:
    """Return a picture (H, W, 3) uint8 as the data URI of a PNG."""
    return data_uri(encoded(Image.fromarray(pixels), "PNG"), "PNG")


def pixels_of(inputs: Tensor) -> np.ndarray:
    """Return inputs (1, 3, H, W) in [0, 1] as a picture (H, W, 3) uint8."""
    return to_rgb(inputs[0].float())


def regions(scene: Scene) -> dict[str, Any]:
    """Return the superpixels of the picture without its paint: those that LIME and Shapley values have by default."""
    (found,) = as_regions(None, scene.loaded.inputs(scene.picture.image).cpu())
    values = found[0, 0].numpy()
    return {"side": len(values), "n": int(values.max()) + 1, "regions": packed(values.astype(np.uint16))}
