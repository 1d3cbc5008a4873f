"""The gallery in a real browser: what a reader can do with it, by mouse and by keyboard, at any size."""

import numpy as np
import pytest
from playwright.sync_api import expect

from hw_xai.show import Item, Panel, Tile, write_gallery

METHODS = {"saliency": False, "smooth_grad": True, "lime": True}
LONG = "a_very_long_file_name_without_a_single_space_" * 3 + "<script>蘋果.jpg"


@pytest.fixture(scope="session")
def gallery(tmp_path_factory):
    random = np.random.default_rng(0)
    mask = np.zeros((32, 32), dtype=bool)
    mask[8:24, 8:24] = True

    def item(name: str, prediction: str, true_class: str) -> Item:
        tiles = [
            Tile(method, method.title(), random.normal(size=(32, 32)) ** (1 if signed else 2), signed,
                 f"What {method} means.", "n=1", {"passes": "3"}, inside=0.5)
            for method, signed in METHODS.items()
        ]  # fmt: skip
        image = random.integers(0, 256, (32, 32, 3), dtype=np.uint8)
        return Item(name, image, prediction, [(prediction, 0.9), ("Rice", 0.1)], true_class, mask, tiles)

    items = [
        item("soup.jpg", "Soup", "Soup"),
        item(LONG, "Noodles/\"Pasta'", "Soup"),
        item("egg.jpg", "Egg", "Egg"),
        Item("broken.jpg", None, error="broken.jpg must be a whole image, but it ends early"),
    ]
    panels = [
        Panel("What does filter 3 look for?", "It began as noise.", [(random.random((16, 16, 3)), "filter 3")] * 8)
    ]
    return write_gallery(tmp_path_factory.mktemp("gallery") / "index.html", "Why soup?", "Three photos.", items, panels)


def opacity(page, selector: str) -> float:
    return float(page.locator(selector).first.evaluate("element => getComputedStyle(element).opacity"))


def visible(page, selector: str) -> int:
    return page.locator(selector).filter(visible=True).count()


def test_the_slider_blends_from_the_photo_to_the_heatmap(open_page, gallery):
    page = open_page(gallery)
    slider = page.locator(".bar .blend input")
    assert (opacity(page, ".open .photo"), opacity(page, ".open .heat")) == (1, 1)
    slider.focus()
    page.keyboard.press("Home")
    assert (opacity(page, ".open .photo"), opacity(page, ".open .heat")) == (1, 0)
    photo = page.locator(".open .photo").first
    assert "grayscale(0)" in photo.evaluate("element => getComputedStyle(element).filter")
    page.keyboard.press("End")
    assert (opacity(page, ".open .photo"), opacity(page, ".open .heat")) == (0, 1)


def test_every_heatmap_is_decoded_and_lies_over_its_photo(open_page, gallery):
    page = open_page(gallery)
    assert page.locator("img").evaluate_all("images => images.every((image) => image.naturalWidth > 0)")
    heat, photo = page.locator(".open .heat").first.bounding_box(), page.locator(".open .photo").first.bounding_box()
    assert heat == photo
    assert heat["width"] == pytest.approx(heat["height"], abs=1)


def test_the_outline_can_be_switched_off(open_page, gallery):
    page = open_page(gallery)
    assert visible(page, ".outline") == 3 * (1 + len(METHODS))
    page.get_by_label("Object outline").uncheck()
    assert visible(page, ".outline") == 0


def test_the_descriptions_can_be_switched_off(open_page, gallery):
    page = open_page(gallery)
    assert visible(page, ".text") == 9
    page.get_by_label("Descriptions").press("Space")
    assert visible(page, ".text") == 0


def test_a_map_is_enlarged_walked_and_closed_by_keyboard(open_page, gallery):
    page = open_page(gallery)
    page.locator(".open").first.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    assert dialog.is_visible()
    assert dialog.locator("h3").inner_text() == "Saliency"
    assert dialog.locator(".stack").bounding_box()["width"] > 500
    assert "n=1" in dialog.inner_text()
    assert "soup.jpg" in dialog.inner_text()

    page.keyboard.press("ArrowRight")
    assert dialog.locator("h3").inner_text() == "Smooth_Grad"
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    assert "egg.jpg" in dialog.inner_text()  # round the end

    slider = dialog.locator(".blend input")
    slider.focus()
    page.keyboard.press("End")
    page.keyboard.press("ArrowLeft")  # moves the slider, not the picture
    assert "egg.jpg" in dialog.inner_text()
    assert page.locator(".bar .blend input").input_value() == "99"

    page.keyboard.press("Escape")
    assert not dialog.is_visible()
    # the dialog's close event comes a moment after Escape, and with it the focus goes to the picture shown last
    # not wait_for_function: the page's content security policy forbids the evaluation it polls with
    expect(page.get_by_label("Enlarge Lime of egg.jpg")).to_be_focused()


