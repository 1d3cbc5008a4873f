"""hw-grade as teachers meet it: what it writes, and one sentence with exit code 2 for each mistake."""

import json

import pytest

from grading.cli import main
from grading.homework.release import notebooks as release

MASTER = """# %% [markdown] lang="en"
# Slopes

# %% exercise="saliency"
def saliency(model, inputs, target):
    # BEGIN SOLUTION
    return the_secret
    # END SOLUTION

# %% check="saliency"
1 + 1
"""


@pytest.fixture(autouse=True)
def masters(tmp_path, monkeypatch):
    """Two small masters, in an empty folder."""
    folder = tmp_path / "masters"
    folder.mkdir()
    for stem in ("1_perturbation", "2_gradients"):
        (folder / f"{stem}.py").write_text(MASTER, encoding="utf-8")
    monkeypatch.setattr(release, "MASTERS", folder)
    monkeypatch.chdir(tmp_path)
    return folder


def test_release_writes_what_students_get(tmp_path, capsys):
    assert main(["release"]) == 0
    assert "done: 2 notebooks in notebooks/student" in capsys.readouterr().out
    text = (tmp_path / "notebooks/student/2_gradients.ipynb").read_text()
    assert "NotImplementedError" in text
    assert "the_secret" not in text


def test_release_of_some_with_other_points_in_one_language(tmp_path):
    arguments = ["--notebooks", "2", "--points", "saliency=9", "--due", "Friday", "--lang", "zh-TW", "--out", "x"]
    assert main(["release", *arguments]) == 0
    (made,) = (tmp_path / "x").glob("*.ipynb")
    notebook = json.loads(made.read_text())
    points = [cell["metadata"]["nbgrader"].get("points") for cell in notebook["cells"] if cell["metadata"]]
    assert 9 in points
    assert "Slopes" not in made.read_text()
    assert "Friday" in made.read_text()


def test_check_fails_once_a_master_has_changed(masters, capsys):
    assert main(["release"]) == 0
    assert main(["release", "--check"]) == 0
    (masters / "2_gradients.py").write_text(MASTER.replace("Slopes", "Hills"), encoding="utf-8")
    assert main(["release", "--check"]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert "2_gradients.ipynb" in error
    assert "1_perturbation" not in error


def test_a_roster_gives_each_student_a_folder(tmp_path):
    (tmp_path / "roster.csv").write_text("student\nb01\nb02\n")
    arguments = ["release", "--roster", "roster.csv", "--salt", "pepper", "--out", "all"]
    assert main(arguments) == 0
    assert sorted(path.name for path in (tmp_path / "all").iterdir()) == ["b01", "b02"]
    about = [json.loads((tmp_path / f"all/{s}/2_gradients.ipynb").read_text())["metadata"] for s in ("b01", "b02")]
    assert [one["hw_xai"]["student"] for one in about] == ["b01", "b02"]
    assert about[0]["hw_xai"]["variant"] != about[1]["hw_xai"]["variant"]
    assert main([*arguments, "--check"]) == 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--notebooks", "2_gradient"], 'no notebook "2_gradient". Did you mean "2_gradients"?'),
        (["--points", "salience=2"], '"salience". Did you mean "saliency"?'),
        (["--points", "saliency=much"], 'got "saliency=much"'),
        (["--points", "saliency=nan"], 'got "saliency=nan"'),
        (["--roster", "nowhere.csv"], "nowhere.csv: No such file"),
        (["--roster", "x.csv", "--solved"], "exclude each other"),
        (["--pictures"], "--pictures needs --solved"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_2(arguments, sentence, capsys):
    assert main(["release", *arguments]) == 2
    error = capsys.readouterr().err.strip().splitlines()
    assert sentence in error[-1]
    assert len(error) == 1
