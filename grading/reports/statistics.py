"""What a class's results say: how the scores lie, what was hard, which questions tell the strong from the weak."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..verdict.results import Answered, Graded, OutputPair, Result
from ..words import Text

FEWEST = 10  # students below which a correlation says nothing


@dataclass(frozen=True)
class ItemStatistics:
    """One exercise or question over the class.

    n: who is graded. right: the share of them with full points. points: their mean share of the points; both 0 where
    nobody is graded yet. discrimination: the correlation of this item's points with those of all the others (the
    corrected item-total correlation), None where all have the same or there are fewer than 10 students. chosen: how
    many chose each option of a question.
    """

    name: str
    n: int
    right: float
    points: float
    discrimination: float | None
    statuses: dict[str, int]
    chosen: dict[str, int]


@dataclass(frozen=True)
class Mistake:
    """A misconception, and how many made it."""

    exercise: str
    name: str
    sentence: Text
    n: int


def items(results: Sequence[Result], part: str) -> list[ItemStatistics]:
    """Return the "exercises" or the "questions" in the order of the course; discrimination is over both together.

    Who handed in nothing, or is excused, counts in none of the numbers; what is not graded yet counts as nothing found.
    """
    results = [result for result in results if result.handed_in]
    everything = [{part_name(row): row for row in result.parts} for result in results]
    of = {"exercises": Graded, "questions": Answered}[part]
    names = dict.fromkeys(part_name(row) for result in results for row in result.parts if isinstance(row, of))
    found = []
    for name in names:
        count = [rows for rows in everything if name in rows and not _excused(rows[name])]
        if not count:
            continue
        rows = [(its[name], sum(row.points for row in its.values())) for its in count if not _waits(its[name])]
        points = np.array([row.points for row, _ in rows])
        rest = np.array([total for _, total in rows]) - points
        out_of = np.array([row.out_of for row, _ in rows])
        found.append(
            ItemStatistics(
                name,
                len(rows),
                round(float(np.mean(points >= out_of)), 4) if rows else 0.0,
                round(float(points.sum() / max(out_of.sum(), 1e-12)), 4),
                correlation(points, rest),
                dict(sorted(Counter(getattr(its[name], "status", "") for its in count).items())),
                dict(sorted(Counter(option for row, _ in rows for option in getattr(row, "chosen", ())).items())),
            )
        )
    return found


def part_name(row: Graded | Answered) -> str:
    return row.exercise if isinstance(row, Graded) else row.question


def _excused(row: Graded | Answered) -> bool:
    return bool(row.decided.en) and row.out_of == 0


def _waits(row: Graded | Answered) -> bool:
    return isinstance(row, Graded) and row.status == "not_graded" and not row.decided.en


def correlation(one: np.ndarray, other: np.ndarray) -> float | None:
    """Return Pearson's correlation to three places, None where it is not defined or rests on too few."""
    if len(one) < FEWEST or np.ptp(one) < 1e-9 or np.ptp(other) < 1e-9:
        return None
    return round(float(np.corrcoef(one, other)[0, 1]), 3)


def mistakes(results: Sequence[Result]) -> list[Mistake]:
    """Return the misconceptions, the commonest first."""
    rows = [row for result in results for row in result.exercises]
    made = [((row.exercise, row.misconception), row.reason) for row in rows if row.misconception]
    sentences, counts = dict(made), Counter(key for key, _ in made)
    found = [Mistake(*key, sentences[key], n) for key, n in counts.items()]
    return sorted(found, key=lambda mistake: (-mistake.n, mistake.exercise, mistake.name))


@dataclass(frozen=True)
class WrongOutput:
    """An output that several had: how many, the known mistake if it is one, and one of the pictures."""

    exercise: str
    n: int
    misconception: str | None
    reason: Text
    picture: OutputPair


def wrong_outputs(results: Sequence[Result], most: int = 3) -> dict[str, list[WrongOutput]]:
    """Return exercise -> its commonest wrong outputs. The same: the same known mistake, or alike to two digits."""
    groups: dict[tuple[str, str], list[tuple[Graded, OutputPair]]] = {}
    for result in results:
        for row in result.exercises:
            if row.picture and row.status == "failed":
                same = row.exercise, row.misconception or _rough(row.picture.yours)
                groups.setdefault(same, []).append((row, row.picture))
    found: dict[str, list[WrongOutput]] = {}
    for (exercise, _), rows in sorted(groups.items(), key=lambda item: (-len(item[1]), item[0])):
        one, picture = rows[0]
        its = found.setdefault(exercise, [])
        if len(its) < most:
            its.append(WrongOutput(exercise, len(rows), one.misconception, one.reason, picture))
    return found


def _rough(values: list) -> str:
    """Return an output as a text that is the same for those who differ by less than a hundredth of the largest."""
    array = np.nan_to_num(np.array(values, dtype=np.float64), posinf=0.0, neginf=0.0)
    scale = np.abs(array).max(initial=0.0) or 1.0
    return f"{array.shape}{np.round(array / scale, 1).tolist()}"


def histogram(results: Sequence[Result], bins: int = 20) -> list[int]:
    """Return how many of those who handed in have each twentieth of the points; full points count to the last."""
    shares = [result.points / result.out_of for result in results if result.out_of > 0 and result.handed_in]
    return np.histogram(np.clip(shares, 0, 1), bins, (0, 1))[0].tolist()


def summary(results: Sequence[Result]) -> dict[str, float]:
    """Return mean, median, quartiles and spread of the scores of those who handed in, as shares of the points."""
    shares = np.array([one.points / one.out_of for one in results if one.out_of > 0 and one.handed_in])
    if not len(shares):
        return {}
    low, median, high = np.percentile(shares, [25, 50, 75])
    numbers = {"mean": shares.mean(), "deviation": shares.std(), "low": low, "median": median, "high": high}
    return {name: round(float(value), 4) for name, value in numbers.items()}
