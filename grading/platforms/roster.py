"""Who takes the course, under which names a download knows them, and which order of the options is whose."""

import csv
import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, astuple, dataclass, fields, replace
from functools import cached_property
from pathlib import Path

from hw_xai.errors import UserError

from .names import composed, folded
from .tables import read_table

STUDENT = re.compile(r"\w[\w.@+-]*")  # also the name of a folder: no slash, no leading dot, no space
OF_CANVAS = {"Student", "ID"}  # columns of its gradebook as it exports it
OF_GROUPS = {"canvas_user_id", "group_name"}  # and of its groups: People → Groups → Export
TEST_STUDENT = "Student, Test"  # Canvas's own, in every course
PARTICIPANT = re.compile(r"\D*?\s?(\d+)")  # Moodle's "Participant 880000", in any language
NAMES = ("Full name", "全名", "姓名", "名稱")  # columns of Moodle's grading worksheet
MAILS = ("Email address", "電子郵件地址", "電子郵件信箱", "電子郵件", "Email")
NUMBERS = ("ID number", "學號", "識別號碼", "編號")
OF_LISTS = dict.fromkeys((*NUMBERS, "SID"), "student") | dict.fromkeys(NAMES, "name") | dict.fromkeys(MAILS, "email")


@dataclass(frozen=True)
class Person:
    """One student of the course. canvas_id, moodle_id: the platform's own number. login: another id of the same.

    group: who works together on one submission; "" for alone.
    """

    student: str
    name: str = ""
    email: str = ""
    canvas_id: str = ""
    login: str = ""
    moodle_id: str = ""
    group: str = ""


@dataclass(frozen=True)
class Roster:
    """The students of a course, in the order of the file; false where there is none."""

    people: tuple[Person, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.people)

    @property
    def students(self) -> list[str]:
        return [person.student for person in self.people]

    @cached_property
    def ids(self) -> Mapping[str, str]:
        """An id, or what is the alias of one student only, `folded` -> the student."""
        own = {folded(person.student): person.student for person in self.people}
        others = {(alias, person.student) for person in self.people for alias in _aliases(person)}
        times = Counter(alias for alias, _ in others)
        return {alias: student for alias, student in others if times[alias] == 1} | own

    @cached_property
    def of_canvas(self) -> Mapping[str, str]:
        """Canvas's number -> the student."""
        return {person.canvas_id: person.student for person in self.people if person.canvas_id}

    @cached_property
    def of_moodle(self) -> Mapping[str, str]:
        """Moodle's number of the participant -> the student."""
        return {person.moodle_id: person.student for person in self.people if person.moodle_id}

    @cached_property
    def groups(self) -> Mapping[str, list[str]]:
        """The name of a group -> who is in it."""
        found: dict[str, list[str]] = {}
        for person in self.people:
            if person.group:
                found.setdefault(person.group, []).append(person.student)
        return found

    def person(self, student: str) -> Person:
        """Return what is known of a student; of a stranger, the id alone."""
        return self._by_student.get(student) or Person(student)

    @cached_property
    def _by_student(self) -> Mapping[str, Person]:
        return {person.student: person for person in self.people}


NO_ROSTER = Roster()


def _aliases(person: Person) -> set[str]:
    return {folded(alias) for alias in (person.email, person.canvas_id, person.login) if alias}


def read_rosters(paths: Sequence[str | Path]) -> Roster:
    """Read the first as the roster; each other one adds what it knows of the same people (`joined`)."""
    if not paths:
        return NO_ROSTER
    roster = read_roster(paths[0])
    for path in paths[1:]:
        roster = joined(roster, read_roster(path), paths[0], path)
    return roster


def read_roster(path: str | Path) -> Roster:
    """Read a CSV file with a column "student", and "name", "email", "canvas_id", "moodle_id", "group" if known.

    So is a list with "學號", "ID number" (Moodle's participants) or "SID" (Gradescope's roster). Or, as they are
    exported: Canvas's gradebook ("Student", "ID", "SIS User ID", "SIS Login ID"), Canvas's groups ("canvas_user_id",
    "login_id", "group_name"), Moodle's grading worksheet ("Identifier", "Full name", "Email").
    """
    rows = read_table(path)
    if _is_list(rows):
        rows = [(line, {OF_LISTS.get(column, column): value for column, value in row.items()}) for line, row in rows]
    head = rows[0][1].keys() if rows else set()
    if "student" in head:
        names = {part.name for part in fields(Person)}
        people = [(line, Person(**{k: v for k, v in row.items() if k in names})) for line, row in rows]
    elif head >= OF_CANVAS:
        people = list(_of_canvas(rows))
    elif head >= OF_GROUPS:
        people = list(_of_groups(rows))
    else:
        people = list(_of_moodle(rows))
    people = [(line, Person(*map(composed, astuple(person)))) for line, person in people]
    if not people:
        what = (
            'a column named "student", with an id in each row below it, '
            "or be the gradebook that Canvas exports, its groups, or Moodle's grading worksheet"
        )
        raise UserError(f"{path} must have {what}")
    for line, person in people:
        if not STUDENT.fullmatch(person.student):
            said = f'an id must be letters, digits and . @ + - _ only, got "{person.student}"'
            raise UserError(f"{path}, row {line}: {said}")
    roster = Roster(tuple(person for _, person in people))
    same = [folded(student) for student in roster.students]  # B01 and b01 are one folder on many disks
    if double := _double(same):
        raise UserError(f"{path} must name each student once, but {double} is there more than once")
    for column in ("canvas_id", "moodle_id", "email"):
        if double := _double([getattr(person, column).casefold() for person in roster.people]):
            raise UserError(f"{path} must give each {column} once, but {double} is there more than once")
    return roster


