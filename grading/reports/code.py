"""Students' code on a page: coloured, escaped, bounded; and two of them side by side with what they share."""

import difflib
import re
from collections.abc import Container, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from ..intake.code_reading import KINDS, coloured

LONGEST = 20_000  # characters of a function that are shown
MOST_LINES = 400
NAME = re.compile(r"\b[A-Za-z_]\w*\b")


@dataclass(frozen=True)
class CodeLine:
    """One line of code on a page. shared: the other side has it too, but for names, spaces and comments."""

    number: int
    html: Markup
    shared: bool = False


def lines_of(source: str, shared: Container[int] = ()) -> list[CodeLine]:
    """Return code line by line, coloured. Runs nothing of it; what is too long is cut, and the cut is told.

    shared: the lines that are marked, from 0.
    """
    return [CodeLine(i + 1, html, i in shared) for i, html in enumerate(_coloured(source))]


def side_by_side(one: str, other: str) -> tuple[list[CodeLine], list[CodeLine]]:
    """Return both codes, the lines marked that stand in both in the same order."""
    mine, theirs = ([_bare(line) for line in _cut(source).split("\n")] for source in (one, other))
    blocks = difflib.SequenceMatcher(None, mine, theirs, autojunk=False).get_matching_blocks()
    pairs = [(a + i, b + i) for a, b, size in blocks for i in range(size) if mine[a + i]]
    return lines_of(one, {a for a, _ in pairs}), lines_of(other, {b for _, b in pairs})


def _cut(source: str) -> str:
    source = source.rstrip("\n")
    lines = source[:LONGEST].split("\n")[:MOST_LINES]
    return "\n".join(lines) + ("\n# …" if len("\n".join(lines)) < len(source) else "")


def _bare(line: str) -> str:
    """Return a line without comment and spaces, each name as one sign: what a copy with other names keeps."""
    return "".join(NAME.sub("n", line.partition("#")[0]).split())


def _coloured(source: str) -> Sequence[Markup]:
    """Return the lines of a code as HTML. Each sign is escaped here; the child only says of which kind it is."""
    lines: list[list[str]] = [[]]
    for kind, text in coloured(_cut(source)):
        style = kind if kind in KINDS.values() else ""
        for i, part in enumerate(text.split("\n")):
            if i:
                lines.append([])
            shown = "".join(c if c.isprintable() or c == "\t" else "\ufffd" for c in part)
            if shown:
                lines[-1].append(f'<span class="{style}">{escape(shown)}</span>' if style else str(escape(shown)))
    while len(lines) > 1 and not lines[-1]:
        lines.pop()
    return [Markup("".join(parts)) for parts in lines]
