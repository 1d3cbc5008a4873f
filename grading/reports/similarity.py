"""Suspicious clusters: students whose functions share code that hardly anybody else has, or that are the same.

Covers: copies with other names, comments, line breaks, spaces and statements without effect, whole or in part; nearly
the same function by many; near-copies of our own solution, however many.
Does not cover: statements in another order or in other words; parts that more than `FEW` students share; proof. Two
people who think alike write five lines alike: a cluster is a reason to read, in the light of how many exercises it has.

Fingerprints as of winnowing (Schleimer, Wilkerson, Aiken 2003), every one of which is kept: the functions are short.
"""

import inspect
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations

from ..homework.exercises import EXERCISES
from ..homework.release.cells import MASTERS, stubbed
from ..intake.code_reading import comparable, reading_codes
from ..words import Text

K = 16  # signs of the filtered code, where each name is one sign: about one short statement
FEW = 6  # students who may share a fingerprint that still counts as unusual
LEAST = 0.35  # share of the smaller function that is unusual and common to both
SHORTEST = 24  # fingerprints that a function must have to be compared
NEAR = 0.9  # of the larger function that the other has as well; of our function, or of the student's, that both have
REFERENCE = "(our solution)"
MASTER_CELL = re.compile(r'^# %%.*\bexercise="(\w+)".*\n((?:(?!# %%).*\n?)*)', re.MULTILINE)
OURS = Text("nearly our own solution", "幾乎與我們的解答相同")
ENDLESS = Text(
    "too long to compare, or it takes too long: a person must read it", "太長或耗時過久而無法比較：請人工閱讀"
)


@dataclass(frozen=True)
class Cluster:
    """Students whose code of an exercise is alike, the last perhaps REFERENCE; or one whose code cannot be compared.

    similarity: the least share that holds it together, of the smaller function for unusual code, else of the larger.
    many: more than FEW wrote nearly the same, which may be the natural way to write it.
    """

    members: tuple[str, ...]
    exercise: str
    similarity: float
    note: Text
    many: bool = False


@reading_codes()
def suspicious_clusters(
    sources: Mapping[str, Mapping[str, str]],
    template: Mapping[str, str] | None = None,
    reference: Mapping[str, Sequence[str]] | None = None,
) -> list[Cluster]:
    """Compare students by exercise and return the clusters, first those that come together in the most exercises.

    sources: student -> exercise -> code, which is read in a child process and not run. template: exercise -> the
    released stub, which everybody has. reference: exercise -> our own solutions.
    """
    template, reference = template or {}, reference or {}
    found: list[Cluster] = []
    for exercise in sorted({name for mine in sources.values() for name in mine}):
        given = fingerprints(template.get(exercise, "")) or frozenset()
        prints, endless = {}, []
        for student, mine in sorted(sources.items()):
            its = fingerprints(mine.get(exercise, ""))
            prints[student] = (its or frozenset()) - given
            endless += [student] if its is None else []
        prints = {student: mine for student, mine in prints.items() if len(mine) >= SHORTEST}
        ours = [(fingerprints(text) or frozenset()) - given for text in reference.get(exercise, ())]
        here = [*_of_ours(exercise, prints, ours), *_unusual(exercise, prints, frozenset().union(*ours))]
        listed = [set(cluster.members) for cluster in here]
        here += [one for one in _many(exercise, prints) if not any(set(one.members) <= its for its in listed)]
        found += here
        found += [Cluster((student,), exercise, 0.0, ENDLESS) for student in endless]
    together = _together(found)
    return sorted(found, key=lambda c: (c.many, -together[c], -c.similarity, len(c.members), c.members, c.exercise))


def released() -> tuple[dict[str, str], dict[str, list[str]]]:
    """Return the stub of every exercise, and our solutions: the library's and that of the notebook."""
    stubs, ours = {}, {name: [inspect.getsource(row.reference)] for name, row in EXERCISES.items()}
    for master in sorted(MASTERS.glob("[0-9]_*.py")):
        for name, source in MASTER_CELL.findall(master.read_text(encoding="utf-8")):
            stubs[name] = stubbed(source.rstrip(), name, list(EXERCISES).index(name) + 1)
            ours[name].append(source)
    return stubs, ours


@lru_cache(maxsize=4096)
def fingerprints(source: str) -> frozenset[int] | None:
    """Return the hashes of every K signs of a code that does something, where each name is one sign and spaces none.

    None where it is too long, or takes too long.

    The hashes are those of this process; what is common to two codes is the same in every one.
    """
    signs = comparable(source)
    return None if signs is None else frozenset(hash(signs[i : i + K]) for i in range(len(signs) - K + 1))


