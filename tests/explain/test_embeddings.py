"""Embeddings: distances, projections as the libraries compute them by hand, and senses that are known to separate."""

import importlib.util
import math
import warnings

import numpy as np
import pytest
import torch

from hw_xai.explain import embeddings
from hw_xai.explain.embeddings import (
    TRANSFORMS,
    cosine_similarity,
    euclidean_distance,
    linear_cka,
    project,
    sense_report,
    silhouette,
    trustworthiness,
)


def random_vectors(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


# ----------------------------------------------------------------------------------------------------------- distances


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


# ---------------------------------------------------------------------------------------------------------- projection


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

    monkeypatch.setattr(embeddings, "MANY_POINTS", 50)
    vectors = random_vectors(60, 8)
    found = project(vectors, "tsne", seed=3)
    expected = openTSNE.TSNE(perplexity=59 / 3, random_state=3).fit(vectors)
    assert found.library == "openTSNE"
    np.testing.assert_array_equal(found.points, expected)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.warns(UserWarning, match=r'openTSNE is not installed for 60 points: .* pip install "hw-xai\[fast\]"'):
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
        ({"vectors": np.ones((2, 3))}, r"`vectors` must be \(n, d\) with n of at least 3, got shape \(2, 3\)"),
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


# ------------------------------------------------------------------------------------------------------ sense analysis


def clusters(distance: float, n: int = 24, d: int = 8, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return two senses that lie `distance` apart, around random means, and their labels; (1, n, d), (n,)."""
    labels = np.array(["fruit", "company"]).repeat(n // 2)
    vectors = random_vectors(n, d, seed=seed)
    vectors[:, 0] += np.where(labels == "fruit", distance, -distance)
    return vectors[None], labels


def report(states: np.ndarray, labels: np.ndarray, **options):
    n = len(labels)
    options = {"control": random_vectors(*states.shape, seed=9), "position": np.zeros(n), **options}
    return sense_report(states, labels, **options)


def test_separated_senses_score_one_in_every_transform():
    states, labels = clusters(50)
    states[..., 1:] *= 0  # z-scored, they would count as much as the dimension that separates
    found = report(states, labels)
    assert found.model.knn.shape == (len(TRANSFORMS), 1)
    assert (found.model.knn == 1).all()
    assert (found.model.nearest == 1).all()
    assert (found.model.silhouette > 0.9).all()
    assert (found.model.cosine_within > found.model.cosine_across).all()
    assert (found.model.euclidean_within < found.model.euclidean_across).all()


def test_random_vectors_are_near_chance():
    states, labels = random_vectors(3, 400, 10), np.arange(400) % 2
    found = report(states, labels, position=np.arange(400) % 7)
    for value in (*found.model.knn.ravel(), *found.control.nearest.ravel(), found.position_knn, found.most_frequent):
        assert value == pytest.approx(0.5, abs=0.08)
    assert np.abs(found.model.silhouette).max() < 0.02


def test_equal_vectors_are_near_chance_and_not_decided_by_their_order():
    """The embedding layer of one word in one place: its vectors differ by rounding only."""
    states = np.tile(random_vectors(1, 1, 16), (1, 200, 1)) * (1 + 1e-8 * random_vectors(1, 200, 16, seed=1))
    found = report(states, np.array(["a", "b"]).repeat(100))
    for value in (*found.model.knn.ravel(), found.position_knn, found.position_nearest):
        assert value == pytest.approx(0.5, abs=0.12)
    assert np.abs(found.model.silhouette).max() < 0.1


def test_accuracies_are_those_of_scikit_learn():
    from sklearn.metrics import silhouette_score
    from sklearn.model_selection import LeaveOneOut, cross_val_score
    from sklearn.neighbors import KNeighborsClassifier

    states, labels = clusters(0.7, n=40)
    found = report(states, labels, k=3)
    vectors = states[0]
    variants = [vectors, vectors - vectors.mean(0), (vectors - vectors.mean(0)) / vectors.std(0)]
    for row, variant in enumerate(variants):
        for k, accuracy in ((3, found.model.knn), (1, found.model.nearest)):
            classifier = KNeighborsClassifier(k, metric="cosine")
            expected = cross_val_score(classifier, variant, labels, cv=LeaveOneOut()).mean()
            assert accuracy[row, 0] == pytest.approx(expected, abs=1e-12)
        expected = silhouette_score(variant, labels, metric="cosine")
        assert found.model.silhouette[row, 0] == pytest.approx(expected, abs=1e-10)


def test_silhouette_of_uneven_and_single_senses_is_scikit_learns():
    from sklearn.metrics import silhouette_score

    distances = euclidean_distance(random_vectors(9, 3))
    senses = np.array([0, 0, 0, 0, 2, 2, 2, 3, 5])
    expected = silhouette_score(distances, senses, metric="precomputed")
    assert silhouette(distances, senses) == pytest.approx(expected, abs=1e-10)
    assert silhouette(np.zeros((4, 4)), np.array([0, 0, 1, 1])) == 0


def test_means_are_those_over_pairs():
    states, labels = clusters(1, n=8)
    others = random_vectors(1, 5, 8, seed=4) + 2
    found = report(states, labels, others=others)
    pairs = [(i, j) for i in range(8) for j in range(i)]
    cosine, distance = cosine_similarity(states[0]), euclidean_distance(states[0])
    for same, name in ((True, "within"), (False, "across")):
        chosen = [pair for pair in pairs if (labels[pair[0]] == labels[pair[1]]) == same]
        assert getattr(found.model, f"cosine_{name}")[0, 0] == pytest.approx(np.mean([cosine[p] for p in chosen]))
        assert getattr(found.model, f"euclidean_{name}")[0, 0] == pytest.approx(np.mean([distance[p] for p in chosen]))
    assert found.model.self_similarity[0, 0] == pytest.approx(np.mean([cosine[p] for p in pairs]))
    random = cosine_similarity(others[0])[np.triu_indices(5, 1)].mean()
    assert found.model.random_similarity[0, 0] == pytest.approx(random)
    assert np.isnan(found.control.random_similarity).all()


def test_z_scores_silence_a_rogue_dimension():
    states, labels = clusters(3, n=60)
    states[..., :2] += np.where(labels == "fruit", 3, -3)[:, None]
    states[..., 6:] = 1000 * random_vectors(60, 2, seed=5)
    raw, centred, z_scored = report(states, labels).model.nearest[:, 0]
    assert max(raw, centred) < 0.75
    assert z_scored > 0.9


def test_held_out_vectors_are_judged_by_train_vectors_alone():
    from sklearn.neighbors import KNeighborsClassifier

    states, labels = clusters(1, n=60)
    train = np.arange(60) % 3 == 0
    found = report(states, labels, train=train)
    classifier = KNeighborsClassifier(5, metric="cosine").fit(states[0, train], labels[train])
    assert found.model.knn[0, 0] == pytest.approx(classifier.score(states[0, ~train], labels[~train]))
    assert (found.n, found.n_train) == (40, 20)
    alone = report(states[:, ~train], labels[~train])  # the rest is that of the held-out vectors
    np.testing.assert_allclose(found.model.silhouette[0], alone.model.silhouette[0])
    np.testing.assert_allclose(found.model.cosine_within[0], alone.model.cosine_within[0])


def test_position_can_give_the_sense_away():
    states, labels = clusters(0)
    found = report(states, labels, position=np.where(labels == "fruit", 1, 6))
    assert found.position_knn == found.position_nearest == 1


def test_the_seed_decides():
    states, labels = np.ones((1, 20, 4)), np.arange(20) % 2
    found = [report(states, labels, seed=seed).position_knn for seed in (0, 0, *range(1, 8))]
    assert found[0] == found[1]
    assert len(set(found)) > 1


def test_tensors_are_taken_too():
    states, labels = clusters(1)
    found = report(torch.from_numpy(states).requires_grad_(), list(labels), control=torch.from_numpy(states).half())
    np.testing.assert_array_equal(found.model.knn, report(states, labels).model.knn)


def test_table_shows_the_control_beside_every_number():
    states, labels = np.concatenate([clusters(0)[0], clusters(50)[0]]), clusters(0)[1]
    found = report(states, labels)
    text = found.table("raw")
    lines = text.splitlines()
    assert max(map(len, lines)) <= 120
    assert lines[0].split()[:3] == ["raw", "5-NN", "1-NN"]
    assert lines[2].startswith(" layer 1")
    assert lines[2].count("(") == 8
    assert f"{found.model.knn[0, 1]:.2f}" in lines[2]
    assert f"({found.control.knn[0, 1]:.2f})" in lines[2]
    assert "position alone: 5-NN" in text
    assert all(name in found.table() for name in TRANSFORMS)
    with pytest.raises(ValueError, match='`transform` must be None or one of "raw", "centred", "z-scored", got'):
        found.table("whitened")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"labels": ["a"] * 10}, "`labels` must name at least 2 senses with at least 2 judged vectors each, got a: 10"),
        ({"labels": ["a"] * 9 + ["b"]}, "got a: 9, b: 1"),
        ({"labels": ["a", "b"]}, "`labels` must be 10 names"),
        ({"hidden_states": np.ones((10, 4))}, r"`hidden_states` must be \(layers, n, d\), got shape \(10, 4\)"),
        ({"hidden_states": np.full((2, 10, 4), np.inf)}, "`hidden_states` must be finite"),
        ({"control": np.ones((1, 10, 4))}, r"`control` must be \(2, 10, d\), as hidden_states have, got"),
        ({"position": [1, 2]}, "`position` must be 10 finite numbers"),
        ({"others": np.ones((2, 1, 4))}, r"`others` must be \(2, m, 4\) with m of at least 2"),
        ({"train": [True] * 9}, "`train` must be 10 booleans"),
        ({"train": [True] * 8 + [False] * 2}, "at least 2 judged vectors"),
        ({"k": 10}, "`k` must be at most 9"),
    ],
)
def test_sense_report_refuses(options, message):
    arguments = {"labels": [0, 1] * 5, "control": np.ones((2, 10, 4)), "position": range(10)}
    arguments = {"hidden_states": random_vectors(2, 10, 4), **arguments, **options}
    with pytest.raises(ValueError, match=message):
        sense_report(**arguments)


def test_cka_axioms():
    x = random_vectors(20, 6)
    rotation, _ = np.linalg.qr(random_vectors(6, 6, seed=1))
    stack = np.stack([x, 3 * x @ rotation + 5, random_vectors(20, 6, seed=2), np.ones((20, 6))])
    cka = linear_cka(stack)
    np.testing.assert_allclose(cka, cka.T)
    np.testing.assert_allclose(cka[:2, :2], 1)
    assert cka[2, 2] == pytest.approx(1)
    assert (cka[3] == 0).all()
    np.testing.assert_allclose(linear_cka(stack[::-1]), cka[::-1, ::-1])


def test_cka_of_unrelated_layers_is_zero_also_for_few_vectors():
    """The usual estimate is about .95 here: it cannot tell layers apart when n is small beside d."""
    values = [linear_cka(random_vectors(2, 12, 300, seed=seed))[0, 1] for seed in range(40)]
    assert np.mean(values) == pytest.approx(0, abs=0.05)
    assert np.isnan(linear_cka(random_vectors(2, 3, 4))).all()


def test_cka_is_the_unbiased_estimate():
    """Song et al. 2012, equation 4, term by term."""
    x, y = random_vectors(2, 9, 4) + 1

    def hsic(x, y):
        n, k, h = len(x), x @ x.T, y @ y.T
        np.fill_diagonal(k, 0)
        np.fill_diagonal(h, 0)
        terms = np.trace(k @ h) + k.sum() * h.sum() / (n - 1) / (n - 2) - 2 / (n - 2) * (k @ h).sum()
        return terms / n / (n - 3)

    expected = hsic(x, y) / math.sqrt(hsic(x, x) * hsic(y, y))
    assert linear_cka(np.stack([x, y]))[0, 1] == pytest.approx(expected)
