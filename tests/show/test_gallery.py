"""The page as a file; tests/browser opens it."""

import re
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pytest

from hw_xai.show import Item, Panel, Tile, write_gallery

EVIL = "</style></title><script>alert('1')</script>\"'&{{7*7}}"
RANDOM = np.random.default_rng(0)


def tile(method: str, size: int = 16, **more) -> Tile:
    return Tile(method, method.title(), RANDOM.normal(size=(size, size)), True, "Red is for.", "n=1", **more)


def item(name: str, size: int = 16, methods: tuple[str, ...] = ("lime", "gradient"), **more) -> Item:
    image = RANDOM.integers(0, 256, (size, size, 3), dtype=np.uint8)
    mask = np.zeros((size, size), dtype=bool)
    mask[4:12, 4:12] = True
    tiles = [tile(method, size, inside=0.5, details={"passes": "3"}) for method in methods]
    return Item(name, image, "Soup", [("Soup", 0.9), ("Rice", 0.1)], "Soup", mask, tiles, **more)


class Elements(HTMLParser):
    """Collects the tags and attributes of a page."""

    def __init__(self, html: str):
        super().__init__()
        self.found: list[tuple[str, dict]] = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


def test_the_same_items_give_the_same_bytes(tmp_path):
    items = [item("a.jpg"), item("b.jpg")]
    first = write_gallery(tmp_path / "1.html", "Title", "Intro", items).read_bytes()
    assert write_gallery(tmp_path / "2.html", "Title", "Intro", items).read_bytes() == first


def test_the_page_refers_to_nothing_outside_itself(tmp_path):
    panels = [Panel("Filters", "What they like.", [(RANDOM.random((8, 8, 3)), "filter 3")])]
    html = write_gallery(tmp_path / "index.html", "Title", "Intro", [item("a.jpg")], panels).read_text("utf-8")
    assert "http://" not in html
    assert "https://" not in html
    for _, attributes in Elements(html).found:
        for name in ("src", "href", "srcset", "action", "data"):
            assert (attributes.get(name) or "#").startswith(("#", "data:"))
    assert set(re.findall(r"url\((.{5})", html)) == {"data:"}
    assert "@import" not in html
    assert "default-src 'none'" in html


def test_strangers_words_stay_words(tmp_path):
    strange = Tile(EVIL, EVIL, RANDOM.random((4, 4)), False, EVIL, EVIL, {EVIL: EVIL})
    failed = Tile(EVIL + "2", EVIL, None, False, error=EVIL)
    image = np.zeros((4, 4, 3), dtype=np.uint8)
    page = write_gallery(
        tmp_path / "index.html", EVIL, EVIL,
        [Item(EVIL, image, EVIL, [(EVIL, 1.0)], EVIL + "3", None, [strange, failed]), Item("x", None, error=EVIL)],
        [Panel(EVIL, EVIL, [(image, EVIL)])],
    )  # fmt: skip
    html = page.read_text("utf-8")
    assert html.count("<script>") == html.count("</script>") == 1
    assert html.count("</style>") == html.count("</title>") == 1
    assert "{{7*7}}" in html  # not 49: nobody's words are a template
    handlers = [name for _, attributes in Elements(html).found for name in attributes if name.startswith("on")]
    assert handlers == []
    assert {value for tag, a in Elements(html).found for name, value in a.items() if name == "data-method"} == {
        EVIL,
        EVIL + "2",
    }


def test_a_large_page_stays_small(tmp_path):
    methods = tuple("abcdefg")
    items = [item(f"{n}.jpg", 128, methods) for n in range(10)]  # pure noise: nothing compresses worse
    assert write_gallery(tmp_path / "index.html", "Title", "Intro", items).stat().st_size < 5_000_000


def test_images_that_could_not_be_read_and_methods_that_failed_say_why(tmp_path):
    broken = Item("broken.jpg", None, error="broken.jpg is cut off")
    refused = Item("a.jpg", np.zeros((4, 4, 3), np.uint8), tiles=[Tile("cam", "CAM", None, False, error="no layer")])
    html = write_gallery(tmp_path / "index.html", "Title", "Intro", [broken, refused]).read_text("utf-8")
    assert "broken.jpg is cut off" in html
    assert "no layer" in html


def test_a_page_may_be_empty_or_hold_panels_only(tmp_path):
    assert "<h1>Title</h1>" in write_gallery(tmp_path / "1.html", "Title", "Intro", []).read_text("utf-8")
    panels = [Panel("Filters", "", [(RANDOM.random((8, 8)), "filter 3")])]
    assert "filter 3" in write_gallery(tmp_path / "2.html", "Title", "Intro", [], panels).read_text("utf-8")


def test_an_interrupted_page_leaves_nothing_behind(tmp_path):
    bad = Item("a.jpg", np.zeros((4, 4, 3), np.uint8), mask=np.ones((5, 5), bool))
    with pytest.raises(ValueError, match=r"`mask` of a.jpg must be \(4, 4\) like its image, got the shape \(5, 5\)"):
        write_gallery(tmp_path / "index.html", "Title", "Intro", [bad])
    flat = Item("a.jpg", np.zeros((4, 4, 3), np.uint8), tiles=[Tile("cam", "CAM", np.zeros(3), False)])
    with pytest.raises(ValueError, match=r"`heatmap` of cam must be \(H,W\), got the shape \(3,\)"):
        write_gallery(tmp_path / "index.html", "Title", "Intro", [flat])
    assert list(tmp_path.iterdir()) == []


def test_importing_show_loads_neither_matplotlib_nor_torch():
    code = (
        "import sys, hw_xai.show; print([m for m in ('matplotlib', 'torch', 'jinja2', 'skimage') if m in sys.modules])"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"
