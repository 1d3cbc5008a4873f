"""hw-xai attend, embed, tokens and bert as their users meet them, on the built-in model or a tiny random one."""

import os
import re
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from hw_xai.cli import main
from hw_xai.cli.commands import demo
from hw_xai.language.bert import load_bert
from hw_xai.language.corpus import sense_sets

NURSE = "The nurse is popular with the children because she is kind."


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    """A folder with a small untrained question-answering model, which reads 160 tokens."""
    from transformers import BertConfig, BertForQuestionAnswering

    folder = tmp_path_factory.mktemp("reader")
    bert = load_bert("built-in")
    small = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    config = BertConfig(vocab_size=len(bert.tokenizer), max_position_embeddings=160, pad_token_id=0, **small)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        BertForQuestionAnswering(config).save_pretrained(folder)
    bert.tokenizer.save_pretrained(folder)
    return folder


def test_attend_writes_one_page_and_pictures(tmp_path, capsys):
    assert main(["attend", NURSE, "--mask", "she", "nurse", "--out", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "she is hidden; then nurse as well:" in out
    assert "→" in out
    html = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "http" not in html.replace("http-equiv", "")
    assert len(html) < 2e6
    with np.load(tmp_path / "attention.npz") as arrays:
        assert arrays["attention_1"].shape[-1] == len(arrays["tokens_1"])
    assert (tmp_path / "heads.csv").read_text(encoding="utf-8-sig").startswith("layer,head,dominant,entropy,share to")
    for name in ("1-all-heads", "1-mean", "1-rollout", "1-relevance", "heads", "entropy"):
        assert (tmp_path / f"{name}.png").stat().st_size > 1000
        assert (tmp_path / f"{name}.svg").stat().st_size > 1000


def test_a_word_may_be_missing_in_one_of_several_sentences_but_not_in_all(tmp_path, capsys, fails):
    arguments = ["attend", "The bank is big.", "The river is long.", "--no-search", "--out", tmp_path, "--mask"]
    assert '"she" is not in' in fails(*arguments, "bank", "she")
    assert not (tmp_path / "index.html").exists()
    assert main([str(argument) for argument in [*arguments, "bank"]]) == 0
    out, err = capsys.readouterr()
    assert "bank is hidden:" in out
    assert '"bank" is not in "The river is long."' in err
    html = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "The bank is big." in html
    assert "The river is long." in html


def test_attend_without_a_masked_word_head(tmp_path, reader):
    arguments = ["attend", "Who is kind?", "--pair", NURSE, "--model", str(reader), "--no-search"]
    assert main([*arguments, "--out", str(tmp_path)]) == 0
    html = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "cannot fill in words" in html
    assert str(reader) not in html  # where a model lies is nobody else's business


def test_a_sentence_that_is_too_long_is_cut_off_with_a_notice(tmp_path, capsys, reader):
    arguments = ["tokens", "she " * 200, "--model", str(reader), "--method", "gradient", "--reference", "she"]
    assert main([*arguments, "--out", str(tmp_path)]) == 0
    assert "reads 160 tokens: the last 42 were cut off" in capsys.readouterr().err
    assert "were cut off" in (tmp_path / "index.html").read_text(encoding="utf-8")


def test_unknown_characters_are_named(tmp_path, capsys):
    assert main(["tokens", "今天買了𠮷來吃", "--method", "occlusion", "--out", str(tmp_path)]) == 0
    assert "does not know 𠮷" in capsys.readouterr().err
    assert "does not know 𠮷" in (tmp_path / "index.html").read_text(encoding="utf-8")


def test_embed_the_ten_sentences(tmp_path, capsys):
    assert main(["embed", "--word", "蘋", "--metric", "euclidean", "--out", str(tmp_path)]) == 0
    assert "untrained control" in capsys.readouterr().out
    html = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "untrained" in html
    assert "trustworthiness" in html
    with np.load(tmp_path / "vectors.npz") as arrays:
        assert arrays["vectors"].shape[:2] == arrays["points"].shape[:2]
        assert len(arrays["sentences"]) == 10
    assert "silhouette" in (tmp_path / "senses.csv").read_text(encoding="utf-8-sig")
    assert "蘋果茶真難喝,fruit" in (tmp_path / "points.csv").read_text(encoding="utf-8-sig")
    for name in ("projection", "similarity-cosine", "similarity-euclidean"):
        assert (tmp_path / f"{name}.png").exists()
        assert (tmp_path / f"{name}.svg").exists()


def test_embed_a_file(tmp_path, fails):
    path = tmp_path / "bank.tsv"
    rows = ["The bank gave her money.\tmoney\nHe sat by the bank of the river.\triver\n"] * 2
    path.write_text("".join(rows) + "The bank by the bank was open.\tmoney\n", encoding="utf-8")
    assert "--occurrence 1" in fails("embed", "--sentences", path, "--word", "bank")
    assert 'Did you mean "bank"?' in fails("embed", "--sentences", path, "--word", "banks")
    assert "--word must say" in fails("embed", "--sentences", path)
    arguments = ["embed", "--sentences", str(path), "--word", "bank", "--occurrence", "2", "--method", "tsne"]
    assert main([*arguments, "--out", str(tmp_path / "out")]) == 0
    assert "money" in (tmp_path / "out" / "index.html").read_text(encoding="utf-8")


def test_embed_without_senses_says_so(tmp_path):
    path = tmp_path / "apple.txt"
    path.write_text("今天買了蘋果來吃\n蘋果茶真難喝\n蘋果的股價又跌了\n", encoding="utf-8")
    assert main(["embed", "--sentences", str(path), "--word", "蘋果", "--out", str(tmp_path)]) == 0
    assert "write the sense of each sentence behind a tab" in (tmp_path / "index.html").read_text(encoding="utf-8")


def test_embed_a_passage(tmp_path, reader):
    arguments = ["embed", "--sentences", "passage:1", "--model", str(reader), "--out", str(tmp_path)]
    assert main(arguments) == 0
    html = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert '"answer"' in html
    assert "1884" in html


def test_the_shipped_reader_shows_where_its_answer_goes(tmp_path):
    assert main(["embed", "--sentences", "passage:1", "--out", str(tmp_path)]) == 0
    html = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "built-in-reader answers" in html
    assert "Do the senses separate?" not in html
    assert (tmp_path / "projection.svg").exists()


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["embed", "--word", "梨"], "compared at 蘋, 果 or 蘋果"),
        (["embed", "--sentences", "built-in:bnak"], 'Did you mean "bank"?'),
        (["embed", "--sentences", "passage:99"], "must name a question from 1 to"),
        (["embed", "--sentences", "nowhere.tsv", "--word", "a"], "there is no file nowhere.tsv"),
        (["embed", "--method", "pac"], "invalid choice"),
        (["embed", "--sentences", "built-in:bank", "--word", "bat"], "--word must be left out"),
        (["embed", "--seed", "-1"], "whole number from 0"),
        (["attend", " "], "must hold at least one word"),
        (["attend", "a b", "--pair", ""], "must hold at least one word"),
        (["attend", NURSE, "--mask", "nurze"], 'Did you mean "nurse"?'),
        (["attend", NURSE, "--mask", "the"], "the#1, the#2"),
        (["attend", NURSE, "--mask", "the#0"], "the number behind # must be between 1 and 2"),
        (["tokens", NURSE, "--word", "the", "--occurrence", "0", "--method", "ig"], "argument --occurrence: must be"),
        (["embed", "--sentences", "ten", "--word", "果", "--occurrence", "0"], "argument --occurrence: must be"),
        (["attend", NURSE, "--mask", "the#3"], "the number behind # must be between 1 and 2"),
        (["tokens", "a b", "--method", "limes"], 'Did you mean "lime"?'),
        (["tokens", "a b", "--method", ","], "needs at least one name"),
        (["tokens", NURSE, "--word", "nurze"], 'Did you mean "nurse"?'),
        (["tokens", NURSE, "--word", "is"], "--occurrence 1"),
        (["tokens", NURSE, "--model", "built-in-reader", "--word", "she"], "give --reference"),
        (["tokens", "a b", "--n-samples", "0"], "whole number of at least 1"),
        (["tokens", "a b", "--seed", "-1"], "whole number from 0"),
        (["tokens", NURSE, "--word", "she", "--method", "lime", "--n-samples", "1"], "--n-samples must be"),
        (["tokens", "\u200b"], "must hold at least one word"),
        (["attend", "\u200b"], "must hold at least one word"),
        (["tokens", NURSE, "--model", "built-in-reader"], "give the passage as --pair"),
        (["attend", "a", "--model", "./nowhere"], "no folder of a model"),
        (["bert"], "train|report"),
    ],
)
def test_a_mistake_is_one_sentence(fails, arguments, part):
    assert part in fails(*arguments)


