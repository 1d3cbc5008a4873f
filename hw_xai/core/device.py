"""Where a model runs."""

import torch

from ..errors import UserError, nearest

DEVICES = ("auto", "cpu", "cuda", "mps")


def device_of(name: str = "auto") -> torch.device:
    """Return the device of a name; "auto" is the GPU of CUDA where there is one, else the processor."""
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return torch.device("cuda" if there["cuda"] else "cpu")
    if name not in there:
        raise UserError(f'`device` must be one of {", ".join(DEVICES)}, got "{name}".{nearest(name, DEVICES)}')
    if not there[name]:
        raise UserError(f"`device` must be there, but PyTorch finds no {name} here: choose auto or cpu")
    return torch.device(name)
