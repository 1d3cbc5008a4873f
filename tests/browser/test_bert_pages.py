"""The pages on sentences in a real browser: by mouse and by keyboard, at any size, with no network."""

import numpy as np
import pytest

from hw_xai.explain import cosine_similarity, euclidean_distance, project, sense_report
from hw_xai.explain.attention import KINDS
from hw_xai.show.frame.planes import Plane
from hw_xai.show.pages.attention.page import (
    Corpus,
    HeadsView,
    MaskView,
    NearestView,
    SentenceView,
    write_attention_page,
)
from hw_xai.show.pages.embedding.page import Point, write_embedding_page
from hw_xai.show.pages.tokens.page import MethodView, SentenceScores, write_token_page
from hw_xai.studies.senses import report_view

LAYERS, HEADS = 3, 4
SENTENCES = [["[CLS]", "she", "un", "##kind", "<b>", "[SEP]"], ["[CLS]", "今", "天", "吃", "蘋", "果", "[SEP]"]]
VOCABULARY = ["he", "she", "it", "果", "<i>"]
RANDOM = np.random.default_rng(0)


def distribution(*shape: int) -> np.ndarray:
    scores = np.exp(2 * RANDOM.normal(size=shape))
    return scores / scores.sum(-1, keepdims=True)


def view(tokens: list[str]) -> SentenceView:
    n, k = len(tokens), 4
    pairs = RANDOM.integers(0, len(VOCABULARY), (n, n, k))
    masks = MaskView(pairs[:, 0], distribution(n, k), pairs, distribution(n, n, k), distribution(n, n, k))
    near = [RANDOM.integers(0, 6, (n, LAYERS + 1, 5)), RANDOM.random((n, LAYERS + 1, 5))]
    by_head = [RANDOM.integers(0, 6, (n, LAYERS, HEADS, 2)), RANDOM.random((n, LAYERS, HEADS, 2))]
    special = [token.startswith("[") for token in tokens]
    attention = distribution(LAYERS, HEADS, n, n)
    return SentenceView(
        " ".join(tokens), tokens, special, [[t] for t in range(n)], attention, attention.mean(1),
        ["the end was cut off"], masks, NearestView(*near, *near, *by_head),
        relevance=None if tokens is SENTENCES[1] else attention.mean(1),
    )  # fmt: skip


VIEWS = [view(tokens) for tokens in SENTENCES]


@pytest.fixture(scope="session")
def attention_page(tmp_path_factory):
    dominant = np.full((LAYERS, HEADS), -1)
    dominant[1, 2] = KINDS.index("previous token")
    shares, even = RANDOM.random((LAYERS, HEADS, len(KINDS))), np.full(len(KINDS), 0.1)
    shares[1, 2, dominant[1, 2]] = 0.83
    absent = KINDS.index("same word")
    shares[..., absent], even[absent] = np.nan, np.nan
    entropy = np.full((LAYERS, HEADS), 0.8)
    entropy[0, 1] = 0.1
    heads = HeadsView(KINDS, shares, even, dominant, entropy, 12, RANDOM.random((LAYERS, HEADS)), 0.25, 9)
    corpus = Corpus(
        [(("The", "cat", "ran"), ("DET", "NOUN", "VERB"), " "), (("貓", "跑", "了"), ("NOUN", "VERB", "AUX"), "")],
        np.array([[0, 0], [0, 1], [0, 2], [1, 0], [1, 1], [1, 2]]), 2.0,
    )  # fmt: skip
    path = tmp_path_factory.mktemp("attention") / "index.html"
    return write_attention_page(path, "tiny", VIEWS, heads, VOCABULARY, corpus)


def ready(page):
    page.wait_for_selector("body[data-ready]")
    return page


def title(page) -> str:
    return page.locator("#head-title").inner_text()


def test_the_browser_unpacks_the_very_numbers(open_page, attention_page):
    page = ready(open_page(attention_page))
    for number, sentence in enumerate(VIEWS):
        flat = page.evaluate(f"Array.from(arrays[{number}].attention.values)")
        assert np.abs(np.array(flat) / 255 - sentence.attention.ravel()).max() <= 1 / 255
        after = page.evaluate(f"Array.from(arrays[{number}].masks.pairs.after.values)")
        assert np.abs(np.array(after) / 65535 - sentence.masks.pair_after.ravel()).max() <= 1 / 65535


