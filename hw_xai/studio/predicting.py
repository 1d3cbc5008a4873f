"""What a network says of a scene, and the regions that can be hidden by a click."""

import io
from typing import Any

import numpy as np
from PIL import Image

from ..core.model import as_probabilities, meaning_of
from ..explain.surrogate import as_regions
from ..show.frame.images import data_uri
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
    return png_uri((scene.inputs[0].clamp(0, 1) * 255).round().byte().permute(1, 2, 0).cpu().numpy())


def png_uri(pixels: np.ndarray) -> str:
    """Return a picture (H, W, 3) uint8 as the data URI of a PNG."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return data_uri(stream.getvalue(), "PNG")


def regions(scene: Scene) -> dict[str, Any]:
    """Return the superpixels of the picture without its paint: those that LIME and Shapley values have by default."""
    (found,) = as_regions(None, scene.loaded.inputs(scene.picture.image).cpu())
    values = found[0, 0].numpy()
    return {"side": len(values), "n": int(values.max()) + 1, "regions": packed(values.astype(np.uint16))}
