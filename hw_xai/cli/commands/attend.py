"""Where does BERT look? One page: every head, what it does, what a hidden word does, nearest tokens of a corpus."""

import argparse
from collections.abc import Sequence
from pathlib import Path

LONGEST_RELEVANCE = 64  # tokens: gradient × attention takes a backward pass for each


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("sentences", nargs="+", metavar="SENTENCE", help="what BERT is to read, in quotes")
    parser.add_argument("--pair", metavar="TEXT", help="a second text, read together with each sentence")
    parser.add_argument("--model", default="built-in", help="built-in, minilm, a folder or hub id (built-in)")
    parser.add_argument("--mask", nargs="+", default=[], metavar="WORD", help="words to hide; word#2: its second place")
    parser.add_argument("--no-search", action="store_true", help="leave out the nearest tokens of the search corpus")
    parser.add_argument("--out", default="attention", help="folder for the page and pictures (default: %(default)s)")


def run(options: argparse.Namespace) -> None:
    from ...language.bert import load_bert
    from ...studies.sentences import encoded_with_notices

    bert = load_bert(options.model)
    pairs = None if options.pair is None else [options.pair] * len(options.sentences)
    encoded = encoded_with_notices(bert, options.sentences, pairs)
    if options.mask:
        _print_mask(bert, encoded, options.mask)
    page = write_attention_page(bert, encoded, options.out, masked=options.mask, search=not options.no_search)
    print(f"done: open {page} ({page.stat().st_size / 1e6:.1f} MB)")


def write_attention_page(
    bert,
    sentences: Sequence,
    folder: str | Path,
    masked: Sequence[str] = (),
    search: bool = True,
    progress: bool = True,
) -> Path:
    """Write folder/index.html, and a PNG and SVG of each view, on sentences (texts, or as `encode` gives them)."""
    from ...explain.attention import attention_rollout
    from ...language.heads import what_heads_do
    from ...language.layers import as_encoded, attentions
    from ...language.relevance import guess_relevance
    from ...language.search import index_corpus, nearest_view
    from ...show.figures.sentences import write_attention_figures
    from ...show.pages.attention.page import SentenceView, write_attention_page
    from ...studies.masking import MaskPredictions
    from ...studies.sentences import display_tokens, places_of, shown_name

    encoded = as_encoded(bert, list(sentences))
    unavailable = []
    predictions = MaskPredictions() if bert.head == "masked-lm" else None
    if predictions is None:
        unavailable.append(f"{shown_name(bert)} cannot fill in words: choose a masked language model such as built-in.")
    index = index_corpus(bert, progress) if search else None
    views = []
    for e, attention in zip(encoded, attentions(bert, encoded), strict=True):  # (L, H, T, T)
        rollout = [attention_rollout(attention[: layer + 1]).numpy() for layer in range(len(attention))]
        views.append(
            SentenceView(
                text=" / ".join(e.texts),
                tokens=display_tokens(bert, e),
                special=e.special,
                words=[word.tokens for word in e.words],
                attention=attention.numpy(),
                rollout=_stack(rollout),
                notices=e.notices,
                masks=None if predictions is None else predictions.view(bert, e),
                nearest=None if index is None else nearest_view(bert, index, e),
                asked=places_of(e, masked),
                relevance=guess_relevance(bert, e).numpy() if predictions and len(e) <= LONGEST_RELEVANCE else None,
            )
        )
    heads = what_heads_do(bert)
    page = write_attention_page(
        Path(folder) / "index.html",
        shown_name(bert),
        views,
        heads,
        () if predictions is None else predictions.vocabulary,
        None if index is None else index.corpus,
        unavailable,
    )
    write_attention_figures(folder, views, heads)
    return page


def _stack(arrays: Sequence):
    import numpy as np

    return np.stack(arrays)


def _print_mask(bert, encoded: Sequence, words: Sequence[str]) -> None:
    """Print what is expected at the first word, alone and with the others hidden as well."""
    from ...language.masks import WhatIf, fill_mask
    from ...studies.sentences import places_of

    for e in encoded:
        asked, also = places_of(e, words[:1]), places_of(e, words[1:])
        print(" / ".join(e.texts))
        for t in asked:  # the pieces of a word are hidden together
            [before] = fill_mask(bert, e, t, also_masked=asked)
            if not also:
                rows = [f"  {token:<16} {p:7.1%}" for token, p in before.top()]
                print(f"{before.hidden} is hidden:", *rows, sep="\n")
                continue
            [after] = fill_mask(bert, e, t, also_masked=[*asked, *also])
            print(f"{before.hidden} is hidden; then {', '.join(words[1:])} as well:")
            for token, p, q in WhatIf(before, after).changes():
                print(f"  {token:<16} {p:7.1%} → {q:7.1%}")
