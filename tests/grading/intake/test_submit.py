"""hw-xai submit: what the grader would not read or run is said before anything is packed; nothing is run."""

import hashlib
import json
import re
import runpy
import zipfile
from pathlib import Path

import pytest

from grading.homework.scoring import marked
from grading.intake.contents import read_submission
from grading.intake.submissions import find_submissions
from grading.intake.submit import faults, found
from hw_xai.cli import main

CORPUS = runpy.run_path(str(Path(__file__).parents[2] / "honest" / "corpus.py"))
STUB = 'def saliency(x):\n    raise NotImplementedError("Exercise 3: write saliency here")'
CHECK = 'check("saliency", saliency)'
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
        (["def saliency(x):\n    pass", CHECK, ANSWERS], "saliency: not written yet"),
        ([f"{DONE} +", CHECK, ANSWERS], "saliency: 2_gradients.ipynb, cell 2, line 2: invalid syntax"),
        ([f"from tqdm import tqdm\n{DONE} + len(tqdm(x))", CHECK, ANSWERS], "saliency: the grader has no tqdm"),
        ([f"import cv2\n{DONE} + cv2.mean(x)", CHECK, ANSWERS], "saliency: the grader has no cv2"),
        (["from hw_xai.explain import saliency", CHECK, ANSWERS], "saliency: the cell with this function is gone"),
        ([f"{DONE} + helper(x)", CHECK, ANSWERS], "saliency: helper is defined nowhere in this notebook"),
        ([DONE], "the cell of the answers must read"),
        ([DONE, 'answers = {"Q5": ""}'], "no answer to Q5"),
        ([DONE, 'answers = {"Q5": "、"}'], "Q5: not answered"),
        ([DONE, "answers = {}"], "the cell of the answers must read"),
        ([DONE, 'answers = {"Q5": 3}'], 'Q5: an answer must be letters such as "AC"'),
        ([DONE, 'answers = {"Q5": "yes!"}'], "Q5: only the letters A, B, C, D"),
        ([DONE, 'answers = {"Q5": "E"}'], "Q5: only the letters A, B, C, D"),
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


def test_all_seven_are_listed_wherever_they_lie_and_whatever_they_are_called(tmp_path, capsys):
    (tmp_path / "week 2" / ".ipynb_checkpoints").mkdir(parents=True)
    ours = {"hw_xai": {"notebook": "1_perturbation", "variant": 0}}
    notebook(tmp_path / "week 2" / "HW9_陳小明.ipynb", DONE, texts=(), **ours)
    notebook(tmp_path / "week 2" / ".ipynb_checkpoints" / "1_perturbation.ipynb", STUB, texts=())
    notebook(tmp_path / "Copy of 3_filters_and_cam (1).ipynb", DONE, texts=())
    notebook(tmp_path / "2_gradients.ipynb", DONE, ANSWERS)
    notebook(tmp_path / "0_out.ipynb", STUB)
    (tmp_path / "thesis.ipynb").write_bytes(b"no notebook at all")
    assert main(["submit"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[:4] == [
        "– 0_start: not found",
        f"✔ 1_perturbation ({Path('week 2', 'HW9_陳小明.ipynb')})",
        "✔ 2_gradients",
        "✔ 3_filters_and_cam (Copy of 3_filters_and_cam (1).ipynb)",
    ]
    assert sum("not found" in line for line in said) == 4
    with zipfile.ZipFile("submission.zip") as archive:
        names = ["1_perturbation.ipynb", "2_gradients.ipynb", "3_filters_and_cam.ipynb", "manifest.json"]
        assert archive.namelist() == names


def test_a_file_that_is_named_comes_before_those_in_folders(tmp_path):
    notebook(tmp_path / "2_gradients.ipynb", STUB)
    notebook(tmp_path / "2_gradients (1).ipynb", DONE, ANSWERS)
    assert main(["submit"]) == 2
    assert main(["submit", ".", "2_gradients (1).ipynb"]) == 0


def test_what_is_no_zip_is_never_overwritten(tmp_path, fails):
    path = notebook(tmp_path / "2_gradients.ipynb", DONE, ANSWERS)
    before = path.read_bytes()
    assert "must be the name of a zip" in fails("submit", "--out", path)
    assert path.read_bytes() == before
    (tmp_path / "thesis.zip").write_text("not a zip")
    assert "must not overwrite what is no zip" in fails("submit", "--out", "thesis.zip")
    assert main(["submit", "--out", "submission.zip"]) == main(["submit", "--out", "submission.zip"]) == 0


def test_a_notebook_hands_in_by_a_call(tmp_path, capsys):
    from grading import submit

    notebook(tmp_path / "2_gradients.ipynb", STUB)
    submit()
    said = capsys.readouterr().out
    assert "not finished" in said
    assert "`unfinished=True` hands it in" in said
    submit(unfinished=True)
    assert zipfile.is_zipfile("submission.zip")


FORMS = [
    'answers = {"Q5": "A"}',
    'answers = dict(Q5="A")',
    'answers: dict[str, str] = {"Q5": "A"}',
    'answers = {}\nanswers["Q5"] = "A"',
    'answers = {"Q5": ""}\nanswers.update(Q5="A")',
    'answers = {"Q5": ""}\nanswers.update({"Q5": "A"})',
    'answers = {"Q5": ""}\nanswers |= {"Q5": ["A"]}',
    'answers = {"Q5": "Ａ"}',
    'answers = {"Q5": "a、"}',
    'answers = {"Q5": ("A",)}',
    '%matplotlib inline\nanswers = {"Q5": "A"}',
    'print("mine:")\nanswers = {"Q5": " A "}',
]


@pytest.mark.parametrize("form", FORMS)
def test_what_submit_accepts_the_grader_reads(tmp_path, form):
    """Each of these was read by one of the two only."""
    notebook(tmp_path / "2_gradients.ipynb", DONE, CHECK, form)
    assert main(["submit", "--out", "b01.zip"]) == 0
    (handed,) = find_submissions(tmp_path / "b01.zip").submissions
    read = read_submission(handed, ["saliency"])
    assert marked(read.answers)["Q5"] == marked({"Q5": "A"})["Q5"]
    assert "def saliency" in read.sources["saliency"]


@pytest.mark.parametrize("disguise", CORPUS["DISGUISES"])
def test_submit_finds_nothing_missing_in_honest_work_that_the_grader_reads(tmp_path, disguise):
    for student, files in CORPUS["honest_submissions"]([disguise], [sum(map(ord, disguise)) % 4]):
        for name, content in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes(content)
        notebooks = [name for name in files if name.endswith(".ipynb")]
        if not notebooks:
            pytest.skip("handed in as something else than notebooks")
        for work in found([str(tmp_path)]).values():
            told = [what for what in faults(work) if not what.startswith("no answer to")]  # none is in the corpus
            borrowed = [what for what in told if re.search("grader has no (captum|torchcam)", what)]
            assert told == borrowed, (student, work.title)


def test_a_commented_stub_and_a_later_answer_are_read_as_meant(tmp_path):
    later = 'answers = {"Q5": "b"}\nprint(answers)'
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
        notebook(tmp_path / folder / "2_gradients.ipynb", DONE, ANSWERS, f"# {folder}")
    assert main(["submit", "old", "."]) == 2
    assert "there are two 2_gradients" in capsys.readouterr().err
