"""Ask which methods explain a model well: every method by every score, as a page, CSV, JSON and a picture.

The same command goes on where an earlier one stopped. Scores: faithfulness (average drop, increase in confidence,
deletion, insertion, sensitivity-n), completeness, stability, localization (drawn dishes only), sanity (the model
randomized), labels (a twin of the model that learned random labels). Methods: those of the catalog, and three
explanations to beat: random, edges, mask (the truth).
"""

import argparse
import os
import sys
from pathlib import Path

from tqdm import tqdm

from ...errors import UserError
from ...evaluate.scores import SCORES
from ...studies.choices import names_or_all
from ...studies.evaluation.evaluator import EvaluationPlan, Evaluator
from ...studies.evaluation.jobs import evaluate_all
from ...studies.evaluation.methods import method_names
from ...studies.evaluation.report import EvaluationReport
from ..options import add, add_model, model_of

TWINS = {"foodnet-synthetic": "foodnet-permuted"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_model(parser, default="foodnet-synthetic")
    add(parser, "--data", default="synthetic", help="synthetic, a food-11 folder (its validation photos) or a folder "
        "of photos")  # fmt: skip
    add(parser, "--method", "--methods", default="all", help="names with commas between them, or all")
    parser.add_argument("--scores", default="all", help="names with commas between them, or all (default: all)")
    add(parser, "--images", default=200)
    add(parser, "--out", default="evaluated")
    add(parser, "--jobs", default=os.cpu_count())
    add(parser, "--lcam")
    parser.add_argument("--twin", metavar="NAME|FILE", help="the same network trained on random labels (default: "
                        "foodnet-permuted for foodnet-synthetic, else none)")  # fmt: skip
    add(parser, "--size", help="side of the pictures in pixels; smaller is faster, where the network takes any size "
        "(default: the model's own)")  # fmt: skip
    add(parser, "--seed")


def run(options: argparse.Namespace) -> None:
    methods = tuple(names_or_all(options.method, method_names(options.data == "synthetic")))
    scores = tuple(names_or_all(options.scores, list(SCORES), option="scores"))
    out = Path(options.out)
    twin = options.twin or TWINS.get(options.model)
    asked = {name: getattr(options, name) for name in ("model", "data", "lcam", "size", "seed")}
    plan = EvaluationPlan(methods=methods, scores=scores, out=out, twin=twin, **asked, **model_of(options))
    evaluator = Evaluator(plan)
    evaluator.store.begin(evaluator.recipe())
    evaluator.store.tidy()
    n_images = min(options.images, len(evaluator.pictures.order))
    if n_images < options.images:
        print(f"{options.data} has only {n_images} pictures, not {options.images}: all are taken", file=sys.stderr)

    pending = {place: len(evaluator.pending(place)) for place in range(n_images)}
    todo = [place for place, n_methods in pending.items() if n_methods]
    total, left = n_images * len(methods), sum(pending.values())
    finished = evaluate_all(evaluator, todo, options.jobs)
    try:
        for _ in tqdm(finished, desc="evaluating", unit="map", total=total, initial=total - left, disable=not left):
            pass
    finally:
        # also after Ctrl-C: what was finished is worth looking at
        finished.close()
        report = EvaluationReport(evaluator, n_images)
        page = report.write() if any(report.records.values()) else None
    for notice in report.notices():
        print(notice, file=sys.stderr)
    if len(report.errors) == len(methods):
        raise UserError(f"nothing could be evaluated: {next(iter(report.errors.values()))}")
    print(f"{n_images} pictures by {len(methods)} methods: open {page}")
