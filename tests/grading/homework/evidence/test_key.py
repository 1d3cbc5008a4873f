"""The key is computed, clear, and the same for another seed and precision."""

import numpy as np
import pytest
import torch

from grading.homework.evidence import alike, largest, nearest
from grading.homework.evidence.key import MEASURES, compute_key, decided, key_of
from grading.homework.evidence.shipped import Shipped
from grading.homework.questions import load_questions

QUICK = ("Q1", "Q6", "Q7", "Q15", "Q17", "Q22", "Q23", "Q24", "Q25", "Q28", "Q29", "Q30")  # a second or less each


@pytest.fixture(scope="module")
def shipped() -> Shipped:
    return Shipped()


@pytest.fixture(scope="module")
def quick(shipped: Shipped) -> dict[str, frozenset[str]]:
    return key_of(shipped, QUICK)


def test_every_question_is_measured():
    assert list(MEASURES) == list(load_questions())


@pytest.mark.parametrize("other", [Shipped(1), Shipped(0, torch.float64)], ids=["seed", "float64"])
def test_quick_questions_are_stable(other: Shipped, quick: dict[str, frozenset[str]]):
    assert key_of(other, QUICK) == quick


def test_the_table_beside_the_dish_by_hand(shipped: Shipped, quick: dict[str, frozenset[str]]):
    drops = {}
    for option in load_questions()["Q1"].options:
        dish = int(option.removeprefix("dish_"))
        picture = shipped.dishes[dish].clone()
        for channel in picture:
            channel[~shipped.masks[dish, 0]] = 0.5
        with torch.no_grad():
            scores = shipped.model(torch.stack([shipped.dishes[dish], picture]))
        drops[option] = float(scores[0].max() - scores[1, scores[0].argmax()])
    assert quick["Q1"] == {max(drops, key=drops.get)}


def test_the_senses_by_hand(shipped: Shipped, quick: dict[str, frozenset[str]]):
    from hw_xai.language.corpus import APPLE_SECOND, APPLE_SENTENCES

    tokenizer, model = shipped.bert.tokenizer, shipped.bert.model
    vectors = []
    for text, place in zip(APPLE_SENTENCES, APPLE_SECOND, strict=True):
        encoded = tokenizer(text, return_tensors="pt")
        with torch.no_grad():
            states = model(**encoded, output_hidden_states=True).hidden_states
        vectors.append([state[0, encoded.char_to_token(place)].numpy() for state in states])
    for layer, option in ((0, "cosine_second_start"), (-1, "cosine_second_last")):
        rows = np.array([of_sentence[layer] / np.linalg.norm(of_sentence[layer]) for of_sentence in vectors])
        likeness = rows @ rows.T - 9 * np.eye(10)
        kin = sum((likeness[i].argmax() < 5) == (i < 5) for i in range(10))
        assert (kin >= 8) == (option in quick["Q28"])


def test_an_unclear_option_makes_no_key():
    with pytest.raises(ValueError, match="Q1 must be decided clearly, but its option dish_0 lies 0.40"):
        decided("Q1", {"dish_3": -2, "dish_0": 0.4, "dish_8": -2, "dish_2": -2})
    with pytest.raises(ValueError, match="decided clearly"):
        decided("Q1", {"dish_3": -2, "dish_0": float("nan"), "dish_8": -2, "dish_2": -2})
    with pytest.raises(ValueError, match="same options"):
        decided("Q1", {"dish_3": 2})
    with pytest.raises(ValueError, match="one right if single"):
        decided("Q1", {"dish_3": 2, "dish_0": 2, "dish_8": -2, "dish_2": -2})


def test_how_options_are_measured():
    assert largest({"a": 3.0, "b": 1.0}, clear=1) == {"a": 2, "b": -2}
    assert nearest(0.1, {"a": 0, "b": 1}) == pytest.approx({"a": 1.6, "b": -1.6})
    ones = torch.ones(3)
    assert alike(ones, ones) > 1
    assert alike(ones + 1e-5, ones) > 1
    assert alike(1.02 * ones, ones) < -1


@pytest.mark.slow
def test_the_whole_key_is_stable_and_gives_nothing_away():
    key = compute_key()
    questions = load_questions()
    assert sum(len(right) > 1 for right in key.values()) >= 10
    longest = sum(max(q.options, key=lambda o: len(q.options[o].en)) in key[n] for n, q in questions.items())
    assert longest < 15
    for other in (Shipped(1), Shipped(0, torch.float64)):
        assert key_of(other) == key
