"""Projections as the libraries compute them by hand, and what they lose as scikit-learn counts it."""

import importlib.util
import math
import warnings

import numpy as np
import pytest
import torch

from hw_xai.explain import projection
from hw_xai.explain.projection import project, trustworthiness


def random_vectors(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def by_hand(method: str, vectors: np.ndarray, settings: dict) -> np.ndarray:
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    if method == "umap":
        from umap import UMAP

        return UMAP(**settings).fit_transform(vectors)
    return {"pca": PCA, "tsne": TSNE}[method](**settings).fit_transform(vectors)


@pytest.mark.parametrize(
    ("method", "settings"),
    [
        ("pca", {"n_components": 2}),
        ("tsne", {"n_components": 2, "perplexity": 13.0, "random_state": 3}),
        ("umap", {"n_components": 2, "n_neighbors": 15, "random_state": 3, "n_jobs": 1}),
    ],
)
def test_projections_are_the_libraries_own(method, settings):
    vectors = random_vectors(40, 8)
    state = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002  the global state is the point
    found = project(vectors, method, seed=3)
    assert (state[0] == np.random.get_state()[1]).all()  # noqa: NPY002
    assert torch.equal(state[1], torch.get_rng_state())
    np.testing.assert_array_equal(found.points, by_hand(method, vectors, settings))
    np.testing.assert_array_equal(project(torch.from_numpy(vectors), method, seed=3).points, found.points)
    assert settings.items() <= found.settings.items()
    assert 0 < found.trustworthiness < 1
    assert (found.explained_variance is not None) == (method == "pca")


def test_many_points_are_left_to_opentsne(monkeypatch):
    import openTSNE

    monkeypatch.setattr(projection, "MANY_POINTS", 50)
    vectors = random_vectors(60, 8)
    found = project(vectors, "tsne", seed=3)
    expected = openTSNE.TSNE(perplexity=59 / 3, random_state=3).fit(vectors)
    assert found.library == "openTSNE"
    np.testing.assert_array_equal(found.points, expected)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.warns(UserWarning, match="openTSNE is not installed for 60 points, .*uv sync --extra fast"):
        assert project(vectors, "tsne", seed=3).library == "scikit-learn"


def test_explained_variance_is_that_of_the_points():
    vectors = random_vectors(30, 6)
    found = project(vectors)
    np.testing.assert_allclose(found.explained_variance, found.points.var(axis=0) / vectors.var(axis=0).sum())
    assert project(vectors[:, :3], n_components=3).explained_variance.sum() == pytest.approx(1)


@pytest.mark.parametrize("n", [3, 4, 10, 11, 3000])  # 3000² distances: two chunks
def test_trustworthiness_is_scikit_learns(n):
    from sklearn.manifold import trustworthiness as reference

    vectors, points = random_vectors(n, 6), random_vectors(n, 2, seed=1)
    k = min(5, (n - 1) // 2)
    assert trustworthiness(vectors, points) == pytest.approx(reference(vectors, points, n_neighbors=k), abs=1e-12)
    assert trustworthiness(vectors, vectors) == 1


@pytest.mark.parametrize("method", ["pca", "tsne", "umap"])
@pytest.mark.parametrize("n", [4, 10])
def test_few_vectors_can_be_projected(method, n):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = project(random_vectors(n, 5), method)
    assert found.points.shape == (n, 2)
    assert np.isfinite(found.points).all()
    assert 0 <= found.trustworthiness <= 1


@pytest.mark.parametrize("method", ["pca", "tsne", "umap"])
def test_equal_vectors_lie_at_the_origin(method):
    found = project(np.full((6, 4), 0.1), method)
    assert (found.points == 0).all()
    assert found.trustworthiness == 1
    assert method != "pca" or found.explained_variance.tolist() == [0, 0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"vectors": np.ones((1, 3))}, r"`vectors` must be \(n, d\) with n of at least 2, got shape \(1, 3\)"),
        ({"vectors": np.ones((3, 3)), "method": "umap"}, "with n of at least 4"),
        ({"vectors": np.ones(3)}, r"`vectors` must be \(n, d\)"),
        ({"vectors": np.full((9, 3), math.nan)}, "`vectors` must be finite"),
        ({"method": "isomap"}, '`method` must be "pca", "tsne" or "umap", got \'isomap\''),
        ({"vectors": np.ones((9, 1))}, r"`n_components` must be at most 1 for vectors \(9, 1\), got 2"),
        (
            {"method": "tsne", "perplexity": 20},
            r"`perplexity` must be at least 1 and below the number of vectors \(20\)",
        ),
        ({"method": "umap", "n_neighbors": 20}, "`n_neighbors` must be an integer from 2 to 19 for 20 vectors, got 20"),
        ({"perplexity": 5}, '`perplexity` must be left out unless method is "tsne", got 5 for "pca"'),
        ({"seed": -1}, "`seed` must be"),
    ],
)
def test_project_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        project(**{"vectors": random_vectors(20, 4), **arguments})
