"""hw-xai as its users meet it: what it writes, and one sentence with exit code 2 for each mistake."""

import errno
import os
import signal
import subprocess
import sys
import time
import zipfile
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from hw_xai.cli import main
from hw_xai.vision.dishes.synthetic import draw_dish
from hw_xai.vision.networks import Classifier

QUICK = ["--model", "foodnet-synthetic", "--method", "saliency"]


def dish(path: Path, target: int = 3, mode: str = "RGB", **options) -> Path:
    Image.fromarray(draw_dish(target, 160, seed=target).image).convert(mode).save(path, **options)
    return path


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Work in an empty folder: a command without --out writes into the current one."""
    monkeypatch.chdir(tmp_path)


def test_explain_writes_a_page_pictures_and_raw_maps(tmp_path, capsys):
    photos = [dish(tmp_path / "one.jpg"), dish(tmp_path / "two.png", 9)]
    out = tmp_path / "out"
    arguments = ["--method", "saliency,integrated-gradients,lime", "--n-samples", "60", "--n-steps", "5"]
    assert main(["explain", *map(str, photos), "--model", "foodnet-synthetic", *arguments, "--out", str(out)]) == 0
    assert "explained 2 photos by 3 methods" in capsys.readouterr().out
    page = (out / "index.html").read_text()
    assert "Integrated gradients" in page
    assert "http" not in page.replace("http-equiv", "")
    for name in ("one", "two"):
        maps = np.load(out / f"{name}.npz", allow_pickle=False)
        assert maps["saliency"].shape == maps["inputs"].shape == (3, 128, 128)
        assert maps["lime"].shape == (1, 128, 128)
        assert maps["probabilities"].sum() == pytest.approx(1, abs=1e-5)
        with Image.open(out / name / "integrated_gradients.png") as picture:
            assert picture.size == (160, 160)


def test_the_target_decides_the_map(tmp_path):
    photo = dish(tmp_path / "one.jpg")
    maps = []
    for target in ("Soup", "egg"):
        assert main(["explain", str(photo), *QUICK, "--target", target, "--out", str(tmp_path / target)]) == 0
        maps.append(np.load(tmp_path / target / "one.npz"))
    assert maps[0]["target"] == 9
    assert maps[1]["target"] == 3
    assert not np.array_equal(maps[0]["saliency"], maps[1]["saliency"])


def test_all_methods_share_one_page(tmp_path):
    from hw_xai.explain import METHODS

    photo = dish(tmp_path / "one.jpg")
    options = ["--n-samples", "20", "--n-steps", "3", "--method", "all", "--model", "foodnet-synthetic"]
    assert main(["explain", str(photo), *options, "--out", str(tmp_path / "out")]) == 0
    maps = set(np.load(tmp_path / "out" / "one.npz"))
    attention = {"rollout", "attention_relevance"}  # a CNN has none: they are skipped, with a sentence
    assert {name for name, method in METHODS.items() if method.locality == "local"} - attention <= maps


def test_odd_pictures_are_converted(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    dish(folder / "gray.png", mode="L")
    dish(folder / "cmyk.jpg", mode="CMYK")
    dish(folder / "palette.gif", mode="P")
    Image.fromarray((np.arange(64 * 64) * 16).astype(np.uint16).reshape(64, 64)).save(folder / "sixteen.png")
    frames = [Image.fromarray(draw_dish(1, 64, seed=i).image) for i in range(3)]
    frames[0].save(folder / "animated.gif", save_all=True, append_images=frames[1:])
    rotated = Image.Exif()
    rotated[0x0112] = 6
    dish(folder / "rotated.jpg", exif=rotated)
    assert main(["explain", str(folder), *QUICK, "--out", str(tmp_path / "out")]) == 0
    assert {path.stem for path in (tmp_path / "out").glob("[!.]*.npz")} == {path.stem for path in folder.iterdir()}


def test_a_bad_photo_among_good_ones_is_named_and_skipped(tmp_path, capsys):
    good, bad = dish(tmp_path / "good.jpg"), tmp_path / "bad.jpg"
    bad.write_bytes(b"no picture")
    assert main(["explain", str(good), str(bad), *QUICK, "--out", str(tmp_path / "out")]) == 0
    assert "bad.jpg" in capsys.readouterr().err
    assert "bad.jpg" in (tmp_path / "out" / "index.html").read_text()


def test_photos_of_one_name_do_not_overwrite_each_other(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        dish(tmp_path / folder / "same.jpg", target=2 if folder == "a" else 5)
    assert main(["explain", str(tmp_path / "a"), str(tmp_path / "b"), *QUICK, "--out", str(tmp_path / "out")]) == 0
    assert {path.stem for path in (tmp_path / "out").glob("[!.]*.npz")} == {"same", "same-2"}


def test_mistakes_with_photos(tmp_path, fails):
    assert "nowhere.jpg" in fails("explain", tmp_path / "nowhere.jpg", *QUICK)
    (tmp_path / "text.jpg").write_text("a poem")
    assert "text.jpg" in fails("explain", tmp_path / "text.jpg", *QUICK)
    whole = dish(tmp_path / "whole.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    assert "cut.jpg" in fails("explain", tmp_path / "cut.jpg", *QUICK)
    (tmp_path / "empty").mkdir()
    assert "empty" in fails("explain", tmp_path / "empty", *QUICK)


def test_mistakes_with_options(tmp_path, fails):
    photo = dish(tmp_path / "one.jpg")
    assert 'Did you mean "Soup"?' in fails("explain", photo, *QUICK, "--target", "Suop")
    assert 'Did you mean "saliency"?' in fails("explain", photo, "--method", "salliency")
    assert "at least one name" in fails("explain", photo, "--method", ",")
    assert 'Did you mean "foodnet-photos"?' in fails("explain", photo, "--model", "foodnet-phots")
    assert "at least 1" in fails("explain", photo, "--n-samples", "0")
    assert "from 0 to 10" in fails("explain", photo, "--noise-level", "lots")
    assert "--layer must name a module" in fails("explain", photo, *QUICK, "--layer", "features.99")
    torch.save({"model_state_dict": {"layer1.weight": torch.zeros(1)}}, tmp_path / "other.pth")
    assert "another architecture" in fails("explain", photo, "--model", tmp_path / "other.pth")
    assert "invalid choice" in fails("explian", photo)


def test_mistakes_with_data(tmp_path, fails):
    (tmp_path / "broken.zip").write_bytes(b"PK\x03\x04 and then nothing")
    assert "broken.zip" in fails("data", "import", tmp_path / "broken.zip", "--root", tmp_path / "new")
    with zipfile.ZipFile(tmp_path / "escape.zip", "w") as archive:
        archive.writestr("../../outside.jpg", b"x")
    assert "escape.zip" in fails("data", "import", tmp_path / "escape.zip", "--root", tmp_path / "new")
    assert not (tmp_path / "new").exists()
    assert "food-11" in fails("train", "--data", tmp_path, "--out", tmp_path / "run")


def test_data_import_and_check(tmp_path, capsys):
    with zipfile.ZipFile(tmp_path / "food.zip", "w") as archive:
        for split, n in (("training", 22), ("validation", 11)):
            for i in range(n):
                photo = dish(tmp_path / "photo.jpg", i % 11)
                photo = Image.fromarray(draw_dish(i % 11, 64, seed=1000 * (split == "training") + i).image)
                photo.save(tmp_path / "photo.png")
                archive.write(tmp_path / "photo.png", f"food11/{split}/{i % 11}_{i}.png")
    root = tmp_path / "food11"
    assert main(["data", "import", str(tmp_path / "food.zip"), "--root", str(root)]) == 0
    assert "33 photos" in capsys.readouterr().out
    assert main(["data", "check", str(root)]) == 0
    (root / "validation" / "0_0.png").write_bytes((root / "training" / "0_0.png").read_bytes())
    assert main(["data", "check", str(root)]) == 1
    assert main(["data", "import", str(tmp_path / "food.zip"), "--root", str(root)]) == 2
    assert main(["data", "import", str(tmp_path / "food.zip"), "--root", str(root), "--force"]) == 0


def test_a_full_disk_is_one_sentence(tmp_path, monkeypatch, fails):
    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    photo = dish(tmp_path / "one.jpg")
    monkeypatch.setattr(os, "fsync", full)
    assert "the disk is full" in fails("explain", photo, *QUICK, "--out", tmp_path / "out")
    assert not list((tmp_path / "out").glob("**/*.npz"))


def test_a_forbidden_folder_is_one_sentence(tmp_path, fails):
    (tmp_path / "file").touch()
    assert "cannot use" in fails("explain", dish(tmp_path / "one.jpg"), *QUICK, "--out", tmp_path / "file" / "out")


def test_ctrl_c_keeps_what_is_finished(tmp_path):
    folder, out = tmp_path / "photos", tmp_path / "out"
    folder.mkdir()
    for i in range(40):
        dish(folder / f"{i:02}.jpg", i % 11)
    command = [sys.executable, "-m", "hw_xai.cli", "explain", str(folder), "--model", "foodnet-synthetic"]
    command += ["--method", "smooth_grad", "--out", str(out)]
    # a shell that runs the tests in the background has told them, and all they start, to ignore Ctrl-C
    heed = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    with subprocess.Popen(command, stderr=subprocess.PIPE, preexec_fn=heed) as process:
        while not list(out.glob("[0-9]*.npz")) and process.poll() is None:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate()
    assert process.returncode == 130
    assert b"Traceback" not in stderr
    assert b"what was finished is kept" in stderr
    finished = len(list(out.glob("[0-9]*.npz")))
    assert 1 <= finished < 40
    assert (out / "index.html").read_text().count("<section") >= 1


def test_train_on_the_homeworks_network_and_explain_with_it(tmp_path):
    """The smallest true path: a run of one epoch whose weights `explain` then loads."""
    run = ["train", "--data", "synthetic", "--synthetic-images", "16", "--epochs", "1", "--batch-size", "8"]
    assert main([*run, "--train-size", "32", "--eval-size", "32", "--out", str(tmp_path / "run")]) == 0
    photo = dish(tmp_path / "one.jpg")
    weights = tmp_path / "run" / "best.safetensors"
    explain = ["explain", str(photo), "--model", str(weights), "--method", "gradient", "--out", str(tmp_path / "out")]
    assert main(explain) == 0


def test_the_homeworks_checkpoint_can_be_explained(tmp_path):
    torch.save({"model_state_dict": Classifier().state_dict()}, tmp_path / "checkpoint.pth")
    photo = dish(tmp_path / "one.jpg")
    out = str(tmp_path / "out")
    assert main(["explain", str(photo), "--model", str(tmp_path / "checkpoint.pth"), *QUICK[2:], "--out", out]) == 0


def test_importing_hw_xai_is_light():
    code = "import sys, hw_xai; assert not {'torch', 'numpy', 'matplotlib', 'transformers'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_more_mistakes_with_options(tmp_path, fails):
    photo = dish(tmp_path / "one.jpg")
    assert "nothing could be explained" in fails("explain", photo, "--method", "lime", "--n-samples", "1", *QUICK[:2])
    assert "explains the model and no photo" in fails("explain", photo, "--method", "maximize_activation")
    assert "whole number from 0" in fails("explain", photo, "--seed", "-1")
    for option, value in {"lr": "-1", "batch-size": "0", "mix": "2", "warmup": "5", "epochs": "0", "ema": "2"}.items():
        run = ["train", "--data", "synthetic", "--out", tmp_path / "run", f"--{option}={value}"]
        assert f"--{option} must be between" in fails(*run)
    sizes = ["--train-size", "64", "--synthetic-images", "64"]
    run = ["train", "--data", "synthetic", "--out", tmp_path / "run", "--architecture", "classifier", *sizes]
    assert "--train-size 64 does not fit classifier" in fails(*run)
    init = ["--init", "foodnet-synthetic", "--synthetic-images", "64"]
    run = ["train", "--data", "synthetic", "--out", tmp_path / "run", "--architecture", "resnet18", *init]
    assert "holds a foodnet" in fails(*run)


def test_a_checkpoint_of_an_unfinished_run_is_named_as_such(tmp_path, fails):
    torch.save({"recipe": {}, "ema": {}, "model": {}}, tmp_path / "last.pt")
    assert "best.safetensors beside it" in fails("explain", dish(tmp_path / "one.jpg"), "--model", tmp_path / "last.pt")
