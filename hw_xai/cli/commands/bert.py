"""Train the built-in BERT and its reader, or report what a BERT has learned, beside an untrained control."""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from ...errors import UserError
from ...language.bert import load_bert
from ...language.masked_words import train_masked_words
from ...language.senses import apple_reports, language_of, sense_reports, separation_table, spelled, untrained
from ...language.text import read_questions
from ...language.train import train_bert, train_reader
from ...training.recipe import PEOPLES, BertRecipe, MaskedWordsRecipe, ReaderRecipe
from ..options import add

_SHARED = {  # options of both recipes
    "layers": "layers: of e5 the first so many",
    "steps": "batches",
    "batch_size": "sentences in a batch",
    "lr": "highest learning rate",
    "weight_decay": "AdamW's weight decay",
    "warmup": "in which the learning rate rises: with --corpus steps, else a share of the steps",
    "masked": "share of the (common) tokens that are hidden",
    "seed": "decides everything that is random",
}
_OF_CORPUS = {
    "start": "what to start from: e5, built-in, a folder or nothing (default: e5)",
    "vocabulary": "pieces, when it starts from e5 or nothing",
    "decay": "steps, the last, in which the learning rate falls; more --steps go on from before",
    "max_length": "tokens that are read of a sentence",
    "head_lr": "highest learning rate of the head that guesses words",
    "chinese": "share of Chinese sentences",
    "everyday": "weight of a sentence of everyday text",
    "broad": "weight of a sentence of an encyclopedia",
    "narrow": "weight of a sentence of a source with one purpose",
    "generated": "share of sentences made of our own clauses, each sense of an ambiguous word",
}
_OF_GENERATED = {
    "sentences": "generated sentences to learn from",
    "width": "width of the hidden states",
    "heads": "heads in a layer",
    "dropout": "share of activations that are dropped",
    "masked_rare": "share of rare tokens that are hidden",
    "context": "weight of guessing the hidden words from any other",
    "cut": "share of sentences with a comma that are shown on one side of it only",
}
_HELP = _SHARED | _OF_CORPUS | _OF_GENERATED
_WHOLE = {
    *("layers", "steps", "batch_size", "seed", "vocabulary", "max_length", "decay", "sentences", "width", "heads")
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="train|report")
    train = actions.add_parser(
        "train",
        help="train a masked language model on any text, and a reader",
        description=(
            "Train a BERT to guess masked words: on the sentences of --corpus, or on generated ones. "
            "The same command resumes an interrupted run."
        ),
    )
    add(train, "--out", default="bert", help="folder of the run")
    train.add_argument(
        "--corpus",
        nargs="+",
        metavar="FILE",
        help=".txt with a sentence a line, .tsv (lang, source, sentence), or .zip",
    )
    train.add_argument("--reader", action="store_true", help="then also train the reader, from its weights")
    questions = "people's questions to train the reader on, .jsonl or .zip (generated ones)"
    train.add_argument("--questions", nargs="+", metavar="FILE", help=questions)
    add(train, "--reader-steps", help="batches of the reader (the recipe's own)")
    add(train, "--threads")
    for title, helps in (("both", _SHARED), ("with --corpus", _OF_CORPUS), ("without --corpus", _OF_GENERATED)):
        group = train.add_argument_group(title, "where not given, the recipe's own")
        for name, help_ in helps.items():
            kind = str if name == "start" else int if name in _WHOLE else float
            group.add_argument("--" + name.replace("_", "-"), type=kind, help=help_)
    report = actions.add_parser("report", help="do the senses of words separate, layer by layer?")
    report.add_argument("--model", default="built-in", help="built-in, minilm, e5, a folder or hub id (built-in)")


def run(options: argparse.Namespace) -> None:
    if options.action == "report":
        return _report(options.model)
    return _train(options)


def _train(options: argparse.Namespace) -> None:
    if options.questions and not options.reader:
        raise UserError("--questions belongs to --reader")
    if options.threads:
        torch.set_num_threads(options.threads)
    given = {name: getattr(options, name) for name in _HELP if getattr(options, name) is not None}
    folder = _train_on_corpus(options, given) if options.corpus else _train_on_generated(options, given)
    print(f'done: --model "{folder}"')
    if options.reader:
        changes = {} if options.reader_steps is None else {"steps": options.reader_steps}
        recipe = replace(PEOPLES if options.questions else ReaderRecipe(), **changes)
        examples = read_questions(options.questions, recipe.examples) if options.questions else None
        reader = train_reader(recipe, folder, Path(options.out) / "reader", examples=examples)
        print(f'done: --model "{reader}"')


def _train_on_corpus(options: argparse.Namespace, given: dict[str, Any]) -> Path:
    _check_none_of(given, _OF_GENERATED, "training without --corpus")
    if "layers" in given:
        given["layers"] = tuple(range(given["layers"]))
    return train_masked_words(MaskedWordsRecipe(**given), options.corpus, options.out)


def _train_on_generated(options: argparse.Namespace, given: dict[str, Any]) -> Path:
    _check_none_of(given, _OF_CORPUS, "training with --corpus")
    if "warmup" in given and given["warmup"] > 1:
        raise UserError(f"--warmup must be a share of the steps without --corpus, got {given['warmup']:g}")
    return train_bert(BertRecipe(**given), options.out)


def _check_none_of(given: dict[str, Any], others: dict[str, str], whose: str) -> None:
    for name in given.keys() & others.keys():
        raise UserError(f"--{name.replace('_', '-')} belongs to {whose}")


def _report(name: str) -> None:
    bert = load_bert(name)
    control = untrained(bert)
    words, apples = sense_reports(bert, control), apple_reports(bert, control)
    print("Mean over our sense-labelled words, held-out sentences; in parentheses the same model untrained.")
    for language, title in (("en", "English"), ("zh", "Chinese")):
        own = {word: report for word, report in words.items() if language_of(word) == language}
        print(f"\n{title}: {', '.join(own)}")
        print("layer     5-NN accuracy        silhouette" + "     ten at 蘋     ten at 果  (1-NN)" * (language == "zh"))
        for layer, row in enumerate(separation_table(own, apples)):
            print(
                f"{layer:5}   {row['knn']:6.2f} ({row['control_knn']:.2f})   {row['silhouette']:8.2f} "
                f"({row['control_silhouette']:.2f})"
                + f"   {row['apple_first']:10.2f}   {row['apple_second']:10.2f}"
                * (language == "zh")
            )
    print("\nword by word, in the layer where it is told apart best")
    for word, report in words.items():
        best, pieces = report.best_layer, spelled(bert, word)
        note = f"   reads it as {' '.join(pieces)}" if pieces else ""
        print(f"{word:>8}  layer {best}  5-NN {report.model.knn[0][best]:.2f}{note}")
