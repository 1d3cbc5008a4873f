"""Make the notebooks that students get, and with --solved the solved and executed ones for teaching."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from hw_xai.errors import UserError, nearest

if TYPE_CHECKING:
    from ..homework.release.cells import Options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", metavar="DIR", help="folder (default: notebooks/student; solved: notebooks/solved)")
    parser.add_argument("--notebooks", default="", metavar="N,M", help="numbers or names (default: all)")
    parser.add_argument("--lang", default="both", choices=["en", "zh-TW", "both"], help="default: %(default)s")
    parser.add_argument("--points", default="", metavar="EXERCISE=N,…", help="other points than the exercises' own")
    parser.add_argument("--due", default="", metavar="DATE", help="is written into the first cell")
    parser.add_argument("--install", default="hw-xai", metavar="SPEC", help="what pip installs (default: %(default)s)")
    parser.add_argument("--roster", metavar="CSV", help='a folder for each "student", or Canvas\'s export')
    parser.add_argument(
        "--salt", default="", help="with --roster: the secret that shuffles the options of each student"
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--solved", action="store_true", help="solutions kept, executed, and as .html: for teaching")
    which.add_argument("--check", action="store_true", help="write nothing; fail unless the files are up to date")
    parser.add_argument("--pictures", action="store_true", help="with --solved: renew notebooks/pictures")


def run(options: argparse.Namespace) -> None:
    # late: the exercises load torch and their references, and `--help` needs neither
    from tqdm import tqdm

    from ..homework.release.cells import Options
    from ..homework.release.notebooks import as_bytes, execute, keep_pictures, masters, release, write
    from ..homework.release.teaching_page import html_of
    from ..platforms.roster import read_roster, variant_of

    if options.pictures and not options.solved:
        raise UserError("--pictures needs --solved: the expected pictures are drawn by the solutions")
    if options.roster and options.solved:
        raise UserError("--roster and --solved exclude each other: the solved notebooks are for teaching")
    chosen = Options(
        language=options.lang,
        points=points_of(options.points),
        due=options.due,
        install=options.install,
        solved=options.solved,
    )
    out = Path(options.out or ("notebooks/solved" if options.solved else "notebooks/student"))
    paths = masters([name for name in options.notebooks.split(",") if name])
    folders = {out: chosen}
    if options.roster:
        folders = {
            out / student: replace(chosen, student=student, variant=variant_of(student, options.salt))
            for student in read_roster(options.roster).students
        }
    if options.check:
        return check(paths, folders)
    jobs = [(folder, path) for folder in folders for path in paths]
    for folder, path in tqdm(jobs, desc="releasing", unit="notebook"):
        notebook = release(path, folders[folder])
        if options.solved:
            folder.mkdir(parents=True, exist_ok=True)
            execute(notebook, folder)
            write(html_of(notebook, path.stem).encode(), folder / f"{path.stem}.html")
        if options.pictures:
            keep_pictures(notebook)
        write(as_bytes(notebook), folder / f"{path.stem}.ipynb")
    print(f"done: {len(jobs)} notebooks in {out}")


def check(paths: Sequence[Path], folders: Mapping[Path, Options]) -> None:
    """Raise UserError if a released file is not what its master makes now."""
    from ..homework.release.notebooks import drift

    stale = [str(folder / name) for folder, its in folders.items() for name in drift(paths, its, folder)]
    if stale:
        raise UserError(f"not what the masters make now: {', '.join(stale)}; run the same without --check")
    print(f"up to date: {len(paths) * len(folders)} notebooks")


def points_of(text: str) -> dict[str, float]:
    """Read "saliency=3,grad_cam=5"."""
    from ..homework.exercises import EXERCISES

    points = {}
    for part in filter(None, text.split(",")):
        name, _, value = part.partition("=")
        name = name.strip()
        if name not in EXERCISES:
            raise UserError(f'--points names no exercise "{name}".{nearest(name, EXERCISES)}')
        try:
            points[name] = float(value)
        except ValueError:
            points[name] = -1
        if not 0 <= points[name] < float("inf"):
            raise UserError(f'--points must read EXERCISE=NUMBER,… with numbers from 0 up, got "{part}"')
    return points
