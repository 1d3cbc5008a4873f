"""The sets that measure a BERT are sound: each asks what it says, and no word is in both parts."""

import csv
import json
from collections import Counter, defaultdict
from pathlib import Path

FOLDER = Path(__file__).parent / "measured"


def table(name: str) -> list[dict[str, str]]:
    with (FOLDER / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


SENSES, MASKS = table("senses.tsv"), table("masks.tsv")
PASSAGES = [json.loads(line) for line in (FOLDER / "passages.jsonl").read_text(encoding="utf-8").splitlines()]
SAME = {form: row["traditional"] for row in table("forms.tsv") for form in row.values()}


def test_each_sense_has_six_sentences_with_its_word_once():
    for row in SENSES:
        words = [word.strip(".,?!").lower() for word in row["sentence"].split()]
        times = row["sentence"].count(row["word"]) if row["lang"] == "zh" else words.count(row["word"])
        assert times == 1, row
    counts = Counter((SAME.get(row["word"], row["word"]), row["sense"]) for row in SENSES)
    assert set(counts.values()) == {6}


def test_a_word_is_chosen_by_or_reported_on_and_never_both():
    parts = defaultdict(set)
    for row in SENSES:
        parts[SAME.get(row["word"], row["word"])].add(row["part"])
    assert all(len(part) == 1 for part in parts.values())
    assert len([part for part in parts.values() if part == {"report"}]) >= len(parts) // 3


def test_each_blank_has_answers_of_its_kind():
    for row in MASKS:
        answers = [*row["right"].split("|"), *row["sensible"].split("|")]
        assert row["sentence"].count("[MASK]") == 1
        assert len(set(answers)) == len(answers)
        assert all(len(a) == 1 if row["lang"] == "zh" else a and " " not in a for a in answers), row


def test_each_answer_stands_in_its_passage():
    assert all(answer in row["passage"] for row in PASSAGES for answer in row["answers"])


def test_no_sentence_stands_twice():
    sentences = [row["sentence"] for row in (*SENSES, *MASKS)] + [row["passage"] for row in PASSAGES]
    assert len(set(sentences)) == len(sentences)
