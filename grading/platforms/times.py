"""When was it handed in? From the files of a platform that say so, where its download does not.

Moodle's grading worksheet, Gradescope's export of scores, what Canvas's API answers for the submissions of an
assignment (JSON), or any table with a column that names the student and one with a time.
"""

import json
import re
from collections.abc import Mapping
from datetime import datetime, tzinfo
from pathlib import Path

from hw_xai.errors import UserError

from .names import folded
from .roster import PARTICIPANT, Roster
from .tables import read_table

WHEN = (
    "submitted", "submitted_at", "Submission Time", "Last modified (submission)", "time", "繳交時間",
    "最後修改(繳交作業)", "最後修改（繳交）", "最後修改 (作業繳交)",
)  # fmt: skip
WHO = ("student", "SID", "sid", "Email", "Email address", "SIS User ID", "SIS Login ID", "login_id", "ID", "user_id")
FORMATS = (
    "%A, %d %B %Y, %I:%M %p", "%A, %d %B %Y, %I:%M:%S %p", "%Y-%m-%d %H:%M:%S %z",
    "%Y/%m/%d %H:%M", "%Y/%m/%d %H:%M:%S", "%Y/%m/%d %I:%M %p", "%Y/%m/%d %I:%M:%S %p", "%d/%m/%y, %H:%M",
    "%d %B %Y, %I:%M %p", "%Y年%m月%d日 %H:%M", "%Y年%m月%d日 %I:%M %p", "%Y年%m月%d日 %I:%M:%S %p",
)  # fmt: skip
HALVES = {"上午": "AM", "下午": "PM"}  # before the hour, as spreadsheets write times in Chinese


def read_times(path: str | Path, roster: Roster, zone: tzinfo | None = None) -> dict[str, str]:
    """Return student -> time in ISO 8601 with its zone; who has none is left out.

    zone: of times that do not say theirs. UserError for a file that tells no times, or of nobody on the roster.
    """
    path = Path(path)
    content = path.read_bytes()
    rows = _of_canvas(content) if content.lstrip()[:1] in (b"[", b"{") else [row for _, row in read_table(path)]
    if not rows or not any(name in rows[0] for name in WHEN):
        raise UserError(f"{path} must have a column with times, such as {', '.join(WHEN[:4])}")
    found: dict[str, str] = {}
    known = 0
    for row in rows:
        student = _who(row, roster)
        text = next((row[name] for name in WHEN if row.get(name)), "")
        known += bool(student)
        if not student or text in ("", "-"):
            continue
        time = _time(text)
        if time is None:
            raise UserError(f'{path}: the time of {student} must be like "2027-01-15T23:59+08:00", got "{text}"')
        time = time if time.tzinfo else (time.replace(tzinfo=zone) if zone else time.astimezone())
        found[student] = max(time.isoformat(), found.get(student, ""), key=lambda t: datetime.fromisoformat(t or FIRST))
    if not known:
        raise UserError(f"{path} must be about the students of the roster, but it has none of them")
    return found


FIRST = "0001-01-02T00:00+00:00"


def tells_times(path: str | Path) -> bool:
    """Tell whether a roster is also a file of times, as Moodle's worksheet is."""
    rows = read_table(path)
    return bool(rows) and any(name in rows[0][1] for name in WHEN)


def _of_canvas(content: bytes) -> list[dict[str, str]]:
    """Return the submissions that Canvas's API lists, each as a row."""
    try:
        data = json.loads(content)
    except ValueError:
        return []
    rows = data if isinstance(data, list) else data.get("submissions", []) if isinstance(data, dict) else []
    return [{k: str(v) for k, v in row.items() if v is not None} for row in rows if isinstance(row, dict)]


def _who(row: Mapping[str, str], roster: Roster) -> str | None:
    first = next(iter(row.values()), "")
    if roster.of_moodle and (number := PARTICIPANT.fullmatch(first)) and number[1] in roster.of_moodle:
        return roster.of_moodle[number[1]]
    for name in ("user_id", "canvas_id", "ID"):
        if row.get(name) in roster.of_canvas:
            return roster.of_canvas[row[name]]
    ids = (folded(row[name]) for name in WHO if row.get(name))
    return next((roster.ids[id] for id in ids if id in roster.ids), None)


def _time(text: str) -> datetime | None:
    clean = re.sub(r"[（(][^）)]*[）)]", "", text).replace("年 ", "年").replace("月 ", "月")
    clean = re.sub(r"(上午|下午)\s*([\d:]+)", lambda half: f"{half[2]} {HALVES[half[1]]}", clean)
    clean = " ".join(re.sub(r"日\s*,?\s*", "日 ", clean).split())
    clean = re.sub(r" (?:UTC|GMT)$", " +0000", clean)
    for read in (datetime.fromisoformat, *(lambda t, f=f: datetime.strptime(t, f) for f in FORMATS)):
        for one in (text, clean):
            try:
                return read(one)
            except ValueError:
                continue
    return None
