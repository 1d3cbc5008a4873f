"""The same photo by two classes or two networks: each answer, the difference, and a slide."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from hw_xai.cli import main
from hw_xai.show import Item, Tile
from hw_xai.studies.comparing import difference
from hw_xai.studies.pictures import Explained
from hw_xai.vision import networks
from hw_xai.vision.dishes.synthetic import draw_dish

METHODS = ("--method", "grad_cam,input_x_gradient")


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.fromarray(draw_dish(9, 96, seed=9).image).save("one.jpg")


def few(name: str, *classes: str, size: int = 64, seed: int = 0) -> str:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = networks.build("mobilenet_v3_small", len(classes))
    networks.save(net, f"{name}.safetensors", "mobilenet_v3_small", classes, size)
    return f"{name}.safetensors"


def scaled(values: np.ndarray) -> np.ndarray:
    return values / np.abs(values).max()


def test_one_answer_has_a_slide(capsys):
    assert main(["explain", "one.jpg", "--model", few("net", "cat", "dog"), *METHODS]) == 0
    assert "explained 1 photo by 2 methods" in capsys.readouterr().out
    assert sorted(path.name for path in Path("explained").iterdir()) == ["index.html", "one", "one.npz"]
    with Image.open("explained/one/figure.png") as figure:
        assert figure.width > figure.height > 200


def test_two_classes_side_by_side_and_their_difference(capsys):
    assert main(["explain", "one.jpg", "--model", few("net", "cat", "dog"), *METHODS, "--target", "cat, Dog"]) == 0
    assert "explained 1 photo by 2 methods" in capsys.readouterr().out
    out = Path("explained")
    cat, dog, less = (np.load(out / f"one-{name}.npz") for name in ("cat", "dog", "cat-less-dog"))
    assert (cat["target"], dog["target"]) == (0, 1)
    for method in ("grad_cam", "input_x_gradient"):
        expected = scaled(cat[method].sum(axis=0)) - scaled(dog[method].sum(axis=0))
        np.testing.assert_allclose(less[method], expected, atol=1e-6)
        assert np.abs(expected).max() > 0.1
        assert (out / "one-cat-less-dog" / f"{method}.png").exists()
    with Image.open(out / "one" / "figure.png") as figure:
        assert figure.height > figure.width / 2, "three rows"
    page = (out / "index.html").read_text()
    assert all(title in page for title in ("one cat", "one dog", "one cat less dog"))
    assert "not read" not in page
    predicted = int(cat["probabilities"].argmax())
    other = ("cat", "dog")[1 - predicted]
    assert page.count(f"explained: {other}, {cat['probabilities'][1 - predicted]:.0%}") == 2, "in the strip and its row"


def test_predictions_are_counted_once():
    Image.fromarray(draw_dish(9, 96, seed=9).image).save("9_9.jpg")
    for target, tally in ((), True), (("--target", "Soup,Bread"), False):
        model = ("--model", "foodnet-synthetic", "--method", "saliency", *target)
        assert main(["explain", "one.jpg", "9_9.jpg", *model, "--out", "food"]) == 0
        assert ("predictions are right" in Path("food/index.html").read_text()) == tally


def test_two_networks_of_other_sizes_and_classes():
    models = few("small", "cat", "dog") + "," + few("large", "cat", "dog", "cow", size=96, seed=1)
    assert main(["explain", "one.jpg", "--model", models, *METHODS]) == 0
    out = Path("explained")
    assert np.load(out / "one-small.npz")["input_x_gradient"].shape == (3, 64, 64)
    assert np.load(out / "one-large.npz")["input_x_gradient"].shape == (3, 96, 96)
    assert np.load(out / "one-small-less-large.npz")["input_x_gradient"].shape == (64, 64)


def test_what_one_of_them_cannot_explain_has_no_difference(capsys):
    models = few("net", "cat", "dog") + ",foodnet-synthetic"
    assert main(["explain", "one.jpg", "--model", models, "--method", "saliency,cam"]) == 0
    assert "one net: CAM: `model` must" in capsys.readouterr().err
    assert list(np.load("explained/one-net-less-foodnet-synthetic.npz")) == ["saliency"]


def test_a_comma_in_the_name_of_a_class_is_no_list():
    assert (
        main(["explain", "one.jpg", "--model", few("net", "cat, black", "dog"), *METHODS, "--target", "cat, black"])
        == 0
    )
    assert np.load("explained/one.npz")["target"] == 0


def test_mistakes(fails):
    model = few("net", "cat", "dog")
    said = fails("explain", "one.jpg", "--model", model, *METHODS, "--target", "cat,cow")
    assert 'one of cat, dog, got "cow"' in said
    said = fails("explain", "one.jpg", "--model", "resnet18,resnet34", "--weights", "x.pth", *METHODS)
    assert "--weights must come with one --model, got several" in said


def test_the_difference_is_of_shares_of_the_strongest_place():
    def answer(heatmap: np.ndarray | None) -> Explained:
        tile = Tile("m", "M", heatmap, False, error=None if heatmap is not None else "it cannot")
        return Explained(Item("one", np.zeros((4, 4, 3), np.uint8), "cat", tiles=[tile]), {})

    a, b = np.array([[2.0, 0], [0, 1]]), np.array([[0.0, 8], [0, 4]])
    np.testing.assert_array_equal(difference("one", ("A", "B"), answer(a), answer(b)).arrays["m"], [[1, -1], [0, 0]])
    nothing = difference("one", ("A", "B"), answer(a), answer(0 * b))
    np.testing.assert_array_equal(nothing.arrays["m"], a / 2)
    assert difference("one", ("A", "B"), answer(a), answer(None)).item.tiles[0].error == "it cannot"
