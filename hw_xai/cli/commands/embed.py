"""What does each layer make of a word? One page: projection, similarities, and whether its senses separate.

--sentences: "ten" (the homework's ten of 蘋果), "built-in:WORD" (our sense-labelled set of a word), "passage:N" or
"passage:FILE" (a question, its passage and answer), or a file: a sentence a line and, after a tab, its sense, or CSV or
JSON with the columns sentence and sense.
"""

import argparse

from ...language.bert import load_bert
from ...studies.samples import read_passage, read_sample
from ...studies.senses import study_senses, write_passage_page, write_sense_study
from ..notes import print_notes
from ..options import add, seed

METHODS = ("pca", "tsne", "umap")
METRICS = ("cosine", "euclidean")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--sentences", default="ten", help="ten, built-in:WORD, passage:N or a file (default: ten)")
    parser.add_argument("--word", help="the word whose vectors are compared (default for ten: 果)")
    add(parser, "--occurrence")
    parser.add_argument("--model", help="built-in, minilm, e5, a folder or hub id (default: built-in, or its reader)")
    parser.add_argument("--method", choices=METHODS, default="pca", help="of the projection (default: %(default)s)")
    parser.add_argument("--metric", choices=METRICS, default="cosine", help="shown first (default: %(default)s)")
    parser.add_argument("--seed", type=seed, default=0, help="of t-SNE and UMAP (default: %(default)s)")
    parser.add_argument("--out", default="embedding", help="folder for the page and pictures (default: %(default)s)")


def run(options: argparse.Namespace) -> None:
    if options.sentences.startswith("passage:"):
        example = read_passage(options.sentences)
        bert = load_bert(options.model or "built-in-reader")
        page = write_passage_page(bert, example, options.out, options.method, options.seed)
    else:
        bert = load_bert(options.model or "built-in")
        sample = read_sample(bert, options.sentences, options.word, options.occurrence)
        study = study_senses(bert, sample, options.method, options.seed)
        print_notes(study.notices)
        page = write_sense_study(study, options.out, options.metric)
        if study.report:
            print(study.report.table("raw"))
    print(f"done: open {page} ({page.stat().st_size / 1e6:.1f} MB)")
