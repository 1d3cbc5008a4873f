"""Right solutions of every exercise, written independently of the references: exercise -> list of functions."""

import runpy
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

SOLUTIONS: dict[str, list[Callable]] = {}
for _file in sorted((Path(__file__).parent / "solutions").glob("*.py")):
    SOLUTIONS |= runpy.run_path(str(_file))["SOLUTIONS"]


@pytest.fixture
def solutions() -> dict[str, list[Callable]]:
    return SOLUTIONS


@pytest.fixture(params=[1, 2], ids=["one_thread", "two_threads"])
def threads(request) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)
