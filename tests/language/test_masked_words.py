"""Training on any text: files are read or refused, the vocabulary covers them, and a killed run resumes."""

import json
import zipfile
from dataclasses import replace

import pytest
import torch

from hw_xai.errors import UserError
from hw_xai.language import masked_words
from hw_xai.language.bert import load_bert
from hw_xai.language.corpus import APPLE_SENTENCES, training_sentences
from hw_xai.language.masked_words import MaskedBatches, one_masked, ordinary, tokenized, train_masked_words
from hw_xai.language.text import (
    SPECIAL,
    Sentence,
    build_wordpiece,
    language_of,
    read_corpora,
    read_questions,
    without_runs,
)
from hw_xai.training.recipe import MaskedWordsRecipe

TINY = MaskedWordsRecipe(
    start="nothing", layers=(0,), vocabulary=4000, steps=8, warmup=2, decay=2, batch_size=4, max_length=20, generated=0
)


@pytest.fixture(scope="module")
def sentences():
    return [Sentence(language_of(text), "ours", text) for text in training_sentences(2000, seed=1)]


@pytest.fixture(scope="module")
def corpus(sentences, tmp_path_factory):
    file = tmp_path_factory.mktemp("text") / "ours.txt"
    file.write_text("\n".join(s.text for s in sentences), encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def tokenizer(sentences):
    return build_wordpiece(sentences, 3000, max_length=192, keep={"kiwi", "饕"})


@pytest.fixture(scope="module")
def trained(corpus, tmp_path_factory):
    return train_masked_words(TINY, [corpus], tmp_path_factory.mktemp("run"), progress=False)


def assert_equal_weights(one, other):
    states = [load_bert(folder).model.state_dict() for folder in (one, other)]
    torch.testing.assert_close(*states, atol=0, rtol=0)


# ---- files ----


def test_tables_plain_text_and_archives_are_read_once_each(tmp_path):
    table = "lang\tsource\tsentence\nen\ttatoeba\tA cat sleeps.\nzh\twikipedia-zh\t貓在睡覺。\n"
    (tmp_path / "a.tsv").write_text(table, encoding="utf-8")
    (tmp_path / "b.txt").write_text("A cat sleeps.\n\n天黑了。\n", encoding="utf-8")
    with zipfile.ZipFile(tmp_path / "c.zip", "w") as archive:
        archive.writestr("more.txt", "\ufeffIt rains.")
        archive.writestr("tagged.tsv", "lang\tsource\tsentence\ttokens\nen\tx\tNo.\tNo/INTJ\n")  # not for training
    found = read_corpora([tmp_path / name for name in ("a.tsv", "b.txt", "c.zip")])
    assert [tuple(s) for s in found] == [
        ("en", "tatoeba", "A cat sleeps."),
        ("zh", "wikipedia-zh", "貓在睡覺。"),
        ("zh", "b", "天黑了。"),
        ("en", "more", "It rains."),
    ]
    assert [s.kind for s in found] == ["everyday", "broad", "everyday", "everyday"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.pdf", b"x", r"must be \.tsv, \.txt or \.zip, got \.pdf"),
        ("a.tsv", b"text\nHello", "must begin with the columns lang, source, sentence"),
        ("a.tsv", b"lang\tsource\tsentence\nfr\tx\tOui.", "line 2: three columns are wanted"),
        ("a.txt", b"\xff\xfe", "must be UTF-8 text, but byte 0 is none"),
        ("a.txt", b"\n \n", "holds no sentence"),
        ("a.zip", b"no archive", "cannot be read"),
    ],
)
def test_a_bad_file_is_one_sentence(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=message):
        read_corpora([tmp_path / name])
    with pytest.raises(UserError, match="no file at"):
        read_corpora([tmp_path / "none.txt"])


