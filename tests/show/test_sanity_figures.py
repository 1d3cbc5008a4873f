"""Figures of the sanity checks: a column for every state of the model, a line for every method."""

import numpy as np
import pytest

from hw_xai.show.figures.pictures import save_png
from hw_xai.show.figures.sanity import forgetting, similarity_curves

RNG = np.random.default_rng(0)
PHOTO = RNG.random((16, 16, 3))
MAPS = {"signed": [RNG.normal(size=(3, 16, 16)) for _ in range(3)], "unsigned": list(RNG.random((3, 1, 16, 16)))}
LINES = {"gradient": ([0.4, 0.1], [0.1, 0.1]), "broken": ([None, None], [None, None])}


def test_the_grid_has_the_photo_and_a_map_for_every_state():
    figure = forgetting(PHOTO, MAPS, ["fc", "conv"])
    assert [ax.get_title() for ax in figure.axes[:4]] == ["", "trained", "fc", "conv"]
    assert [ax.get_ylabel() for ax in figure.axes[1::4]] == ["signed", "unsigned"]
    assert [len(ax.images) for ax in figure.axes] == [1, 1, 1, 1, 0, 1, 1, 1]
    with pytest.raises(ValueError, match="`maps` must have 2 maps for signed"):
        forgetting(PHOTO, MAPS, ["fc"])


def test_curves_start_at_the_trained_model_and_break_off_where_nothing_is_defined():
    figure = similarity_curves({"rank": LINES, "ssim": LINES}, ["fc", "conv"], "Sanity")
    gradient, broken, *_ = figure.axes[0].get_lines()
    assert gradient.get_ydata().tolist() == [1, 0.4, 0.1]
    assert np.isnan(broken.get_ydata()[1:]).all()
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["gradient", "broken"]


def test_both_save_to_the_same_bytes(tmp_path):
    for name, draw in {
        "grid": lambda: forgetting(PHOTO, MAPS, ["fc", "conv"], "T"),
        "curves": lambda: similarity_curves({"rank": LINES}, ["fc", "conv"]),
    }.items():
        first, second = (save_png(draw(), tmp_path / f"{name}{i}.png", dpi=40).read_bytes() for i in (0, 1))
        assert first == second
