"""Acceptance of the whole catalogue: the explanations of a network that fell for a logo give the logo away."""

import importlib.util
from pathlib import Path

import pytest

from hw_xai.evaluate.localization import mass_inside

BENCH = Path(__file__).parent.parent / "benchmarks" / "bench_shortcut.py"
METHODS = ["gradient", "integrated_gradients", "occlusion", "lime", "shapley", "grad_cam", "rise", "lcam"]


@pytest.fixture(scope="module")
def bench():
    spec = importlib.util.spec_from_file_location("bench_shortcut", BENCH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def planted(bench):
    return bench.planted()


@pytest.fixture(scope="module")
def fooled(bench, planted):
    """Dishes with a logo that the network calls soup, and their logos' masks."""
    images, masks = bench.fooled(planted[0], 4)
    assert len(images) == 4
    return images, masks


@pytest.mark.parametrize("name", METHODS)
def test_the_explanation_points_at_the_logo(name, bench, planted, fooled):
    images, masks = fooled
    found = bench.explain(name, *planted, images)
    inside, area = mass_inside(found, masks), masks.float().mean(dim=(1, 2, 3))
    least = {"gradient": 1.2}.get(name, 1.5)  # 1 would be chance; a gradient at one point only is mostly noise
    assert (inside / area).mean() > least
