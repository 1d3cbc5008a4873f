"""A cell as plain Python: what IPython adds to the language is rewritten by IPython's own transformer and taken out.

Nothing is run: no magic, no command of the shell.
"""

import ast
import re
import tokenize
import warnings

from hw_xai.errors import UserError

TIMING = {"time", "timeit", "capture", "prun"}  # their cells and lines are Python that the notebook runs
CELL_MAGIC = re.compile(r"\s*%%(?P<name>\w*)[^\n]*(?:\n|$)")
MAGIC = re.compile(r"^[ \t]*[%!?,;/]|=[ \t]*[%!]|\?[ \t]*$", re.MULTILINE)
MOST_WORK = 40_000  # of a cell, about a second


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
        return ast.unparse(ast.fix_missing_locations(WithoutIPython().visit(parse(cell))))
    except (RecursionError, MemoryError):
        raise SyntaxError("too deeply nested") from None


def parse(source: str) -> ast.Module:
    """Parse Python, or raise SyntaxError whatever the reason."""
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
    """Return lines × magics: the transformer goes over the whole cell once for each magic."""
    return len(MAGIC.findall(cell)) * (cell.count("\n") + 1)


def transformed(cell: str) -> str:
    """Return a cell with its magics as calls of get_ipython()."""
    try:
        from IPython.core.inputtransformer2 import TransformerManager
    except ModuleNotFoundError:
        raise UserError('notebooks with magics need IPython: pip install "hw-xai[grading]"') from None
    if work_of(cell) > MOST_WORK:
        raise SyntaxError("too many magics in one cell")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it has its own about control characters
            return TransformerManager().transform_cell(cell)
    except (SyntaxError, RuntimeError, ValueError, IndexError, AttributeError, tokenize.TokenError):
        return cell  # whoever parses it says what is wrong


class WithoutIPython(ast.NodeTransformer):
    """Takes calls of get_ipython() out: a statement becomes `pass`, a value None, and what %time timed stays."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST | list[ast.stmt]:
        if not asks_ipython(node.value):
            return self.generic_visit(node)
        match node.value:
            case ast.Call(
                func=ast.Attribute(attr="run_line_magic"),
                args=[ast.Constant(value=str(magic)), ast.Constant(value=str(line))],
            ) if magic in TIMING and (inner := parsed(line)):
                return inner.body or ast.Pass()
        return ast.Pass()

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if not asks_ipython(node):
            return self.generic_visit(node)
        match node:
            case ast.Call(func=ast.Attribute(attr="run_line_magic"), args=[_, ast.Constant(value=str(line))]):
                match parsed(line):
                    case ast.Module(body=[ast.Expr(value=value)]):
                        return value
        return ast.Constant(None)


def asks_ipython(node: ast.AST) -> bool:
    """Whether an expression is get_ipython(), or something got from it."""
    while isinstance(node, ast.Attribute | ast.Call | ast.Subscript):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "get_ipython":
            return True
        node = node.func if isinstance(node, ast.Call) else node.value
    return False
