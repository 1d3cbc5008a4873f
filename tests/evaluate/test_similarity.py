"""Similarity against scipy and scikit-image, map by map; what blank and broken maps are worth; edge detectors."""

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from skimage.feature import hog
from skimage.metrics import structural_similarity

from hw_xai.evaluate.similarity import MEASURES, edges, similarity


def drawn(seed: int, shape: tuple[int, ...] = (3, 3, 32, 32)) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_the_measures_are_those_of_scipy_and_scikit_image():
    a, b = drawn(0), drawn(0) + drawn(1)
    found = similarity(a, b)
    assert list(found) == list(MEASURES)
    for i in range(3):
        signed = [maps[i].double().sum(0).numpy() for maps in (a, b)]
        absolute = [maps[i].double().abs().sum(0).numpy() for maps in (a, b)]
        seen = [np.clip(one / np.percentile(one, 99), 0, 1) for one in absolute]
        histograms = [hog(one, pixels_per_cell=(8, 8)) for one in seen]
        options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 1}
        assert found["rank"][i] == pytest.approx(spearmanr(*map(np.ravel, signed)).statistic)
        assert found["rank_absolute"][i] == pytest.approx(spearmanr(*map(np.ravel, absolute)).statistic)
        assert found["ssim"][i] == pytest.approx(structural_similarity(*seen, **options))
        assert found["hog"][i] == pytest.approx(spearmanr(*histograms).statistic)


def test_a_map_is_like_itself_at_any_scale_and_its_negative_only_without_signs():
    maps = drawn(0, (2, 1, 28, 28))
    for factor in (1, 1e20, 1e-20):
        assert all(values.allclose(torch.ones(2).double()) for values in similarity(maps, factor * maps).values())
    opposite = similarity(maps, -maps)
    assert opposite["rank"].allclose(-torch.ones(2).double())
    assert opposite["rank_absolute"].allclose(torch.ones(2).double())


def test_blank_and_broken_maps():
    """Rows: became blank, was blank, became NaN, was infinite, is fine."""
    a, b = drawn(0, (5, 1, 16, 16)), drawn(1, (5, 1, 16, 16))
    b[0], a[1], b[2, 0, 3, 3], a[3, 0, 5, 5] = 0, 0.5, torch.nan, torch.inf
    for values in similarity(a, b).values():
        assert values[0] == 0
        assert values[1:4].isnan().all()
        assert values[4].isfinite()


def test_few_pixels_are_seen():
    """The 99th percentile of a map with three pixels is zero: then its largest value is what is white."""
    maps = torch.zeros(1, 1, 32, 32)
    maps[0, 0, 4, 4:7] = torch.tensor([1.0, 2, 3])
    assert similarity(maps, maps)["ssim"].item() == pytest.approx(1)
    assert similarity(maps, maps.flip(-1))["ssim"].item() < 1


@pytest.mark.parametrize(
    ("a", "b", "sentence"),
    [
        (torch.ones(1, 8, 8), torch.ones(1, 8, 8), r"`original` must be floating maps \(N, C, H, W\)"),
        (drawn(0), drawn(0)[:2], "`changed` must be maps of the shape of `original`"),
        (drawn(0)[..., :8], drawn(0)[..., :8], "`original` must be at least 11×11 pixels large"),
    ],
)
def test_bad_maps_get_a_sentence(a, b, sentence):
    with pytest.raises(ValueError, match=sentence):
        similarity(a, b)


@pytest.mark.parametrize("detector", ["sobel", "canny"])
def test_edge_detectors_see_the_border_of_a_square_and_no_model(detector):
    picture = torch.zeros(1, 3, 32, 32)
    picture[..., 8:24, 8:24] = 1
    found = edges(None, picture, detector=detector)
    assert found.shape == (1, 1, 32, 32)
    assert found[0, 0, 16, 16] == found[0, 0, 2, 2] == 0
    assert found[0, 0, 16, 6:10].max() > 0.1


def test_edge_detectors_refuse_what_is_no_picture():
    with pytest.raises(ValueError, match="`inputs` must be pictures"):
        edges(None, torch.ones(2, 5))
    with pytest.raises(ValueError, match='`detector` must be "sobel" or "canny"'):
        edges(None, torch.ones(1, 1, 16, 16), detector="laplace")
