"""When a course is due, and what is taken off for each day after."""

import re
from dataclasses import dataclass
from datetime import datetime

from hw_xai.errors import UserError


@dataclass(frozen=True)
class LatePolicy:
    """What is taken off for each day begun after the date due, as a share of the points reached, and at most."""

    per_day: float = 0.0
    most: float = 1.0

    def share(self, days: int) -> float:
        return min(self.per_day * days, self.most)


def late_policy(text: str) -> LatePolicy:
    """Read "none", "10%/day" or "10%/day,max 50%"."""
    if text.strip() in ("", "none"):
        return LatePolicy()
    number = r"(\d+(?:\.\d+)?)\s*%"
    found = re.fullmatch(rf"\s*{number}\s*/\s*day\s*(?:,\s*max\s*{number}\s*)?", text)
    shares = [float(value) / 100 for value in found.groups("100")] if found else [2.0]
    if max(shares) > 1:
        raise UserError(f'`late_policy` must read "none", "10%/day" or "10%/day,max 50%", got "{text}"')
    return LatePolicy(*shares)


def due_date(text: str) -> datetime | None:
    """Read "2026-12-01T23:59+08:00"; a date alone is the end of that day where this machine is.

    With a time the zone must be there: the machine that grades may live in another.
    """
    if not text:
        return None
    try:
        due = datetime.fromisoformat(text)
    except ValueError:
        due = None
    if due is not None and re.fullmatch(r"\d{4}-?\d{2}-?\d{2}", text):
        due = due.replace(hour=23, minute=59, second=59).astimezone()
    if due is None or due.tzinfo is None:
        raise UserError(f'`due` must be a date, time and zone such as "2026-12-01T23:59+08:00", got "{text}"')
    return due
