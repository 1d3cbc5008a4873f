"""What is taken away from the studio: the Python that makes the same figure, one page, a picture, the raw arrays."""

import io
import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..explain.catalog import METHODS
from ..show import Item, Tile, overlay, write_gallery
from ..show.frame.images import encoded
from ..studies.pictures import CANNOT, at_most
from ..vision.food11.layout import SHIPPED_PHOTOS
from .explaining import Asked, Map, Maps, map_of
from .jobs import Job
from .models import Models
from .predicting import pixels_of, predict
from .scene import DISH_SEED, DISH_SIDE, N_DISHES, SHOWN_SIDE, Scene

INTRO = (
    "Taken from the studio of hw_xai. Each method answers in its own way why the network gave this class its score; "
    "what was painted over stays painted over."
)


def python_of(scene: Scene, asked: Asked, models: Models) -> str:
    """Return a program that makes the same map, by public names, and draws it.

    It reads the photo under its own name and, where something is painted over, the masks from the arrays that are kept
    beside it.
    """
    name, method = asked.name, METHODS[asked.name]
    uses = {"hw_xai.explain": {name}, "hw_xai.models": {"load_model"}, "hw_xai.show": {"heatmap", "save_png"}}
    lines: list[str] = []

    given = {"source": scene.model, **models.asked(scene.model)}
    source = repr(given.pop("source"))
    lines.append(f"loaded = load_model({_call([source], given)})")

    if scene.picture.photo is not None:
        uses["hw_xai.vision"] = {"find_photos", "read_photo"}
        lines.append(f'image = read_photo(find_photos("{SHIPPED_PHOTOS}")[{scene.picture.photo}])')
    elif scene.picture.dish is None:
        uses["hw_xai.vision"] = {"read_photo"}
        lines.append(f'image = read_photo("{scene.picture.name}.jpg")  # the photo that was opened')
    else:
        uses["hw_xai.vision.dishes.synthetic"] = {"SyntheticFood11"}
        dishes = f"SyntheticFood11({N_DISHES}, size={DISH_SIDE}, seed={DISH_SEED})"
        lines.append(f"image, _ = {dishes}[{scene.picture.dish}]")
    lines.append(f"inputs = loaded.inputs(image)  # (1, 3, {scene.loaded.size}, {scene.loaded.size}) in [0, 1]")
    imports = ""
    if scene.paint.fills:
        uses["hw_xai.studies.painting"] = {"painted"}
        imports = "import numpy as np\nimport torch\n\n"
        lines.append(f'masks = torch.from_numpy(np.load("{scene.picture.name}.npz")["paint"])  # the arrays kept')
        lines.append(f"inputs = painted(inputs, masks, {scene.paint.values!r})")
    model = "loaded.model"
    if scene.n_randomized:
        imports = imports or "import torch\n\n"
        uses["hw_xai.evaluate.randomize"] = {"blocks_of", "randomized_models"}
        uses["hw_xai.vision.dishes.synthetic"] = {"SyntheticFood11"}
        dishes = f"SyntheticFood11({N_DISHES}, size=loaded.size)"
        lines.append(f"typical = torch.cat([loaded.inputs(dish) for dish, _ in {dishes}])")
        blocks = f"blocks_of(loaded.module)[:{scene.n_randomized}]"
        lines.append(f"*_, (_, model) = randomized_models(loaded.module, typical, {blocks})")
        model = "model"

    options: dict[str, Any] = dict(asked.options)
    arguments = [model, "inputs"] + ([str(scene.target)] if method.explainer else [])
    if not method.explainer:
        uses["hw_xai.studies.pictures"] = {"strongest_channel"}
        layer = options.get("layer")
        lines.append(f"channel = strongest_channel({model}, inputs, {layer!r})")
        arguments.append("channel=channel")
    if name == "lcam":
        uses["hw_xai.studies.pictures"] = {"trained_lcam"}
        arguments.append("**trained_lcam(loaded, None)")
    lines.append(f"attribution = {name}({_call(arguments, options)})  # why {scene.loaded.classes[scene.target]}")
    title = json.dumps(f"{method.title}: {scene.loaded.classes[scene.target]}", ensure_ascii=False)
    lines.append(f'save_png(heatmap(inputs[0], attribution[0], {title}), "{name}.png")')
    imported = [f"from {module} import {', '.join(sorted(names))}" for module, names in sorted(uses.items())]
    return imports + "\n".join(imported) + "\n\n" + "\n".join(lines) + "\n"


