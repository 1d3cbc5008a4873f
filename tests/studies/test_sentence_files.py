"""Files of sentences as people have them, and samples so small that little can be said of them."""

import json

import numpy as np
import pytest

from hw_xai.cli import main
from hw_xai.errors import UserError
from hw_xai.language.bert import load_bert
from hw_xai.studies.samples import Sample, read_passage
from hw_xai.studies.senses import study_senses
from hw_xai.studies.sentence_files import labelled_sentences

ROWS = [("I put money in the bank.", "money"), ("The bank, of the river.", "river")]
FILES = {
    "plain.tsv": "I put money in the bank.\tmoney\nThe bank, of the river.\triver\n",
    "header.tsv": "sentence\tsense\nI put money in the bank.\tmoney\n\nThe bank, of the river.\triver\n",
    "swapped.tsv": "label\ttext\nmoney\tI put money in the bank.\nriver\tThe bank, of the river.\n",
    "comma.csv": 'Sentence,Sense\nI put money in the bank.,money\n"The bank, of the river.",river\n',
    "semicolon.csv": "I put money in the bank.;money\nThe bank, of the river.;river\n",
    "pairs.json": json.dumps(ROWS),
    "objects.json": json.dumps([{"text": text, "label": sense} for text, sense in ROWS]),
    "wrapped.json": json.dumps({"data": [{"sentence": text, "sense": sense} for text, sense in ROWS]}),
    "by_sense.json": json.dumps({"money": [ROWS[0][0]], "river": [ROWS[1][0]]}),
    "lines.jsonl": "".join(json.dumps({"sentence": text, "sense": sense}) + "\n" for text, sense in ROWS),
}


@pytest.mark.parametrize("name", FILES)
def test_every_kind_of_file_gives_the_same_sentences(tmp_path, name):
    (tmp_path / name).write_text("\ufeff" + FILES[name] if name.endswith("csv") else FILES[name], encoding="utf-8")
    assert labelled_sentences(tmp_path / name) == ROWS


@pytest.mark.parametrize(
    ("name", "content", "part"),
    [
        ("a.json", "{", "line 1 is not"),
        ("a.json", "[1]", 'such as {"sentence"'),
        ("a.csv", "sense,sentence\nmoney,\n", "row 2 has none"),
    ],
)
def test_what_is_no_sentence_is_told(tmp_path, name, content, part):
    (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match=part):
        labelled_sentences(tmp_path / name)


def sample(n_money: int, n_river: int) -> Sample:
    money = [f"I put {i + 2} dollars in the bank." for i in range(n_money)]
    river = [f"We sat on the bank of river {i + 2}." for i in range(n_river)]
    texts = [*money, *river]
    spans = [(text.index("bank"), text.index("bank") + 4) for text in texts]
    return Sample("bank", texts, spans, ["money"] * n_money + ["river"] * n_river)


@pytest.mark.parametrize(("sizes", "k"), [((2, 2), 1), ((3, 3), 2), ((2, 9), 1), ((6, 7), 5)])
def test_neighbours_are_fewer_than_the_smallest_sense(sizes, k):
    report = study_senses(load_bert("built-in"), sample(*sizes)).report
    assert report.k == k
    best = report.model.nearest[0].argmax()
    if report.model.nearest[0, best] == 1 and k == 1:
        assert report.model.knn[0, best] == 1


@pytest.mark.parametrize("method", ["tsne", "umap"])
@pytest.mark.parametrize("n", [2, 3])
def test_too_few_sentences_for_a_method_are_drawn_by_pca_and_told(method, n):
    study = study_senses(load_bert("built-in"), sample(1, n - 1), method)
    assert all(np.isfinite(plane.points).all() for plane in study.planes)
    drawn = "tsne" if (method, n) == ("tsne", 3) else "pca"
    assert study.method == drawn
    assert any("drawn by PCA" in notice for notice in study.notices) == (drawn == "pca")


def test_two_sentences_of_a_file_have_a_page(tmp_path):
    (tmp_path / "two.txt").write_text("I put money in the bank.\nThe bank of the river.\n", encoding="utf-8")
    arguments = ["embed", "--sentences", tmp_path / "two.txt", "--word", "bank", "--out", tmp_path / "out"]
    assert main([str(argument) for argument in arguments]) == 0
    assert (tmp_path / "out" / "index.html").exists()


def test_a_passage_of_ones_own(tmp_path):
    told = {"question": "Who slept?", "context": "Two bats slept.", "answers": {"text": ["Two bats"]}}
    (tmp_path / "a.json").write_text(json.dumps(told), encoding="utf-8")
    found = read_passage(f"passage:{tmp_path / 'a.json'}")
    assert (found.question, found.answer, found.start) == ("Who slept?", "Two bats", 0)
    (tmp_path / "a.txt").write_text("Who slept?\nTwo bats slept.\n", encoding="utf-8")
    assert read_passage(f"passage:{tmp_path / 'a.txt'}").passage == "Two bats slept."
    (tmp_path / "b.json").write_text(json.dumps(told | {"answers": {"text": ["A cat"]}}), encoding="utf-8")
    with pytest.raises(UserError, match="letter by letter"):
        read_passage(f"passage:{tmp_path / 'b.json'}")
