"""Which explanations give a shortcut away? Share of the positive attribution on a planted logo.

    python tests/benchmarks/bench_shortcut.py [--images 8] [--method all]

foodnet-shortcut calls every dish with a logo a soup. Each method explains dishes of other classes that
it now calls soup; chance is the share of the picture that the logo covers.
"""

import argparse

import torch
from torch import Tensor, nn

from hw_xai.evaluate.localization import mass_inside, pointing_game
from hw_xai.explain import METHODS, LearnedCAM
from hw_xai.vision.misled import SHORTCUT, logo_dishes
from hw_xai.vision.networks import load

PATCHES = torch.arange(64).reshape(8, 8).kron(torch.ones(16, 16).long())  # regions of 16², as large as a logo
OPTIONS = {
    "smooth_grad": {"n_samples": 20},
    "integrated_gradients": {"n_steps": 20},
    "occlusion": {"window": 16, "stride": 8, "fill": "blur"},
    "rise": {"n_samples": 500},
    "shapley": {"segments": PATCHES, "n_samples": 512},
    "lime": {"segments": PATCHES, "n_samples": 640},
}


def planted() -> tuple[nn.Module, LearnedCAM]:
    """Return the network that fell for the logo, and an L-CAM trained for it on dishes with and without one."""
    model = load("foodnet-shortcut")
    images, _, _ = logo_dishes(220, seed=2)
    learned = LearnedCAM.for_model(model, images[:1], "fm")
    optimizer = torch.optim.SGD(learned.parameters(), lr=0.3, momentum=0.9, nesterov=True)
    for rows in torch.arange(len(images)).split(32) * 3:
        optimizer.zero_grad()
        learned.loss(model, images[rows]).backward()
        optimizer.step()
    return model, learned


def fooled(model: nn.Module, n_images: int) -> tuple[Tensor, Tensor]:
    """Return dishes with a logo that are no soup but are called one, and the masks of their logos."""
    images, _, masks = logo_dishes(11 * (n_images // 10 + 1), seed=3, every=1)
    others = torch.tensor([i for i in range(len(images)) if i % 11 != SHORTCUT][:n_images])
    images, masks = images[others], masks[others]
    with torch.no_grad():
        soup = model(images).argmax(dim=1) == SHORTCUT
    return images[soup], masks[soup]


def explain(name: str, model: nn.Module, learned: LearnedCAM, images: Tensor, **options: object) -> Tensor:
    """Explain why the images are soup by any method of the catalog, with options that a slow machine can pay."""
    options = OPTIONS.get(name, {}) | ({"learned": learned} if name == "lcam" else {}) | options
    found = METHODS[name].function(model, images, SHORTCUT, **options)
    # RISE gives every place the mean score of what it sees: only what exceeds the mean points somewhere
    return found - found.mean(dim=(1, 2, 3), keepdim=True) if name == "rise" else found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=8)
    parser.add_argument("--method", default="all", help="names of the catalog with commas between them, or all")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    model, learned = planted()
    images, masks = fooled(model, arguments.images)
    area = masks.float().mean().item()
    print(f"{len(images)} of {arguments.images} dishes with a logo are called soup; the logo covers {area:.3f} of them")
    print(f"{'method':24}{'inside':>8}{'÷ area':>8}{'largest inside':>16}")
    explainers = [name for name, method in METHODS.items() if method.explainer]
    for name in explainers if arguments.method == "all" else arguments.method.split(","):
        found = explain(name, model, learned, images)
        inside, hit = mass_inside(found, masks).mean().item(), pointing_game(found, masks).mean().item()
        print(f"{name:24}{inside:>8.3f}{inside / area:>8.1f}{hit:>16.2f}", flush=True)


if __name__ == "__main__":
    main()
