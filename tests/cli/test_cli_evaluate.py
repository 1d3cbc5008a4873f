"""`hw-xai evaluate` on a network of two convolutions: what it writes, resumes, refuses and says."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hw_xai.cli import main
from hw_xai.explain import METHODS
from hw_xai.studies.evaluation.methods import BASELINES

MODELS = """
import torch
from torch import nn

def tiny():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.Sequential(
            nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 8, 3, padding=1), nn.ReLU(),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 11),
        )
    model.input_size = 32
    return model

def stubborn():
    model = tiny()
    nn.init.zeros_(model[-1].weight)
    nn.init.zeros_(model[-1].bias)
    return model

def smooth():
    model = tiny()
    model[4] = nn.GELU()
    return model

def function():
    return lambda x: x.flatten(2).mean(dim=2)

def number():
    return 3
"""
FEW = "gradient,grad_cam,random,mask"


@pytest.fixture(autouse=True)
def beside(tmp_path, monkeypatch):
    """A folder of its own, with models beside the user."""
    (tmp_path / "tiny_models.py").write_text(MODELS)
    monkeypatch.chdir(tmp_path)


def evaluate(*arguments: object, model: str = "tiny", out: str = "out") -> int:
    given = ["--model", f"tiny_models:{model}", "--jobs", "1", "--out", out, *map(str, arguments)]
    return main(["evaluate", *given])


def stored(out: str | Path) -> dict[str, dict]:
    """Return all records without what time it took."""
    found = {}
    for path in sorted(Path(out, "scores").glob("*/*.json")):
        record = json.loads(path.read_text())
        record.get("scores", {}).pop("seconds", None)
        found[f"{path.parent.name}/{path.name}"] = record
    return found


def test_everything_by_everything(capsys):
    assert evaluate("--images", 2) == 0
    output = capsys.readouterr()
    local = {name for name, method in METHODS.items() if method.locality == "local"} - {"filter_activation"}
    methods = local | {*BASELINES}
    assert f"2 pictures by {len(methods)} methods: open out/index.html" in output.out
    assert "L-CAM is left out: `learned` must be" in output.err
    results = json.loads(Path("out/results.json").read_text())
    refused = {"lcam", "rollout", "attention_relevance"}  # nothing trained, and no attention to look at
    assert results["errors"].keys() == refused
    means = {name: {key: cell["mean"] for key, cell in cells.items()} for name, cells in results["results"].items()}
    assert set(means) == methods
    assert {means["mask"][key] for key in ("pointing_game", "mass_inside", "best_iou", "auroc")} == {1}
    assert means["mask"]["sanity"] == means["edges"]["sanity"] == 1
    assert results["verdicts"]["edges"]["kind"] == "ignores the model"
    assert means["gradient"]["passes"] == 2
    assert means["integrated_gradients"]["completeness"] < 0.2
    assert means["gradient"]["completeness"] is None, "only who promises it is asked"
    assert results["best"]["deletion"] == "low"
    with Path("out/results.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["method"] for row in rows} == set(means) - refused
    first = next(row for row in rows if row["score"] == "auroc" and row["method"] == "gradient")
    assert (first["name"], first["class"]) == ("dish 0", "Bread")
    with Image.open("out/leaderboard.png") as picture:
        assert np.asarray(picture).std() > 10


def test_the_mean_is_that_of_the_records(capsys):
    assert evaluate("--images", 3, "--methods", FEW, "--scores", "faithfulness,localization") == 0
    records = stored("out")
    assert len(records) == 12
    results = json.loads(Path("out/results.json").read_text())["results"]
    for name in FEW.split(","):
        values = [record["scores"]["insertion"] for key, record in records.items() if key.startswith(name + "/")]
        cell = results[name]["insertion"]
        assert cell["mean"] == pytest.approx(np.mean(values))
        assert cell["low"] <= cell["mean"] <= cell["high"]
        assert cell["n"] == 3
    assert not Path("out/sanity").exists()


def test_it_goes_on_where_it_stopped_and_takes_more_images(capsys):
    common = ("--methods", FEW, "--scores", "localization")
    assert evaluate("--images", 2, *common) == 0
    before = {path: path.stat().st_mtime_ns for path in Path("out/scores").glob("*/*.json")}
    damaged = Path("out/scores/gradient/000001.json")
    damaged.write_text('{"method": "grad')
    Path("out/scores/gradient/.000001.json.x.json").write_text("left by a killed run")
    assert evaluate("--images", 3, *common) == 0
    after = {path: path.stat().st_mtime_ns for path in Path("out/scores").glob("*/*.json")}
    assert len(after) == 12
    assert [path for path in before if before[path] != after[path]] == [damaged]
    assert not list(Path("out/scores").glob("*/.*"))
    assert evaluate("--images", 3, *common, out="undisturbed") == 0
    assert stored("out") == stored("undisturbed")


def runs(group: int) -> bool:
    """Tell whether any process of the group is alive."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.skipif(os.name == "nt", reason="there is no kill -9")
