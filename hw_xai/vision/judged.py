"""What comes after training: how much of the tuned weights to take, how sure they may be, and what they know."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

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
from .unknown import features_of, learn_familiar, save_familiar, with_threshold

SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)  # of the tuned weights that are tried


@torch.no_grad()
def answers(model: nn.Module, photos: Sequence[Photo], size: int, batch_size: int = 64) -> tuple[Tensor, Tensor]:
    """Return the features (N, D) and the scores (N, C) of photos, each resized to size × size as in use."""
    rows = [features_of(model, inputs_of(photos[i : i + batch_size], size)) for i in range(0, len(photos), batch_size)]
    return torch.cat([features for features, _ in rows]), torch.cat([scores for _, scores in rows])


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

    The share of the tuned weights is chosen on judged[choose_by], dishes that no step saw; so are the temperature and
    the distance beyond which a photo is unknown. `known` is food of the training, some photos a dish. Writes
    best.safetensors (with its temperature) and familiar.safetensors.
    """
    if choose_by not in judged:
        raise UserError(f"`choose_by` must be one of {', '.join(judged)}, got {choose_by}")
    out = Path(out)
    before, after = load(out / "probe.safetensors"), load(out / "tuned.safetensors")
    size, net = after.input_size, load(out / "tuned.safetensors")
    share, tried = choose_share(before.state_dict(), after.state_dict(), net, judged[choose_by], size)
    net.load_state_dict(between(before.state_dict(), after.state_dict(), share))
    net.to(memory_format=torch.channels_last)

    held = judged[choose_by]
    features, scores = answers(net, held, size)
    # each dish counts the same here too, or the dish with most photos would say how sure to be
    counts = {photo.dish: 0 for photo in held}
    for photo in held:
        counts[photo.dish] += 1
    weight = torch.tensor([1 / counts[photo.dish] for photo in held])
    temperature = fitted_temperature(scores, torch.tensor([photo.target for photo in held]), weight)
    names = {dish: i for i, dish in enumerate(sorted({photo.dish for photo in known}))}
    familiar = learn_familiar(answers(net, known, size)[0], torch.tensor([names[photo.dish] for photo in known]))
    familiar = with_threshold(familiar, features, false_alarms)

    save(net, out / "best.safetensors", after.architecture, input_size=size, temperature=f"{temperature:.3f}")
    save_familiar(familiar, out / "familiar.safetensors")
    report = {
        "tuned_share": share,
        "tried": {f"{key:g}": value for key, value in tried.items()},
        "temperature": temperature,
        "threshold": familiar.threshold,
        "groups": {},
    }
    for name, photos in judged.items():
        features, scores = answers(net, photos, size)
        report["groups"][name] = figures(scores, photos, temperature) | {
            "calibration_error_before": calibration_error(scores, torch.tensor([photo.target for photo in photos])),
            "unknown": float(familiar.unknown(features).double().mean()),
        }
    with atomic(out / "report.json") as temporary:
        temporary.write_text(json.dumps(report, indent=1) + "\n")
    return report
