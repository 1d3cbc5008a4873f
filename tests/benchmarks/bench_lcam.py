"""L-CAM beside the methods it was compared with: average drop, increase in confidence, passes, seconds.

    python tests/benchmarks/bench_lcam.py --data FOOD11 [--model foodnet-photos] [--photos 100] [--method SISE,RISE-500]

AD (percent, small is good) and IC (percent, large is good) when only the top 100, 50 and 15 % of the map are seen; the
class is the predicted one. Passes are forward + backward, of the first photo; seconds are processor time a photo
on one thread. The table of Gkartzonika et al. 2022, arXiv 2209.11189, on our data.
"""

import argparse
import time
from functools import partial

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from hw_xai.evaluate.faithfulness import masked_confidence
from hw_xai.explain import METHODS, ada_sise, grad_cam, grad_cam_plus_plus, lcam, rise, score_cam, sidu, sise
from hw_xai.studies.pictures import counted
from hw_xai.vision.lcam import load as load_lcam
from hw_xai.vision.networks import load
from hw_xai.vision.preprocess import preprocessing


def rows(model_name: str, model: nn.Module) -> dict[str, partial]:
    """Return the explainers under the names of the table; the cheap ones first."""
    learned = {variant: load_lcam(f"lcam-{model_name}-{variant}", model) for variant in ("fm", "img")}
    return {
        "L-CAM-Fm": partial(lcam, learned=learned["fm"]),
        "L-CAM-Img": partial(lcam, learned=learned["img"]),
        "Grad-CAM": partial(grad_cam),
        "Grad-CAM++": partial(grad_cam_plus_plus),
        "Score-CAM": partial(score_cam),
        "SIDU": partial(sidu),
        "SISE": partial(sise),
        "ADA-SISE": partial(ada_sise),
        "RISE-500": partial(rise, n_samples=500),
        "RISE-4000": partial(rise),
    }


def photos(data: str, n: int, size: int) -> Tensor:
    """Return n validation photos (n, 3, H, W), chosen by a seed, or n dishes."""
    if data == "synthetic":
        from hw_xai.vision.dishes.synthetic import SyntheticFood11

        found: Dataset = SyntheticFood11(n, seed=1, transform=preprocessing(size))
    else:
        from hw_xai.vision.food11.layout import Food11

        found = Food11(data, "validation", transform=preprocessing(size))
    chosen = torch.randperm(len(found), generator=torch.Generator().manual_seed(0))[:n]
    return torch.stack([found[i][0] for i in chosen.tolist()])


def measure(explain: partial, model: nn.Module, images: Tensor) -> tuple[Tensor, float, float]:
    """Return the maps (N, 1, H, W), the forward passes and the processor seconds for one image."""
    few = images[:1]  # apart from the others: a model with a hook, such as the one that counts, is not made faster
    with counted(model) as passed:
        explain(model, few)
    start = time.process_time()
    maps = torch.cat([explain(model, image) for image in images.split(1)])
    return maps, sum(passed) / len(few), (time.process_time() - start) / len(images)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help='food-11 folder, or "synthetic"')
    parser.add_argument("--model", default="foodnet-photos", help="one with a shipped L-CAM (default: %(default)s)")
    parser.add_argument("--photos", type=int, default=100)
    parser.add_argument("--method", default="all", help="names of the table with commas between them, or all")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    model = load(arguments.model)
    images = photos(arguments.data, arguments.photos, model.input_size)
    explainers = rows(arguments.model, model)
    wanted = list(explainers) if arguments.method == "all" else arguments.method.split(",")
    print(f"{arguments.model}, {len(images)} pictures of {model.input_size}²")
    print(f"{'':18}{'AD/IC 100 %':>16}{'AD/IC 50 %':>16}{'AD/IC 15 %':>16}{'passes':>14}{'seconds':>10}")
    for name in wanted:
        explain = explainers[name]
        maps, forward, seconds = measure(explain, model, images)
        confidence = masked_confidence(model, images, maps)
        drop, increase = 100 * confidence.drop.mean(dim=0), 100 * confidence.increase.mean(dim=0)
        scores = "".join(f"{f'{ad:.1f} / {ic:.1f}':>16}" for ad, ic in zip(drop, increase, strict=True))
        backward = METHODS[explain.func.__name__].passes().backward
        print(f"{name:18}{scores}{f'{forward:.0f} + {backward}':>14}{seconds:>10.3f}", flush=True)


if __name__ == "__main__":
    main()
