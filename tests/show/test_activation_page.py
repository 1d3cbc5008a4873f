"""The page on what a layer sees, as bytes."""

import json
import re

import numpy as np
import pytest

from hw_xai.explain import cosine_similarity, project
from hw_xai.show import Panel
from hw_xai.show.frame.planes import Plane
from hw_xai.show.pages.activation.page import CLASS_COLOURS, Channel, Example, LayerPlane, Photo, write_activation_page


def layers(n: int, names=("features.3", "class scores")) -> list[LayerPlane]:
    random = np.random.default_rng(0)
    found = []
    for name in names:
        vectors = random.normal(size=(n, 5))
        p = project(vectors)
        plane = Plane(p.points, p.explained_variance, p.trustworthiness)
        found.append(LayerPlane(name, plane, cosine_similarity(vectors)))
    return found


def picture(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).random((12, 12, 3))


def photos(n: int) -> list[Photo]:
    return [Photo(f"{i}.jpg", picture(i), ("Soup", "Egg")[i % 2]) for i in range(n)]


CHANNEL = Channel(
    "channel 3", picture(1), [Example(picture(2), "a.jpg: 2.00", (0.25, 0.5))], [Example(picture(3), "<b>.jpg: -1.00")]
)


def data_of(path) -> dict:
    return json.loads(re.search(r'id="data">(.*?)</script>', path.read_text(encoding="utf-8"), re.DOTALL)[1])


def test_every_plane_says_what_it_is_worth_and_every_dot_is_a_photo(tmp_path):
    planes = layers(6)
    page = write_activation_page(tmp_path / "a.html", "T", "I", [], [], photos(6), planes, method="tsne")
    data = data_of(page)
    assert [layer["name"] for layer in data["layers"]] == ["features.3", "class scores"]
    for layer, expected in zip(data["layers"], planes, strict=True):
        assert layer["worth"] == expected.plane.worth
        assert f"trustworthiness {expected.plane.trustworthiness:.2f}" in layer["worth"]
        order = np.argsort(-expected.cosine - 10 * -np.eye(6), axis=1)[:, :5]
        assert [[k for k, _ in near] for near in layer["nearest"]] == order.tolist()
    assert data["groups"] == ["Egg", "Soup"]
    assert all(point["image"].startswith("data:image/webp") for point in data["points"])
    assert "gaps between clusters" in page.read_text()


def test_without_photos_to_place_there_is_no_projection_and_no_script(tmp_path):
    panel = Panel("Maps", "Six.", [(picture(0), "0")])
    html = write_activation_page(tmp_path / "a.html", "T", "I", [panel]).read_text()
    assert "<script" not in html
    assert "Maps" in html


def test_channels_show_what_they_seek_and_where_they_look(tmp_path):
    channels = [CHANNEL, Channel("channel 4", None)]
    html = write_activation_page(tmp_path / "a.html", "T", "I", channels=channels).read_text()
    assert html.count('<i class="spot"') == 1
    assert "top: 25.0%; left: 50.0%" in html
    assert html.count('<img class="sought"') == 1
    assert "&lt;b&gt;.jpg" in html
    assert "<b>" not in html


def test_equal_arguments_give_equal_bytes_and_no_address(tmp_path):
    pages = [
        write_activation_page(tmp_path / f"{i}.html", "T", "I", [], [CHANNEL], photos(4), layers(4)).read_bytes()
        for i in (1, 2)
    ]
    assert pages[0] == pages[1]
    assert b"http:" not in pages[0].replace(b"http://www.w3.org", b"")
    assert b"https:" not in pages[0]


def test_as_many_photos_as_places(tmp_path):
    with pytest.raises(ValueError, match=r"`layers` must place 3 photos, got 4 points in features\.3"):
        write_activation_page(tmp_path / "a.html", "", "", [], [], photos(3), layers(4))


def test_eleven_classes_have_eleven_colours():
    assert len(set(CLASS_COLOURS)) == 11
