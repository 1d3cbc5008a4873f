"""What a command tells besides its result, on stderr: pages repeat it."""

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from ..errors import UserError


def print_notes(notes: Iterable[str]) -> None:
    """Print each sentence as a note."""
    for note in notes:
        print(f"note: {note}", file=sys.stderr)


@contextmanager
def told_in_flags(*keywords: str) -> Iterator[None]:
    """Tell a mistake in the library's keywords as one of the command line: `word` is --word."""
    try:
        yield
    except UserError as error:
        said = str(error)
        for keyword in keywords:
            flag = "--" + keyword.replace("_", "-")
            said = said.replace(f"`{keyword}`", flag).replace(f"{keyword}=1", f"{flag} 1")
        raise UserError(said) from error
