"""Grades a class: threads that each supervise one sandbox, one writer, a journal from which a stopped run goes on.

Covers: nothing that a student wrote is parsed or run in this process or in a worker of Dask; each result is written,
with a line in the audit log, before it counts as done; a kill at any moment costs only what was being graded, and who
was being graded at two of them is left to a person.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from functools import partial
from queue import Empty, Full, Queue
from typing import Protocol

from tqdm import tqdm

from hw_xai.errors import UserError

from ..intake.child import CouldNotBeRead
from ..intake.contents import homes_of
from ..intake.reading import Reader
from ..intake.submission import Submission
from ..intake.submissions import Found
from ..isolation.sandbox import Limits, Sandbox
from ..platforms.roster import variant_of
from ..verdict.results import Graded, Result
from .audit import Log
from .begun import Begun
from .grade import STARVED, completed, ended_the_grader, grade_exercises, not_graded, unreadable
from .journal import Journal, hash_of, marked, text_of, unmarked
from .rules import Course

LOOK, PATIENCE = 0.2, 1.0  # seconds: between looks at whether to stop, and until hanging threads are left alone


class Examiner(Protocol):
    """Grades the exercises of one submission after another, on inputs from these seeds; used by one thread."""

    def exercises(
        self, sources: Mapping[str, str], names: Sequence[str], seeds: tuple[int, ...]
    ) -> tuple[Graded, ...]: ...

    def close(self) -> None: ...


class Here:
    """An examiner with a sandbox on this machine. ready: open ones; it takes one, while there are any."""

    def __init__(self, course: Course, ready: list[Sandbox] | None = None):
        self.course, self.ready = course, ready or []
        self.sandbox: Sandbox | None = None

    def exercises(self, sources: Mapping[str, str], names: Sequence[str], seeds: tuple[int, ...]) -> tuple[Graded, ...]:
        if not self.sandbox:  # late: often nothing is left to grade
            try:
                self.sandbox = self.ready.pop()
            except IndexError:
                self.sandbox = sandbox_of(self.course)
        return grade_exercises(sources, replace(self.course.of(names), seeds=seeds, secret=""), self.sandbox)

    def close(self) -> None:
        if self.sandbox:
            self.sandbox.close()


def sandbox_of(course: Course) -> Sandbox:
    """Return a new sandbox of the course's tier and limits."""
    limits = Limits()
    if course.wall is not None:
        limits = replace(limits, wall_seconds=course.wall)
    if course.memory is not None:
        limits = replace(limits, memory_bytes=course.memory)
    return Sandbox(course.isolation, limits)


def in_a_tier(course: Course, journal: Journal) -> tuple[Course, list[Sandbox]]:
    """Return the course with its isolation; for "auto" the strongest that works here, found once: a class is graded
    alike. The sandbox that showed it comes along."""
    ready = []
    if course.isolation == "auto":
        if not journal.recall("tier"):
            ready.append(sandbox := sandbox_of(course))
            journal.keep("tier", sandbox.tier)
            if sandbox.why:
                print(f"note: isolation by {sandbox.tier}: {sandbox.why}")
        course = replace(course, isolation=journal.recall("tier"))
    return course, ready


def close(ready: list[Sandbox]) -> None:
    """Close the sandboxes that nobody took."""
    with suppress(IndexError):
        while True:
            ready.pop().close()


@dataclass(frozen=True)
class Outcome:
    """What a thread hands to the writer; result is None where the journal has it already."""

    student: str
    key: str = ""
    result: Result | None = None
    sources: Mapping[str, str] | None = None


