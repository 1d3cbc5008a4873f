"""The corpus is read once for each model, and what is kept of it is the model's own."""

import pytest
import torch

from hw_xai.language import index_cache, search
from hw_xai.language.bert import Bert, load_bert
from hw_xai.language.senses import untrained


@pytest.fixture
def few(monkeypatch, tmp_path):
    """A corpus of thirty sentences, and a cache that is empty."""
    monkeypatch.setenv("HW_XAI_CACHE", str(tmp_path))
    sentences = search.search_corpus()[:15] + search.search_corpus()[-15:]
    monkeypatch.setattr(search, "search_corpus", lambda: sentences)
    return tmp_path


def test_the_corpus_is_read_once_for_each_model(few, monkeypatch):
    bert = load_bert("built-in")
    first = search.index_corpus(bert, progress=False)
    with monkeypatch.context() as patch:
        patch.setattr(search, "states_and_heads", lambda *_, **__: pytest.fail("read again"))
        again = search.index_corpus(Bert("another name", bert.model, bert.tokenizer), progress=False)
    torch.testing.assert_close(again.states, first.states, rtol=0, atol=0)
    torch.testing.assert_close(again.heads, first.heads, rtol=0, atol=0)
    assert (again.corpus.tokens == first.corpus.tokens).all()
    other = search.index_corpus(untrained(bert), progress=False)
    assert not torch.equal(other.states, first.states)
    assert len(list(few.iterdir())) == 2


def test_a_broken_or_forbidden_cache_is_no_mistake(few, monkeypatch):
    bert = load_bert("built-in")
    first = search.index_corpus(bert, progress=False)
    [file] = few.iterdir()
    file.write_bytes(file.read_bytes()[:100])
    torch.testing.assert_close(search.index_corpus(bert, progress=False).states, first.states)
    monkeypatch.setenv("HW_XAI_CACHE", str(file))  # a file, in which no folder can be made
    torch.testing.assert_close(search.index_corpus(bert, progress=False).states, first.states)


def test_the_least_recently_used_go_first(few, monkeypatch):
    bert = load_bert("built-in")
    search.index_corpus(bert, progress=False)
    [old] = few.iterdir()
    monkeypatch.setattr(index_cache, "MOST", old.stat().st_size + 10)
    search.index_corpus(untrained(bert), progress=False)
    assert not old.exists()
    assert len(list(few.iterdir())) == 1
