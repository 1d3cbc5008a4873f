"""Time of each explanation ÷ time of the passes that it cannot do without, and peers' time ÷ ours, on one thread.

    python tests/benchmarks/bench_vision.py [--model resnet18|homework] [--repeat 3] [--share 1.0] [--methods A,B]

The floor is (exact number of passes) × (the best raw pass). For many passes that is the network with BatchNorm folded
and channels_last, under inference_mode for forward passes, at the fastest of several batch sizes; for one pass, where
folding costs more than it saves, the network as it is. Process time; ours, the floor and the peers are measured in
turn, and the medians of the repetitions are divided. Peers: Captum at its best batch size and at its defaults, the
grad-cam and lime packages, for the same passes.
"""

import argparse
import copy
import statistics
import time
import warnings
from collections.abc import Callable

import captum.attr
import numpy as np
import pytorch_grad_cam
import torch
import torchvision
from lime.lime_image import LimeImageExplainer
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import Tensor, nn
from torch.fx.experimental.optimization import fuse

from hw_xai.core.memory import even_chunks
from hw_xai.explain import METHODS, last_map
from hw_xai.vision.networks import Classifier

MODELS = {"resnet18": lambda: torchvision.models.resnet18(weights=None), "homework": Classifier}
SEGMENTS = torch.arange(49).reshape(7, 7).repeat_interleave(19, 0).repeat_interleave(19, 1)[:128, :128]
BATCHES = (1, 2, 4, 8, 16, 32)

Job = Callable[[], object]


def seconds(job: Job) -> float:
    start = time.process_time()
    job()
    return time.process_time() - start


def raw_passes(model: nn.Module, n: int, batch: int, backward: bool) -> Job:
    """Return a job that runs n rows through a frozen model, at most `batch` at a time."""
    chunks = [torch.rand(len(chunk), 3, 128, 128) for chunk in even_chunks(n, batch)]

    def forward_only() -> None:
        with torch.inference_mode():
            for chunk in chunks:
                model(chunk)

    def with_backward() -> None:
        for chunk in chunks:
            x = chunk.requires_grad_()
            torch.autograd.grad(model(x)[:, 0].sum(), x)

    return with_backward if backward else forward_only


def fastest_batch(model: nn.Module, backward: bool) -> int:
    """Return the batch size with the fastest rows."""
    times = {batch: seconds(raw_passes(model, 32, batch, backward)) for batch in BATCHES}
    return min(times, key=times.get)


def options_of(name: str, share: float) -> dict:
    """Return the options that fix the number of passes."""
    many = {"smooth_grad": {"n_samples": 50}, "integrated_gradients": {"n_steps": 50}}
    sampled = {"lime": {"segments": SEGMENTS}, "shapley": {"segments": SEGMENTS}, "rise": {}}
    options = many.get(name) or ({"n_samples": 1000, **sampled[name]} if name in sampled else {})
    return {key: max(4, round(share * value)) if isinstance(value, int) else value for key, value in options.items()}


def peers_of(name: str, model: nn.Module, picture: Tensor, n: int) -> dict[str, Job]:
    """Return the same explanation by other libraries, as far as they have it."""
    attr, x = captum.attr, picture.clone().requires_grad_()
    if name == "saliency":
        return {"Captum": lambda: attr.Saliency(model).attribute(x, 0)}
    if name == "integrated_gradients":
        return {
            "Captum, batches of 32": lambda: attr.IntegratedGradients(model).attribute(
                picture, target=0, n_steps=n, internal_batch_size=32
            ),
            "Captum, defaults": lambda: attr.IntegratedGradients(model).attribute(picture, target=0, n_steps=n),
        }
    if name == "smooth_grad":
        tunnel = attr.NoiseTunnel(attr.Saliency(model))
        settings = {"nt_samples": n, "stdevs": 0.15, "target": 0, "abs": False}
        return {
            "Captum, batches of 32": lambda: tunnel.attribute(x, nt_samples_batch_size=32, **settings),
            "Captum, batches of 1": lambda: tunnel.attribute(x, nt_samples_batch_size=1, **settings),
        }
    if name == "occlusion":
        settings = {"sliding_window_shapes": (3, 16, 16), "strides": (3, 8, 8), "target": 0}
        return {
            "Captum, batches of 32": lambda: attr.Occlusion(model).attribute(
                picture, perturbations_per_eval=32, **settings
            ),
            "Captum, defaults": lambda: attr.Occlusion(model).attribute(picture, **settings),
        }
    if name == "lime":

        def predict(pictures: np.ndarray) -> np.ndarray:
            with torch.no_grad():
                return model(torch.from_numpy(pictures).permute(0, 3, 1, 2).float()).numpy()

        def lime_image() -> None:
            image = picture[0].permute(1, 2, 0).double().numpy()
            settings = {"segmentation_fn": lambda _: SEGMENTS.numpy(), "batch_size": 32}
            LimeImageExplainer(random_state=0).explain_instance(image, predict, num_samples=n, **settings)

        mask = SEGMENTS.expand(1, 1, 128, 128)
        settings = {"target": 0, "n_samples": n, "feature_mask": mask}
        return {
            "lime_image": lime_image,
            "Captum, batches of 32": lambda: attr.Lime(model).attribute(picture, perturbations_per_eval=32, **settings),
            "Captum, defaults": lambda: attr.Lime(model).attribute(picture, **settings),
        }
    if name == "grad_cam":
        layer = last_map(model)

        def grad_cam_package() -> None:
            with pytorch_grad_cam.GradCAM(model=model, target_layers=[layer]) as explainer:
                explainer(input_tensor=picture, targets=[ClassifierOutputTarget(0)])

        return {
            "Captum": lambda: attr.LayerGradCam(model, layer).attribute(picture, target=0),
            "grad-cam": grad_cam_package,
        }
    return {}


