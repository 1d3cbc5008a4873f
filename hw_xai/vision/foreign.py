"""Networks from elsewhere: torchvision's and timm's architectures with a file of weights, Hugging Face's classifiers.

Each becomes one module that takes pictures in [0, 1], with the normalization it was trained with as its first layer.
No code that comes with a model is run: files are read as tensors only, or as the classes of the named architecture.
"""

import importlib.util
import json
import pickle
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torchvision
from torch import Tensor, nn

from ..errors import UserError, how_to_add, nearest
from . import imagenet
from .networks import IMAGENET_MEAN, IMAGENET_STD, Normalize, check_fits, read_tensors

_WRAPPINGS = ("model_state_dict", "state_dict", "model", "net", "ema")  # where training scripts put the weights
_NORMALIZATIONS = ("own", "none")


@dataclass(frozen=True)
class Foreign:
    """A network in eval mode, the side of its pictures, and the names of its classes where it knows them."""

    model: nn.Module
    size: int
    classes: tuple[str, ...] | None = None


class Normalized(nn.Module):
    """A network behind its normalization: pictures (N, 3, H, W) in [0, 1] -> scores (N, C)."""

    def __init__(self, net: nn.Module, mean: Sequence[float], std: Sequence[float]):
        super().__init__()
        self.normalize, self.net = Normalize(mean, std), net

    def forward(self, inputs: Tensor) -> Tensor:
        outputs = self.net(self.normalize(inputs))
        return getattr(outputs, "logits", outputs)


def class_names(classes: str | Path | Sequence[str] | None, n: int) -> tuple[str, ...]:
    """Return the names of n classes: a sequence, "a,b,c", or a file with one a line or as JSON.

    None: ImageNet's for a thousand classes, else their numbers.
    """
    if classes is None:
        return imagenet.CLASSES if n == len(imagenet.CLASSES) else tuple(map(str, range(n)))
    given = str(classes) if isinstance(classes, Path) else classes
    told = _names_in(Path(given)) if isinstance(given, str) and Path(given).is_file() else given
    names = [name.strip() for name in told.split(",")] if isinstance(told, str) else [str(name) for name in told]
    if len(names) != n:
        raise UserError(f"`classes` must name the {n} classes of the network, got {len(names)}")
    return tuple(names)


def _names_in(file: Path) -> list[str]:
    text = file.read_text(encoding="utf-8-sig")
    try:
        found = json.loads(text)
    except ValueError:
        return [line.strip() for line in text.splitlines() if line.strip()]
    return [found[key] for key in sorted(found, key=int)] if isinstance(found, dict) else list(found)


# ------------------------------------------------------------------------------------- an architecture and its weights


def torchvision_names() -> list[str]:
    return torchvision.models.list_models(module=torchvision.models)


def from_torchvision(name: str, weights: str | Path, normalize: str = "own") -> Foreign:
    """Return a torchvision network with the weights of a file: a state dict, a checkpoint, or the pickled network."""
    options: dict[str, Any] = {"weights": None}
    if name in ("googlenet", "inception_v3"):
        options |= {"aux_logits": False, "init_weights": False}  # the auxiliary heads serve training alone

    def make(n_classes: int | None) -> nn.Module:
        return torchvision.models.get_model(
            name, **options, **({} if n_classes is None else {"num_classes": n_classes})
        )

    meant = torchvision.models.get_model_weights(name)
    crop = next(iter(meant)).transforms() if len(meant) else None
    size = getattr(crop, "crop_size", [224])[0]
    mean_std = (crop.mean, crop.std) if crop else (IMAGENET_MEAN, IMAGENET_STD)
    return _foreign(_with_weights(make, name, Path(weights)), size, mean_std, normalize)


def from_timm(name: str, weights: str | Path | None = None, normalize: str = "own") -> Foreign:
    """Return a network of timm, if it is installed: with the weights of a file, else with its pretrained ones."""
    if importlib.util.find_spec("timm") is None:
        raise UserError(f"`model=timm:NAME` needs timm: {how_to_add('timm')}")
    import timm  # late: an extra, which loads all its architectures

    if name not in timm.list_models():
        raise UserError(f'timm has no "{name}".{nearest(name, timm.list_models())}')

    def make(n_classes: int | None) -> nn.Module:
        options: dict[str, Any] = {} if n_classes is None else {"num_classes": n_classes}
        return timm.create_model(name, **options)

    if weights is None:
        try:
            net = timm.create_model(name, pretrained=True)
        except Exception as error:  # the hub and its cache break in ways of their own
            told = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise UserError(f"timm's weights of {name} could not be had ({told}): give a file of `weights`") from error
    else:
        net = _with_weights(make, name, Path(weights))
    known = timm.data.resolve_model_data_config(net)
    return _foreign(net, known["input_size"][-1], (known["mean"], known["std"]), normalize)


