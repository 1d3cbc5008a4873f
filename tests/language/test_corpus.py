"""The shipped sentences are what they claim to be, and what is generated from them never contains what measures it."""

from collections import Counter, defaultdict
from difflib import SequenceMatcher
from itertools import combinations, islice
from random import Random
from statistics import mean

import pytest

from hw_xai.language import corpus
from hw_xai.language.corpus import (
    APPLE_FIRST,
    APPLE_SECOND,
    APPLE_SENSES,
    APPLE_SENTENCES,
    TAGS,
    pieces,
    pronoun_sentences,
    reading_examples,
    reading_passages,
    search_corpus,
    sense_sentences,
    sense_sets,
    simplified,
    training_sentences,
)
from hw_xai.language.grammar import expand, read_slots

SENSES = [s for sentences in sense_sets().values() for s in sentences]
HELD_OUT = [s for s in SENSES if s.split == "held-out"]


@pytest.fixture(scope="module")
def training():
    return list(training_sentences(20_000, seed=0))


def runs(text, size):
    words = pieces(text)
    return {tuple(words[i : i + size]) for i in range(len(words) - size + 1)}


def relative(sentence):
    return sentence.start / (len(sentence.text) - len(sentence.word))


# ---- what is read ----


def test_the_ten_sentences_have_both_characters_where_the_constants_say():
    for sentence, first, second in zip(APPLE_SENTENCES, APPLE_FIRST, APPLE_SECOND, strict=True):
        assert (sentence[first], sentence[second]) == ("蘋", "果")
    assert Counter(APPLE_SENSES) == {"fruit": 5, "company": 5}


def test_every_sense_has_twelve_sentences_to_train_and_twelve_held_out():
    counts = Counter((s.language, s.word, s.sense, s.split) for s in SENSES)
    assert set(counts.values()) == {12}
    assert len(counts) == 2 * 22
    assert {s.word for s in SENSES} == {"蘋果", "苹果", "小米", "果", "bank", "apple", "python", "mouse", "bat"}


def test_the_span_of_every_sense_sentence_is_its_word():
    for s in SENSES:
        assert s.text[s.start : s.start + len(s.word)].lower() == s.word, s
        assert s.text.lower().count(s.word) == 1, s


def test_sense_sentences_filters_by_language_and_split():
    found = sense_sentences("小米", language="zh-Hans", split="held-out")
    assert len(found) == 24
    assert {(s.language, s.split) for s in found} == {("zh-Hans", "held-out")}


def test_no_sense_sentence_is_a_copy_of_another_or_of_the_ten():
    texts = [s.text for s in SENSES]
    assert len({tuple(pieces(text)) for text in texts}) == len(texts)
    by_word = defaultdict(list)
    for s in SENSES:
        by_word[s.word].append(s.text)
    by_word["蘋果"] += APPLE_SENTENCES
    by_word["苹果"] += map(simplified, APPLE_SENTENCES)
    for texts in by_word.values():
        for a, b in combinations(texts, 2):
            assert SequenceMatcher(None, pieces(a), pieces(b), autojunk=False).ratio() < 0.8, (a, b)


def test_the_position_of_the_word_does_not_give_its_sense_away():
    positions = defaultdict(lambda: defaultdict(list))
    for s in SENSES:
        positions[s.language, s.word][s.sense].append(relative(s))
    for word, senses in positions.items():
        means = [mean(p) for p in senses.values()]
        assert max(means) - min(means) < 0.15, (word, means)


def test_each_script_is_written_in_its_own_characters():
    table = corpus._toml("clauses")["simplified"]
    only_simplified = set("苹买东车门们见说话电脑机专视发软鸡鱼鸟马贵钱书园实际时间学习医")
    only_traditional = set(table["traditional"])
    texts = [(s.language, s.text) for s in [*SENSES, *pronoun_sentences(), *search_corpus()]]
    for language, text in texts:
        if language == "zh-Hant":
            assert not only_simplified & set(text), text
        if language == "zh-Hans":
            assert not only_traditional & set(text), text
    assert simplified("蘋果發布手機") == "苹果发布手机"
    assert len(table["traditional"]) == len(table["simplified"])


def test_pronouns_and_their_antecedents_stand_where_the_spans_say():
    sentences = pronoun_sentences()
    assert len(sentences) >= 40
    for s in sentences:
        assert s.text[s.antecedent_start :].startswith(s.antecedent)
        assert s.text[s.pronoun_start :].startswith(s.pronoun)
        assert s.pronoun in ("he", "she", "it", "they", "him", "他", "她", "它", "牠", "他們")
        assert not set("[]{}") & set(s.text)


def test_the_three_passages_hold_every_answer():
    examples = reading_passages()
    assert len({e.passage for e in examples}) == 3
    for e in examples:
        assert e.passage[e.start : e.start + len(e.answer)] == e.answer


# ---- what is generated ----


