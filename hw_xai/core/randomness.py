"""Randomness that `seed` alone decides, and the global random states kept out of it."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from .arguments import check_count


def generator(seed: int) -> torch.Generator:
    """Return a seeded generator on the CPU, so that the draws are the same whatever device the model is on."""
    check_count("seed", seed, least=0)
    return torch.Generator().manual_seed(seed)


def gaussian(like: Tensor, n_samples: int, seed: int) -> Iterator[Tensor]:
    """Yield n_samples standard normal draws (1, ...) for inputs `like` (n, ...).

    All rows of a batch share a draw, and each draw is made alone: so the result of one input depends neither on
    its neighbours nor on how the draws are batched.
    """
    source = generator(seed)
    for _ in range(n_samples):
        yield torch.randn((1, *like.shape[1:]), generator=source).to(like)


@contextmanager
def random_states_preserved() -> Iterator[None]:
    """Restore the global random states of torch (CPU and CUDA), numpy and random on leaving.

    Only those from which somebody drew: another thread's generator is not wound back for nothing.
    """
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else []
    numpy_state, python_state = np.random.get_state(), random.getstate()  # noqa: NPY002  the global state is the point
    on_cpu, on_devices = torch.get_rng_state(), [torch.cuda.get_rng_state(device) for device in devices]
    try:
        yield
    finally:
        if not torch.equal(torch.get_rng_state(), on_cpu):
            torch.set_rng_state(on_cpu)
        for device, state in zip(devices, on_devices, strict=True):
            torch.cuda.set_rng_state(state, device)
        (_, keys, place, *_), (_, before, before_place, *_) = np.random.get_state(), numpy_state  # noqa: NPY002
        if place != before_place or not np.array_equal(keys, before):
            np.random.set_state(numpy_state)  # noqa: NPY002
        if random.getstate() != python_state:
            random.setstate(python_state)
