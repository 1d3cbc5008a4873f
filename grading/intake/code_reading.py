"""Students' code, coloured and made comparable in a child process: the supervisor neither parses nor lexes it.

Covers: code that is endless to a lexer's expressions or to Python's parser, and what ends either; it costs its own
colours and comparison. Does not cover: what the child says is text, to be escaped like the code itself.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from .child import Child, CouldNotBeRead, ReadingLimits
from .living_code import LONGEST as LONGEST_PARSED
from .living_code import living

LIMITS = ReadingLimits(cpu_seconds=2, wall_seconds=20.0)  # for 20,000 characters; an honest function takes 0.02
LONGEST = 20_000  # characters of a function that is compared
LONGEST_LINE = 1000  # characters: a lexer is quadratic in a line, and nobody reads such
KINDS = {"Keyword": "k", "Comment": "c", "String": "s", "Number": "m", "Name.Function": "f", "Name.Builtin": "b"}


class _CodeReader(Child):
    reads = __name__


_open: list[_CodeReader] = []
_endless: set[tuple[str, str]] = set()  # what was asked for and never answered is not asked for again


@contextmanager
def reading_codes() -> Iterator[_CodeReader]:
    """Keep one child for all codes that are read within; for one thread."""
    if _open:
        yield _open[0]
        return
    with _CodeReader(LIMITS) as reader:
        _open.append(reader)
        try:
            yield reader
        finally:
            _open.clear()


def coloured(source: str) -> list[tuple[str, str]]:
    """Return a code in pieces, each with its kind, one of KINDS' values or ""; in one piece where it takes too long."""
    try:
        return [(kind, text) for kind, text in _ask("pieces", source)]
    except CouldNotBeRead:
        return [("", source)]


def comparable(source: str) -> str | None:
    """Return what is compared of a code, one sign for each name; None where it is too long, or takes too long."""
    try:
        return _ask("signs", source)
    except CouldNotBeRead:
        return None


def _ask(what: str, source: str) -> Any:
    if (what, source) in _endless:
        raise CouldNotBeRead
    try:
        with reading_codes() as reader:
            return reader.ask({"what": what, "source": source})[what]
    except CouldNotBeRead:
        _endless.add((what, source))
        raise


# ------------------------------------------------------------------------------------------------------- in the child


def answer(request: dict) -> dict:
    """Read one code; it is not run."""
    what, source = request["what"], request["source"]
    return {what: _pieces(source) if what == "pieces" else _signs(source)}


def _pieces(source: str) -> list[tuple[str, str]]:
    if any(len(line) > LONGEST_LINE for line in source.split("\n")):
        return [("", source)]
    return [
        (next((style for part, style in KINDS.items() if part in str(kind)), ""), text) for kind, text in _lexed(source)
    ]


def _signs(source: str) -> str | None:
    """Return one sign for each name, function, class and piece of a text, no spaces or comments, all else as it is."""
    from pygments.token import Comment, Name, String, Text  # late: in the child only

    source = living(source) if len(source) <= LONGEST_PARSED else source
    if len(source) > LONGEST:  # of a part the rest could be a copy
        return None
    signs = ((Name.Function, "F"), (Name.Class, "O"), (Text, ""), (Comment, ""), (String, "S"))
    own = (Name, Name.Variable, Name.Attribute)  # others, such as Name.Builtin, say what is done
    found = []
    for kind, text in _lexed(source) if source.strip() else ():
        sign = "V" if kind in own else next((sign for whole, sign in signs if kind in whole), text)
        found.append('"' if sign == "S" and text in ("'", '"') else sign)
    return "".join(found)


def _lexed(source: str) -> Iterable[tuple[object, str]]:
    from pygments.lexers import PythonLexer  # late: in the child only

    return PythonLexer(stripnl=False, ensurenl=False).get_tokens(source)
