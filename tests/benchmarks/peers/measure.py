"""Wall, CPU and memory of a command and all that it starts, also of what it leaves for others to bury. Linux."""

import ctypes
import os
import resource
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

MB, SET_CHILD_SUBREAPER = 2**20, 36


@dataclass(frozen=True)
class Cost:
    """wall, cpu: seconds. peak: MB (proportional set size, so that shared pages count once), 0 where not measured."""

    wall: float
    cpu: float
    peak: float = 0.0


def cost(commands: Sequence[Sequence], folder: Path, env: Mapping[str, str], every: float = 0.0) -> Cost:
    """Run commands side by side until all are done; RuntimeError with the last lines if one fails.

    every: seconds between looks at the memory; 0: none, for it costs time itself.
    """
    ctypes.CDLL(None).prctl(SET_CHILD_SUBREAPER, 1, 0, 0, 0)  # orphans come to us, and so does what they used
    before, start = _children(), time.perf_counter()
    log = folder / "commands.log"
    with open(log, "wb") as file:
        running = [
            subprocess.Popen([str(part) for part in c], cwd=folder, env={**os.environ, **env}, stdout=file, stderr=file)
            for c in commands
        ]
        done, peak = threading.Event(), [0.0]
        watcher = threading.Thread(target=_watch, args=([p.pid for p in running], every, done, peak), daemon=True)
        if every:
            watcher.start()
        codes = [process.wait() for process in running]
        wall = time.perf_counter() - start
        done.set()
    if any(codes):
        raise RuntimeError(f"{commands[0]} ended with {codes}:\n" + log.read_text(errors="replace")[-3000:])
    with suppress(ChildProcessError):
        while True:
            os.wait()
    return Cost(wall, _children() - before, peak[0])


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _watch(pids: Sequence[int], every: float, done: threading.Event, peak: list[float]) -> None:
    while not done.wait(every):
        total = 0
        for pid in pids:
            try:
                family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
            except psutil.NoSuchProcess:
                continue
            total += sum(map(_memory, family))
        peak[0] = max(peak[0], total / MB)


def _memory(process: psutil.Process) -> int:
    try:
        return process.memory_full_info().pss
    except (psutil.NoSuchProcess, psutil.AccessDenied, FileNotFoundError):  # it ended meanwhile
        return 0