def test_it_begins_with_the_most_pointed_head(open_page, attention_page):
    page = ready(open_page(attention_page))
    assert title(page) == "Layer 1, head 2"
    assert "the end was cut off" in page.locator(".notice").first.inner_text()


def test_the_layer_slider_and_the_head_by_keyboard(open_page, attention_page):
    page = ready(open_page(attention_page))
    page.locator("#layer").focus()
    page.keyboard.press("ArrowRight")
    assert title(page) == "Layer 2, head 2"
    page.locator("#head").focus()
    page.keyboard.press("ArrowDown")
    assert title(page) == "Layer 2, head 3"
    assert "previous token (0.83)" in page.locator("#head-note").inner_text()
    assert page.locator("#thumbnails [aria-pressed=true]").get_attribute("aria-label").startswith("Layer 2, head 3")
    page.locator("#head").select_option("rollout")
    assert title(page) == "Rollout up to layer 2"
    page.locator("#head").select_option("mean")
    assert title(page) == "Layer 2, mean of its heads"


def test_the_thumbnails_are_walked_by_the_arrows(open_page, attention_page):
    page = ready(open_page(attention_page))
    page.locator("#thumbnails button").first.focus()
    for key in ("ArrowRight", "ArrowDown", "ArrowDown", "Enter"):
        page.keyboard.press(key)
    assert title(page) == "Layer 3, head 2"
    assert page.locator("#thumbnails button").count() == LAYERS * HEADS
    assert page.locator("#thumbnails button[tabindex='0']").count() == 1


def test_a_token_shows_where_it_looks(open_page, attention_page):
    page = ready(open_page(attention_page))
    page.locator(".from button").nth(1).hover()
    weights = VIEWS[0].attention[0, 1, 1]
    best = int(weights.argmax())
    assert page.locator("#reading").inner_text().startswith(f"she looks at {SENTENCES[0][best]} (")
    shown = page.locator(".to > div").nth(best).locator(".number").inner_text()
    assert float(shown) == pytest.approx(weights[best], abs=0.01)
    page.locator(".from button").first.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    assert page.locator("#reading").inner_text().startswith("un looks at")


def test_what_a_guess_rests_on(open_page, attention_page):
    page = ready(open_page(attention_page))
    page.locator("#head").select_option("relevance")
    assert title(page) == "Gradient × attention up to layer 1"
    page.locator(".from button").nth(1).hover()
    assert page.locator("#reading").inner_text().startswith("she is guessed from")
    page.locator("#sentence").select_option("1")
    assert "too long" in page.locator("#head-note").inner_text()


def test_the_heatmap_and_special_tokens(open_page, attention_page):
    page = ready(open_page(attention_page))
    page.get_by_text("heatmap", exact=True).click()
    assert page.locator(".heat td").count() == 36
    pair, weight = page.locator(".heat td").nth(7).get_attribute("title").rsplit(": ", 1)
    assert pair == "she → she"
    assert float(weight) == pytest.approx(VIEWS[0].attention[0, 1, 1, 1], abs=1 / 255)
    page.get_by_label("Leave out special tokens").check()
    assert page.locator(".heat td").count() == 16


def test_a_masked_token_and_another(open_page, attention_page):
    page = ready(open_page(attention_page))
    tokens = page.locator("#mask-tokens button")
    assert tokens.first.is_disabled()
    tokens.nth(1).focus()
    page.keyboard.press("Enter")
    assert tokens.nth(1).inner_text() == "[MASK]"
    assert page.locator("#mask-bars li").count() == 4
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    note = page.locator("#mask-note").inner_text()
    assert "“she”" in note
    assert "“un” is hidden as well" in note
    before, after = VIEWS[0].masks.pair_before[1, 2, 3], VIEWS[0].masks.pair_after[1, 2, 3]
    last = page.locator("#mask-bars li").last.inner_text()
    assert last.split("\n")[0] == VOCABULARY[VIEWS[0].masks.pair_candidates[1, 2, 3]]
    numbers = [float(part.strip(" %")) for part in last.split("\n")[-1].split("→")]
    assert numbers == pytest.approx([100 * before, 100 * after], abs=0.6)
    tokens.nth(1).click()  # shown again: the other one is asked for now
    assert "“un”" in page.locator("#mask-note").inner_text()


