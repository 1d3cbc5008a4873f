"""The embedding page as bytes, and the figures beside it."""

import json
import re

import numpy as np
import pytest

from hw_xai.explain import cosine_similarity, euclidean_distance, project, sense_report
from hw_xai.show.figures import style
from hw_xai.show.figures.sentences import (
    all_heads_figure,
    attention_figure,
    heads_figure,
    projection_figure,
    save_figure,
    similarity_figure,
    words_figure,
)
from hw_xai.show.frame.planes import Plane
from hw_xai.show.pages.embedding.page import Point, write_embedding_page
from hw_xai.studies.senses import report_view


@pytest.fixture
def states() -> np.ndarray:
    """Two senses, three layers: (3, 8, 6), further apart from layer to layer."""
    random = np.random.default_rng(0)
    return random.normal(size=(3, 8, 6)) + np.arange(3)[:, None, None] * np.repeat([0, 4.0], 4)[None, :, None]


def planes(states) -> list[Plane]:
    found = [project(layer) for layer in states]
    return [Plane(p.points, p.explained_variance, p.trustworthiness) for p in found]


def write(path, states, **more):
    points = [Point("吃", "蘋果", f"{i}", "fruit" if i < 4 else "company", str(i)) for i in range(8)]
    cosine, euclidean = (np.stack([f(s) for s in states]) for f in (cosine_similarity, euclidean_distance))
    return write_embedding_page(path, "Apple?", "Layers.", points, planes(states), cosine, euclidean, **more)


def read(path) -> dict:
    return json.loads(re.search(r'id="data">(.*?)</script>', path.read_text(encoding="utf-8"), re.DOTALL)[1])


def test_every_plane_says_what_it_is_worth(tmp_path, states):
    for layer, plane in zip(read(write(tmp_path / "e.html", states))["layers"], planes(states), strict=True):
        assert f"{sum(plane.explained_variance):.0%} of the variance" in layer["worth"]
        assert f"trustworthiness {plane.trustworthiness:.2f}" in layer["worth"]
        np.testing.assert_allclose(np.abs(layer["points"]), np.abs(plane.points), atol=1e-4)
    assert "about 0.5 at random" in Plane(np.zeros((3, 2)), None, 0.9).worth


def test_neighbours_are_the_nearest_others(tmp_path, states):
    layer = read(write(tmp_path / "e.html", states))["layers"][1]
    cosine = cosine_similarity(states[1])
    for i, near in enumerate(layer["nearest"]):
        others = [k for k in np.argsort(-cosine[i]) if k != i][:5]
        assert [k for k, _ in near] == others


def test_the_report_never_comes_without_its_control(tmp_path, states):
    labels = ["fruit"] * 4 + ["company"] * 4
    control = np.random.default_rng(1).normal(size=states.shape)
    report = sense_report(states, labels, control=control, position=range(8), k=3)
    page = write(tmp_path / "e.html", states, report=report_view(report))
    found = read(page)["report"]
    assert found["model"].keys() == found["control"].keys()
    assert found["control"]["nearest"][0] == report.control.nearest[0].round(3).tolist()
    assert found["controls"] == {"knn": report.position_knn, "nearest": report.position_nearest, "most_frequent": 0.5}
    assert ["knn", "3-NN accuracy"] in found["names"]


def test_without_senses_it_says_why(tmp_path, states):
    assert "no senses given" in write(tmp_path / "e.html", states, no_report="no senses given").read_text()


def test_shapes_must_fit(tmp_path, states):
    with pytest.raises(ValueError, match=r"`cosine` must be \(3, 0, 0\), got"):
        write_embedding_page(tmp_path / "e.html", "", "", [], planes(states), np.zeros((3, 8, 8)), None)


def test_figures_are_drawn_and_repeat_to_the_byte(tmp_path, states):
    attention = np.full((2, 3, 4, 4), 0.25)
    draw = {
        "heads": lambda: heads_figure([["previous token (0.83)", ""]], np.array([[0.83, 0]])),
        "all": lambda: all_heads_figure(attention),
        "one": lambda: attention_figure(list("abcd"), attention[0, 0]),
        "scatter": lambda: projection_figure(states[..., :2], ["a"] * 4 + ["b"] * 4, ["x"] * 3),
        "similar": lambda: similarity_figure(states[:, :, :1] @ states[:, :, :1].swapaxes(1, 2), ["a"] * 8, "cosine"),
        "words": lambda: words_figure(["a", "b"], {"IG": np.array([1.0, -1]), "gradient": np.array([1.0, 2])}),
    }
    for name, figure in draw.items():
        written = save_figure(figure(), tmp_path / name, "a")
        assert [path.suffix for path in written] == [".png", ".svg"]
    once = [path.read_bytes() for path in save_figure(draw["words"](), tmp_path / "again", "a")]
    assert once == [path.read_bytes() for path in save_figure(draw["words"](), tmp_path / "again", "a")]


def test_chinese_is_drawn_without_any_font_of_the_machine(tmp_path, capsys, monkeypatch):
    own = style._style.__wrapped__()
    monkeypatch.setattr(style, "_style", lambda: own | {"font.family": ["DejaVu Sans", style.OUR_FAMILY]})
    assert style.missing("蘋果苹果 Apple，「好」") == []
    assert [
        path.suffix for path in save_figure(words_figure(["蘋", "苹"], {"IG": np.ones(2)}), tmp_path / "w", "蘋苹")
    ] == [
        ".png",
        ".svg",
    ]
    assert capsys.readouterr().err == ""
    assert len(save_figure(words_figure(["𠮷"], {"IG": np.ones(1)}), tmp_path / "w", "𠮷")) == 2
    assert "no font here has 𠮷" in capsys.readouterr().err


def test_our_font_has_the_characters_of_our_sentences_and_vocabularies():
    from hw_xai.files import shipped

    files = [*shipped("sentences").iterdir(), shipped("bert-built-in") / "tokenizer.json"]
    text = "".join(file.read_text(encoding="utf-8") for file in files)
    known = style._points(str(style.OUR_FONT))
    assert {c for c in text if "\u2e80" <= c <= "\u9fff" and ord(c) not in known} == set()
    assert style.OUR_FONT.stat().st_size < 3e6
    assert "SIL OPEN FONT LICENSE" in (style.OUR_FONT.parent / "OFL.txt").read_text()


def test_twelve_groups_are_told_apart_by_colour_and_shape():
    marks = [tuple(style.mark_of(i).values()) for i in range(40)]
    assert len(set(marks)) == 40
    figure = projection_figure(
        np.random.default_rng(0).normal(size=(1, 24, 2)), [str(i % 12) for i in range(24)], ["x"]
    )
    assert len({(line.get_color(), line.get_marker()) for line in figure.axes[0].lines}) == 12
