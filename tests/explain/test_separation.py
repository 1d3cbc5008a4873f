"""Senses that are known to separate, or known not to, and every measure against scikit-learn or its definition."""

import math

import numpy as np
import pytest
import torch

from hw_xai.explain.embeddings import TRANSFORMS, cosine_similarity, euclidean_distance
from hw_xai.explain.separation import linear_cka, sense_report, silhouette


def random_vectors(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


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
    assert lines[2].count("(") == 7
    assert "cos random" not in text  # not given
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
