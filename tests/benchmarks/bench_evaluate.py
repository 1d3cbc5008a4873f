"""How long `hw-xai evaluate` takes: processor seconds for a picture, by method, and what they come to for 200.

    python tests/benchmarks/bench_evaluate.py --images 20

One thread, processor time, all scores; the pictures with stability and sanity are counted apart from the others.
"""

import argparse
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import torch

from hw_xai.evaluate.scores import SCORES
from hw_xai.studies.evaluation.evaluator import EvaluationPlan, Evaluator
from hw_xai.studies.evaluation.methods import method_names

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--model", default="foodnet-synthetic")
parser.add_argument("--images", type=int, default=20, help="pictures that are measured")
parser.add_argument("--total", type=int, default=200, help="pictures to extrapolate to")
parser.add_argument("--cores", type=int, default=2)
options = parser.parse_args()

torch.set_num_threads(1)
first = max(score.first or 0 for score in SCORES.values())
plain = defaultdict(list)  # method -> seconds of explaining a picture and of judging the map
costly = 0.0  # seconds of the first pictures, which have all the scores
with tempfile.TemporaryDirectory() as folder:
    evaluator = Evaluator(
        EvaluationPlan(options.model, "synthetic", tuple(method_names()), tuple(SCORES), Path(folder))
    )
    for place in range(max(options.images, first + 1)):
        last = time.process_time()
        for method in evaluator.evaluate(place):
            now = time.process_time()
            if place < first:
                costly += now - last
            else:
                plain[method].append(now - last)
            last = now

means = {method: sum(seconds) / len(seconds) for method, seconds in plain.items()}
for method, mean in sorted(means.items(), key=lambda item: -item[1]):
    print(f"{method:22} {mean:6.2f} s a picture")
total = costly + (options.total - first) * sum(means.values())
print(f"{'all':22} {sum(means.values()):6.2f} s a picture")
print(f"the first {first} pictures, with every score: {costly:.0f} s together")
minutes, measured = total / options.cores / 60, len(next(iter(plain.values())))
print(f"{options.total} pictures, extrapolated from {measured}: {minutes:.1f} minutes on {options.cores} cores")
