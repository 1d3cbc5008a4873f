"""Feedback and class report in a real browser: readable for an ordinary class, inert for a hostile one."""

import csv
import io
from dataclasses import replace

import pytest

from grading.reports import write_reports
from grading.reports.hand import RubricLine, hand_page
from grading.reports.pages import TEMPLATES
from grading.running.rules import Course
from grading.verdict.results import Answered, Graded, OutputPair, Result
from grading.words import Text

COURSE = Course(points={"saliency": 2}, seeds=(5,), key={"Q1": frozenset({"dish_3"})}, title="<b>Homework</b> 9")
MAP = [[(i * j) / 100 for j in range(12)] for i in range(12)]
EVIL = [
    "<script>alert(1)</script>", '"><img src=x onerror="alert(1)">', "' onmouseover='alert(1)", "\u202egpj.exe",
    "</style><script>alert(2)</script>", "<svg onload=alert(1)>", "a" * 10_000, "nul\x00\ud800", "javascript:alert(1)",
    "{{ 7 * 7 }}", "`<img src=//evil.example/x>`", "<meta http-equiv=refresh content='0;url=http://evil.example'>",
]  # fmt: skip


def hostile() -> Result:
    texts = [Text(text, f"{text}!") for text in EVIL]
    picture = OutputPair([[float("nan"), 1e308]], [[float("inf"), -1e308]])
    exercises = [Graded(t.en, "failed", 0, 1, t, t, t.en, picture, t.en) for t in texts]
    exercises.append(Graded("saliency", "not_graded", 0, 1, texts[0]))
    return Result(EVIL[1], EVIL[0], tuple(exercises), (Answered("Q1", 0, 0.3, texts[1]),), tuple(texts), 0.0, EVIL[0])


@pytest.fixture(scope="session")
def reports(tmp_path_factory):
    wrong = Graded(
        "grad_cam", "failed", 0, 3, Text("the `ReLU` is missing", "少了 `ReLU`"),
        Text("what is below 0?", "小於 0 的呢？"),
        "no_relu", OutputPair(MAP, MAP[::-1]), "bubblewrap",
    )  # fmt: skip
    rows = replace(wrong, exercise="filter_activation", picture=OutputPair([1.0, -2.0, 3.0], [1.0, 2.0, 2.5]))
    ann = Result(
        "ann", "王小明",
        (Graded("saliency", "passed", 2, 2, Text("right", "正確"), isolation="bubblewrap"), wrong, rows),
        (Answered("Q1", 0.3, 0.3), Answered("Q2", 0, 0.3, Text("Q2: not answered.", "Q2：尚未作答。"))), deducted=0.5,
    )  # fmt: skip
    others = [replace(ann, student=f"s{i:02d}", name=f"Student {i}") for i in range(20)]
    copies = {
        name: {"grad_cam": f"def f(x):\n    return {list(range(9))}, x ** 3 - 1, {{'a': x}}\n"}
        for name in ("ann", "s01")
    }
    out = tmp_path_factory.mktemp("reports")
    write_reports([ann, hostile(), *others], out, COURSE, copies)
    for name in ("none", "all"):
        write_reports([ann], out / name, replace(COURSE, show_answers=name, language="en"))
    return out


def pages(reports):
    evil = next(path for path in (reports / "students").iterdir() if path.name.startswith("id-"))
    return [reports / "students/ann/feedback.html", evil / "feedback.html", reports / "class.html"]


@pytest.mark.parametrize("which", [0, 1, 2])
@pytest.mark.parametrize("width", [360, 1280])
def test_nothing_runs_or_sticks_out(open_page, reports, which, width):
    """The fixture open_page fails for console errors and for requests that leave the disk."""
    path = pages(reports)[which]
    page = open_page(path, viewport={"width": width, "height": 800}, color_scheme="dark" if width < 500 else "light")
    page.on("dialog", lambda dialog: pytest.fail("a dialog was opened"))
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true })")
    scripts = page.locator("script").evaluate_all("all => all.map((one) => one.textContent)")
    assert scripts == ([(TEMPLATES / "class.js").read_text(encoding="utf-8")] if path.name == "class.html" else [])
    for selector in ("iframe", "meta[http-equiv=refresh]", "[onerror]", "[onload]", "[onmouseover]"):
        assert page.locator(selector).count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    images = page.locator("img").evaluate_all("all => all.map((one) => [one.src.slice(0, 15), one.naturalWidth > 0])")
    assert all(image == ["data:image/png;", True] for image in images)
    page.mouse.move(width / 2, 300)
    page.wait_for_timeout(50)


