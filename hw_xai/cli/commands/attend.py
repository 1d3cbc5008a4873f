"""Where does BERT look? One page: every head, what it does, what a hidden word does, nearest tokens of a corpus."""

import argparse

from ...language.bert import load_bert
from ...language.masks import WhatIf
from ...studies.attention import expectations, write_attention_page
from ...studies.sentences import missing_words, notices_of, read_sentences, words_in
from ..notes import print_notes


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("sentences", nargs="+", metavar="SENTENCE", help="what BERT is to read, in quotes")
    parser.add_argument("--pair", metavar="TEXT", help="a second text, read together with each sentence")
    parser.add_argument("--model", default="built-in", help="built-in, minilm, e5, a folder or hub id (built-in)")
    parser.add_argument("--mask", nargs="+", default=[], metavar="WORD", help="words to hide; word#2: its second place")
    parser.add_argument("--no-search", action="store_true", help="leave out the nearest tokens of the search corpus")
    parser.add_argument("--out", default="attention", help="folder for the page and pictures (default: %(default)s)")


def run(options: argparse.Namespace) -> None:
    bert = load_bert(options.model)
    pairs = None if options.pair is None else [options.pair] * len(options.sentences)
    encoded = read_sentences(bert, options.sentences, pairs)
    print_notes(notices_of(encoded))
    masked = words_in(encoded, options.mask)  # a word that stands nowhere is told before anything is printed
    print_notes(missing_words(encoded, options.mask))
    for e, words in zip(encoded, masked, strict=True):
        if words:
            print(" / ".join(e.texts))
        for told in expectations(bert, e, words):
            _print(told, words[1:])
    page = write_attention_page(bert, encoded, options.out, masked=options.mask, search=not options.no_search)
    print(f"done: open {page} ({page.stat().st_size / 1e6:.1f} MB)")


def _print(told: WhatIf, others: list[str]) -> None:
    """Print what is expected at one token, alone and with the other words hidden as well."""
    if told.after is told.before:
        print(f"{told.before.hidden} is hidden:")
        for token, p in told.before.top():
            print(f"  {token:<16} {p:7.1%}")
        return
    print(f"{told.before.hidden} is hidden; then {', '.join(others)} as well:")
    for token, p, q in told.changes():
        print(f"  {token:<16} {p:7.1%} → {q:7.1%}")
