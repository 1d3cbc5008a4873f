"""A sandbox that is none, for tests of book-keeping, whose code is our own."""

import pytest

from grading.isolation.inside.calls import answers_to
from grading.isolation.sandbox import Reply
from grading.running import batch
from grading.words import Text


class InThisProcess:
    """Runs what a test holds without a process of its own."""

    tier, isolation, why = "none", "none", ""

    def run(self, source, function, calls):
        names = {}
        exec(source, names)
        return Reply("ok", Text("", ""), [answers_to(names[function], call) for call in calls])

    def close(self):
        pass


@pytest.fixture
def in_this_process(monkeypatch):
    monkeypatch.setattr(batch, "sandbox_of", lambda course: InThisProcess())
