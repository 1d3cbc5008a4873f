"""From a download to submissions: who handed in what. Nothing is read of it but its names, nothing is extracted.

What a student did is never an error: it is told in a remark. UserError is for the teaching assistant's own mistakes,
and for what only the assistant knows: whether a lone folder is a class or one student's.
"""

import re
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from hw_xai.errors import UserError, nearest

from ..platforms.layouts import (
    HANDED_IN,
    LAYOUTS,
    METADATA,
    Owner,
    doubtful,
    export_of,
    folders_above,
    owner_of,
    whose_name,
)
from ..platforms.names import composed, folded, safe, twins, unique
from ..platforms.roster import NO_ROSTER, Roster
from ..words import Text
from .archives import File, files_at
from .child import CouldNotBeRead
from .metadata import owners_in
from .notebook import shown

AUTOSAVED = re.compile(r"(^|/)\.ipynb_checkpoints/")
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

    strangers: who handed in and is nobody on the roster. unclear: whether work is there that may be that of somebody
    of whom nothing else is.
    """

    submissions: tuple[Found, ...]
    remarks: tuple[Text, ...] = ()
    strangers: tuple[str, ...] = ()
    unclear: bool = False

    @property
    def handed_in(self) -> int:
        return sum(bool(found.files) for found in self.submissions)


def find_submissions(
    path: str | Path, roster: Roster = NO_ROSTER, layout: str = "", whose: str = "", known: Iterable[str] = ()
) -> Intake:
    """Find who handed in what, in a folder or zip as Canvas, NTU COOL, Moodle, Gradescope or a person made it.

    roster: who takes the course: who is not there is reported, who handed in nothing appears as well. layout: one of
    LAYOUTS, where the names alone do not tell. whose: all of it is this student's; so it is where the download is named
    for one of the roster or, without one, of `known`, who have results. UserError where a class may lie in it as well
    as one student's work.
    """
    path = Path(path)
    files = [replace(file, name=composed(file.name)) for file in files_at(path)]
    remarks: list[Text] = []
    ids = roster.ids or {folded(id): id for id in known}
    if whose and roster and folded(whose) not in roster.ids:
        raise UserError(f'`whose` must be a student on the roster, got "{whose}".{nearest(whose, roster.students)}')
    if not whose and not layout and (whose := whose_name(composed(path.stem), ids)):
        remarks.append(_by_its_name(path.name, whose))
    if whose:
        attempts = [(Owner(roster.ids.get(folded(whose), whose)), files)]
    else:
        attempts = _attempts(_below_wrappers(files, ids, layout), composed(path.stem), ids, layout, remarks)
    unclear = len(remarks) if not whose else 0
    people: dict[tuple[bool, str], list[tuple[Owner, list[File]]]] = {}
    for owner, its in attempts:
        student = _known(owner, roster)
        people.setdefault((student is None, student or folded(owner.id)), []).append((owner, its))
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
    remarks += [_alike(group) for group in twins(sorted({*found, *known}))]
    strangers = tuple(shown(f"{owner.id} {owner.name}".strip()) for ((owner, _), _), who in pairs if who is None)
    strangers = strangers if roster else ()
    return Intake(tuple(found[id] for id in sorted(found)), tuple(remarks), strangers, bool(strangers or unclear))


def _below_wrappers(files: list[File], ids: Mapping[str, str], layout: str) -> list[File]:
    """Return the files named below the folders that hold the class, one in another, or one for each section.

    UserError where it is not clear that they hold a class.
    """
    names = [file.name for file in files]
    if top := export_of(names):
        n = 1 if layout in ("", "gradescope") else 0
    elif layout:
        n = folders_above(names, ids, layout)
    elif top := doubtful(names, ids):
        raise UserError(
            f"everything lies in the folder {shown(top)}, which may be a class's or one student's; its content cannot "
            f"tell: say `layout={'|'.join(LAYOUTS)}` if it is a class's, `whose=ID` if it is one student's"
        )
    else:
        n = 0
    return [replace(file, name=file.name.split("/", n)[n]) for file in files]


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
    return roster.ids.get(folded(owner.id))


def _students(owners: Sequence[Owner], roster: Roster) -> list[str | None]:
    """Return who on the roster each owner is: who has this very id, else the only one whose name has it."""
    exact = [_known(owner, roster) for owner in owners]
    numbered = [(one.platform_id and roster.of_canvas) or (one.moodle_id and roster.of_moodle) for one in owners]
    names = [() if by_number else owner.others for by_number, owner in zip(numbered, owners, strict=True)]
    other = [next((roster.ids[folded(key)] for key in its if folded(key) in roster.ids), None) for its in names]
    return [
        own or (it if it not in exact and other.count(it) == 1 else None) for own, it in zip(exact, other, strict=True)
    ]


def _attempts(
    files: Sequence[File], here: str, ids: Container[str], layout: str, remarks: list[Text]
) -> list[tuple[Owner, list[File]]]:
    """Return what was handed in together, and whose it is; remark on files that are nobody's."""
    described: dict[str, list[Owner]] = {}
    for file in files:
        if file.name == METADATA and layout in ("", "gradescope"):
            try:
                described = owners_in(file)
            except CouldNotBeRead as error:
                remarks.append(_no_metadata(error.args[0]))
    folders = {file.name.partition("/")[0] for file in files if "/" in file.name}
    if described and not described.keys() & folders:
        remarks.append(OF_NO_FOLDER)
    described = {name: owners for name, owners in described.items() if name in folders}  # not a student's own file
    together: dict[tuple[str, str], tuple[Owner, list[File]]] = {}
    for file in files:
        if file.name == METADATA or file.name.startswith(".ipynb_checkpoints/"):
            continue
        first, _, rest = file.name.partition("/")
        owner, below = owner_of(file.name, here, layout)
        if first in described:
            owners, below = described[first], rest or first
        elif owner is None or (owner.attempt == first and not _is_work(first) and folded(owner.id) not in ids):
            remarks.append(_of_nobody(file.name))
            continue
        else:
            owners = [owner]
        for its in owners:
            _, kept = together.setdefault((folded(its.id), its.attempt), (its, []))
            numbered = its.handle and not its.moodle_id  # by the platform, in the order of time; zipped later
            kept.append(replace(file, name=below, changed=None if numbered else file.changed))
    return list(together.values())


def _is_work(name: str) -> bool:
    return name.lower().endswith(HANDED_IN)


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


def _by_its_name(download: str, whose: str) -> Text:
    return Text(
        f"{shown(download)} is named for {whose}: all of it is taken for {whose}'s (say `layout` if it is a class's)",
        f"{shown(download)} 以 {whose} 命名：全部視為 {whose} 所繳交（若是全班的，請指定 `layout`）",
    )


def _alike(ids: Sequence[str]) -> Text:
    who = ", ".join(map(shown, ids))
    return Text(
        f"{who} look alike and are written with other signs: several students' as it stands, a person must look",
        f"{who} 看起來相同，但字元不同：目前視為不同的學生，請人工確認",
    )


OF_NO_FOLDER = Text(
    f"{METADATA} names no folder beside it and was not believed: a student may have handed it in",
    f"{METADATA} 沒有指出旁邊的任何資料夾，不予採信：可能是學生自己繳交的",
)


def _no_metadata(why: Text) -> Text:
    return Text(
        f"{METADATA} could not be read, so each folder is taken for a student: {why.en}",
        f"無法讀取 {METADATA}，因此把每個資料夾視為一位學生：{why.zh}",
    )


def _of_nobody(name: str) -> Text:
    return Text(f"{shown(name)} belongs to no submission", f"{shown(name)} 不屬於任何一份作業")
