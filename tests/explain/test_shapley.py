"""Shapley values against their definition, Captum, shap, and games whose parts count for known amounts."""

import importlib
import itertools
import math
import warnings
from functools import partial

import numpy as np
import pytest
import torch
from captum.attr import ShapleyValues as CaptumShapleyValues
from torch import Tensor, nn

from hw_xai.explain import METHODS, shapley, shapley_values

close = partial(torch.testing.assert_close, rtol=1e-9, atol=1e-12)
almost = partial(torch.testing.assert_close, rtol=0, atol=1e-6, check_dtype=False)  # Captum sums up in float32
PATCHES = torch.arange(16).reshape(4, 4).repeat_interleave(4, 0).repeat_interleave(4, 1)  # of a picture of 16²
QUARTERS = torch.arange(4).reshape(2, 2).repeat_interleave(8, 0).repeat_interleave(8, 1)


@pytest.fixture
def net(small_net) -> nn.Module:
    return small_net.eval().requires_grad_(False)


def interacting(rows: Tensor) -> Tensor:
    """(N, 4) -> (N, 1): a sum, a product and a maximum."""
    a, b, c, d = rows.T
    return (3 * a + 2 * b * c + torch.maximum(c, d))[:, None]


def slow_shapley(worth, n_regions: int) -> list[float]:
    """The definition: what region k adds, over all n! orders; worth(set of shown regions) -> score."""
    values = [0.0] * n_regions
    for order in itertools.permutations(range(n_regions)):
        for place, k in enumerate(order):
            values[k] += worth({*order[: place + 1]}) - worth({*order[:place]})
    return [value / math.factorial(n_regions) for value in values]