def test_models_that_are_none_are_told_in_a_sentence(tmp_path, fails, monkeypatch):
    from transformers import T5Config, T5ForConditionalGeneration

    def refuse(*_, **__):
        raise OSError("no network in this test")

    monkeypatch.setattr("socket.create_connection", refuse)
    monkeypatch.setattr("socket.getaddrinfo", refuse)
    (tmp_path / "words").mkdir()
    (tmp_path / "words" / "vocab.txt").write_text("[PAD]\n[UNK]\n", encoding="utf-8")
    other = T5ForConditionalGeneration(T5Config(d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=1, vocab_size=9))
    other.save_pretrained(tmp_path / "t5")
    load_bert("built-in").tokenizer.save_pretrained(tmp_path / "t5")
    for command in (["attend", "a"], ["tokens", "a"], ["embed"]):
        assert "config.json is missing (it holds vocab.txt" in fails(*command, "--model", tmp_path / "words")
        assert "no encoder of BERT shape but t5" in fails(*command, "--model", tmp_path / "t5")
        assert "hf download bert-base-chinese" in fails(*command, "--model", "bert-base-chinese")


def test_one_of_two_places_can_be_hidden(tmp_path, capsys):
    arguments = ["attend", NURSE, "--mask", "the#2", "nurse", "--no-search", "--out", str(tmp_path)]
    assert main(arguments) == 0
    assert "the is hidden; then nurse as well:" in capsys.readouterr().out


