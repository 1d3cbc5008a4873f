"""Grade a class: submissions in, a page for each student, a gradebook and a class report out.

Students' code runs only in a sandbox. A run that was stopped, by Ctrl-C or by a power cut, goes on where it was when
the same command is given again; only what is new or has changed is graded.
"""

from __future__ import annotations

import argparse
from collections.abc import Collection, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import torch
from tqdm import tqdm

from hw_xai.cli.options import count, in_flags, seed
from hw_xai.errors import UserError, nearest

from ..homework.evidence import key as keys
from ..homework.exercises import EXERCISES
from ..intake.submissions import Found, Intake, find_submissions
from ..platforms.layouts import LAYOUTS
from ..platforms.roster import NO_ROSTER, Roster, read_roster, read_rosters, roster_data, write_roster
from ..platforms.times import read_times, tells_times
from ..running import fingerprint
from ..running.audit import Log
from ..running.batch import Batch, Here, close, in_a_tier
from ..running.cluster import There, connected, threads_of
from ..running.course_file import Rules, read_rules, write_rules
from ..running.journal import NAME, Journal
from ..running.late import due_date
from ..running.processors import processors
from ..running.rules import POOL, Course, Isolation, course_data, course_from, private_seeds
from ..running.whose import remember, under_their_names
from .report import say_changed, write_book
from .rules import agreed, agreed_roster, course_arguments, rules_from, some

