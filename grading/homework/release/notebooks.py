"""From masters to what students get: solutions out, stubs in, one or two languages, the same bytes every time.

A master is a notebook in py:percent. Its cells say what they are by their metadata:
    # %% [markdown] lang="en"        prose in one language; without lang it is in every release
    # %% exercise="saliency"         the code between # BEGIN SOLUTION and # END SOLUTION becomes a stub
    # %% check="saliency"            the cell that judges it, with the points
    # %% [markdown] text="name"      an empty cell for words that people grade (hw-grade hand)
    # %% picture="saliency"          behind it comes, folded, notebooks/pictures/saliency.jpg: what it should draw
    # %% [markdown] questions="1-4"  replaced by these questions and, at the end, the cell for the answers
"""

import base64
import io
import re
from collections.abc import Sequence
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from PIL import Image

from hw_xai.errors import UserError, nearest
from hw_xai.files import atomic

from ..questions import Question
from .cells import (
    MASTERS,
    PICTURES,
    Options,
    answer_cell,
    check_cell,
    exercise_cell,
    first_cell,
    last_cell,
    picture_cell,
    plain_cell,
    question_cell,
    questions_of,
    text_cell,
)

HAN = r"[\u3000-\u9fff\uff00-\uffef]"
BREAK = re.compile(rf"^(?!#)(.*{HAN})\n(?={HAN})", re.MULTILINE)  # not behind a heading


def masters(names: Sequence[str] = ()) -> list[Path]:
    """Return the masters, all or those whose name or number is given."""
    found = {path.stem: path for path in sorted(MASTERS.glob("[0-9]_*.py"))}
    if not found:
        raise UserError("the masters of the notebooks must come with the kit, but they are missing: reinstall it")
    if not names:
        return list(found.values())
    by_number = {stem.split("_")[0]: stem for stem in found}
    for name in names:
        if name not in found and name not in by_number:
            raise UserError(f'there is no notebook "{name}".{nearest(name, found)} Choose among {", ".join(found)}')
    return [found[by_number.get(name, name)] for name in names]


def release(master: Path, options: Options) -> NotebookNode:
    """Return the notebook made from one master."""
    import jupytext  # late: an extra, needed to release only

    cells = [first_cell(options)]
    asked: list[Question] = []
    for cell in jupytext.read(master, fmt="py:percent").cells:
        meta = cell.metadata
        if "lang" in meta and options.language not in ("both", meta["lang"]):
            continue
        if "questions" in meta:
            chosen = list(questions_of(meta["questions"]))
            asked += chosen
            cells += [question_cell(question, options) for question in chosen]
        elif "exercise" in meta:
            cells.append(exercise_cell(cell.source, meta["exercise"], options))
        elif "check" in meta:
            cells.append(check_cell(cell.source, meta["check"], options))
        elif "text" in meta:
            cells.append(text_cell(meta["text"]))
        else:
            cells.append(plain_cell(cell.cell_type, unbroken(cell.source)))
        if "picture" in meta:
            cells[-1].metadata["picture"] = meta["picture"]
            if not options.solved:  # there the picture itself is below the cell
                cells.append(picture_cell(meta["picture"], options))
    if asked:
        cells.append(answer_cell(asked, options))
    if not options.solved:
        cells.append(last_cell(options))
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


def unbroken(text: str) -> str:
    """Join the lines of a Chinese paragraph: markdown would show each break as a space in the middle of a sentence."""
    return BREAK.sub(r"\1", text)


def as_bytes(notebook: NotebookNode) -> bytes:
    """Return the file of a notebook; equal notebooks give equal bytes."""
    return (nbformat.writes(notebook) + "\n").encode()


def write(content: bytes, path: Path) -> Path:
    """Write a file, whole or not at all."""
    with atomic(path) as temporary:
        temporary.write_bytes(content)
    return path


def drift(paths: Sequence[Path], options: Options, folder: Path) -> list[str]:
    """Return the names of the notebooks in a folder that are not what their masters make now."""
    return [
        f"{path.stem}.ipynb"
        for path in paths
        if not (made := folder / f"{path.stem}.ipynb").is_file()
        or made.read_bytes() != as_bytes(release(path, options))
    ]


# ------------------------------------------------------------------------------------------------------- for teaching


def execute(notebook: NotebookNode, folder: Path, seconds: int = 600) -> NotebookNode:
    """Run a notebook in place, in a folder, and return it with its outputs."""
    from nbclient import NotebookClient  # late: Jupyter, needed for the solved notebooks only

    NotebookClient(notebook, timeout=seconds, resources={"metadata": {"path": str(folder)}}).execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # the times at which it ran: no two runs would be equal
    return notebook


def keep_pictures(notebook: NotebookNode, width: int = 720) -> list[Path]:
    """Write what the cells marked picture="…" of an executed notebook drew, as the pictures that students compare."""
    written = []
    for cell in notebook.cells:
        if "picture" not in cell.metadata:
            continue
        (drawn,) = (o["data"]["image/png"] for o in cell.outputs if "image/png" in o.get("data", {}))
        picture = Image.open(io.BytesIO(base64.b64decode(drawn))).convert("RGB")
        picture.thumbnail((width, 4 * width))
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=80, optimize=True)
        written.append(write(buffer.getvalue(), PICTURES / f"{cell.metadata['picture']}.jpg"))
    return written
