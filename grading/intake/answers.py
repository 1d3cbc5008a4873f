"""The answers to the questions as literals: from `answers = {…}`, `answers["Q1"] = …` and `answers.update(…)`."""

import ast
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence

from ..words import Text
from .magics import end_of, parse, python_of

PAIR = re.compile(r"""(["'])(?P<name>Q\d{1,3})\1\s*:\s*(["'])(?P<letters>[^"'\n]{0,40})\3""")
NAME = re.compile(r"(?:Q|Question)[\s._-]*0*(\d{1,3})\.?", re.IGNORECASE | re.ASCII)
LONGEST = 1000  # characters of an answer as it is written
MOST = 1000  # answers in one cell


def answers_of(cell: str) -> tuple[dict[str, object], list[Text]]:
    """Return what a code cell answers, question -> any literal, and remarks on what could not be read. Runs nothing."""
    if not re.search(r"^[ \t]*answers\b", cell, re.MULTILINE):
        return {}, []
    try:
        source = python_of(cell)
        tree = parse(source)
    except SyntaxError as error:
        found = {match["name"]: match["letters"] for match in PAIR.finditer(cell)}
        line = f" ({error.lineno})" if error.lineno else ""
        return found, [
            Text(
                f"the cell of the answers has a mistake in its line{line}; {len(found)} answers could be read from it",
                f"答案的儲存格在第{line} 行有語法錯誤；仍讀出 {len(found)} 個答案",
            )
        ]
    answers: dict[str, object] = {}
    remarks: list[Text] = []
    lines = source.split("\n")
    for node in _statements(tree.body):
        for key, value in pairs(node):
            if len(answers) + len(remarks) >= MOST:
                break
            read = key_and_value(key, value, lines)
            if read is None:
                remarks.append(unread(node, key))
            else:
                answers[read[0]] = read[1]
    return answers, list(dict.fromkeys(remarks))


def merge(answers: dict[str, object], later: Mapping[str, object]) -> None:
    """Add the answers of a later place, which count unless they are empty; in place, for there may be thousands."""
    answers |= {name: value for name, value in later.items() if value not in ("", None) or name not in answers}


def pairs(node: ast.stmt) -> Iterator[tuple[ast.expr | None, ast.expr | None]]:
    """Yield the keys and values that a statement puts into `answers`; (None, None) for what is no dict to be read."""
    match node:
        case ast.Assign(targets=targets, value=value) if any(_is_answers(one) for one in targets):
            yield from entries(value)
        case ast.AnnAssign(target=ast.Name(id="answers"), value=ast.expr() as value):
            yield from entries(value)
        case ast.AugAssign(target=ast.Name(id="answers"), op=ast.BitOr(), value=value):
            yield from entries(value)
        case ast.Assign(targets=[ast.Subscript(value=ast.Name(id="answers"), slice=key)], value=value):
            yield key, value
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(id="answers"), attr="update")) as call):
            for argument in call.args:
                yield from entries(argument)
            yield from ((ast.Constant(word.arg), word.value) for word in call.keywords)


def _is_answers(target: ast.expr) -> bool:
    return isinstance(target, ast.Name) and target.id == "answers"


def _statements(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield statements in their order, also those within `if`, `with` and `try`."""
    waiting = list(reversed(body))
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If | ast.With | ast.Try):
            inner = [one for part in ("body", "orelse", "finalbody") for one in getattr(node, part, ())]
            waiting += reversed(inner)
        else:
            yield node


def entries(value: ast.expr) -> Iterator[tuple[ast.expr | None, ast.expr | None]]:
    match value:
        case ast.Dict(keys=keys, values=values):
            yield from zip(keys, values, strict=True)
        case ast.Call(func=ast.Name(id="dict"), args=[], keywords=words):
            yield from ((ast.Constant(word.arg), word.value) for word in words)
        case _:
            yield None, None


def key_and_value(key: ast.expr | None, value: ast.expr | None, lines: Sequence[str]) -> tuple[str, object] | None:
    """Return an entry, None unless its key is a short string and its value a literal that is not too long."""
    if not isinstance(key, ast.Constant) or not isinstance(key.value, str) or len(key.value) > 40 or value is None:
        return None
    end, column = end_of(value)
    length = column - value.col_offset  # not ast.get_source_segment: it reads all the source every time
    if end > value.lineno:
        length = sum(map(len, lines[value.lineno - 1 : min(end, value.lineno + 50)]))
    long = length > LONGEST or end - value.lineno >= 50
    parts = [part.value for part in ast.walk(value) if isinstance(part, ast.Constant)]
    if long or any(isinstance(part, str) and not part.isascii() and not sound(part) for part in [*parts, key.value]):
        return None
    try:
        return question_of(key.value), ast.literal_eval(value)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return None


def question_of(key: str) -> str:
    """Return the name of the question that a key means: "q1", "Q 1", "Ｑ01" and "Question 1" are "Q1"."""
    found = NAME.fullmatch(unicodedata.normalize("NFKC", key).strip())
    return f"Q{found[1]}" if found else key.strip()


def sound(text: str) -> bool:
    """Whether a text can be written to a file: half of a surrogate pair cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def unread(node: ast.stmt, key: ast.expr | None) -> Text:
    name = key.value if isinstance(key, ast.Constant) and isinstance(key.value, str) else ""
    if re.fullmatch(r"Q\d{1,3}", name):
        return Text(
            f'{name}: the answer must be letters in quotes, such as "AC"', f'{name}：答案必須是加引號的字母，例如 "AC"'
        )
    return Text(
        f'line {node.lineno} of the cell of the answers cannot be read: it must be like answers = {{"Q1": "A"}}',
        f'答案儲存格的第 {node.lineno} 行無法讀取：應寫成 answers = {{"Q1": "A"}}',
    )
