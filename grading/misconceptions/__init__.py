"""Known wrong versions of each exercise, with the sentence that names the mistake: exercise -> list."""

from ..judge import Misconception

MISCONCEPTIONS: dict[str, list[Misconception]] = {}
