"""The page of an evaluation, in a real browser."""

from typing import NamedTuple

import numpy as np
import pytest

from hw_xai.show.pages.evaluation.page import Curves, Row, Strip, write_evaluation_page


class Mean(NamedTuple):
    mean: float
    low: float
    high: float
    n: int = 20


class Heading(NamedTuple):
    title: str
    best: str
    meaning: str


@pytest.fixture(scope="session")
def evaluation(tmp_path_factory):
    random = np.random.default_rng(0)
    names = ["Gradient", "Grad-CAM", "Occlusion", "LIME", "Random map"]
    keys = [f"score {k}" for k in range(14)]
    values = {name: random.random(len(keys)).tolist() for name in names}
    values["LIME"][0] = 0.999
    values["Grad-CAM"][1] = 0.001
    cells = {name: {k: Mean(v, v - 0.05, v + 0.05) for k, v in zip(keys, values[name], strict=True)} for name in names}
    del cells["Occlusion"]["score 0"]
    verdict = ("depends on the model", "Changes when the model is randomized.")
    rows = [Row(name, name, name == "Random map", cells[name], *verdict) for name in names]
    strip = {name: random.normal(size=(1, 24, 24)) for name in names}
    grid = {name: random.normal(size=(4, 24, 24)) for name in names}
    picture, blocks = random.random((24, 24, 3)), ["trained", "fc", "features.7", "features.0"]
    return write_evaluation_page(
        tmp_path_factory.mktemp("evaluation") / "index.html", "Explanations put to the test", "Fifty pictures.",
        {k: Heading(k, "low" if i % 2 else "high", "its meaning") for i, k in enumerate(keys)}, rows,
        curves=[
            Curves("Deletion", "share", ["0", "all"], {name: random.random(9).tolist() for name in names}),
            Curves("Sanity", "blocks", blocks, {name: [1, *random.random(3).tolist()] for name in names}),
        ],
        strips=[Strip(picture, "dish 1", strip, names[:2])], grids=[Strip(picture, "dish 1", grid, names[:2], blocks)],
        notices=["Only fifty."],
    )  # fmt: skip


def methods(page) -> list[str]:
    return page.locator("#scores tbody th").all_inner_texts()


def test_the_table_sorts_the_best_first_by_keyboard(open_page, evaluation):
    page = open_page(evaluation)
    page.wait_for_selector("body[data-ready=yes]")
    heading = page.locator("#scores thead button")
    heading.nth(1).focus()
    page.keyboard.press("Enter")
    assert methods(page)[0] == "LIME"
    assert methods(page)[-1] == "Occlusion", "what has no value stays at the end"
    page.keyboard.press("Enter")
    assert methods(page)[-2:] == ["LIME", "Occlusion"]
    heading.nth(2).click()
    assert methods(page)[0] == "Grad-CAM", "low is good here"
    sorts = page.locator("#scores thead th").evaluate_all("ths => ths.map((th) => th.getAttribute('aria-sort'))")
    assert [sort for sort in sorts if sort] == ["ascending"]
    heading.nth(0).click()
    assert methods(page) == sorted(methods(page), key=str.lower)


def test_a_method_is_followed_through_all_plots(open_page, evaluation):
    page = open_page(evaluation)
    page.wait_for_selector("body[data-ready=yes]")
    page.locator(".picks .pick", has_text="LIME").focus()
    page.keyboard.press("Enter")
    assert page.locator("polyline.picked").count() == 2
    assert page.locator(".pick[aria-pressed=true]").count() == 2
    page.keyboard.press("Enter")
    assert page.locator("polyline.picked").count() == 0


@pytest.mark.parametrize("width", [360, 768, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_sticks_out_and_every_picture_is_decoded(open_page, evaluation, width, scheme):
    page = open_page(evaluation, viewport={"width": width, "height": 800}, color_scheme=scheme)
    page.wait_for_selector("body[data-ready=yes]")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator("main img").evaluate_all("images => images.every((image) => image.naturalWidth > 0)")
