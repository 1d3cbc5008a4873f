"""Distances: their formulas, their limits and what they refuse."""

import math

import numpy as np
import pytest
import torch

from hw_xai.explain.embeddings import cosine_similarity, euclidean_distance


def random_vectors(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def test_distances_are_their_formulas():
    a, b = random_vectors(4, 3), random_vectors(5, 3, seed=1)
    for i, j in np.ndindex(4, 5):
        cosine = a[i] @ b[j] / math.sqrt(a[i] @ a[i]) / math.sqrt(b[j] @ b[j])
        assert cosine_similarity(a, b)[i, j] == pytest.approx(cosine)
        assert euclidean_distance(a, b)[i, j] == pytest.approx(math.sqrt(sum((a[i] - b[j]) ** 2)))
    np.testing.assert_array_equal(cosine_similarity(a), cosine_similarity(a, a))


@pytest.mark.parametrize("measure", [cosine_similarity, euclidean_distance])
def test_distances_of_vectors_and_kinds(measure):
    a, b = random_vectors(4, 3), random_vectors(5, 3, seed=1)
    expected = measure(a, b)
    assert expected.shape == (4, 5)
    np.testing.assert_allclose(measure(a[1], b), expected[1])
    np.testing.assert_allclose(measure(a, b[2]), expected[:, 2])
    assert measure(a[1], b[2]) == pytest.approx(expected[1, 2])
    assert isinstance(measure(a[1], b[2]), float)
    assert measure([1, 0, 0], [[1, 0, 0]]).dtype == np.float64
    tensors = measure(torch.from_numpy(a), torch.from_numpy(b).requires_grad_())
    torch.testing.assert_close(tensors, torch.from_numpy(expected))
    assert measure(torch.from_numpy(a).half(), b).dtype == torch.float16
    assert measure(a.astype(np.float32)).dtype == np.float32


def test_distances_at_their_limits():
    a = random_vectors(30, 5).astype(np.float32)
    assert (np.diag(euclidean_distance(a)) == 0).all()
    assert np.abs(cosine_similarity(a * 7, a)).max() <= 1
    assert cosine_similarity([0.0, 0.0], [1.0, 2.0]) == 0
    assert cosine_similarity([0.0, 0.0]) == 0
    assert cosine_similarity([1e200, 0], [1e-200, 1e-200]) == pytest.approx(math.sqrt(0.5))
    rogue = torch.tensor([300.0, 1.0], dtype=torch.float16)  # its square overflows
    assert cosine_similarity(rogue, rogue).item() == 1


@pytest.mark.parametrize("measure", [cosine_similarity, euclidean_distance])
@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        (np.ones((2, 3)), np.ones((2, 4)), r"^`a` and `b` must have the same number of columns, got \(2, 3\) and"),
        (np.ones((2, 3, 4)), None, r"^`a` must be a vector \(d,\) or a matrix \(n, d\), got shape \(2, 3, 4\)$"),
        (np.ones(3), np.ones((0, 3)), r"^`b` must be a vector"),
        ("word", None, "^`a` must be a vector"),
        ([[1], [1, 2]], None, "^`a` must be a vector"),
        ([1, math.nan], None, "^`a` must be finite"),
    ],
)
def test_distances_refuse(measure, a, b, message):
    with pytest.raises(ValueError, match=message):
        measure(a, b)
