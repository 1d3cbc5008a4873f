"""The results as files: a page and a results.json for each student, gradebooks, and the report on the class."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from hw_xai.errors import UserError
from hw_xai.files import atomic

from ..intake.code_reading import reading_codes
from ..platforms.roster import NO_ROSTER, Roster
from ..running.history import Change
from ..running.rules import Course
from ..verdict.results import Result
from ..words import Text
from .class_page import class_data, class_page
from .cluster_page import cluster_page, name_of
from .gradebook import canvas_csv, changes_csv, is_entered, moodle_csv, plain_csv, possible_points
from .gradescope_json import gradescope_results
from .similarity import Cluster, released, suspicious_clusters
from .student_page import student_page
from .wording import cleaned, safe_id

__all__ = ["gradescope_results", "suspicious_clusters", "write_reports"]

LIST = "reports.json"  # what we wrote: path -> SHA-256
OF_STUDENT = re.compile(r"students/([^/]+)/(?:feedback\.html|results\.json)|similar/([0-9a-f]{16})\.html")


@reading_codes()
def write_reports(
    results: Sequence[Result],
    out: Path,
    course: Course,
    sources: Mapping[str, Mapping[str, str]] | None = None,
    roster: Roster = NO_ROSTER,
    remarks: Sequence[Text] = (),
    changed: Sequence[Change] = (),
    unclear: bool = False,
) -> None:
    """Write all reports into a folder; equal results give equal bytes, whatever their order.

    sources: student -> exercise -> code, to look for copies; None does not look. roster: has the names, e-mails and
    Canvas's numbers. remarks: on what was handed in and is nobody's. changed: the grades that are not what they were.
    unclear: who handed in nothing gets no 0 in what platforms import, for work is there that may be theirs. A page of a
    student who is gone is removed if it is as we wrote it. UserError where two students would get the same folder.
    """
    results = [replace(result, name=roster.person(result.student).name or result.name) for result in results]
    results = sorted(map(cleaned, results), key=lambda result: result.student)
    folded = [result.student.casefold() for result in results]  # B01 and b01 are one folder on many disks
    if doubles := sorted({name for name in folded if folded.count(name) > 1}):
        raise UserError(f"the results must name each student once, but {doubles[0]} is there more than once")
    out = Path(out)
    clusters = None if sources is None else _clusters(sources)
    files = _files(results, course, clusters, roster, remarks, changed, sources or {}, unclear)
    written = {path: _write(out / path, text) for path, text in files}
    _remove_others(out, written)
    _write(out / LIST, _json(written))


def _files(
    results: Sequence[Result],
    course: Course,
    clusters: Sequence[Cluster] | None,
    roster: Roster,
    remarks: Sequence[Text],
    changed: Sequence[Change],
    sources: Mapping[str, Mapping[str, str]],
    unclear: bool,
) -> Iterator[tuple[str, str]]:
    codes = {safe_id(student): mine for student, mine in sources.items()}
    for result in results:
        folder = f"students/{result.student}"
        yield f"{folder}/feedback.html", student_page(result, course, codes.get(result.student))
        yield f"{folder}/results.json", _json(gradescope_results(result, course))
    yield "gradebook.csv", plain_csv(results)
    entered = [result for result in results if is_entered(result, unclear)]
    possible = possible_points(results)
    yield "gradebook_canvas.csv", canvas_csv(entered, course, roster, possible)
    yield "gradebook_moodle.csv", moodle_csv(entered, course, roster, possible)
    for cluster in clusters or ():
        yield f"similar/{name_of(cluster)}", cluster_page(cluster, codes, course)
    yield "changes.csv", changes_csv(changed)
    yield "class.html", class_page(results, course, clusters, remarks, changed)
    yield "class.json", _json(class_data(results, course, clusters, remarks, changed))


def _clusters(sources: Mapping[str, Mapping[str, str]]) -> list[Cluster]:
    return suspicious_clusters({safe_id(student): mine for student, mine in sources.items()}, *released())


def _json(data: object) -> str:
    return json.dumps(data, ensure_ascii=False, indent=1, allow_nan=False) + "\n"


def _write(path: Path, text: str) -> str:
    """Write a file unless it already is so, and return its SHA-256."""
    content = text.encode()
    if not (path.is_file() and path.read_bytes() == content):
        with atomic(path) as temporary:
            temporary.write_bytes(content)
    return hashlib.sha256(content).hexdigest()


def _remove_others(out: Path, written: Mapping[str, str]) -> None:
    """Remove what an earlier run wrote and this one did not, unless somebody has changed it since."""
    try:
        before = json.loads((out / LIST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return
    for name, digest in before.items() if isinstance(before, dict) else ():
        found = OF_STUDENT.fullmatch(name)  # the list may have been edited
        if name in written or not found or (found[1] and safe_id(found[1]) != found[1]):
            continue
        path = out / name
        if path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == digest:
            path.unlink()
        if path.parent.is_dir() and not any(path.parent.iterdir()):
            path.parent.rmdir()
