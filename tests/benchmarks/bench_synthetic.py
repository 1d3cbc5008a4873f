"""How many synthetic dishes one core draws in a second: python tests/benchmarks/bench_synthetic.py [SIZE]"""

import sys
import time

import cv2

from hw_xai.vision.dishes.synthetic import draw_dish
from hw_xai.vision.food11.layout import CLASSES


def seconds_each(target: int, size: int, n_images: int = 40, rounds: int = 3) -> float:
    """Return the processor seconds for one dish, in the best of some rounds: other programs only make it slower."""
    best = float("inf")
    for _ in range(rounds):
        start = time.process_time()
        for seed in range(n_images):
            draw_dish(target, size, seed)
        best = min(best, time.process_time() - start)
    return best / n_images


if __name__ == "__main__":
    size = int(sys.argv[1]) if len(sys.argv) > 1 else 128
    cv2.setNumThreads(1)
    draw_dish(0, size)
    seconds = [seconds_each(target, size) for target in range(len(CLASSES))]
    for name, each in zip(CLASSES, seconds, strict=True):
        print(f"{name:16s} {1e3 * each:5.2f} ms")
    print(f"{len(seconds) / sum(seconds):.0f} images a second at {size} x {size} on one core")
