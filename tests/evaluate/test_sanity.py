"""The paper's findings on a CNN of handwritten digits, with margins; and what a record, a curve and a verdict hold."""

import json
from dataclasses import asdict
from functools import partial

import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from hw_xai.evaluate.sanity import (
    MEASURES,
    Comparison,
    Curve,
    curves,
    label_randomization,
    randomization,
    randomized_maps,
    verdict,
)
from hw_xai.evaluate.similarity import edges
from hw_xai.explain import (
    grad_cam,
    gradient,
    guided_backprop,
    guided_grad_cam,
    input_x_gradient,
    integrated_gradients,
    smooth_grad,
)
from hw_xai.training.run import accuracy, fit

METHODS = {
    "gradient": gradient,
    "smooth_grad": partial(smooth_grad, n_samples=10),
    "input_x_gradient": input_x_gradient,
    "integrated_gradients": partial(integrated_gradients, n_steps=10),
    "guided_backprop": guided_backprop,
    "guided_grad_cam": guided_grad_cam,
    "grad_cam": grad_cam,
    "sobel": edges,
    "canny": partial(edges, detector="canny"),
}


def digits() -> tuple[Tensor, Tensor]:
    """scikit-learn's handwritten digits, as large as those of MNIST: (1797, 1, 28, 28) in [0, 1], and what they are."""
    data = load_digits()
    pictures = torch.from_numpy(data.images[:, None]).float() / 16  # (1797, 1, 8, 8)
    order = torch.randperm(len(pictures), generator=torch.Generator().manual_seed(0))  # the file is sorted by writer
    pictures = nn.functional.interpolate(pictures, (28, 28), mode="bilinear", align_corners=False)
    return pictures[order], torch.from_numpy(data.target).long()[order]


def permuted_digits() -> tuple[Tensor, Tensor]:
    """400 of them, as many as a small network learns by heart in seconds, with their labels dealt out at random."""
    inputs, target = (tensor[:400] for tensor in digits())
    return inputs, target[torch.randperm(400, generator=torch.Generator().manual_seed(0))]