def test_nearest_tokens_by_layer_by_head_and_searched(open_page, attention_page):
    page = ready(open_page(attention_page))
    page.locator("#near-tokens button").nth(1).click()
    assert page.locator("#near-found li").count() == 5
    page.locator("#near-search").fill("cat")
    shown = page.locator("#near-found li").all_inner_texts()
    assert all("cat" in text for text in shown)
    page.locator("#near-search").fill("")
    page.locator("#near-by").select_option("1")
    assert page.locator("#near-found li").count() == 2
    page.locator("#near-layer").focus()
    page.keyboard.press("Home")
    assert "no heads" in page.locator("#near-note").inner_text()
    page.locator("#near-by").select_option("state")
    assert page.locator("#tags button").count() == LAYERS + 1
    page.get_by_label("with the token hidden").check()
    assert page.locator("#near-found li").count() == 5


def test_what_each_head_does(open_page, attention_page):
    page = ready(open_page(attention_page))
    page.locator("#heads button", has_text="previous token").locator("visible=true").filter(has_text="0.83").click()
    assert title(page) == "Layer 2, head 3"
    page.locator("#measure").select_option("pronouns")
    assert "0.25" in page.locator("#measure-note").inner_text()
    assert "same word" not in page.locator("#measure").inner_text()  # no sentence had one


def test_another_sentence(open_page, attention_page):
    page = ready(open_page(attention_page))
    page.locator("#sentence").select_option("1")
    assert page.locator(".from button").all_inner_texts() == SENTENCES[1]
    assert page.locator("#mask-tokens button").count() == 7


@pytest.fixture(scope="session")
def embedding_page(tmp_path_factory):
    states = RANDOM.normal(size=(LAYERS, 10, 6)) + np.arange(LAYERS)[:, None, None] * np.repeat([0, 4], 5)[:, None]
    senses = ["fruit"] * 5 + ["<i>company"] * 5
    points = [Point("今天買了蘋", "果", f"{i}", sense, str(i)) for i, sense in enumerate(senses)]
    planes = [Plane(p.points, p.explained_variance, p.trustworthiness) for p in map(project, states)]
    report = sense_report(states, senses, control=RANDOM.normal(size=states.shape), position=range(10))
    matrices = [np.stack([measure(layer) for layer in states]) for measure in (cosine_similarity, euclidean_distance)]
    path = tmp_path_factory.mktemp("embedding") / "index.html"
    return (
        write_embedding_page(path, "What is 果?", "Ten.", points, planes, *matrices, report_view(report)),
        matrices,
        planes,
    )


def test_the_layer_slider_moves_everything(open_page, embedding_page):
    path, (cosine, euclidean), planes = embedding_page
    page = ready(open_page(path))
    assert page.locator("#worth").inner_text() == planes[-1].worth
    first = page.locator(".dot").nth(3).get_attribute("style")
    page.locator("#layer").focus()
    page.keyboard.press("ArrowLeft")
    assert page.locator("#worth").inner_text() == planes[-2].worth
    assert page.locator(".dot").nth(3).get_attribute("style") != first
    assert page.locator("#matrix td").nth(1).inner_text() == f"{cosine[1, 0, 1]:.2f}"
    page.get_by_text("Euclidean distance").click()
    assert float(page.locator("#matrix td").nth(1).inner_text()) == pytest.approx(euclidean[1, 0, 1], abs=0.051)
    assert page.locator("#report tr.on th").inner_text() == "1"


def test_a_dot_tells_its_sentence_and_neighbours(open_page, embedding_page):
    page = ready(open_page(embedding_page[0]))
    page.locator(".dot").nth(2).hover()
    assert page.locator("#about").inner_text().strip() == "fruit: 今天買了蘋果2"
    assert page.locator("#near li").count() == 5
    page.locator(".dot").first.focus()
    page.keyboard.press("ArrowRight")
    assert page.locator("#about").inner_text().endswith("果1")


def test_groups_can_be_hidden(open_page, embedding_page):
    page = ready(open_page(embedding_page[0]))
    page.get_by_role("checkbox", name="fruit").uncheck()
    assert page.locator(".dot").filter(visible=True).count() == 5


