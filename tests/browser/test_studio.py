"""The studio in a real browser, with no other network than itself: paint, compare, look behind, type, keep."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from hw_xai.studio.models import Models
from hw_xai.studio.server import Server, Studio

pytestmark = pytest.mark.slow
PATIENCE = 120_000  # milliseconds: of a machine that does other things as well


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    server = Server(Studio(Models(["foodnet-synthetic"], "built-in", "cpu"))).start()
    yield server
    server.stop()


@pytest.fixture
def studio(browser, server) -> Iterator[Page]:
    """The page, once it can be used; any complaint of the browser and any request that leaves it fail the test."""
    complaints: list[str] = []
    context = browser.new_context(viewport={"width": 1300, "height": 950}, locale="en-US", reduced_motion="reduce")
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    expect.set_options(timeout=PATIENCE)
    page.on("console", lambda message: complaints.append(message.text) if is_fault(message) else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))

    def only_ours(route) -> None:
        if route.request.url.startswith((server.url, "data:", "blob:")):
            return route.continue_()
        complaints.append(f"asked for {route.request.url}")
        return route.abort()

    context.route("**/*", only_ours)
    page.goto(server.url)
    page.wait_for_selector("body[data-ready=true]")
    choose(page, "saliency", "grad_cam")
    yield page
    context.close()
    expect.set_options(timeout=5000)
    assert complaints == []


def is_fault(message) -> bool:
    # a browser writes down every answer that is no success; those are sentences in the page
    return message.type == "error" and "the server responded with a status of 400" not in message.text


def choose(page: Page, *wanted: str) -> None:
    """Let only these methods be open, and wait for their maps."""
    page.evaluate("document.getElementById('methods').open = true")
    for box in page.locator("#chosen input").all():
        box.set_checked(box.get_attribute("value") in wanted)
    finished(page)
    expect(page.locator(".tile")).to_have_count(len(wanted))


def finished(page: Page) -> None:
    page.wait_for_selector("body[data-busy=false]")


def odds(page: Page) -> list[str]:
    return page.locator("#odds .number").all_inner_texts()


def paint(page: Page) -> None:
    page.locator("#stage").scroll_into_view_if_needed()
    box = page.locator("#stage").bounding_box()
    page.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 0.5 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.7 * box["width"], box["y"] + 0.5 * box["height"], steps=4)
    page.mouse.up()
    expect(page.locator("#odds .number").first).to_contain_text("(")
    finished(page)


def test_paint_moves_the_prediction_and_the_maps_and_undo_gives_them_back(studio):
    before = odds(studio)
    heat = studio.locator(".tile[data-method=saliency] .heat").first
    drawn = heat.evaluate("canvas => canvas.toDataURL()")
    paint(studio)
    assert odds(studio) != before
    assert heat.evaluate("canvas => canvas.toDataURL()") != drawn
    studio.get_by_text("Before", exact=True).click()
    assert heat.evaluate("canvas => canvas.toDataURL()") == drawn
    studio.get_by_text("Difference", exact=True).click()
    assert "signed" in studio.locator(".tile[data-method=saliency] .stack").first.get_attribute("class").split()
    studio.get_by_role("button", name="Undo").click()
    expect(studio.locator("#odds .number").first).to_have_text(before[0])


def test_a_region_says_what_the_score_loses_by_keyboard(studio):
    studio.get_by_text("Region", exact=True).click()
    studio.locator("#stage").focus()
    studio.keyboard.press("ArrowRight")
    studio.keyboard.press("Enter")
    expect(studio.locator("#lost")).to_contain_text(re.compile(r"\d\.\d\d → -?\d+\.\d\d"))
    studio.keyboard.press("Control+z")
    expect(studio.locator("#odds .number").first).not_to_contain_text("(")


def test_a_network_beside_itself_forgets_from_the_top(studio):
    studio.locator("#beside").select_option(index=1)
    expect(studio.locator("#odds ol")).to_have_count(2)
    finished(studio)
    expect(studio.locator(".tile").first.locator("canvas").nth(1)).to_be_visible()
    first = studio.locator("#odds ol").nth(1).inner_text()
    studio.locator("#randomized").fill("4")
    expect(studio.locator("#randomized-said")).to_contain_text("4 of")
    expect(studio.locator("#odds ol").nth(1)).not_to_have_text(first, use_inner_text=True)


def test_options_change_the_map_and_a_mistake_is_a_sentence(studio):
    tile = studio.locator(".tile[data-method=grad_cam]")
    drawn = tile.locator(".heat").first.evaluate("canvas => canvas.toDataURL()")
    tile.get_by_role("button", name="Options").click()
    tile.locator("select").select_option("features.6")
    finished(studio)
    assert tile.locator(".heat").first.evaluate("canvas => canvas.toDataURL()") != drawn
    choose(studio, "occlusion")
    studio.get_by_role("button", name="Options").click()
    studio.locator(".tile input[type=number]").first.fill("500")
    studio.locator(".tile input[type=number]").first.press("Tab")
    expect(studio.locator(".note-line")).to_contain_text("`window` must be at most 128")


def test_what_lies_behind_a_map(studio):
    tile = studio.locator(".tile[data-method=saliency]")
    tile.get_by_role("button", name="Python").click()
    expect(studio.locator("#sheet .code")).to_contain_text("from hw_xai.explain import saliency")
    studio.keyboard.press("Escape")
    tile.get_by_role("button", name="Is it any good?").click()
    expect(studio.locator("#sheet polyline")).to_have_count(2)
    expect(studio.locator("#sheet .name-0")).to_contain_text(re.compile(r"deletion 0\.\d{3}$"))
    studio.keyboard.press("Escape")
    with studio.expect_download() as kept:
        studio.get_by_role("button", name="Keep as one page").click()
    assert "Saliency" in kept.value.path().read_text()


def test_frames_of_integrated_gradients(studio):
    choose(studio, "integrated_gradients")
    studio.get_by_role("button", name="How it comes about").click()
    expect(studio.locator("#sheet output")).to_contain_text("α = 0.99")
    expect(studio.locator("#sheet polyline")).to_have_count(1)


def test_a_shipped_photo_is_opened_from_the_picker(studio):
    tile = studio.locator(".tile[data-method=saliency] .stack").first
    heat, before = tile.locator(".heat"), tile.locator(".photo").get_attribute("src")
    drawn = heat.evaluate("canvas => canvas.toDataURL()")
    expect(studio.locator("#shipped button")).to_have_count(22)
    studio.get_by_role("button", name="photo: Noodles/Pasta").click()
    expect(studio.locator("#seen")).to_have_js_property("naturalWidth", 384)  # the dishes have 256 pixels
    expect(tile.locator(".photo")).not_to_have_attribute("src", before)
    assert heat.evaluate("canvas => canvas.toDataURL()") != drawn


def test_an_upload_that_is_no_photo_is_a_sentence(studio, tmp_path):
    (tmp_path / "no.png").write_bytes(b"no photo at all")
    studio.locator("#file").set_input_files(tmp_path / "no.png")
    expect(studio.locator("#trouble")).to_contain_text("no known image format fits")


def test_words_are_hidden_by_a_click_in_both_languages(studio):
    studio.get_by_role("tab", name="Sentence").click()
    studio.locator(".chip", has_text="nurse").click()
    expect(studio.locator("#guesses li")).to_have_count(8)
    expect(studio.locator(".chip[aria-pressed=true]")).to_have_text("[MASK]")
    expect(studio.locator("#rows .row")).to_have_count(2)
    assert studio.locator("#heads canvas").count() >= 4
    studio.locator("#language").click()
    expect(studio.locator("#sentence h2").first).to_have_text("答案依據哪些詞？")
    assert studio.locator("html").get_attribute("lang") == "zh-Hant"
    studio.get_by_role("tab", name="照片").click()
    expect(studio.get_by_role("button", name="復原")).to_be_visible()
