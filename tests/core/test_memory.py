"""How many rows a call gets: what one row takes is watched, and bounded memory is kept."""

import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor

from hw_xai.core.memory import MEMORY, MOST_ROWS, Watch, even_chunks, fitting_chunks, memory_kept
from hw_xai.core.model import scores_of
from hw_xai.explain import gradient, integrated_gradients, occlusion, smooth_grad


@pytest.mark.parametrize(("n", "size", "lengths"), [(50, 16, [12, 13, 13, 12]), (5, 16, [5]), (3, 1, [1, 1, 1])])
def test_chunks_are_few_and_even(n, size, lengths):
    chunks = list(even_chunks(n, size))
    assert sorted(map(len, chunks)) == sorted(lengths)
    assert [i for chunk in chunks for i in chunk] == list(range(n))


def wide(x: Tensor) -> Tensor:
    """Scores through a tensor that is a thousand times as large as the input."""
    return (x.flatten(1)[:, :, None] * torch.ones(1000)).sum(dim=2)


def test_a_watch_counts_what_is_alive_at_once():
    with Watch() as watch:
        x = torch.zeros(1000)  # 4 kB
        for _ in range(5):
            y = x + 1  # the old one dies after the new one is made
        x.view(10, 100).add_(1)
    assert watch.most == 3 * 4000
    assert watch.total == 2 * 4000
    del x, y
    assert watch.total == 0


def test_as_many_rows_as_fit_into_memory_after_one_alone():
    x, rows = torch.rand(1, 2048), []

    def model(x: Tensor) -> Tensor:
        rows.append(len(x))
        return wide(x)

    with memory_kept(), torch.no_grad():
        for chunk in fitting_chunks(model, 30, None):
            scores_of(model, x.expand(len(chunk), -1))
    assert rows[0] == 1
    assert sum(rows) == 30
    assert max(rows) == MEMORY // (2048 * 4 * 1001)
    assert max(rows[1:]) - min(rows[1:]) <= 1
    with memory_kept(), torch.no_grad():
        assert [len(chunk) for chunk in fitting_chunks(model, 30, 8)] == [8, 7, 7, 8]


@pytest.mark.parametrize("explain", [partial(occlusion, window=4, stride=1), smooth_grad, integrated_gradients])
def test_small_models_get_many_rows_and_every_pass_counts(explain):
    rows = []

    def model(x: Tensor) -> Tensor:
        rows.append(len(x))
        return x.flatten(1)

    explain(model, torch.rand(1, 3, 10, 10), 1)
    assert sum(rows) == 50
    assert MOST_ROWS // 2 < max(rows) <= MOST_ROWS


def test_what_is_known_about_memory_is_forgotten_after_the_explanation():
    rows = []

    def model(x: Tensor) -> Tensor:
        rows.append(len(x))
        return x.flatten(1)

    for _ in range(2):
        gradient(model, torch.rand(20, 3, 4, 4), 1)
    assert rows == [1, 19, 1, 19]


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_samples():
    """In processes of their own, by the highest resident memory over one raw pass."""
    file = Path(__file__).parents[1] / "benchmarks" / "bench_memory.py"
    for name in ("smooth_grad", "rise"):
        few, many = (
            float(
                subprocess.run(
                    [sys.executable, str(file), "--here", name, "--model", "foodnet", "--scale", scale],
                    capture_output=True, text=True, check=True,
                ).stdout.split()[-1]
            )
            for scale in ("0.5", "4")
        )  # fmt: skip
        assert many < max(few, 0) + 30, "MB"
        assert many < 150
