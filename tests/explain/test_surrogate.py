"""LIME against the package called by hand, and on models whose superpixels count for known amounts."""

from functools import partial

import numpy as np
import pytest
import torch
import torchvision
from lime.lime_image import LimeImageExplainer
from lime.wrappers.scikit_image import SegmentationAlgorithm
from torch import Tensor, nn

from hw_xai.explain import lime, lime_report, lime_surrogates, superpixels
from hw_xai.explain.subsets import balanced_subsets
from hw_xai.explain.surrogate import region_means, region_subsets
from hw_xai.vision.networks import Classifier

close = partial(torch.testing.assert_close, rtol=1e-6, atol=1e-9)
PATCHES = torch.arange(16).reshape(4, 4).repeat_interleave(4, 0).repeat_interleave(4, 1)  # of a picture of 16²


def by_hand(model: nn.Module, x: Tensor, target: int, segment, seed: int, **options) -> tuple[Tensor, object]:
    """Explain one picture (C, H, W) with lime_image on our samples: map (1, 1, H, W) and its explanation."""

    @torch.no_grad()
    def classify(images: np.ndarray) -> np.ndarray:
        return model(torch.from_numpy(images).permute(0, 3, 1, 2).to(x.dtype)).numpy()

    class OurSamples(np.random.RandomState):
        """What the package draws: a seed for the segmentation, then which superpixels each sample shows."""

        def randint(self, low, high=None, size=None):
            if size is None:
                return 0
            n_samples = options["num_samples"]
            return region_subsets(n_samples, size // n_samples, seed).numpy().astype(int).ravel()

    explanation = LimeImageExplainer(random_state=OurSamples(seed)).explain_instance(
        x.permute(1, 2, 0).numpy(), classify, labels=(target,), top_labels=None, segmentation_fn=segment, **options
    )
    weights = dict(explanation.local_exp[target])
    mapped = np.vectorize(lambda k: float(weights.get(k, 0.0)))(explanation.segments)
    return torch.from_numpy(mapped)[None, None], explanation


@pytest.fixture(params=["homework", "resnet18"])
def network(request) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        if request.param == "homework":
            model = Classifier()
            model.fc[0] = nn.Linear(512, 1024)
            return model.double().eval()
        return torchvision.models.resnet18(weights=None).double().eval()


def photo(seed: int = 3) -> Tensor:
    coarse = torch.rand(1, 3, 7, 7, generator=torch.Generator().manual_seed(seed)).double()
    return nn.functional.interpolate(coarse, size=(32, 32), mode="bicubic").clamp(0, 1)


def test_same_answer_as_the_package_by_hand(network):
    x, segment = photo(), superpixels(n_segments=4, start_label=0)
    expected, explanation = by_hand(network, x[0], 4, segment, seed=16, num_samples=40)
    (found,) = lime_surrogates(network, x, 4, segments=segment, n_samples=40, seed=16)
    close(found.attribution, expected)
    assert found.intercept == pytest.approx(explanation.intercept[4])
    assert found.r2 == pytest.approx(explanation.score)
    assert found.local_prediction == pytest.approx(explanation.local_pred[0])
    assert found.score == pytest.approx(network(x)[0, 4].item())


@pytest.mark.parametrize("n_features", [3, 8])  # the package selects up to 6 forward, more by weight
def test_same_answer_with_few_features_and_a_fill(trained_net, n_features, squares):
    x, segment = squares(1, seed=2)[0], superpixels(n_segments=20, start_label=0)
    options = {"num_samples": 300, "num_features": n_features, "hide_color": 0}
    expected, _ = by_hand(trained_net, x[0], 1, segment, seed=0, **options)
    found = lime(trained_net, x, 1, segments=segment, n_samples=300, n_features=n_features, fill=0.0)
    close(found, expected)
    assert len(found.unique()) <= n_features + 1


def test_the_homeworks_superpixels_are_numbered_anew_so_that_none_is_lost(trained_net, squares):
    """Numbered from 1, as slic does by default, the package never hides the last superpixel and hides an empty one."""
    x = squares(1, seed=2)[0]
    homework = SegmentationAlgorithm("slic", n_segments=20, compactness=1, sigma=1, start_label=1)
    from_zero = SegmentationAlgorithm("slic", n_segments=20, compactness=1, sigma=1, start_label=0)
    found = lime(trained_net, x, 1, segments=homework, n_samples=300, seed=16)
    close(found, by_hand(trained_net, x[0], 1, from_zero, seed=16, num_samples=300)[0])
    package, explanation = by_hand(trained_net, x[0], 1, homework, seed=16, num_samples=300)
    last = torch.from_numpy(explanation.segments == explanation.segments.max())
    assert package[0, 0][last].unique().tolist() == [0]
    assert found[0, 0][last].unique().tolist() != [0]


def test_regions_of_a_linear_model_count_for_what_they_add():
    weight = torch.tensor([[2.0], [-1.0], [0.0], [5.0]]).double()
    x = torch.tensor([[1.0, 3.0, 2.0, 1.0]]).double()
    (found,) = lime_surrogates(lambda rows: rows @ weight, x, 0, segments=torch.arange(4), fill=0.0, n_samples=2000)
    close(found.attribution, x * weight.T, rtol=0, atol=0.05)  # not exactly: ridge shrinks
    assert found.r2 > 0.999
    assert found.target == 0
    assert found.attribution.shape == (1, 4)


def test_embeddings_with_one_region_per_token(small_net):
    head = torch.randn(6, 2).double()
    vectors = torch.randn(2, 4, 6).double()
    tokens = torch.arange(4)[:, None]  # (T, 1)
    found = lime(lambda v: v.sum(dim=1) @ head, vectors, 1, segments=tokens, fill=0.0, n_samples=500)
    assert found.shape == (2, 4, 1)
    close(found, vectors @ head[:, 1:], rtol=0, atol=0.3)


def test_the_square_has_the_largest_coefficient(trained_net, squares):
    inputs, places = squares(4, seed=2)
    found = lime(trained_net, inputs, places, n_samples=700)
    assert found.shape == (4, 1, 16, 16)
    on_square = (inputs > 0.55).any(dim=1, keepdim=True)
    for row, mask in zip(found, on_square, strict=True):
        assert row[mask].mean() > row[~mask].mean()
        assert mask[row == row.max()].any()


def test_region_means_keep_channels_apart():
    x = torch.arange(24.0).reshape(1, 2, 3, 4)
    regions = torch.tensor([[0, 0, 1, 1]] * 3)[None, None]
    left = x[..., :2].mean(dim=(2, 3), keepdim=True)
    right = x[..., 2:].mean(dim=(2, 3), keepdim=True)
    close(region_means(x, regions), torch.cat([left.expand(1, 2, 3, 2), right.expand(1, 2, 3, 2)], dim=3))


# ------------------------------------------------------------------------------------------------------------- samples


@pytest.mark.parametrize("n_regions", [1, 2, 5, 7, 8, 40])
def test_each_block_of_samples_is_balanced(n_regions):
    size = 2 ** (n_regions).bit_length()  # of a block, without complements
    subsets = balanced_subsets(2 * size, n_regions, torch.Generator().manual_seed(0)).double()
    assert subsets.shape == (2 * size, n_regions)
    signs = 2 * subsets - 1
    close(signs[::2], -signs[1::2])
    close(signs.T @ signs, 2 * size * torch.eye(n_regions).double())  # two regions: as often together as apart
    triples = torch.einsum("ni,nj,nk->ijk", signs, signs, signs)
    close(triples, torch.zeros_like(triples))  # what two regions do together does not blur a third


def test_over_seeds_each_sample_is_as_likely_as_with_fair_coins():
    seen = torch.stack([balanced_subsets(3, 3, torch.Generator().manual_seed(seed)) for seed in range(800)])
    numbers = (seen * torch.tensor([1, 2, 4])).sum(dim=2)  # (800, 3): which of the 8 subsets
    for row in numbers.T:
        assert (row.bincount(minlength=8) - 100).abs().max() < 40


def test_the_first_sample_shows_all_and_any_number_is_possible():
    for n in (2, 3, 64, 129):
        samples = region_subsets(n, 5, seed=0)
        assert samples.shape == (n, 5)
        assert samples[0].all()


def test_balanced_samples_need_fewer_passes_than_coins(trained_net, squares):
    """The package's own independent samples spread more from seed to seed, on the same superpixels."""
    x, segment = squares(1, seed=2)[0], superpixels(n_segments=20, start_label=0)
    ours = torch.stack([lime(trained_net, x, 1, segments=segment, n_samples=250, seed=seed) for seed in range(6)])
    picture = x[0].permute(1, 2, 0).numpy()

    @torch.no_grad()
    def classify(images: np.ndarray) -> np.ndarray:
        return trained_net(torch.from_numpy(images).permute(0, 3, 1, 2)).numpy()

    theirs = []
    for seed in range(6):
        found = LimeImageExplainer(random_state=seed).explain_instance(
            picture, classify, labels=(1,), top_labels=None, segmentation_fn=segment, num_samples=250
        )
        weights = dict(found.local_exp[1])
        theirs.append(torch.tensor([float(weights[k]) for k in range(len(weights))])[found.segments])
    assert ours.std(dim=0).mean() < 0.7 * torch.stack(theirs).std(dim=0).mean()


# ------------------------------------------------------------------------------------------------------------- quality


def test_a_tree_finds_the_regions_of_an_interaction():
    """Worth 4 when 0 and 1 are both shown, and 1 for region 2: a line cannot say that, a tree can."""
    both = lambda rows: 4 * rows[:, :1] * rows[:, 1:2] + rows[:, 2:3]  # noqa: E731
    x, options = torch.ones(1, 5).double(), {"segments": torch.arange(5), "fill": 0.0, "n_samples": 400}
    (tree,) = lime_surrogates(both, x, 0, surrogate="tree", **options)
    (ridge,) = lime_surrogates(both, x, 0, **options)
    assert tree.r2 == pytest.approx(1)
    assert ridge.r2 < 0.9
    assert tree.local_prediction == pytest.approx(5)
    assert tree.intercept == pytest.approx(0)
    for found in (tree, ridge):  # each of a pair counts for more than half of it: near the input the other is shown
        pair, alone, nothing = found.coefficients.split([2, 1, 2])
        assert (pair > 2).all()
        assert (pair < 3).all()
        close(alone, torch.ones(1).double(), rtol=0, atol=0.05)
        close(nothing, torch.zeros(2).double(), rtol=0, atol=0.15)  # of the line: the kernel ties the regions together
    close(lime(both, x, 0, surrogate="tree", **options), tree.attribution)


def test_a_tree_keeps_few_features_and_its_leaves_bound_it(trained_net, squares):
    inputs, places = squares(3, seed=2)
    found = lime(trained_net, inputs, places, surrogate="tree", segments=PATCHES, n_samples=400)
    on_square = (inputs > 0.55).any(dim=1, keepdim=True)
    for row, mask in zip(found, on_square, strict=True):
        assert row[mask].mean() > row[~mask].mean()
    few = lime(trained_net, inputs, places, surrogate="tree", segments=PATCHES, n_samples=400, n_features=3)
    assert all(len(row.unique()) <= 4 for row in few)


def test_a_report_tells_the_trustworthy_from_the_chancy(trained_net, squares):
    inputs, places = squares(2, seed=2)
    report = partial(lime_report, trained_net, inputs, places, segments=PATCHES, n_seeds=3)
    many, few = report(n_samples=1000), report(n_samples=160)
    assert len(many) == 2
    for well, badly, x in zip(many, few, inputs, strict=True):
        assert well.coefficients.shape == (3, 16)
        assert [one.target for one in well.surrogates] == [places[0]] * 3 or len(set(places.tolist())) > 1
        assert well.stability > badly.stability
        assert well.stability > 0.95
        assert 0 < well.r2 <= 1
        alone = lime(trained_net, x[None], well.surrogates[1].target, segments=PATCHES, n_samples=1000, seed=1)
        close(well.surrogates[1].attribution, alone)
    linear = lambda rows: rows.sum(dim=1, keepdim=True)  # noqa: E731
    (exact,) = lime_report(linear, torch.rand(1, 4), 0, segments=torch.arange(4), fill=0.0, n_samples=500)
    assert exact.stability > 0.999
    assert exact.r2 > 0.999


def test_few_samples_for_many_regions_are_warned_of(trained_net, squares):
    x = squares(1, seed=2)[0]
    with pytest.warns(UserWarning, match="`n_samples` should be at least 160, 10 for each of 16 regions, got 159"):
        lime(trained_net, x, 1, segments=PATCHES, n_samples=159)
    lime(trained_net, x, 1, segments=PATCHES, n_samples=160)  # a warning would be an error


def test_a_sum_of_functions_of_one_variable_each():
    """f = 5x + y² + sin z: each gets its own part."""
    model = lambda rows: 5 * rows[:, :1] + rows[:, 1:2] ** 2 + rows[:, 2:].sin()  # noqa: E731
    inputs = torch.tensor([[1.0, 3.0, 2.0]]).double()
    expected = torch.stack([5 * inputs[:, 0], inputs[:, 1] ** 2, inputs[:, 2].sin()], dim=1)
    for surrogate, off in (("ridge", 0.15), ("tree", 1e-9)):
        found = lime(model, inputs, 0, segments=torch.arange(3), surrogate=surrogate, fill=0.0, n_samples=1000)
        close(found, expected, rtol=0, atol=off)


def test_a_planted_pixel_and_a_planted_channel():
    picture = torch.full((1, 3, 6, 6), 0.2).double()
    picture[0, 1, 4, 3] = 0.9
    bright = lambda x: (x[:, 1] > 0.8).any(dim=(1, 2))[:, None].double()  # noqa: E731  has no gradient
    for surrogate in ("ridge", "tree"):
        options = {"surrogate": surrogate, "fill": 0.0, "n_samples": 512}
        found = lime(bright, picture, 0, segments=torch.arange(36).reshape(6, 6), **options)
        assert found.argmax() == 4 * 6 + 3
        assert found.abs().flatten().sort().values[-2] < 0.05 * found.max()
        green = lambda x: x[:, 1].mean(dim=(1, 2))[:, None]  # noqa: E731
        found = lime(green, picture, 0, segments=torch.arange(3).reshape(3, 1, 1), **options)
        close(found[0, :, 0, 0], torch.tensor([0, green(picture).item(), 0]).double(), rtol=0, atol=0.01)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"segments": torch.zeros(9, 9).long()}, "`segments` must be a LongTensor that broadcasts"),
        ({"segments": torch.zeros(16, 16)}, "`segments` must be a LongTensor .*, got a float32 tensor"),
        ({"segments": "slic"}, "`segments` must be None, a function or a LongTensor, got 'slic'"),
        ({"segments": lambda image: image}, r"`segments` must return an integer array of shape \(16, 16\)"),
        ({"n_samples": 1}, "`n_samples` must be an integer of at least 2, got 1"),
        ({"surrogate": "forest"}, '`surrogate` must be "ridge" or "tree", got \'forest\''),
        ({"n_features": 0}, "`n_features` must be an integer of at least 1, got 0"),
        ({"fill": torch.zeros(7)}, "`fill` must be a number or a tensor that broadcasts"),
        ({"seed": -1}, "`seed` must be an integer of at least 0, got -1"),
    ],
)
def test_mistakes_are_told_in_a_sentence(options, message, small_net, pictures):
    with pytest.raises(ValueError, match=message):
        lime(small_net, pictures, **options)


def test_inputs_that_are_no_pictures_need_segments():
    with pytest.raises(ValueError, match=r"`segments` must be given as a LongTensor unless .*, got \(2, 5\)"):
        lime(lambda x: x, torch.zeros(2, 5))
