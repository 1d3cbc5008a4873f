"""Training is a function of (weights, step), and what ships keeps what the table of the README promises."""

import socket
from dataclasses import replace

import pytest
import torch

from hw_xai.errors import UserError
from hw_xai.files import shipped
from hw_xai.language import train
from hw_xai.language.bert import load_bert
from hw_xai.language.corpus import reading_examples, reading_passages, training_sentences
from hw_xai.language.masks import fill_mask
from hw_xai.language.reading import answer, exact_match
from hw_xai.language.senses import apple_reports, sense_reports, separation_table, untrained
from hw_xai.language.train import IGNORED, SPECIAL, BertRecipe, MaskedBatches, ReaderRecipe, ReadingBatches

TINY = BertRecipe(sentences=60, layers=1, width=16, heads=2, steps=6, batch_size=4)
TINY_READER = ReaderRecipe(examples=40, steps=4, batch_size=4)


@pytest.fixture(scope="module")
def sentences():
    return list(training_sentences(300, seed=1))


@pytest.fixture(scope="module")
def tokenizer(sentences):
    return train.build_tokenizer(sentences)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return train.train_bert(TINY, tmp_path_factory.mktemp("bert"), progress=False)


def weights(folder):
    return load_bert(folder).model.state_dict()


def assert_equal_weights(one, other):
    torch.testing.assert_close(weights(one), weights(other), atol=0, rtol=0)


# ---- tokenizer and batches ----


def test_tokenizer_knows_characters_words_and_letters(tokenizer):
    assert tuple(tokenizer.convert_ids_to_tokens(range(len(SPECIAL)))) == SPECIAL
    assert tokenizer.tokenize("The APPLE，蘋果") == ["the", "apple", "，", "蘋", "果"]
    spelled = tokenizer.tokenize("Xyz7@")
    assert spelled == ["x", "##y", "##z", "##7", "@"]


def test_masks(sentences, tokenizer):
    batches = MaskedBatches(sentences, tokenizer, replace(TINY, batch_size=64))
    drawn = [batches(step) for step in range(30)]
    asked = torch.cat([(b["labels"] != IGNORED).flatten() for b in drawn])
    ids = torch.cat([torch.where(b["labels"] != IGNORED, b["labels"], b["input_ids"]).flatten() for b in drawn])
    assert not asked[ids < len(SPECIAL)].any()
    shown = torch.cat([b["input_ids"].flatten() for b in drawn])[asked]
    assert (shown == tokenizer.mask_token_id).all()
    counts = ids.bincount(minlength=len(tokenizer))
    rare, common = (counts > 0) & (counts < 30), counts > 300
    assert asked[rare[ids]].float().mean() > 1.3 * asked[common[ids] & (ids >= len(SPECIAL))].float().mean()
    for b in drawn:
        assert torch.equal(b["attention_mask"], (b["input_ids"] != 0).long())
    paired = [b for b in drawn if b["token_type_ids"].any()]
    assert 0 < len(paired) < 15
    again = batches(3)
    assert all(torch.equal(again[key], drawn[3][key]) for key in again)


def test_a_clause_that_is_not_shown_is_what_its_sentence_lacks(sentences, tokenizer):
    bare = replace(TINY, batch_size=64, masked=0.001, masked_rare=0.001)
    batches = MaskedBatches(sentences, tokenizer, replace(bare, cut=1.0))
    whole = {tuple(ids.tolist()) for ids in batches.sentences}
    single = next(b for b in map(batches, range(10)) if not b["token_type_ids"].any())
    n_cut = 0
    rows = torch.where(single["labels"] == IGNORED, single["input_ids"], single["labels"])  # as if none were masked
    for row, rest in zip(rows, single["unseen"], strict=True):
        shown, unseen = (tuple(part[part >= len(SPECIAL)].tolist()) for part in (row, rest))
        if unseen:
            n_cut += 1
            sides = ((shown, unseen), (unseen, shown))
            assert any((*a, mark, *b) in whole for a, b in sides for mark in batches.breaks.tolist())
        else:
            assert shown in whole
    assert n_cut >= 16
    assert MaskedBatches(sentences, tokenizer, replace(bare, cut=0.0))(0)["unseen"].shape == (64, 0)


def test_answers_are_where_the_labels_say(tokenizer):
    examples = list(reading_examples(30))
    batch = ReadingBatches(examples, tokenizer, replace(TINY_READER, batch_size=30))(0)
    texts = {tuple(tokenizer(e.question, e.passage, truncation=True)["input_ids"]): e.answer for e in examples}
    for ids, first, last in zip(batch["input_ids"], batch["start_positions"], batch["end_positions"], strict=True):
        told = texts[tuple(ids[ids != 0].tolist())]
        assert ids[first : last + 1].tolist() == tokenizer(told, add_special_tokens=False)["input_ids"]