UNFINISHED = {"failed", "timeout", "crashed", "out_of_memory", "not_graded"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("submissions", help="a folder or a zip, as Canvas, Moodle, Gradescope or NTU COOL give it")
    parser.add_argument("--out", required=True, metavar="DIR", help="folder for the results and the journal")
    course_arguments(parser)

    who = parser.add_argument_group("who")
    who.add_argument(
        "--roster",
        action="append",
        metavar="CSV",
        help="column \"student\", or Canvas's export; once more: Moodle's grading worksheet, Canvas's groups",
    )
    who.add_argument("--strangers", action="store_true", help="who is nobody on the roster is meant to be graded")
    who.add_argument("--layout", default="", choices=LAYOUTS, help="whose names they are (default: by the names)")
    who.add_argument("--as", dest="whose", default="", metavar="ID", help="all of it is this one student's")
    who.add_argument("--salt", help="the secret that shuffled the options in hw-grade release --roster")
    who.add_argument("--times", metavar="FILE", help="when each was handed in, where the download does not say")
    who.add_argument(
        "--regrade",
        default="",
        metavar="WHAT",
        help="grade again: ID,… or all, failed, not_graded, or exercise:NAME for everybody",
    )
    parser.add_argument("--change", action="store_true", help="the class's rules are to be other ones from now on")

    how = parser.add_argument_group("how")
    how.add_argument("--jobs", type=count, metavar="N", help="default: one for each core that may be used")
    how.add_argument("--isolation", default="auto", choices=["auto", "bubblewrap", "process"], help="default: auto")
    how.add_argument("--i-trust-these-submissions", action="store_true", help="no sandbox: only for your own code")
    how.add_argument("--wall", type=count, metavar="SECONDS", help="for each exercise of a student")
    how.add_argument("--memory", type=count, metavar="GB", help="for each exercise of a student")
    how.add_argument("--seed", type=seed, metavar="N", help="fixes the inputs (default: secret ones)")
    how.add_argument("--dask", metavar="ADDRESS", help='a scheduler, or "local:2" for two workers on this machine')
    how.add_argument("--dask-tls", default="", metavar="CA,CERT,KEY", help="files; needed for other machines")


def run(options: argparse.Namespace) -> None:
    torch.set_num_threads(1)  # each thread here supervises one submission
    out = Path(options.out)
    before = read_rules(out)
    rules = rules_from(options, before)  # a mistake is told before the submissions are read
    own = out / "roster.csv"
    known = read_roster(own) if own.is_file() else NO_ROSTER
    roster = read_rosters(options.roster) if options.roster else known
    if before:
        agreed(out, before, rules, options.change)
        agreed_roster(known, roster, options.change)
    with ExitStack() as stack:
        # who has results decides whose a download is: nobody else may change them until it is graded
        begun = stack.enter_context(Journal(out)) if (out / NAME).is_file() else None
        intake = _intake(options, roster, begun.keys() if begun else ())
        times = _times(options, roster, rules)
        journal = begun or stack.enter_context(Journal(out, new=True))
        log = stack.enter_context(Log(out))
        options.salt = _secret(options, "salt", journal, before)
        options.seed = _secret(options, "seed", journal, before)
        for old, new in under_their_names(journal, roster, log).items():
            print(f"note: what was {old}'s is {new}'s by this roster")
        rules = replace(rules, roster="roster.csv" if roster else "", salt="in journal.sqlite" if options.salt else "")
        found, missing = _with_files(intake.submissions, journal)
        students = [one.student for one in found]
        again = _regraded(options.regrade, students, journal)
        course, ready = in_a_tier(_course(options, rules, journal), journal)
        stack.callback(close, ready)
        _say_if_all_is_graded_again(course, journal)
        write_class(out, rules, roster)
        journal.keep("course", course_data(course))
        journal.keep("roster", roster_data(roster))
        journal.keep("remarks", intake.remarks)
        journal.keep("unclear", intake.unclear)
        journal.keep("strangers", bool(options.strangers or journal.recall("strangers")))
        journal.keep("times", (journal.recall("times") or {}) | times)
        journal.keep("handed", (journal.recall("handed") or {}) | _handed(found))
        journal.again(again)
        log.add("start", submissions=len(students), fingerprint=course.fingerprint, isolation=course.isolation)
        grade_all(options, found, course, journal, log, ready, again)
        remember(journal)
        finish(out, journal, log, intake.remarks)
        missing += sorted(journal.keys().keys() - set(students) - set(missing))
        _say_who_has_no_time(found, course, journal)
    if missing:
        print(f"note: not in this download, kept as they were: {some(missing)}")


def _intake(options: argparse.Namespace, roster: Roster, known: Iterable[str]) -> Intake:
    """Return what was handed in, and print the remarks on it. known: who has results."""
    intake = find_submissions(Path(options.submissions), roster, options.layout, options.whose, known)
    if not intake.handed_in:
        raise UserError(f"{options.submissions} must hold what students handed in, but it has no file of anybody's")
    if not options.strangers:
        _stop_where_nobody_is_known(intake)
    for remark in intake.remarks:
        print(f"note: {in_flags(remark.en, options.flags)}")
    return intake


def write_class(out: Path, rules: Rules, roster: Roster) -> None:
    """Write rules and roster beside the results; a file in which nothing changed stays as a person wrote it."""
    out.mkdir(parents=True, exist_ok=True)
    if read_rules(out) != rules:
        write_rules(out, rules)
    if roster:
        write_roster(out / "roster.csv", roster)


def _secret(options: argparse.Namespace, name: str, journal: Journal, before: Rules | None) -> str | int | None:
    """Return the salt of the options' order or the seed of the inputs, that of the class if none is given.

    UserError for another one, unless it is meant.
    """
    kept, given = journal.recall(name), getattr(options, name)
    if given is None:
        return kept
    if before and kept != given and journal.keys() and not options.change:
        raise UserError(
            f"--{name} is not that of this class: everybody would be graded again; add --change if it is meant"
        )
    journal.keep(name, given)
    return given


def _say_if_all_is_graded_again(course: Course, journal: Journal) -> None:
    """Say why everybody in a download is graded again, where no rule of the class says it."""
    old, kit = journal.recall("course", course_from), journal.recall("kit")
    journal.keep("kit", fingerprint.of_grades())
    why = []
    if old and old.isolation != course.isolation:
        why.append(f"the isolation was {old.isolation} and is {course.isolation}")
    if kit and kit != fingerprint.of_grades():
        why.append("the kit or its libraries have changed since")
    if why and journal.keys():
        print(f"note: everybody in this download is graded again: {', '.join(why)}")


def _times(options: argparse.Namespace, roster: Roster, rules: Rules) -> dict[str, str]:
    """Return when who handed in, as --times and the worksheets among the rosters say."""
    due = due_date(rules.due)
    files = [path for path in options.roster or () if tells_times(path)]
    files += [options.times] if options.times else []
    times: dict[str, str] = {}
    for path in files:
        times |= read_times(path, roster, due.tzinfo if due else None)
    return times


def _handed(found: Sequence[Found]) -> dict[str, list]:
    """Return student -> how the names of files begin that the platform takes back, and how often was handed in."""
    return {one.student: [one.handle, one.tries] for one in found if one.files}


def _say_who_has_no_time(found: Sequence[Found], course: Course, journal: Journal) -> None:
    """Say that the late policy cannot be applied where nothing tells the time."""
    times = journal.recall("times") or {}
    without = [one.student for one in found if one.files and not one.submitted and one.student not in times]
    if course.due and course.late.per_day and without:
        print(
            f"note: nothing says when {len(without)} handed in ({some(without)}), so that only what the download marks "
            "as late counts as late; --times FILE says when"
        )


def _stop_where_nobody_is_known(intake: Intake) -> None:
    """Stop before anybody gets a zero for work that lies there under another name."""
    if len(intake.strangers) > intake.handed_in / 2:
        raise UserError(
            f"the roster must have those who handed in, but {len(intake.strangers)} of {intake.handed_in} are not on "
            f"it, such as {intake.strangers[0]}: add what knows their names (--roster class.csv --roster FILE, with "
            "Moodle's grading worksheet or the gradebook that Canvas exports), or grade them all the same (--strangers)"
        )


def _with_files(found: Sequence[Found], journal: Journal) -> tuple[list[Found], list[str]]:
    """Return what is graded, and who handed in earlier but not in this download: nothing does not replace something."""
    handed_in = {result.student for result in journal.results() if result.handed_in}
    missing = [one.student for one in found if not one.files and one.student in handed_in]
    return [one for one in found if one.student not in set(missing)], missing


def grade_all(
    options: argparse.Namespace,
    found: Sequence,
    course: Course,
    journal: Journal,
    log,
    ready: list,
    again: Collection[str] = (),
) -> None:
    """Grade on this machine or on a cluster, with a progress bar; KeyboardInterrupt says how to go on.

    ready: sandboxes of the course that are open already. again: who is graded though the grader ended at them.
    """
    batch = Batch(course, journal, log, options.salt)
    batch.begun.forget(again)
    with tqdm(total=len(found), desc="grading", unit="student", smoothing=0.1) as bar:
        try:
            if options.dask:
                close(ready)
                with connected(options.dask, [file for file in options.dask_tls.split(",") if file]) as client:
                    batch.run(found, lambda: There(client, course), threads_of(client), bar)
            else:
                batch.run(found, lambda: Here(course, ready), options.jobs or processors(), bar)
        except KeyboardInterrupt:
            log.add("stop", reason="interrupted")
            raise KeyboardInterrupt(f"{bar.n} of {len(found)} are done; the same command goes on from here") from None


def finish(out: Path, journal: Journal, log, told: Sequence = ()) -> None:
    """Write the final files, and into the log what they are. told: what was said already."""
    results = (book := write_book(out, journal, log)).results
    head = log.add("stop", reason="done")
    journal.keep("audit", head)
    unsure = {"crashed", "not_graded"}
    look = [result.student for result in results if any(part.status in unsure for part in result.exercises)]
    print(f"done: {len(results)} results in {out}; the audit log ends with {head[:16]}")
    for remark in book.remarks:
        if remark not in told:
            print(f"note: {remark.en}")
    say_changed(book)
    absent = [result.student for result in results if not result.handed_in]
    if book.unclear and absent:
        print(
            f"note: work is there that is nobody's, so {len(absent)} who handed in nothing ({some(absent)}) get no 0 "
            "in the gradebooks for platforms: add what knows the names (--roster), or say that nobody is missing "
            "(--strangers)"
        )
    if look:
        print(f"look at: {some(look)}, where an exercise crashed or could not be graded")


def _course(options: argparse.Namespace, rules: Rules, journal: Journal) -> Course:
    secret = journal.secret if options.seed is None else ""
    seeds = private_seeds(secret, POOL) if secret else private_seeds(f"fixed {options.seed}")
    key = _key(journal) if rules.questions else {}
    tier: Isolation = "none" if options.i_trust_these_submissions else options.isolation
    return Course(**rules.of_course(), isolation=tier, seeds=seeds, key=key, secret=secret)


def _key(journal: Journal) -> dict[str, frozenset[str]]:
    """Return the key of the questions, computed once for a journal and what the key is computed from."""
    now, kept = fingerprint.of_key(), journal.recall("key")
    if not kept or kept.get("from") != now:
        if kept:
            print("note: the key is computed anew: the code, data or libraries behind it have changed since")
        key = {name: sorted(right) for name, right in keys.compute_key(progress=True).items()}
        if kept and (other := [name for name in key if key[name] != kept["key"].get(name)]):
            print(f"note: the key is another one now for {', '.join(other)}: the class is graded anew")
        kept = {"from": now, "key": key}
        journal.keep("key", kept)
    return {name: frozenset(right) for name, right in kept["key"].items()}


def _regraded(which: str, students: Sequence[str], journal: Journal) -> dict[str, list[str]]:
    """Return whose results --regrade marks to be graded again, and which exercises: [] for all of them."""
    known = journal.keys()
    if which == "all":
        return {student: [] for student in known}
    if which in ("failed", "not_graded"):
        wanted = {"not_graded"} if which == "not_graded" else UNFINISHED
        found = {r.student: [part.exercise for part in r.exercises if part.status in wanted] for r in journal.results()}
        return {student: names for student, names in found.items() if names}
    if which.startswith("exercise:"):
        names = [name.strip() for name in which.removeprefix("exercise:").split(",")]
        for name in names:
            if name not in EXERCISES:
                raise UserError(f'--regrade names no exercise "{name}".{nearest(name, EXERCISES)}')
        return dict.fromkeys(known, names)
    chosen = [name.strip() for name in which.split(",") if name.strip()]
    for name in chosen:
        if name not in known and name not in students:
            raise UserError(f'--regrade names no student "{name}".{nearest(name, [*known, *students])}')
    return {name: [] for name in chosen}
