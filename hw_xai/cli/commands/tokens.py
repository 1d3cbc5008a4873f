"""Which words does a score come from? One page: the words coloured by every method, compared.

What is explained: log P of --word when it is hidden (its label, by a model that labels words); with --reference the
similarity to another sentence; else what the model answers: the class of a classifier, the label of the word that
stands out, where the answer to a question starts and ends in --pair, the next token, the guess where the sentence holds
[MASK], or log P of the word that its context speaks for most.
"""

import argparse

from ...language.bert import load_bert
from ...studies.sentences import notices_of, read_sentences
from ...studies.tokens import chosen_methods, write_token_page
from ..notes import print_notes
from ..options import add, count, seed


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("sentences", nargs="+", metavar="SENTENCE", help="in quotes; may hold [MASK]")
    parser.add_argument("--method", default="ig,occlusion,lime", help="names, or all (default: %(default)s)")
    parser.add_argument("--pair", metavar="TEXT", help="a second text, such as the passage that answers a question")
    parser.add_argument("--word", help="explain log P of this word when it is hidden")
    add(parser, "--occurrence")
    parser.add_argument("--reference", metavar="TEXT", help="explain the similarity to another sentence")
    parser.add_argument("--model", default="built-in", help="built-in, minilm, e5, a folder or hub id (built-in)")
    parser.add_argument("--n-samples", type=count, help="draws of SmoothGrad and LIME")
    parser.add_argument("--n-steps", type=count, help="points on the path of integrated gradients")
    parser.add_argument("--seed", type=seed, default=0, help="decides everything that is random (default: %(default)s)")
    parser.add_argument("--out", default="tokens", help="folder for the page and pictures (default: %(default)s)")


def run(options: argparse.Namespace) -> None:
    methods = chosen_methods(options.method)
    bert = load_bert(options.model)
    settings = {name: getattr(options, name) for name in ("n_samples", "n_steps", "seed")}
    settings = {name: value for name, value in settings.items() if value is not None}
    asked = {"word": options.word, "occurrence": options.occurrence, "reference": options.reference}
    pairs = None if options.pair is None else [options.pair] * len(options.sentences)
    encoded = read_sentences(bert, options.sentences, pairs)
    print_notes(notices_of(encoded))
    page = write_token_page(bert, encoded, options.out, methods, settings, **asked)
    print(f"done: open {page}")