# ---- the loop ----


def test_a_killed_run_resumes_to_the_same_weights(tmp_path, monkeypatch, trained):
    whole = train.MaskedBatches.__call__

    def killed(batches, step):
        if step == 5:
            raise KeyboardInterrupt
        return whole(batches, step)

    monkeypatch.setattr(train, "CHECKPOINT_EVERY", 2)
    with monkeypatch.context() as patch:
        patch.setattr(train.MaskedBatches, "__call__", killed)
        with pytest.raises(KeyboardInterrupt):
            train.train_bert(TINY, tmp_path, progress=False)
    assert_equal_weights(train.train_bert(TINY, tmp_path, progress=False), trained)
    with pytest.raises(UserError, match="another recipe .lr was 0.*choose another `out`"):
        train.train_bert(replace(TINY, lr=1.0), tmp_path, progress=False)


def test_the_seed_alone_decides(tmp_path, trained):
    torch.manual_seed(5)
    state = torch.get_rng_state()
    assert_equal_weights(train.train_bert(TINY, tmp_path / "same", progress=False), trained)
    assert torch.equal(torch.get_rng_state(), state)
    other = weights(train.train_bert(replace(TINY, seed=1), tmp_path / "other", progress=False))
    assert any(not torch.equal(other[key], value) for key, value in weights(trained).items() if key in other)


def test_the_reader_starts_from_the_model(tmp_path, trained):
    folder = train.train_reader(TINY_READER, trained, tmp_path, progress=False)
    reader = load_bert(folder)
    assert reader.head == "question-answering"
    example = reading_passages()[0]
    passage = example.passage[:60]  # the tiny vocabulary knows letters only
    found = answer(reader, "Who?", passage)
    assert found.text == passage[found.start : found.end]
    assert 0 <= found.probability <= 1


def test_a_reader_starts_from_no_other_family(tmp_path, trained):
    from transformers import ElectraConfig, ElectraForMaskedLM

    tokenizer = load_bert(trained).tokenizer
    shape = {"embedding_size": 16, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = ElectraConfig(vocab_size=len(tokenizer), intermediate_size=32, **shape)
    ElectraForMaskedLM(config).save_pretrained(tmp_path / "other")
    tokenizer.save_pretrained(tmp_path / "other")
    with pytest.raises(UserError, match="`pretrained` must be a BERT, but .*other is a ElectraModel"):
        train.train_reader(TINY_READER, tmp_path / "other", tmp_path / "out", progress=False)


def test_transformers_alone_reads_the_folder(trained):
    from transformers import AutoModelForMaskedLM, AutoTokenizer

    model = AutoModelForMaskedLM.from_pretrained(trained, local_files_only=True)
    assert model.dtype == torch.float32
    assert len(AutoTokenizer.from_pretrained(trained, local_files_only=True)) == model.config.vocab_size


# ---- what ships ----


@pytest.fixture(scope="module")
def built_in():
    def refuse(*_, **__):
        raise OSError("no network in this test")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", refuse)
        yield load_bert()


def test_it_is_small():
    assert sum(file.stat().st_size for file in shipped("bert-built-in").iterdir()) < 6_000_000


def test_it_fills_in_sensible_words(built_in):
    for sentence, expected in [
        ("今天買了[MASK]果來吃", "蘋"),
        ("媽媽煮了一鍋[MASK]米粥", "小"),
        ("如[MASK]下雨，我們就不去爬山", "果"),
        ("The [MASK] flew out of the cave at night.", "bat"),
        ("We sat on the [MASK] of the river.", "bank"),
        ("He put his money in the [MASK].", "bank"),
        ("The player hit the ball with the [MASK].", "bat"),
    ]:
        [prediction] = fill_mask(built_in, sentence)
        assert expected in [token for token, _ in prediction.top(3)], sentence


def test_it_tells_senses_apart(built_in):
    """Held-out sentences against the train split, mean over the words, with the untrained control beside it."""
    control = untrained(built_in)
    first, *_, last = separation_table(sense_reports(built_in, control), apple_reports(built_in, control))
    assert first["knn"] <= 0.55
    assert last["knn"] >= 0.91
    assert last["knn"] >= last["control_knn"] + 0.35
    assert last["silhouette"] >= 0.32 > 0.05 > abs(last["control_silhouette"])
    assert min(last["apple_first"], last["apple_second"]) >= 0.9  # 1-NN of the ten sentences


def test_it_reads():
    """Generated passages whose question and answer were never in training."""
    reader = load_bert("built-in-reader")
    assert exact_match(reader, reading_examples(100, seed=1, held_out=True)) >= 0.78
