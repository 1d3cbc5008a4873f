"""The attention page as bytes: what is packed into it, how large it is, and what it refuses."""

import base64
import json
import re
import zlib
from dataclasses import replace

import numpy as np
import pytest

from hw_xai.show.frame.packing import packed, rounded, shares, whole
from hw_xai.show.pages.attention.page import Corpus, HeadsView, NearestView, SentenceView, write_attention_page


def sentence(n_layers: int, n_heads: int, n_tokens: int, **more) -> SentenceView:
    random = np.random.default_rng(0)
    scores = 2 * random.normal(size=(n_layers, n_heads, n_tokens, n_tokens))
    attention = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    tokens = [f"t{i}" for i in range(n_tokens)]
    rollout = attention.mean(1)
    special = [i in (0, n_tokens - 1) for i in range(n_tokens)]
    words = [[t] for t in range(n_tokens)]
    return SentenceView(" ".join(tokens), tokens, special, words, attention, rollout, **more)


def heads(n_layers: int, n_heads: int) -> HeadsView:
    none = np.full((n_layers, n_heads), -1)
    parts = np.full((n_layers, n_heads, 2), [0.6, np.nan])
    return HeadsView(["previous token", "same word"], parts, np.array([0.1, np.nan]), none, parts[..., 0], 3)


def read(path) -> dict:
    return json.loads(re.search(r'id="data">(.*?)</script>', path.read_text(encoding="utf-8"), re.DOTALL)[1])


def unpacked(box: dict) -> np.ndarray:
    raw = zlib.decompress(base64.b64decode(box["data"]))
    return np.frombuffer(raw, f"<u{box['bits'] // 8}").reshape(box["shape"])


@pytest.mark.parametrize("kind", ["uint8", "uint16", "uint32"])
def test_packing_loses_nothing(kind):
    values = np.random.default_rng(0).integers(0, np.iinfo(kind).max, (3, 4, 5)).astype(kind)
    np.testing.assert_array_equal(unpacked(packed(values)), values)


def test_only_whole_numbers_are_packed():
    with pytest.raises(ValueError, match="`values` must be uint8, uint16 or uint32, got float64"):
        packed(np.zeros(3))


def test_shares_are_off_by_half_a_level():
    values = np.linspace(0, 1, 1001)
    assert np.abs(shares(values) / 255 - values).max() <= 0.5 / 255 + 1e-12
    assert np.abs(shares(values, 16) / 65535 - values).max() <= 0.5 / 65535 + 1e-12


def test_indices_take_the_smallest_type():
    assert [whole([n]).dtype for n in (3, 255, 256, 70_000)] == ["uint8", "uint8", "uint16", "uint32"]


def test_rounding_knows_no_nan():
    assert rounded([[0.12345, np.nan]], 2) == [[0.12, None]]


def test_the_page_holds_the_attention_to_a_255th(tmp_path):
    view = sentence(2, 3, 7)
    view = replace(view, relevance=view.rollout[::-1])
    found = read(write_attention_page(tmp_path / "a.html", "tiny", [view], heads(2, 3)))["sentences"][0]
    assert np.abs(unpacked(found["relevance"]) / 255 - view.relevance).max() <= 1 / 255
    assert np.abs(unpacked(found["attention"]) / 255 - view.attention).max() <= 1 / 255
    assert np.abs(unpacked(found["rollout"]) / 255 - view.rollout).max() <= 1 / 255


def test_a_head_is_named_by_what_dominates_it_and_its_strength_is_a_number():
    view = HeadsView(["a (b)", "c"], np.array([[[0.75, 0.1], [0.2, 0.1]]]), np.ones(2), np.array([[0, -1]]), None, 1)
    assert view.names == [["a (b) (0.75)", ""]]
    assert view.strength.tolist() == [[0.75, 0.0]]


def test_the_page_of_bert_base_and_128_tokens_is_small(tmp_path):
    page = write_attention_page(tmp_path / "a.html", "base", [sentence(12, 12, 128)], heads(12, 12))
    assert page.stat().st_size < 2e6  # attention without any pattern; a model's own packs better


def test_no_address_of_a_network_is_in_the_page(tmp_path):
    page = write_attention_page(tmp_path / "a.html", "tiny", [sentence(1, 1, 3)], heads(1, 1))
    html = page.read_text()
    assert "http" not in html.replace("http-equiv", "")
    assert not re.search(r"url\(|\bsrc=|@import", html)


def test_strange_tokens_stay_text(tmp_path):
    view = sentence(1, 1, 3)
    view = SentenceView(**vars(view) | {"tokens": ["</script><script>", "蘋", '"']})
    page = write_attention_page(tmp_path / "a.html", "tiny", [view], heads(1, 1))
    assert read(page)["sentences"][0]["tokens"] == list(view.tokens)
    assert page.read_text().count("<script") == 2


def test_only_the_corpus_that_is_pointed_to_is_kept(tmp_path):
    corpus = Corpus([(("a", "b"), ("X", "Y"), " "), (("c",), ("Z",), "")], np.array([[0, 0], [0, 1], [1, 0]]), 1.0)
    plain = np.array([2, 1]).reshape(1, 1, 2).repeat(3, 0).repeat(2, 1)
    near = NearestView(plain, np.full(plain.shape, 0.5), None, None, None, None)
    page = write_attention_page(tmp_path / "a.html", "tiny", [sentence(1, 1, 3, nearest=near)], heads(1, 1), (), corpus)
    found = read(page)
    numbers = unpacked(found["sentences"][0]["nearest"]["plain"]["tokens"])
    assert numbers.shape == plain.shape
    assert len(found["corpus"]["tokens"]) == 2
    sentence_number, word = found["corpus"]["tokens"][numbers[0, 0, 0]]
    assert found["corpus"]["sentences"][sentence_number][0][word] == "c"


def test_shapes_must_fit(tmp_path):
    view = SentenceView(**vars(sentence(1, 1, 3)) | {"tokens": ["a", "b"]})
    with pytest.raises(ValueError, match=r"`attention` must be \(L, H, T, T\).* for 2 tokens"):
        write_attention_page(tmp_path / "a.html", "tiny", [view], heads(1, 1))
    assert list(tmp_path.iterdir()) == []
