"""What many tests need: small networks with everything that gets explainers into trouble, and real photos."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from hw_xai import testing
from hw_xai.errors import UserError
from hw_xai.testing import SmallNet


def pytest_configure(config: pytest.Config) -> None:
    """Give each of several workers (-n) one thread: they share the cores."""
    if hasattr(config, "workerinput"):
        torch.set_num_threads(1)


def pytest_xdist_auto_num_workers() -> int:
    """As many workers as this process may use cores, at most four: each loads PyTorch anew."""
    return min(4, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


@pytest.fixture(autouse=True)
def _as_many_threads_as_before() -> Iterator[None]:
    """Commands choose a number of threads; the sums of later tests must not depend on it."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session", autouse=True)
def _a_cache_of_their_own(tmp_path_factory) -> Iterator[None]:
    """Tests read no corpus that an earlier run has kept, and leave none behind."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HW_XAI_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def open_sandbox() -> Callable:
    """A function like Sandbox that skips the test where this machine cannot contain students' code in that tier."""
    from grading.isolation.sandbox import Sandbox

    def opened(tier: str, limits: object) -> Sandbox:
        try:
            return Sandbox(tier, limits)
        except UserError as error:
            if sys.platform == "linux" and os.geteuid() == 0:  # there each must work; a skip would hide that one broke
                raise
            pytest.skip(str(error))

    return opened


@pytest.fixture
def small_net() -> SmallNet:
    return testing.small_network()


@pytest.fixture
def pictures() -> Tensor:
    return testing.pictures()


def draw_squares(n: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return noise pictures (n, 3, 16, 16) with a bright 5×5 square in one of five places, and which one it is."""
    source = torch.Generator().manual_seed(seed)
    pictures = 0.3 * torch.rand((n, 3, 16, 16), generator=source).double()
    places = torch.randint(5, (n,), generator=source)
    for picture, place in zip(pictures, places.tolist(), strict=True):
        top, left = [(1, 1), (1, 10), (10, 1), (10, 10), (5, 5)][place]
        picture[:, top : top + 5, left : left + 5] += 0.6
    return pictures, places


@pytest.fixture(scope="session")
def squares() -> Callable[..., tuple[Tensor, Tensor]]:
    return draw_squares


@pytest.fixture(scope="session")
def trained_net() -> SmallNet:
    """A SmallNet that says where the square of `squares` is, in eval mode."""
    model = testing.small_network()
    pictures, places = draw_squares(512, seed=0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for step in range(100):
            rows = slice(step % 8 * 64, step % 8 * 64 + 64)
            loss = nn.functional.cross_entropy(model(pictures[rows]), places[rows])
            gradients = torch.autograd.grad(loss, list(model.parameters()))
            with torch.no_grad():  # by hand: importing torch.optim takes longer than all of this
                for parameter, gradient in zip(model.parameters(), gradients, strict=True):
                    parameter -= 0.1 * gradient
    return model.eval()


@pytest.fixture
def fails(capsys):
    """Run the command line, expect exit code 2 and one sentence on stderr, and return the sentence."""

    def run(*arguments: object) -> str:
        from hw_xai.cli import main

        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as stop:  # argparse's own way out
            code = stop.code
        sentence = capsys.readouterr().err.strip().splitlines()[-1]
        assert code == 2
        assert "Traceback" not in sentence
        return sentence

    return run


@pytest.fixture(scope="session")
def photos() -> Path:
    """The folder that HW_XAI_PHOTOS names, with real photos."""
    folder = os.environ.get("HW_XAI_PHOTOS")
    if not folder or not Path(folder).is_dir():
        pytest.skip("HW_XAI_PHOTOS does not name a folder of photos")
    return Path(folder)
