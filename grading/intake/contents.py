"""What is in a submission: the functions, answers and texts of the notebooks that a student handed in. Nothing is run.

Whatever a student did is no error: it is told in a remark.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from ..words import Text
from .answers import merge
from .archives import unpacked
from .notebook import BROKEN, Notebook, definitions, read_notebook, shown
from .submission import Submission
from .submissions import AUTOSAVED, Found

MOST_REMARKS = 30
LONGEST_TEXT = 20_000  # characters of an answer in words
MOST_CODE = 2_000_000  # characters in all cells of a student, and a hundred for each line: seconds of parsing


def homes_of(wanted: Sequence[str] | None = None) -> dict[str, str]:
    """Return the notebook that asks for each exercise, all of them if None."""
    from ..homework.exercises import EXERCISES  # late: it loads every reference

    names = EXERCISES if wanted is None else wanted
    return {name: EXERCISES[name].notebook if name in EXERCISES else "" for name in names}


def read_submission(
    found: Found, wanted: Mapping[str, str] | Sequence[str] | None = None, variant: int | None = None
) -> Submission:
    """Read what a student handed in, in this process; whatever it is, nothing is raised, but it may take long.

    wanted: the exercises to look for, all of them if None; or exercise -> its notebook. variant: the order of the
    student's options; None takes it from the notebooks.
    """
    homes = wanted if isinstance(wanted, Mapping) else homes_of(wanted)
    remarks = list(found.remarks)
    notebooks: list[Notebook] = []
    digest = hashlib.sha256()
    left_out: list[str] = []
    for file in found.files:
        for name, content, changed in unpacked(file):
            digest.update(f"{name.removeprefix(found.student)}\0".encode())  # the same under another id
            if isinstance(content, Text):
                remarks.append(content)
            else:
                digest.update(hashlib.sha256(content).digest())
                if name.lower().endswith((".ipynb", ".py")):
                    notebooks.append(replace(read_notebook(content, name), changed=changed))
                elif not name.endswith("manifest.json"):
                    left_out.append(name)
    notebooks = _by_time(_not_too_much(_saved_by_hand(notebooks, remarks), remarks))
    if found.files and not any(notebook.cells for notebook in notebooks):
        files = ", ".join(shown(name) for name in left_out[:5])
        remarks.append(Text(f"no notebook could be read {files}".strip(), f"沒有可以讀取的筆記本 {files}".strip()))
    sources: dict[str, str] = {}
    answers: dict[str, object] = {}
    asks: dict[str, Text] = {}
    texts: dict[str, str] = {}
    cells: dict[str, tuple[str | int, ...]] = {}
    for name, home in homes.items():
        if candidates := definitions(notebooks, name, home):
            where, best = candidates[-1]
            sources[name] = best.source
            cells[name] = (shown(where.name), *best.cells)
            remarks += best.remarks
            meant = [notebook for notebook, one in candidates if one.rank[0] > BROKEN]
            if best.several or len(meant) > 1:
                remarks.append(_several(name, where, meant))
        lost = next((one for one in notebooks if f"def {name}" in one.texts.get(name, "")), None)
        if lost and (not candidates or candidates[-1][1].rank[0] < BROKEN):
            asks[name] = _is_text(name, lost)
    for notebook in notebooks:
        texts |= {name: text[:LONGEST_TEXT] for name, text in notebook.texts.items() if text.strip()}
        remarks += notebook.remarks
        remarks += notebook.faults()
        its, more = notebook.answers()
        remarks += more
        merge(answers, its)
        if notebook.student and notebook.student.casefold() != found.student.casefold():
            remarks.append(_of_another(notebook))
    variants = sorted({notebook.variant for notebook in notebooks if notebook.variant is not None})
    if variants and (len(variants) > 1 or (variant is not None and variants != [variant])):
        remarks.append(OTHER_VARIANT)
    return Submission(
        student=found.student,
        name=found.name,
        sources=sources,
        answers=answers,
        variant=variant if variant is not None else max(variants, default=0),
        remarks=tuple(dict.fromkeys(remarks))[:MOST_REMARKS],
        digest=digest.hexdigest(),
        submitted=found.submitted,
        late=found.late,
        platform_id=found.platform_id,
        asks=asks,
        texts=texts,
        cells=cells,
    )


def _saved_by_hand(notebooks: list[Notebook], remarks: list[Text]) -> list[Notebook]:
    """Return the notebooks without autosaved copies, or these alone, with a remark, where there is nothing else."""
    own = [notebook for notebook in notebooks if not AUTOSAVED.search(notebook.name)]
    if notebooks and not own:
        name = shown(notebooks[0].name)
        remarks.append(
            Text(
                f"only copies that Jupyter saves by itself were handed in, such as {name}: these are graded",
                f"只繳交了 Jupyter 自動儲存的副本，例如 {name}；以這些檔案評分",
            )
        )
    return own or notebooks


def _by_time(notebooks: list[Notebook]) -> list[Notebook]:
    """Return the notebooks with the newest last; of those whose time says nothing, the one with the greater number."""

    def key(notebook: Notebook) -> tuple:
        stem = notebook.name.rpartition(".")[0].casefold()
        number = [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", stem)]
        return notebook.changed or datetime.min, number

    return sorted(notebooks, key=key)


def _is_text(name: str, notebook: Notebook) -> Text:
    where = shown(notebook.name)
    return Text(
        f"the cell of {name} in {where} is text (Markdown) now, so its code is not run: a person looks at it; "
        'change the cell back to "Code" and hand in again if you still can',
        f"{where} 中 {name} 的儲存格變成了文字（Markdown），程式沒有執行：會由人工處理；"
        "若還能繳交，請把儲存格改回「Code」再交一次",
    )


def _not_too_much(notebooks: list[Notebook], remarks: list[Text]) -> list[Notebook]:
    """Return the notebooks without those whose code is too much to parse, the largest; .py files go first."""
    codes = ([cell.source for cell in notebook.cells] for notebook in notebooks)
    sizes = [sum(len(code) + 100 * (code.count("\n") + code.count(";")) for code in its) for its in codes]
    kept, left = set(), MOST_CODE
    for i in sorted(range(len(sizes)), key=lambda i: (not notebooks[i].name.lower().endswith(".ipynb"), sizes[i])):
        if sizes[i] <= left:
            left -= sizes[i]
            kept.add(i)
    if n := len(notebooks) - len(kept):
        name = shown(next(notebook.name for i, notebook in enumerate(notebooks) if i not in kept))
        remarks.append(
            Text(
                f"{n} files with too much code were left out, such as {name}; hand in the homework only",
                f"程式碼過多，未使用 {n} 個檔案，例如 {name}；請只繳交作業的筆記本",
            )
        )
    return [notebook for i, notebook in enumerate(notebooks) if i in kept]


OTHER_VARIANT = Text(
    "a notebook has its options in another order than yours; the letters are read in the order of your notebooks",
    "有一份筆記本的選項順序與你的不同；字母依你的筆記本順序解讀",
)


def _several(name: str, where: Notebook, meant: Sequence[Notebook]) -> Text:
    if len(files := {notebook.name for notebook in meant}) > 1:
        of, graded = len(files), shown(where.name)
        return Text(
            f"{name} is in {of} notebooks; the newest is graded: {graded}",
            f"{name} 出現在 {of} 份筆記本中；以最新的一份評分：{graded}",
        )
    return Text(
        f"{name} is defined more than once; what stands in its own cell counts, else the last one",
        f"{name} 被定義了不只一次；以指定的儲存格為準，否則以最後一個為準",
    )


def _of_another(notebook: Notebook) -> Text:
    who = shown(notebook.student)
    return Text(
        f"{shown(notebook.name)} was made for {who}, not for you", f"{shown(notebook.name)} 是發給 {who} 的，不是你的"
    )
