"""The cells of a released notebook: what a student fills in, what judges it, and what is only read.

Their metadata is nbgrader's, schema version 3: courses that use nbgrader can assign and collect these notebooks.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from hw_xai.show.frame.images import data_uri

from ...verdict.feedback import in_words
from ...words import Language, Text
from ..exercises import EXERCISES
from ..questions import Question, letters, load_questions

if TYPE_CHECKING:
    from nbformat import NotebookNode

_GRADING = Path(__file__).parents[2]
# beside the package in a checkout, inside it once installed
MASTERS = next((p for p in (_GRADING / "notebooks", _GRADING.parent / "notebooks") if p.exists()), _GRADING)
PICTURES = MASTERS / "pictures"
SOLUTION = re.compile(r"^(?P<indent>[ \t]*)# BEGIN SOLUTION\n.*?^[ \t]*# END SOLUTION\n?", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Package:
    """What students install: a wheel or a zip that lies beside the notebooks, or at a URL."""

    name: str  # of the file
    sha256: str
    url: str = ""


@dataclass(frozen=True)
class Options:
    """What a release can choose."""

    language: Language = "both"
    points: Mapping[str, float] = field(default_factory=dict)  # of an exercise, where not its own
    due: str = ""
    package: Package | None = None  # what the first cell installs where the kit is missing, as on Colab
    student: str = ""
    variant: int = 0  # decides the order of the options; 0 is as written
    solved: bool = False


def plain_cell(kind: str, source: str, **nbgrader: object) -> NotebookNode:
    """Return a code or markdown cell; with nbgrader's metadata if any of it is given."""
    from nbformat import v4  # late: it takes seconds, and the reports need none of it

    make = v4.new_code_cell if kind == "code" else v4.new_markdown_cell
    cell = make(source)
    if nbgrader:
        whole = {"schema_version": 3, "grade": False, "solution": False, "locked": False, "task": False}
        cell.metadata["nbgrader"] = whole | nbgrader
    return cell


def first_cell(options: Options) -> NotebookNode:
    """Return the cell that makes the notebook run anywhere, and installs nothing but what the teacher released."""
    lines = [
        "# " + in_words(Text("Run this cell first.", "請先執行這一格。"), options.language),
        *installing(options.package, options.language),
        "import os",
        f'os.environ["HW_XAI_LANGUAGE"] = "{options.language}"',
        "from grading import check",
    ]
    if options.due:
        lines.insert(1, "# " + in_words(Text(f"Due: {options.due}", f"繳交期限：{options.due}"), options.language))
    return plain_cell("code", "\n".join(lines), grade_id="start", locked=True)


def installing(package: Package | None, language: Language) -> list[str]:
    """Return the lines that install a package where the kit is missing: from its file, after a look at its hash.

    Never by a name: who registers it in an index would run code on every student's machine.
    """
    lines = ["import importlib.util", 'if not all(map(importlib.util.find_spec, ("hw_xai", "grading"))):']
    if not package:
        return [*lines, '    raise ModuleNotFoundError("install the kit first: your teacher says from where")']
    get = [f"        urllib.request.urlretrieve({package.url!r}, package)"]
    if not package.url:
        missing = Text(
            f"put {package.name}, which came with this notebook, beside it (in Colab: the folder at the left, upload)",
            f"請把與筆記本一起發布的 {package.name} 放在同一個資料夾（Colab：左側的資料夾圖示，上傳）",
        )
        get = [f'        raise FileNotFoundError("{in_words(missing, language)}")']
    wrong = Text(f"{package.name} is not what your teacher released", f"{package.name} 不是老師發布的檔案")
    return [
        *lines,
        "    import hashlib, pathlib, subprocess, sys, urllib.request",
        f'    package = pathlib.Path("{package.name}")',
        "    if not package.exists():",
        *get,
        f'    if hashlib.sha256(package.read_bytes()).hexdigest() != "{package.sha256}":',
        f'        raise ValueError("{in_words(wrong, language)}")',
        '    subprocess.run([sys.executable, "-m", "pip", "install", "-q", str(package.resolve())], check=True)',
        "    importlib.invalidate_caches()",
    ]


