"""Which words a score comes from, by every method, compared."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ..errors import UserError
from ..language.attribution import (
    Score,
    TokenAttribution,
    attribute_tokens,
    embedding_model,
    pad_baseline,
    question,
    word_embeddings,
)
from ..language.bert import Bert
from ..language.layers import as_encoded, lent
from ..language.tokens import Encoded
from ..show.figures.sentences import save_figure, words_figure
from ..show.pages.tokens import page
from ..show.pages.tokens.page import MethodView, SentenceScores
from .choices import names_or_all
from .sentences import notices_of, shown_name
from .tables import write_csv

TITLES = {
    "gradient": ("Gradient", "How much the score moves with a word: length only, no sign.", False),
    "input_x_gradient": ("Input × gradient", "What each word would add if the model were linear.", True),
    "smooth_grad": ("SmoothGrad", "The gradient's length, averaged over noisy copies.", False),
    "ig": ("Integrated gradients", "What each word adds on the way from [PAD] to itself.", True),
    "occlusion": ("Occlusion", "What the score loses when a word is masked.", True),
    "lime": ("LIME", "Weight of a word in a linear model, fitted to copies with words deleted.", True),
}
OPTIONS = {"smooth_grad": ("n_samples", "seed"), "ig": ("n_steps",), "lime": ("n_samples", "seed")}


@dataclass(frozen=True)
class TokenStudy:
    """The sentences with what each of their words does to a score."""

    model: str
    sentences: list[SentenceScores]
    notices: list[str]


def chosen_methods(names: str) -> list[str]:
    """Return the methods in "a,b,c", or all of them for "all"."""
    return names_or_all(names, list(TITLES), {"integrated_gradients": "ig"})


def study_tokens(
    bert: Bert,
    sentences: Sequence[str] | Sequence[Encoded],
    methods: Sequence[str] = ("ig", "occlusion", "lime"),
    settings: Mapping[str, int] | None = None,
    **asked: Any,
) -> TokenStudy:
    """Explain a score of each sentence by every method. asked: word, occurrence, reference, as for `question`.

    settings: n_samples, n_steps and seed, for the methods that know them.
    """
    encoded = as_encoded(bert, sentences)
    scored = [_scores(bert, e, methods, settings or {}, asked) for e in encoded]
    return TokenStudy(shown_name(bert), scored, notices_of(encoded))


def write_token_page(
    bert: Bert,
    sentences: Sequence[str] | Sequence[Encoded],
    folder: str | Path,
    methods: Sequence[str] = ("ig", "occlusion", "lime"),
    settings: Mapping[str, int] | None = None,
    **asked: Any,
) -> Path:
    """Write folder/index.html, and a PNG and SVG for each sentence; arguments as for `study_tokens`."""
    study = study_tokens(bert, sentences, methods, settings, **asked)
    written = page.write_token_page(
        Path(folder) / "index.html",
        "Which words does it come from?",
        f"{study.model} gives a sentence a score. Which words raised it, which lowered it? Pieces of a word are "
        "added up; a Chinese character is a word of its own.",
        study.sentences,
        study.notices,
    )
    for number, sentence in enumerate(study.sentences, start=1):
        values = {method.title: method.values for method in sentence.methods if method.values is not None}
        if values:
            figure = words_figure([text for text, _ in sentence.words], values, sentence.explained)
            save_figure(figure, Path(folder) / f"{number}-words", sentence.text)
    rows = [
        [number, sentence.explained, place, word, method.title, value]
        for number, sentence in enumerate(study.sentences, start=1)
        for method in sentence.methods
        if method.values is not None
        for place, ((word, _), value) in enumerate(zip(sentence.words, method.values, strict=True), start=1)
    ]
    write_csv(Path(folder) / "words.csv", ["sentence", "explained", "place", "word", "method", "value"], rows)
    return written


def _scores(
    bert: Bert, encoded: Encoded, methods: Sequence[str], settings: Mapping[str, int], asked: Mapping[str, Any]
) -> SentenceScores:
    changed, score = question(bert, encoded, **asked)
    hidden = ""
    if changed is not encoded:
        word = score.name.removeprefix("log P(").removesuffix(")")
        hidden = f"“{word}” is hidden: the model reads {bert.tokenizer.mask_token}"
        if asked.get("word") is None:
            hidden += "; no word was named, and this is the one that the others speak for most"
    views, explained = [], None
    for method in methods:
        view, found = _view(bert, changed, score, method, settings)
        views.append(view)
        explained = found or explained
    if explained is None:
        raise UserError(views[0].error)
    return SentenceScores(
        text=" / ".join(encoded.texts),
        words=[(word.text, word.special) for word in changed.words],
        explained=explained.explained,
        value=explained.value,
        hidden=hidden,
        methods=views,
    )


def _view(
    bert: Bert, encoded: Encoded, score: Score, method: str, settings: Mapping[str, int]
) -> tuple[MethodView, TokenAttribution | None]:
    """Return one method's view, and its attribution; a method that cannot explain this sentence says so."""
    title, text, signed = TITLES[method]
    options: dict[str, Any] = {name: settings[name] for name in OPTIONS.get(method, ()) if name in settings}
    try:
        found = attribute_tokens(bert, encoded, method, score=score, **options)
    except ValueError as error:
        return MethodView(title, text, None, signed, error=str(error)), None
    gap = _completeness_gap(bert, encoded, score, found) if method == "ig" else None
    return MethodView(title, text, found.scores.numpy(), signed, gap), found


def _completeness_gap(bert: Bert, encoded: Encoded, score: Score, found: TokenAttribution) -> float:
    """Return Σ attribution − (f(inputs) − f(baselines)) for the target that was explained."""
    model = embedding_model(bert, encoded, score)
    with lent(bert), torch.no_grad():
        here, there = (model(x)[0] for x in (word_embeddings(bert, encoded), pad_baseline(bert, encoded, score.tokens)))
    target = int(here.argmax())  # what `attribute_tokens` explains unless it is told otherwise
    return float(found.scores.sum() - (here[target] - there[target]))
