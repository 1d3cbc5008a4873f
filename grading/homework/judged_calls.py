"""On which calls an exercise is judged: seed -> calls. Other seeds give other inputs, networks and classes.

The inputs are chosen so that every known wrong version is far from the right one, whatever the seed.
"""

from functools import lru_cache
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from hw_xai.explain import gradient, integrated_gradients

from ..isolation.inside.calls import Call, Value, objects_of
from ..isolation.inside.networks import Layer, Subject

Arguments = dict[str, Value]


def pictures(seed: int, n: int = 2, size: int = 12) -> np.ndarray:
    """Return n random pictures (n, 3, size, size) in [0, 1], smooth as photos are."""
    rng = np.random.default_rng(seed)
    coarse = torch.from_numpy(rng.random((n, 3, 4, 4), dtype=np.float32))
    return torch.nn.functional.interpolate(coarse, size=(size, size), mode="bilinear").numpy()


def targets(seed: int, n: int = 2, classes: int = 5) -> np.ndarray:
    """Return n class numbers, not all the same where n > 1: so that a target which is ignored shows."""
    first = np.random.default_rng(seed).integers(classes)
    return (first + np.arange(n)) % classes


def gradient_calls(seed: int) -> list[Call]:
    """Two pictures at once and twice over, for other classes, and one alone.

    Not the network that ships: where a ReLU or a maximum is near its kink, float32 and float64 disagree by 18 %.
    """
    network = Subject("small_cnn", seed)
    return [
        Call({"model": network, "inputs": pictures(seed), "target": targets(seed)}, times=2),
        # whichever classes the network predicts, one of these first targets is another
        Call({"model": network, "inputs": pictures(seed), "target": (targets(seed) + 2) % 5}),
        Call({"model": network, "inputs": pictures(seed)[:1], "target": targets(seed)[:1]}),
    ]


def noise_calls(seed: int) -> list[Call]:
    """Without noise, and with noise from six seeds, few draws and many; ranges far from each other, and from 0…1."""
    network, target = Subject("small_cnn", seed), targets(seed, 4)
    ranges = np.array([8, 5, 2, 1.3], dtype=np.float32)[:, None, None, None]
    inputs = ranges * (pictures(seed, 4) - 0.4)
    common: Arguments = {"model": network, "inputs": inputs, "target": target}
    noisy = [  # with two draws one draw too few shows
        Call({**common, "n_samples": n, "noise_level": 0.3, "seed": 6 * seed + i}, times=2 if (n, i) == (16, 0) else 1)
        for n in (16, 2)
        for i in range(6)
    ]
    return [*noisy, Call({**common, "n_samples": 3, "noise_level": 0.0, "seed": 0})]


@lru_cache(maxsize=64)
def path_calls(seed: int) -> list[Call]:
    """Paths from black and from another picture, few steps and many.

    On them every good rule of integration gives nearly the same, and the mean over a grid with both ends does not.
    Which they are is calculated: another processor may come to others.
    """
    for calls in map(_paths, range(seed, seed + 300_000, 1000)):  # about every sixth will do
        if max(map(_bend, calls)) < 0.003 and max(map(_ends, calls)) > 0.025:
            return calls
    raise RuntimeError(f"no path tells the rules of integration apart, from seed {seed} on")


def _paths(seed: int) -> list[Call]:
    network, inputs, target = Subject("small_cnn", seed), pictures(seed), targets(seed)
    black, other = np.zeros_like(inputs), pictures(seed + 100)
    return [
        Call({"model": network, "inputs": inputs, "target": target, "baselines": black, "n_steps": 4}, times=2),
        Call({"model": network, "inputs": inputs, "target": target, "baselines": other, "n_steps": 6}),
    ]


def _on_path(call: Call) -> tuple[nn.Module, Tensor, Tensor, Tensor, int]:
    """Return the arguments of a call of `_paths` as a function gets them."""
    return cast(tuple[nn.Module, Tensor, Tensor, Tensor, int], tuple(objects_of(call).values()))


def _bend(call: Call) -> float:
    """Return by how much four times as many steps change the result, relative to its largest value."""
    model, inputs, target, baselines, n = _on_path(call)
    few, many = (integrated_gradients(model, inputs, target, baselines=baselines, n_steps=k) for k in (n, 4 * n))
    return float((many - few).abs().max() / few.abs().max())


def _ends(call: Call) -> float:
    """Return by how much the mean of the gradients at linspace(0, 1, n) changes the result."""
    model, inputs, target, baselines, n = _on_path(call)
    right = integrated_gradients(model, inputs, target, baselines=baselines, n_steps=n)
    points = [baselines + alpha * (inputs - baselines) for alpha in torch.linspace(0, 1, n)]
    wrong = (inputs - baselines) * sum(gradient(model, point, target) for point in points) / n
    return float((wrong - right).abs().max() / right.abs().max())


# ------------------------------------------------------------------------------------------------------- perturbation


def occlusion_calls(seed: int) -> list[Call]:
    """Windows that fit the side exactly, overlapping and not; each class once, then pictures wider than high."""
    network, target = Subject("small_cnn", seed), targets(seed)
    wide = np.concatenate([pictures(seed + 1), pictures(seed + 2)[..., :6]], axis=3)  # (2, 3, 12, 18)
    every: Arguments = {
        "inputs": pictures(seed, 5),
        "target": targets(seed, 5),
    }  # one class at least has places against it
    return [
        Call({"model": network, "inputs": pictures(seed), "target": target, "window": 4, "stride": 2}, times=2),
        Call({"model": network, **every, "window": 4, "stride": 4}),
        Call({"model": network, "inputs": wide, "target": target, "window": 6, "stride": 3}),
    ]