def last_cell(options: Options) -> NotebookNode:
    """Return the cell that hands in; what it does stands behind a comment, so that to run all cells makes no zip."""
    how = Text("When all notebooks are done: take the # away", "所有筆記本都完成後：拿掉 #")
    return plain_cell("code", f"# {in_words(how, options.language)}\n# from grading import submit; submit()",
                      grade_id="submit", locked=True)  # fmt: skip


def exercise_cell(source: str, name: str, options: Options) -> NotebookNode:
    """Return the function to write: a stub, or the solution without its marks."""
    if name not in EXERCISES:
        raise ValueError(f"exercise must be in the table of exercises, got {name!r}")
    if options.solved:
        source = re.sub(r"^[ \t]*# (BEGIN|END) SOLUTION\n?", "", source + "\n", flags=re.MULTILINE).rstrip("\n")
    else:
        source = stubbed(source, name, list(EXERCISES).index(name) + 1)
    return plain_cell("code", source, grade_id=name, solution=True)


def stubbed(source: str, name: str, number: int) -> str:
    """Replace the solution by a stub that says what to do."""
    stub = rf'\g<indent>raise NotImplementedError("Exercise {number}: write {name} here")\n'
    result, n = SOLUTION.subn(stub, source + "\n")
    if n != 1 or "SOLUTION" in result:
        raise ValueError(f"exercise {name} must have one # BEGIN SOLUTION … # END SOLUTION, got {n}")
    return result.rstrip("\n")


def check_cell(source: str, name: str, options: Options) -> NotebookNode:
    """Return the cell that judges an exercise, with its points."""
    points = options.points.get(name, EXERCISES[name].points)
    return plain_cell("code", source, grade_id=f"check-{name}", grade=True, locked=True, points=points)


def text_cell(name: str) -> NotebookNode:
    """Return an empty cell for words, which people grade: it counts for what course.toml says under [hand]."""
    return plain_cell("markdown", "", grade_id=name, grade=True, solution=True, points=0)


def picture_cell(name: str, options: Options) -> NotebookNode:
    """Return what the cell before it should draw, folded: those who want to predict first need not see it."""
    title = in_words(Text("The expected picture", "預期的圖片"), options.language)
    uri = data_uri((PICTURES / f"{name}.jpg").read_bytes(), "JPEG")
    return plain_cell("markdown", f"<details><summary>{title}</summary>\n\n![{title}]({uri})\n</details>")


# ---------------------------------------------------------------------------------------------------------- questions


def questions_of(span: str) -> Iterator[Question]:
    """Yield the questions of "1-4,7"."""
    for part in span.split(","):
        first, _, last = part.partition("-")
        for number in range(int(first), int(last or first) + 1):
            yield load_questions()[f"Q{number}"]


def question_cell(question: Question, options: Options) -> NotebookNode:
    """Return a question with its options, in the order of the student's variant."""
    languages: tuple[Language, ...] = ("en", "zh-TW") if options.language == "both" else (options.language,)
    many = Text("choose all that are right", "選出所有正確的選項") if question.multiple else Text("choose one", "單選")
    points = Text(f"{question.points} points", f"{question.points} 分")
    parts = []
    for language in languages:
        how = in_words(Text(f"*({many.en}; {points.en})*", f"*（{many.zh}；{points.zh}）*"), language)
        parts.append(f"**{question.name}.** {in_words(question.text, language)} {how}")
        shown = letters(question, options.variant).items()
        parts.append("\n".join(f"- **{letter}** {in_words(question.options[key], language)}" for letter, key in shown))
    return plain_cell("markdown", "\n\n".join(parts))


def answer_cell(asked: Sequence[Question], options: Options) -> NotebookNode:
    """Return the cell for the letters: a plain dict, which is read as data and never run."""
    how = Text('Letters only, such as "A" or "AC".', '只填字母，例如 "A" 或 "AC"。')
    rows = "".join(f'    "{question.name}": "",\n' for question in asked)
    source = f"# {in_words(how, options.language)}\nanswers = {{\n{rows}}}"
    return plain_cell("code", source, grade_id="answers", solution=True)