class Batch:
    """One run over a class. salt: shuffles the options of each student, as in the release; None: as the notebooks say.

    examiner: makes one for each of `jobs` threads.
    """

    def __init__(self, course: Course, journal: Journal, log: Log, salt: str | None = None):
        self.course, self.journal, self.log, self.salt = course, journal, log, salt
        self.fingerprint = course.fingerprint
        self.homes = homes_of(list(course.points))
        self.begun = Begun(log.path.parent)
        self.tally: Counter[str] = Counter()
        self.starved: set[str] = set()  # who had no turn in this run

    def run(self, found: Sequence[Found], examiner: Callable[[], Examiner], jobs: int, bar: tqdm) -> None:
        """Grade what is not yet graded. UserError: no sandbox or cluster is to be had; OSError: the disk."""
        known = self.journal.keys()
        partly = {student for student, key in known.items() if unmarked(key)[1]}
        self.earlier = {result.student: result for result in self.journal.results() if result.student in partly}
        # those who may have ended the grader come last, one by one, so that none is taken for another
        turns: tuple[list[Found], list[Found], list[Found]] = ([], [], [])
        for one in found:
            turns[min(self.begun.times(one.student), 2)].append(one)
        first, alone, left = turns
        for ones, threads in ((first, jobs), (alone, 1)):
            self._grade(ones, examiner, threads, bar, known)
        if self.starved and jobs > 1:
            self._once_more(found, examiner, bar)
        for one in left:
            result = Result(one.student, one.name, ended_the_grader(self.course), (), platform_id=one.platform_id)
            self._done(Outcome(one.student, "", result), bar)
        self.begun.close()

    def _once_more(self, found: Sequence[Found], examiner: Callable[[], Examiner], bar: tqdm) -> None:
        """Grade one by one whom the others of this run may have kept from the processor: an endless loop is told from
        a solution that had no turn."""
        again = [one for one in found if one.student in self.starved]
        earlier = {result.student: result for result in self.journal.results() if result.student in self.starved}
        self.earlier |= earlier
        starved = sum(part.reason == STARVED for result in earlier.values() for part in result.exercises)
        self.tally -= Counter(not_graded=starved)
        bar.total += len(again)
        self._grade(again, examiner, 1, bar, self.journal.keys())

    def _grade(
        self, found: Sequence[Found], examiner: Callable, jobs: int, bar: tqdm, known: Mapping[str, str]
    ) -> None:
        outcomes: Queue[Outcome | BaseException] = Queue(maxsize=2 * jobs)
        pool = _Pool(iter(found), outcomes, examiner, partial(self._outcome_of, known=known))
        threads = [threading.Thread(target=pool.supervise, daemon=True) for _ in range(min(jobs, len(found)))]
        for thread in threads:
            thread.start()
        try:
            for _ in found:
                outcome = _next(outcomes)
                if isinstance(outcome, BaseException):
                    raise outcome
                self._done(outcome, bar)
        except BaseException:  # we stop, and nobody made us: who is being graded has not ended the grader
            pool.stopping.set()
            self.begun.close()
            raise
        finally:  # after an interruption a thread may hang in its sandbox, which ends with this process
            pool.stopping.set()
            deadline = time.monotonic() + PATIENCE
            for thread in threads:
                thread.join(max(0.0, deadline - time.monotonic()))

    def _done(self, outcome: Outcome, bar: tqdm) -> None:
        self._write(outcome)
        if outcome.result and outcome.sources is not None:
            self.begun.end(outcome.student)
        bar.set_postfix(dict(sorted(self.tally.items())), refresh=False)
        bar.update()

    def _write(self, outcome: Outcome) -> None:
        if outcome.result is None:
            self.tally["kept"] += 1
            return
        text = text_of(outcome.result)
        statuses = Counter(graded.status for graded in outcome.result.exercises)
        if any(graded.reason == STARVED for graded in outcome.result.exercises):
            self.starved.add(outcome.student)
        tiers = sorted({graded.isolation for graded in outcome.result.exercises} - {""})
        head = self.log.add("result", student=outcome.student, result=hash_of(text), isolation=tiers)
        again = [part.exercise for part in outcome.result.exercises if part.status == "not_graded"]
        key = marked(outcome.key, again) if again else outcome.key  # the next run tries again
        self.journal.write(outcome.student, key, text, outcome.sources or {}, head)
        self.tally += statuses

    def _outcome_of(self, one: Found, examiner: Examiner, reader: Reader, known: Mapping[str, str]) -> Outcome:
        sources: Mapping[str, str] = {}
        try:
            self.begun.begin(one.student)
            variant = None if self.salt is None else variant_of(one.student, self.salt)
            submission = reader.read(one, self.homes, variant)
            key = key_of(submission, self.fingerprint)
            before, again = unmarked(known.get(one.student, ""))
            if before == key and not again:
                self.begun.end(one.student)
                return Outcome(one.student)
            sources = submission.sources
            seeds = self.course.seeds_for(one.student, submission.digest)
            names = [name for name in self.course.points if before != key or name in again]
            parts = {part.exercise: part for part in examiner.exercises(sources, names, seeds)}
            if before == key:
                parts = {part.exercise: part for part in self.earlier[one.student].exercises} | parts
            result = completed(submission, self.course, tuple(parts[name] for name in self.course.points))
            return Outcome(one.student, key, result, sources)
        except UserError:
            raise
        except CouldNotBeRead as error:
            exercises, remarks = unreadable(self.course, error.args[0]), one.remarks
        except Exception as error:  # ours: told in the result, and tried again by the next run
            exercises, remarks = not_graded(self.course, error), ()
        result = Result(one.student, one.name, exercises, (), remarks, platform_id=one.platform_id)
        return Outcome(one.student, "", result, sources)


def key_of(submission: Submission, fingerprint: str) -> str:
    """Return a hash of all that decides a result; two submissions with the same key have the same result."""
    read = {"sources", "answers", "asks", "texts", "cells"}  # all follow from the digest; answers may be any literal
    about = [getattr(submission, part.name) for part in fields(submission) if part.name not in read]
    return hashlib.sha256(json.dumps([fingerprint, about], sort_keys=True, default=str).encode()).hexdigest()


def _next(outcomes: Queue) -> Outcome | BaseException:
    while True:
        with suppress(Empty):  # a wait without an end cannot be interrupted everywhere
            return outcomes.get(timeout=LOOK)


class _Pool:
    """What the threads of one run share. grade: a submission and an examiner -> its outcome."""

    def __init__(self, waiting: Iterator[Found], outcomes: Queue, examiner: Callable[[], Examiner], grade: Callable):
        self.waiting, self.outcomes, self.examiner, self.grade = waiting, outcomes, examiner, grade
        self.lock, self.stopping = threading.Lock(), threading.Event()

    def supervise(self) -> None:
        """Take one submission after another until there are no more."""
        try:
            mine, reader = self.examiner(), Reader()
            try:
                while (one := self._take()) and not self.stopping.is_set():
                    self._offer(self.grade(one, mine, reader))
            finally:
                reader.close()
                mine.close()
        except BaseException as error:  # the writer raises it, in the main thread
            self._offer(error)

    def _take(self) -> Found | None:
        with self.lock:
            return next(self.waiting, None)

    def _offer(self, outcome: Outcome | BaseException) -> None:
        while not self.stopping.is_set():
            with suppress(Full):
                return self.outcomes.put(outcome, timeout=LOOK)