def surrogate_calls(seed: int) -> list[Call]:
    """Random subsets of regions, scores far from zero that are not linear, weights and penalties that matter."""
    rng = np.random.default_rng(seed)

    def sampled(n_samples: int, n_regions: int, alpha: float) -> Call:
        masks = (rng.random((n_samples, n_regions)) < np.linspace(0.3, 0.8, n_regions)).astype(np.float32)
        slopes = rng.permutation(np.linspace(-2, 3, n_regions))
        scores = 3 + masks @ slopes + 2 * masks[:, 0] * masks[:, 1] + 0.3 * rng.standard_normal(n_samples)
        weights = np.exp(-6 * (1 - masks.mean(axis=1)) ** 2)
        arrays = {"masks": masks, "scores": scores.astype(np.float32), "weights": weights.astype(np.float32)}
        return Call({**arrays, "alpha": alpha}, times=2)

    return [sampled(60, 6, 4.0), sampled(40, 9, 1.0)]


# ---------------------------------------------------------------------------------------------------- filters and CAM


def channel_calls(seed: int) -> list[Call]:
    """One channel of each kind of layer, for three pictures; negative values among them."""
    common: Arguments = {"model": Subject("small_cnn", seed), "inputs": pictures(seed, 3)}
    places = (("second", 1), ("first", 2), ("norm", 2))
    return [Call({**common, "layer": Layer(path), "channel": k}, times=2) for path, k in places]


def ascent_calls(seed: int) -> list[Call]:
    """Three starts, for few large steps that reach the limits of a picture and for more small ones."""
    # bright and dark, so that their gradients differ in size; before the second layer the network is linear
    shades = np.array([1, 0.4, 0.05], dtype=np.float32)[:, None, None, None]
    common: Arguments = {"model": Subject("small_cnn", seed), "layer": Layer("second")}
    start = pictures(seed, 3) * shades
    return [
        Call({**common, "channel": 1, "start": start, "n_steps": 4, "lr": 0.1}, times=2),
        Call({**common, "channel": 3, "start": start, "n_steps": 8, "lr": 0.05}),
    ]


def cam_calls(seed: int) -> list[Call]:
    """Each class once, so that some places speak for it and others against; maps small and of the pictures' size."""
    common: Arguments = {
        "model": Subject("small_cnn", seed),
        "inputs": pictures(seed, 5),
        "target": targets(seed, 5),
    }
    return [
        Call({**common, "layer": Layer("second")}, times=2),
        Call({**common, "layer": Layer("first")}),
    ]


# -------------------------------------------------------------------------------------------------------------- trust


def forgetting_calls(seed: int) -> list[Call]:
    """The last layer, the last three and all four of them forgotten."""
    common: Arguments = {"model": Subject("small_cnn", seed), "inputs": pictures(seed), "target": targets(seed)}
    return [Call({**common, "n_layers": n, "seed": seed + 1 + n}, times=2) for n in (1, 3, 4)]


# ----------------------------------------------------------------------------------------------------------- language


def attention_calls(seed: int) -> list[Call]:
    """Attentions (L, H, T, T) with rows that sum to one: three layers that do not commute, and one layer alone."""
    rng = np.random.default_rng(seed)

    def attentions(n_layers: int, n_heads: int, n_tokens: int) -> np.ndarray:
        raw = np.exp(3 * rng.standard_normal((n_layers, n_heads, n_tokens, n_tokens)))
        return (raw / raw.sum(axis=-1, keepdims=True)).astype(np.float32)

    return [Call({"attentions": attentions(3, 4, 7)}, times=2), Call({"attentions": attentions(1, 2, 5)})]


def token_calls(seed: int) -> list[Call]:
    """Two sequences of embeddings, from a padding that is not zero."""
    rng = np.random.default_rng(seed)
    inputs = 3 * rng.standard_normal((2, 6, 8)).astype(np.float32)
    padding = np.broadcast_to(2 * rng.standard_normal((1, 1, 8)).astype(np.float32), inputs.shape).copy()
    common: Arguments = {
        "model": Subject("small_sequence", seed),
        "inputs_embeds": inputs,
        "target": targets(seed, 2, 4),
    }
    return [
        Call({**common, "baselines": padding, "n_steps": 8}, times=2),
        Call({**common, "baselines": np.zeros_like(inputs), "n_steps": 8}),
    ]


def vector_calls(seed: int) -> list[Call]:
    """Two sets of vectors of different sizes and lengths, with a mean far from zero; two of them point apart."""
    rng = np.random.default_rng(seed)
    a, b = (rng.standard_normal((n, 6)).astype(np.float32) * (1 + np.arange(n))[:, None] + 1 for n in (4, 3))
    b[0] = -2 * a[1]  # a cosine that is surely negative
    return [Call({"a": a.astype(np.float32), "b": b.astype(np.float32)}, times=2)]


def cloud_calls(seed: int) -> list[Call]:
    """Clouds of points whose spread falls from axis to axis, turned, and far from the origin."""
    rng = np.random.default_rng(seed)
    turn = np.linalg.qr(rng.standard_normal((6, 6)))[0]
    spread = np.array([9.0, 4, 2, 1, 0.5, 0.25])
    clouds = [(rng.standard_normal((n, 6)) * spread) @ turn + 5 * rng.standard_normal(6) for n in (40, 25)]
    return [
        Call({"vectors": cloud.astype(np.float32), "n_components": k}) for cloud, k in zip(clouds, (2, 3), strict=True)
    ]
