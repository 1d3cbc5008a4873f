"""Models of every family from tiny configurations: layers, attentions, attributions, and tokens as people read them."""

import pytest
import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from hw_xai.errors import UserError
from hw_xai.language.attribution import attribute_tokens, embedding_model, token_scores, word_embeddings
from hw_xai.language.bert import Bert, load_bert
from hw_xai.language.corpus import search_corpus
from hw_xai.language.layers import attentions, hidden_states, lent, padded
from hw_xai.language.masks import fill_mask
from hw_xai.language.questions import most_expected
from hw_xai.language.spelling import byte_characters, readable_vocabulary
from hw_xai.language.tokens import encode, token_at
from hw_xai.studies.attention import study_attention
from hw_xai.studies.sentences import display_tokens

SIZE = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 64,
    "pad_token_id": 1,
    "bos_token_id": 0,
    "eos_token_id": 2,
}
RELATIVE = {"pos_att_type": ["c2p", "p2c"], "relative_attention": True}
FAMILIES = {
    "Roberta": {},
    "Camembert": {},
    "XLMRoberta": {},
    "MPNet": {},
    "Deberta": RELATIVE,
    "DebertaV2": RELATIVE,
    "ModernBert": {"cls_token_id": 0, "sep_token_id": 2},
    "GPT2": {"n_embd": 16, "n_layer": 2, "n_head": 2},
    "GPTNeoX": {},
    "OPT": {"ffn_dim": 32, "word_embed_proj_dim": 16},
    "Llama": {},
    "Mistral": {"num_key_value_heads": 2},
    "Qwen2": {"num_key_value_heads": 1},
}
DECODERS = ("GPT2", "GPTNeoX", "OPT", "Llama", "Mistral", "Qwen2")
SENTENCE = "The bank 今天買了蘋果 opened."


@pytest.fixture(scope="module")
def tokenizer():
    """Byte-level BPE, as RoBERTa and GPT-2 have it."""
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=600, special_tokens=special, initial_alphabet=alphabet)
    core.train_from_iterator((s.text for s in search_corpus()[::20]), trainer)
    core.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    names = dict(zip(("bos_token", "pad_token", "eos_token", "unk_token", "mask_token"), special, strict=True))
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=core, cls_token="<s>", sep_token="</s>", model_max_length=60, **names
    )