def _call(arguments: Sequence[str], keywords: Mapping[str, Any]) -> str:
    stars = [argument for argument in arguments if argument.startswith("**")]
    plain = [argument for argument in arguments if not argument.startswith("**")]
    return ", ".join([*plain, *(f"{key}={value!r}" for key, value in keywords.items()), *stars])


def arrays(job: Job, scene: Scene, methods: Sequence[Asked], maps: Maps) -> bytes:
    """Return an .npz of what is on the screen: inputs, scores, paint, and each map under its method's name."""
    found: dict[str, Any] = {asked.name: map_of(job, scene, asked, maps).attribution for asked in methods}
    stream = io.BytesIO()
    np.savez_compressed(
        stream,
        inputs=scene.inputs[0].cpu().numpy(),
        scores=scene.scores.numpy(),
        target=np.array(scene.target),
        paint=scene.paint.masks.numpy(),
        **found,
    )
    return stream.getvalue()


def page(job: Job, scenes: Sequence[Scene], methods: Sequence[Asked], maps: Maps) -> bytes:
    """Return one HTML page that asks no network for anything: a row for each network that looks at the picture."""
    items = [_item(job, scene, methods, maps) for scene in scenes]
    with tempfile.TemporaryDirectory() as folder:  # the page's writer knows files only
        written = write_gallery(Path(folder) / "page.html", scenes[0].picture.name, INTRO, items)
        return written.read_bytes()


def _item(job: Job, scene: Scene, methods: Sequence[Asked], maps: Maps) -> Item:
    said = predict(scene)
    name = f"{scene.picture.name}, {scene.model}"
    name += f", {scene.n_randomized} blocks randomized" if scene.n_randomized else ""
    tiles = []
    for asked in methods:
        method = METHODS[asked.name]
        settings = ", ".join(f"{key}={value}" for key, value in asked.options.items())
        try:
            found = map_of(job, scene, asked, maps)
        except CANNOT as error:
            tiles.append(Tile(asked.name, method.title, None, method.signed, error=str(error)))
            continue
        details = {"explained class": scene.loaded.classes[scene.target], **found.quality, "paper": method.paper}
        tiles.append(Tile(asked.name, method.title, found.heatmap, found.signed, method.use, settings, details))
    return Item(
        name=name,
        image=shown(scene),
        prediction=scene.loaded.classes[said["predicted"]],
        probabilities=[(one["name"], one["p"]) for one in said["classes"][:3]],
        true_class=scene.picture.true_class,
        tiles=tiles,
    )


def picture(scene: Scene, found: Map) -> bytes:
    """Return a map over its picture as a PNG."""
    image = shown(scene)
    pixels = overlay(image, stretched(found.heatmap, image.shape[:2]), found.signed)
    return encoded(Image.fromarray(pixels), "PNG")


def shown(scene: Scene) -> np.ndarray:
    """Return the picture as people see it (H, W, 3) uint8: itself, or with its paint as the network sees it."""
    image = at_most(scene.picture.image, SHOWN_SIDE)
    if scene.paint.fills:
        image = Image.fromarray(pixels_of(scene.inputs)).resize(image.size, Image.Resampling.BILINEAR)
    return np.asarray(image)


def stretched(heatmap: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Return a map stretched to (H, W), bilinearly."""
    return np.asarray(Image.fromarray(heatmap.astype(np.float32)).resize(shape[::-1], Image.Resampling.BILINEAR))
