"""A journal keeps the key, and notices when what the key is computed from has changed."""

import pytest

from grading.commands import run
from grading.homework.evidence import key as keys
from grading.running import fingerprint
from grading.running.journal import Journal


@pytest.fixture
def computed(monkeypatch) -> list[dict]:
    """The keys that are computed one after the other, in place of a minute's measurements."""
    waiting = [{"Q1": frozenset({"first"})}, {"Q1": frozenset({"second"})}]
    monkeypatch.setattr(keys, "compute_key", lambda progress: waiting.pop(0))
    return waiting


def test_a_key_is_computed_once(tmp_path, computed, capsys):
    with Journal(tmp_path, new=True) as journal:
        assert run._key(journal) == run._key(journal) == {"Q1": frozenset({"first"})}
    assert len(computed) == 1
    assert capsys.readouterr().out == ""


def test_an_old_key_is_noticed_computed_anew_and_compared(tmp_path, computed, capsys, monkeypatch):
    with Journal(tmp_path, new=True) as journal:
        run._key(journal)
        monkeypatch.setattr(fingerprint, "of_key", lambda: "that of other weights")
        assert run._key(journal) == {"Q1": frozenset({"second"})}
    said = capsys.readouterr().out
    assert "the key is computed anew: the code, data or libraries behind it have changed" in said
    assert "another one now for Q1" in said
