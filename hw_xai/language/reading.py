"""Answers to questions: where in a passage a reading model sees them begin and end."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..errors import UserError
from .bert import Bert
from .corpus import ReadingExample
from .layers import run
from .tokens import Encoded, encode

_LONGEST = 16  # tokens of an answer


@dataclass(frozen=True)
class Answer:
    """A span of the passage: passage[start:end] is the text, in `tokens` of the encoded pair."""

    text: str
    start: int
    end: int
    tokens: tuple[int, ...]
    probability: float


def answer(bert: Bert, question: str, passage: str) -> Answer:
    """Return the likeliest answer to the question in the passage."""
    [found] = answers(bert, [question], [passage])
    return found


def answers(bert: Bert, questions: Sequence[str], passages: Sequence[str]) -> list[Answer]:
    """Return the likeliest answer to each question in its passage."""
    if bert.head != "question-answering":
        raise UserError(f"{bert.name} answers no questions: choose a question-answering model such as built-in-reader")
    encoded = encode(bert, questions, passages)

    def read(output: Any, row: int, length: int) -> Tensor:
        return torch.stack((output.start_logits, output.end_logits))[:, row, :length]

    return [best_span(e, logits) for e, logits in zip(encoded, run(bert, encoded, read), strict=True)]


def exact_match(bert: Bert, examples: Iterable[ReadingExample]) -> float:
    """Return the share of questions whose answer is found to the letter."""
    examples = list(examples)
    found = answers(bert, [e.question for e in examples], [e.passage for e in examples])
    return sum(f.text == e.answer for f, e in zip(found, examples, strict=True)) / len(examples)


def best_span(encoded: Encoded, logits: Tensor) -> Answer:
    """Return the span (start, end) of highest log P(start) + log P(end) in the passage; logits (2, T)."""
    outside = (torch.tensor(encoded.segments) == 0) | torch.tensor(encoded.special)
    start, end = logits.masked_fill(outside, float("-inf")).log_softmax(-1)
    spans = (start[:, None] + end[None, :]).exp()  # (T, T)
    allowed = torch.ones_like(spans).triu() * torch.ones_like(spans).tril(_LONGEST - 1)
    best = int((spans * allowed).argmax())
    first, last = divmod(best, len(encoded))
    a, b = encoded.offsets[first][0], encoded.offsets[last][1]
    return Answer(encoded.texts[1][a:b], a, b, tuple(range(first, last + 1)), float(spans[first, last]))
