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

from ..options import count, seed

TWINS = {"foodnet-synthetic": "foodnet-permuted"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", default="foodnet-synthetic", help="shipped name, weights file, or "
                        "package.module:function that returns a model (default: %(default)s)")  # fmt: skip
    parser.add_argument("--data", default="synthetic", help="synthetic, a food-11 folder (its validation photos) or a "
                        "folder of photos (default: %(default)s)")  # fmt: skip
    parser.add_argument("--methods", default="all", help="names with commas between them, or all (default)")
    parser.add_argument("--scores", default="all", help="names with commas between them, or all (default)")
    parser.add_argument("--images", type=count, default=200, help="how many pictures (default: %(default)s)")
    parser.add_argument("--out", default="evaluated", help="folder for the results (default: %(default)s)")
    parser.add_argument("--jobs", type=count, default=os.cpu_count(), help="processes (default: one for each core)")
    parser.add_argument("--lcam", metavar="NAME|FILE", help="trained L-CAM (default: the one shipped for the model)")
    parser.add_argument("--twin", metavar="NAME|FILE", help="the same network trained on random labels (default: "
                        "foodnet-permuted for foodnet-synthetic, else none)")  # fmt: skip
    parser.add_argument("--size", type=count, help="side of the pictures in pixels; smaller is faster, where the "
                        "network takes any size (default: the model's own)")  # fmt: skip
    parser.add_argument("--seed", type=seed, default=0, help="decides everything that is random (default: %(default)s)")


def run(options: argparse.Namespace) -> None:
    from tqdm import tqdm

    from ...errors import UserError
    from ...evaluate.scores import SCORES
    from ...studies.evaluation.evaluator import Evaluator, Plan
    from ...studies.evaluation.jobs import evaluate_all
    from ...studies.evaluation.methods import chosen, method_names
    from ...studies.evaluation.report import Report

    methods = chosen("--methods", options.methods, method_names(options.data == "synthetic"))
    scores = chosen("--scores", options.scores, list(SCORES))
    out = Path(options.out)
    twin = options.twin or TWINS.get(options.model)
    plan = Plan(options.model, options.data, methods, scores, out, options.lcam, twin, options.size, options.seed)
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
        report = Report(evaluator, n_images)
        page = report.write() if any(report.records.values()) else None
    for notice in report.notices():
        print(notice, file=sys.stderr)
    if len(report.errors) == len(methods):
        raise UserError(f"nothing could be evaluated: {next(iter(report.errors.values()))}")
    print(f"{n_images} pictures by {len(methods)} methods: open {page}")
