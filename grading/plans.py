"""On which calls an exercise is judged: seed -> calls. Other seeds give other inputs, networks and classes.

The inputs are chosen so that every known wrong version is far from the right one, whatever the seed.
"""

import numpy as np
import torch

from .calls import Call
from .subjects import Subject


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
    """Two pictures at once and twice over, one alone, and a dish of the network that ships."""
    network = Subject("small_cnn", seed)
    dish = pictures(seed + 1, 1, size=128)
    return [
        Call({"model": network, "inputs": pictures(seed), "target": targets(seed)}, times=2),
        Call({"model": network, "inputs": pictures(seed)[:1], "target": targets(seed)[:1]}),
        Call({"model": Subject("shipped"), "inputs": dish, "target": targets(seed, 1, 11)}),
    ]


def noise_calls(seed: int) -> list[Call]:
    """Without noise, and with noise from six seeds; pictures of another range than 0…1."""
    network, target = Subject("small_cnn", seed), targets(seed, 4)
    inputs = 4 * pictures(seed, 4) - 1.5
    common = {"model": network, "inputs": inputs, "target": target}
    noisy = [
        Call({**common, "n_samples": 10, "noise_level": 0.1, "seed": 6 * seed + i}, times=2 if i == 0 else 1)
        for i in range(6)
    ]
    return [*noisy, Call({**common, "n_samples": 3, "noise_level": 0.0, "seed": 0})]


def path_calls(seed: int) -> list[Call]:
    """Paths from black and from another picture, few steps and many."""
    network, inputs, target = Subject("small_cnn", seed), pictures(seed), targets(seed)
    black, other = np.zeros_like(inputs), pictures(seed + 100)
    return [
        Call({"model": network, "inputs": inputs, "target": target, "baselines": black, "n_steps": 4}, times=2),
        Call({"model": network, "inputs": inputs, "target": target, "baselines": other, "n_steps": 6}),
    ]


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
    common = {"model": Subject("small_sequence", seed), "inputs_embeds": inputs, "target": targets(seed, 2, 4)}
    return [
        Call({**common, "baselines": padding, "n_steps": 8}, times=2),
        Call({**common, "baselines": np.zeros_like(inputs), "n_steps": 8}),
    ]


def vector_calls(seed: int) -> list[Call]:
    """Two sets of vectors of different sizes and lengths, with a mean far from zero."""
    rng = np.random.default_rng(seed)
    a, b = (rng.standard_normal((n, 6)).astype(np.float32) * (1 + np.arange(n))[:, None] + 1 for n in (4, 3))
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
