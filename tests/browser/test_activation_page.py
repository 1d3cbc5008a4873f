"""The page on what a layer sees, in a real browser."""

import numpy as np
import pytest

from hw_xai.explain import cosine_similarity, project
from hw_xai.show import Panel
from hw_xai.show.frame.planes import Plane
from hw_xai.show.pages.activation.page import Channel, Example, LayerPlane, Photo, write_activation_page

N = 9


@pytest.fixture(scope="session")
def activations(tmp_path_factory):
    random = np.random.default_rng(0)

    def picture() -> np.ndarray:
        return random.random((24, 24, 3))

    layers = []
    for name in ("features.1", "features.14", "class scores"):
        vectors = random.normal(size=(N, 6))
        p = project(vectors)
        plane = Plane(p.points, p.explained_variance, p.trustworthiness)
        layers.append(LayerPlane(name, plane, cosine_similarity(vectors)))
    photos = [Photo(f"{i}.jpg", picture(), ("Soup", "Egg", "Rice")[i % 3]) for i in range(N)]
    examples = [Example(picture(), f"{i}.jpg: 1.00", (0.5, 0.25)) for i in range(9)]
    return write_activation_page(
        tmp_path_factory.mktemp("activations") / "index.html", "What does it see?", "Nine photos.",
        [Panel("Maps", "All.", [(random.random((8, 8)), str(i)) for i in range(40)])],
        [Channel(f"channel {i}", picture(), examples, examples) for i in range(2)],
        photos, layers, notices=["Only nine."],
    )  # fmt: skip


def test_the_slider_walks_through_the_layers(open_page, activations):
    page = open_page(activations)
    page.wait_for_selector("body[data-ready=yes]")
    assert page.locator("#layer-shown").inner_text() == "class scores"
    places = page.locator("#plot .dot").evaluate_all("dots => dots.map((dot) => dot.style.transform)")
    worth = page.locator("#worth").inner_text()
    page.locator("#layer").focus()
    page.keyboard.press("Home")
    assert page.locator("#layer-shown").inner_text() == "features.1"
    assert page.locator("#layer").get_attribute("aria-valuetext") == "layer features.1"
    assert page.locator("#plot .dot").evaluate_all("dots => dots.map((dot) => dot.style.transform)") != places
    assert page.locator("#worth").inner_text() != worth
    assert "trustworthiness" in worth


def test_pointing_at_a_dot_shows_its_photo_and_its_neighbours(open_page, activations):
    page = open_page(activations)
    page.wait_for_selector("body[data-ready=yes]")
    page.locator("#plot .dot").nth(4).dispatch_event("mouseenter")
    assert "Egg: 4.jpg" in " ".join(page.locator("#about").inner_text().split())
    assert page.locator("#about img.thumb").evaluate("image => image.naturalWidth") == 24
    assert page.locator("#near img.thumb").count() == 5
    page.locator("#plot .dot[tabindex='0']").focus()
    page.keyboard.press("ArrowRight")
    assert "1.jpg" in page.locator("#about").inner_text()


def test_a_class_can_be_hidden(open_page, activations):
    page = open_page(activations)
    page.wait_for_selector("body[data-ready=yes]")
    page.locator("#groups input[value=Soup]").uncheck()
    assert page.locator("#plot .dot").filter(visible=True).count() == 6


@pytest.mark.parametrize("width", [360, 768, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_sticks_out_and_every_picture_is_decoded(open_page, activations, width, scheme):
    page = open_page(activations, viewport={"width": width, "height": 800}, color_scheme=scheme)
    page.wait_for_selector("body[data-ready=yes]")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator("main img").evaluate_all("images => images.every((image) => image.naturalWidth > 0)")
    assert page.locator(".spot").first.evaluate("spot => getComputedStyle(spot).position") == "absolute"
