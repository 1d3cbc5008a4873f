"""Honest submissions: every exercise solved in several right ways, in notebooks as real students leave them.

    corpus = runpy.run_path("tests/honest/corpus.py")
    for student, files in corpus["honest_submissions"]():   # "shuffled-2", {"2_gradients.ipynb": bytes, …}

All of them deserve full marks for the exercises.
"""

import ast
import copy
import hashlib
import io
import json
import random
import re
import runpy
import zipfile
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from pathlib import Path

import jupytext
import nbformat

from grading.homework.exercises import EXERCISES
from grading.homework.release.cells import Options
from grading.homework.release.notebooks import as_bytes, masters, release
from grading.intake.submit import packed, work_of

SOLUTIONS = Path(__file__).parent.parent / "grading" / "solutions"
Files = dict[str, bytes]


def honest_submissions(
    disguises: Iterable[str] | None = None, variants: Iterable[int] = range(4)
) -> Iterator[tuple[str, Files]]:
    """Yield student and files: one submission with all the exercises for each disguise and variant."""
    for disguise in DISGUISES if disguises is None else disguises:
        for variant in variants:
            yield f"{disguise}-{variant}", DISGUISES[disguise](solved(variant), random.Random(f"{disguise} {variant}"))


def solved(variant: int) -> dict[str, dict]:
    """Return name -> notebook, each stub replaced by a right solution; equal numbers give equal notebooks."""
    notebooks = {}
    for name, content in released().items():
        notebook = json.loads(content)
        modules = {}
        for cell in notebook["cells"]:
            cell["source"] = "".join(cell["source"])
            exercise = grade_id(cell)
            if exercise in EXERCISES:
                imports, helpers, source = solution(exercise, variant)
                modules.setdefault(imports, {}).update(helpers)
                cell["source"] = source
        first = next(i for i, cell in enumerate(notebook["cells"]) if grade_id(cell) == "start") + 1
        for imports, helpers in modules.items():
            notebook["cells"][first:first] = [code(imports), code("\n\n\n".join(helpers.values()))]
        notebooks[name] = notebook
    return notebooks


@lru_cache(maxsize=1)
def released() -> dict[str, bytes]:
    return {f"{path.stem}.ipynb": as_bytes(release(path, Options(language="en"))) for path in masters()}


@lru_cache(maxsize=1)
def table() -> dict[str, tuple[str, list[Callable]]]:
    """Return exercise -> text of the module with its solutions, and the solutions."""
    found = {}
    for file in sorted(SOLUTIONS.glob("*.py")):
        text = file.read_text(encoding="utf-8")
        found |= {name: (text, functions) for name, functions in runpy.run_path(str(file))["SOLUTIONS"].items()}
    return found


def solution(exercise: str, variant: int) -> tuple[str, dict[str, str], str]:
    """Return the imports, the helpers and the function as three cells."""
    text, functions = table()[exercise]
    chosen = functions[variant % len(functions)].__name__
    lines = text.splitlines()
    tree = ast.parse(text)
    imports, helpers, source = [], {}, ""
    for node in tree.body:
        first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", ()))]) - 1
        piece = "\n".join(lines[first : node.end_lineno])
        if isinstance(node, ast.Import | ast.ImportFrom):
            imports.append(piece)
        elif isinstance(node, ast.FunctionDef) and node.name == chosen:
            source = re.sub(rf"\b{chosen}\b", exercise, piece)
        elif isinstance(node, ast.FunctionDef):
            helpers[node.name] = piece  # also the other solutions: the slice has to leave them out
    return "\n".join(imports), helpers, source


def code(source: str, **metadata: object) -> dict:
    digest = hashlib.sha256(source.encode()).hexdigest()[:8]
    return {"cell_type": "code", "id": digest, "metadata": metadata, "source": source, "outputs": [],
            "execution_count": None}  # fmt: skip


def grade_id(cell: dict) -> str:
    return cell["metadata"].get("nbgrader", {}).get("grade_id", "")


def saved(notebooks: dict[str, dict], **how: object) -> Files:
    return {name: json.dumps(notebook, indent=1, ensure_ascii=False, **how).encode() for name, notebook in
            notebooks.items()}  # fmt: skip


# ----------------------------------------------------------------------------------------------------------- disguises


def shuffled(notebooks: dict[str, dict], rng: random.Random) -> Files:
    for notebook in notebooks.values():
        rng.shuffle(notebook["cells"])
    return saved(notebooks)


def renamed(notebooks: dict[str, dict], rng: random.Random) -> Files:
    """Every id is another one, also those in nbgrader's metadata."""
    for notebook in notebooks.values():
        for cell in notebook["cells"]:
            cell["id"] = f"{rng.getrandbits(32):08x}"
            if "nbgrader" in cell["metadata"]:
                cell["metadata"]["nbgrader"]["grade_id"] = f"cell-{rng.getrandbits(32):08x}"
    return saved(notebooks)


def bare(notebooks: dict[str, dict], rng: random.Random) -> Files:
    """No metadata, no ids."""
    for notebook in notebooks.values():
        notebook["metadata"] = {}
        for cell in notebook["cells"]:
            cell["metadata"] = {}
            cell.pop("id", None)
    return saved(notebooks)


def copied(notebooks: dict[str, dict], rng: random.Random) -> Files:
    """The stub stays in its cell, and the work is in copies: some with the cell's metadata, some without."""
    stubs = {grade_id(cell): cell for content in released().values() for cell in json.loads(content)["cells"]}
    for notebook in notebooks.values():
        cells = []
        for cell in notebook["cells"]:
            if grade_id(cell) in EXERCISES:
                cells.append(stubs[grade_id(cell)])
                copy_ = copy.deepcopy(cell)
                if rng.random() < 0.5:
                    copy_["metadata"] = {}
                cells += [copy_, copy.deepcopy(copy_)]
            else:
                cells.append(cell)
        notebook["cells"] = cells
    return saved(notebooks)


