"""Several processes at work on the pictures of one evaluation. Any of them may be killed at any time."""

import multiprocessing
import signal
from collections.abc import Generator, Iterator, Sequence
from multiprocessing.connection import Connection, wait

import torch

from ...errors import UserError
from .evaluator import EvaluationPlan, Evaluator


def evaluate_all(evaluator: Evaluator, places: Sequence[int], jobs: int) -> Generator[str, None, None]:
    """Evaluate the pictures at these places; yield a method each time it is done with one of them."""
    if jobs > 1 and len(places) > 1:
        yield from _spread(evaluator.plan, list(places), min(jobs, len(places)))
        return
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as in a worker: another number of threads adds up in another order
    try:
        for place in places:
            yield from evaluator.evaluate(place)
    finally:
        torch.set_num_threads(n_threads)


def _spread(plan: EvaluationPlan, places: list[int], jobs: int) -> Iterator[str]:
    context = multiprocessing.get_context("spawn")  # torch's threads do not survive a fork
    workers, leaving = {}, []
    try:
        for _ in range(jobs):
            ours, theirs = context.Pipe()
            workers[ours] = context.Process(target=_work, args=(theirs, plan), daemon=True)
            workers[ours].start()
            theirs.close()  # or the death of the worker would never be noticed
        while workers:
            ready = wait(list(workers))
            for connection in [one for one in workers if one in ready]:
                try:
                    method = connection.recv()
                except EOFError:
                    workers[connection].join()
                    code = workers[connection].exitcode
                    raise UserError(f"a worker process ended early (exit code {code}): the same command goes on; "
                                    "with fewer `jobs` it needs less memory") from None  # fmt: skip
                if method is not None:
                    yield method
                elif places:
                    connection.send(places.pop(0))
                else:
                    leaving.append(workers.pop(connection))
                    connection.close()  # the worker reads its end, and leaves
    finally:
        for worker in workers.values():
            worker.terminate()
        for worker in [*workers.values(), *leaving]:
            worker.join()


def _work(connection: Connection, plan: EvaluationPlan) -> None:
    """Evaluate the pictures that come through the connection; None goes back when ready for the next."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes: the main one decides
    torch.set_num_threads(1)
    evaluator = Evaluator(plan)
    try:
        while True:
            connection.send(None)
            for method in evaluator.evaluate(connection.recv()):
                connection.send(method)
    except (EOFError, ConnectionError):
        return  # the main process is gone