def test_tokens_compares_the_methods(tmp_path):
    arguments = ["tokens", NURSE, "--word", "she", "--method", "all", "--n-samples", "20", "--n-steps", "20"]
    assert main([*arguments, "--out", str(tmp_path)]) == 0
    html = (tmp_path / "index.html").read_text(encoding="utf-8")
    for part in ("log P(she)", "Integrated gradients", "LIME", "Occlusion", "the gap is", "Do they agree?"):
        assert part in html
    assert "“she” is hidden: the model reads [MASK]" in html
    assert '">[MASK]</span>' in html
    assert '">she</span>' not in html
    assert (tmp_path / "1-words.png").exists()
    assert "[MASK],Integrated gradients," in (tmp_path / "words.csv").read_text(encoding="utf-8-sig")


def test_tokens_by_similarity(tmp_path):
    arguments = ["tokens", NURSE, "--reference", "The doctor is famous.", "--method", "input-x-gradient"]
    assert main([*arguments, "--out", str(tmp_path)]) == 0
    assert "similarity to the reference" in (tmp_path / "index.html").read_text(encoding="utf-8")


def test_bert_train_and_report(tmp_path, capsys):
    sizes = ["--sentences", "200", "--steps", "2", "--layers", "1", "--width", "16", "--heads", "2"]
    assert main(["bert", "train", *sizes, "--out", str(tmp_path)]) == 0
    assert str(tmp_path / "model") in capsys.readouterr().out
    assert main(["bert", "report", "--model", str(tmp_path / "model")]) == 0
    report = capsys.readouterr().out
    for language in ("English:", "Chinese:"):
        head, columns, *layers = report[report.index(language) :].splitlines()[:4]
        assert "5-NN" in columns
        assert [line.split()[0] for line in layers] == ["0", "1"]
        assert "(" in layers[-1]
    assert len(report[report.index("word by word") :].splitlines()) == 1 + len(sense_sets())


