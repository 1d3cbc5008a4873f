"""Whose file is it? How the downloads of Canvas, NTU COOL, Moodle and Gradescope name what students handed in.

Only what the course's platform or the teaching assistant wrote decides, never a name or a line that a student chose:
nobody can hand in for somebody else.
"""

import re
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime

# in a folder of its own the last match counts, for the name before it can be edited; else the first: a file's can be
MOODLE_FOLDER = re.compile(
    r"(?P<name>[^/]+)_(?P<id>\d+)_assignsubmission_(?:file|onlinetext)_?/(?P<rest>.*)", re.DOTALL
)
MOODLE = re.compile(r"(?P<name>[^/]+?)_(?P<id>\d+)_assignsubmission_(?:file|onlinetext)_?/?(?P<rest>.*)", re.DOTALL)
NTU_COOL = re.compile(r"(?P<id>[^#/]+)#_(?P<name>[^/]+?)_(?P<user>\d+)_(?P<rest>[^/]+)")
CANVAS = re.compile(r"(?P<name>[^#/]+?)(?P<late>_LATE)?_(?P<id>\d+)_(?P<rest>\d+_[^/]+|text\.html|link\.html)")
ANONYMOUS = re.compile(r"(?:LATE_)?anon_(?P<id>[A-Za-z0-9]+)_(?P<rest>\d+_[^/]+)")
OF_THE_HOMEWORK = re.compile(r"(?:[0-9]_\w+( ?\(\d+\)|-\d+)?\.(?:ipynb|py)|manifest\.json)", re.IGNORECASE)
HANDED_IN = (".ipynb", ".py", ".zip")
RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))}
METADATA = "submission_metadata.yml"
EXPORT = re.compile(r"assignment_\d+_export|submission_\d+")  # as Gradescope names the folder of all, and each one's


@dataclass(frozen=True)
class Owner:
    """Whom a file belongs to, as the download says it. others: what else may be this person's id in a roster.

    platform_id: Canvas's own number of the student, where the id is no more than that; moodle_id: Moodle's of the
    participant. handle: how the names of files begin that the platform takes back for this student.
    """

    id: str
    name: str = ""
    others: tuple[str, ...] = ()
    late: bool | None = None
    submitted: datetime | None = None
    attempt: str = ""  # where an id may come several times, each a submission of its own
    platform_id: str = ""
    moodle_id: str = ""
    handle: str = ""


def owner_of(path: str, here: str) -> tuple[Owner, str]:
    """Return the owner of a file, and its name below the owner's folder. here: the download's own name."""
    if found := MOODLE_FOLDER.fullmatch(path):
        matches = [found]
    else:
        matches = [found for layout in (MOODLE, NTU_COOL, ANONYMOUS, CANVAS) if (found := layout.fullmatch(path))]
    if matches:  # what the platform wrote ends first: the student's own name of the file may look like another's
        found = min(matches, key=lambda match: match.start("rest"))
        its = found.groupdict()
        name = its.get("name", "")
        owner = {
            MOODLE: lambda: Owner(its["id"], name.strip(), _words(name), moodle_id=its["id"]),
            MOODLE_FOLDER: lambda: Owner(its["id"], name.strip(), _words(name), moodle_id=its["id"]),
            NTU_COOL: lambda: Owner(its["id"], name.strip(), (its["user"],)),
            ANONYMOUS: lambda: Owner(its["id"], late=path.startswith("LATE_")),
            CANVAS: lambda: Owner(its["id"], name, (name,), late=its["late"] is not None, platform_id=its["id"]),
        }[found.re]()
        handle = path[: found.start("rest")]
        if found.re in (MOODLE, MOODLE_FOLDER):  # flat, as every version of Moodle takes it
            handle = f"{name}_{its['id']}_assignsubmission_file_"
        elif number := re.match(r"\d+_", its["rest"]):  # of the file that the feedback belongs to
            handle += number[0]
        return replace(owner, handle=handle), its["rest"]
    first, _, rest = path.partition("/")
    if rest:
        return Owner(first, others=_words(first), attempt="folder"), rest
    if OF_THE_HOMEWORK.fullmatch(first):  # the notebooks of one student
        return Owner(here), first
    stem = first.rpartition(".")[0] or first
    return Owner(stem, others=_words(stem), attempt=first), first


def _words(text: str) -> tuple[str, ...]:
    """Return what may be an id within a name, such as the number in "Wang,Ming-2018147546"."""
    return tuple(
        word for word in re.findall(r"[^\W_]+(?:[.@+][^\W_]+)*", text) if len(word) > 3 and any(map(str.isdigit, word))
    )


