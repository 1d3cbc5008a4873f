"""The commands that look at a network open any: other classes than food-11's, somebody's weights, a folder of a hub."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image

from hw_xai.cli import main
from hw_xai.vision import networks
from hw_xai.vision.dishes.synthetic import draw_dish

QUICK = ("--method", "saliency")


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """A folder of its own, with two photos: one is called as food-11 calls its soups."""
    monkeypatch.chdir(tmp_path)
    for name in ("cat.jpg", "9_9.jpg"):
        Image.fromarray(draw_dish(9, 96, seed=9).image).save(name)


def few(*classes: str) -> str:
    torch.manual_seed(0)
    net = networks.build("mobilenet_v3_small", len(classes))
    networks.save(net, "few.safetensors", "mobilenet_v3_small", classes, 64)
    return "few.safetensors"


def test_two_classes(capsys):
    assert main(["explain", "cat.jpg", "--model", few("cat", "dog"), *QUICK]) == 0
    assert "explained 1 photo by 1 method" in capsys.readouterr().out
    assert np.load("explained/cat.npz")["probabilities"].shape == (2,)
    page = Path("explained/index.html").read_text()
    assert "dog" in page


def test_the_target_is_one_of_the_models_classes(fails):
    model = few("cat", "dog", "cow")
    assert main(["explain", "cat.jpg", "--model", model, *QUICK, "--target", "Dog"]) == 0
    assert np.load("explained/cat.npz")["target"] == 1
    said = fails("explain", "cat.jpg", "--model", model, *QUICK, "--target", "Soup")
    assert 'class must be 0 to 2 or one of cat, dog, cow, got "Soup"' in said


def test_a_file_name_tells_a_class_only_to_a_network_of_food_11():
    assert main(["explain", "9_9.jpg", "cat.jpg", "--model", few("cat", "dog", "cow"), *QUICK]) == 0
    assert "Soup" not in Path("explained/index.html").read_text()
    assert main(["explain", "9_9.jpg", "--model", "foodnet-synthetic", *QUICK, "--out", "food"]) == 0
    assert "Soup" in Path("food/index.html").read_text()


TINY = """
from torch import nn
def net():
    made = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    made.input_size, made.classes = 32, ("cat", "dog")
    return made
"""


def test_every_command_that_takes_a_model_takes_a_function_of_a_module(capsys):
    Path("own_models.py").write_text(TINY)
    model = ["--model", "own_models:net", "--device", "cpu"]
    assert main(["layers", *model]) == 0
    assert "CAM family" in capsys.readouterr().out
    assert main(["explain", "cat.jpg", *model, *QUICK, "--target", "dog"]) == 0
    few_pictures = ["--images", "1", "--method", "gradient", "--scores", "faithfulness", "--jobs", "1"]
    assert main(["evaluate", *model, *few_pictures]) == 0
    assert main(["features", "cat.jpg", *model, "--n-steps", "1", "--channel", "0"]) == 0
    lcam = ["--data", "synthetic", "--images", "4", "--epochs", "1", "--batch-size", "2", "--out", "lcam"]
    assert main(["train-lcam", *model, *lcam]) == 0


def test_a_sentence_of_the_library_is_no_traceback(fails):
    Path("own_models.py").write_text(TINY)
    said = fails("evaluate", "--model", "own_models:net", "--size", "16", "--images", "1", "--method", "random")
    assert "--size must be at least 32 pixels, got 16" in said


def test_somebodys_weights(capsys):
    net = torchvision.models.mobilenet_v3_small(weights=None, num_classes=2)
    torch.save({"state_dict": net.state_dict()}, "own.pth")
    given = ["--model", "mobilenet_v3_small", "--weights", "own.pth", "--classes", "cat,dog"]
    assert main(["explain", "cat.jpg", *given, *QUICK]) == 0
    assert "dog" in Path("explained/index.html").read_text()


def test_a_device_that_is_not_there_is_one_sentence(fails):
    if not torch.cuda.is_available():
        said = fails("explain", "cat.jpg", *QUICK, "--device", "cuda")
        assert "--device must be there, but PyTorch finds no cuda here" in said
    assert "invalid choice" in fails("layers", "--device", "gpu")


def test_mistakes_name_the_flags(fails):
    assert "--weights must be a file" in fails("layers", "--model", "resnet18", "--weights", "nowhere.pth")
    assert "--classes must name the 2 classes" in fails("layers", "--model", few("cat", "dog"), "--classes", "cat")
    assert "--model must name a function" in fails("layers", "--model", "nowhere_at_all:net")


BREAKS = """
from torch import nn
class Fragile(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
        self.input_size = 32
    def forward(self, x):
        if x.requires_grad:
            raise RuntimeError("no gradients in this house")
        return self.net(x)
def net(): return Fragile()
def three():
    made = Fragile()
    made.net[4] = nn.Linear(4, 3)
    return made
"""


def test_a_network_that_breaks_inside_costs_the_method_not_the_run(capsys, fails):
    Path("fragile_models.py").write_text(BREAKS)
    model = ["--model", "fragile_models:net"]
    assert main(["explain", "cat.jpg", *model, "--method", "saliency,occlusion"]) == 0
    assert "no gradients in this house" in capsys.readouterr().err
    few = ["--images", "1", "--scores", "faithfulness", "--jobs", "1"]
    assert main(["evaluate", *model, "--method", "gradient,random", *few]) == 0
    assert "RuntimeError: no gradients in this house" in capsys.readouterr().err
    said = fails("evaluate", *model, "--twin", "fragile_models:three", "--method", "random", *few)
    assert "--twin must tell the 2 classes of the model apart, got 3" in said
