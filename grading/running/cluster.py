"""The exercises on a Dask cluster, for a class that outgrows one machine.

Covers: a task is the sources of one submission as JSON, its result is JSON; student code runs in a sandbox beside the
worker, never in it; a task whose worker dies is done by another. Does not cover: Dask itself believes everyone who can
reach it, and unpickles what they send: only loopback, or TLS with certificates of your own, is let through.
"""

import json
import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager

import torch

from hw_xai.errors import UserError, how_to_add

from ..verdict.results import Graded, Result, from_data
from . import fingerprint
from .batch import sandbox_of
from .grade import grade_exercises
from .journal import text_of
from .rules import Course, course_data, course_from

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
LOCAL = {"threads_per_worker": 1, "host": "127.0.0.1", "dashboard_address": None, "silence_logs": logging.ERROR}
OWN = threading.local()


def grade_there(task: str) -> str:
    """Grade the exercises of one submission in a worker; each of its threads keeps a sandbox of its own."""
    job = json.loads(task)
    if job["kit"] != fingerprint.of_grades():
        raise UserError("a worker of the cluster has another version of the kit: install the same one everywhere")
    torch.set_num_threads(1)
    course = course_from(job["course"])
    if getattr(OWN, "limits", None) != (limits := (course.isolation, course.wall, course.memory)):
        OWN.sandbox, OWN.limits = sandbox_of(course), limits
    return text_of(Result("", "", grade_exercises(job["sources"], course, OWN.sandbox), ()))


class There:
    """An examiner that lets the cluster work."""

    def __init__(self, client, course: Course):
        self.client, self.course = client, course_data(course) | {"key": {}, "due": None, "secret": ""}

    def exercises(self, sources: Mapping[str, str], names: Sequence[str], seeds: tuple[int, ...]) -> tuple[Graded, ...]:
        from distributed.comm import CommClosedError  # late: the extra dask

        points = {name: self.course["points"][name] for name in names}
        course = self.course | {"points": points, "seeds": seeds}
        task = json.dumps({"kit": fingerprint.of_grades(), "course": course, "sources": dict(sources)})
        try:
            text = self.client.submit(grade_there, task, pure=False).result()
        except (CancelledError, CommClosedError) as error:
            raise UserError("the Dask cluster went away; the same command goes on from here") from error
        return from_data(json.loads(text)).exercises

    def close(self) -> None:
        pass  # the client belongs to all


@contextmanager
def connected(address: str, tls: Sequence[str] = ()) -> Iterator:
    """Yield a client of the cluster at an address; "local:2" starts two workers on this machine.

    tls: files of the authority, of a certificate and of its key.
    """
    try:
        from distributed import Client, LocalCluster, Security  # late: the extra dask
    except ImportError:
        raise UserError(f"`dask` needs an extra: {how_to_add('dask')}") from None
    if address.startswith("local:"):
        workers = address.removeprefix("local:")
        if not workers.isdecimal() or not 1 <= int(workers) <= 256:
            raise UserError(f'`dask=local:N` must start 1 to 256 workers, got "{address}"')
        with (
            LocalCluster(int(workers), **LOCAL) as cluster,
            Client(cluster) as client,
        ):
            yield client
        return
    host = address.removeprefix("tcp://").rpartition(":")[0]
    if not tls and host not in LOOPBACK:
        raise UserError(
            f"`dask={address}` is another machine, and Dask trusts whoever reaches it: give certificates by `dask_tls`"
        )
    security = None
    if tls:
        if len(tls) != 3:
            raise UserError("`dask_tls` must name three files: CA,CERT,KEY")
        authority, certificate, key = tls
        security = Security(
            tls_ca_file=authority, tls_client_cert=certificate, tls_client_key=key, require_encryption=True
        )
    try:
        client = Client(address, security=security, timeout="10s")
    except (OSError, TimeoutError, ValueError) as error:
        raise UserError(f"there must be a Dask scheduler at {address}, but: {error}") from None
    with client:
        yield client


def threads_of(client) -> int:
    """Return how many submissions to keep under way: two for each thread of the cluster."""
    return 2 * max(1, sum(client.nthreads().values()))