def test_search_corpus_is_large_tagged_and_reproducible():
    found = search_corpus(seed=0)
    assert Counter(s.language for s in found) == {"en": 900, "zh-Hant": 900}
    assert len({s.text for s in found}) == len(found)
    for s in found:
        assert len(s.words) == len(s.tags)
        assert set(s.tags) <= TAGS, s
        assert not any("/" in word or "{" in word for word in s.words), s
    search_corpus.cache_clear()
    assert search_corpus(seed=0) == found
    assert search_corpus(seed=1) != found


def test_search_corpus_has_reasons_with_a_pronoun_in_both_languages():
    found = search_corpus()
    assert sum("because she is" in s.text or "because he is" in s.text for s in found) >= 15
    assert sum("因為她" in s.text or "因為他" in s.text for s in found) >= 15


@pytest.mark.parametrize("language", ["en", "zh-Hant"])
def test_every_pattern_and_clause_can_be_filled(language):
    rng = Random(0)
    for pattern in corpus._patterns(language):
        tokens = expand(pattern, corpus._slots("tagged", language), rng).split()
        assert all(token.rpartition("/")[2] in TAGS for token in tokens), pattern
    for lang, word, sense in corpus._senses():
        if lang == language:
            for clause in corpus._toml("clauses")[lang][word][sense]["full"]:
                assert word in expand(clause, corpus._slots("clauses", lang), rng).lower(), clause


def test_training_sentences_depend_on_the_seed_alone(training):
    assert list(training_sentences(200, seed=0)) == training[:200]
    assert list(training_sentences(200, seed=1)) != training[:200]
    assert len(set(training)) > 0.6 * len(training)


def test_training_never_contains_what_measures_it(training):
    ten = set().union(*(runs(text, 6) for text in APPLE_SENTENCES))
    held_out = {tuple(pieces(s.text)) for s in [*HELD_OUT, *pronoun_sentences()]}
    held_out_runs = set().union(*(runs(s.text, 6) for s in HELD_OUT))
    for text in training:
        assert not runs(text, 6) & (ten | held_out_runs), text
        assert tuple(pieces(text)) not in held_out, text
    together = "\n".join(training)
    assert not any(sentence in together for sentence in APPLE_SENTENCES)


def test_training_knows_the_pieces_of_what_measures_it_and_not_many_more(training):
    known = Counter(piece for text in training for piece in pieces(text))
    measures = [*APPLE_SENTENCES, *(s.text for s in [*HELD_OUT, *pronoun_sentences(), *search_corpus()])]
    measures += [text for e in reading_passages() for text in (e.passage, e.question)]
    wanted = {piece for text in measures for piece in pieces(text)}
    assert wanted <= known.keys()
    assert len(known) < 2200


def test_training_holds_the_senses_at_like_positions():
    rng = Random(0)
    positions = defaultdict(lambda: defaultdict(list))
    for language, word, sense in corpus._senses():
        for _ in range(300):
            clauses = [corpus._clause(language, word, sense, "full", rng)]
            if side := rng.randrange(3):
                clauses.insert(side - 1, corpus._clause(language, word, sense, "context", rng))
            text = corpus._joined(clauses, language, rng).lower()
            positions[language, word][sense].append(text.index(word) / len(text))
    for word, senses in positions.items():
        means = [mean(p) for p in senses.values()]
        assert max(means) - min(means) < 0.15, (word, {s: round(mean(p), 2) for s, p in senses.items()})


def test_reading_examples_hold_their_answers_and_split_for_good():
    train, held_out = (list(reading_examples(2000, seed=3, held_out=flag)) for flag in (False, True))
    for e in train + held_out:
        assert e.passage[e.start : e.start + len(e.answer)] == e.answer, e
    assert {e.question.split()[0] for e in train} == {"Who", "When", "Where", "What"}
    pairs = [{(e.question, e.answer) for e in part} for part in (train, held_out)]
    assert not pairs[0] & pairs[1]
    assert not pairs[0] & {(e.question, e.answer) for e in reading_passages()}
    assert list(islice(reading_examples(9, seed=3), 5)) == train[:5]


def test_expand_agrees_in_gender_uses_each_value_once_and_writes_an():
    slots = read_slots({"he_f": "she", "he_m": "he", "his_f": "her", "his_m": "his", "x": "owl fox", "y": ["a {x}"]})
    for seed in range(20):
        words = expand("{he} saw {y} and a {x} with {his} eyes", slots, Random(seed)).split()
        assert (words[0], words[-2]) in {("she", "her"), ("he", "his")}
        assert {words[3], words[6]} == {"owl", "fox"}
        assert [words[2], words[5]] == [{"owl": "an", "fox": "a"}[words[i]] for i in (3, 6)]


def test_read_slots_tags_the_words_of_a_table():
    assert read_slots({"food": {"NOUN": "rice soup"}})["food"] == ["rice/NOUN", "soup/NOUN"]
