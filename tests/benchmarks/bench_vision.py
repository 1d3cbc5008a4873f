"""Time of each explanation ÷ time of the raw passes that it cannot do without, on one thread.

    python tests/benchmarks/bench_vision.py [--model resnet18|homework] [--repeat 3] [--share 1.0]

A ratio of 1.00 would be the model alone: forward passes under no_grad, or forward and backward passes to the input
with frozen parameters, at the batch size that the method uses. Process time; each method is measured in turn with its
raw passes, and the least of the repetitions counts on both sides.
"""

import argparse
import time
from collections.abc import Callable

import torch
import torchvision
from torch import Tensor, nn

from hw_xai.explain import METHODS
from hw_xai.explain.contract import BATCH_SIZE, even_chunks
from hw_xai.vision.models import Classifier

MODELS = {"resnet18": lambda: torchvision.models.resnet18(weights=None), "homework": Classifier}
COUNTS = {"smooth_grad": ("n_samples", 50), "integrated_gradients": ("n_steps", 50), "lime": ("n_samples", 1000)}


def seconds(job: Callable[[], object]) -> float:
    start = time.process_time()
    job()
    return time.process_time() - start


def raw_passes(model: nn.Module, n: int, backward: bool) -> Callable[[], None]:
    """Return a job that runs n rows through a frozen model in the batches that the explainers use."""
    batches = [torch.rand(len(chunk), 3, 128, 128) for chunk in even_chunks(n, BATCH_SIZE)]

    def forward_only() -> None:
        with torch.no_grad():
            for batch in batches:
                model(batch)

    def with_backward() -> None:
        for batch in batches:
            x = batch.requires_grad_()
            torch.autograd.grad(model(x)[:, 0].sum(), x)

    return with_backward if backward else forward_only


def measure(name: str, model: nn.Module, picture: Tensor, share: float, repeat: int) -> tuple[int, float, float]:
    """Return the passes, our seconds and the seconds of the raw passes."""
    method, options = METHODS[name], {}
    if name in COUNTS:
        option, count = COUNTS[name]
        options = {option: max(1, round(share * count))}
    passes = method.passes(**options)
    raw = raw_passes(model, passes.forward, backward=passes.backward > 0)
    ours = lambda: method.function(model, picture, 0, **options)  # noqa: E731
    times = [(seconds(ours), seconds(raw)) for _ in range(repeat + 1)][1:]  # the first run imports and warms up
    return passes.forward, min(t for t, _ in times), min(t for _, t in times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=MODELS, default="resnet18")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--share", type=float, default=1.0, help="of the 50 or 1000 passes, for slow machines")
    arguments = parser.parse_args()

    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = MODELS[arguments.model]().eval().requires_grad_(False)
    picture = nn.functional.interpolate(torch.rand(1, 3, 16, 16), size=(128, 128), mode="bicubic").clamp(0, 1)
    print(f"{arguments.model}, one picture of 128², batches of up to {BATCH_SIZE}, one thread")
    print(f"{'method':24}{'passes':>8}{'ours/s':>10}{'raw/s':>10}{'ratio':>8}")
    for name, method in METHODS.items():
        if method.explainer:
            passes, ours, raw = measure(name, model, picture, arguments.share, arguments.repeat)
            print(f"{name:24}{passes:>8}{ours:>10.3f}{raw:>10.3f}{ours / raw:>8.2f}", flush=True)


if __name__ == "__main__":
    main()
