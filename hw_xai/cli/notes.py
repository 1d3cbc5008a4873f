"""What a command tells besides its result, on stderr: pages repeat it."""

import sys
from collections.abc import Iterable


def print_notes(notes: Iterable[str]) -> None:
    """Print each sentence as a note."""
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
