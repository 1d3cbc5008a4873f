"""Whose results are whose over time: results that a roster knows under another name, and files that change hands."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ..platforms.names import folded
from ..platforms.roster import Roster
from ..verdict.results import Result
from ..words import Text
from .audit import Log
from .journal import Journal, hash_of, text_of

OWNERS = "owners"  # a fact of the journal: digest of what was handed in -> everybody whose it ever was


def under_their_names(journal: Journal, roster: Roster, log: Log) -> dict[str, str]:
    """Give results of the platform's own numbers, and of other ids of a student, to the student; return old -> new.

    Who has results under both names keeps both: a person must look.
    """
    found = {result.student: result for result in journal.results()}
    handed = journal.recall("handed") or {}
    moved: dict[str, str] = {}
    for old, result in found.items():
        new = None if old in roster.students else _on_roster(result, handed.get(old, [""])[0], roster)
        if not new or not result.handed_in or (new in found and found[new].handed_in) or new in moved.values():
            continue
        text, sources = text_of(replace(result, student=new)), journal.sources()[old]
        log.add("removed", student=old)
        head = log.add("result", student=new, result=hash_of(text), isolation=[])
        journal.write(new, "", text, sources, head)
        journal.remove(old)
        moved[old] = new
    if moved:
        journal.keep("handed", {moved.get(student, student): row for student, row in handed.items()})
        owners = journal.recall(OWNERS) or {}
        journal.keep(OWNERS, {d: list(dict.fromkeys(moved.get(s, s) for s in its)) for d, its in owners.items()})
    return moved


def _on_roster(result: Result, handle: str, roster: Roster) -> str | None:
    if result.platform_id:
        return roster.of_canvas.get(result.platform_id)
    if "_assignsubmission_" in handle:
        return roster.of_moodle.get(result.student)
    return roster.ids.get(folded(result.student))


def remember(journal: Journal) -> None:
    """Remember who has handed in what; work of which nothing was found to grade is that of many, and is nobody's."""
    owners = journal.recall(OWNERS) or {}
    for result in journal.results():
        attempted = any(part.status != "not_attempted" for part in result.exercises)
        if result.handed_in and attempted and result.student not in owners.setdefault(result.digest, []):
            owners[result.digest].append(result.student)
    journal.keep(OWNERS, {digest: students for digest, students in owners.items() if students})


def of_several(owners: Mapping[str, Sequence[str]], results: Sequence[Result], roster: Roster) -> list[Text]:
    """Return what is to be said of the very same files that more than one student has, or had, handed in."""
    group = {student: name for name, its in roster.groups.items() for student in its}
    said = []
    for digest in dict.fromkeys(result.digest for result in results if result.handed_in):
        students = owners.get(digest, [])
        if len({group.get(student, f"\0{student}") for student in students}) > 1:
            first, others = students[0], ", ".join(students[1:])
            said.append(
                Text(
                    f"the very same files came from {first} and then from {others}: whose are they?",
                    f"{first} 與 {others} 先後繳交了完全相同的檔案：是誰的？",
                )
            )
    return said
