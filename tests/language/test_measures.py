"""Each figure of the card on cases small enough to count by hand."""

import numpy as np
import pytest
import torch

from hw_xai.errors import UserError
from hw_xai.language import measures
from hw_xai.language.bert import Bert, load_bert
from hw_xai.language.corpus import TAGS, search_corpus
from hw_xai.language.heads import tags_of
from hw_xai.language.masked_words import asked_tokens, tokenized
from hw_xai.language.measures import guesses, read_senses, read_tagged, senses_of, speech_of_nearest
from hw_xai.language.text import Sentence


@pytest.fixture(scope="module")
def bert():
    return load_bert()


def test_counting_guesses_what_it_has_seen(bert):
    seen = [Sentence("en", "x", text) for text in ("the cat is in the park", "the dog is in the park", "the the the")]
    found = guesses(bert, seen[:2] * 20, tokenized(seen, bert.tokenizer, 40))
    assert set(found) == {"en"}
    en = found["en"]
    assert en.n == 40
    places = asked_tokens(tokenized(seen[:2] * 20, bert.tokenizer, 40), bert.tokenizer)
    assert all(word in bert.tokenizer.get_vocab() for s in seen for word in s.text.split())
    words = [("[CLS]", *s.text.split())[place] for s, place in zip(seen[:2] * 20, places, strict=True)]
    assert en.most_frequent == pytest.approx(words.count("the") / 40)
    # between both neighbours only cat and dog are in doubt
    assert 1 >= en.both >= 1 - (words.count("cat") + words.count("dog")) / 40 - 1e-6
    assert en.both >= en.previous > 0
    assert 0 <= en.model <= 1
    assert en.error < 0.09


def test_only_what_guesses_masked_words_can_be_measured_by_them(bert):
    seen = [Sentence("en", "x", "the cat")]
    headless = Bert("headless", bert.model.bert, bert.tokenizer)
    with pytest.raises(UserError, match="`bert` must be a BERT that guesses masked words, but headless is none"):
        guesses(headless, seen, tokenized(seen, bert.tokenizer, 40))


def test_parts_of_speech_of_the_nearest(bert, monkeypatch):
    sentences = search_corpus()[:60]
    names = ["", "X", *sorted(TAGS)]

    def planted(bert, encoded):
        """Layer 0 knows nothing, layer 1 the parts of speech."""
        tags = [[names.index(tag) for tag in tags_of(s, e)] for s, e in zip(sentences, encoded, strict=True)]
        return [torch.stack([torch.ones(len(t), len(names)), torch.eye(len(names))[t]]) for t in tags]

    monkeypatch.setattr(measures, "hidden_states", planted)
    shares, chance = speech_of_nearest(bert, sentences, k=1)
    assert 0.05 < chance < 0.5
    assert shares[0] < 0.6
    assert shares[1] > 0.95  # but for tags that one word alone has


def test_tagged_tables(tmp_path):
    table = tmp_path / "tagged.tsv"
    lines = [
        "lang\tsource\tsentence\ttokens",
        "en\tud\tCats sleep.\tCats/NOUN sleep/VERB ./PUNCT",
        "zh\tud\t貓\t貓/NOUN",
    ]
    table.write_text("\n".join([*lines, "en\tud\tUm\tUm/INTJ"]), encoding="utf-8")
    [sentence] = read_tagged(table, "en", 5)
    assert (sentence.words, sentence.tags) == (("Cats", "sleep", "."), ("NOUN", "VERB", "PUNCT"))


def test_senses_that_somebody_wrote(bert, tmp_path):
    table = tmp_path / "senses.tsv"
    rows = [("bank", "money", f"She put {n} coins in the [bank].") for n in ("two", "three", "four")]
    rows += [("bank", "river", f"The Bank of the {n} is green.") for n in ("river", "lake", "stream")]
    table.write_text("\n".join("\t".join(row) for row in [("word", "sense", "sentence"), *rows]), encoding="utf-8")
    sentences = read_senses(table)
    assert all(s.text[s.start : s.end].lower() == "bank" for s in sentences)
    report = senses_of(bert, sentences)["bank"]
    assert report.n == 6
    assert np.isfinite(report.model.knn).all()
    table.write_text("word\tsense\tsentence\nbank\tx\tNothing here.", encoding="utf-8")
    with pytest.raises(UserError, match='line 2: "bank" is not in "Nothing here."'):
        read_senses(table)


def test_the_global_random_state_is_left_alone(bert):
    before = torch.get_rng_state()
    guesses(bert, [Sentence("en", "x", "the cat sat")], tokenized([Sentence("en", "x", "a cat")], bert.tokenizer, 9))
    assert torch.equal(before, torch.get_rng_state())
