"""What the doctor says of this machine, against what the machine does."""

import json

import pytest

from grading.cli import main
from grading.commands import doctor
from grading.isolation import memory
from grading.isolation.inside.confine import landlock_version


def test_each_wall_is_tried_and_says_what_it_is_made_of():
    found = {(wall.name, wall.tiers): wall for wall in doctor.walls()}
    assert len(found) == len(doctor.walls()) == 8
    assert found["files", ("process",)].stands == (landlock_version() > 0)
    for wall in found.values():
        assert wall.is_made_of
        assert wall.stands or wall.how_to_get_it
    calls = [wall.is_made_of for (name, _), wall in found.items() if name == "system calls"]
    assert len(set(calls)) == 2


def test_a_machine_without_a_group_for_memory_says_how_to_get_one(monkeypatch):
    monkeypatch.setattr(memory, "_parent", lambda: None)
    wall = doctor._memory()
    assert not wall.stands
    assert "Delegate=yes" in wall.how_to_get_it


def test_a_list_of_calls_that_does_not_hold_is_seen(monkeypatch):
    monkeypatch.setattr(doctor, "CALLS", "import os; os._exit(3 if {shared} else 0)  # {path} {others}")
    assert [wall.stands for wall in doctor._calls()] == [True, False]


@pytest.mark.parametrize(
    ("tier", "missing", "lacking", "code"),
    [("process", [], (), 0), ("process", ["no memory group"], (), 1), ("process", [], ("process",), 1),
     ("process", [], ("bubblewrap",), 0), ("", [], (), 2)],
)  # fmt: skip
def test_the_exit_code_says_whether_walls_lack(tier, missing, lacking, code, monkeypatch, capsys):
    walls = [
        doctor.Wall("one", name not in lacking, "bricks", (name,), how_to_get_it="buy some") for name in doctor.BOTH
    ]
    monkeypatch.setattr(doctor, "walls", lambda: walls)
    monkeypatch.setattr(doctor, "tried", lambda: (tier, missing, "why"))
    assert main(["doctor", "--json"]) == code
    assert json.loads(capsys.readouterr().out)["tier"] == tier
    assert main(["doctor"]) == code
    said = capsys.readouterr().out
    assert ("to get it: buy some" in said) == bool(lacking)
    assert ("cannot contain" in said) == (code == 2)


@pytest.mark.slow
def test_the_tier_is_the_one_that_a_run_would_take(capsys):
    code = main(["doctor", "--json"])
    data = json.loads(capsys.readouterr().out)
    assert (data["tier"] in doctor.BOTH) == (code < 2)
    assert code or all(wall["stands"] for wall in data["walls"] if data["tier"] in wall["tiers"])
