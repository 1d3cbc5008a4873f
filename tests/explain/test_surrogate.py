"""LIME against the package called by hand, and on models whose superpixels count for known amounts."""

from functools import partial

import numpy as np
import pytest
import torch
import torchvision
from lime.lime_image import LimeImageExplainer
from lime.wrappers.scikit_image import SegmentationAlgorithm
from torch import Tensor, nn

from hw_xai.explain import lime, lime_surrogates, superpixels
from hw_xai.explain.surrogate import region_means
from hw_xai.vision.models import Classifier

close = partial(torch.testing.assert_close, rtol=1e-6, atol=1e-9)


def by_hand(model: nn.Module, x: Tensor, target: int, segment, seed: int, **options) -> tuple[Tensor, object]:
    """Explain one picture (C, H, W) with lime_image: map (1, 1, H, W) and the package's explanation."""

    @torch.no_grad()
    def classify(images: np.ndarray) -> np.ndarray:
        return model(torch.from_numpy(images).permute(0, 3, 1, 2).to(x.dtype)).numpy()

    explanation = LimeImageExplainer(random_state=seed).explain_instance(
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
    x, segment = photo(), superpixels(start_label=0)
    expected, explanation = by_hand(network, x[0], 4, segment, seed=16, num_samples=40)
    (found,) = lime_surrogates(network, x, 4, n_samples=40, seed=16)
    close(found.attribution, expected)
    assert found.intercept == pytest.approx(explanation.intercept[4])
    assert found.r2 == pytest.approx(explanation.score)
    assert found.local_prediction == pytest.approx(explanation.local_pred[0])
    assert found.score == pytest.approx(network(x)[0, 4].item())


@pytest.mark.parametrize("n_features", [3, 8])  # the package selects up to 6 forward, more by weight
def test_same_answer_with_few_features_and_a_fill(trained_net, n_features, squares):
    x, segment = squares(1, seed=2)[0], superpixels(n_segments=20, start_label=0)
    options = {"num_samples": 100, "num_features": n_features, "hide_color": 0}
    expected, _ = by_hand(trained_net, x[0], 1, segment, seed=0, **options)
    found = lime(trained_net, x, 1, segments=segment, n_samples=100, n_features=n_features, fill=0.0)
    close(found, expected)
    assert len(found.unique()) <= n_features + 1


def test_the_homeworks_superpixels_are_numbered_anew_so_that_none_is_lost(trained_net, squares):
    """Numbered from 1, as slic does by default, the package never hides the last superpixel and hides an empty one."""
    x = squares(1, seed=2)[0]
    homework = SegmentationAlgorithm("slic", n_segments=20, compactness=1, sigma=1, start_label=1)
    from_zero = SegmentationAlgorithm("slic", n_segments=20, compactness=1, sigma=1, start_label=0)
    found = lime(trained_net, x, 1, segments=homework, n_samples=100, seed=16)
    close(found, by_hand(trained_net, x[0], 1, from_zero, seed=16, num_samples=100)[0])
    package, explanation = by_hand(trained_net, x[0], 1, homework, seed=16, num_samples=100)
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
    found = lime(trained_net, inputs, places, n_samples=400)
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


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"segments": torch.zeros(9, 9).long()}, "`segments` must be a LongTensor that broadcasts"),
        ({"segments": torch.zeros(16, 16)}, "`segments` must be a LongTensor .*, got a float32 tensor"),
        ({"segments": "slic"}, "`segments` must be None, a function or a LongTensor, got 'slic'"),
        ({"segments": lambda image: image}, r"`segments` must return an integer array of shape \(16, 16\)"),
        ({"n_samples": 1}, "`n_samples` must be an integer of at least 2, got 1"),
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