Rows = Sequence[tuple[int, Mapping[str, str]]]


def _is_list(rows: Rows) -> bool:
    """Tell whether a table has students' numbers under another name, and is not Moodle's worksheet."""
    if not rows or "student" in rows[0][1] or not any(OF_LISTS.get(column) == "student" for column in rows[0][1]):
        return False
    first = next(iter(rows[0][1]))
    return first in OF_LISTS or not all(PARTICIPANT.fullmatch(row[first]) for _, row in rows)


def _of_canvas(rows: Rows) -> Iterator[tuple[int, Person]]:
    """Yield the students of Canvas's gradebook with their rows; those on points and on posting are none."""
    for line, row in rows:
        number, user, login = row["ID"], row.get("SIS User ID", ""), row.get("SIS Login ID", "")
        if not (number or user or login) or row["Student"] == TEST_STUDENT:
            continue
        student = login or user or number
        email = next((id for id in (login, user) if "@" in id), "")
        yield line, Person(student, row["Student"], email, number, user if user != student else "")


def _of_groups(rows: Rows) -> Iterator[tuple[int, Person]]:
    for line, row in rows:
        number, user, login = row["canvas_user_id"], row.get("user_id", ""), row.get("login_id", "")
        student = login or user or number
        other = user if user != student else ""
        yield line, Person(student, row.get("name", ""), "", number, other, group=row["group_name"])


def _of_moodle(rows: Rows) -> Iterator[tuple[int, Person]]:
    """Yield the participants of a grading worksheet; nobody where the first column has no numbers of participants."""
    if not rows or not all(PARTICIPANT.fullmatch(next(iter(row.values()))) for _, row in rows):
        return
    if not any(column in rows[0][1] for column in MAILS + NUMBERS + NAMES):
        return
    for line, row in rows:
        number = PARTICIPANT.sub(r"\1", next(iter(row.values())))
        name, email, id = (
            next((row[column] for column in columns if row.get(column)), "") for columns in (NAMES, MAILS, NUMBERS)
        )
        yield line, Person(id or email or number, name, email, login=email if id else "", moodle_id=number)


def joined(roster: Roster, more: Roster, first: object = "", second: object = "") -> Roster:
    """Return the roster with what another one knows of its people, who are found by an id of theirs or by their name.

    A name finds only who is alone with it in both. UserError where nobody is in both.
    """
    by_number = {"canvas_id": roster.of_canvas, "moodle_id": roster.of_moodle}
    names = [_as_named(person.name) for person in roster.people]
    of_name = {name: person.student for name, person in zip(names, roster.people, strict=True) if name}
    unclear = {name for rows in (roster.people, more.people) for name in _several(_as_named(p.name) for p in rows)}
    found: dict[str, Person] = {}
    for person in more.people:
        ids = [person.email, person.student, person.login, person.email.partition("@")[0]]
        student = next((its[number] for c, its in by_number.items() if (number := getattr(person, c)) in its), None)
        student = student or next((roster.ids[folded(id)] for id in ids if id and folded(id) in roster.ids), None)
        name = _as_named(person.name)
        if not student and name and name not in unclear:
            student = of_name.get(name)
        if student:
            found[student] = person
    if not found:
        raise UserError(f"{second} must be about the students of {first}, but it has none of them")
    learn = [part.name for part in fields(Person) if part.name != "student"]
    people = [
        replace(own, **{n: v for n in learn if (v := getattr(found[own.student], n)) and not getattr(own, n)})
        if own.student in found
        else own
        for own in roster.people
    ]
    return Roster(tuple(people))


def write_roster(path: Path, roster: Roster) -> None:
    """Write a roster as `read_roster` reads it, for Excel too, unless the file says the same."""
    if path.is_file() and read_roster(path) == roster:
        return
    names = [part.name for part in fields(Person)]
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(names)
        writer.writerows([getattr(person, name) for name in names] for person in roster.people)


def _as_named(name: str) -> str:
    return "".join(unicodedata.normalize("NFKC", name).casefold().split())


def _several(values: Iterator[str]) -> list[str]:
    return [value for value, n in Counter(values).items() if n > 1]


def _double(values: list[str]) -> str:
    """Return the first value, in the order of the alphabet, that is there more than once; "" if there is none."""
    return min((value for value in _several(iter(values)) if value), default="")


def roster_data(roster: Roster) -> list[dict]:
    """Return a roster as what JSON can hold."""
    return [asdict(person) for person in roster.people]


def roster_from(data: list[dict]) -> Roster:
    """Return the roster that `roster_data` was given."""
    return Roster(tuple(Person(**row) for row in data))


def variant_of(student: str, salt: str) -> int:
    """Return the number that shuffles a student's options: from 1 up, the same each time for the same id and salt."""
    digest = hashlib.sha256(f"{salt}\n{student}".encode()).digest()
    return 1 + int.from_bytes(digest[:4], "big")
