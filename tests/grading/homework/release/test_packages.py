"""Two packages from one source: students get the library, check and submit; no masters, no key, no evidence."""

import json
import os
import re
import subprocess
import sys
import zipfile
from io import BytesIO
from pathlib import Path

import pytest

from grading.cli import main
from grading.homework.release.packages import kit_wheel, students_wheel

ROOT = Path(__file__).parents[4]


@pytest.fixture(scope="module")
def students(tmp_path_factory) -> Path:
    """The students' package as pip would lay it down."""
    folder = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(BytesIO(students_wheel()[1])) as wheel:
        wheel.extractall(folder)
    return folder


def rooms(folder: Path) -> set[str]:
    return {file.relative_to(folder).as_posix() for file in folder.rglob("*.py")}


def test_the_students_package_has_neither_masters_nor_key_nor_evidence(students):
    names = {file.relative_to(students).as_posix() for file in students.rglob("*") if file.is_file()}
    secret = re.compile(r"grading/(notebooks|homework/(evidence|release)|running|reports|platforms|commands)/|key\.py$")
    assert [name for name in names if secret.search(name)] == []
    assert {"grading/homework/check.py", "grading/intake/submit.py", "hw_xai/explain/gradients.py"} <= names
    assert {"hw_xai/data/foodnet-synthetic.safetensors", "hw_xai/data/photos/0_0.jpg"} <= names
    assert "hw_xai/data/photos/README.md" in names  # the photos' licences go where the photos go
    for name in names:  # no solution of a master, wherever it may have got to
        if name.endswith((".py", ".toml", ".json", ".html")):
            assert not re.search("^ *# (BEGIN|END) SOLUTION$", (students / name).read_text(encoding="utf-8"), re.M), (
                name
            )


def test_the_graders_code_is_all_there_and_the_students_is_part_of_it(students):
    with zipfile.ZipFile(BytesIO(kit_wheel()[1])) as wheel:
        graders = {name for name in wheel.namelist() if name.endswith(".py")}
    assert rooms(students) < graders
    assert {"grading/homework/evidence/key.py", "grading/homework/release/notebooks.py"} <= graders - rooms(students)


def test_equal_kits_give_equal_packages_that_say_what_they_are(students):
    name, content = students_wheel()
    assert (name, content) == students_wheel()
    (about,) = students.glob("*.dist-info")
    metadata = (about / "METADATA").read_text(encoding="utf-8")
    assert "+students" in name
    assert f"Version: {name.split('-')[1]}" in metadata
    assert "Requires-Dist: ipython" in metadata
    assert not re.search("bubblewrap|Provides-Extra: grading", metadata)
    assert "hw-grade" not in (about / "entry_points.txt").read_text()
    rows = [row.split(",")[0] for row in (about / "RECORD").read_text().splitlines()]
    assert set(rows) == {file.relative_to(students).as_posix() for file in students.rglob("*") if file.is_file()}


def test_a_student_checks_and_hands_in_with_the_students_package_alone(students, tmp_path):
    code = f"""
import sys
sys.path[:] = [{str(students)!r}, *(path for path in sys.path if path not in ("", {str(ROOT)!r}))]
import torch, grading, hw_xai
from grading import check, submit
assert grading.__file__.startswith({str(students)!r}) and hw_xai.__file__.startswith({str(students)!r})
print(check("euclidean_distance", lambda a, b: torch.cdist(a, b), language="en"))
print(check("saliency", lambda model, inputs, target: inputs, language="en"))
submit(unfinished=True)
from hw_xai.cli import main
assert main(["submit", "--unfinished", "--out", "again.zip"]) == 0
"""
    notebook = json.loads((ROOT / "notebooks/student/2_gradients.ipynb").read_text(encoding="utf-8"))
    (tmp_path / "2_gradients.ipynb").write_text(json.dumps(notebook))
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, cwd=tmp_path, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert "✔ Euclidean distance: right" in done.stdout
    assert "✘ Saliency" in done.stdout
    assert (tmp_path / "submission.zip").read_bytes() == (tmp_path / "again.zip").read_bytes()


