"""Which words does a score come from? One page: the words coloured by every method, compared.

What is explained: log P of --word when it is hidden; of the model's guess where the sentence holds [MASK]; the class of
a classifier; with --reference the similarity to another sentence; else the length of the sentence's own vector.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from ..options import count, seed

TITLES = {
    "gradient": ("Gradient", "How much the score moves with a word: length only, no sign.", False),
    "input_x_gradient": ("Input × gradient", "What each word would add if the model were linear.", True),
    "smooth_grad": ("SmoothGrad", "The gradient's length, averaged over noisy copies.", False),
    "ig": ("Integrated gradients", "What each word adds on the way from [PAD] to itself.", True),
    "occlusion": ("Occlusion", "What the score loses when a word is masked.", True),
    "lime": ("LIME", "Weight of a word in a linear model, fitted to copies with words deleted.", True),
}
OPTIONS = {"smooth_grad": ("n_samples", "seed"), "ig": ("n_steps",), "lime": ("n_samples", "seed")}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("sentences", nargs="+", metavar="SENTENCE", help="in quotes; may hold [MASK]")
    parser.add_argument("--method", default="ig,occlusion,lime", help="names, or all (default: %(default)s)")
    parser.add_argument("--word", help="explain log P of this word when it is hidden")
    parser.add_argument("--occurrence", type=int, help="which one, where the word stands more than once")
    parser.add_argument("--reference", metavar="TEXT", help="explain the similarity to another sentence")
    parser.add_argument("--model", default="built-in", help="built-in, minilm, a folder or hub id (built-in)")
    parser.add_argument("--n-samples", type=count, help="draws of SmoothGrad and LIME")
    parser.add_argument("--n-steps", type=count, help="points on the path of integrated gradients")
    parser.add_argument("--seed", type=seed, default=0, help="decides everything that is random (default: %(default)s)")
    parser.add_argument("--out", default="tokens", help="folder for the page and pictures (default: %(default)s)")


def run(options: argparse.Namespace) -> None:
    from ...language.bert import load_bert

    methods = chosen(options.method)
    bert = load_bert(options.model)
    settings = {name: getattr(options, name) for name in ("n_samples", "n_steps", "seed")}
    settings = {name: value for name, value in settings.items() if value is not None}
    question = {"word": options.word, "occurrence": options.occurrence, "reference": options.reference}
    page = write_token_page(bert, options.sentences, options.out, methods, settings, **question)
    print(f"done: open {page}")


def chosen(names: str) -> list[str]:
    """Return the methods in "a,b,c", or all of them for "all"."""
    from ...errors import UserError, nearest

    if names.strip().lower() == "all":
        return list(TITLES)
    found = list(dict.fromkeys(name.strip().lower().replace("-", "_") for name in names.split(",") if name.strip()))
    found = ["ig" if name == "integrated_gradients" else name for name in found]
    for name in found:
        if name not in TITLES:
            raise UserError(f'no method is called "{name}".{nearest(name, TITLES)} There are: {", ".join(TITLES)}')
    if not found:
        raise UserError(f"--method needs at least one name, or all. There are: {', '.join(TITLES)}")
    return found


def write_token_page(
    bert,
    sentences: Sequence[str],
    folder: str | Path,
    methods: Sequence[str] = ("ig", "occlusion", "lime"),
    settings: dict[str, int] | None = None,
    **question: object,
) -> Path:
    """Write folder/index.html, and a PNG and SVG for each sentence; question: word, occurrence, reference."""
    from ...show.figures.sentences import save_figure, words_figure
    from ...show.pages.tokens.page import write_token_page
    from ...studies.sentences import encoded_with_notices, shown_name

    encoded = encoded_with_notices(bert, sentences)
    scored = [_scores(bert, e, methods, settings or {}, question) for e in encoded]
    page = write_token_page(
        Path(folder) / "index.html",
        "Which words does it come from?",
        f"{shown_name(bert)} gives a sentence a score. Which words raised it, which lowered it? Pieces of a word are "
        "added up; a Chinese character is a word of its own.",
        scored,
        list(dict.fromkeys(notice for e in encoded for notice in e.notices)),
    )
    for number, sentence in enumerate(scored, start=1):
        found = {method.title: method.values for method in sentence.methods if method.error is None}
        if found:
            figure = words_figure([text for text, _ in sentence.words], found, sentence.explained)
            save_figure(figure, Path(folder) / f"{number}-words", sentence.text)
    return page


def _scores(bert, encoded, methods: Sequence[str], settings: dict[str, int], question: dict):
    from ...errors import UserError
    from ...language.attribution import question as ask
    from ...show.pages.tokens.page import SentenceScores
    from ...studies.sentences import in_flags

    try:
        asked, score = ask(bert, encoded, **question)
    except UserError as error:
        raise in_flags(error) from error
    views, explained = [], None
    for method in methods:
        view, found = _view(bert, asked, score, method, settings)
        views.append(view)
        explained = found or explained
    words = [(word.text, word.special) for word in encoded.words]
    return SentenceScores(
        text=" / ".join(encoded.texts),
        words=words,
        explained=explained.explained if explained else score.name,
        value=explained.value if explained else float("nan"),
        methods=views,
    )


def _view(bert, encoded, score, method: str, settings: dict[str, int]):
    """Return one method's view, and its attribution; a method that cannot explain this sentence says so."""
    from ...errors import UserError
    from ...language.attribution import attribute_tokens
    from ...show.pages.tokens.page import MethodView

    title, text, signed = TITLES[method]
    options = {name: settings[name] for name in OPTIONS.get(method, ()) if name in settings}
    try:
        found = attribute_tokens(bert, encoded, method, score=score, **options)
    except UserError as error:
        return MethodView(title, text, None, signed, error=str(error)), None
    gap = _completeness_gap(bert, encoded, score, found) if method == "ig" else None
    return MethodView(title, text, found.scores.numpy(), signed, gap), found


def _completeness_gap(bert, encoded, score, found) -> float:
    """Return Σ attribution − (f(inputs) − f(baselines)) for the target that was explained."""
    import torch

    from ...language.attribution import embedding_model, pad_baseline, word_embeddings
    from ...language.layers import lent

    model = embedding_model(bert, encoded, score)
    with lent(bert), torch.no_grad():
        here, there = (model(x)[0] for x in (word_embeddings(bert, encoded), pad_baseline(bert, encoded, score.tokens)))
    target = int(here.argmax())  # what `attribute_tokens` explains unless it is told otherwise
    return float(found.scores.sum() - (here[target] - there[target]))
