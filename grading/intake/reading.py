"""Reads each submission in a child process: what a student wrote is parsed there, plain data comes back."""

from collections.abc import Mapping
from dataclasses import replace

from ..words import Text
from .archives import file_data, file_from
from .child import Child
from .contents import read_submission
from .submission import Submission
from .submissions import Found


class Reader(Child):
    """Reads one submission after another; for one thread."""

    reads = __name__

    def read(self, found: Found, homes: Mapping[str, str], variant: int | None = None) -> Submission:
        """Return what was handed in. CouldNotBeRead: no child survived it. homes: exercise -> its notebook's name."""
        request = _found_data(found) | {"homes": dict(homes), "variant": variant}
        return _submission_from(self.ask(request), found)


def answer(request: dict) -> dict:
    """Read one submission, in the child."""
    return _submission_data(read_submission(_found_from(request), request["homes"], request["variant"]))


def _found_data(found: Found) -> dict:
    return {"student": found.student, "files": list(map(file_data, found.files)), "remarks": found.remarks}


def _found_from(data: dict) -> Found:
    remarks = tuple(Text(*remark) for remark in data["remarks"])
    return Found(data["student"], files=tuple(map(file_from, data["files"])), remarks=remarks)


def _submission_data(read: Submission) -> dict:
    return {
        "sources": dict(read.sources),
        "answers": {name: _plain(answer) for name, answer in read.answers.items()},
        "variant": read.variant,
        "remarks": read.remarks,
        "digest": read.digest,
        "asks": dict(read.asks),
        "texts": dict(read.texts),
        "cells": dict(read.cells),
    }


def _submission_from(data: dict, found: Found) -> Submission:
    """Return the submission; who handed it in and when is what the supervisor knew before."""
    about = Submission(
        found.student, found.name, submitted=found.submitted, late=found.late, platform_id=found.platform_id
    )
    return replace(
        about,
        sources=data["sources"],
        answers=data["answers"],
        variant=data["variant"],
        remarks=tuple(Text(*remark) for remark in data["remarks"]),
        digest=data["digest"],
        asks={name: Text(*why) for name, why in data["asks"].items()},
        texts=data["texts"],
        cells={name: tuple(its) for name, its in data["cells"].items()},
    )


def _plain(answer: object) -> object:
    """Return an answer as JSON can hold it: texts and lists of them, 0 for whatever can be no answer anyway."""
    if isinstance(answer, list | tuple | set) and all(isinstance(letter, str) for letter in answer):
        return sorted(answer)
    return answer if isinstance(answer, str) else 0
