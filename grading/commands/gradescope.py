"""Make the zip with which Gradescope grades each submission by itself, offline, in its own container.

The key is computed here and the seeds are drawn here; both are in the zip: keep it like the key. To grade a whole class
from a download, take hw-grade run. The container needs 1.5 GB: choose "1 CPU, 1.5 GB RAM" or more on Gradescope.
"""

from __future__ import annotations

import argparse
import secrets
from pathlib import Path

from hw_xai.cli.options import count, seed
from hw_xai.errors import UserError
from hw_xai.files import atomic

from ..gradescope import Autograder, autograder_zip
from ..homework.evidence.key import compute_key
from ..platforms.roster import NO_ROSTER, read_roster, variant_of
from ..running.rules import Course, private_seeds
from .rules import course_arguments, rules_from

VISIBILITIES = ["visible", "after_due_date", "after_published", "hidden"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", default="autograder.zip", metavar="FILE", help="default: %(default)s")
    course_arguments(parser)

    shown = parser.add_argument_group("when students see it")
    shown.add_argument("--visibility", default="visible", choices=VISIBILITIES, help="of the exercises")
    shown.add_argument("--question-visibility", choices=VISIBILITIES, help="of the questions (default: the same)")

    who = parser.add_argument_group("who")
    who.add_argument("--roster", metavar="CSV", help='ids in its column "student": Gradescope\'s SIDs or e-mails')
    who.add_argument("--salt", help="the secret that shuffled the options in hw-grade release --roster")

    there = parser.add_argument_group("there")
    there.add_argument("--minutes", type=count, default=10, metavar="N", help="time for a submission (default: 10)")
    there.add_argument("--wall", type=count, metavar="SECONDS", help="for each exercise (default: at most 30)")
    there.add_argument("--torch-index", default="", metavar="URL", help="where pip finds builds of torch without CUDA")
    there.add_argument("--seed", type=seed, metavar="N", help="fixes the inputs (default: secret, new ones)")
    parser.set_defaults(memory=None, isolation="auto", i_trust_these_submissions=False)


def run(options: argparse.Namespace) -> None:
    if options.salt is not None and not options.roster:
        raise UserError("--salt needs --roster: whose options it shuffled is known by the id of each student")
    rules = rules_from(options)
    counts = rules.of_course()  # a mistake is told before the key is computed
    roster = read_roster(options.roster) if options.roster else NO_ROSTER
    secret = secrets.token_hex(32) if options.seed is None else ""
    fixed = () if secret else private_seeds(f"fixed {options.seed}")  # without: new ones for every submission
    key = compute_key(progress=True) if rules.questions else {}
    plan = Autograder(
        Course(**counts, seeds=fixed, key=key, secret=secret),
        {student: None if options.salt is None else variant_of(student, options.salt) for student in roster.students},
        options.visibility,
        options.question_visibility or options.visibility,
        60 * options.minutes,
        dict(roster.ids),
    )
    if plan.wall < 5:
        n = len(counts["points"])
        raise UserError(f"--minutes must leave 5 seconds for each exercise, got {options.minutes} minutes for {n}")
    with atomic(Path(options.out)) as temporary:
        temporary.write_bytes(content := autograder_zip(plan, options.torch_index))
    print(f"done: {options.out} ({len(content):,} bytes) holds the key: show it to nobody but Gradescope")