def passes_of(name: str, model: nn.Module, picture: Tensor, options: dict) -> int:
    """Return the forward passes that the method makes, by the catalog; counted where that is an upper bound."""
    method = METHODS[name]
    if not method.at_most:
        return method.passes(n_regions=49, **options).forward
    count = [0]
    with model.register_forward_pre_hook(lambda _, args: count.__setitem__(0, count[0] + len(args[0]))):
        method.function(model, picture, 0, **options)
    return count[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=MODELS, default="resnet18")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--share", type=float, default=1.0, help="of the 50 or 1000 passes, for slow machines")
    parser.add_argument("--methods", help="names, separated by commas; all that explain a picture if left out")
    parser.add_argument("--no-peers", action="store_true")
    arguments = parser.parse_args()

    warnings.simplefilter("ignore")  # Captum announces its hooks
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = MODELS[arguments.model]().eval()  # not frozen: the grad-cam package fails with a frozen one
    frozen = copy.deepcopy(model).requires_grad_(False)
    best = fuse(frozen).to(memory_format=torch.channels_last)
    picture = nn.functional.interpolate(torch.rand(1, 3, 16, 16), size=(128, 128), mode="bicubic").clamp(0, 1)
    unsuitable = {"lcam", *(["cam"] if arguments.model == "homework" else [])}
    names = [name for name, method in METHODS.items() if method.explainer and name not in unsuitable]
    names = arguments.methods.split(",") if arguments.methods else names
    batch = {backward: fastest_batch(best, backward) for backward in (False, True)}

    print(f"{arguments.model}, one picture of 128², one thread; best batches: {batch[False]}, backward {batch[True]}")
    print(f"{'method':24}{'passes':>8}{'ours/s':>10}{'floor/s':>10}{'ratio':>8}   peers ÷ ours")
    for name in names:
        options = options_of(name, arguments.share)
        passes = passes_of(name, model, picture, options)
        backwards, many = METHODS[name].passes(n_regions=49, **options).backward, passes > 2
        backward = backwards == passes  # SISE's one backward pass is lost among its forward passes
        jobs = {
            "ours": lambda name=name, options=options: METHODS[name].function(model, picture, 0, **options),
            "floor": raw_passes(best if many else frozen, passes, batch[backward] if many else 1, backward),
        }
        if not arguments.no_peers:
            jobs |= peers_of(name, model, picture, passes)
        jobs["ours"]()  # imports and warms up
        times = {key: [] for key in jobs}
        for _ in range(arguments.repeat):
            for key, job in jobs.items():
                times[key].append(seconds(job))
        median = {key: statistics.median(values) for key, values in times.items()}
        ours, floor = median.pop("ours"), median.pop("floor")
        peers = "  ".join(f"{key} {value / ours:.2f}" for key, value in median.items())
        print(f"{name:24}{passes:>8}{ours:>10.3f}{floor:>10.3f}{ours / floor:>8.2f}   {peers}", flush=True)


if __name__ == "__main__":
    main()
