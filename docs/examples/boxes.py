"""RISE for a detector, as D-RISE: which pixels make it find this thing, in this box?

python docs/examples/boxes.py
"""

import torch
from torch import Tensor

from hw_xai.explain import BoxScores, occlusion, rise

RED, GREEN = 1, 2


def detect(pictures: list[Tensor]) -> list[dict[str, Tensor]]:
    """Find a red and a green thing in each picture (3, H, W): torchvision's detectors return the like."""
    found = []
    for picture in pictures:
        boxes, scores = [], []
        for channel in (0, 1):
            strength = (picture[channel] - picture.mean(dim=0)).clamp(min=0)
            rows, columns = (strength > 0.1).nonzero(as_tuple=True)
            corners = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1] if len(rows) else [0, 0, 1, 1]
            boxes.append(torch.tensor([float(corner) for corner in corners]))
            scores.append(strength.sum() / 100)
        found.append({"boxes": torch.stack(boxes), "labels": torch.tensor([RED, GREEN]), "scores": torch.stack(scores)})
    return found


def main() -> None:
    photo = torch.full((1, 3, 48, 48), 0.2)
    photo[0, 0, 6:18, 6:18] = photo[0, 1, 28:40, 28:40] = 0.9
    # as a detector says where: x1, y1, x2, y2
    scores = BoxScores(detect, box=[28, 28, 40, 40], n_classes=3)
    print("scores of nothing, red, green in the box:", [round(s, 2) for s in scores(photo)[0].tolist()])
    maps = {
        "RISE": rise(scores, photo, GREEN, n_samples=500),
        "occlusion": occlusion(scores, photo, GREEN, window=6, stride=3),
    }
    for name, found in maps.items():
        row, column = divmod(int(found[0, 0].argmax()), 48)
        print(f"{name:9} is strongest at row {row}, column {column}: the green square is at 28 to 39")


if __name__ == "__main__":
    main()
