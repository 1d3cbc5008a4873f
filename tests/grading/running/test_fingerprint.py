"""The fingerprints change with what decides a grade or the key, wherever it lies, and with nothing else."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from grading.running import fingerprint

ROOT = Path(__file__).parents[3]


@pytest.fixture
def house(tmp_path, monkeypatch) -> Path:
    """A copy of the code and of some data, which the fingerprints are of."""
    for package in ("hw_xai", "grading"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "data/sentences").mkdir(parents=True)
    for name in ("foodnet-synthetic.safetensors", "foodnet-synthetic.md"):
        shutil.copy(ROOT / "data" / name, tmp_path / "data")
    monkeypatch.setattr(fingerprint, "ROOT", tmp_path)
    monkeypatch.setattr(fingerprint, "shipped", lambda name: tmp_path / "data" / name)
    return tmp_path


def both() -> tuple[str, str]:
    return fingerprint.of_grades.__wrapped__(), fingerprint.of_key.__wrapped__()


def changed(file: Path, more: bytes) -> tuple[bool, bool]:
    """Append to a file; return whether the fingerprint of the grades, and that of the key, are others then."""
    before = both()
    file.write_bytes(file.read_bytes() + more)
    return tuple(a != b for a, b in zip(before, both(), strict=True))


@pytest.mark.parametrize(
    ("place", "grades", "key"),
    [
        ("hw_xai/vision/dishes/synthetic.py", False, True),
        ("hw_xai/language/layers.py", False, True),
        ("hw_xai/evaluate/statistics.py", False, True),
        ("grading/homework/evidence/gradients.py", False, True),
        ("hw_xai/explain/gradients.py", True, True),
        ("hw_xai/core/batches.py", True, True),
        ("grading/isolation/inside/worker.py", True, False),
        ("grading/intake/slicing.py", True, False),
        ("grading/verdict/judging.py", True, False),
        ("grading/homework/misconceptions/cam.py", True, False),
        ("grading/running/grade.py", True, False),
        ("grading/running/rules.py", True, False),
        ("grading/running/journal.py", False, False),
        ("grading/platforms/roster.py", False, False),
        ("grading/reports/class_page.py", False, False),
        ("grading/homework/release/cells.py", False, False),
        ("hw_xai/show/figures/answers.py", False, False),
    ],
)
def test_code_counts_where_it_decides(house, place, grades, key):
    assert changed(house / place, b"\n\nNEW = 1\n") == (grades, key)


@pytest.mark.parametrize("room", ["platforms/roster.py", "intake/slicing.py", "homework/evidence/gradients.py"])
def test_a_comment_a_docstring_and_the_form_count_nowhere(house, room):
    file = house / "grading" / room
    before = both()
    source = file.read_text(encoding="utf-8")
    start = source.index('"""')
    source = source[:start] + '"""Another docstring.' + source[start + 3 :] + "\n\n\n# a comment\n"
    file.write_text(source, encoding="utf-8")
    assert both() == before


def test_weights_and_sentences_count_for_the_key_and_their_cards_do_not(house):
    assert changed(house / "data/foodnet-synthetic.safetensors", b"\0") == (False, True)
    assert changed(house / "data/foodnet-synthetic.md", b"more") == (False, False)
    (house / "data/sentences/new.tsv").write_bytes(b"")
    assert changed(house / "data/sentences/new.tsv", b"apple\t1") == (False, True)
    assert changed(house / "grading/homework/questions.toml", b"\n# asked otherwise\n") == (True, True)


@pytest.mark.parametrize(("library", "grades"), [("scikit-learn", True), ("transformers", False), ("torch", True)])
def test_the_versions_of_the_libraries_count(monkeypatch, library, grades):
    before, its = both(), fingerprint.version
    monkeypatch.setattr(fingerprint, "version", lambda name: "0.0" if name == library else its(name))
    assert [a != b for a, b in zip(before, both(), strict=True)] == [grades, True]


def test_the_same_code_has_the_same_fingerprint_in_another_folder(house):
    assert fingerprint.of_grades() == fingerprint.of_grades.__wrapped__()


@pytest.mark.parametrize(
    ("module", "files", "apart"),
    [
        ("grading.homework.evidence.key", "code_of(f.KEY)", {"grading", "grading.homework"}),
        ("grading.running.grade", "code_of(f.GRADES, f.BESIDE_GRADES)", {"grading", "grading.running"}),
    ],
)
def test_all_that_is_loaded_counts(module, files, apart):
    """What the imports bring is in the fingerprint: no wall here is a list that somebody forgot to extend.

    apart: packages whose own file holds a docstring only, or names that are loaded late.
    """
    code = (
        f"import sys, json, {module}; loaded = dict(sys.modules); from grading.running import fingerprint as f; "
        f"counted = {{str(file) for file in f.{files}}}; "
        "print(json.dumps([name for name, module in loaded.items() if name.partition('.')[0] in ('grading', 'hw_xai') "
        "and not name.startswith('hw_xai.show') and module.__file__ not in counted]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert set(json.loads(done.stdout)) <= apart
