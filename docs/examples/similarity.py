"""Explain an encoder, as CLIP's: which part of a drawn dish makes it like another picture?

python docs/examples/similarity.py
"""

import torch
from torch import Tensor, nn

from hw_xai.explain import SimilarityScores, integrated_gradients, occlusion
from hw_xai.vision import CLASSES, draw_dish, load


def picture(target: int, seed: int) -> Tensor:
    """Return a drawn dish (1, 3, 128, 128)."""
    return torch.from_numpy(draw_dish(target, seed=seed).image).permute(2, 0, 1)[None] / 255


def main() -> None:
    network = load("foodnet-synthetic")
    network.fc = nn.Identity()  # without its head it returns a vector for each picture: any encoder does
    others = [CLASSES.index(name) for name in ("Egg", "Rice", "Soup")]
    with torch.no_grad():
        references = network(torch.cat([picture(target, seed=7) for target in others]))  # (3, D); for CLIP, of texts
    scores, photo = SimilarityScores(network, references), picture(others[0], seed=3)
    mask = torch.from_numpy(draw_dish(others[0], seed=3).mask)
    print("cosine with an egg, rice, soup:", [round(s, 2) for s in scores(photo)[0].tolist()])
    maps = {
        "occlusion": occlusion(scores, photo, 0, window=24, stride=12),
        "IG": integrated_gradients(scores, photo, 0, n_steps=20),
    }
    for name, found in maps.items():
        speaks_for = found[0].sum(dim=0).clamp(min=0)
        share = float(speaks_for[mask].sum() / speaks_for.sum())
        print(f"{name:9} {share:.0%} of what makes it like the egg lies on the food")


if __name__ == "__main__":
    main()