def test_questions_take_turns(tmp_path):
    rows = [("它在哪裡？", "在家裡", "家", 1), ("Who?", "It is Ann.", "Ann", 6), ("What?", "A cat.", "cat", 2)]
    names = ("question", "passage", "answer", "start")
    lines = [json.dumps(dict(zip(names, row, strict=True)), ensure_ascii=False) for row in rows[::-1]]
    (tmp_path / "q.jsonl").write_text("\n".join(lines), encoding="utf-8")
    found = read_questions([tmp_path / "q.jsonl"], 10)
    assert [e.answer for e in found] == ["家", "cat", "Ann"]
    assert all(e.passage.startswith(e.answer, e.start) for e in found)
    assert len(read_questions([tmp_path / "q.jsonl"], 2)) == 2
    (tmp_path / "off.jsonl").write_text(lines[0].replace('"start": 2', '"start": 3'), encoding="utf-8")
    with pytest.raises(UserError, match='line 1: "cat" does not stand at 3'):
        read_questions([tmp_path / "off.jsonl"], 10)
    (tmp_path / "odd.jsonl").write_text("[]", encoding="utf-8")
    with pytest.raises(UserError, match="line 1: passage, question, answer and start are wanted"):
        read_questions([tmp_path / "odd.jsonl"], 10)


def test_sentences_that_measure_are_left_out():
    apple = APPLE_SENTENCES[0]
    near = [Sentence("zh", "x", text) for text in (f"媽媽說：{apple}！", "今天买了苹果来吃", "今天天氣很好")]
    assert [s.text for s in without_runs(near, masked_words.measuring_runs())] == ["今天天氣很好"]


# ---- vocabulary ----


def test_the_vocabulary_covers_what_it_was_made_from(sentences, tokenizer):
    assert len(tokenizer) <= 3000
    assert tuple(tokenizer.convert_ids_to_tokens(range(len(SPECIAL)))) == SPECIAL
    ids = tokenizer([s.text for s in sentences], add_special_tokens=False)["input_ids"]
    unknown = sum(row.count(tokenizer.unk_token_id) for row in ids)
    assert unknown <= 0.15 * sum(map(len, ids))  # in so few sentences many a character is rare
    assert tokenizer.tokenize("The KIWI，蘋果苹") == ["the", "kiwi", "，", "蘋", "果", "苹"]
    assert tokenizer.tokenize("饕") == ["饕"]
    assert tokenizer.unk_token not in tokenizer.tokenize("zyxwv qqj 0987")


def test_a_vocabulary_without_room_is_refused(sentences):
    with pytest.raises(UserError, match="has no room for words"):
        build_wordpiece(sentences, 300, max_length=192)


# ---- batches ----


def test_batches_hide_ordinary_tokens_and_hold_about_as_many(sentences, tokenizer):
    text = tokenized(sentences, tokenizer, 20)
    batches = MaskedBatches(text, tokenizer, replace(TINY, batch_size=8))
    drawn = [batches(step) for step in range(64)]
    sizes = []
    for batch in drawn:
        assert (batch["input_ids"][batch["asked"]] == tokenizer.mask_token_id).all()
        assert ordinary(batch["answers"], tokenizer).all()
        whole = batch["input_ids"].clone()
        whole[batch["asked"]] = batch["answers"]
        assert torch.equal(batch["attention_mask"], (whole != tokenizer.pad_token_id).long())
        sizes.append(int(batch["attention_mask"].sum()))
    assert max(sizes) < 2 * min(sizes)
    share = sum(len(b["answers"]) for b in drawn) / sum(sizes)
    assert 0.15 < share < 0.25  # of all tokens, [CLS] and [SEP] among them
    assert all(torch.equal(value, drawn[5][key]) for key, value in batches(5).items())


def test_weights_decide_what_is_drawn(sentences, tokenizer):
    broad = [Sentence("zh", "wikipedia-zh", "維基百科的句子。"), Sentence("en", "squad-1.1", "An encyclopedia.")]
    text = tokenized([*sentences, *broad], tokenizer, 20)
    batches = MaskedBatches(text, tokenizer, replace(TINY, chinese=1.0, broad=0.0))
    rows = torch.tensor([i for batch in batches._drawn(0) for i in batch])
    assert text.chinese[rows].all()
    assert (text.kinds[rows] == 0).all()


