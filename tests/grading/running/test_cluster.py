"""The exercises on a cluster: what travels is JSON, what comes back is what the machine itself would have found."""

import json
from concurrent.futures import CancelledError, Future
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from grading.running import cluster
from grading.running.cluster import There, connected, grade_there
from grading.running.rules import Course
from grading.verdict.results import Graded
from grading.words import Text
from hw_xai.errors import UserError

COURSE = Course(
    {"saliency": 2.0}, seeds=(1,), key={"Q1": frozenset({"secret option"})}, due=datetime(2026, 12, 1, tzinfo=UTC)
)
GRADED = (Graded("saliency", "failed", 0, 2, Text("no", "否"), isolation="process"),)


class Client:
    """Runs a task at once, as a worker would; notes what was sent."""

    def __init__(self):
        self.sent = []

    def submit(self, function, task, pure):
        self.sent.append(task)
        future = Future()
        try:
            future.set_result(function(task))
        except Exception as error:
            future.set_exception(error)
        return future


@pytest.fixture(autouse=True)
def made(monkeypatch) -> list:
    """The sandboxes that workers made, which are none; what they are asked."""
    asked = []
    monkeypatch.setattr(cluster, "sandbox_of", lambda course: asked.append(course.wall) or "box")
    monkeypatch.setattr(cluster, "grade_exercises", lambda sources, course, box: asked.append(sources) or GRADED)
    monkeypatch.setattr(cluster, "OWN", type("", (), {})())
    return asked


def test_the_result_is_that_of_the_machine_itself(made):
    client = Client()
    there = There(client, COURSE)
    assert there.exercises({"saliency": "def \ud800"}, ["saliency"], (1000003,)) == GRADED
    assert there.exercises({}, ["saliency"], (1000003,)) == GRADED
    assert made == [None, {"saliency": "def \ud800"}, {}]  # one sandbox for both
    assert "secret option" not in client.sent[0]
    there.close()


def test_other_limits_get_another_sandbox(made):
    for course in (COURSE, replace(COURSE, wall=5)):
        There(Client(), course).exercises({}, ["saliency"], (1000003,))
    assert made == [None, {}, 5, {}]


def test_a_worker_with_another_kit_is_refused():
    task = {"kit": "older", "course": {}, "sources": {}}
    with pytest.raises(UserError, match="another version of the kit"):
        grade_there(json.dumps(task))


def test_a_cluster_that_went_away_is_one_sentence(monkeypatch):
    def gone(*_):
        raise CancelledError

    monkeypatch.setattr(cluster, "grade_there", gone)
    client = Client()
    client.submit = lambda function, task, pure: type("", (), {"result": staticmethod(gone)})
    with pytest.raises(UserError, match="went away; the same command goes on"):
        There(client, COURSE).exercises({}, ["saliency"], (1000003,))


@pytest.mark.parametrize(
    ("address", "tls", "sentence"),
    [
        ("local:none", (), "must start 1 to 256 workers"),
        ("tcp://10.0.0.1:8786", (), "give certificates"),
        ("tls://10.0.0.1:8786", (), "give certificates"),
        ("tls://10.0.0.1:8786", ("ca", "cert"), "must name three files"),
    ],
)
def test_where_there_is_no_cluster_to_be_trusted(address, tls, sentence):
    with pytest.raises(UserError, match=sentence), connected(address, tls):
        pass
