"""Grades one submission on Gradescope: what the zip for it holds, and what runs there, offline and without namespaces.

Covers: the key, the private seeds and the references are for root alone and students' code runs as another user; there
is a results.json whatever happens, and where the fault is ours it says "not graded" in words; the time is divided so
that exercises that never end do not cost the others theirs.
Does not cover: what students' code can learn from the container apart from these files; see the tier "process" in
isolation/. The points of hidden tests are hidden by Gradescope.
"""

from __future__ import annotations

import json
import shlex
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from hw_xai.files import atomic, zipped

from .homework.release.packages import kit_wheel, pins
from .intake.archives import files_at
from .intake.child import CouldNotBeRead
from .intake.contents import homes_of
from .intake.reading import Reader
from .intake.submissions import Found
from .platforms.layouts import ids_of
from .platforms.names import safe
from .running.rules import Course, course_data, course_from
from .verdict.feedback import in_words
from .verdict.results import Graded, Result
from .words import Text

if TYPE_CHECKING:
    from .isolation.sandbox import Sandbox

Visibility = Literal["visible", "after_due_date", "after_published", "hidden"]
VISIBILITIES = get_args(Visibility)  # each shows less than the one before
WALL = 30.0  # seconds for an exercise, less where the minutes do not suffice for all
ENDING, STARTING = 20, 120  # seconds: kept for writing the results, and for loading the libraries on half a processor
VENV = "/opt/hw-xai"  # outside /root: students' code runs as a user who must reach the libraries

NOT_GRADED = Text(
    "not graded: the grader itself stopped, or ran out of time or memory. The 0 is not your score, and this is not "
    "your mistake: your teacher sees why and can run it again",
    "尚未評分：評分程式本身中斷，或時間、記憶體不足。這裡的 0 分不是你的成績，也不是你的錯；老師可以重新執行並查看原因",
)
INCOMPLETE = Text(
    "a part was not graded, because the grader itself stopped there: the score is not your final one",
    "有一部分尚未評分，因為評分程式本身在該處中斷：目前的分數不是最終成績",
)
NO_TIME = Text(
    "not run: the exercises before it used all the time that there is for a submission",
    "沒有執行：前面的題目用完了這份作業的評分時間",
)
NOBODY = Text(
    "you are not on the roster of the course: graded all the same; tell your teacher",
    "你不在課程名單上，仍予評分；請告知老師",
)


@dataclass(frozen=True)
class Autograder:
    """What course.json holds. variants: id of the roster -> the order of its options, None as the notebooks say.

    seconds: all that there is for a submission; the visibilities are those of the tests. aliases: what else names a
    student, in small letters -> the id.
    """

    course: Course
    variants: Mapping[str, int | None]
    exercises: Visibility = "visible"
    questions: Visibility = "visible"
    seconds: int = 600
    aliases: Mapping[str, str] = field(default_factory=dict)

    @property
    def wall(self) -> float:
        """Seconds for one exercise, such that all of them can end by the clock."""
        share = (self.seconds - ENDING - STARTING) / max(1, len(self.course.points))
        return min(self.course.wall or WALL, round(share, 1))


# ------------------------------------------------------------------------------------------------------------- the zip

SETUP = """\
#!/usr/bin/env bash
# Gradescope runs this once, while it builds the image: the only time that there is a network.
set -euo pipefail
umask 022
cd "$(dirname "$0")"

new_enough() { python3 -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))'; }

if ! new_enough && command -v apt-get; then
    apt-get update
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends python3-venv python3-pip
fi
if new_enough; then
    python3 -m venv VENV
else  # the system's Python is too old: uv brings one, into a folder that every user can read
    python3 -m pip install uv
    UV_PYTHON_INSTALL_DIR=/opt/python python3 -m uv venv --seed --python 3.12 VENV
fi
PYTHON=VENV/bin/python
FIRST"$PYTHON" -m pip install --no-cache-dir -c constraints.txt "./WHEEL[grading]"

# for root alone: the key and the seeds, the references and those of others
chmod -R go= .
for package in hw_xai grading lime; do
    where="from importlib.util import find_spec; print(*find_spec('$package').submodule_search_locations)"
    chmod -R go= "$("$PYTHON" -I -c "$where")"
done
"$PYTHON" -I -c 'import grading.gradescope'
"""