def test_five_hundred_sentences_of_twelve_senses_stay_light(open_page, tmp_path):
    n, senses = 500, [f"sense {i % 12}" for i in range(500)]
    points = [Point("The ", "bank", f" is {i}.", sense, str(i)) for i, sense in enumerate(senses)]
    planes = [Plane(RANDOM.normal(size=(n, 2)), None, 0.9) for _ in range(LAYERS)]
    matrices = RANDOM.random((LAYERS, n, n))
    page = ready(open_page(write_embedding_page(tmp_path / "e.html", "Bank?", "", points, planes, matrices, matrices)))
    assert page.locator("*").count() < 5000
    assert page.locator("#pixels").evaluate("canvas => [canvas.width, canvas.hidden]") == [n, False]
    looks = page.locator("#plot .dot").evaluate_all(
        "dots => dots.slice(0, 12).map((dot) => dot.getAttribute('d') + dot.style.getPropertyValue('--group'))"
    )
    assert len(set(looks)) == 12
    legend = """all => all.map((i) => {
        const { clipPath, borderRadius, backgroundColor } = getComputedStyle(i);
        return clipPath + borderRadius + backgroundColor;
    })"""
    assert len(set(page.locator("#groups i").evaluate_all(legend))) == 12
    step = """() => {
        const slider = document.getElementById("layer"), times = [];
        for (const value of [0, 1, 2, 0, 1]) {
            const start = performance.now();
            slider.value = value;
            slider.dispatchEvent(new Event("input"));
            document.body.getBoundingClientRect();
            times.push(performance.now() - start);
        }
        return Math.min(...times);
    }"""
    assert page.evaluate(step) < 100  # milliseconds, layout included; the best of five, as machines are busy
    page.locator("#pixels").hover(position={"x": 1, "y": 1})
    assert "The bank is 0." in page.locator("#pair").inner_text()


def test_the_report_shows_its_controls(open_page, embedding_page):
    page = ready(open_page(embedding_page[0]))
    assert page.locator("#curve polyline").count() == 3
    page.locator("#measure").select_option("silhouette")
    assert page.locator("#curve polyline").count() == 2  # a position has no silhouette
    assert "(" in page.locator("#report td").first.inner_text()


@pytest.fixture(scope="session")
def token_page(tmp_path_factory):
    words = [("[CLS]", True), ("she", False), ("蘋", False)]
    methods = [
        MethodView("IG", "Adds up.", np.array([0.0, 1.0, -2.0]), True, 0.01),
        MethodView("Gradient", "Length.", np.array([0.1, 3.0, 2.0]), False),
        MethodView("LIME", "Fits.", None, True, error="no word to hide"),
    ]
    path = tmp_path_factory.mktemp("tokens") / "index.html"
    return write_token_page(path, "Words", "Two.", [SentenceScores("she 蘋", words, "log P(x)", 0.5, methods)])


def test_words_can_be_ordered_by_strength(open_page, token_page):
    page = ready(open_page(token_page))
    order = page.locator(".order")
    order.select_option(label="IG")
    assert page.locator(".compare tbody th").all_inner_texts() == ["蘋", "she", "[CLS]"]
    order.select_option(label="Gradient")
    assert page.locator(".compare tbody th").all_inner_texts() == ["she", "蘋", "[CLS]"]
    order.select_option("")
    assert page.locator(".compare tbody th").all_inner_texts() == ["[CLS]", "she", "蘋"]


def test_bars_point_to_their_side(open_page, token_page):
    page = ready(open_page(token_page))
    track, bar = (page.locator(".compare tr").nth(3).locator(s).first.bounding_box() for s in (".track", ".track i"))
    assert bar["x"] == pytest.approx(track["x"], abs=1)  # −2 is the strongest: it fills the left half
    assert bar["width"] == pytest.approx(track["width"] / 2, abs=1)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 853])  # a phone, and 1280 at 150 %
def test_nothing_is_cut_off(open_page, attention_page, embedding_page, token_page, width, scheme):
    for path in (attention_page, embedding_page[0], token_page):
        page = ready(open_page(path, viewport={"width": width, "height": 640}, color_scheme=scheme))
        assert page.evaluate("document.documentElement.scrollWidth") <= width
