"""After training: figures by hand, the share chosen, and the command from photos to a network that knows its limits."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from hw_xai.cli import main
from hw_xai.vision.judged import SHARES, answers, choose_share, figures
from hw_xai.vision.networks import FoodNet, load
from hw_xai.vision.photos import Photo
from hw_xai.vision.unknown import load_familiar


def photo(target: int, dish: str, value: int = 100) -> Photo:
    return Photo(f"training/{target}_0", np.full((32, 32, 3), value, np.uint8), target, dish)


def test_figures_by_hand():
    photos = [photo(0, "bun"), photo(0, "bun"), photo(0, "bun"), photo(2, "cake")]
    scores = 2 * torch.nn.functional.one_hot(torch.tensor([0, 0, 0, 0]), 11).float()
    made = figures(scores, photos)
    assert (made["found"], made["by_dish"], made["dishes"]) == (0.75, 0.5, 2)
    assert made["per_class"] == {"Bread": {"found": 3, "of": 3}, "Dessert": {"found": 0, "of": 1}}
    assert made["by_dish_interval"] == (0.0, 1.0)
    sure = scores.softmax(1).max().item()
    assert made["calibration_error"] == pytest.approx(abs(sure - 0.75), abs=1e-6)


def test_the_share_chosen_finds_most_and_leaves_the_network_as_it_was():
    torch.manual_seed(0)
    before, after = FoodNet().eval(), FoodNet().eval()
    photos = [photo(i, str(i), 20 * i) for i in range(11)]
    net = FoodNet().eval()
    kept = {key: value.clone() for key, value in net.state_dict().items()}
    share, tried = choose_share(before.state_dict(), after.state_dict(), net, photos, 32)
    assert list(tried) == list(SHARES)
    assert tried[share] == max(tried.values())
    assert all(tried[other] < tried[share] for other in SHARES if other < share)
    assert all(torch.equal(value, kept[key]) for key, value in net.state_dict().items())
    right = answers(before, photos, 32)[1].argmax(1) == torch.arange(11)
    assert tried[0.0] == pytest.approx(right.double().mean().item())


def archive(root: Path, n_each: int) -> Path:
    """One dish a class and one that is held out, of photos in one colour."""
    rows = ["split,class,index,dish"]
    for split in ("training", "validation"):
        (root / split).mkdir(parents=True)
        for target in range(11):
            for index in range(n_each):
                colour = (23 * target, 255 - 23 * target, index)
                Image.new("RGB", (24, 24), colour).save(root / split / f"{target}_{index}.png")
                rows.append(f"{split},{target},{index},{'new' if index == 0 and target < 2 else target}")
    (root / "manifest.csv").write_text("\n".join(rows))
    return root


@pytest.fixture
def asked(tmp_path) -> list[str]:
    (tmp_path / "held.txt").write_text("[unseen]\nnew\n")
    data = archive(tmp_path / "a", 2)
    more, sharp = archive(tmp_path / "b", 2), archive(tmp_path / "c", 2)
    given = ["train-broad", "--data", data, "--more", more, "--sharper", sharp, "--hold-out", tmp_path / "held.txt"]
    given += ["--out", tmp_path / "run", "--start", "nothing", "--epochs", 1, "--batch-size", 8]
    return [str(word) for word in [*given, "--train-size", 32, "--eval-size", 32, "--threads", 1]]


def test_the_command_makes_a_network_that_knows_its_limits(asked, tmp_path, capsys):
    assert main(asked) == 0
    assert "unseen" in capsys.readouterr().out
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    assert 0 <= report["strangers"]["unknown"] <= 1
    assert report["groups"].keys() == {"unseen", "validation"}
    assert report["groups"]["unseen"]["photos"] == 8  # two in each split of --data and of --more but validation's
    familiar = load_familiar(tmp_path / "run" / "familiar.safetensors")
    assert familiar.threshold == report["threshold"]
    assert load(tmp_path / "run" / "best.safetensors").input_size == 32


@pytest.mark.parametrize(
    ("held", "sentence"),
    [("[cuisines]\nnew\n", "under [unseen]"), ("moussaka\n", "but moussaka is not"), (None, "there is none at")],
)
def test_what_the_command_does_not_take(asked, held, sentence, tmp_path, capsys):
    (tmp_path / "held.txt").unlink()
    if held is not None:
        (tmp_path / "held.txt").write_text(held)
    assert main(asked) == 2
    assert sentence in capsys.readouterr().err
