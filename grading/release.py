"""From masters to what students get: solutions out, stubs in, one or two languages, the same bytes every time.

A master is a notebook in py:percent. Its cells say what they are by their metadata:
    # %% [markdown] lang="en"        prose in one language; without lang it is in every release
    # %% exercise="saliency"         the code between # BEGIN SOLUTION and # END SOLUTION becomes a stub
    # %% check="saliency"            the cell that judges it, with the points
    # %% [markdown] questions="1-4"  replaced by these questions and, at the end, the cell for the answers
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from hw_xai.errors import UserError, nearest
from hw_xai.files import atomic

from .exercises import EXERCISES
from .feedback import Language, in_words
from .judge import Text
from .questions import Question, letters, load_questions

MASTERS = Path(__file__).parent.parent / "notebooks"
SOLUTION = re.compile(r"^(?P<indent>[ \t]*)# BEGIN SOLUTION\n.*?^[ \t]*# END SOLUTION\n?", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Options:
    """What a release can choose."""

    language: Language = "both"
    points: Mapping[str, float] = field(default_factory=dict)  # of an exercise, where not its own
    due: str = ""
    install: str = "hw-xai"  # what pip installs where the kit is missing, as on Colab
    student: str = ""
    variant: int = 0  # decides the order of the options; 0 is as written
    solved: bool = False


def masters(names: Sequence[str] = ()) -> list[Path]:
    """Return the masters, all or those whose name or number is given."""
    found = {path.stem: path for path in sorted(MASTERS.glob("[0-9]_*.py"))}
    if not names:
        return list(found.values())
    by_number = {stem.split("_")[0]: stem for stem in found}
    for name in names:
        if name not in found and name not in by_number:
            raise UserError(f'there is no notebook "{name}".{nearest(name, found)} Choose among {", ".join(found)}')
    return [found[by_number.get(name, name)] for name in names]


def release(master: Path, options: Options) -> NotebookNode:
    """Return the notebook made from one master."""
    import jupytext

    source = jupytext.read(master, fmt="py:percent")
    cells = [_header(master.stem, options)]
    asked: list[Question] = []
    for cell in source.cells:
        meta = cell.metadata
        if "lang" in meta and options.language not in ("both", meta["lang"]):
            continue
        if "questions" in meta:
            chosen = list(_questions(meta["questions"]))
            asked += chosen
            cells += [_question_cell(question, options) for question in chosen]
        elif "exercise" in meta:
            cells.append(_exercise_cell(cell, meta["exercise"], options))
        elif "check" in meta:
            cells.append(_check_cell(cell, meta["check"], options))
        else:
            cells.append(_cell(cell.cell_type, cell.source))
    if asked:
        cells.append(_answer_cell(asked, options))
    for number, cell in enumerate(cells):
        cell.id = cell.metadata.get("nbgrader", {}).get("grade_id", f"cell-{number:02d}")
    notebook = nbformat.v4.new_notebook(cells=cells)
    notebook.metadata = {
        "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
        "language_info": {"name": "python"},
        "hw_xai": {"notebook": master.stem, "student": options.student, "variant": options.variant},
    }
    nbformat.validate(notebook)
    return notebook


def write(notebook: NotebookNode, path: Path) -> Path:
    """Write a notebook, whole or not at all; equal notebooks give equal bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic(path) as temporary:
        temporary.write_text(nbformat.writes(notebook) + "\n", encoding="utf-8", newline="\n")
    return path


def stubbed(source: str, name: str, number: int) -> str:
    """Replace each solution by a stub that says what to do."""
    stub = rf'\g<indent>raise NotImplementedError("Exercise {number}: write {name} here")\n'
    result, n = SOLUTION.subn(stub, source + "\n")
    if n != 1 or "SOLUTION" in result:
        raise ValueError(f"exercise {name} must have one # BEGIN SOLUTION … # END SOLUTION, got {n}")
    return result.rstrip("\n")


def execute(notebook: NotebookNode, folder: Path, seconds: int = 600) -> NotebookNode:
    """Run a notebook in place, in a folder, and return it with its outputs."""
    from nbclient import NotebookClient

    NotebookClient(notebook, timeout=seconds, resources={"metadata": {"path": str(folder)}}).execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # the times at which it ran: no two runs would be equal
    return notebook


def html_of(notebook: NotebookNode) -> str:
    """Return a notebook as a page for teaching."""
    from nbconvert import HTMLExporter

    return HTMLExporter().from_notebook_node(notebook)[0]


# -------------------------------------------------------------------------------------------------------------- cells


def _cell(kind: str, source: str, **nbgrader: object) -> NotebookNode:
    make = nbformat.v4.new_code_cell if kind == "code" else nbformat.v4.new_markdown_cell
    cell = make(source)
    if nbgrader:
        whole = {"schema_version": 3, "grade": False, "solution": False, "locked": False, "task": False}
        cell.metadata["nbgrader"] = whole | nbgrader
    return cell


def _header(stem: str, options: Options) -> NotebookNode:
    lines = [
        "# " + in_words(Text("Run this cell first.", "請先執行這一格。"), options.language),
        "import importlib.util",
        'if importlib.util.find_spec("hw_xai") is None:',
        f"    %pip install -q {options.install}",
        "import os",
        f'os.environ["HW_XAI_LANGUAGE"] = "{options.language}"',
        "from grading import check",
    ]
    if options.due:
        lines.insert(1, "# " + in_words(Text(f"Due: {options.due}", f"繳交期限：{options.due}"), options.language))
    return _cell("code", "\n".join(lines), grade_id="start", locked=True)


def _exercise_cell(cell: NotebookNode, name: str, options: Options) -> NotebookNode:
    if name not in EXERCISES:
        raise ValueError(f"exercise must be in the table of exercises, got {name!r}")
    number = list(EXERCISES).index(name) + 1
    source = re.sub(r"^[ \t]*# (BEGIN|END) SOLUTION\n?", "", cell.source + "\n", flags=re.MULTILINE).rstrip("\n")
    return _cell("code", source if options.solved else stubbed(cell.source, name, number), grade_id=name, solution=True)


def _check_cell(cell: NotebookNode, name: str, options: Options) -> NotebookNode:
    points = options.points.get(name, EXERCISES[name].points)
    return _cell("code", cell.source, grade_id=f"check-{name}", grade=True, locked=True, points=points)


def _questions(span: str) -> Iterator[Question]:
    """Yield the questions of "1-4,7"."""
    for part in span.split(","):
        first, _, last = part.partition("-")
        for number in range(int(first), int(last or first) + 1):
            yield load_questions()[f"Q{number}"]


def _question_cell(question: Question, options: Options) -> NotebookNode:
    languages = ("en", "zh-TW") if options.language == "both" else (options.language,)
    many = Text("choose all that are right", "選出所有正確的選項") if question.multiple else Text("choose one", "單選")
    parts = []
    for language in languages:
        how = f"*({in_words(many, language)}; {question.points})*"
        parts.append(f"**{question.name}.** {in_words(question.text, language)} {how}")
        shown = letters(question, options.variant).items()
        parts.append("\n".join(f"- **{letter}** {in_words(question.options[key], language)}" for letter, key in shown))
    return _cell("markdown", "\n\n".join(parts))


def _answer_cell(asked: Sequence[Question], options: Options) -> NotebookNode:
    how = Text('Letters only, such as "A" or "AC".', '只填字母，例如 "A" 或 "AC"。')
    rows = "".join(f'    "{question.name}": "",\n' for question in asked)
    source = f"# {in_words(how, options.language)}\nanswers = {{\n{rows}}}"
    return _cell("code", source, grade_id="answers", solution=True)
