"""How many processors this process may really use: fewer than the machine has, in a container or a job of a cluster."""

import math
import os
from contextlib import suppress
from pathlib import Path

GROUPS = Path("/sys/fs/cgroup")
OWN = Path("/proc/self/cgroup")


def processors() -> int:
    """Return the smaller of what the process is bound to and what its control group may use, at least 1."""
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, math.ceil(min(bound, quota(GROUPS, OWN))))


def quota(groups: Path, own: Path) -> float:
    """Return the processors that the control groups above this process leave it, infinity where nothing is set."""
    least = math.inf
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return least
    for line in lines:
        _, controllers, path = line.split(":", 2)
        folder = groups / ("cpu" if "cpu" in controllers.split(",") else "") / path.lstrip("/")
        for place in (folder, *folder.parents):
            if place != groups and groups not in place.parents:
                break
            with suppress(OSError, ValueError, IndexError):
                limit, period = (place / "cpu.max").read_text().split()
                least = min(least, int(limit) / int(period))  # "max" is no number
            with suppress(OSError, ValueError):
                allowed, each = (int((place / f"cpu.cfs_{what}_us").read_text()) for what in ("quota", "period"))
                least = min(least, allowed / each if allowed > 0 else math.inf)
    return least
