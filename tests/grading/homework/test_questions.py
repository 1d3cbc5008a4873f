"""The thirty questions: texts in both languages, letters that follow the variant, points."""

import pytest

from grading.homework.questions import LETTERS, Question, chosen, letters, load_questions
from grading.homework.scoring import complaints, marked, score

QUESTIONS = load_questions()
# a key of our own, so that scoring needs no model: the first option, or the first two
KEY = {name: frozenset(list(q.options)[: 2 if q.multiple else 1]) for name, q in QUESTIONS.items()}


def answers_for(key: dict[str, frozenset[str]], variant: int = 0) -> dict[str, str]:
    return {
        name: "".join(letter for letter, option in letters(QUESTIONS[name], variant).items() if option in right)
        for name, right in key.items()
    }


def test_there_are_thirty_worth_ten_points():
    assert list(QUESTIONS) == [f"Q{n}" for n in range(1, 31)]
    assert sum(question.points for question in QUESTIONS.values()) == pytest.approx(10)


@pytest.mark.parametrize("question", QUESTIONS.values(), ids=lambda q: q.name)
def test_is_complete_in_both_languages(question: Question):
    assert 3 <= len(question.options) <= 5
    for text in (question.text, *question.options.values()):
        assert text.en.strip()
        assert text.zh.strip()
    for language in ("en", "zh"):
        assert len({getattr(option, language) for option in question.options.values()}) == len(question.options)
    assert any("\u4e00" <= character <= "\u9fff" for character in question.text.zh)


@pytest.mark.parametrize("variant", [0, 1, 77])
def test_letters_and_names_go_round(variant: int):
    for question in QUESTIONS.values():
        shown = letters(question, variant)
        assert sorted(shown.values()) == sorted(question.options)
        assert list(shown) == list(LETTERS[: len(shown)])
        assert chosen(question, list(shown), variant) == frozenset(question.options)
        for letter, option in shown.items():
            assert chosen(question, letter.lower(), variant) == {option}


def test_variants_differ():
    orders = [tuple(letters(QUESTIONS["Q1"], variant).values()) for variant in range(20)]
    assert len(set(orders)) > 5


@pytest.mark.parametrize("variant", [0, 5])
@pytest.mark.parametrize("partial", [False, True])
def test_right_answers_are_worth_ten(variant: int, partial: bool):
    points = score(answers_for(KEY, variant), KEY, variant, partial)
    assert sum(points.values()) == pytest.approx(10)


@pytest.mark.parametrize(
    ("answer", "course", "partial"),
    [("AB", 0.3, 0.3), ("b, a", 0.3, 0.3), ("A", 0, 0.15), ("ABC", 0, 0.15), ("AC", 0, 0), ("CD", 0, 0), ("", 0, 0)],
)
def test_points_of_a_multiple_choice(answer: str, course: float, partial: float):
    assert len(QUESTIONS["Q2"].options) == 4
    assert QUESTIONS["Q2"].multiple
    assert score({"Q2": answer}, KEY)["Q2"] == pytest.approx(course)
    assert score({"Q2": answer}, KEY, partial=True)["Q2"] == pytest.approx(partial)


@pytest.mark.parametrize("variant", [0, 5])
def test_what_was_chosen_has_the_names_of_the_options(variant: int):
    shown = letters(QUESTIONS["Q2"], variant)
    found = marked({"Q1": 7, "Q2": "CA", "Q3": "AB" if not QUESTIONS["Q3"].multiple else "Z"}, variant)
    assert found == {"Q2": tuple(sorted((shown["A"], shown["C"])))}


def test_a_single_choice_is_not_shared():
    assert score({"Q1": "B"}, KEY, partial=True)["Q1"] == 0


@pytest.mark.parametrize(
    "answer", [None, 3, {"A": 1}, [1, 2], ["A", None], "Z", "A" * 1000, b"A", "甲", True, " ", ",", float("nan")]
)
def test_a_malformed_answer_gets_a_sentence(answer: object):
    found = complaints({**answers_for(KEY), "Q2": answer})
    assert list(found) == ["Q2"]
    assert found["Q2"].en.startswith("Q2: ")
    assert found["Q2"].zh.startswith("Q2：")
    assert score({"Q2": answer}, KEY, partial=True)["Q2"] == 0


@pytest.mark.parametrize("answers", [None, "AAAA", [], 7])
def test_answers_that_are_no_dict_get_a_sentence_each(answers: object):
    assert len(complaints(answers)) == 30
    assert sum(score(answers, KEY).values()) == 0


def test_two_letters_are_no_single_choice():
    assert list(complaints({**answers_for(KEY), "Q1": "AB"})) == ["Q1"]


@pytest.mark.parametrize(
    "written",
    ["AC", "a, c", "A，C", "A、C", "ＡＣ", ["A", "C"], ("C", "A"), {"A", "C"}, "A;C", "A / C", "[A][C]", "ａ　ｃ"],
)
def test_an_answer_is_read_whatever_keyboard_wrote_it(written):
    question = next(q for q in load_questions().values() if q.multiple)
    name = question.name
    assert marked({name: written})[name] == tuple(sorted(chosen(question, "AC")))


@pytest.mark.parametrize("written", ["A and C", "A或C", "AZ", "1"])
def test_other_signs_are_told_and_not_guessed(written):
    name = next(q.name for q in load_questions().values() if q.multiple)
    assert "can be chosen" in complaints({name: written})[name].en
