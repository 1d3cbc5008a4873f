"""Mistakes of the user, told in one sentence."""

import difflib
from collections.abc import Iterable


class UserError(ValueError):
    """A mistake the user can mend: the command line prints its one sentence and exits with 2."""


def how_to_add(extra: str) -> str:
    """Return how an extra of the kit is installed: from the kit itself, for its name on an index is nobody's."""
    return (
        f"run `uv sync --extra {extra}` in a checkout of the kit, "
        f'or `pip install "WHEEL[{extra}]"` with the wheel that you were given'
    )


def nearest(word: str, words: Iterable[str]) -> str:
    """Return ' Did you mean "…"?' for the word most like `word`, or "" when none is close."""
    by_lower = {candidate.lower(): candidate for candidate in words}
    found = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=0.5)
    return f' Did you mean "{by_lower[found[0]]}"?' if found else ""
