"""From a download to submissions: who handed in what, and what is in it. Nothing is run, nothing is extracted.

What a student did is never an error: it is told in a remark. UserError is for the teaching assistant's own mistakes.
"""

import hashlib
import re
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from ..platforms.layouts import HANDED_IN, METADATA, Owner, in_sections, owner_of, read_metadata, safe, unique, wrapper
from ..platforms.roster import NO_ROSTER, Roster
from ..words import Text
from .answers import merge
from .archives import File, Unreadable, files_at, unpacked
from .notebook import BROKEN, Notebook, definitions, read_notebook, shown
from .submission import Submission

MOST_REMARKS = 30
LONGEST_TEXT = 20_000  # characters of an answer in words
AUTOSAVED = re.compile(r"(^|/)\.ipynb_checkpoints/")
MOST_CODE = 2_000_000  # characters in all cells of a student, and a hundred for each line: seconds of parsing
NOTHING = Text("nothing was handed in", "沒有繳交")


@dataclass(frozen=True)
class Found:
    """What one student handed in, not read yet."""

    student: str  # safe as a file name, no two alike
    name: str = ""
    submitted: datetime | None = None
    late: bool | None = None
    files: tuple[File, ...] = ()
    remarks: tuple[Text, ...] = ()
    platform_id: str = ""  # Canvas's own number, where the download says it
    handle: str = ""  # how the names of files begin that the platform takes back
    tries: int = 0  # how often it was handed in, where the download says so


@dataclass(frozen=True)
class Intake:
    """All submissions of a download in the order of their ids; remarks: on what belongs to nobody.

    strangers: who handed in and is nobody on the roster.
    """

    submissions: tuple[Found, ...]
    remarks: tuple[Text, ...] = ()
    strangers: tuple[str, ...] = ()

    @property
    def handed_in(self) -> int:
        return sum(bool(found.files) for found in self.submissions)


def find_submissions(path: str | Path, roster: Roster = NO_ROSTER) -> Intake:
    """Find who handed in what, in a folder or zip as Canvas, NTU COOL, Moodle, Gradescope or a person made it.

    roster: who takes the course: who is not there is reported, who handed in nothing appears as well.
    """
    path = Path(path)
    files = files_at(path)
    files = _below_wrappers(files, roster.ids)
    remarks: list[Text] = []
    attempts = _attempts(files, path.stem, roster.ids, remarks)
    people: dict[tuple[bool, str], list[tuple[Owner, list[File]]]] = {}
    for owner, its in attempts:
        student = _known(owner, roster)
        people.setdefault((student is None, student or owner.id.casefold()), []).append((owner, its))
    newest = [_newest(same) for same in people.values()]
    students = _students([owner for (owner, _), _ in newest], roster)
    own = {owner.id for (owner, _), _ in newest if safe(owner.id) == owner.id}  # nobody else may come to have it
    found: dict[str, Found] = {}
    pairs = list(zip(newest, students, strict=True))
    for ((owner, its), older), student in pairs:
        if student is None and roster:
            remarks.append(_stranger(owner))
        student = student or unique(safe(owner.id), [*found, *roster.students, *(own - {owner.id})])
        found[student] = _found(student, owner, its, [older] if older else [])
    for partners in roster.groups.values():
        found |= _shared(partners, found)
    for id in roster.students:
        found.setdefault(id, Found(id, remarks=(NOTHING,)))
    strangers = tuple(shown(f"{owner.id} {owner.name}".strip()) for ((owner, _), _), who in pairs if who is None)
    return Intake(tuple(found[id] for id in sorted(found)), tuple(remarks), strangers if roster else ())


def _below_wrappers(files: list[File], ids: Container[str]) -> list[File]:
    """Return the files named below the folders that hold the class: one in another, or one for each section."""
    while True:
        names = [file.name for file in files]
        if top := wrapper(names, ids):
            files = [replace(file, name=file.name[len(top) :]) for file in files]
        elif in_sections(names, ids):
            files = [replace(file, name=file.name.partition("/")[2]) for file in files]
        else:
            return files


def _shared(partners: Sequence[str], found: Mapping[str, Found]) -> dict[str, Found]:
    """Return what a group's members who handed in nothing themselves have by what a partner handed in, the newest."""
    theirs = [found[student] for student in partners if student in found]
    if not theirs or len(theirs) == len(partners):
        return {}
    one = max(theirs, key=lambda its: (its.submitted.timestamp() if its.submitted else 0.0, its.student))
    remark = Text(f"handed in by {one.student} for your group", f"由同組的 {one.student} 繳交")
    return {
        student: replace(one, student=student, name="", remarks=(*one.remarks, remark), platform_id="", handle="")
        for student in partners
        if student not in found
    }