TORCH = '"$PYTHON" -m pip install --no-cache-dir -c constraints.txt --index-url INDEX torch torchvision\n'

RUN = """\
#!/usr/bin/env bash
# Gradescope runs this as root for each submission. Whatever happens, there is a results.json.
umask 022
HERE=/autograder
chmod -R go= $HERE/source  # the key and the seeds: students' code runs as another user
mkdir -p $HERE/results
rm -rf $HERE/results/results.json
install -m 0644 $HERE/source/not_graded.json $HERE/results/results.json
timeout --kill-after=5 SECONDS VENV/bin/python -I -X utf8 -m grading.gradescope $HERE 2>&1
echo "the grader ended with exit code $?"  # for the teacher: what is printed is hidden from students
exit 0
"""


def autograder_zip(plan: Autograder, torch_index: str = "") -> bytes:
    """Return the zip to upload as "Autograder"; equal plans, kits and libraries give equal bytes.

    torch_index: where pip looks for torch and torchvision, if not where it looks by itself.
    """
    name, wheel = kit_wheel()
    first = TORCH.replace("INDEX", shlex.quote(torch_index)) if torch_index else ""
    setup = SETUP.replace("FIRST", first).replace("WHEEL", name).replace("VENV", VENV)
    run = RUN.replace("SECONDS", str(plan.seconds - ENDING)).replace("VENV", VENV)
    files = {
        "setup.sh": setup.encode(),
        "run_autograder": run.encode(),
        "course.json": _json(asdict(plan) | {"course": course_data(plan.course)}),
        "not_graded.json": _json(not_graded_results(plan)),
        "constraints.txt": pins("grading").encode(),
        name: wheel,
    }
    modes = {"setup.sh": 0o755, "run_autograder": 0o755, "course.json": 0o600, "not_graded.json": 0o600, name: 0o600}
    return zipped(files, modes)


def not_graded_results(plan: Autograder) -> dict:
    """Return what results.json holds until there is a result."""
    said = in_words(NOT_GRADED, plan.course.language)
    name = in_words(Text("not graded", "尚未評分"), plan.course.language)
    test = {"name": name, "score": 0.0, "max_score": sum(plan.course.points.values()), "status": "failed"}
    test |= {"number": "1", "output": said, "output_format": "text", "visibility": "visible"}
    top = {"score": 0.0, "output": said, "output_format": "text", "visibility": "visible"}
    return top | {"stdout_visibility": "hidden", "tests": [test]}


def _json(data: dict) -> bytes:
    return (json.dumps(data, ensure_ascii=False, indent=1, sort_keys=True) + "\n").encode()


# ------------------------------------------------------------------------------------------------------------ there


def main(home: Path) -> None:
    """Grade what lies in home/submission by home/source/course.json, and write home/results/results.json."""
    started = time.monotonic()
    import torch  # late: of the container only, and its clock runs

    torch.set_num_threads(1)
    plan = plan_from(json.loads((home / "source/course.json").read_text(encoding="utf-8")))
    result = grade_one(home, plan, started + plan.seconds - 2 * ENDING)
    content = _json(results_of(result, plan))
    with atomic(home / "results/results.json") as temporary:
        temporary.write_bytes(content)


def plan_from(data: dict) -> Autograder:
    """Return the plan that course.json was written from."""
    return Autograder(**data | {"course": course_from(data["course"])})


