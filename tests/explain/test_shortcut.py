"""Acceptance of the whole catalogue: the explanations of a network that fell for a logo give the logo away."""

import importlib.util
from pathlib import Path

import pytest
import torch

from hw_xai.evaluate.localization import mass_inside

BENCH = Path(__file__).parent.parent / "benchmarks" / "bench_shortcut.py"
CHEAP = {
    "integrated_gradients": {"n_steps": 10},
    "occlusion": {"stride": 16},
    "rise": {"n_samples": 250},
    "shapley": {"n_samples": 260},
    "lime": {"n_samples": 260},
}
METHODS = ["gradient", "integrated_gradients", "occlusion", "lime", "shapley", "grad_cam", "rise", "lcam"]


@pytest.fixture(scope="module")
def bench():
    spec = importlib.util.spec_from_file_location("bench_shortcut", BENCH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def planted(bench):
    return bench.planted(132)


@pytest.fixture(scope="module")
def dishes(bench, planted):
    images, _, masks = bench.draw(2, seed=2)
    with torch.no_grad():
        assert (planted[0](images).argmax(dim=1) == bench.SOUP).all()
    return images, masks


@pytest.mark.parametrize("name", METHODS)
def test_the_explanation_points_at_the_logo(name, bench, planted, dishes):
    images, masks = dishes
    found = bench.explain(name, *planted, images, **CHEAP.get(name, {}))
    inside, area = mass_inside(found, masks), masks.float().mean(dim=(1, 2, 3))
    assert (inside / area).mean() > 2.5  # 1 would be chance
