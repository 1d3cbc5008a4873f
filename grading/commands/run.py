"""Grade a class: submissions in, a page for each student, a gradebook and a class report out.

Students' code runs only in a sandbox. A run that was stopped, by Ctrl-C or by a power cut, goes on where it was when
the same command is given again; only what is new or has changed is graded.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from hw_xai.cli.options import count, seed
from hw_xai.errors import UserError, nearest

if TYPE_CHECKING:
    from ..intake.submissions import Found, Intake
    from ..running.journal import Journal
    from ..running.rules import Course


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
    who.add_argument("--strangers", action="store_true", help="grade, although most are nobody on the roster")
    who.add_argument("--salt", help="the secret that shuffled the options in hw-grade release --roster")
    who.add_argument("--regrade", default="", metavar="ID,…|all|failed", help="grade these again")

    how = parser.add_argument_group("how")
    how.add_argument("--jobs", type=count, metavar="N", help="default: one for each core that may be used")
    how.add_argument("--isolation", default="auto", choices=["auto", "bubblewrap", "process"], help="default: auto")
    how.add_argument("--i-trust-these-submissions", action="store_true", help="no sandbox: only for your own code")
    how.add_argument("--wall", type=count, metavar="SECONDS", help="for each exercise of a student")
    how.add_argument("--memory", type=count, metavar="GB", help="for each exercise of a student")
    how.add_argument("--seed", type=seed, metavar="N", help="fixes the inputs (default: secret ones)")
    how.add_argument("--dask", metavar="ADDRESS", help='a scheduler, or "local:2" for two workers on this machine')
    how.add_argument("--dask-tls", default="", metavar="CA,CERT,KEY", help="files; needed for other machines")


def course_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `rules` reads of the course: what counts, how it is shown."""
    parser.add_argument("--title", default="", help="of the assignment, for the pages and the gradebook")
    parser.add_argument("--lang", default="both", choices=["en", "zh-TW", "both"], help="default: %(default)s")

    counts = parser.add_argument_group("what counts")
    counts.add_argument("--only", default="", metavar="EXERCISE,…", help="only these exercises (default: all)")
    counts.add_argument("--points", default="", metavar="EXERCISE=N,…", help="other points than the exercises' own")
    counts.add_argument("--no-questions", action="store_true", help="only the exercises; the key takes a minute")
    counts.add_argument("--partial-credit", action="store_true", help="for answers that are partly right")
    counts.add_argument("--show-answers", default="points", choices=["none", "points", "all"], help="default: points")
    counts.add_argument("--due", default="", metavar="DATE", help='such as "2026-12-01T23:59+08:00"')
    counts.add_argument(
        "--late-policy", default="none", metavar="POLICY", help='such as "10%%/day,max 50%%" (default: none)'
    )


def run(options: argparse.Namespace) -> None:
    # late: the exercises load torch and their references, and `--help` needs neither
    import torch

    from ..intake.submissions import find_submissions
    from ..platforms.roster import read_rosters, roster_data
    from ..running.audit import Log
    from ..running.batch import close, in_a_tier
    from ..running.journal import Journal
    from ..running.rules import course_data

    torch.set_num_threads(1)  # each thread here supervises one submission
    given = rules(options)  # a mistake is told before the submissions are read
    roster = read_rosters(options.roster or [])
    intake = find_submissions(Path(options.submissions), roster)
    if not options.strangers:
        _stop_where_nobody_is_known(intake)
    for remark in intake.remarks:
        print(f"note: {remark.en}")
    out = Path(options.out)
    with Journal(out, new=True) as journal, Log(out) as log, ExitStack() as stack:
        found, missing = _with_files(intake.submissions, journal)
        students = [one.student for one in found]
        again = _regraded(options.regrade, students, journal)
        course, ready = in_a_tier(_course(options, given, journal), journal)
        stack.callback(close, ready)
        journal.keep("course", course_data(course))
        journal.keep("roster", roster_data(roster))
        journal.keep("remarks", intake.remarks)
        journal.again(again)
        log.add("start", submissions=len(students), fingerprint=course.fingerprint, isolation=course.isolation)
        grade_all(options, found, course, journal, log, ready, again)
        finish(out, course, journal, log)
        missing += sorted(journal.keys().keys() - set(students) - set(missing))
    if missing:
        print(f"note: not in this download, kept as they were: {_some(missing)}")


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


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if names[5:] else "")


