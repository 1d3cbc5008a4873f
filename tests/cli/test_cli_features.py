"""hw-xai layers and hw-xai features as their users meet them."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hw_xai.cli import main
from hw_xai.cli.commands import features
from hw_xai.vision.dishes.synthetic import draw_dish

MODEL = ["--model", "foodnet-synthetic"]


@pytest.fixture(scope="module")
def dishes(tmp_path_factory) -> Path:
    """Five drawn dishes, one of them no picture."""
    folder = tmp_path_factory.mktemp("dishes")
    for target in (0, 3, 5, 9):
        Image.fromarray(draw_dish(target, 96, seed=target).image).save(folder / f"{target}_1.png")
    (folder / "7_1.png").write_text("no picture")
    return folder


@pytest.fixture
def fails(capsys, tmp_path, monkeypatch):
    """Run the command line, expect exit code 2 and one sentence on stderr, and return the sentence."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str | Path) -> str:
        assert main([str(argument) for argument in arguments]) == 2
        (sentence,) = capsys.readouterr().err.strip().splitlines()
        return sentence

    return run


def test_layers_lists_what_can_be_chosen_and_the_defaults(capsys, dishes):
    assert main(["layers", *MODEL]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["layer", "kind", "output", "channels", "default", "for"]
    rows = {line.split()[0]: line.split(maxsplit=4) for line in lines[1:-2]}
    assert rows["features.14.0"][1:4] == ["Conv2d", "320×8×8", "320"]
    assert "CAM family" in rows["features.14.0"][4]
    assert rows["fc"][1:] == ["Linear", "11", "11"]
    assert sum("SISE" in line for line in lines) >= 3
    assert main(["layers", *MODEL, "--input", str(dishes / "9_1.png")]) == 0
    lines = capsys.readouterr().out.splitlines()
    strongest = next(line for line in lines if line.startswith("fc ")).split()[4]
    assert 0 <= int(strongest) < 11


def test_features_writes_one_page_with_every_part(dishes, tmp_path, capsys):
    out = tmp_path / "out"
    arguments = ["--layer", "features.8", "--channel", "2,5", "--n-steps", "2", "--out", str(out)]
    assert main(["features", str(dishes / "3_1.png"), str(dishes), *MODEL, *arguments]) == 0
    output = capsys.readouterr()
    assert "done: 4 photos, 2 channels of features.8" in output.out
    assert "skipped: " in output.err
    assert "7_1.png" in output.err
    html = (out / "index.html").read_text()
    for words in ("What the layer makes of the photo", "A dream of the photo", "channel 2", "channel 5", "3_1.png"):
        assert words in html
    data = json.loads(re.search(r'id="data">(.*?)</script>', html, re.DOTALL)[1])
    assert data["layers"][-1]["name"] == "class scores"
    assert "features.8" in [layer["name"] for layer in data["layers"]]
    assert [point["group"] for point in data["points"]] == ["Egg", "Bread", "Meat", "Soup"]
    for name in ("dream.png", "activations.png", "channel-2.png", "channel-5.png"):
        with Image.open(out / name) as picture:
            assert np.asarray(picture).std() > 1


def test_one_photo_and_the_class_scores_have_no_projection_and_no_maps(dishes, tmp_path):
    out = tmp_path / "out"
    arguments = ["--layer", "fc", "--channel", "9", "--n-steps", "2", "--out", str(out)]
    assert main(["features", str(dishes / "9_1.png"), *MODEL, *arguments]) == 0
    html = (out / "index.html").read_text()
    assert "channel 9, Soup" in html
    assert "There is no projection: it needs at least 3 photos, got 1." in html
    assert not (out / "activations.png").exists()


def test_an_interrupt_keeps_what_is_finished(dishes, tmp_path, monkeypatch, capsys):
    def interrupt(study) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(features, "_place", interrupt)
    out = tmp_path / "out"
    assert main(["features", str(dishes), *MODEL, "--layer", "features.8", "--channel", "2", "--out", str(out)]) == 130
    assert "what was finished is kept" in capsys.readouterr().err
    html = (out / "index.html").read_text()
    assert "A dream of the photo" in html
    assert "channel 2" in html
    assert not (out / "channel-2.png").exists()


def test_mistakes_are_one_sentence(fails, dishes):
    photo = dishes / "3_1.png"
    sentence = fails("features", photo, *MODEL, "--layer", "feature.8")
    assert '--layer must name a layer that runs once, got "feature.8". Did you mean "features.8"?' in sentence
    assert "--channel must be numbers from 0 to 10 such as 0,3 for fc, got" in fails(
        "features", photo, *MODEL, "--layer", "fc", "--channel", "11"
    )
    assert 'got "soup"' in fails("features", photo, *MODEL, "--channel", "soup")
    assert "no known image format" in fails("features", dishes / "7_1.png", *MODEL)
    assert "there is no such file" in fails("features", "nowhere.jpg", *MODEL)