def test_a_click_enlarges_and_a_click_beside_closes(open_page, gallery):
    page = open_page(gallery)
    page.locator(".open").nth(1).click()
    dialog = page.get_by_role("dialog")
    assert dialog.is_visible()
    dialog.get_by_role("button", name="Next").click()
    assert dialog.locator("h3").inner_text() == "Lime"
    page.mouse.click(5, 5)
    assert not dialog.is_visible()


def test_methods_can_be_chosen(open_page, gallery):
    page = open_page(gallery)
    assert visible(page, ".tile") == 9
    menu = page.locator("#methods summary")
    menu.press("Enter")
    page.get_by_label("Lime", exact=True).uncheck()
    assert visible(page, ".tile") == 6
    assert "2 of 3" in menu.inner_text()
    page.get_by_role("button", name="None", exact=True).click()
    assert visible(page, ".tile") == 0
    page.get_by_role("button", name="All", exact=True).click()
    assert visible(page, ".tile") == 9
    page.keyboard.press("Escape")
    assert page.locator("#methods").get_attribute("open") is None


def test_images_can_be_chosen_by_class(open_page, gallery):
    page = open_page(gallery)
    assert visible(page, ".item") == 4
    page.locator("#class").select_option("Soup")
    assert visible(page, ".item") == 2  # one is soup, the other was taken for noodles
    page.locator("#class").select_option("Noodles/\"Pasta'")
    assert visible(page, ".item") == visible(page, ".strip a") == 1
    page.locator("#class").select_option("")
    assert visible(page, ".item") == 4


def test_a_thumbnail_leads_to_its_image(open_page, gallery):
    page = open_page(gallery)
    page.locator(".strip a").nth(2).press("Enter")
    assert page.locator("#image-2 h2").bounding_box()["y"] < 900


def test_the_page_says_what_is_right_and_what_could_not_be_read(open_page, gallery):
    page = open_page(gallery)
    text = page.locator("main").inner_text()
    assert "2 of 3 predictions are right." in text
    assert "✗ but it is Soup" in text
    assert "broken.jpg must be a whole image" in text
    assert "<script>蘋果.jpg" in text


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_are_readable_in_light_and_dark(open_page, gallery, scheme):
    page = open_page(gallery, color_scheme=scheme)
    lightness = {
        name: sum(map(int, page.evaluate(f"getComputedStyle(document.body).{name}.match(/\\d+/g)")[:3])) / 3
        for name in ("color", "backgroundColor")
    }
    assert (lightness["color"] < 60 and lightness["backgroundColor"] > 240) == (scheme == "light")
    assert (lightness["color"] > 220 and lightness["backgroundColor"] < 40) == (scheme == "dark")


@pytest.mark.parametrize(
    ("width", "scale"),
    [(1280, 1), (1280, 1.5), (768, 1), (390, 1), (320, 1), (390, 1.5)],
)
def test_nothing_runs_off_the_side(open_page, gallery, width, scale):
    """A zoom of 150 % leaves a page two thirds of the width."""
    viewport = {"width": round(width / scale), "height": 800}
    page = open_page(gallery, viewport=viewport, device_scale_factor=scale)
    assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
    page.locator("#methods summary").click()
    box = page.locator("#methods > div").bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= viewport["width"]
    page.keyboard.press("Escape")
    page.locator(".open").first.click()
    assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
    assert page.locator(".sheet").evaluate("sheet => sheet.scrollWidth <= sheet.clientWidth")


def test_on_a_phone_the_slider_stays_in_reach(open_page, gallery):
    page = open_page(gallery, viewport={"width": 390, "height": 800})
    page.locator("#image-2").scroll_into_view_if_needed()
    box = page.locator(".blend input").first.bounding_box()
    assert 0 <= box["y"] < 80