def wrapper(paths: Iterable[str], ids: Container[str] = ()) -> str:
    """Return the folder that all submissions lie in, with its slash, "" if they do not lie in one.

    ids: of the roster, if there is one, in small letters.
    """
    paths = list(paths)
    tops = {path.partition("/")[0] for path in paths}
    if len(tops) != 1 or not all("/" in path for path in paths):
        return ""
    (top,) = tops
    below = [path[len(top) + 1 :] for path in paths]
    whose = owner_of(paths[0], "")[0]
    if top.casefold() in ids or whose.attempt != "folder":
        return ""
    # all files, for a student may put anything into a folder of their own, and what tells whose others' files are
    known = METADATA in below and (bool(EXPORT.match(top)) or any(EXPORT.match(path) for path in below))
    known |= METADATA not in below and all(_says_whose(path, ids) for path in below)
    known |= bool(ids) and any(re.split(r"[/.]", path)[0].casefold() in ids for path in below)
    known |= bool(wrapper(below, ids)) or in_sections(below, ids)
    loose = [p for p in below if "/" not in p]
    n_folders = len({p.partition("/")[0] for p in below if "/" in p})
    several = n_folders > 1 or any(p.lower().endswith(HANDED_IN) for p in loose)
    several &= len(below) > 1 and not any(OF_THE_HOMEWORK.fullmatch(p) for p in loose)
    return f"{top}/" if known or several else ""


def in_sections(paths: Iterable[str], ids: Container[str] = ()) -> bool:
    """Tell whether the folders on top are sections of the class: nobody's, and in each all files say whose they are.

    All of them, for a student may put anything into a folder of their own.
    """
    paths = list(paths)
    tops = {path.partition("/")[0] for path in paths}
    if not paths or not all("/" in path for path in paths) or any(_says_whose(f"{top}/x", ids) for top in tops):
        return False
    return len(tops) > 1 and all(_says_whose(path.partition("/")[2], ids) for path in paths)


def _says_whose(path: str, ids: Container[str]) -> bool:
    """Tell whether a platform wrote a path's first part, or it has an id of the roster as a folder or file."""
    first = path.partition("/")[0]
    words = [first, first.rpartition(".")[0], *_words(first)]
    return bool(owner_of(path, "")[0].name) or any(word.casefold() in ids for word in words)


# ---------------------------------------------------------------------------------------------------------- Gradescope


def read_metadata(content: bytes) -> dict[str, list[Owner]]:
    """Return folder -> its submitters of Gradescope's submission_metadata.yml; empty if it cannot be read."""
    import yaml

    class Loader(yaml.SafeLoader):
        """Reads the objects of Ruby that Gradescope writes for times as the plain values inside them."""

    def plain(loader: yaml.SafeLoader, _: str, node: yaml.Node) -> object:
        if isinstance(node, yaml.MappingNode):
            return loader.construct_mapping(node, deep=True)
        return loader.construct_sequence(node) if isinstance(node, yaml.SequenceNode) else node.value

    Loader.add_multi_constructor("!", plain)
    try:
        table = yaml.load(content, Loader)
    except (yaml.YAMLError, ValueError, TypeError, RecursionError, AttributeError, OverflowError):
        return {}
    if not isinstance(table, dict):
        return {}
    owners: dict[str, list[Owner]] = {}
    for folder, row in table.items():
        row = _without_colons(row)
        people = row.get("submitters")
        for person in people if isinstance(people, list) else []:
            person = _without_colons(person)
            ids = ids_of(person)
            its = Owner(
                ids[0] if ids else str(folder),
                str(person.get("name") or ""),
                tuple(ids[1:]),
                submitted=_aware(row.get("created_at")),
                attempt=str(folder),
            )
            owners.setdefault(str(folder), []).append(its)
    return owners


def ids_of(person: Mapping[str, object]) -> list[str]:
    """Return what may be a person's id in a roster; all of it was written by Gradescope, none by the student."""
    ids = [str(person[key]).strip() for key in ("sid", "email") if person.get(key)]
    return [*ids, *(id.partition("@")[0] for id in ids if "@" in id)]


def _without_colons(row: object) -> Mapping[str, object]:
    return {str(key).strip(":"): value for key, value in row.items()} if isinstance(row, dict) else {}


def _aware(value: object) -> datetime | None:
    if isinstance(value, dict):  # a Ruby time
        value = value.get("utc") or value.get("time")
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.strip())
        except ValueError:
            return None
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    return datetime(value.year, value.month, value.day, tzinfo=UTC) if isinstance(value, date) else None


# ------------------------------------------------------------------------------------------------------------ safe ids


def safe(id: str) -> str:
    """Return an id as the name of a file on any disk: letters, digits and . @ + - _, up to 64."""
    clean = re.sub(r"[^\w.@+-]+", "-", id.encode("utf-8", "replace").decode()).strip(".-@+")[:64].rstrip(".")
    return f"_{clean}" if not clean or clean.casefold().partition(".")[0] in RESERVED else clean


def unique(id: str, taken: Iterable[str]) -> str:
    """Return the id, or with a number behind it, such that no other is its twin on a disk that ignores case."""
    folded = {one.casefold() for one in taken}
    n, candidate = 1, id
    while candidate.casefold() in folded:
        n += 1
        candidate = f"{id}-{n}"
    return candidate
