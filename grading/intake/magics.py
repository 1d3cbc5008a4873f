"""A cell as plain Python: what IPython adds to the language is rewritten by IPython's own transformer and taken out.

Nothing is run: no magic, no command of the shell.
"""

import ast
import re
import tokenize
import warnings
from collections.abc import Sequence

from hw_xai.errors import UserError

TIMING = {"time", "timeit", "capture", "prun"}  # their cells and lines are Python that the notebook runs
CELL_MAGIC = re.compile(r"\s*%%(?P<name>\w*)[^\n]*(?:\n|$)")
MAGIC = re.compile(r"^[ \t]*[%!?,;/]|=[ \t]*[%!]|\?[ \t]*$", re.MULTILINE)
HELP = re.compile(r"^(?![ \t]*#)[^\n]*\?[ \t]*$", re.MULTILINE)  # lines that ask IPython for help
MOST_WORK = 40_000  # of a cell, about a second
LONGEST_LINE = 40  # characters of a line, on the average
LONGEST_IDENTIFIER = 300  # characters beyond ASCII: Python normalizes them in quadratic time
LONG = re.compile(r"(?:[^\x00-\x7f]|\w){%d}" % LONGEST_IDENTIFIER)  # noqa: UP031, braces of its own
TEXTS = re.compile(
    r"""#[^\n]*|\"""(?:[^\\]|\\.)*?\"""|'''(?:[^\\]|\\.)*?'''|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'""", re.DOTALL
)


def python_of(cell: str) -> str:
    """Return the Python of a cell, "" for a cell in another language; SyntaxError where it is none."""
    start = 0
    while magic := CELL_MAGIC.match(cell, start):
        if magic["name"] not in TIMING:
            return ""
        start = magic.end()
    cell = cell[start:]
    if parsed(cell) is None:
        cell = transformed(cell)
    if "get_ipython" not in cell:
        return cell
    try:
        found = Replacements()
        found.visit(parse(cell))
    except (RecursionError, MemoryError):
        raise SyntaxError("too deeply nested") from None
    cell = spliced(cell, found.rows)
    parse(cell)
    return cell


def parse(source: str) -> ast.Module:
    """Parse Python, or raise SyntaxError whatever the reason."""
    if not source.isascii() and LONG.search(source) and LONG.search(TEXTS.sub(" ", source)):
        raise SyntaxError(f"a name of more than {LONGEST_IDENTIFIER} characters")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "\d" in a student's string is no matter of ours
            return ast.parse(source)
    except (RecursionError, MemoryError):
        raise SyntaxError("too deeply nested") from None
    except ValueError as error:  # null bytes
        raise SyntaxError(str(error)) from None


def parsed(source: str) -> ast.Module | None:
    try:
        return parse(source)
    except SyntaxError:
        return None


def work_of(cell: str) -> int:
    """Return what the magics of a cell cost, in lines: for each the transformer goes over the whole cell, and a line
    that asks for help is searched from every letter of each name."""
    lines = max(cell.count("\n") + 1, len(cell) // LONGEST_LINE)
    names = (name.end() - name.start() for line in HELP.finditer(cell) for name in re.finditer(r"[\w*]+", line[0]))
    return len(MAGIC.findall(cell)) * lines + sum(n * n for n in names) // 1000


def transformed(cell: str) -> str:
    """Return a cell with its magics as calls of get_ipython()."""
    try:
        # late: an extra, needed where a cell has magics only
        from IPython.core.inputtransformer2 import TransformerManager
    except ModuleNotFoundError:
        raise UserError("notebooks with magics need IPython: pip install ipython") from None
    if work_of(cell) > MOST_WORK:
        raise SyntaxError("too many magics in one cell")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it has its own about control characters
            return TransformerManager().transform_cell(cell)
    except (SyntaxError, RuntimeError, ValueError, IndexError, AttributeError, tokenize.TokenError):
        return cell  # whoever parses it says what is wrong


class Replacements(ast.NodeVisitor):
    """Finds what takes the place of calls of get_ipython(): of a statement `pass`, of a value None; what %time timed
    stays. Only these places of the text are changed: to write the whole cell anew fails where Python's own writer does.
    """

    def __init__(self):
        self.rows: list[tuple[ast.stmt | ast.expr, str]] = []

    def visit_Expr(self, node: ast.Expr) -> None:
        if not asks_ipython(node.value):
            return self.generic_visit(node)
        tree = parsed(timed := timed_by(node.value))
        self.rows.append((node, timed if tree and tree.body else "pass"))

    def visit_Call(self, node: ast.Call) -> None:
        if not asks_ipython(node):
            return self.generic_visit(node)
        match parsed(timed := timed_by(node, any_magic=True)):
            case ast.Module(body=[ast.Expr()]):
                self.rows.append((node, f"({timed})"))
            case _:
                self.rows.append((node, "None"))

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        if any(isinstance(part, ast.Call) and asks_ipython(part) for part in ast.walk(node)):
            self.rows.append((node, '""'))  # within it Python 3.11 does not know the places


def timed_by(node: ast.AST, any_magic: bool = False) -> str:
    """Return the Python on the line of a magic such as %time, "" for other magics and other calls."""
    match node:
        case ast.Call(
            func=ast.Attribute(attr="run_line_magic"),
            args=[ast.Constant(value=str(magic)), ast.Constant(value=str(line))],
        ) if "\n" not in line and (any_magic or magic in TIMING):
            return line.strip()
    return ""


def spliced(text: str, rows: Sequence[tuple[ast.stmt | ast.expr, str]]) -> str:
    """Return a text with what stands at each node replaced; ast counts columns in bytes."""
    starts = [0]
    data = text.encode()
    for line in data.split(b"\n"):
        starts.append(starts[-1] + len(line) + 1)
    pieces, end = [], 0
    for node, new in sorted(rows, key=lambda row: (row[0].lineno, row[0].col_offset)):
        place = starts[node.lineno - 1] + node.col_offset
        pieces += [data[end:place], new.encode()]
        last, column = end_of(node)
        end = starts[last - 1] + column
    return b"".join([*pieces, data[end:]]).decode()


def end_of(node: ast.stmt | ast.expr) -> tuple[int, int]:
    """Return the line in which a node that was parsed ends, and the column behind it, in bytes."""
    if node.end_lineno is None or node.end_col_offset is None:
        raise ValueError("a node that was made and not parsed stands nowhere")
    return node.end_lineno, node.end_col_offset


def asks_ipython(node: ast.AST) -> bool:
    """Whether an expression is get_ipython(), or something got from it."""
    while isinstance(node, ast.Attribute | ast.Call | ast.Subscript):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "get_ipython":
            return True
        node = node.func if isinstance(node, ast.Call) else node.value
    return False
