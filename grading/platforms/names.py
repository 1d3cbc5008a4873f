"""Ids and names as signs: which are the same, which only look alike, and which can name a file."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable

RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))}
# Greek and Cyrillic letters, and digits, that nobody can tell from a Latin letter, small or large
TWINS = str.maketrans("αβεζηικμνορτυχавекмнорстухѕіјһԁԛԝ01|", "abezhikmnoptyxabekmhopctyxsijhdqwoll")


def composed(text: str) -> str:
    """Return a text in its composed form: macOS writes "é" as two signs, everybody else as one."""
    return unicodedata.normalize("NFC", text)


def folded(id: str) -> str:
    """Return what is the same for two ids that are one student's: without case, and in one normal form."""
    return composed(composed(id).casefold())


def look(id: str) -> str:
    """Return what is the same for ids that look alike: wide letters, letters of other scripts, 0 and O, 1 and l.

    Does not cover: scripts other than Greek and Cyrillic.
    """
    plain = unicodedata.normalize("NFKD", id).casefold()
    seen = "".join(c for c in plain if unicodedata.category(c) not in ("Mn", "Cf", "Zs"))
    return seen.translate(TWINS).replace("i", "l")


def twins(ids: Iterable[str]) -> list[list[str]]:
    """Return the ids that look alike and are several students', group by group."""
    groups = defaultdict(list)
    for id in ids:
        groups[look(id)].append(id)
    return [group for group in groups.values() if len(group) > 1]


def words(text: str) -> tuple[str, ...]:
    """Return what may be an id within a name, such as the number in "Wang,Ming-2018147546"."""
    return tuple(
        word for word in re.findall(r"[^\W_]+(?:[.@+][^\W_]+)*", text) if len(word) > 3 and any(map(str.isdigit, word))
    )


def safe(id: str) -> str:
    """Return an id as the name of a file on any disk: letters, digits and . @ + - _, up to 64."""
    clean = re.sub(r"[^\w.@+-]+", "-", id.encode("utf-8", "replace").decode()).strip(".-@+")[:64].rstrip(".")
    return f"_{clean}" if not clean or clean.casefold().partition(".")[0] in RESERVED else clean


def unique(id: str, taken: Iterable[str]) -> str:
    """Return the id, or with a number behind it, such that no other is its twin on a disk that ignores case."""
    others = {folded(one) for one in taken}
    n, candidate = 1, id
    while folded(candidate) in others:
        n += 1
        candidate = f"{id}-{n}"
    return candidate