def test_sentences_of_our_own_are_the_share_that_was_asked_for(sentences, tokenizer, monkeypatch):
    monkeypatch.setattr(masked_words, "GENERATED_SENTENCES", 500)
    text = tokenized(sentences, tokenizer, 20) + tokenized(masked_words.generated_sentences(3), tokenizer, 20)
    assert len(text) == len(sentences) + 500
    rows = torch.tensor(
        [i for batch in MaskedBatches(text, tokenizer, replace(TINY, generated=0.2))._drawn(0) for i in batch]
    )
    assert (rows >= len(sentences)).float().mean() == pytest.approx(0.2, abs=0.07)
    assert [tokenizer.decode(text.row(i)[1:-1]) for i in (0, len(sentences))] == [
        tokenizer.decode(tokenizer.encode(s.text)[1:-1][:18])
        for s in (sentences[0], masked_words.generated_sentences(3)[0])
    ]


def test_scores_are_those_of_the_whole_model(sentences, trained):
    bert = load_bert(trained)
    batch = MaskedBatches(tokenized(sentences, bert.tokenizer, 20), bert.tokenizer, TINY)(3)
    with torch.no_grad():
        whole = bert.model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
        torch.testing.assert_close(masked_words.scores_of(bert.model, batch), whole[batch["asked"]])


def test_each_sentence_is_asked_for_one_token_of_its_own(sentences, tokenizer, trained):
    model = load_bert(trained).model
    own = load_bert(trained).tokenizer
    whole = one_masked(model, own, sentences[:40])
    assert whole.shape == (40,)
    assert torch.equal(whole, one_masked(model, own, sentences[:40]))


# ---- the run ----


def test_a_killed_run_resumes_to_the_same_weights(tmp_path, monkeypatch, corpus, trained):
    whole = MaskedBatches.__call__

    def killed(batches, step):
        if step == 7:
            raise KeyboardInterrupt
        return whole(batches, step)

    monkeypatch.setattr(masked_words, "CHECKPOINT_EVERY", 2)
    with monkeypatch.context() as patch:
        patch.setattr(MaskedBatches, "__call__", killed)
        with pytest.raises(KeyboardInterrupt):
            train_masked_words(TINY, [corpus], tmp_path, progress=False)
    assert_equal_weights(train_masked_words(TINY, [corpus], tmp_path, progress=False), trained)
    with pytest.raises(UserError, match=r"another recipe .lr was 0.*choose another `out`"):
        train_masked_words(replace(TINY, lr=1.0), [corpus], tmp_path, progress=False)


def test_more_steps_go_on_from_where_the_rate_still_stood(tmp_path, corpus):
    longer = replace(TINY, steps=12)
    train_masked_words(TINY, [corpus], tmp_path / "grown", progress=False)
    grown = train_masked_words(longer, [corpus], tmp_path / "grown", progress=False)
    assert_equal_weights(grown, train_masked_words(longer, [corpus], tmp_path / "once", progress=False))
    with pytest.raises(UserError, match="is at step 10: give `steps` of at least 12"):
        train_masked_words(replace(TINY, steps=9), [corpus], tmp_path / "grown", progress=False)


def test_training_goes_on_from_a_folder(tmp_path, corpus, trained):
    folder = train_masked_words(replace(TINY, start=str(trained), steps=5), [corpus], tmp_path, progress=False)
    assert load_bert(folder).tokenizer.get_vocab() == load_bert(trained).tokenizer.get_vocab()
    assert load_bert(folder).head == "masked-lm"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"masked": 0.0}, "`masked` must be between 0.01 and 0.9, got 0"),
        ({"max_length": 900}, "`max_length` must be between 4 and 192"),
        ({"steps": 3}, "`steps` must be at least `warmup` and `decay` together, 4"),
    ],
)
def test_a_recipe_out_of_bounds(change, message):
    with pytest.raises(UserError, match=message):
        replace(TINY, **change)


def test_the_rate_rises_stays_and_falls():
    recipe = replace(TINY, steps=100, warmup=10, decay=20)
    rates = [recipe.rate(step) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert set(rates[9:80]) == {1.0}
    assert rates[-1] == pytest.approx(1 / 21)