def test_bert_train_on_a_corpus(tmp_path, capsys):
    text = tmp_path / "own.txt"
    text.write_text("The cat sleeps on the mat.\n貓在睡覺。\n" * 3 + "One more.\n" * 2, encoding="utf-8")
    command = ["bert", "train", "--corpus", str(text), "--out", str(tmp_path / "run"), "--start", "built-in"]
    assert main([*command, "--steps", "3", "--warmup", "1", "--decay", "1", "--batch-size", "2"]) == 0
    assert str(tmp_path / "run" / "model") in capsys.readouterr().out
    assert main([*command, "--width", "16"]) == 2
    assert "--width belongs to training without --corpus" in capsys.readouterr().err
    assert main(["bert", "train", "--start", "nothing"]) == 2
    assert "--start belongs to training with --corpus" in capsys.readouterr().err


# ----------------------------------------------------------------------------------------------- the shape of BERT-base


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A folder with random weights of the shape of bert-base-chinese: 12 layers of 12 heads, 768 wide."""
    from transformers import BertConfig, BertForMaskedLM

    folder = tmp_path_factory.mktemp("base")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        BertForMaskedLM(BertConfig(vocab_size=21128, pad_token_id=0)).save_pretrained(folder)
    load_bert("built-in").tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak memory in KiB")
@pytest.mark.parametrize(
    ("arguments", "gigabytes"),
    [
        (["attend", "今天買了蘋果來吃"], 4),
        (["embed", "--word", "蘋"], 2.5),
        (["embed", "--word", "果"], 2.5),
        (["tokens", "今天買了蘋果來吃", "--method", "ig"], 2.5),
    ],
)
def test_bert_base_fits_into_a_laptop(tmp_path, base, arguments, gigabytes):
    command = [sys.executable, "-m", "hw_xai.cli", *arguments, "--model", str(base), "--out", str(tmp_path)]
    process = subprocess.Popen(command)
    _, status, usage = os.wait4(process.pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert (tmp_path / "index.html").stat().st_size < 2e6
    assert usage.ru_maxrss * 1024 < gigabytes * 1e9


# ------------------------------------------------------------------------------------------------------------ the demo


@pytest.fixture
def short_demo(monkeypatch):
    """The demo with as little of its photos as there can be."""
    small = {"N_IMAGES": 1, "METHODS": "saliency", "N_FILTERS": 1, "N_STEPS": 1, "SIZE": (3, 32, 32), "N_SAMPLES": 30}
    for name, value in small.items():
        monkeypatch.setattr(demo, name, value)


def linked(folder) -> list[str]:
    return re.findall(r'<a href="(\w+/index.html)">', (folder / "index.html").read_text(encoding="utf-8"))


@pytest.mark.slow
def test_the_demo_opens_every_page_from_one(tmp_path, short_demo):
    assert main(["demo", "--out", str(tmp_path)]) == 0
    assert linked(tmp_path) == [f"{name}/index.html" for name in demo.BERT_PAGES]
    for page in linked(tmp_path):
        assert "http" not in (tmp_path / page).read_text(encoding="utf-8").replace("http-equiv", "")


def test_an_interrupted_demo_keeps_the_pages_that_are_finished(tmp_path, short_demo, monkeypatch, capsys):
    def attention(bert, sentences, folder, **options):
        folder.mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(folder / "1-all-heads.png")

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("hw_xai.cli.commands.demo.write_attention_page", attention)
    monkeypatch.setattr("hw_xai.cli.commands.demo.write_embedding_page", interrupted)
    assert main(["demo", "--out", str(tmp_path)]) == 130
    assert "what was finished is kept" in capsys.readouterr().err
    assert linked(tmp_path) == ["attention/index.html"]
    assert "What single filters look for" in (tmp_path / "index.html").read_text(encoding="utf-8")
