"""Suspicious pairs: whose functions share code that hardly anybody else has.

Covers: copies with other names, comments, line breaks and spaces, whole or in part; near-copies of our own solution.
Does not cover: statements in another order or in other words; copies among more than `FEW` students; proof. Two people
who think alike write five lines alike: a pair is a reason to read both, in the light of how many exercises it has.

Winnowing by copydetect (Schleimer, Wilkerson, Aiken 2003), with every fingerprint kept: the functions are short, and
which ones winnowing keeps depends on Python's hashes, which are others in every process.
"""

import inspect
import io
import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations

from ..words import Text

K = 16  # signs of the filtered code, where each name is one sign: about one short statement
FEW = 6  # students who may share a fingerprint that still counts as unusual
LEAST = 0.35  # share of the smaller function that is unusual and common to both
SHORTEST = 24  # fingerprints that a function must have to be compared
NEAR = 0.9  # of a student's function that is ours as well
LONGEST = 20_000  # characters of a function that are read
REFERENCE = "(our solution)"
MASTER_CELL = re.compile(r'^# %%.*\bexercise="(\w+)".*\n((?:(?!# %%).*\n?)*)', re.MULTILINE)


@dataclass(frozen=True)
class Pair:
    """Two students, or one and REFERENCE, and the share of the smaller function that both have and few others do."""

    a: str
    b: str
    exercise: str
    similarity: float
    note: Text


def suspicious_pairs(
    sources: Mapping[str, Mapping[str, str]],
    template: Mapping[str, str] | None = None,
    reference: Mapping[str, Sequence[str]] | None = None,
) -> list[Pair]:
    """Compare students by exercise and return the pairs, those with the most exercises in common first.

    sources: student -> exercise -> code, which is read and not run. template: exercise -> the released stub, which
    everybody has. reference: exercise -> our own solutions.
    """
    template, reference = template or {}, reference or {}
    pairs = []
    for exercise in sorted({name for mine in sources.values() for name in mine}):
        given = fingerprints(template.get(exercise, ""))
        prints = {
            student: fingerprints(mine[exercise]) - given
            for student, mine in sorted(sources.items())
            if exercise in mine
        }
        ours = [fingerprints(text) - given for text in reference.get(exercise, ())]
        pairs += _copies_of_ours(exercise, prints, ours)
        pairs += _copies_of_each_other(exercise, prints, frozenset().union(*ours))
    together = Counter((pair.a, pair.b) for pair in pairs)
    return sorted(pairs, key=lambda p: (-together[p.a, p.b], -p.similarity, p.a, p.b, p.exercise))


def released() -> tuple[dict[str, str], dict[str, list[str]]]:
    """Return the stub of every exercise, and our solutions: the library's and that of the notebook."""
    from ..homework.exercises import EXERCISES
    from ..homework.release.cells import MASTERS, stubbed

    stubs, ours = {}, {name: [inspect.getsource(row.reference)] for name, row in EXERCISES.items()}
    for master in sorted(MASTERS.glob("[0-9]_*.py")):
        for name, source in MASTER_CELL.findall(master.read_text(encoding="utf-8")):
            stubs[name] = stubbed(source.rstrip(), name, list(EXERCISES).index(name) + 1)
            ours[name].append(source)
    return stubs, ours


@lru_cache(maxsize=4096)
def fingerprints(source: str) -> frozenset[int]:
    """Return the hashes of every K signs of a code, where each name is one sign and comments and spaces are none.

    The hashes are those of this process; what is common to two codes is the same in every one.
    """
    from copydetect import CodeFingerprint

    if not source.strip():
        return frozenset()
    found = CodeFingerprint("", k=K, win_size=1, language="python", fp=io.StringIO(source[:LONGEST]))
    return frozenset(map(int, found.hashes))


def _copies_of_each_other(exercise: str, prints: Mapping[str, frozenset], ours: frozenset) -> Iterable[Pair]:
    owners: dict[int, list[str]] = defaultdict(list)
    for student, mine in prints.items():
        for mark in mine - ours:
            owners[mark].append(student)
    shared: Counter = Counter()
    others: dict[tuple[str, str], int] = defaultdict(int)
    for who in owners.values():
        if 2 <= len(who) <= FEW:
            for pair in combinations(who, 2):
                shared[pair] += 1
                others[pair] = max(others[pair], len(who) - 2)
    for (a, b), n in shared.items():
        smaller = min(len(prints[a]), len(prints[b]))
        if smaller >= SHORTEST and n / smaller >= LEAST:
            yield Pair(a, b, exercise, round(n / smaller, 3), _note(others[a, b]))


def _copies_of_ours(exercise: str, prints: Mapping[str, frozenset], ours: Sequence[frozenset]) -> Iterable[Pair]:
    alike = {
        student: max((len(mine & our) for our in ours), default=0) / len(mine)
        for student, mine in prints.items()
        if len(mine) >= SHORTEST
    }
    found = {student: share for student, share in alike.items() if share >= NEAR}
    if len(found) <= max(1, math.isqrt(len(alike))):  # where many come to our solution, it is the natural one
        for student, share in found.items():
            yield Pair(student, REFERENCE, exercise, round(share, 3), OURS)


OURS = Text("nearly our own solution, to which few come", "幾乎與我們的解答相同，而很少人寫成這樣")


def _note(others: int) -> Text:
    if not others:
        return Text("code that nobody else has", "沒有其他人有的程式碼")
    return Text(f"code that at most {others} others have", f"最多只有另外 {others} 人有的程式碼")
