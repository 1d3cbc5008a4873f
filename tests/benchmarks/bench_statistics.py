"""Time of the rank correlation of 1,000 pairs of maps of 128² ÷ that of a loop over scipy's spearmanr.

    python tests/benchmarks/bench_statistics.py [--maps 1000] [--threads 1] [--repeat 3]

Both are measured in turn, and the least of the repetitions counts. Process time on one thread, so that other work on
the machine does not matter; with more threads elapsed time, which asks for a quiet machine.
"""

import argparse
import time

import torch
from scipy.stats import spearmanr

from hw_xai.evaluate import rank_correlation


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--maps", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeat", type=int, default=3)
    arguments = parser.parse_args()

    torch.set_num_threads(arguments.threads)
    clock = time.process_time if arguments.threads == 1 else time.perf_counter
    torch.manual_seed(0)
    a = torch.randn(arguments.maps, 1, 128, 128)
    b = a + torch.randn_like(a)
    print(f"{arguments.maps} pairs of maps of 128², {arguments.threads} threads, seconds")
    for name, x, y in [("float32", a, b), ("float64", a.double(), b.double()), ("ReLU", a.relu(), b.relu())]:
        times = []
        for _ in range(arguments.repeat):
            start = clock()
            ours = rank_correlation(x, y)
            middle = clock()
            theirs = [
                spearmanr(p, q).statistic for p, q in zip(x.flatten(1).numpy(), y.flatten(1).numpy(), strict=True)
            ]
            times.append((middle - start, clock() - middle))
        difference = (ours - torch.tensor(theirs, dtype=torch.float64)).abs().max().item()
        ours, theirs = (min(column) for column in zip(*times, strict=True))
        print(f"{name:10} ours {ours:.3f}  scipy {theirs:.3f}  ratio {theirs / ours:.1f}  off by {difference:.0e}")


if __name__ == "__main__":
    main()
