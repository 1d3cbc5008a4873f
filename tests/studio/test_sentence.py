"""A typed sentence: hidden words are guessed, attention sums to one, words are given what the library gives them."""

import base64
import zlib

import numpy as np
import pytest

from hw_xai.language import attribute_tokens, fill_mask, load_bert

TEXT = "The nurse is kind because she helps."


def test_hidden_words_are_guessed(client):
    plain = client.ask("look", text=TEXT)
    words = [word["text"] for word in plain["words"]]
    assert plain["guesses"] == []
    nurse = words.index("nurse")
    found = client.ask("look", text=TEXT, hidden=[nurse])
    (guess,) = found["guesses"]
    (expected,) = fill_mask(load_bert("built-in"), TEXT, "nurse")
    assert guess["word"] == nurse
    assert guess["stood"] == "nurse"
    assert [token for token, _ in guess["top"]] == [token for token, _ in expected.top(8)]
    assert guess["own"] == pytest.approx(expected.of("nurse"), abs=1e-5)
    shape = found["attention"]["shape"]
    attention = np.frombuffer(zlib.decompress(base64.b64decode(found["attention"]["data"])), np.uint8).reshape(shape)
    assert shape[2:] == [len(found["tokens"])] * 2
    np.testing.assert_allclose(attention.sum(-1) / 255, 1, atol=0.06)


def test_words_are_given_what_the_library_gives_them(client):
    words = [word["text"] for word in client.ask("look", text=TEXT)["words"]]
    events = client.stream("attribute", text=TEXT, word=words.index("nurse"), methods=["input_x_gradient", "occlusion"])
    found = {event["method"]: event["values"] for event in events if event["event"] == "words"}
    for method, values in found.items():
        expected = attribute_tokens(load_bert("built-in"), TEXT, method, word="nurse").scores
        assert values == pytest.approx(expected.tolist(), abs=1e-4), method
    assert set(found) == {"input_x_gradient", "occlusion"}


def test_a_word_with_itself_is_one_vector(client):
    words = [word["text"] for word in client.ask("look", text=TEXT)["words"]]
    place = words.index("kind")
    same = client.ask("part", texts=[TEXT, TEXT], words=[place, place])["similarity"]
    assert same == pytest.approx([1.0] * len(same), abs=1e-5)
    other = client.ask("part", texts=[TEXT, "This is a kind of bread."], words=[place, 4])["similarity"]
    assert min(other) < 0.99


@pytest.mark.parametrize(
    "body",
    [{}, {"text": ""}, {"text": "x" * 3000}, {"text": TEXT, "hidden": [99]}, {"text": TEXT, "hidden": [0]},
     {"text": TEXT, "hidden": "all"}, {"text": TEXT, "hidden": [True]}],
)  # fmt: skip
def test_what_is_no_sentence_is_one_sentence(client, body):
    assert " must " in client.ask("look", **body)["error"]