def fitted(inputs: Tensor, target: Tensor, **options: int) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.Sequential(
            *(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(16, 32, 3, padding=1), nn.ReLU()),
            *(nn.Conv2d(32, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Flatten(), nn.Linear(32 * 7 * 7, 64), nn.ReLU(), nn.Linear(64, 10)),
        )
    fit(model, inputs, target, seed=0, **options)
    return model


@pytest.fixture(scope="module")
def pictures() -> Tensor:
    return digits()[0][1297:1305]


@pytest.fixture(scope="module")
def model() -> nn.Module:
    inputs, target = digits()
    return fitted(inputs[:1297], target[:1297], epochs=8)


@pytest.fixture(scope="module")
def cascade(model, pictures) -> dict[str, Curve]:
    return {curve.method: curve for curve in curves(randomization(METHODS, model, pictures, seeds=(0, 1)))}


# --------------------------------------------------------------------------------------------------------- the findings


@pytest.mark.parametrize("method", ["gradient", "smooth_grad", "grad_cam"])
def test_gradient_smooth_grad_and_grad_cam_change(cascade, method):
    end = {measure: values[-1] for measure, values in cascade[method].mean.items()}
    assert abs(end["rank"]) < 0.4
    assert end["ssim"] < 0.3
    assert end["hog"] < 0.45
    assert verdict(cascade[method]).kind == "depends on the model"


def test_guided_backprop_hardly_changes_when_the_top_layers_are_randomized(cascade):
    blocks = cascade["guided_backprop"].blocks
    assert blocks[:2] == ["11", "9"]  # both linear layers
    top = {method: curve.mean["rank"][1] for method, curve in cascade.items()}
    assert top["guided_backprop"] > 0.75
    assert all(top["guided_backprop"] > top[method] + 0.25 for method in ("gradient", "smooth_grad", "grad_cam"))
    assert verdict(cascade["guided_backprop"]).kind == "shows the picture"


def test_guided_grad_cam_hardly_changes_where_grad_cam_is_not_blank(model, pictures):
    """On so small a model, random top layers often turn Grad-CAM off (its ReLU), and guided Grad-CAM with it."""
    original, target = guided_grad_cam(model, pictures), model(pictures).argmax(1)
    _, (_, changed), *_ = randomized_maps(guided_grad_cam, model, pictures, target, seed=0)
    seen = (changed != 0) & (original != 0)
    assert seen.any()
    same_sign = (changed.sign() == original.sign())[seen].float().mean()
    assert same_sign > 0.75  # of a pixel's sign; a gradient's would agree in half of them


@pytest.mark.parametrize("method", ["input_x_gradient", "integrated_gradients"])
def test_products_with_the_input_keep_its_edges_but_not_their_signs(cascade, method):
    end = {measure: values[-1] for measure, values in cascade[method].mean.items()}
    assert abs(end["rank"]) < 0.2
    assert end["rank_absolute"] > 0.75
    assert end["hog"] > 0.5
    assert end["hog"] > cascade["gradient"].mean["hog"][-1] + 0.2
    assert verdict(cascade[method]).kind == "keeps the edges"


@pytest.mark.parametrize("method", ["sobel", "canny"])
def test_an_edge_detector_does_not_change_at_all(cascade, method):
    assert all(value == pytest.approx(1) for values in cascade[method].mean.values() for value in values)
    assert not any(spread > 1e-9 for spreads in cascade[method].spread.values() for spread in spreads)
    assert verdict(cascade[method]).kind == "ignores the model"


def test_a_single_random_layer_changes_gradients_too(model, pictures):
    (alone,) = curves(randomization({"gradient": gradient}, model, pictures, mode="independent", seeds=(0, 1)))
    assert all(value < 0.6 for value in alone.mean["rank"])


def test_permuted_labels(model, pictures):
    twin = fitted(*permuted_digits(), epochs=60, batch_size=32)
    assert accuracy(twin, *permuted_digits()) >= 0.95
    found = {one.method: one for one in curves(label_randomization(METHODS, model, twin, pictures))}
    assert found["gradient"].blocks == ["labels"]
    assert abs(found["gradient"].mean["rank"][0]) < 0.25
    assert found["input_x_gradient"].mean["hog"][0] > found["gradient"].mean["hog"][0]
    assert found["sobel"].mean["rank"][0] == pytest.approx(1)


# -------------------------------------------------------------------------------------------------------- the records


def test_a_record_survives_json_and_the_model_is_not_touched(model, pictures):
    before = {name: value.clone() for name, value in model.state_dict().items()}
    first, second = randomization({"gradient": gradient}, model, pictures[:2], blocks=["11", "9"], seeds=(3, 4))
    assert (first.method, first.mode, first.seed, second.seed, first.blocks) == (
        "gradient", "cascading", 3, 4, ["11", "9"],
    )  # fmt: skip
    assert {measure: (len(rows), len(rows[0])) for measure, rows in first.similarity.items()} == dict.fromkeys(
        MEASURES, (2, 2)
    )
    assert Comparison(**json.loads(json.dumps(asdict(first), allow_nan=False))) == first
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_pictures_one_by_one_give_what_they_give_together(model, pictures):
    together = next(randomization({"gradient": gradient}, model, pictures[:2], seeds=(0,)))
    (alone,) = curves([
        next(randomization({"gradient": gradient}, model, one[None], seeds=(0,))) for one in pictures[:2]
    ])  # fmt: skip
    (both,) = curves([together])
    assert alone.n == both.n == 2
    for measure in MEASURES:
        assert alone.mean[measure] == pytest.approx(both.mean[measure], abs=1e-3)


def record(*rows: list[float | None]) -> Comparison:
    return Comparison("m", "cascading", 0, ["a", "b"], dict.fromkeys(MEASURES, list(rows)))


def test_a_curve_leaves_out_what_is_not_defined():
    (curve,) = curves([record([1.0, None], [0.0, None]), record([None, None])])
    assert curve.mean["rank"] == [0.5, None]
    assert curve.spread["rank"] == [0.5, None]
    assert verdict(curve).kind == "no map"


def test_methods_without_a_map_get_no_verdict(model, pictures):
    """Constant maps and NaN maps are a result, not an error."""
    broken = {
        "constant": lambda model, inputs, target: torch.ones_like(inputs),
        "nan": lambda model, inputs, target: inputs / 0,
    }
    found = curves(randomization(broken, model, pictures[:2], seeds=(0,)))
    assert [verdict(curve).kind for curve in found] == ["no map", "no map"]


@pytest.mark.parametrize(
    ("rank", "absolute", "kind"),
    [
        ([1.0, 1.0], [1.0, 1.0], "ignores the model"),
        ([0.6, 0.1], [0.9, 0.9], "shows the picture"),
        ([0.1, 0.0], [0.9, 0.6], "keeps the edges"),
        ([0.1, 0.0], [0.6, 0.4], "depends on the model"),
    ],
)
def test_verdicts_follow_the_thresholds(rank, absolute, kind):
    measures = dict.fromkeys(MEASURES, absolute) | {"rank": rank}
    found = verdict(Curve("m", "cascading", ["a", "b"], measures, measures, 1))
    assert found.kind == kind
    assert found.top["rank"] == rank[0]
    assert found.end["ssim"] == absolute[1]


def test_a_verdict_needs_the_cascade():
    (curve,) = curves([Comparison("m", "labels", 0, ["labels"], dict.fromkeys(MEASURES, [[0.5]]))])
    with pytest.raises(ValueError, match="`curve` must be of mode"):
        verdict(curve)
