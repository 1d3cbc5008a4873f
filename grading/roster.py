"""Who takes the course, and which order of the options is whose."""

import csv
import hashlib
import re
from pathlib import Path

from hw_xai.errors import UserError

STUDENT = re.compile(r"\w[\w.@+-]*")  # also the name of a folder: no slash, no leading dot, no space


def read_roster(path: str | Path) -> list[str]:
    """Return the ids in the column "student" of a CSV file, in its order."""
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:  # spreadsheets begin their files with a mark
            rows = list(csv.DictReader(file))
    except (UnicodeDecodeError, csv.Error):
        raise UserError(f"{path} must be a CSV file in UTF-8") from None
    if not rows or "student" not in rows[0]:
        raise UserError(f'{path} must have a column named "student", with an id in each row below it')
    students = [(row["student"] or "").strip() for row in rows]
    for line, student in enumerate(students, start=2):
        if not STUDENT.fullmatch(student):
            raise UserError(f'{path}, row {line}: an id must be letters, digits and . @ + - _ only, got "{student}"')
    folded = [student.casefold() for student in students]  # B01 and b01 are one folder on many disks
    if doubles := sorted({student for student, key in zip(students, folded, strict=True) if folded.count(key) > 1}):
        raise UserError(f"{path} must name each student once, but {doubles[0]} is there more than once")
    return students


def variant_of(student: str, salt: str) -> int:
    """Return the number that shuffles a student's options: from 1 up, the same each time for the same id and salt."""
    digest = hashlib.sha256(f"{salt}\n{student}".encode()).digest()
    return 1 + int.from_bytes(digest[:4], "big")