def grade_one(home: Path, plan: Autograder, deadline: float) -> Result:
    """Return the result of the submission in a folder like Gradescope's. deadline: of the monotonic clock."""
    from .running.batch import sandbox_of  # late: of the container only, and its clock runs
    from .running.counting import counted  # late: of the container only, and its clock runs
    from .running.grade import completed, unreadable  # late: of the container only, and its clock runs

    about = _metadata(home / "submission_metadata.json")
    found, listed = _found(home / "submission", about, plan)
    course = replace(plan.course, wall=plan.wall)
    try:
        with Reader() as reader:
            submission = reader.read(found, homes_of(list(course.points)), plan.variants.get(found.student))
    except CouldNotBeRead as error:
        return Result(found.student, found.name, unreadable(course, error.args[0]), (), (INCOMPLETE,))
    course = replace(course, seeds=course.seeds_for(found.student, submission.digest), secret="")
    with sandbox_of(course) as sandbox:
        exercises = tuple(_exercises(submission.sources, course, sandbox, deadline))
        print(f"isolation: {sandbox.tier}{f' ({sandbox.why})' if sandbox.why else ''}")
    if course.late.per_day and not course.due:
        course = replace(course, due=_due(about))
    result = counted(completed(submission, course, exercises), course)
    remarks = [NOBODY] if plan.variants and not listed else []
    remarks += [INCOMPLETE] if any(part.status == "not_graded" for part in exercises) else []
    return replace(result, remarks=(*remarks, *result.remarks))


def _exercises(sources: Mapping[str, str], course: Course, sandbox: Sandbox, deadline: float) -> Iterator[Graded]:
    """Grade one exercise after another while there is time for it to be run twice, as it is where its process dies."""
    from .running.grade import grade_exercises  # late: of the container only, and its clock runs

    for name, points in course.points.items():
        if name in sources and time.monotonic() + 2 * (course.wall or WALL) > deadline:
            yield Graded(name, "timeout", 0.0, points, NO_TIME)
        else:
            yield from grade_exercises(sources, replace(course, points={name: points}), sandbox)


def results_of(result: Result, plan: Autograder) -> dict:
    """Return results.json with the visibility that the plan asks for; a total would tell what is not shown."""
    from .reports.gradescope_json import gradescope_results  # late: of the container only, and its clock runs
    from .reports.wording import cleaned  # late: of the container only, and its clock runs

    data = gradescope_results(result, plan.course)
    for test in data["tests"]:
        test["visibility"] = plan.exercises if "exercise" in test.get("extra_data", {}) else plan.questions
    shown = {test["visibility"] for test in data["tests"]}
    if shown - {"visible"}:
        data["output"] = "\n".join(in_words(remark, plan.course.language) for remark in cleaned(result).remarks)
    return data


# ------------------------------------------------------------------------------------------------------ who handed in


def _found(folder: Path, about: dict, plan: Autograder) -> tuple[Found, bool]:
    """Return what was handed in, by whom, and whether this person is on the roster; of a group, the first who is."""
    people = _people(about) or [{}]
    roster = {**plan.aliases, **{student.casefold(): student for student in plan.variants}}
    named = [(person, ids_of(person)) for person in people]
    known = [(person, roster[id.casefold()]) for person, ids in named for id in ids if id.casefold() in roster]
    person, student = known[0] if known else (named[0][0], (named[0][1] or ["student"])[0])
    name = str(person.get("name") or "")
    return Found(safe(student), name, _time(about.get("created_at")), files=tuple(files_at(folder))), bool(known)


def _people(about: dict) -> list[dict]:
    people = about.get("users")
    return [person for person in people if isinstance(person, dict)] if isinstance(people, list) else []


def _metadata(path: Path) -> dict:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        data = {}
    return data if isinstance(data, dict) else {}


def _due(about: dict) -> datetime | None:
    """Return the date due as Gradescope has it, that of the person before that of all."""
    its = [part.get("assignment") for part in (*_people(about), about)]
    dates = [_time(part.get("due_date")) for part in its if isinstance(part, dict)]
    return next(filter(None, dates), None)


def _time(text: object) -> datetime | None:
    try:
        time_ = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return time_ if time_.tzinfo else None


if __name__ == "__main__":
    main(Path(sys.argv[1]))
