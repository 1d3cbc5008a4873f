"""What comes after training: how much of the tuned weights to take, how sure they may be, and what they know."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import UserError
from ..files import atomic
from .broad import found_by_dish, inputs_of
from .calibration import calibration_error, fitted_temperature, interval_over_groups, share_interval
from .food11.layout import CLASSES
from .networks import load, save
from .photos import Photo
from .soup import between
from .strangers import stranger_pictures
from .unknown import layers_of, learn_familiar, save_familiar, statistics_of, with_threshold

KNOWN = "validation"  # the group whose dishes were trained on
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)  # of the tuned weights that are tried


@torch.no_grad()
def answers(
    model: nn.Module, photos: Sequence[Photo], size: int, layers: Sequence[str] = (), batch_size: int = 64
) -> tuple[list[Tensor], Tensor]:
    """Return the statistics of layers (each (N, 2D)) and the scores (N, C) of photos, each resized as in use."""
    parts = [
        statistics_of(model, inputs_of(photos[i : i + batch_size], size), layers)
        for i in range(0, len(photos), batch_size)
    ]
    statistics = [torch.cat(layer) for layer in zip(*(statistics for statistics, _ in parts), strict=True)]
    return statistics, torch.cat([scores for _, scores in parts])


def figures(scores: Tensor, photos: Sequence[Photo], temperature: float = 1.0) -> dict:
    """Return what scores (N, C) get right of a group of photos: in all and by dish with intervals, by class, sureness.

    `found` counts photos, `by_dish` each dish the same; intervals are Wilson's and, over dishes, the bootstrap's.
    """
    target = torch.tensor([photo.target for photo in photos])
    names = sorted({photo.dish for photo in photos})
    row = {name: i for i, name in enumerate(names)}
    right = (scores.argmax(1) == target).long()
    per_class = {
        CLASSES[c]: {"found": int(right[target == c].sum()), "of": int((target == c).sum())}
        for c in target.unique().tolist()
    }
    return {
        "photos": len(photos),
        "dishes": len(names),
        "found": float(right.double().mean()),
        "found_interval": share_interval(int(right.sum()), len(right)),
        "by_dish": found_by_dish(scores, photos),
        "by_dish_interval": interval_over_groups(right, torch.tensor([row[photo.dish] for photo in photos])),
        "per_class": per_class,
        "calibration_error": calibration_error(scores / temperature, target),
    }


def choose_share(
    before: Mapping[str, Tensor], after: Mapping[str, Tensor], net: nn.Module, photos: Sequence[Photo], size: int
) -> tuple[float, dict[float, float]]:
    """Return the share of the tuned weights under which most of `photos` is found, and the figure of each share.

    Of equal figures the smaller share wins: it is nearer to features that saw a thousand classes. `net` is lent.
    """
    kept = {key: value.clone() for key, value in net.state_dict().items()}
    found = {}
    for share in SHARES:
        net.load_state_dict(between(before, after, share))
        found[share] = found_by_dish(answers(net.eval(), photos, size)[1], photos)
    net.load_state_dict(kept)
    return max(found, key=lambda share: (found[share], -share)), found


def finish(
    out: str | Path,
    known: Sequence[Photo],
    judged: Mapping[str, Sequence[Photo]],
    *,
    choose_by: str = "unseen",
    false_alarms: float = 0.1,
) -> dict:
    """Make of a run's probe.safetensors and tuned.safetensors the network that ships; return and write report.json.

    The share of the tuned weights is chosen on judged[choose_by], dishes that no step saw; so is the temperature. The
    distance beyond which a photo is unknown is placed on every other photo of all groups of dishes never seen. `known`
    is food of the training, some photos a dish. Writes best.safetensors (with its temperature) and
    familiar.safetensors.
    """
    if choose_by not in judged:
        raise UserError(f"`choose_by` must be one of {', '.join(judged)}, got {choose_by}")
    out = Path(out)
    before = load(out / "probe.safetensors")
    after: Any = load(out / "tuned.safetensors")  # knows its architecture and the size of its pictures
    size, net = after.input_size, load(out / "tuned.safetensors")
    share, tried = choose_share(before.state_dict(), after.state_dict(), net, judged[choose_by], size)
    net.load_state_dict(between(before.state_dict(), after.state_dict(), share))
    net.to(memory_format=torch.channels_last)

    layers = layers_of(net)
    answered = {name: answers(net, photos, size, layers) for name, photos in judged.items()}
    target = {name: torch.tensor([photo.target for photo in photos]) for name, photos in judged.items()}
    temperature = fitted_temperature(answered[choose_by][1], target[choose_by], _by_dish(judged[choose_by]))
    names = {dish: i for i, dish in enumerate(sorted({photo.dish for photo in known}))}
    familiar = learn_familiar(
        layers, answers(net, known, size, layers)[0], torch.tensor([names[photo.dish] for photo in known])
    )
    # every other photo places the threshold, the rest say what it is worth
    placing = [[layer[::2] for layer in statistics] for name, (statistics, _) in answered.items() if name != KNOWN]
    familiar = with_threshold(familiar, placing, false_alarms)

    save(net, out / "best.safetensors", after.architecture, input_size=size, temperature=f"{temperature:.3f}")
    save_familiar(familiar, out / "familiar.safetensors")
    report: dict[str, Any] = {
        "tuned_share": share,
        "tried": {f"{key:g}": value for key, value in tried.items()},
        "temperature": temperature,
        "threshold": familiar.threshold,
        "groups": {},
    }
    for name, photos in judged.items():
        statistics, scores = answered[name]
        alarms = familiar.unknown([layer[1::2] for layer in statistics])
        report["groups"][name] = figures(scores, photos, temperature) | {
            "calibration_error_before": calibration_error(scores, target[name]),
            "unknown": float(alarms.double().mean()) if len(alarms) else 0.0,
        }
    pictures = stranger_pictures(size)
    strange = familiar.unknown(answers(net, pictures, size, layers)[0])
    report["strangers"] = {
        "pictures": len(pictures),
        "unknown": float(strange.double().mean()),
        "interval": share_interval(int(strange.sum()), len(pictures)),
    }
    with atomic(out / "report.json") as temporary:
        temporary.write_text(json.dumps(report, indent=1) + "\n")
    return report


def _by_dish(photos: Sequence[Photo]) -> Tensor:
    """Return weights (N,) under which each dish counts the same, or the dish with most photos would decide."""
    counts: dict[str, int] = {}
    for photo in photos:
        counts[photo.dish] = counts.get(photo.dish, 0) + 1
    return torch.tensor([1 / counts[photo.dish] for photo in photos])
