"""CONTRIBUTING's walkthroughs are true: what they say is done in a copy of the tree, and their checks pass there."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
GUIDE = (ROOT / "CONTRIBUTING.md").read_text()
WALKTHROUGHS = dict(re.findall(r"^## (Add an? \w+)\n(.*?)(?=^## |\Z)", GUIDE, re.DOTALL | re.MULTILINE))
STEP = re.compile(
    r"^(?:New file `(?P<new>[^`]+)`|In `(?P<old>[^`]+)`, (?P<how>before|instead of) `(?P<anchor>[^`]+)`):\n\n"
    r"```python\n(?P<code>.*?)```",
    re.DOTALL | re.MULTILINE,
)


@pytest.fixture
def tree(tmp_path):
    """A copy of the tree without what git ignores."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "hw_xai", "grading", "tests", "pyproject.toml"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if listed.returncode:
        pytest.skip("no git checkout: there is nothing to copy")
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "data").symlink_to(ROOT / "data")
    (tmp_path / "notebooks").symlink_to(ROOT / "notebooks")
    return tmp_path


def follow(step: re.Match, tree: Path) -> None:
    """Do one step of a walkthrough."""
    code = step["code"]
    if step["new"]:
        assert not (tree / step["new"]).exists()
        (tree / step["new"]).write_text(code)
        return
    file, anchor = tree / step["old"], step["anchor"]
    text = file.read_text()
    assert text.count(anchor) == 1, f"`{anchor}` must stand once in {step['old']}"
    file.write_text(text.replace(anchor, code.rstrip("\n") if step["how"] == "instead of" else code + anchor))


@pytest.mark.parametrize("title", WALKTHROUGHS)
def test_a_walkthrough_does_what_it_says(title, tree):
    text = WALKTHROUGHS[title]
    for step in STEP.finditer(text):
        follow(step, tree)
    lint = [sys.executable, "-m", "ruff", "check", "hw_xai", "grading", "tests"]
    linted = subprocess.run(lint, cwd=tree, capture_output=True, text=True)
    assert linted.returncode == 0, linted.stdout
    (check,) = re.findall(r"^Check: `pytest (.*)`$", text, re.MULTILINE)
    command = [sys.executable, "-m", "pytest", "-x", "-p", "no:cacheprovider", *shlex.split(check)]
    # the copy comes before the package that is installed
    done = subprocess.run(command, cwd=tree, env={"PYTHONPATH": str(tree), "PATH": ""}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]


def test_there_are_three_walkthroughs():
    assert set(WALKTHROUGHS) == {"Add a method", "Add an exercise", "Add a model"}