def test_a_student_reads_what_is_wrong(open_page, reports):
    page = open_page(pages(reports)[0])
    assert page.title().startswith("王小明 · <b>Homework</b>")
    assert page.locator("h1").inner_text() == "王小明"
    assert page.locator(".points").inner_text() == "1.8 / 8.6"
    card = page.locator("article", has_text="Grad-CAM")
    assert "the ReLU is missing" in card.inner_text()
    assert card.locator("code").first.inner_text() == "ReLU"
    assert "what is below 0?" in card.locator(".hint").inner_text()
    assert card.locator("img").count() == 3
    boxes = [card.locator("img").nth(i).bounding_box() for i in range(3)]
    assert len({box["y"] for box in boxes}) == 1, "side by side"
    assert boxes[0]["width"] == pytest.approx(boxes[0]["height"], abs=1)
    assert page.locator("rect.yours").count() == 3
    assert "Q2: not answered." in page.locator("main").inner_text()


def test_the_language_is_switched_by_keyboard(open_page, reports):
    page = open_page(pages(reports)[0])
    reason = page.locator("article", has_text="Grad-CAM").locator(".reason")
    assert reason.inner_text() == "the ReLU is missing\n少了 ReLU"
    assert page.locator("article h3", has_text="Grad-CAM").inner_text() == "Grad-CAM", "the same is not said twice"
    page.locator("#both").focus()
    page.keyboard.press("ArrowLeft")
    assert reason.inner_text() == "少了 ReLU"
    page.keyboard.press("ArrowLeft")
    assert reason.inner_text() == "the ReLU is missing"


def test_questions_are_shown_as_the_course_wants(open_page, reports):
    hidden = open_page(reports / "none/students/ann/feedback.html").locator("body").inner_text()
    assert "0.3 of 0.6" in hidden
    assert "Q1" not in hidden
    shown = open_page(reports / "all/students/ann/feedback.html")
    assert "dish 3" in shown.locator(".asked").first.inner_text()
    assert shown.locator(".switch").count() == 0, "one language needs no switch"


def test_the_class_report_leads_to_the_students(open_page, reports):
    page = open_page(pages(reports)[2])
    assert "22" in page.locator(".figures").inner_text()
    assert page.locator("td", has_text="code that nobody else has").count() == 1
    page.locator("summary", has_text="with their pages").click()
    page.locator("details a", has_text="s07").click()
    assert page.locator("h1").inner_text() == "Student 7"


def test_the_tables_of_the_class_sort_and_filter(open_page, reports):
    page = open_page(reports / "class.html")
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true })")
    table = page.locator("table").last
    button = table.locator("thead button").first
    button.focus()
    for direction, first in (("ascending", "ann"), ("descending", "s19")):
        page.keyboard.press("Enter")
        assert table.locator("thead th").first.get_attribute("aria-sort") == direction
        assert first in table.locator("tbody tr").first.inner_text()
    page.locator("input.filter").last.fill("s07")
    assert [row.is_visible() for row in table.locator("tbody tr").all()].count(True) == 1


def contrast(page, selector: str) -> float:
    """Return the least contrast (WCAG 2) of a text that matches with what is behind it."""
    return page.evaluate(
        """(selector) => {
          const light = (c) => { const [r, g, b] = c.map((v) => { v /= 255;
            return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; });
            return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
          const parts = (text) => text.match(/[\\d.]+/g).map(Number);
          const behind = (one) => { for (let it = one; it; it = it.parentElement) {
            const c = parts(getComputedStyle(it).backgroundColor);
            if (c.length < 4 || c[3] > 0.99) return c.slice(0, 3); }
            return [255, 255, 255]; };
          const seen = [...document.querySelectorAll(selector)].filter((one) => one.checkVisibility() &&
            [...one.childNodes].some((it) => it.nodeType === 3 && it.data.trim()));
          return Math.min(...seen.map((one) => {
            const colours = [parts(getComputedStyle(one).color).slice(0, 3), behind(one)];
            const [a, b] = colours.map(light).sort((x, y) => y - x);
            return (a + 0.05) / (b + 0.05); }));
        }""",
        selector,
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("which", [0, 2])
def test_every_word_can_be_told_from_what_is_behind_it(open_page, reports, which, scheme):
    page = open_page(pages(reports)[which], color_scheme=scheme)
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true })")
    assert contrast(page, "body *") >= 4.5


