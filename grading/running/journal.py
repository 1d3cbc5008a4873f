"""What is graded, in one SQLite file: a result is in it whole or not at all, whenever the program is killed.

Holds the secret behind the private seeds and the key of the questions: only its owner may read it. One program at a
time: it is locked from opening to closing, and the lock goes with the process.
"""

import errno
import hashlib
import json
import os
import secrets
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hw_xai.errors import UserError

from ..platforms.roster import NO_ROSTER, Roster, roster_from
from ..verdict.results import Result, as_data, from_data
from ..words import Text

NAME = "journal.sqlite"
KIND, FORMAT = 0x68776772, 1  # "hwgr"
TABLES = """
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE results (student TEXT PRIMARY KEY, key TEXT NOT NULL, result TEXT NOT NULL, sources TEXT NOT NULL);
"""
LATER = """
CREATE TABLE IF NOT EXISTS states (number INTEGER PRIMARY KEY, data TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS versions (hash TEXT PRIMARY KEY, student TEXT, key TEXT, result TEXT, sources TEXT);
"""  # of every state of the grades (history.py); versions of results, by their hashes


class Journal:
    """The journal in a folder; made with new=True where there is none. Errors of the disk are OSError."""

    def __init__(self, out: Path, new: bool = False):
        self.path = Path(out) / NAME
        if self.path.parent.is_file():
            raise UserError(f"OUT must be a folder, and {out} is a file")
        if new:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
        elif not self.path.is_file():
            raise UserError(f"{out} must be a folder that hw-grade run has written, but there is no {NAME} in it")
        with self._in_words():
            self.connection = sqlite3.connect(self.path, timeout=0, isolation_level=None)
        try:
            with self._in_words():
                self._open()
        except BaseException:
            self.connection.close()
            raise

    def _open(self) -> None:
        execute = self.connection.execute
        execute("PRAGMA locking_mode = EXCLUSIVE")
        execute("PRAGMA journal_mode = WAL")
        execute("PRAGMA synchronous = FULL")
        with self._transaction():
            kind, made = (execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version"))
            if not execute("SELECT 1 FROM sqlite_master").fetchone():
                for statement in filter(str.strip, TABLES.split(";")):
                    execute(statement)
                execute(f"PRAGMA application_id = {KIND}")
                execute(f"PRAGMA user_version = {FORMAT}")
                self._keep("secret", secrets.token_hex(32))
            elif kind != KIND:
                raise UserError(f"{self.path} must be a journal of hw-grade, but it is another program's: move it away")
            elif made != FORMAT:
                raise UserError(f"{self.path} must have format {FORMAT}, got {made}: use the hw-grade that wrote it")
            for statement in filter(str.strip, LATER.split(";")):
                execute(statement)
        if execute("PRAGMA quick_check").fetchone()[0] != "ok":
            raise self._damaged()

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    # ---------------------------------------------------------------------------------------------------------- facts

    @property
    def secret(self) -> str:
        return self.recall("secret")

    def recall(self, name: str, made: Callable = lambda data: data) -> Any:
        """Return a fact, None where there is none. made: makes what is returned from the data that were kept."""
        with self._in_words():
            row = self.connection.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return self._read(row[0], made) if row else None

    def keep(self, name: str, value: object) -> None:
        with self._in_words():
            self._keep(name, value)

    def _keep(self, name: str, value: object) -> None:
        self.connection.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, json.dumps(value)))

    # -------------------------------------------------------------------------------------------------------- results

    def keys(self) -> dict[str, str]:
        """Return student -> the key under which the result was written; "" for what is to be graded again."""
        with self._in_words():
            return dict(self.connection.execute("SELECT student, key FROM results"))

    def write(self, student: str, key: str, text: str, sources: Mapping[str, str], head: str) -> None:
        """Write one result, as `text_of` gives it, and the head of the audit log that knows of it."""
        with self._in_words(), self._transaction():
            row = (student, key, text, json.dumps(dict(sources)))
            self.connection.execute("INSERT OR REPLACE INTO results VALUES (?, ?, ?, ?)", row)
            self._keep("audit", head)

    def again(self, marks: Mapping[str, Sequence[str]]) -> None:
        """Mark results to be graded again: all of a student, or the exercises that are named; until then they stay."""
        known = self.keys()
        with self._in_words(), self._transaction():
            rows = [(marked(known[one], names), one) for one, names in marks.items() if one in known]
            self.connection.executemany("UPDATE results SET key = ? WHERE student = ?", rows)

    def remove(self, student: str) -> None:
        with self._in_words(), self._transaction():
            self.connection.execute("DELETE FROM results WHERE student = ?", (student,))

    def results(self) -> Iterator[Result]:
        """Yield the results, in the order of the students' ids."""
        for text in self.texts().values():
            yield self._read(text, from_data)

    def texts(self) -> dict[str, str]:
        """Return student -> the result as it was written, in the order of the ids."""
        with self._in_words():
            return dict(self.connection.execute("SELECT student, result FROM results ORDER BY student"))

    def sources(self) -> dict[str, dict[str, str]]:
        """Return student -> exercise -> source."""
        with self._in_words():
            rows = self.connection.execute("SELECT student, sources FROM results ORDER BY student")
            return {student: self._read(sources, dict) for student, sources in rows}

    # --------------------------------------------------------------------------------------------------------- states

    def add_state(self, data: Mapping) -> None:
        """Keep a state of the grades, and the results as they are."""
        with self._in_words(), self._transaction():
            rows = self.connection.execute("SELECT student, key, result, sources FROM results").fetchall()
            rows = [(hash_of(row[2]), *row) for row in rows]
            self.connection.executemany("INSERT OR IGNORE INTO versions VALUES (?, ?, ?, ?, ?)", rows)
            self.connection.execute("INSERT INTO states (data) VALUES (?)", (json.dumps(data, sort_keys=True),))

    def states(self, last: int = -1) -> list[tuple[int, dict]]:
        """Return the states with their numbers, the first first. last: only so many."""
        with self._in_words():
            rows = self.connection.execute("SELECT number, data FROM states ORDER BY number DESC LIMIT ?", (last,))
            return [(number, self._read(data, dict)) for number, data in reversed(rows.fetchall())]

    def last_state(self) -> tuple[int, dict] | None:
        return next(iter(self.states(1)), None)

    def version(self, hash: str) -> tuple[str, str, str, dict]:
        """Return student, key, result and sources of an earlier result."""
        with self._in_words():
            query = "SELECT student, key, result, sources FROM versions WHERE hash = ?"
            student, key, result, sources = self.connection.execute(query, (hash,)).fetchone() or self._lost()
        return student, key, result, self._read(sources, dict)

    def _lost(self) -> tuple:
        raise self._damaged()

    # --------------------------------------------------------------------------------------------------------- errors

    def _read(self, text: str, made: Callable) -> Any:
        try:
            return made(json.loads(text))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise self._damaged() from None

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.connection.execute("COMMIT")
        except BaseException:
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
            raise

    @contextmanager
    def _in_words(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the upper bits say only where it happened
            if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                message = f"{self.path.parent} is in use by another hw-grade: wait for it to end, or use another `out`"
                raise UserError(message) from None
            if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
                raise self._damaged() from None
            if code == sqlite3.SQLITE_FULL:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path)) from None
            if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR):
                raise OSError(errno.EIO, self._refused(), str(self.path)) from None
            raise

    def _refused(self) -> str:
        if not os.access(self.path, os.R_OK):
            return "you may not read it"
        if os.access(self.path, os.W_OK) and os.access(self.path.parent, os.W_OK):
            return "the disk could not read or write it"
        return "it is read-only: work on a copy, or make it and its folder writable"

    def _damaged(self) -> UserError:
        return UserError(f"{self.path} is damaged: restore it from a copy, or move it away to grade everything anew")


AGAIN = "again:"


def marked(key: str, names: Sequence[str]) -> str:
    """Return a key that says what to grade again: the exercises that are named, or with none of them everything."""
    old, before = unmarked(key)
    return f"{AGAIN}{','.join(dict.fromkeys([*before, *names]))}:{old}" if names and old else ""


def unmarked(key: str) -> tuple[str, list[str]]:
    """Return the key as it was, and the exercises that `marked` named."""
    if not key.startswith(AGAIN):
        return key, []
    names, _, old = key.removeprefix(AGAIN).partition(":")
    return old, names.split(",")


def text_of(result: Result) -> str:
    """Return a result as one line of ASCII: whatever a student wrote can be stored, and equal results are equal."""
    return json.dumps(as_data(result), sort_keys=True)


def hash_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def told(journal: Journal) -> tuple[Roster, list[Text]]:
    """Return the roster of the last run, and what it said on work that is nobody's."""
    roster = journal.recall("roster", roster_from)
    return roster or NO_ROSTER, journal.recall("remarks", lambda rows: [Text(*row) for row in rows]) or []
