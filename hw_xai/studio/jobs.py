"""Work in threads whose events reach a browser as lines of JSON; it ends as soon as the browser goes away."""

import asyncio
import json
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from starlette.types import Receive, Scope, Send

from ..core.batches import listening
from ..studies.pictures import told

OFTEN = 0.1  # seconds between two tellings of how far it is

Event = Mapping[str, Any]


class Cancelled(BaseException):
    """Nobody waits for the answer any more; not an Exception, so that no method takes it for a fault of the model."""


class Job:
    """One piece of work and whoever waits for it."""

    def __init__(self, emit: Callable[[Event], None]):
        self._emit = emit
        self.cancelled = threading.Event()

    def tell(self, **event: Any) -> None:
        """Hand on an event; raise Cancelled when nobody waits any more."""
        self.check()
        self._emit(event)

    def check(self) -> None:
        """Raise Cancelled when nobody waits any more."""
        if self.cancelled.is_set():
            raise Cancelled

    @contextmanager
    def progress(self, **event: Any) -> Iterator[None]:
        """Tell how far an explanation inside is, and cancel it when nobody waits any more."""
        last = time.monotonic()

        def heard(done: int, total: int) -> None:
            nonlocal last
            self.check()
            if time.monotonic() - last > OFTEN:
                last = time.monotonic()
                self.tell(event="progress", done=done, total=total, **event)

        with listening(heard):
            yield


class Stream:
    """A response of lines of JSON, one for each event of a job that runs in a thread."""

    def __init__(self, work: Callable[[Job], None], pool: ThreadPoolExecutor, running: set[Job]):
        """running: holds the job for as long as it runs."""
        self.work, self.pool, self.running = work, pool, running

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        loop = asyncio.get_running_loop()
        events: asyncio.Queue[Event | None] = asyncio.Queue()
        job = Job(lambda event: _handed(loop, events, event))
        headers = [(b"content-type", b"application/x-ndjson; charset=utf-8")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        gone = asyncio.ensure_future(_until_gone(receive, job))
        self.running.add(job)

        def end() -> None:
            self.running.discard(job)
            _handed(loop, events, None)

        future = loop.run_in_executor(self.pool, _run, self.work, job, end)
        future.add_done_callback(lambda done: done.cancelled() or done.exception())
        try:
            while (event := await events.get()) is not None and not job.cancelled.is_set():
                line = json.dumps(event, ensure_ascii=False, allow_nan=False) + "\n"
                await send({"type": "http.response.body", "body": line.encode(), "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            job.cancelled.set()
            gone.cancel()


def _handed(loop: asyncio.AbstractEventLoop, events: asyncio.Queue, event: Event | None) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(events.put_nowait, event)


def _run(work: Callable[[Job], None], job: Job, end: Callable[[], None]) -> None:
    try:
        job.check()
        with unwarned():
            work(job)
    except Cancelled:
        pass
    except Exception as error:  # a network of somebody's breaks in ways of its own
        job.tell(event="failed", sentence=told(error))
    finally:
        end()


async def _until_gone(receive: Receive, job: Job) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    job.cancelled.set()


class _Unwarned:
    """Warnings are the whole process's: the first to enter silences them, the last to leave restores them."""

    def __init__(self) -> None:
        self._lock, self._inside = threading.Lock(), 0
        self._before: Any = None

    def __enter__(self) -> None:
        with self._lock:
            if self._inside == 0:
                self._before = warnings.catch_warnings()
                self._before.__enter__()
                warnings.simplefilter("ignore")  # a first estimate has too few samples, and says so by being a first
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._before.__exit__(None, None, None)


_unwarned = _Unwarned()


def unwarned() -> _Unwarned:
    """Silence warnings inside, in all threads."""
    return _unwarned
