"""hw-xai submit: what is missing is said before anything is packed, and nothing a student wrote is run."""

import hashlib
import json
import zipfile
from pathlib import Path

import pytest

from hw_xai.cli import main

STUB = 'def saliency(x):\n    raise NotImplementedError("Exercise 3: write saliency here")'
DONE = "def saliency(x):\n    return x.abs()"
QUESTION = "**Q5.** Why? *(choose one; 0.3 points)*\n\n- **A** this\n- **B** that"
ANSWERS = '# Letters only\nanswers = {"Q5": "A"}'


def notebook(path: Path, *code: str, texts=(QUESTION,), **metadata) -> Path:
    cells = [{"cell_type": "markdown", "id": f"m{i}", "metadata": {}, "source": text} for i, text in enumerate(texts)]
    for i, source in enumerate(code):
        lines = source.splitlines(keepends=True)
        output = {"output_type": "stream", "name": "stdout", "text": "a long output"}
        cell = {"cell_type": "code", "id": f"c{i}", "metadata": {}, "source": lines}
        cells.append(cell | {"outputs": [output], "execution_count": 3})
    whole = {"cells": cells, "metadata": {"kernelspec": {}, **metadata}, "nbformat": 4, "nbformat_minor": 5}
    path.write_text(json.dumps(whole), encoding="utf-8")
    return path


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_finished_notebooks_are_packed_with_their_hashes(tmp_path, capsys):
    notebook(tmp_path / "2_gradients.ipynb", DONE, 'check("saliency", saliency)', ANSWERS, widgets={"huge": 1})
    (tmp_path / "notes.txt").write_text("private")
    notebook(tmp_path / "My copy.ipynb", STUB)
    assert main(["submit"]) == 0
    said = capsys.readouterr().out
    with zipfile.ZipFile("submission.zip") as archive:
        assert archive.namelist() == ["2_gradients.ipynb", "manifest.json"]
        content = archive.read("2_gradients.ipynb")
        manifest = json.loads(archive.read("manifest.json"))
    assert manifest == {"files": {"2_gradients.ipynb": hashlib.sha256(content).hexdigest()}, "missing": []}
    assert manifest["files"]["2_gradients.ipynb"][:12] in said
    assert "done: submission.zip holds 1 notebooks" in said
    assert b"a long output" not in content
    assert b"huge" not in content
    assert json.loads(content)["cells"][1]["source"] == DONE


def test_the_same_work_is_the_same_file(tmp_path):
    notebook(tmp_path / "2_gradients.ipynb", DONE, ANSWERS)
    for name in ("one.zip", "two.zip"):
        assert main(["submit", "--out", name]) == 0
    assert Path("one.zip").read_bytes() == Path("two.zip").read_bytes()


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ([STUB, ANSWERS], "Exercise 3: write saliency here: not written yet"),
        (['check("saliency", saliency)', ANSWERS], "saliency: the cell with this function is gone"),
        ([DONE], "the cell of the answers must read"),
        ([DONE, 'answers = {"Q5": ""}'], "no answer to Q5"),
        ([DONE, "answers = {}"], "no answer to Q5"),
        ([DONE, 'answers = {"Q5": 3}'], 'Q5: the answer must be letters such as "A" or "AC", not 3'),
        ([DONE, 'answers = {"Q5": "yes!"}'], "Q5: the answer must be letters"),
        ([DONE, 'answers = {"Q5": open("x", "w")}'], "the cell of the answers must read"),
        ([DONE, 'answers = {"Q5": '], "the cell of the answers must read"),
        ([DONE, "answers = " + "[" * 5000], "the cell of the answers must read"),
        ([DONE, "answers = {[]: 1}"], "the cell of the answers must read"),
    ],
)
def test_what_is_missing_is_said_and_nothing_is_packed(tmp_path, capsys, code, sentence):
    notebook(tmp_path / "2_gradients.ipynb", *code)
    assert main(["submit"]) == 2
    error = capsys.readouterr().err.strip().splitlines()
    assert len(error) == 1
    assert f"not finished: 2_gradients.ipynb: {sentence}" in error[0]
    assert not Path("submission.zip").exists()
    assert not Path("x").exists()  # nothing was run


def test_unfinished_work_can_be_handed_in_all_the_same(tmp_path, capsys):
    notebook(tmp_path / "2_gradients.ipynb", STUB)
    assert main(["submit", "--unfinished"]) == 0
    with zipfile.ZipFile("submission.zip") as archive:
        assert len(json.loads(archive.read("manifest.json"))["missing"]) == 2
    assert "missing: 2_gradients.ipynb: Exercise 3" in capsys.readouterr().out


def test_a_commented_stub_and_a_later_answer_are_read_as_meant(tmp_path):
    later = 'answers = {"Q5": "b, a"}\nprint(answers)'
    notebook(
        tmp_path / "2_gradients.ipynb", DONE + '\n    # raise NotImplementedError("Exercise 3: …")', ANSWERS, later
    )
    assert main(["submit"]) == 0


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"[1]", b"\xff", b'{"cells": [1]}', b'{"cells": [{"cell_type": "x", "source": ""}]}', b"[" * 99999],
)
def test_a_file_that_is_no_notebook_is_said_to_be_none(tmp_path, capsys, content):
    (tmp_path / "2_gradients.ipynb").write_bytes(content)
    assert main(["submit"]) == 2
    assert "2_gradients.ipynb is no Jupyter notebook" in capsys.readouterr().err


def test_other_mistakes_are_one_sentence(tmp_path, capsys):
    for arguments, sentence in (
        ([], "found no notebook of the homework"),
        (["nowhere"], "there is no nowhere"),
        ([str(notebook(tmp_path / "mine.ipynb"))], "is no notebook of the homework"),
    ):
        assert main(["submit", *arguments]) == 2
        assert sentence in capsys.readouterr().err
    (tmp_path / "old").mkdir()
    for folder in ("old", "."):
        notebook(tmp_path / folder / "2_gradients.ipynb", DONE, ANSWERS)
    assert main(["submit", "old", "."]) == 2
    assert "there are two 2_gradients.ipynb" in capsys.readouterr().err