# ------------------------------------------------------------------------------------------------------- the first cell


def first_cell(folder: Path) -> str:
    notebook = json.loads((folder / "2_gradients.ipynb").read_text(encoding="utf-8"))
    return "".join(notebook["cells"][0]["source"])


def run_without_kit(source: str, folder: Path) -> subprocess.CompletedProcess:
    """Run a first cell where no kit is found; pip is replaced by a record of what it was asked to install."""
    code = (
        "import importlib.util, subprocess\n"
        "find = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name: None if name in ('hw_xai', 'grading') else find(name)\n"
        "subprocess.run = lambda command, check: print('PIP', *command[1:])\n" + source.partition("import os\n")[0]
    )
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=folder)


def test_release_lays_the_package_beside_the_notebooks_and_the_cell_installs_it(tmp_path):
    (tmp_path / "class.csv").write_text("student\nb01\nb02\n")
    arguments = ["--notebooks", "2", "--roster", str(tmp_path / "class.csv"), "--out", str(tmp_path / "out")]
    assert main(["release", *arguments]) == 0
    one, two = (tmp_path / "out" / student for student in ("b01", "b02"))
    (wheel,) = one.glob("*.whl")
    assert (two / wheel.name).stat().st_ino == wheel.stat().st_ino  # a class may have a thousand
    done = run_without_kit(first_cell(one), one)
    assert done.stdout.split() == ["PIP", "-m", "pip", "install", "-q", str(wheel.resolve())], done.stderr

    (tmp_path / "elsewhere").mkdir()
    assert "FileNotFoundError: put hw_xai" in run_without_kit(first_cell(one), tmp_path / "elsewhere").stderr
    content = wheel.read_bytes()
    (tmp_path / "elsewhere" / wheel.name).write_bytes(content[:-1] + b"!")
    changed = run_without_kit(first_cell(one), tmp_path / "elsewhere")
    assert "is not what your teacher released" in changed.stderr
    assert "PIP" not in changed.stdout


def test_a_package_of_the_teachers_own_is_laid_beside_and_one_at_a_url_is_named(tmp_path):
    (tmp_path / "kit-2.zip").write_bytes(b"a kit")
    common = ["release", "--notebooks", "2", "--out", str(tmp_path / "out")]
    assert main([*common, "--package", str(tmp_path / "kit-2.zip")]) == 0
    assert (tmp_path / "out/kit-2.zip").read_bytes() == b"a kit"
    assert "PIP -m pip install -q" in run_without_kit(first_cell(tmp_path / "out"), tmp_path / "out").stdout

    assert main([*common, "--package", "https://example.org/a%2Bb/kit-3.whl", "--sha256", "A" * 64]) == 0
    source = first_cell(tmp_path / "out")
    assert "urlretrieve('https://example.org/a%2Bb/kit-3.whl', package)" in source
    assert 'pathlib.Path("kit-3.whl")' in source
    assert "a" * 64 in source


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--package", "https://example.org/kit.whl"], "--package URL needs --sha256"),
        (["--package", "https://example.org/", "--sha256", "0" * 64], "must end in the name of a wheel or a zip"),
        (["--package", "hw-xai"], "must be a URL, a wheel or a zip of a kit, or none"),
        (["--package", "kit.zip", "--sha256", "0" * 64], "--sha256 must be that of kit.zip, which has"),
        (["--package", "kit.zip", "--sha256", "xyz"], "--sha256 must be 64 hexadecimal digits"),
    ],
)
def test_a_mistake_with_the_package_is_one_sentence(tmp_path, monkeypatch, capsys, arguments, sentence):
    monkeypatch.chdir(tmp_path)
    Path("kit.zip").write_bytes(b"")
    assert main(["release", "--notebooks", "2", *arguments]) == 2
    error = capsys.readouterr().err.strip()
    assert sentence in error
    assert "\n" not in error
    assert not Path("notebooks").exists()