def _unusual(exercise: str, prints: Mapping[str, frozenset], ours: frozenset) -> Iterable[Cluster]:
    """Yield who share code that at most FEW have and that is not ours."""
    owners: dict[int, list[str]] = defaultdict(list)
    for student, mine in prints.items():
        for mark in mine - ours:
            owners[mark].append(student)
    shared: Counter = Counter()
    others: dict[tuple[str, str], set[str]] = defaultdict(set)
    for who in owners.values():
        if 2 <= len(who) <= FEW:
            for pair in combinations(who, 2):
                shared[pair] += 1
                others[pair].update(who)
    shares = {(a, b): n / min(len(prints[a]), len(prints[b])) for (a, b), n in shared.items()}
    links = {pair: share for pair, share in shares.items() if share >= LEAST}
    for members in _connected(links):
        its = {pair: share for pair, share in links.items() if pair[0] in members}
        outside = set().union(*(others[pair] for pair in its)) - members
        yield Cluster(tuple(sorted(members)), exercise, round(min(its.values()), 3), _note(len(outside)))


def _many(exercise: str, prints: Mapping[str, frozenset]) -> Iterable[Cluster]:
    """Yield the more than FEW who wrote nearly the same function."""
    variants: dict[frozenset, list[str]] = defaultdict(list)
    for student, mine in prints.items():
        variants[mine].append(student)
    by_size = sorted(variants, key=len)
    links: dict[tuple[str, str], float] = {}
    for i, smaller in enumerate(by_size):
        first, *others = variants[smaller]
        links |= {(first, other): 1.0 for other in others}
        for larger in by_size[i + 1 :]:
            if len(smaller) < NEAR * len(larger):
                break
            if (share := len(smaller & larger) / len(larger)) >= NEAR:
                links[first, variants[larger][0]] = share
    for members in _connected(links):
        if len(members) > FEW:
            share = min(share for pair, share in links.items() if pair[0] in members)
            how = ("the same", "相同") if share == 1 else ("nearly the same", "幾乎相同")
            n, of = len(members), len(prints)
            note = Text(f"{how[0]}, by {n} of {of} who wrote it", f"{of} 人中有 {n} 人{how[1]}")
            yield Cluster(tuple(sorted(members)), exercise, round(share, 3), note, many=True)


def _of_ours(exercise: str, prints: Mapping[str, frozenset], ours: Sequence[frozenset]) -> Iterable[Cluster]:
    ours = [our for our in ours if len(our) >= SHORTEST]
    alike = {
        student: max((len(mine & our) / min(len(mine), len(our)) for our in ours), default=0)
        for student, mine in prints.items()
    }
    found = {student: share for student, share in alike.items() if share >= NEAR}
    if found:
        n, of = len(found), len(prints)
        note = Text(f"{OURS.en}: {n} of {of} who wrote it", f"{OURS.zh}：{of} 人中有 {n} 人")
        share = round(min(found.values()), 3)
        yield Cluster((*sorted(found), REFERENCE), exercise, share, note, many=n > FEW)


def _connected(links: Iterable[tuple[str, str]]) -> Iterator[set[str]]:
    """Yield the sets of those who hang together by links."""
    neighbours: dict[str, set[str]] = defaultdict(set)
    for a, b in links:
        neighbours[a].add(b)
        neighbours[b].add(a)
    left = dict.fromkeys(neighbours)
    while left:
        members, todo = set(), [next(iter(left))]
        while todo:
            if (one := todo.pop()) not in members:
                members.add(one)
                todo += neighbours[one]
        yield members
        for one in members:
            del left[one]


def _together(clusters: Sequence[Cluster]) -> dict[Cluster, int]:
    """Return in how many exercises at least half of a cluster, two at the least, come together."""
    of: dict[str, list[int]] = defaultdict(list)
    for i, cluster in enumerate(clusters):
        for member in cluster.members:
            of[member].append(i)
    found = {}
    for cluster in clusters:
        common = Counter(i for member in cluster.members for i in of[member])
        alike = {clusters[i].exercise for i, n in common.items() if n >= max(2, len(cluster.members) / 2)}
        found[cluster] = len(alike)
    return found


def _note(others: int) -> Text:
    if not others:
        return Text("code that nobody else has", "沒有其他人有的程式碼")
    return Text(f"code of which {others} others have a part", f"另有 {others} 人有其中一部分的程式碼")
