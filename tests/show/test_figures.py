"""Figures: they draw what was given, need no display, and leave matplotlib as it was."""

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from hw_xai import show

PHOTO = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
SIGNED = np.random.default_rng(1).normal(size=(16, 16))
MASK = np.zeros((16, 16), dtype=bool)
MASK[4:12, 4:12] = True
HISTORY = [
    {"epoch": e, "train_loss": 2 / e, "train_accuracy": 0.1 * e, "validation_accuracy": 0.09 * e} for e in (1, 2)
]


def compare(**options) -> Figure:
    maps = {"saliency": [np.abs(SIGNED), np.abs(SIGNED)], "gradient": [SIGNED, 10 * SIGNED]}
    return show.compare([PHOTO, PHOTO], maps, ["Soup 93 %", "湯 80 %"], [MASK, None], **options)


FIGURES = {
    "compare": compare,
    "heatmap": lambda: show.heatmap(PHOTO, np.stack([SIGNED] * 3), "Gradient", "Soup 93 %", MASK),
    "silent": lambda: show.heatmap(PHOTO, np.zeros((16, 16))),
    "pictures": lambda: show.pictures([PHOTO, np.abs(SIGNED)] * 3, ["a", "b"], "Filters"),
    "superpixels": lambda: show.superpixels(PHOTO, MASK.astype(int), {0: -0.2, 1: 0.7}),
    "curves": lambda: show.learning_curves(HISTORY),
    "no curves": lambda: show.learning_curves([]),
    "confusion": lambda: show.confusion_matrix(np.array([[3, 1], [0, 0]]), ["Soup", "Rice"]),
}


def pixels(ax, layer: int = -1) -> np.ndarray:
    return ax.images[layer].get_array()


@pytest.mark.parametrize("draw", FIGURES.values(), ids=FIGURES)
def test_every_figure_saves_to_the_same_bytes_and_leaves_the_settings(draw, tmp_path):
    settings = dict(matplotlib.rcParams)
    first = show.save_png(draw(), tmp_path / "first.png", dpi=40)
    assert dict(matplotlib.rcParams) == settings
    assert first.read_bytes() == show.save_png(draw(), tmp_path / "second.png", dpi=40).read_bytes()
    with Image.open(first) as picture:
        assert picture.size[0] > 100


def test_a_figure_ignores_the_style_of_the_notebook(tmp_path):
    expected = show.save_png(compare(), tmp_path / "first.png", dpi=40).read_bytes()
    with matplotlib.rc_context({"image.cmap": "jet", "axes.titlesize": 30, "image.origin": "lower"}):
        assert show.save_png(compare(), tmp_path / "second.png", dpi=40).read_bytes() == expected


def test_the_grid_has_a_row_for_every_image_and_a_column_for_every_method():
    axes = compare().axes
    assert [ax.get_title() for ax in axes[:3]] == ["", "saliency", "gradient"]
    assert axes[0].get_xlabel() == "Soup 93 %"
    assert axes[3].get_xlabel() == "湯 80 %"
    assert len(axes[2].lines) == 2  # the mask, white on black
    assert len(axes[5].lines) == 0


def test_alone_two_maps_look_alike_and_shared_the_weaker_one_is_paler():
    alone, shared = compare().axes, compare(shared="column").axes
    np.testing.assert_array_equal(pixels(alone[2]), pixels(alone[5]))
    assert pixels(shared[2])[..., 3].mean() < pixels(shared[5])[..., 3].mean() / 3
    np.testing.assert_array_equal(pixels(shared[1]), pixels(shared[4]))


def test_a_shared_row_compares_methods():
    axes = show.compare([PHOTO], {"5 steps": [SIGNED], "50 steps": [10 * SIGNED]}, shared="row").axes
    assert pixels(axes[1])[..., 3].mean() < pixels(axes[2])[..., 3].mean() / 3


def test_superpixels_of_no_weight_are_not_drawn():
    ax = show.superpixels(PHOTO, MASK.astype(int), {0: 0.0, 1: 0.7}).axes[1]
    assert len(ax.patches) == 1
    assert len(show.superpixels(PHOTO, MASK.astype(int), {0: -0.1, 1: 0.7}, n_features=1).axes[1].patches) == 1


def test_the_confusion_matrix_tells_the_share_found_of_every_class():
    ax = show.confusion_matrix(np.array([[3, 1], [0, 0]]), ["Soup", "Rice"]).axes[0]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["Soup  75%", "Rice  0%"]
    assert ax.get_title() == "75.0% of 4 right"


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: show.compare([PHOTO], {"a": []}), "`maps` must have 1 maps for a, one per image, got 0"),
        (
            lambda: show.compare([PHOTO], {"a": [SIGNED], "b": [SIGNED**2]}, shared="row"),
            '`maps` must all be signed or all unsigned to be shared="row", got both',
        ),
        (lambda: show.pictures([]), "`images` must hold at least one picture, got none"),
        (lambda: show.superpixels(PHOTO, np.zeros((4, 4)), {}), r"`segments` must be \(16, 16\) like the image"),
        (lambda: show.confusion_matrix(np.eye(3), ["a"]), r"`matrix` must be 1 × 1 like `classes`, got \(3, 3\)"),
    ],
)
def test_a_wrong_argument_gives_one_sentence(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()


def test_a_notebook_draws_the_figures_though_pyplot_is_not_imported():
    figure = show.heatmap(np.zeros((8, 8, 3), np.uint8), np.eye(8))
    assert figure._repr_png_().startswith(b"\x89PNG")