def saved(folder, tokenizer, family: str, auto: str, **more) -> Bert:
    config = getattr(transformers, f"{family}Config")(
        vocab_size=len(tokenizer), **SIZE, **FAMILIES.get(family, {}), **more
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = getattr(transformers, auto).from_config(config)
        for parameter in model.parameters():  # the library's own 0.02 makes every attention alike
            if parameter.ndim > 1:
                torch.nn.init.normal_(parameter, std=0.3)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return load_bert(folder)


@pytest.fixture(scope="module")
def roberta(tmp_path_factory, tokenizer):
    return saved(tmp_path_factory.mktemp("roberta"), tokenizer, "Roberta", "AutoModelForMaskedLM")


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family(tmp_path, tokenizer, family):
    auto = "AutoModelForCausalLM" if family in DECODERS else "AutoModelForMaskedLM"
    bert = saved(tmp_path, tokenizer, family, auto)
    assert (bert.head, bert.causal) == (("causal-lm", True) if family in DECODERS else ("masked-lm", False))
    encoded = encode(bert, [SENTENCE, "Two bats slept."])
    for e, states, maps in zip(encoded, hidden_states(bert, encoded), attentions(bert, encoded), strict=True):
        [alone] = hidden_states(bert, [e])
        torch.testing.assert_close(states, alone, atol=1e-4, rtol=0)
        torch.testing.assert_close(maps.sum(-1), torch.ones(2, 2, len(e)))
        assert (maps.triu(1).abs().max() == 0) == bert.causal
    model = embedding_model(bert, encoded[0], token_scores(3))
    with lent(bert), torch.no_grad():
        expected = bert(**padded(bert, encoded[:1])).logits[:, 3].log_softmax(-1)
        torch.testing.assert_close(model(word_embeddings(bert, encoded[0])), expected, atol=1e-4, rtol=1e-4)
    assert [word.text for word in encoded[0].words if not word.special and word.text != "␣"] == [
        *("The", "bank", "今", "天", "買", "了", "蘋果" if "蘋果" in [w.text for w in encoded[0].words] else "蘋"),
        *([] if "蘋果" in [w.text for w in encoded[0].words] else ["果"]),
        *("opened", "."),
    ]
    for method, options in (("ig", {"n_steps": 8}), ("occlusion", {}), ("lime", {"n_samples": 10})):
        found = attribute_tokens(bert, encoded[1], method, **options)
        assert found.scores.isfinite().all()
        assert found.explained.startswith("log P(")
    assert found.explained.endswith("the next token") == bert.causal
    assert attribute_tokens(bert, encoded[1], "occlusion", word="slept").explained == "log P(slept)"


def test_the_next_token_rests_on_what_stands_before_it_alone(tmp_path, tokenizer):
    bert = saved(tmp_path, tokenizer, "GPT2", "AutoModelForCausalLM")
    found = attribute_tokens(bert, "Two bats slept well.", "ig", word="slept", n_steps=10)
    after = [i for i, word in enumerate(found.words) if word.text in ("well", ".")]
    assert after
    assert (found.scores[after] == 0).all()
    assert found.scores.abs().sum() > 0
    with pytest.raises(UserError, match="must have something before it"):
        attribute_tokens(Bert("bare", bert.model, bare(tokenizer)), "Two bats", "ig", word="Two")
    study = study_attention(bert, ["Two bats slept."], search=False)
    assert study.causal
    assert any("left to right" in sentence for sentence in study.unavailable)


def bare(tokenizer):
    """The same tokenizer without special tokens around a sentence, as GPT-2 has it."""
    core = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    core.post_processor = processors.ByteLevel(trim_offsets=False)
    return transformers.PreTrainedTokenizerFast(tokenizer_object=core, eos_token="</s>", model_max_length=60)


def test_a_model_without_special_tokens_and_padding(tmp_path, tokenizer):
    bert = saved(tmp_path, bare(tokenizer), "GPT2", "AutoModelForCausalLM")
    long, short = encode(bert, ["Two bats slept in a cave.", "Two"])
    torch.testing.assert_close(hidden_states(bert, [long, short])[1], hidden_states(bert, [short])[0])
    assert attribute_tokens(bert, "Two bats slept", "occlusion").scores.abs().sum() > 0


def test_guesses_in_bytes_are_readable(roberta):
    [encoded] = encode(roberta, SENTENCE)
    table = byte_characters()
    for prediction in fill_mask(roberta, encoded, "買"):
        for token, _ in prediction.top(50):
            assert not {"Ġ", "\ufffd"} & set(token)
            assert token.isprintable()
    vocabulary = readable_vocabulary(roberta.tokenizer, roberta.n_tokens)
    raw = roberta.tokenizer.convert_ids_to_tokens(range(roberta.n_tokens))
    assert len(table) == 256
    for spelled, token in zip(vocabulary, raw, strict=True):
        if token.startswith("Ġ") and token[1:].isascii() and len(token) > 1:
            assert spelled == token[1:]
    assert vocabulary[roberta.mask_id] == "<mask>"
    assert any(token.startswith("⟨") for token in vocabulary)
    assert readable_vocabulary(load_bert("built-in").tokenizer, 700)[600:610] == tuple(
        load_bert("built-in").tokenizer.convert_ids_to_tokens(range(600, 610))
    )


def test_bytes_of_one_character_are_one_word(roberta):
    [encoded] = encode(roberta, "獅子 slept")
    lion = [word for word in encoded.words if word.text == "獅"]
    assert len(lion) == 1
    assert len(lion[0].tokens) > 1
    assert token_at(encoded, "獅") == lion[0].tokens
    assert [t for t in display_tokens(roberta, encoded) if t.startswith("獅 ")] == [
        f"獅 {i + 1}/{len(lion[0].tokens)}" for i in range(len(lion[0].tokens))
    ]


def test_a_hidden_word_is_shown_as_the_mask():
    bert = load_bert("built-in")
    found = attribute_tokens(bert, "He put his money in the bank.", "occlusion", word="bank")
    assert [word.text for word in found.words][-3:] == ["[MASK]", ".", "[SEP]"]


def test_without_a_word_the_one_that_its_context_speaks_for_most():
    bert = load_bert("built-in")
    [encoded] = encode(bert, "He put his money in the bank.")
    tokens = most_expected(bert, encoded)

    def log_p(hidden, at) -> float:
        masked = encoded.put(hidden, bert.mask_id, "[MASK]")
        return sum(float(p.probabilities[encoded.ids[t]].log()) for t in at for p in fill_mask(bert, masked, t))

    everything = [t for t in range(len(encoded)) if not encoded.special[t]]
    gains = {w.tokens: log_p(w.tokens, w.tokens) - log_p(everything, w.tokens) for w in encoded.words if not w.special}
    assert tokens == max(gains, key=gains.__getitem__)
    assert attribute_tokens(bert, encoded, "occlusion").explained == f"log P({encoded.tokens[tokens[0]]})"


def test_labels_and_answers_are_explained(tmp_path, tokenizer):
    labels = {"id2label": {0: "O", 1: "PLACE", 2: "NAME"}, "label2id": {"O": 0, "PLACE": 1, "NAME": 2}}
    tagger = saved(tmp_path / "ner", tokenizer, "Roberta", "AutoModelForTokenClassification", **labels)
    assert tagger.head == "token-classification"
    found = attribute_tokens(tagger, "The bank is big", "ig", n_steps=5)
    assert found.explained.startswith("label of “")
    bank = attribute_tokens(tagger, "The bank is big", "gradient", word="bank", target=2)
    assert bank.explained == "label of “bank”: NAME"
    with lent(tagger), torch.no_grad():
        logits = tagger(**padded(tagger, encode(tagger, "The bank is big"))).logits
    [encoded] = encode(tagger, "The bank is big")
    assert bank.value == pytest.approx(float(logits[0, token_at(encoded, "bank")[0], 2]), abs=1e-5)

    reader = saved(tmp_path / "qa", tokenizer, "Roberta", "AutoModelForQuestionAnswering")
    [pair] = encode(reader, "Who slept?", "Two bats slept in a cave.")
    found = attribute_tokens(reader, pair, "occlusion")
    assert found.explained.startswith("log P(start) + log P(end) of “")
    with pytest.raises(UserError, match="give the passage as `pair`"):
        attribute_tokens(reader, "Who slept?", "occlusion")


def test_a_head_that_is_not_used_is_told(tmp_path, tokenizer):
    bert = saved(tmp_path, tokenizer, "Roberta", "AutoModelForMultipleChoice")
    assert "RobertaForMultipleChoice" in encode(bert, "Two bats")[0].notices[0]


@pytest.mark.parametrize("broken", ["pointer", "empty", "cut off", "config"])
def test_broken_folders_are_told_in_a_sentence(tmp_path, tokenizer, broken):
    saved(tmp_path, tokenizer, "Roberta", "AutoModelForMaskedLM")
    weights = tmp_path / "model.safetensors"
    content = {
        "pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n",
        "empty": b"",
        "cut off": weights.read_bytes()[: weights.stat().st_size // 2],
        "config": weights.read_bytes(),
    }[broken]
    weights.write_bytes(content)
    if broken == "config":
        config = tmp_path / "config.json"
        config.write_bytes(config.read_bytes()[:50])
    told = {"pointer": "git lfs pull", "empty": "is empty"}.get(broken, "may be cut off")
    with pytest.raises(UserError, match=told) as caught:
        load_bert(tmp_path)
    assert "\n" not in str(caught.value)


def test_letters_and_nothing_are_told():
    bert = load_bert("built-in")
    assert "has no piece of Wuhannese" in encode(bert, "The Wuhannese bank")[0].notices[0]
    for sentences in (["\u200b"], ["a", "\u200b"]):
        with pytest.raises(UserError, match="in which built-in reads none"):
            encode(bert, *sentences)


def test_what_is_cut_off_of_a_pair_is_counted(roberta):
    question, passage = "Who slept in the cave?", "bats " * 80
    whole = sum(len(roberta.tokenizer(text, add_special_tokens=False)["input_ids"]) for text in (question, passage))
    with pytest.warns(UserWarning, match="were cut off"):
        [encoded] = encode(roberta, question, passage)
    kept = len(encoded) - sum(encoded.special)
    assert f"the last {whole - kept} were cut off" in encoded.notices[0]


@pytest.mark.parametrize("occurrence", [0, -1, 3])
def test_there_is_no_place_zero(occurrence):
    [encoded] = encode(load_bert("built-in"), "bank bank")
    with pytest.raises(UserError, match=r"`occurrence` must be between 1 and 2 .* got"):
        token_at(encoded, "bank", occurrence)
