"""The exercises: one literal table. What is asked, on which calls it is judged, and what every right answer has."""

from collections.abc import Sequence

import numpy as np
import torch

from hw_xai import explain

from .calls import Call
from .judge import Answers, Exercise, Property, Text, exact, largest, over_seeds
from .subjects import Subject

# ------------------------------------------------------------------------------------------------------------- inputs


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


# --------------------------------------------------------------------------------------------------------- properties


def never_negative(calls: Sequence[Call], answers: Answers) -> bool:
    return all((output >= 0).all() for outputs in answers for output in outputs)


def same_twice(calls: Sequence[Call], answers: Answers) -> bool:
    return all(largest(output - outputs[0]) <= 1e-5 * largest(outputs[0]) for outputs in answers for output in outputs)


NEVER_NEGATIVE = Property(
    Text("a saliency is never negative, yours is in places", "顯著性永遠不是負的，你的有些地方是負的"), never_negative
)
SAME_TWICE = Property(
    Text(
        "called twice with the same arguments, yours gives two results: does it change its inputs or the model?",
        "用相同的引數呼叫兩次，你得到兩個不同的結果：是不是改動了輸入或模型？",
    ),
    same_twice,
)


def seed_decides(calls: Sequence[Call], answers: Answers) -> bool:
    (first, again), (other,) = answers[:2]
    return largest(first - again) <= 1e-5 * largest(first) and largest(first - other) > 1e-4 * largest(first)


SEED_DECIDES = Property(
    Text(
        "the same seed must give the same map and another seed another one",
        "相同的種子必須得到相同的圖，不同的種子則得到不同的圖",
    ),
    seed_decides,
)

# -------------------------------------------------------------------------------------------------------------- table

EXERCISES: dict[str, Exercise] = {
    "saliency": Exercise(
        title=Text("Saliency", "顯著圖"),
        notebook="2_gradients",
        points=2,
        minutes=5,
        lines=5,
        reference=explain.saliency,
        plan=gradient_calls,
        properties=(SAME_TWICE, NEVER_NEGATIVE),
    ),
    "smooth_grad": Exercise(
        title=Text("SmoothGrad", "SmoothGrad"),
        notebook="2_gradients",
        points=3,
        minutes=15,
        lines=7,
        reference=explain.smooth_grad,
        plan=noise_calls,
        properties=(SEED_DECIDES,),
        distance=over_seeds(),
    ),
    "integrated_gradients": Exercise(
        title=Text("Integrated gradients", "積分梯度"),
        notebook="2_gradients",
        points=4,
        minutes=15,
        lines=8,
        reference=explain.integrated_gradients,
        plan=path_calls,
        properties=(SAME_TWICE,),
        distance=exact(0.02),  # trapezoid and Gauss–Legendre are right too, the left and the right sum are not
    ),
}
