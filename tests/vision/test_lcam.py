"""Training L-CAM: a killed run resumes to the same weights, files say whose they are, mistakes are told."""

import pytest
import torch
from PIL import Image
from torch.utils.data import Dataset

from hw_xai.cli import main
from hw_xai.errors import UserError
from hw_xai.explain import LearnedCAM
from hw_xai.training.recipe import LcamRecipe
from hw_xai.vision.lcam import fingerprint, load, save, train

TINY = LcamRecipe(epochs=2, batch_size=8, lr=0.3)


class Squares(Dataset):
    """The pictures of the fixture `squares`; at the item number `stops_at` somebody pulls the plug."""

    def __init__(self, squares, stops_at: int | None = None):
        self.pictures, self.places = squares(20, seed=3)
        self.asked, self.stops_at = 0, stops_at

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, index: int):
        self.asked += 1
        if self.asked == self.stops_at:
            raise KeyboardInterrupt
        return self.pictures[index], self.places[index]


@pytest.mark.parametrize("variant", ["fm", "img"])
def test_an_interrupted_run_resumes_to_the_same_weights(variant, trained_net, squares, tmp_path):
    recipe = LcamRecipe(**{**TINY.__dict__, "variant": variant})
    expected = train(trained_net, Squares(squares), recipe, tmp_path / "whole", progress=False)
    for stops_at in (14, 20):  # the first item is asked for once more, to learn the model's shapes
        with pytest.raises(KeyboardInterrupt, match="the same command goes on from"):
            train(trained_net, Squares(squares, stops_at), recipe, tmp_path, checkpoint_every=1, progress=False)
    resumed = train(trained_net, Squares(squares), recipe, tmp_path, progress=False)
    assert torch.equal(resumed.weight, expected.weight)
    assert torch.equal(resumed.bias, expected.bias)
    assert expected.weight.abs().max() > 0.01
    losses = torch.load(tmp_path / "last.pt", weights_only=True)["losses"]
    assert len(losses) == 6
    loaded = load(tmp_path / "lcam.safetensors", trained_net)
    assert loaded.variant == variant
    torch.testing.assert_close(loaded.weight, expected.weight.float())


def test_a_finished_run_is_not_trained_again(trained_net, squares, tmp_path):
    train(trained_net, Squares(squares), TINY, tmp_path, progress=False)
    before = (tmp_path / "last.pt").stat().st_mtime_ns
    train(trained_net, Squares(squares), TINY, tmp_path, progress=False)
    assert (tmp_path / "last.pt").stat().st_mtime_ns == before


def test_another_recipe_or_model_in_the_same_folder_is_refused(trained_net, small_net, squares, tmp_path):
    train(trained_net, Squares(squares), TINY, tmp_path, progress=False)
    with pytest.raises(UserError, match="epochs was 2, is 3"):
        train(trained_net, Squares(squares), LcamRecipe(**{**TINY.__dict__, "epochs": 3}), tmp_path, progress=False)
    with pytest.raises(UserError, match="classifier was [0-9a-f]{16}, is"):
        train(small_net, Squares(squares), TINY, tmp_path, progress=False)
    (tmp_path / "last.pt").write_bytes(b"half of a")
    with pytest.raises(UserError, match="last.pt is damaged: delete it"):
        train(trained_net, Squares(squares), TINY, tmp_path, progress=False)


def test_files_are_small_and_say_whose_they_are(trained_net, small_net, tmp_path):
    path = tmp_path / "a.safetensors"
    save(LearnedCAM(6, 5, "img"), path, trained_net)
    assert path.stat().st_size < 1000
    assert load(path, trained_net).variant == "img"
    with pytest.raises(UserError, match="was trained beside another model"):
        load(path, small_net)
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(UserError, match="must be a safetensors file"):
        load(path, trained_net)
    with pytest.raises(UserError, match='no L-CAM is called "lcam-resnet"'):
        load("lcam-resnet", trained_net)


def test_the_fingerprint_is_of_every_weight(small_net):
    before = fingerprint(small_net)
    assert fingerprint(small_net) == before
    small_net.stem[1].running_mean[3] += 1e-6
    assert fingerprint(small_net) != before


def test_the_command_trains_and_explain_uses_it(tmp_path, capsys):
    for i in range(3):
        Image.new("RGB", (40, 30), (80 * i, 20, 200 - 60 * i)).save(tmp_path / f"{i}.png")
    arguments = ["train-lcam", "--model", "foodnet-synthetic", "--data", str(tmp_path), "--out", str(tmp_path / "run")]
    assert main([*arguments, "--epochs", "1", "--images", "2", "--batch-size", "2", "--variant", "img"]) == 0
    assert "--method lcam --lcam" in capsys.readouterr().out
    file = str(tmp_path / "run" / "lcam.safetensors")
    explain = ["explain", str(tmp_path / "0.png"), "--method", "lcam", "--out", str(tmp_path / "out"), "--lcam", file]
    assert main([*explain, "--model", "foodnet-synthetic"]) == 0
    assert "1 forward, 0 backward" in (tmp_path / "out" / "index.html").read_text()
    capsys.readouterr()
    assert main([*explain, "--model", "foodnet-photos"]) == 2
    assert (
        "was trained beside another model: train one for this model with hw-xai train-lcam" in capsys.readouterr().err
    )


def test_a_model_without_one_is_told_how_to_get_one(tmp_path, capsys):
    from hw_xai.vision.networks import build
    from hw_xai.vision.networks import save as save_model

    Image.new("RGB", (40, 40)).save(tmp_path / "0.png")
    save_model(build("foodnet"), tmp_path / "mine.safetensors", "foodnet")
    explain = ["explain", str(tmp_path / "0.png"), "--method", "lcam", "--out", str(tmp_path / "out")]
    assert main([*explain, "--model", str(tmp_path / "mine.safetensors")]) == 2
    assert "`learned` must be a LearnedCAM trained on this model, got None: train one" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--epochs", "0"], "--epochs must be between 1 and"),
        (["--lr", "-1"], "--lr must be between 0 and"),
        (["--variant", "both"], '--variant must be fm or img, got "both"'),
        (["--model", "foodnet-fotos"], 'Did you mean "foodnet-photos"?'),
        (["--data", "nowhere"], 'must exist, but "nowhere" does not'),
    ],
)
def test_mistakes_are_told(arguments, sentence, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = ["train-lcam", "--model", "foodnet-synthetic", "--data", "synthetic", "--images", "1", "--out", "run"]
    assert main([*given, *arguments]) == 2
    assert sentence in capsys.readouterr().err
