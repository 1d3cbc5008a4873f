"""Train the built-in BERT and its reader, or report what a BERT has learned, beside an untrained control."""

import argparse
from pathlib import Path

import torch

from ...language.bert import load_bert
from ...language.senses import separation_table
from ...language.train import train_bert, train_reader
from ...training.recipe import BertRecipe, ReaderRecipe
from ..options import add, add_recipe, recipe_of

_HELP = {
    "sentences": "generated sentences to learn from",
    "layers": "layers",
    "width": "width of the hidden states",
    "heads": "heads in a layer",
    "steps": "batches",
    "batch_size": "sentences in a batch",
    "lr": "highest learning rate",
    "weight_decay": "AdamW's weight decay",
    "warmup": "share of the steps in which the learning rate rises",
    "dropout": "share of activations that are dropped",
    "masked": "share of common tokens that are hidden",
    "masked_rare": "share of rare tokens that are hidden",
    "context": "weight of guessing the hidden words from any other",
    "cut": "share of sentences with a comma that are shown on one side of it only",
    "seed": "decides everything that is random",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="train|report")
    train = actions.add_parser(
        "train",
        help="train the model of data/bert-built-in",
        description="Train the built-in model on generated sentences; the same command resumes an interrupted run.",
    )
    add(train, "--out", default="bert", help="folder of the run")
    train.add_argument("--reader", action="store_true", help="then also train the reader, from its weights")
    add(train, "--reader-steps", default=ReaderRecipe.steps)
    add(train, "--threads")
    add_recipe(train, BertRecipe, _HELP)
    report = actions.add_parser("report", help="do the senses of words separate, layer by layer?")
    report.add_argument("--model", default="built-in", help="built-in, minilm, a folder or hub id (default: built-in)")


def run(options: argparse.Namespace) -> None:
    if options.action == "report":
        return _report(options.model)
    return _train(options)


def _train(options: argparse.Namespace) -> None:
    if options.threads:
        torch.set_num_threads(options.threads)
    folder = train_bert(recipe_of(options, BertRecipe), options.out)
    print(f'done: --model "{folder}"')
    if options.reader:
        reader = train_reader(ReaderRecipe(steps=options.reader_steps), folder, Path(options.out) / "reader")
        print(f'done: --model "{reader}"')


def _report(name: str) -> None:
    rows = separation_table(load_bert(name))
    print("Mean over our sense-labelled words, held-out sentences; in parentheses the same model untrained.")
    print("layer     5-NN accuracy        silhouette     ten at 蘋     ten at 果  (1-NN)")
    for layer, row in enumerate(rows):
        print(
            f"{layer:5}   {row['knn']:6.2f} ({row['control_knn']:.2f})   {row['silhouette']:8.2f} "
            f"({row['control_silhouette']:.2f})   {row['apple_first']:10.2f}   {row['apple_second']:10.2f}"
        )
