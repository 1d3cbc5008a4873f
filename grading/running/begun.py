"""Who was being graded when the grader was ended: a file beside the journal, one line for each beginning and each end.

Covers: a submission during which the grader or the machine ends is known by the next run: who was begun once and never
ended comes last and alone, who was begun twice is left to a person. Written without waiting for the disk, for a kill of
the program loses nothing of it. Does not cover: a power cut may lose the last seconds.
"""

import io
import json
import os
import threading
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

NAME = "begun.jsonl"


class Begun:
    """The marks in a folder; threads may share it."""

    def __init__(self, out: Path):
        self.path = Path(out) / NAME
        self._lock = threading.Lock()
        self._open = read_marks(self.path)
        self._before = dict(self._open)
        self._file: io.FileIO | None = None

    def times(self, student: str) -> int:
        """Return how often this one was begun by earlier runs, and never ended."""
        return self._before.get(student, 0)

    def begin(self, student: str) -> None:
        self._add(student, 1)

    def end(self, student: str) -> None:
        """Forget all beginnings: there is a result."""
        self._add(student, 0)

    def _add(self, student: str, n: int) -> None:
        with self._lock:
            if self._file is None:
                descriptor = os.open(self.path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
                self._file = os.fdopen(descriptor, "ab", buffering=0)
            self._file.write(json.dumps([student, n]).encode() + b"\n")

    def forget(self, students: Iterable[str]) -> None:
        """Let these be graded like all others, as if they had never been begun."""
        for student in students:
            self._before.pop(student, None)
            self.end(student)

    def close(self) -> None:
        """Leave only the marks of earlier runs on those who still have no end: what this run began it ended itself."""
        with self._lock:
            now = read_marks(self.path)
            kept = {student: n for student, n in self._before.items() if student in now}
            if self._file:
                self._file.close()
            self._file = None
            if kept or self.path.exists():
                temporary = self.path.with_suffix(".new")
                temporary.write_text(
                    "".join(json.dumps([student, 1]) + "\n" for student in kept for _ in range(kept[student]))
                )
                temporary.chmod(0o600)
                os.replace(temporary, self.path)


def read_marks(path: Path) -> dict[str, int]:
    """Return student -> how often begun since its last end; half a line, which a kill left, counts for nothing."""
    open_: Counter[str] = Counter()
    try:
        lines = path.read_bytes().splitlines()
    except OSError:
        return {}
    for line in lines:
        try:
            student, n = json.loads(line)
        except (ValueError, TypeError):
            continue
        open_[str(student)] = open_[str(student)] + 1 if n else 0
    return {student: n for student, n in open_.items() if n}