def _foreign(net: nn.Module, size: int, mean_std: tuple[Sequence[float], Sequence[float]], normalize: str) -> Foreign:
    if normalize not in _NORMALIZATIONS:
        raise UserError(f'`normalize` must be own or none, got "{normalize}"')
    mean, std = mean_std if normalize == "own" else ((0.0,) * 3, (1.0,) * 3)
    return Foreign(Normalized(net, mean, std).eval(), size)


def _with_weights(make: Callable[[int | None], nn.Module], name: str, path: Path) -> nn.Module:
    """Return the network with a file's weights and as many classes as the shape of its head tells."""
    if not path.is_file():
        raise UserError(f"`weights` must be a file, but there is none at {path}")
    net = make(None)
    usual = net.state_dict()
    state = _unwrapped(_read_state(path, net), usual)
    heads = [key for key in usual if key in state and state[key].shape != usual[key].shape]
    if heads:
        net = make(len(state[heads[-1]]))
    check_fits(state, net, name, path)
    net.load_state_dict(state)
    return net


def _read_state(path: Path, usual: nn.Module) -> Mapping[str, Any]:
    """Return what a file holds as a dictionary of tensors; a pickled network only if it is of the named classes."""
    if path.suffix == ".safetensors":
        return read_tensors(path)[0]
    known = {type(module) for module in usual.modules()} | {nn.Sequential, nn.Module, torch.nn.modules.Identity, set}
    try:
        with torch.serialization.safe_globals(list(known)):
            found = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError, OSError, ValueError, KeyError) as error:
        raise UserError(
            f"{path} must hold tensors, or a pickled network of the architecture that is named, but it holds more or "
            "is damaged: save model.state_dict() in its place"
        ) from error
    for wrapping in _WRAPPINGS:
        if isinstance(found, dict) and isinstance(found.get(wrapping), dict | nn.Module):
            found = found[wrapping]
    found = found.state_dict() if isinstance(found, nn.Module) else found
    if not isinstance(found, dict) or not any(isinstance(value, Tensor) for value in found.values()):
        raise UserError(f"{path} must hold a dictionary of tensors, got a {type(found).__name__}")
    return found


def _unwrapped(state: Mapping[str, Any], expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the state without the prefix that a wrapper, such as DataParallel's module., put before every key."""
    last = list(expected)[0]
    prefixes = [key.removesuffix(last) for key in state if key.endswith(last)] or [""]
    prefix = max(prefixes, key=lambda one: sum(one + key in state for key in expected))
    found = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
    # old files do not count BatchNorm's batches; the auxiliary heads of GoogLeNet and Inception serve training alone
    counters = {key: value for key, value in expected.items() if key.endswith("num_batches_tracked")}
    found = {key: value for key, value in found.items() if not key.lower().startswith("aux")}
    return counters | {key: value for key, value in found.items() if isinstance(value, Tensor)}


# -------------------------------------------------------------------------------------------------------- Hugging Face


def from_hugging_face(source: str | Path) -> Foreign:
    """Return an image classifier of a folder that save_pretrained wrote, or of the hub.

    Its config says the classes; its image processor the size of the pictures and the normalization.
    """
    # late: transformers takes seconds, and only these networks need it
    import transformers

    logging = transformers.utils.logging
    name, before = str(source), logging.get_verbosity()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        config = transformers.AutoConfig.from_pretrained(name)
        processor = transformers.AutoImageProcessor.from_pretrained(name)
        net, info = transformers.AutoModelForImageClassification.from_pretrained(
            name, config=config, attn_implementation="eager", output_loading_info=True
        )
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        told = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UserError(
            f"{name} must be an image classifier of Hugging Face, a folder with config.json, preprocessor_config.json "
            f"and weights, or a name on the hub, but: {told}"
        ) from error
    finally:
        logging.set_verbosity(before)
        logging.enable_progress_bar()
    if info["missing_keys"]:
        raise UserError(
            f"{name} must hold all weights of the network, but {sorted(info['missing_keys'])[0]} is missing"
        )
    scale = 255 * (processor.rescale_factor if getattr(processor, "do_rescale", True) else 1)
    mean, std = processor.image_mean, processor.image_std
    if not getattr(processor, "do_normalize", True) or mean is None:
        mean, std = (0.0,) * 3, (1.0,) * 3
    labels = tuple(config.id2label[i] for i in range(config.num_labels))
    mean, std = [value / scale for value in mean], [value / scale for value in std]
    return Foreign(Normalized(net, mean, std).eval(), _size_of(processor, name), labels)


def _size_of(processor: Any, name: str) -> int:
    """Return the side of the pictures that an image processor makes."""
    crop = getattr(processor, "crop_size", None) if getattr(processor, "do_center_crop", False) else None
    found = crop or processor.size
    sides = [found] if isinstance(found, int) else [found.get(key) for key in ("height", "width", "shortest_edge")]
    sides = [side for side in sides if side]
    if not sides or len(set(sides)) != 1:
        raise UserError(f"{name} must take square pictures of one size, but its processor says {found}")
    return int(sides[0])
