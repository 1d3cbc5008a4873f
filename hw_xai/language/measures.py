"""What a masked language model knows, in figures that stand beside what counting alone would give.

Guesses of one hidden token beside the most frequent token and the most frequent one between two neighbours; the part of
speech of the nearest tokens, layer by layer; the sense of a word among sentences that somebody else wrote.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..errors import UserError
from ..explain.separation import SenseReport, sense_report
from .bert import Bert
from .corpus import TAGS, TaggedSentence
from .layers import hidden_states
from .masked_words import TokenizedText, asked_tokens, masked_language_model, one_masked, tokenized
from .search import words_of_tokens
from .senses import untrained, word_vectors
from .text import Sentence
from .tokens import encode

# ------------------------------------------------------------------------------------------------------ hidden tokens


@dataclass(frozen=True)
class Guesses:
    """Of n sentences of one language, the share in which one hidden token is guessed right."""

    n: int
    model: float
    most_frequent: float  # always the token that is most frequent in the language
    previous: float  # the one that most often follows the token before
    both: float  # the one that most often stands between the two neighbours, by counts of pairs

    @property
    def error(self) -> float:
        """Standard error of `model`."""
        return (self.model * (1 - self.model) / self.n) ** 0.5


def guesses(bert: Bert, sentences: Sequence[Sentence], text: TokenizedText, seed: int = 0) -> dict[str, Guesses]:
    """Return language -> how often the model and three counts over the `text` it learned from guess a hidden token."""
    model, found = masked_language_model("bert", bert), {}
    for language in ("en", "zh"):
        own = [s for s in sentences if s.language == language]
        if not own:
            continue
        right = one_masked(model, bert.tokenizer, own, seed)
        counted = _counted(own, bert, text, language == "zh", seed)
        found[language] = Guesses(len(own), float(right.float().mean()), *counted)
    return found


def _counted(
    sentences: Sequence[Sentence], bert: Bert, text: TokenizedText, chinese: bool, seed: int
) -> tuple[float, float, float]:
    """Return the shares right of the most frequent token, of the one after the left, of the one between both."""
    size, special = len(bert.tokenizer), torch.tensor(bert.tokenizer.all_special_ids)
    ids = text.ids.long()
    own = torch.repeat_interleave(text.chinese == chinese, text.starts.diff())
    alone = ids[own].bincount(minlength=size).double()
    alone[special] = 0
    inside = own[1:] & own[:-1] & (ids[:-1] != bert.tokenizer.sep_token_id)
    pairs, counts = (ids[:-1] * size + ids[1:])[inside].unique(return_counts=True)

    def follows(left: int) -> Tensor:  # (V,) how often each token follows
        a, b = torch.searchsorted(pairs, torch.tensor([left * size, (left + 1) * size])).tolist()
        row = torch.zeros(size, dtype=torch.double)
        row[pairs[a:b] - left * size] = counts[a:b].double()
        return row

    order = pairs.remainder(size).argsort(stable=True)
    seconds = pairs[order].remainder(size)

    def precedes(right: int) -> Tensor:  # (V,) how often each token stands before
        a, b = torch.searchsorted(seconds, torch.tensor([right, right + 1])).tolist()
        row = torch.zeros(size, dtype=torch.double)
        row[pairs[order[a:b]] // size] = counts[order[a:b]].double()
        return row

    asked = tokenized(sentences, bert.tokenizer, bert.max_length)
    hits = torch.zeros(3)
    share = alone / alone.sum()
    for i, place in enumerate(asked_tokens(asked, bert.tokenizer, seed).tolist()):
        row = asked.row(i)
        # unseen pairs are not impossible: a thousandth goes by frequency
        after, before = follows(int(row[place - 1])), precedes(int(row[place + 1]))
        after = after / after.sum().clamp(min=1) + 1e-3 * share
        before = before / alone.clamp(min=1) + 1e-3
        after[special] = 0
        hits += torch.tensor([float(s.argmax() == row[place]) for s in (share, after, after * before)])
    return tuple((hits / len(sentences)).tolist())


# ---------------------------------------------------------------------------------------------------- parts of speech


def read_tagged(path: str | Path, language: str, n: int) -> list[TaggedSentence]:
    """Return the first n sentences of one language of a table lang, source, sentence, tokens (word/TAG …)."""
    found: list[TaggedSentence] = []
    with open(path, encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE):
            if row["lang"] != language or len(found) == n:
                continue
            pairs = [token.rpartition("/") for token in row["tokens"].split(" ")]
            words, tags = tuple(w for w, _, _ in pairs), tuple(tag for _, _, tag in pairs)
            sentence = TaggedSentence(words, tags, language)
            if set(tags) <= TAGS and all(words):
                found.append(sentence)
    return found


def speech_of_nearest(bert: Bert, sentences: Sequence[TaggedSentence], k: int = 10) -> tuple[np.ndarray, float]:
    """Return how often the k nearest tokens are of a token's part of speech, by layer (L + 1,), and by chance.

    Only words of one token; nearest by cosine among tokens of other sentences that are other words, so that a layer
    that knows only which word it is gains nothing by it.
    """
    encoded = encode(bert, [s.text for s in sentences])
    states = hidden_states(bert, encoded)
    rows, tags, ids, owner = [], [], [], []
    for i, (sentence, e) in enumerate(zip(sentences, encoded, strict=True)):
        words = words_of_tokens(sentence, e)
        for t, word in enumerate(words):
            if word is not None and words.count(word) == 1 and sentence.tags[word] != "PUNCT":
                rows.append(states[i][:, t])
                tags.append(sorted(TAGS).index(sentence.tags[word]))
                ids.append(e.ids[t])
                owner.append(i)
    tag, token, place = torch.tensor(tags), torch.tensor(ids), torch.tensor(owner)
    barred = (token[:, None] == token) | (place[:, None] == place)
    shares = []
    for layer in torch.stack(rows, dim=1):  # (N, D)
        unit = torch.nn.functional.normalize(layer, dim=1)
        nearest = (unit @ unit.T).masked_fill(barred, -2).topk(k).indices  # (N, k)
        shares.append(float((tag[nearest] == tag[:, None]).float().mean()))
    chance = (tag.bincount().double() / len(tag)).square().sum()
    return np.array(shares), float(chance)


# --------------------------------------------------------------------------------------------------------------- senses


@dataclass(frozen=True)
class Sensed:
    """A sentence of somebody's with a word of known sense at text[start:end]."""

    text: str
    word: str
    sense: str
    start: int
    end: int


