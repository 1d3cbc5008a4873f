"""Whose file is it? How the downloads of Canvas, NTU COOL, Moodle and Gradescope name what students handed in.

Only what the course's platform or the teaching assistant wrote decides, never a name or a line that a student chose:
nobody can hand in for somebody else.
"""

import re
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

from .names import folded, words

# in a folder of its own the last match counts: the name before it can be edited, and a file's is not in it
MOODLE_FOLDER = re.compile(
    r"(?P<name>[^/]+)_(?P<id>\d+)_assignsubmission_(?:file|onlinetext)_?/(?P<rest>.*)", re.DOTALL
)
MOODLE = re.compile(r"(?P<name>[^/]+?)_(?P<id>\d+)_assignsubmission_(?:file|onlinetext)_?/?(?P<rest>.*)", re.DOTALL)
NTU_COOL = re.compile(r"(?P<id>[^#/]+)#_(?P<name>[^/]+?)_(?P<user>\d+)_(?P<rest>[^/]+)")
CANVAS = re.compile(r"(?P<name>[^#/]+?)(?P<late>_LATE)?_(?P<id>\d+)_(?P<rest>\d+_[^/]+|text\.html|link\.html)")
ANONYMOUS = re.compile(r"(?:LATE_)?anon_(?P<id>[A-Za-z0-9]+)_(?P<rest>\d+_[^/]+)")
OF_THE_HOMEWORK = re.compile(r"(?:[0-9]_\w+( ?\(\d+\)|-\d+)?\.(?:ipynb|py)|manifest\.json)", re.IGNORECASE)
HANDED_IN = (".ipynb", ".py", ".zip")
METADATA = "submission_metadata.yml"
LONGEST_NAME = 300  # of a file, and of a person
EXPORT = re.compile(r"assignment_\d+_export")  # as Gradescope names the folder of all
PARTICIPANTS = re.compile(r"_(\d+)_assignsubmission_")
PATTERNS = {
    "": (MOODLE_FOLDER, MOODLE, NTU_COOL, ANONYMOUS, CANVAS),
    "canvas": (ANONYMOUS, CANVAS),
    "moodle": (MOODLE_FOLDER, MOODLE),
    "cool": (NTU_COOL,),
    "gradescope": (),
    "folders": (),
}
LAYOUTS = [layout for layout in PATTERNS if layout]
OF_FILES = ("canvas", "moodle", "cool")  # where every name says whose the file is


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


def owner_of(path: str, here: str, layout: str = "") -> tuple[Owner | None, str]:
    """Return the owner of a file, and its name below the owner's folder. here: the download's own name.

    layout: whose names these are, one of LAYOUTS; "" for any of them. None: the name may be that of two students, or
    is none of the layout's.
    """
    found = [match for pattern in PATTERNS[layout] if (match := pattern.fullmatch(path))]
    if found and found[0].re is MOODLE_FOLDER:
        found = found[:1]
    if found:  # what the platform wrote ends first: the student's own name of the file may look like another's
        match = min(found, key=lambda one: one.start("rest"))
        if match.re is MOODLE and len(set(PARTICIPANTS.findall(path))) > 1:  # one was edited
            return None, path
        return _named(match, path), match["rest"]
    if layout in OF_FILES:
        return None, path
    first, _, rest = path.partition("/")
    if rest:
        return Owner(first, others=words(first), attempt="folder"), rest
    if OF_THE_HOMEWORK.fullmatch(first):  # the notebooks of one student
        return Owner(here), first
    stem = first.rpartition(".")[0] or first
    return Owner(stem, others=words(stem), attempt=first), first


def _named(match: re.Match, path: str) -> Owner:
    """Return the owner whom a platform's name of a file names."""
    its = match.groupdict()
    id, name, handle = its["id"], its.get("name", ""), path[: match.start("rest")]
    if match.re in (MOODLE, MOODLE_FOLDER):  # flat, as every version of Moodle takes it
        handle = f"{name}_{id}_assignsubmission_file_"
        return Owner(id, name.strip(), words(name), moodle_id=id, handle=handle)
    if number := re.match(r"\d+_", its["rest"]):  # of the file that the feedback belongs to
        handle += number[0]
    if match.re is NTU_COOL:
        return Owner(id, name.strip(), (its["user"],), handle=handle)
    if match.re is ANONYMOUS:
        return Owner(id, late=path.startswith("LATE_"), handle=handle)
    return Owner(id, name, (name,), late=its["late"] is not None, platform_id=id, handle=handle)


# ------------------------------------------------------------------------------------------------ folders of the class


def export_of(paths: Sequence[str]) -> str:
    """Return the folder, with its slash, that Gradescope puts around its export; "" where there is none."""
    top = _lone(paths)
    return f"{top}/" if EXPORT.fullmatch(top) and f"{top}/{METADATA}" in paths else ""