def test_exact_values_are_the_definition_over_all_orders(net, pictures):
    for segments, x in [(QUARTERS, pictures[:1]), (torch.arange(16) // 3, pictures[1:2])]:
        n_regions = int(segments.max()) + 1

        def worth(shown: set, x=x, segments=segments, n_regions=n_regions) -> float:
            seen = torch.tensor([k in shown for k in range(n_regions)])[segments]
            return net(torch.where(seen, x, 0.25))[0, 2].item()

        cached = {frozenset(s): worth(set(s)) for r in range(7) for s in itertools.combinations(range(n_regions), r)}
        expected = slow_shapley(lambda shown, cached=cached: cached[frozenset(shown)], n_regions)
        (found,) = shapley_values(net, x, 2, segments=segments, method="exact", fill=0.25)
        close(found.values, torch.tensor(expected, dtype=torch.float64))
        close(found.attribution[0].squeeze(), torch.tensor(expected, dtype=torch.float64)[segments])
        assert found.standard_errors.tolist() == [0] * n_regions


@pytest.mark.parametrize("method", ["kernel", "permutation", "exact"])
def test_a_linear_model_is_explained_exactly_by_few_samples(method):
    weight = torch.tensor([[2.0], [-1.0], [0.0], [5.0], [0.5]]).double()
    x = torch.tensor([[1.0, 3.0, 2.0, 1.0, 4.0], [0.0, 1.0, 0.0, 2.0, 3.0]]).double()
    options = {"segments": torch.arange(5), "fill": 0.5, "method": method, "n_samples": 24}
    found = shapley_values(lambda rows: rows @ weight + 7, x, 0, **options)
    for one, row in zip(found, x, strict=True):
        close(one.values, (row - 0.5) * weight[:, 0])
        close(one.standard_errors, torch.zeros(5).double(), rtol=0, atol=1e-9)
    close(shapley(lambda rows: rows @ weight + 7, x, 0, **options), (x - 0.5) * weight[:, 0])


@pytest.mark.parametrize("method", ["kernel", "permutation", "exact"])
@pytest.mark.parametrize("fill", [None, 0.0, "blur", "inpaint", "channel_mean"])
def test_the_values_sum_to_the_score_difference(method, fill, net, pictures):
    segments = PATCHES if method != "exact" else QUARTERS
    found = shapley_values(net, pictures, None, segments=segments, method=method, fill=fill, n_samples=90)
    for one, x in zip(found, pictures, strict=True):
        assert one.target == int(net(x[None]).argmax())
        assert one.score == pytest.approx(net(x[None])[0, one.target].item())
        assert one.values.sum().item() == pytest.approx(one.score - one.hidden_score)
        assert one.attribution.shape == (1, 1, 16, 16)
        if fill == 0.0:
            assert one.hidden_score == pytest.approx(net(torch.zeros_like(x[None]))[0, one.target].item())


@pytest.mark.parametrize("method", ["kernel", "permutation"])
def test_samples_converge_to_the_exact_values_as_their_standard_errors_say(method, net, pictures):
    options = {"segments": PATCHES // 2 % 8, "fill": 0.0}
    x = pictures[:1]
    (exact,) = shapley_values(net, x, 2, method="exact", **options)
    distances, errors = [], []
    for seed in range(30):
        (found,) = shapley_values(net, x, 2, method=method, n_samples=150, seed=seed, **options)
        distances.append(found.values - exact.values)
        errors.append(found.standard_errors)
    distances, errors = torch.stack(distances), torch.stack(errors)  # (30, K)
    spread = distances.square().mean(0).sqrt()
    assert (distances.mean(0).abs() < 4 * spread / 30**0.5).all(), "without bias"
    close(errors.square().mean(0).sqrt(), spread, rtol=0.5, atol=1e-6)
    (many,) = shapley_values(net, x, 2, method=method, n_samples=6000, **options)
    assert (many.values - exact.values).norm() < 0.05 * exact.values.norm()


def test_captum_gives_the_same_values(net, pictures):
    x, mask = pictures[:1], QUARTERS[None, None]
    expected = CaptumShapleyValues(net).attribute(x, target=2, feature_mask=mask, perturbations_per_eval=8)
    almost(shapley(net, x, 2, segments=QUARTERS, method="exact", fill=0.0), expected[:, :1])
    table = torch.tensor([[1.0, -2.0, 3.0, 0.5]]).double()
    expected = CaptumShapleyValues(interacting).attribute(table, target=0)
    almost(shapley(interacting, table, 0, segments=torch.arange(4), method="exact", fill=0.0), expected)
    for method in ("kernel", "permutation"):
        found = shapley(interacting, table, 0, segments=torch.arange(4), method=method, fill=0.0, n_samples=3000)
        almost(found, expected, atol=0.05)


def test_pairs_make_second_order_interactions_exact():
    """A subset and its complement, or an order and its reverse, cancel what two regions do together."""
    table = torch.tensor([[1.0, -2.0, 3.0, 0.5]]).double()
    products = lambda rows: rows[:, :1] * rows[:, 1:2] + 4 * rows[:, 2:3] * rows[:, 3:]  # noqa: E731
    expected = torch.tensor([[-1.0, -1.0, 3.0, 3.0]]).double()
    for method in ("kernel", "permutation"):
        found = shapley(products, table, 0, segments=torch.arange(4), method=method, fill=0.0, n_samples=40)
        close(found, expected)


def test_a_region_without_influence_gets_nothing():
    model = lambda rows: interacting(torch.nn.functional.pad(rows[:, :3], (0, 1)))  # noqa: E731  the last is not read
    table = torch.tensor([[1.0, -2.0, 3.0, 0.5]]).double()
    for method in ("permutation", "exact"):
        (found,) = shapley_values(model, table, 0, segments=torch.arange(4), method=method, fill=0.0, n_samples=40)
        assert abs(found.values[3].item()) < 1e-12
        assert found.standard_errors[3].item() < 1e-12


def test_tokens_of_a_sequence():
    generator = torch.Generator().manual_seed(0)
    vectors, head = (torch.randn(size, generator=generator).double() for size in [(2, 4, 6), (6, 2)])
    tokens = torch.arange(4)[:, None]
    found = shapley(lambda v: v.sum(dim=1) @ head, vectors, 1, segments=tokens, fill=0.0, n_samples=40)
    close(found, vectors @ head[:, 1:])


def test_one_region_gets_everything_and_few_samples_say_that_they_are_few(net, pictures):
    (found,) = shapley_values(net, pictures[:1], 2, segments=torch.zeros(16, 16).long(), fill=0.0)
    close(found.values[0].item(), found.score - found.hidden_score)
    (few,) = shapley_values(net, pictures[:1], 2, segments=PATCHES, n_samples=20, method="kernel")
    assert few.standard_errors.isnan().all()
    assert few.values.isfinite().all()
    (pair,) = shapley_values(net, pictures[:1], 2, segments=PATCHES, n_samples=20)
    assert pair.standard_errors.isnan().all()


# --------------------------------------------------------------------------------------------------- shap and pictures


@pytest.fixture(scope="module")
def shap():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of its own dependencies while it is imported
        return importlib.import_module("shap")


def test_shap_gives_the_same_values(shap, net, pictures):
    table = torch.tensor([[1.0, -2.0, 3.0, 0.5], [0.3, 1.0, 2.0, -4.0]]).double()
    black_box = lambda rows: interacting(torch.from_numpy(rows)).numpy()[:, 0]  # noqa: E731
    expected = shap.ExactExplainer(black_box, np.zeros((1, 4)))(table.numpy()).values
    found = shapley(interacting, table, 0, segments=torch.arange(4), method="exact", fill=0.0)
    close(found, torch.from_numpy(expected))

    x = pictures[:1]
    regions = PATCHES // 2 % 8

    def scores(shown: np.ndarray) -> np.ndarray:  # (n, 8) -> (n,)
        seen = torch.from_numpy(shown > 0)[:, regions][:, None]
        return net(torch.where(seen, x, 0.0))[:, 2].numpy()

    theirs = shap.KernelExplainer(scores, np.zeros((1, 8)))  # 254 samples: all subsets of 8 regions
    expected = theirs.shap_values(np.ones((1, 8)), nsamples=254, silent=True, l1_reg=False)[0]
    (found,) = shapley_values(net, x, 2, segments=regions, method="exact", fill=0.0)
    almost(found.values, torch.from_numpy(expected))


def test_a_sum_of_functions_of_one_variable_each():
    """f = 5x + y² + sin z: each gets its own part, whatever the order and the method."""
    model = lambda rows: 5 * rows[:, :1] + rows[:, 1:2] ** 2 + rows[:, 2:].sin()  # noqa: E731
    inputs = torch.tensor([[1.0, 3.0, 2.0], [-2.0, 0.5, 0.1]]).double()
    expected = torch.stack([5 * inputs[:, 0], inputs[:, 1] ** 2, inputs[:, 2].sin()], dim=1)
    for method in ("permutation", "kernel", "exact"):
        close(shapley(model, inputs, 0, segments=torch.arange(3), method=method, fill=0.0, n_samples=30), expected)


def test_the_glove_game():
    """Two left gloves and a right one, worth 1 as a pair: the right glove gets 2/3, each left one 1/6."""
    worth = lambda rows: torch.minimum(rows[:, :2].sum(dim=1), rows[:, 2])[:, None]  # noqa: E731
    found = shapley(worth, torch.ones(1, 3).double(), 0, segments=torch.arange(3), method="exact", fill=0.0)
    close(found, torch.tensor([[1 / 6, 1 / 6, 2 / 3]], dtype=torch.float64))


def test_a_planted_pixel_and_a_planted_channel():
    picture = torch.full((1, 3, 6, 6), 0.2).double()
    picture[0, 1, 4, 3] = 0.9
    bright = lambda x: (x[:, 1] > 0.8).any(dim=(1, 2))[:, None].double()  # noqa: E731  has no gradient
    found = shapley(bright, picture, 0, segments=torch.arange(36).reshape(6, 6), fill=0.0, n_samples=200)
    expected = torch.zeros(1, 1, 6, 6).double()
    expected[0, 0, 4, 3] = 1
    close(found, expected)
    green = lambda x: x[:, 1].mean(dim=(1, 2))[:, None]  # noqa: E731
    channels = torch.arange(3).reshape(3, 1, 1)
    found = shapley(green, picture, 0, segments=channels, fill=0.0, method="exact")
    close(found, torch.tensor([0, green(picture).item(), 0], dtype=torch.float64).reshape(1, 3, 1, 1))


def test_the_square_is_found(trained_net, squares):
    inputs, places = squares(4, seed=2)
    on_square = (inputs > 0.55).any(dim=1, keepdim=True)
    found = shapley(trained_net, inputs, places, segments=PATCHES, n_samples=400, fill=0.1)
    for row, mask in zip(found, on_square, strict=True):
        assert row[mask].mean() > row[~mask].mean() + row.std()


# ------------------------------------------------------------------------------------------------- passes and mistakes


@pytest.mark.parametrize(
    "options",
    [
        {"n_samples": 99},
        {"n_samples": 20},
        {"n_samples": 99, "method": "kernel"},
        {"n_samples": 4, "method": "kernel"},
        {"segments": QUARTERS, "method": "exact", "n_regions": 4},
        {"segments": torch.zeros(16, 16).long(), "n_regions": 1},
    ],
)
def test_passes_are_those_of_the_catalog(options, net, pictures):
    rows = []
    model = lambda x: (rows.append(len(x)), net(x))[1]  # noqa: E731
    passes = METHODS["shapley"].passes(**({"n_regions": 16} | options))
    options = {"segments": PATCHES} | {key: value for key, value in options.items() if key != "n_regions"}
    shapley(model, pictures, 2, **options)
    assert sum(rows) == 3 * passes.forward
    rows.clear()
    shapley(model, pictures, **options)
    assert sum(rows) == 3 * (passes.forward + 1), "one more to predict the class"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "exact"}, '`segments` must have at most 12 regions for the method "exact", got 16'),
        ({"method": "guess"}, '`method` must be "permutation", "kernel" or "exact", got \'guess\''),
        ({"n_samples": 3}, "`n_samples` must be an integer of at least 4, got 3"),
        ({"seed": -1}, "`seed` must be an integer of at least 0, got -1"),
        ({"segments": "slic"}, "`segments` must be None, a function or a LongTensor, got 'slic'"),
        ({"fill": "black"}, '`fill` must be "zero"'),
    ],
)
def test_mistakes_in_shapley_are_told(options, message, small_net, pictures):
    with pytest.raises(ValueError, match=message):
        shapley(small_net, pictures, **({"segments": PATCHES} | options))
