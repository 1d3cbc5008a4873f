"""Reads Gradescope's submission_metadata.yml in a child process: a student may have written it, or parts of it."""

from dataclasses import asdict
from datetime import datetime

from ..platforms.layouts import Owner, read_metadata
from ..words import Text
from .archives import File, Unreadable, file_data, file_from
from .child import Child, CouldNotBeRead, ReadingLimits

LIMITS = ReadingLimits(cpu_seconds=20)  # a class of a thousand with all its tests takes two
NO_TABLE = Text("it is no table in YAML", "不是 YAML 表格")


class _MetadataReader(Child):
    reads = __name__


def owners_in(file: File) -> dict[str, list[Owner]]:
    """Return folder -> its submitters. CouldNotBeRead: no child survived it, or it is no such file."""
    with _MetadataReader(LIMITS) as child:
        data = child.ask(file_data(file))
    if "unreadable" in data:
        raise CouldNotBeRead(Text(*data["unreadable"]))
    return {folder: [_owner_from(row) for row in rows] for folder, rows in data["owners"].items()}


def answer(request: dict) -> dict:
    """Read the file, in the child."""
    try:
        owners = read_metadata(file_from(request).read())
    except Unreadable as error:
        return {"unreadable": error.args[0]}
    except ValueError:
        return {"unreadable": NO_TABLE}
    return {"owners": {folder: list(map(_owner_data, its)) for folder, its in owners.items()}}


def _owner_data(owner: Owner) -> dict:
    return asdict(owner) | {"submitted": owner.submitted and owner.submitted.isoformat()}


def _owner_from(row: dict) -> Owner:
    submitted = row["submitted"] and datetime.fromisoformat(row["submitted"])
    return Owner(**row | {"others": tuple(row["others"]), "submitted": submitted})
