"""audit.jsonl: what was graded when. Each line holds the hash of the line before, so that no line changes unnoticed.

Covers: lines changed, removed, inserted or cut off; results changed in the journal; final files changed or removed.
Does not cover: someone who rewrites the whole log, the journal and the files to agree. Against that, keep the last
hash, which hw-grade run prints, somewhere else.
"""

import errno
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

from .journal import Journal, hash_of

NAME = "audit.jsonl"
START = hashlib.sha256(b"hw-grade").hexdigest()
OURS = ("audit.jsonl", "begun.jsonl", "begun.new", "journal.sqlite", "journal.sqlite-wal", "journal.sqlite-shm")
OF_PEOPLE = ("course.toml", "adjustments.csv", "roster.csv")  # for them to change; decisions are logged by themselves


class Log:
    """The log in a folder, open for appending."""

    def __init__(self, out: Path):
        self.path = Path(out) / NAME
        whole = self.path.read_bytes() if self.path.exists() else b""
        end = whole.rfind(b"\n") + 1
        self.last = end, _hash(whole[:end].splitlines()[-1]) if end else START  # where the log ends, and its hash
        self.file = self.path.open("ab", buffering=0)
        self.file.truncate(end)  # a kill left half a line, of something that was not finished either

    def __enter__(self) -> "Log":
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def add(self, event: str, **what: object) -> str:
        """Append a line, wait until the disk has it, and return its hash; on a full disk nothing is appended."""
        time = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = json.dumps({"time": time, "event": event, **what, "before": self.last[1]}).encode()
        try:
            if self.file.write(line + b"\n") <= len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))
            os.fsync(self.file.fileno())
            self.last = self.last[0] + len(line) + 1, _hash(line)
        except BaseException:  # Ctrl-C too
            self.file.truncate(self.last[0])
            raise
        return self.last[1]


def _hash(line: bytes) -> str:
    return hashlib.sha256(line).hexdigest()


def final_files(out: Path) -> dict[str, str]:
    """Return path -> SHA-256 of the files made from the journal."""
    files = sorted(path for path in Path(out).rglob("*") if path.is_file() and path.name not in OURS + OF_PEOPLE)
    return {path.relative_to(out).as_posix(): _hash(path.read_bytes()) for path in files}


# -------------------------------------------------------------------------------------------------------------- verify


def findings(out: Path, journal: Journal) -> list[str]:
    """Return what does not fit together, in words; nothing where all is as it was graded."""
    path = Path(out) / NAME
    if not path.is_file():
        return [f"{NAME} is missing"]
    lines = path.read_bytes().splitlines()
    rows = [_row(line) for line in lines]
    last_report: dict[str, str] = next((row["files"] for row in reversed(rows) if row.get("event") == "report"), {})
    return [
        *_broken_chain(lines, rows),
        *_cut_off([_hash(line) for line in lines], journal),
        *_changed(rows, journal.texts()),
        *_changed_files(last_report, final_files(out)),
    ]


def _row(line: bytes) -> dict:
    try:
        row = json.loads(line)
    except ValueError:
        row = None
    if not isinstance(row, dict):
        return {}
    kinds: dict[str, dict[str, type]] = {"result": {"student": str, "result": str}, "report": {"files": dict}}
    made = kinds.get(str(row.get("event")), {})
    # a line that we never wrote breaks the chain, and says nothing
    return row if all(isinstance(row.get(name), kind) for name, kind in made.items()) else {}


def _broken_chain(lines: list[bytes], rows: list[dict]) -> Iterator[str]:
    before = START
    for number, (line, row) in enumerate(zip(lines, rows, strict=True), start=1):
        if row.get("before") != before:
            what = "a line was changed, removed or inserted" if number > 1 else "the beginning of the log is missing"
            yield f"{NAME}, line {number}: it does not follow from the line before it; {what} there"
        before = _hash(line)


def _cut_off(hashes: list[str], journal: Journal) -> Iterator[str]:
    head = journal.recall("audit")
    if head and head not in hashes:
        yield f"{NAME}: the line that the journal saw last is not there; the log was cut off or rewritten"


def _changed(rows: list[dict], texts: Mapping[str, str]) -> Iterator[str]:
    logged: dict[str, str] = {}
    perhaps: set[str] = set()
    for row, after in pairwise([*rows, {"event": "start"}]):
        if row.get("event") == "result":
            logged[row["student"]] = row["result"]
            # the log is written before the journal: a kill or Ctrl-C may have come between the two
            (perhaps.add if after.get("event") in ("start", "stop") else perhaps.discard)(row["student"])
        elif row.get("event") == "removed":
            logged.pop(row.get("student", ""), None)
    for student, text in texts.items():
        if student not in logged:
            yield f"{student}: a result is in the journal that was never graded"
        elif logged[student] != hash_of(text) and student not in perhaps:
            yield f"{student}: the result in the journal is not the one that was graded"
    for student in sorted(logged.keys() - texts.keys() - perhaps):
        yield f"{student}: the result was removed from the journal"


def _changed_files(logged: Mapping[str, str], files: Mapping[str, str]) -> Iterator[str]:
    for name in sorted(logged.keys() | files.keys()):
        if name not in files:
            yield f"{name}: the file was removed"
        elif name not in logged:
            yield f"{name}: the file was added"
        elif files[name] != logged[name]:
            yield f"{name}: the file was changed"