def _known(owner: Owner, roster: Roster) -> str | None:
    """Return who on the roster has this very id; a platform's own numbers may be the student numbers of others."""
    for number, of_platform in ((owner.platform_id, roster.of_canvas), (owner.moodle_id, roster.of_moodle)):
        if number and of_platform:
            return of_platform.get(number)
    return roster.ids.get(owner.id.casefold())


def _students(owners: Sequence[Owner], roster: Roster) -> list[str | None]:
    """Return who on the roster each owner is: who has this very id, else the only one whose name has it."""
    exact = [_known(owner, roster) for owner in owners]
    numbered = [(one.platform_id and roster.of_canvas) or (one.moodle_id and roster.of_moodle) for one in owners]
    names = [() if by_number else owner.others for by_number, owner in zip(numbered, owners, strict=True)]
    other = [next((roster.ids[key.casefold()] for key in its if key.casefold() in roster.ids), None) for its in names]
    return [
        own or (it if it not in exact and other.count(it) == 1 else None) for own, it in zip(exact, other, strict=True)
    ]


def _attempts(
    files: Sequence[File], here: str, ids: Container[str], remarks: list[Text]
) -> list[tuple[Owner, list[File]]]:
    """Return what was handed in together, and whose it is; remark on files that are nobody's."""
    described: dict[str, list[Owner]] = {}
    for file in files:
        if file.name == METADATA:
            try:
                described = read_metadata(file.read())
            except Unreadable as error:
                remarks.append(error.args[0])
    folders = {file.name.partition("/")[0] for file in files if "/" in file.name}
    if described and not described.keys() & folders:
        remarks.append(OF_NO_FOLDER)
    described = {name: owners for name, owners in described.items() if name in folders}  # not a student's own file
    together: dict[tuple[str, str], tuple[Owner, list[File]]] = {}
    for file in files:
        if file.name == METADATA or file.name.startswith(".ipynb_checkpoints/"):
            continue
        first, _, rest = file.name.partition("/")
        owner, below = owner_of(file.name, here)
        if first in described:
            owners, below = described[first], rest or first
        elif owner.attempt == first and not first.lower().endswith(HANDED_IN) and owner.id.casefold() not in ids:
            remarks.append(_of_nobody(file.name))
            continue
        else:
            owners = [owner]
        for its in owners:
            _, kept = together.setdefault((its.id.casefold(), its.attempt), (its, []))
            numbered = its.handle and not its.moodle_id  # by the platform, in the order of time; zipped later
            kept.append(replace(file, name=below, changed=None if numbered else file.changed))
    return list(together.values())


def _newest(attempts: list[tuple[Owner, list[File]]]) -> tuple[tuple[Owner, list[File]], Text | None]:
    """Return the newest of several submissions, and a remark that there are several."""

    def time(attempt: tuple[Owner, list[File]]) -> tuple:
        owner, files = attempt
        handed_in = owner.submitted.timestamp() if owner.submitted else 0.0
        changed = max((file.changed for file in files if file.changed), default=datetime.min)
        return handed_in, changed, owner.attempt

    best = max(attempts, key=time)
    if len(attempts) == 1:
        return best, None
    what = shown(best[0].attempt)
    return best, Text(
        f"{len(attempts)} submissions came from you; the newest is graded: {what}",
        f"你繳交了 {len(attempts)} 份；只評分最新的一份：{what}",
    )


def _found(student: str, owner: Owner, files: list[File], remarks: list[Text]) -> Found:
    again = [re.search(r"-(\d{1,2})\.\w+$", file.name) for file in files if owner.platform_id]  # as Canvas names them
    tries = 1 + max((int(number[1]) for number in again if number), default=0) if owner.platform_id else 0
    return Found(
        student,
        shown(owner.name),
        owner.submitted,
        owner.late,
        tuple(_without_autosaved(files)),
        tuple(remarks),
        owner.platform_id,
        owner.handle,
        tries,
    )


def _without_autosaved(files: Sequence[File]) -> list[File]:
    """Return the files without what Jupyter saves by itself, unless there is no other notebook."""
    own = [file for file in files if not AUTOSAVED.search(file.name)]
    return own if any(file.name.lower().endswith(HANDED_IN) for file in own) else list(files)


def _stranger(owner: Owner) -> Text:
    who = shown(f"{owner.id} {owner.name}".strip())
    return Text(f"{who} is nobody on the roster: graded all the same", f"{who} 不在名單上，仍予評分")


OF_NO_FOLDER = Text(
    f"{METADATA} names no folder beside it and was not believed: a student may have handed it in",
    f"{METADATA} 沒有指出旁邊的任何資料夾，不予採信：可能是學生自己繳交的",
)


def _of_nobody(name: str) -> Text:
    return Text(f"{shown(name)} belongs to no submission", f"{shown(name)} 不屬於任何一份作業")


# ------------------------------------------------------------------------------------------------------------- reading


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
            digest.update(f"{name}\0".encode())
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