def test_kill_9_loses_no_finished_map(capsys):
    common = ["--images", "8", "--methods", "gradient,smooth_grad,rise,random", "--scores", "faithfulness"]
    command = [sys.executable, "-m", "hw_xai.cli", "evaluate", "--model", "tiny_models:tiny", "--jobs", "2", *common]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    process = subprocess.Popen(
        [*command, "--out", "out"], start_new_session=True, env=environment, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 240
    while not list(Path("out/scores").glob("*/0*.json")) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    while runs(process.pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not runs(process.pid), "the workers notice, and leave"
    finished = stored("out")
    assert 0 < len(finished) < 32
    assert evaluate(*common) == 0
    assert evaluate(*common, out="undisturbed") == 0
    assert stored("out") == stored("undisturbed")
    assert stored("out").items() >= finished.items()


def test_an_interrupt_keeps_what_is_finished(monkeypatch, capsys):
    from hw_xai.studies.evaluation.evaluator import Evaluator

    judged = Evaluator._judged

    def interrupted(self, name, place, *rest):
        if place == 1:
            raise KeyboardInterrupt
        return judged(self, name, place, *rest)

    monkeypatch.setattr(Evaluator, "_judged", interrupted)
    assert evaluate("--images", 3, "--methods", FEW, "--scores", "localization") == 130
    assert "what was finished is kept" in capsys.readouterr().err
    assert "Unfinished: 1 of 3 pictures are done by all methods." in Path("out/index.html").read_text()


def test_another_run_in_the_folder_is_told(fails, capsys):
    common = ["--images", "1", "--methods", FEW, "--scores", "localization"]
    assert evaluate(*common) == 0
    given = ["evaluate", "--model", "tiny_models:tiny", "--out", "out", *common]
    assert "holds a run with other methods (random, mask, not no others)" in fails(
        *given, "--methods", "gradient,grad_cam"
    )
    assert "holds a run with other scores" in fails(*given, "--scores", "completeness")
    assert "holds a run with other seed (0, not 3): choose another --out, or delete it" in fails(*given, "--seed", "3")
    sentence = fails(*given, "--model", "tiny_models:smooth")
    assert "holds a run with other model (tiny_models:tiny, not tiny_models:smooth)" in sentence
    Path("out/run.json").write_text("{")
    assert "run.json is damaged" in fails(*given)


def test_a_model_that_always_predicts_one_class_is_told(capsys):
    assert evaluate("--images", 3, "--methods", FEW, model="stubborn") == 0
    sentence = "The model predicts 0 for every picture: it may not look at them, and then no explanation"
    assert sentence in capsys.readouterr().err
    assert sentence in Path("out/index.html").read_text()
    results = json.loads(Path("out/results.json").read_text())["results"]
    assert results["gradient"]["auroc"]["mean"] == 0.5, "a map of zeros gets what chance gets"
    assert results["gradient"]["stability"]["n"] == 0


def test_methods_that_refuse_the_model_are_left_out(fails, capsys):
    assert evaluate("--images", 1, "--methods", "gradient,guided_backprop", model="smooth") == 0
    sentence = "Guided backprop is left out: `model` must"
    assert sentence in capsys.readouterr().err
    page = Path("out/index.html").read_text()
    assert "Guided backprop is left out" in page
    assert 'data-method="guided_backprop"' not in page
    sentence = fails(
        "evaluate", "--model", "tiny_models:smooth", "--out", "none", "--images", 1, "--methods", "guided_backprop"
    )
    assert "nothing could be evaluated" in sentence


def test_a_function_is_a_model_too(capsys):
    assert evaluate("--images", 1, "--methods", "gradient,grad_cam,rise", model="function") == 0
    results = json.loads(Path("out/results.json").read_text())
    assert list(results["errors"]) == ["grad_cam"]
    assert results["results"]["rise"]["insertion"]["n"] == 1
    assert "sanity" not in results["best"], "what has no parameters cannot be randomized"


def test_photos_have_no_masks_and_may_be_fewer_than_asked(capsys):
    Path("photos").mkdir()
    for name in ("0_1.png", "9_2.png"):
        Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 50, 3), dtype=np.uint8)).save(f"photos/{name}")
    Path("photos/3_3.png").write_text("no picture")
    assert evaluate("--images", 9, "--methods", "gradient,random", "--data", "photos") == 0
    said = capsys.readouterr().err
    assert "photos has only 3 pictures, not 9: all are taken" in said
    assert "No localization: only the drawn dishes, data synthetic, have true masks." in said
    results = json.loads(Path("out/results.json").read_text())
    assert "auroc" not in results["best"]
    assert results["results"]["gradient"]["insertion"]["n"] == 2
    errors = [record["error"] for record in stored("out").values() if "error" in record]
    assert len(errors) == 2
    assert "no known image format fits" in errors[0]
    assert "1 of 3 pictures could not be read and count nowhere: 3_3.png." in said
    page = Path("out/index.html").read_text()
    assert "Means over 2 pictures" in page
    assert "3_3.png" in page


def test_mistakes_are_one_sentence(fails):
    assert '--method has no "grad_can". Did you mean "grad_cam"?' in fails("evaluate", "--methods", "grad_can")
    assert '--scores has no "sanety". Did you mean "sanity"?' in fails("evaluate", "--scores", "sanety")
    assert "--scores needs at least one name, or all" in fails("evaluate", "--scores", ",")
    assert 'Did you mean "foodnet-synthetic"?' in fails("evaluate", "--model", "foodnet-syntetic")
    assert '--data must be synthetic or a folder, but there is no "sinthetic". Did you mean "synthetic"?' in fails(
        "evaluate", "--data", "sinthetic"
    )
    assert '--method has no "mask"' in fails("evaluate", "--methods", "mask", "--data", ".")
    assert "must name a function that returns a model" in fails("evaluate", "--model", "tiny_models:none")
    assert "No module named 'nowhere'" in fails("evaluate", "--model", "nowhere:model")
    assert "an nn.Module or another callable, but tiny_models:number returns a int" in fails(
        "evaluate", "--model", "tiny_models:number"
    )
    assert "must be a whole number of at least 1" in fails("evaluate", "--images", "0")