SCRATCH = [
    "import matplotlib.pyplot as plt\nfig, axes = plt.subplots(1, 2)\nfor ax in axes:\n    ax.plot([1, 2])\nplt.show()",
    "for epoch in range(10 ** 9):\n    loss = epoch\n    print(loss)",
    "while True:\n    pass",
    "raise RuntimeError('this cell must not run')",
    "def unfinished(x:\n    return x",
    "x = torch.zeros(10 ** 12)",
    "print(results[0])\nresults",
    "input('your name? ')",
    "open('/content/drive/MyDrive/photos.zip')",
    "",
]


def extra(notebooks: dict[str, dict], rng: random.Random) -> Files:
    """Cells that train for ever, fail, draw or are no Python, between all the others."""
    for notebook in notebooks.values():
        for source in SCRATCH:
            notebook["cells"].insert(rng.randrange(len(notebook["cells"]) + 1), code(source))
    return saved(notebooks)


MAGICS = ["%%time\n", "%%capture out\n", "\n%%time\n", "%matplotlib inline\n", "!pip install -q captum\n",
          "%load_ext autoreload\n%autoreload 2\n", "files = !ls\n"]  # fmt: skip


def magics(notebooks: dict[str, dict], rng: random.Random) -> Files:
    for notebook in notebooks.values():
        for cell in notebook["cells"]:
            if grade_id(cell) in EXERCISES:
                cell["source"] = rng.choice(MAGICS) + cell["source"]
        for source in ("%%bash\nrm -rf /\n", "%%html\n<b>hi</b>", "torch.zeros?", "%timeit 1 + 1", "!nvidia-smi"):
            notebook["cells"].insert(rng.randrange(len(notebook["cells"]) + 1), code(source))
    return saved(notebooks)


def outputs(notebooks: dict[str, dict], rng: random.Random) -> Files:
    """Everything was run: pictures, text and errors are kept, sources are lists of lines."""
    for notebook in notebooks.values():
        for n, cell in enumerate(notebook["cells"]):
            cell["source"] = cell["source"].splitlines(keepends=True)
            if cell["cell_type"] == "code":
                cell["execution_count"] = n
                cell["outputs"] = [
                    {"output_type": "stream", "name": "stdout", "text": ["def saliency(): pass\n"] * 200},
                    {"output_type": "display_data", "metadata": {}, "data": {"image/png": "iVBORw0KGgo" * 20_000}},
                    {"output_type": "error", "ename": "KeyError", "evalue": "'x'", "traceback": ["\x1b[31mKeyError"]},
                ]
    return saved(notebooks)


def chinese(notebooks: dict[str, dict], rng: random.Random) -> Files:
    for notebook in notebooks.values():
        for cell in notebook["cells"]:
            if grade_id(cell) in EXERCISES:
                cell["source"] = f"# 我的解答：先算梯度，再取絕對值 😀\n答案 = '完成'\n{cell['source']}  # 結束\n"
    return saved(notebooks)


def windows(notebooks: dict[str, dict], rng: random.Random) -> Files:
    """A mark at the beginning, \\r\\n at the ends of the lines of the file and within the cells."""
    for notebook in notebooks.values():
        for cell in notebook["cells"]:
            cell["source"] = cell["source"].replace("\n", "\r\n")
    return {name: b"\xef\xbb\xbf" + content.replace(b"\n", b"\r\n") for name, content in saved(notebooks).items()}


def utf16(notebooks: dict[str, dict], rng: random.Random) -> Files:
    return {name: content.decode().encode("utf-16") for name, content in saved(notebooks).items()}


def format_3(notebooks: dict[str, dict], rng: random.Random) -> Files:
    return {
        name: nbformat.writes(nbformat.convert(nbformat.from_dict(notebook), 3), version=3).encode()
        for name, notebook in notebooks.items()
    }


def exported(notebooks: dict[str, dict], rng: random.Random) -> Files:
    """As scripts: by jupytext in py:percent, and as Jupyter's own export writes them."""
    files = {}
    for name, notebook in notebooks.items():
        if rng.random() < 0.5:
            text = jupytext.writes(nbformat.from_dict(notebook), fmt="py:percent")
        else:
            from nbconvert import PythonExporter

            text = PythonExporter().from_notebook_node(nbformat.from_dict(notebook))[0]
        files[name.replace(".ipynb", ".py")] = text.encode()
    return files


def submitted(notebooks: dict[str, dict], rng: random.Random) -> Files:
    """As `hw-xai submit` packs them."""
    files = {name: packed(work_of(Path(name), content)) for name, content in saved(notebooks).items()}
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in {**files, "manifest.json": json.dumps({"files": hashes, "missing": []}).encode()}.items():
            archive.writestr(name, content)
    return {"submission.zip": buffer.getvalue()}


DISGUISES: dict[str, Callable[[dict[str, dict], random.Random], Files]] = {
    "plain": lambda notebooks, rng: saved(notebooks),
    "shuffled": shuffled,
    "renamed": renamed,
    "bare": bare,
    "copied": copied,
    "extra": extra,
    "magics": magics,
    "outputs": outputs,
    "chinese": chinese,
    "windows": windows,
    "utf16": utf16,
    "format_3": format_3,
    "exported": exported,
    "submitted": submitted,
}