def test_no_sentence_of_the_class_is_cut_off_on_a_phone(open_page, reports):
    page = open_page(reports / "class.html", viewport={"width": 390, "height": 800})
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true })")
    tables = page.locator("table.rows")
    assert tables.count() > 1
    for table in tables.all():
        assert table.evaluate("one => one.scrollWidth <= one.parentElement.clientWidth")
    summaries = page.locator("details.needs > summary").all()
    assert all(one.bounding_box()["height"] < 60 for one in summaries), "a line or two, as wide as the page"
    button = tables.first.locator("thead button").first
    button.focus()
    page.keyboard.press("Enter")
    assert tables.first.locator("thead th").first.get_attribute("aria-sort") == "ascending"


def hidden_by_the_bar(page) -> bool:
    """Tell whether the bar at the bottom covers what has the focus."""
    return page.evaluate(
        """() => { const bar = document.querySelector(".bar"), one = document.activeElement;
          return !bar.contains(one) && one.getBoundingClientRect().bottom > bar.getBoundingClientRect().top
            && one.getBoundingClientRect().height < 200; }"""
    )


def test_a_class_is_graded_by_hand_with_the_keyboard_alone(open_page, tmp_path):
    """From the first answer to the export: Tab, Space, Ctrl + Enter and digits, and the focus is always to be seen."""
    rubric = [RubricLine(3, "names what it looks at"), RubricLine(-1, "claims too much")]
    answers = {f"b{i:02}": "the food " * 80 for i in range(6)} | {"b99": ""}
    path = tmp_path / "hand.html"
    path.write_text(hand_page("essay", answers, 5, rubric, COURSE, "secret"), encoding="utf-8")
    page = open_page(path, viewport={"width": 1000, "height": 600})
    cards = page.locator(".answer")
    while not page.evaluate("document.activeElement.closest('.answer')"):
        page.keyboard.press("Tab")
    for i in range(len(answers)):
        assert page.evaluate("document.activeElement.closest('.answer').id") == cards.nth(i).get_attribute("id")
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
        assert not hidden_by_the_bar(page)
        page.keyboard.press("Space")
        page.keyboard.press("Tab")
        if i == 1:  # a slip, and back
            page.keyboard.press("Space")
            page.keyboard.press("Space")
        page.keyboard.press("Tab")
        assert not hidden_by_the_bar(page)
        if i == 2:
            page.keyboard.type("4.5")
        page.keyboard.press("Tab")
        assert not hidden_by_the_bar(page)
        page.keyboard.type("read")
        page.keyboard.press("Control+Enter")
    assert page.evaluate("document.activeElement.id") == "export"
    with page.expect_download() as saved:
        page.keyboard.press("Enter")
    rows = list(csv.DictReader(io.StringIO(saved.value.path().read_text(encoding="utf-8-sig"), newline="")))
    assert [row["points"] for row in rows] == ["3", "3", "4.5", "3", "3", "3", "3"]
    assert {row["reason"] for row in rows} == {"+3 names what it looks at; read"}


def test_a_tick_that_is_taken_back_is_no_zero(open_page, tmp_path):
    path = tmp_path / "hand.html"
    path.write_text(hand_page("essay", {"b01": "x"}, 5, [RubricLine(3, "good")], COURSE, "secret"), encoding="utf-8")
    page = open_page(path)
    page.locator("input[type=checkbox]").check()
    page.locator("input[type=checkbox]").uncheck()
    assert page.locator(".given").input_value() == ""
    assert page.locator("#export").is_disabled()


def test_answers_are_graded_by_hand_without_a_network(open_page, tmp_path):
    rubric = [RubricLine(3, "names what it looks at"), RubricLine(2, EVIL[0])]
    answers = {"b01": "the food", "b02": EVIL[0]}
    path = tmp_path / "hand.html"
    path.write_text(hand_page("essay", answers, 5, rubric, COURSE, "secret"), encoding="utf-8")
    page = open_page(path, viewport={"width": 390, "height": 800})
    page.on("dialog", lambda dialog: pytest.fail("a dialog was opened"))
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    card = page.locator(".answer").first
    assert page.locator("#export").is_disabled()
    card.locator("input[type=checkbox]").first.check()
    assert card.locator(".given").input_value() == "3"
    card.locator("textarea").fill('good, but "why"?')
    with page.expect_download() as saved:
        page.locator("#export").click()
    head, row = saved.value.path().read_text(encoding="utf-8-sig").splitlines()
    assert head == '"answer","exercise","points","reason"'
    assert row.endswith('"essay","3","+3 names what it looks at; good, but ""why""?"')
    page.reload()
    assert card.locator(".given").input_value() == "3"  # it is kept in this browser
