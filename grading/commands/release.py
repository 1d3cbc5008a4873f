"""Make the notebooks that students get, and with --solved the solved and executed ones for teaching."""

from __future__ import annotations

import argparse
import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from tqdm import tqdm

from hw_xai.errors import UserError, nearest

from ..homework.exercises import EXERCISES
from ..homework.release.cells import Options, Package
from ..homework.release.notebooks import as_bytes, drift, execute, keep_pictures, masters, release, write
from ..homework.release.packages import students_wheel
from ..homework.release.teaching_page import html_of
from ..platforms.roster import read_roster, variant_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", metavar="DIR", help="folder (default: notebooks/student; solved: notebooks/solved)")
    parser.add_argument("--notebooks", default="", metavar="N,M", help="numbers or names (default: all)")
    parser.add_argument("--lang", default="both", choices=["en", "zh-TW", "both"], help="default: %(default)s")
    parser.add_argument("--points", default="", metavar="EXERCISE=N,…", help="other points than the exercises' own")
    parser.add_argument("--due", default="", metavar="DATE", help="is written into the first cell")
    parser.add_argument(
        "--package",
        metavar="URL|FILE|none",
        help="what the first cell installs (default: a wheel for students, made and laid beside the notebooks)",
    )
    parser.add_argument("--sha256", default="", metavar="HASH", help="of the package; needed for a URL")
    parser.add_argument("--roster", metavar="CSV", help='a folder for each "student", or Canvas\'s export')
    parser.add_argument(
        "--salt", default="", help="with --roster: the secret that shuffles the options of each student"
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--solved", action="store_true", help="solutions kept, executed, and as .html: for teaching")
    which.add_argument("--check", action="store_true", help="write nothing; fail unless the files are up to date")
    parser.add_argument("--pictures", action="store_true", help="with --solved: renew notebooks/pictures")


def run(options: argparse.Namespace) -> None:
    if options.pictures and not options.solved:
        raise UserError("--pictures needs --solved: the expected pictures are drawn by the solutions")
    if options.roster and options.solved:
        raise UserError("--roster and --solved exclude each other: the solved notebooks are for teaching")
    chosen = Options(
        language=options.lang,
        points=points_of(options.points),
        due=options.due,
        solved=options.solved,
    )
    package, content = package_of(options)
    chosen = replace(chosen, package=package)
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
    if package and content:
        lay(content, [folder / package.name for folder in folders])
    print(f"done: {len(jobs)} notebooks in {out}{f', with {package.name}' if package else ''}")


def package_of(options: argparse.Namespace) -> tuple[Package | None, bytes]:
    """Return what students install, and its bytes if it is to lie beside the notebooks."""
    given, sha256 = options.package, options.sha256.lower()
    if sha256 and not re.fullmatch("[0-9a-f]{64}", sha256):
        raise UserError(f'--sha256 must be 64 hexadecimal digits, got "{options.sha256}"')
    if given == "none" or (given is None and options.solved):
        return None, b""
    if given and re.match("https?://", given):
        if not sha256:
            raise UserError("--package URL needs --sha256: what lies there may change after the release")
        name = PurePosixPath(unquote(urlsplit(given).path)).name
        if not re.fullmatch(r"[\w.+-]+\.(whl|zip)", name):
            raise UserError(f"--package must end in the name of a wheel or a zip, got {given}")
        return Package(name, sha256, given), b""
    if given and (not (file := Path(given)).is_file() or not re.fullmatch(r"[\w.+-]+\.(whl|zip)", file.name)):
        raise UserError(f"--package must be a URL, a wheel or a zip of a kit, or none, got {given}")
    name, content = (file.name, file.read_bytes()) if given else students_wheel()
    its = hashlib.sha256(content).hexdigest()
    if sha256 not in ("", its):
        raise UserError(f"--sha256 must be that of {name}, which has {its}: this is another file")
    return Package(name, its), content


def lay(content: bytes, places: Sequence[Path]) -> None:
    """Write a file, and into the other folders the same one by links: a class may have a thousand."""
    first = write(content, places[0])
    for place in places[1:]:
        place.unlink(missing_ok=True)
        try:
            os.link(first, place)
        except OSError:
            write(content, place)


def check(paths: Sequence[Path], folders: Mapping[Path, Options]) -> None:
    """Raise UserError if a released file is not what its master makes now."""
    stale = [str(folder / name) for folder, its in folders.items() for name in drift(paths, its, folder)]
    if stale:
        raise UserError(f"not what the masters make now: {', '.join(stale)}; run the same without --check")
    print(f"up to date: {len(paths) * len(folders)} notebooks")


def points_of(text: str) -> dict[str, float]:
    """Read "saliency=3,grad_cam=5"."""
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