def grade_all(
    options: argparse.Namespace,
    found: Sequence,
    course: Course,
    journal: Journal,
    log,
    ready: list,
    again: Sequence[str] = (),
) -> None:
    """Grade on this machine or on a cluster, with a progress bar; KeyboardInterrupt says how to go on.

    ready: sandboxes of the course that are open already. again: who is graded though the grader ended at them.
    """
    from tqdm import tqdm

    from ..running.batch import Batch, Here, close
    from ..running.processors import processors

    batch = Batch(course, journal, log, options.salt)
    batch.begun.forget(again)
    with tqdm(total=len(found), desc="grading", unit="student", smoothing=0.1) as bar:
        try:
            if options.dask:
                from ..running.cluster import There, connected, threads_of

                close(ready)
                with connected(options.dask, [file for file in options.dask_tls.split(",") if file]) as client:
                    batch.run(found, lambda: There(client, course), threads_of(client), bar)
            else:
                batch.run(found, lambda: Here(course, ready), options.jobs or processors(), bar)
        except KeyboardInterrupt:
            log.add("stop", reason="interrupted")
            raise KeyboardInterrupt(f"{bar.n} of {len(found)} are done; the same command goes on from here") from None


def finish(out: Path, course: Course, journal: Journal, log) -> None:
    """Write the final files, and into the log what they are."""
    from ..reports import write_reports
    from ..running.audit import final_files
    from ..running.journal import told

    results = list(journal.results())
    write_reports(results, out, course, journal.sources(), *told(journal))
    log.add("report", files=final_files(out))
    head = log.add("stop", reason="done")
    journal.keep("audit", head)
    unsure = {"crashed", "not_graded"}
    look = [result.student for result in results if any(part.status in unsure for part in result.exercises)]
    print(f"done: {len(results)} results in {out}; the audit log ends with {head[:16]}")
    if look:
        print(f"look at: {_some(look)}, where an exercise crashed or could not be graded")


def rules(options: argparse.Namespace) -> dict:
    """Return what the options say about the course."""
    from ..homework.exercises import EXERCISES
    from ..running.rules import due_date, late_policy
    from .release import points_of

    chosen = [name.strip() for name in options.only.split(",") if name.strip()] or list(EXERCISES)
    for name in chosen:
        if name not in EXERCISES:
            raise UserError(f'--only names no exercise "{name}".{nearest(name, EXERCISES)}')
    points = points_of(options.points)
    return {
        "points": {name: float(points.get(name, EXERCISES[name].points)) for name in EXERCISES if name in chosen},
        "partial": options.partial_credit,
        "due": due_date(options.due),
        "late": late_policy(options.late_policy),
        "wall": options.wall,
        "memory": options.memory and options.memory * 2**30,
        "language": options.lang,
        "show_answers": options.show_answers,
        "title": options.title,
    }


def _course(options: argparse.Namespace, given: dict, journal: Journal) -> Course:
    from ..running.rules import POOL, Course, private_seeds

    secret = journal.secret if options.seed is None else ""
    seeds = private_seeds(secret, POOL) if secret else private_seeds(f"fixed {options.seed}")
    key = {} if options.no_questions else _key(journal)
    tier = "none" if options.i_trust_these_submissions else options.isolation
    return Course(**given, isolation=tier, seeds=seeds, key=key, secret=secret)


def _key(journal: Journal) -> dict[str, frozenset[str]]:
    """Return the key of the questions, computed once for a journal and what the key is computed from."""
    from ..homework.evidence.key import compute_key
    from ..running import fingerprint

    now, kept = fingerprint.of_key(), journal.recall("key")
    if not kept or kept.get("from") != now:
        if kept:
            print("note: the key is computed anew: the code, data or libraries behind it have changed since")
        key = {name: sorted(right) for name, right in compute_key(progress=True).items()}
        if kept and (other := [name for name in key if key[name] != kept["key"].get(name)]):
            print(f"note: the key is another one now for {', '.join(other)}: the class is graded anew")
        kept = {"from": now, "key": key}
        journal.keep("key", kept)
    return {name: frozenset(right) for name, right in kept["key"].items()}


def _regraded(which: str, students: Sequence[str], journal: Journal) -> list[str]:
    """Return whose results --regrade marks to be graded again."""
    known = journal.keys()
    if which == "all":
        return list(known)
    if which == "failed":
        fine = {"passed", "not_attempted"}
        return [r.student for r in journal.results() if any(part.status not in fine for part in r.exercises)]
    names = [name.strip() for name in which.split(",") if name.strip()]
    for name in names:
        if name not in known and name not in students:
            raise UserError(f'--regrade names no student "{name}".{nearest(name, [*known, *students])}')
    return names
