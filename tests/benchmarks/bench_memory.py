"""Peak memory of each explanation, over the model's own: each in a process of its own.

    python tests/benchmarks/bench_memory.py [--model homework|resnet18|foodnet] [--size 128] [--methods A,B] [--scale 1]

In a fresh process the method explains a tiny model, so that all is imported; then the model makes one raw pass of one
picture (with a backward pass where the method needs one). What the highest resident memory (ru_maxrss) of the process
gains when the method then explains one picture is the method's: masks, chunks, folded weights. --scale multiplies
n_samples and n_steps; the answer must hardly depend on it.
"""

import argparse
import inspect
import resource
import subprocess
import sys
from pathlib import Path

import torch
import torchvision
from torch import Tensor, nn

from hw_xai.explain import METHODS, LearnedCAM
from hw_xai.vision.networks import Classifier, FoodNet

MODELS = {
    "homework": Classifier,
    "resnet18": lambda: torchvision.models.resnet18(weights=None, num_classes=11),
    "foodnet": FoodNet,
}
SEGMENTS = torch.arange(16).reshape(4, 4)  # of the pictures, enlarged
SCALED = {"n_samples": 100, "n_steps": 50}


def explain(name: str, model: nn.Module, picture: Tensor, scale: float) -> None:
    """Call a method with passes enough to fill its chunks."""
    function, options = METHODS[name].function, {}
    known = inspect.signature(function).parameters
    options |= {key: max(4, round(scale * value)) for key, value in SCALED.items() if key in known}
    if "stride" in known and scale < 1:
        options["stride"] = options["window"] = picture.shape[-1] // 4  # 16 windows, for slow machines
    if "segments" in known:
        side = picture.shape[-1] // 4
        options["segments"] = SEGMENTS.repeat_interleave(side, dim=0).repeat_interleave(side, dim=1)
    if "learned" in known:
        maps = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)][-1].num_features
        options["learned"] = LearnedCAM(maps, 11)
    function(model, picture, 0, **options)


def peak() -> float:
    """Return the highest resident memory of this process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def tiny() -> nn.Module:
    layers = [nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 11)]
    return nn.Sequential(*layers).eval()


def measure_here(name: str, kind: str, size: int, scale: float) -> float:
    """Return the MB that a method takes in this process over one raw pass."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    explain(name, tiny(), torch.rand(1, 3, 16, 16), 1.0)
    model, picture = MODELS[kind]().eval().requires_grad_(False), torch.rand(1, 3, size, size)
    with torch.set_grad_enabled(METHODS[name].passes(n_regions=16).backward > 0):
        x = picture.clone().requires_grad_(torch.is_grad_enabled())
        score = model(x)[0, 0]
        if score.requires_grad:
            torch.autograd.grad(score, x)
    del score
    before = peak()
    explain(name, model, picture, scale)
    return peak() - before


def measure(name: str, kind: str, size: int = 128, scale: float = 1.0) -> float:
    """Return the MB that a method takes in a fresh process over one raw pass."""
    arguments = [sys.executable, str(Path(__file__)), "--here", name, "--model", kind, "--size", str(size)]
    done = subprocess.run([*arguments, "--scale", str(scale)], capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=MODELS, default="homework")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--methods", help="names, separated by commas; all that explain a picture if left out")
    parser.add_argument("--here", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.here:
        print(measure_here(arguments.here, arguments.model, arguments.size, arguments.scale))
        return
    names = [name for name, method in METHODS.items() if method.explainer]
    if arguments.methods:
        names = arguments.methods.split(",")
    elif arguments.model == "homework":
        names.remove("cam")  # the Classifier does not qualify
    print(f"{arguments.model}, one picture of {arguments.size}²: MB over the model and one raw pass")
    for name in names:
        print(f"{name:24}{measure(name, arguments.model, arguments.size, arguments.scale):8.0f}", flush=True)


if __name__ == "__main__":
    main()
