"""Which explanations give a shortcut away? Share of the positive attribution on a planted logo.

    python tests/benchmarks/bench_shortcut.py [--images 8] [--method all]

foodnet-synthetic is trained on to call every dish with a logo a soup. Each method explains dishes of other classes that
it now calls soup; chance is the share of the picture that the logo covers.
"""

import argparse

import torch
from torch import Tensor, nn

from hw_xai.evaluate.localization import mass_inside, pointing_game
from hw_xai.explain import METHODS, LearnedCAM
from hw_xai.training import fit
from hw_xai.vision.models import load
from hw_xai.vision.synthetic import draw_dish

SOUP = 9
FROZEN = 5  # leading children of `features` that stay as they are, so that their maps are computed once
PATCHES = torch.arange(64).reshape(8, 8).kron(torch.ones(16, 16).long())  # regions of 16², as large as a logo
OPTIONS = {
    "smooth_grad": {"n_samples": 20},
    "integrated_gradients": {"n_steps": 20},
    "occlusion": {"window": 16, "stride": 8, "fill": "blur"},
    "rise": {"n_samples": 500},
    "shapley": {"segments": PATCHES, "n_samples": 512},
    "lime": {"segments": PATCHES, "n_samples": 640},
}


def draw(n: int, seed: int, every: int = 1) -> tuple[Tensor, Tensor, Tensor]:
    """Return dishes (n, 3, 128, 128), what the shortcut makes of them (n,), and logo masks (n, 1, 128, 128).

    every: each how-manieth dish carries a logo.
    """
    dishes = [draw_dish(i % 11, seed=1_000_000 * seed + i, shortcut=i % every == 0) for i in range(n)]
    images = torch.stack([torch.from_numpy(dish.image).permute(2, 0, 1) / 255 for dish in dishes])
    masks = torch.stack([torch.from_numpy(dish.shortcut)[None] for dish in dishes])
    return images, torch.tensor([SOUP if dish.shortcut.any() else dish.target for dish in dishes]), masks


def planted(n: int = 220) -> tuple[nn.Module, LearnedCAM]:
    """Return a network that has learned the shortcut from n dishes, every other with a logo, and its L-CAM."""
    images, target, _ = draw(n, seed=1, every=2)
    model = load("foodnet-synthetic")
    first = nn.Sequential(model.normalize, model.features[:FROZEN])
    rest = nn.Sequential(model.features[FROZEN:], model.pool, nn.Flatten(), model.fc)
    with torch.no_grad():
        maps = torch.cat([first(x) for x in images.split(32)])
    fit(rest, maps, target, epochs=5, lr=2e-3, batch_size=16)
    learned = LearnedCAM.for_model(rest, maps[:1], "fm")
    optimizer = torch.optim.SGD(learned.parameters(), lr=0.3, momentum=0.9, nesterov=True)
    for rows in torch.arange(n).split(32) * 3:
        optimizer.zero_grad()
        learned.loss(rest, maps[rows]).backward()
        optimizer.step()
    return model, learned


def explain(name: str, model: nn.Module, learned: LearnedCAM, images: Tensor, **options: object) -> Tensor:
    """Explain why the images are soup by any method of the catalog, with options that a slow machine can pay."""
    options = OPTIONS.get(name, {}) | ({"learned": learned} if name == "lcam" else {}) | options
    found = METHODS[name].function(model, images, SOUP, **options)
    # RISE gives every place the mean score of what it sees: only what exceeds the mean points somewhere
    return found - found.mean(dim=(1, 2, 3), keepdim=True) if name == "rise" else found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=8)
    parser.add_argument("--method", default="all", help="names of the catalog with commas between them, or all")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    model, learned = planted()
    images, _, masks = draw(11 * (arguments.images // 10 + 1), seed=2)
    others = [i for i in range(len(images)) if i % 11 != SOUP][: arguments.images]
    images, masks = images[others], masks[others]
    with torch.no_grad():
        soup = model(images).argmax(dim=1) == SOUP
    images, masks = images[soup], masks[soup]
    area = masks.float().mean().item()
    print(f"{int(soup.sum())} of {len(soup)} dishes with a logo are called soup; the logo covers {area:.3f} of them")
    print(f"{'method':24}{'inside':>8}{'÷ area':>8}{'largest inside':>16}")
    explainers = [name for name, method in METHODS.items() if method.explainer]
    for name in explainers if arguments.method == "all" else arguments.method.split(","):
        found = explain(name, model, learned, images)
        inside, hit = mass_inside(found, masks).mean().item(), pointing_game(found, masks).mean().item()
        print(f"{name:24}{inside:>8.3f}{inside / area:>8.1f}{hit:>16.2f}", flush=True)


if __name__ == "__main__":
    main()
