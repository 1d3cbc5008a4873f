"""Who takes the course, under which names a download knows them, and which order of the options is whose."""

import csv
import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path

from hw_xai.errors import UserError

STUDENT = re.compile(r"\w[\w.@+-]*")  # also the name of a folder: no slash, no leading dot, no space
OF_CANVAS = {"Student", "ID"}  # columns of its gradebook as it exports it
TEST_STUDENT = "Student, Test"  # Canvas's own, in every course


@dataclass(frozen=True)
class Person:
    """One student of the course. canvas_id: Canvas's own number. login: another id of the same student."""

    student: str
    name: str = ""
    email: str = ""
    canvas_id: str = ""
    login: str = ""


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
        """In small letters: an id, or what is the alias of one student only -> the student."""
        own = {person.student.casefold(): person.student for person in self.people}
        others = {(alias, person.student) for person in self.people for alias in _aliases(person)}
        times = Counter(alias for alias, _ in others)
        return {alias: student for alias, student in others if times[alias] == 1} | own

    @cached_property
    def of_canvas(self) -> Mapping[str, str]:
        """Canvas's number -> the student."""
        return {person.canvas_id: person.student for person in self.people if person.canvas_id}

    def person(self, student: str) -> Person:
        """Return what is known of a student; of a stranger, the id alone."""
        return self._by_student.get(student) or Person(student)

    @cached_property
    def _by_student(self) -> Mapping[str, Person]:
        return {person.student: person for person in self.people}


NO_ROSTER = Roster()


def _aliases(person: Person) -> set[str]:
    return {alias.casefold() for alias in (person.email, person.canvas_id, person.login) if alias}


def read_roster(path: str | Path) -> Roster:
    """Read a CSV file with a column "student", and "name", "email", "canvas_id" if they are known; or Canvas's export.

    Canvas's gradebook, as it exports it, has columns "Student", "ID", "SIS User ID" and "SIS Login ID".
    """
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:  # spreadsheets begin their files with a mark
            table = csv.DictReader(file)
            rows = [{name: (row[name] or "").strip() for name in table.fieldnames or ()} for row in table]
    except (UnicodeDecodeError, csv.Error):
        raise UserError(f"{path} must be a CSV file in UTF-8") from None
    if rows and "student" in rows[0]:
        names = {part.name for part in fields(Person)} - {"login"}
        people = [(line, Person(**{k: v for k, v in row.items() if k in names})) for line, row in enumerate(rows, 2)]
    elif rows and rows[0].keys() >= OF_CANVAS:
        people = list(_of_canvas(rows))
    else:
        people = []
    if not people:
        what = 'a column named "student", with an id in each row below it, or be the gradebook that Canvas exports'
        raise UserError(f"{path} must have {what}")
    for line, person in people:
        if not STUDENT.fullmatch(person.student):
            said = f'an id must be letters, digits and . @ + - _ only, got "{person.student}"'
            raise UserError(f"{path}, row {line}: {said}")
    roster = Roster(tuple(person for _, person in people))
    folded = [student.casefold() for student in roster.students]  # B01 and b01 are one folder on many disks
    if double := _double(folded):
        raise UserError(f"{path} must name each student once, but {double} is there more than once")
    for column in ("canvas_id", "email"):
        if double := _double([getattr(person, column).casefold() for person in roster.people]):
            raise UserError(f"{path} must give each {column} once, but {double} is there more than once")
    return roster


def _of_canvas(rows: list[dict[str, str]]) -> Iterator[tuple[int, Person]]:
    """Yield the students of Canvas's gradebook with their rows; those on points and on posting are none."""
    for line, row in enumerate(rows, start=2):
        number, user, login = row["ID"], row.get("SIS User ID", ""), row.get("SIS Login ID", "")
        if not (number or user or login) or row["Student"] == TEST_STUDENT:
            continue
        student = login or user or number
        email = next((id for id in (login, user) if "@" in id), "")
        yield line, Person(student, row["Student"], email, number, user if user != student else "")


def _double(values: list[str]) -> str:
    """Return the first value, in the order of the alphabet, that is there more than once; "" if there is none."""
    return min((value for value, n in Counter(values).items() if value and n > 1), default="")


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