def folders_above(paths: Sequence[str], ids: Container[str], layout: str) -> int:
    """Return in how many folders all submissions of a layout lie, one in another: of the class, or of its sections."""
    found = n = 0
    while paths and all("/" in path for path in paths):
        if layout in OF_FILES:
            if any(owner_of(path, "", layout)[0] for path in paths):
                break
        elif METADATA in paths or _is_known(top := _lone(paths), ids) or not (top or in_sections(paths, ids)):
            break
        paths, n = [path.partition("/")[2] for path in paths], n + 1
        tops = {path.partition("/")[0] for path in paths}
        if (
            layout in OF_FILES or len(tops) > 1 or any(_is_known(one, ids) for one in tops)
        ):  # not a student's own folder
            found = n
    return found


def doubtful(paths: Sequence[str], ids: Container[str]) -> str:
    """Return the folder on top in which a class may lie as well as one student's work, "" where it is clear.

    Which of the two it is, what lies in it cannot tell: a student may have made it. ids: of the roster, in small
    letters.
    """
    if in_sections(paths, ids):
        return paths[0].partition("/")[0]
    top = _lone(paths)
    if not top or _is_known(top, ids) or (owner := owner_of(paths[0], "")[0]) is None or owner.attempt != "folder":
        return ""
    below = [path[len(top) + 1 :] for path in paths]
    loose = [path for path in below if "/" not in path]
    several = len({path.partition("/")[0] for path in below if "/" in path}) > 1
    several |= any(path.lower().endswith(HANDED_IN) for path in loose)
    several &= len(below) > 1 and not any(OF_THE_HOMEWORK.fullmatch(path) for path in loose)
    of_others = METADATA in below or all(_says_whose(path, ids) for path in below)
    of_others |= any(_is_known(re.split(r"[/.]", path)[0], ids) for path in below)
    return top if several or of_others or doubtful(below, ids) else ""


def in_sections(paths: Sequence[str], ids: Container[str]) -> bool:
    """Tell whether the folders on top are nobody's, and in each all files say whose they are."""
    tops = {path.partition("/")[0] for path in paths if "/" in path}
    if len(tops) < 2 or not all("/" in path for path in paths) or any(_says_whose(f"{top}/x", ids) for top in tops):
        return False
    return all(_says_whose(path.partition("/")[2], ids) for path in paths)


def whose_name(name: str, ids: Mapping[str, str]) -> str:
    """Return the student whom the name of a download or of a folder names, "" for nobody."""
    found = {ids[folded(word)] for word in (name, *words(name)) if folded(word) in ids}
    return found.pop() if len(found) == 1 else ""


def _lone(paths: Sequence[str]) -> str:
    """Return the folder on top in which everything lies, "" where there is more than one."""
    tops = {path.partition("/")[0] for path in paths}
    return tops.pop() if len(tops) == 1 and all("/" in path for path in paths) else ""


def _is_known(name: str, ids: Container[str]) -> bool:
    return any(folded(word) in ids for word in (name, *words(name)))


def _says_whose(path: str, ids: Container[str]) -> bool:
    """Tell whether a platform wrote a path's first part, or it has an id of the roster as a folder or file."""
    first = path.partition("/")[0]
    owner = owner_of(path, "")[0]
    return bool(owner and owner.name) or _is_known(first, ids) or _is_known(first.rpartition(".")[0], ids)


# ---------------------------------------------------------------------------------------------------------- Gradescope


def read_metadata(content: bytes) -> dict[str, list[Owner]]:
    """Return folder -> its submitters of Gradescope's submission_metadata.yml; ValueError if it is none.

    Read it in a process with limits: YAML's references make a short text endless.
    """
    import yaml  # late: an extra, needed for Gradescope only

    class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
        """Reads the objects of Ruby that Gradescope writes for times as the plain values inside them."""

    def plain(loader: yaml.SafeLoader, _: str, node: yaml.Node) -> object:
        if isinstance(node, yaml.MappingNode):
            return loader.construct_mapping(node, deep=True)
        return loader.construct_sequence(node) if isinstance(node, yaml.SequenceNode) else node.value

    Loader.add_multi_constructor("!", plain)
    try:
        table = yaml.load(content, Loader)
    except (yaml.YAMLError, TypeError, AttributeError, OverflowError):
        raise ValueError("no YAML") from None
    if not isinstance(table, dict):
        raise ValueError("no table")
    owners: dict[str, list[Owner]] = {}
    for key, row in table.items():
        folder, row = _plain(key), _without_colons(row)
        people = row.get("submitters")
        for person in people if isinstance(people, list) else []:
            person = _without_colons(person)
            ids = ids_of(person)
            its = Owner(
                ids[0] if ids else folder,
                _plain(person.get("name")),
                tuple(ids[1:]),
                submitted=_aware(row.get("created_at")),
                attempt=folder,
            )
            owners.setdefault(folder, []).append(its)
    return owners


def ids_of(person: Mapping[str, object]) -> list[str]:
    """Return what may be a person's id in a roster; all of it was written by Gradescope, none by the student."""
    ids = [id for key in ("sid", "email") if (id := _plain(person.get(key)))]
    return [*ids, *(id.partition("@")[0] for id in ids if "@" in id)]


def _plain(value: object) -> str:
    """Return a text or number as text, "" for all else and for what is too long to be an id or a name."""
    text = str(value).strip() if isinstance(value, str | int) else ""
    return text if len(text) <= LONGEST_NAME else ""


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