def read_senses(path: str | Path) -> list[Sensed]:
    """Return the sentences of a table word, sense, sentence, in which the word stands in [brackets] or once."""
    found = []
    with open(path, encoding="utf-8", newline="") as lines:
        for number, row in enumerate(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE), 2):
            text, word = row["sentence"], row["word"]
            if "[" in text and "]" in text:
                start, end = text.index("["), text.index("]") - 1
                text = text.replace("[", "", 1).replace("]", "", 1)
            else:
                start = text.lower().find(word.lower())
                end = start + len(word)
            if start < 0:
                raise UserError(f'{path}, line {number}: "{word}" is not in "{text}"')
            found.append(Sensed(text, word, row["sense"], start, end))
    return found


def senses_of(bert: Bert, sentences: Sequence[Sensed], control: Bert | None = None) -> dict[str, SenseReport]:
    """Return word -> report, each sentence judged by its 5 nearest of the same word."""
    control = control or untrained(bert)
    reports = {}
    for word in dict.fromkeys(s.word for s in sentences):
        own = [s for s in sentences if s.word == word]
        texts, spans = [s.text for s in own], [(s.start, s.end) for s in own]
        vectors, position = word_vectors(bert, texts, spans)
        others, _ = word_vectors(control, texts, spans)
        reports[word] = sense_report(vectors, [s.sense for s in own], control=others, position=position)
    return reports
