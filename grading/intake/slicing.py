"""What a function of a notebook depends on: the definitions, statement by statement, and nothing that only shows.

Uses and definitions of top-level names decide. The state of the notebook is the one that `check` saw below the
function's cell in a run from top to bottom; what is not there by then is taken from further down, for cells get moved.

Covers: closures, defaults, decorators, classes, `global`, walrus, loops and branches that bind, star imports, the usual
ways to change a container. Does not cover: a name that only exec, setattr or globals() binds, and an object that a
function changes by a call for its effect, as random.shuffle(order) does.
"""

import ast
import builtins
import re
import symtable
import warnings
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from ..isolation.inside.libraries import EXPLAINERS
from .magics import parse

Kind = Literal["definition", "stub", "value", "import", "block", "star", "future", "other"]
CHANGES = {
    *("append", "extend", "insert", "add", "update", "setdefault", "remove", "discard", "pop", "popitem", "clear"),
    *("sort", "reverse", "appendleft", "extendleft", "popleft", "eval", "load_state_dict", "requires_grad_", "fill_"),
    *("zero_", "copy_", "mul_", "add_", "sub_", "div_", "clamp_"),
}  # methods that change what they are called on
STAR_OF_EXPLAINERS = re.compile(rf"from (?:{'|'.join(EXPLAINERS)})\b")
MOST_STATEMENTS = 20_000
MOST_STEPS = 200_000  # of the search for dependencies
MOST_WRITES = 100_000  # names that calls of functions with `global` bind, in all
LONGEST = 200_000  # characters of a function with all that it depends on


@dataclass(frozen=True)
class Statement:
    """A top-level statement and its names."""

    text: str
    kind: Kind
    binds: frozenset[str]
    changes: frozenset[str]  # names of objects that it changes in place
    now: frozenset[str]  # names that it reads when it runs
    later: frozenset[str]  # names that are read when what it defines is called
    calls: frozenset[str]  # names that it calls when it runs
    writes: frozenset[str]  # names that it declares global and binds once it is called
    certain: bool  # whether it binds in any case: then what stood there before is gone
    guard: bool  # an `if __name__ == "__main__"`: a script's own use of what stands above it
    cell: int = 0


def statements_of(source: str) -> list[Statement]:
    """Return the top-level statements of plain Python; SyntaxError for anything else, also for too much of it."""
    tree = parse(source)
    try:
        if len(tree.body) > MOST_STATEMENTS:
            raise SyntaxError(f"more than {MOST_STATEMENTS} statements")
        lines = [line.encode() for line in source.split("\n")]
        texts = ((node, text) for whole in tree.body for node, text in _split(whole, lines))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return [_statement(node, text) for node, text in texts]
    except (RecursionError, MemoryError):
        raise SyntaxError("too deeply nested") from None


def slice_of(name: str, index: int, statements: Sequence[Statement]) -> tuple[str, list[int]]:
    """Return the statements that the definition statements[index] of `name` depends on, and itself, as one text; and
    the cells that they come from.

    They are in the notebook's order, except that one needed to run another comes before it. SyntaxError where there is
    too much to follow.
    """
    statements = _with_writes(statements)
    binders: dict[str, list[int]] = defaultdict(list)
    for i, statement in enumerate(statements):
        for bound in statement.binds | statement.changes:
            binders[bound].append(i)
    end = next((i for i in range(index, len(statements)) if statements[i].cell != statements[index].cell), None)
    end = len(statements) if end is None else end

    def wraps(i: int) -> bool:
        """Whether a later statement keeps `name` a function: f = jit(f) does, f = f(x) does not."""
        return i <= index or (name in statements[i].now and name not in statements[i].calls)

    taken: set[int] = {index}
    before: dict[int, set[int]] = defaultdict(set)
    todo: list[tuple[str, int | None]] = [(name, None)]
    seen: set[tuple[str, int | None]] = set()
    steps, unresolved = 0, set()
    while todo:
        wanted, runner = todo.pop()  # runner: at whose execution the name is read; None: when the function is called
        if (wanted, runner) in seen:
            continue
        seen.add((wanted, runner))
        places = binders.get(wanted, ())
        if wanted == name and runner is None:
            places = [i for i in places if wraps(i)]
        places = [i for i in places if i != runner]  # what a statement binds it does not read
        places = [i for i in places if not statements[i].guard] or places  # for what is defined nowhere else
        steps += len(places) // 16  # each is looked at
        found = _reaching(wanted, places, end if runner is None else runner, statements)
        if not found:
            unresolved.add(wanted)
        for i in found:
            steps += 1 + len(statements[i].now) + len(statements[i].later)
            taken.add(i)
            todo += [(read, i) for read in statements[i].now if (read, i) not in seen]
            todo += [(read, runner) for read in statements[i].later if (read, runner) not in seen]
            if runner is not None:
                before[runner].add(i)
        if steps > MOST_STEPS:
            raise SyntaxError(f"{name} depends on too much of the notebook")
    taken |= _stars(unresolved, statements)
    order = sorted(i for i, statement in enumerate(statements) if statement.kind == "future")
    try:
        ordered = [statements[i] for i in [*order, *_ordered(taken, before)]]
    except RecursionError:
        ordered = None
    if ordered is None or sum(len(statement.text) for statement in ordered) > LONGEST:
        raise SyntaxError(f"{name} depends on too much of the notebook")
    return _joined(ordered), sorted({statement.cell for statement in ordered})


def _stars(names: set[str], statements: Sequence[Statement]) -> set[int]:
    """Return the star imports that may bring names which nothing else defines.

    One from a library of explanations, which is not there when graded, counts only for a name that neither Python nor
    another star can mean: not for `range`.
    """
    every = {i for i, statement in enumerate(statements) if statement.kind == "star"}
    able = {i for i in every if not STAR_OF_EXPLAINERS.match(statements[i].text)}
    foreign = {name for name in names if not hasattr(builtins, name)}
    return (every if foreign and not able else able) if names else set()


def _reaching(name: str, places: Sequence[int], end: int, statements: Sequence[Statement]) -> list[int]:
    """Return which statements decide the value of a name before `end`, or else behind it."""
    earlier = [i for i in places if i < end]
    found: list[int] = []
    for i in reversed(earlier if any(name in statements[i].binds for i in earlier) else places):
        found.append(i)
        if statements[i].certain and name in statements[i].binds:
            break
    return found


def _ordered(taken: Iterable[int], before: dict[int, set[int]]) -> list[int]:
    """Return the statements in their order, those in `before` moved up where they stand too late."""
    ordered: dict[int, None] = {}
    open_: set[int] = set()

    def place(i: int) -> None:
        if i in ordered or i in open_:
            return
        open_.add(i)
        for j in sorted(before[i]):
            place(j)
        ordered[i] = None

    for i in sorted(taken):
        place(i)
    return list(ordered)


def _joined(statements: Iterable[Statement]) -> str:
    text, last = "", None
    for statement in statements:
        gap = "\n\n" if last is not None and statement.cell != last else ""
        text += f"{gap}{statement.text}\n"
        last = statement.cell
    return text


# --------------------------------------------------------------------------------------------------- of one statement


def _split(node: ast.stmt, lines: Sequence[bytes]) -> Iterator[tuple[ast.stmt, str]]:
    """Yield a statement with its text; of an import each name, for one may be needed and the other not."""
    if isinstance(node, ast.Import | ast.ImportFrom) and len(node.names) > 1:
        for alias in node.names:
            one = (
                ast.Import([alias])
                if isinstance(node, ast.Import)
                else ast.ImportFrom(node.module, [alias], node.level)
            )
            yield one, ast.unparse(one)
        return
    first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", ()))])
    piece = list(lines[first - 1 : node.end_lineno])
    piece[-1] = piece[-1][: node.end_col_offset]
    if first == node.lineno:  # behind a semicolon; a decorator begins its line
        piece[0] = piece[0][node.col_offset :]
    yield node, b"\n".join(piece).decode()


def _statement(node: ast.stmt, text: str) -> Statement:
    top = symtable.symtable(text, "cell", "exec")
    symbols = top.get_symbols()
    binds = {s.get_name() for s in symbols if s.is_assigned() or s.is_imported()}
    now = {s.get_name() for s in symbols if s.is_referenced()}
    if isinstance(node, ast.AugAssign):
        now |= binds
    elif isinstance(node, ast.Delete) or (isinstance(node, ast.AnnAssign) and node.value is None):
        binds = set()
    later, writes = set(), set()
    plain = node.name if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not node.decorator_list else None
    for child in top.get_children():
        reads, its = _globals(child)
        later |= reads
        writes |= its
        if child.get_name() != plain:  # a decorator, a class or a comprehension may use it at once
            now |= reads
    changes, calls = _in_place(node)
    return Statement(
        text,
        _kind(node),
        binds=frozenset(binds),
        changes=frozenset(changes - binds),
        now=frozenset(now | (changes - binds)),
        later=frozenset(later),
        calls=frozenset(calls),
        writes=frozenset(writes),
        certain=_is_certain(node),
        guard=_is_guard(node),
    )


def _globals(table: symtable.SymbolTable) -> tuple[set[str], set[str]]:
    """Return the global names that a scope and those in it read, and those that they bind."""
    reads, writes = set(), set()
    for symbol in table.get_symbols():
        in_class = table.get_type() == "class" and symbol.is_referenced()  # may still mean the global one
        if symbol.is_global() or in_class:
            reads.add(symbol.get_name())
        if symbol.is_declared_global() and symbol.is_assigned():
            writes.add(symbol.get_name())
    for child in table.get_children():
        inner_reads, inner_writes = _globals(child)
        reads |= inner_reads
        writes |= inner_writes
    return reads, writes


def _in_place(node: ast.stmt) -> tuple[set[str], set[str]]:
    """Return the names of what a statement changes in place, and the names that it calls."""
    changes: set[str] = set()
    calls: set[str] = set()
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        for decorator in (d.func if isinstance(d, ast.Call) else d for d in node.decorator_list):
            if isinstance(decorator, ast.Attribute) and decorator.attr == "register":  # of functools.singledispatch
                changes.add(_root(decorator))
        return changes - {""}, calls
    for part in ast.walk(node):
        if isinstance(part, ast.Attribute | ast.Subscript) and isinstance(part.ctx, ast.Store | ast.Del):
            changes.add(_root(part))
        elif isinstance(part, ast.Call) and isinstance(part.func, ast.Name):
            calls.add(part.func.id)
            if part.func.id in ("setattr", "delattr") and part.args:
                changes.add(_root(part.args[0]))
        elif isinstance(part, ast.Call) and isinstance(part.func, ast.Attribute) and part.func.attr in CHANGES:
            changes.add(_root(part.func))
    return changes - {""}, calls


def _root(node: ast.AST) -> str:
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def _is_certain(node: ast.stmt) -> bool:
    match node:
        case ast.Import(names=[alias]):
            return "." not in alias.name or alias.asname is not None  # import a.b leaves an earlier import a.c
        case ast.Assign() | ast.AnnAssign() | ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            return True
    return isinstance(node, ast.ImportFrom)


def _is_guard(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and any(isinstance(p, ast.Name) and p.id == "__name__" for p in ast.walk(node.test))


def _kind(node: ast.stmt) -> Kind:
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            return "stub" if _is_stub(node) else "definition"
        case ast.ClassDef() | ast.Assign(value=ast.Lambda()) | ast.AnnAssign(value=ast.Lambda()):
            return "definition"
        case ast.ImportFrom(module="__future__"):
            return "future"
        case ast.ImportFrom(names=[ast.alias(name="*")]):
            return "star"
        case ast.Import() | ast.ImportFrom():
            return "import"
        case ast.Assign() | ast.AnnAssign():
            return "value"
        case ast.If() | ast.Try() | ast.With():
            inner = (part for part in ast.walk(node) if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef))
            return "value" if any(inner) else "block"
    return "block" if isinstance(node, ast.For | ast.While | ast.AsyncFor | ast.AsyncWith | ast.Match) else "other"


def _is_stub(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether there is nothing but a docstring and `pass`, or that and `raise NotImplementedError`."""
    body = [part for part in node.body if not isinstance(part, ast.Pass)]
    body = [part for part in body if not (isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant))]
    match body:
        case [ast.Raise(exc=ast.Call(func=ast.Name(id="NotImplementedError")) | ast.Name(id="NotImplementedError"))]:
            return True
    return not body


def _with_writes(statements: Sequence[Statement]) -> list[Statement]:
    """Return the statements, those that run a function with `global` binding what it binds."""
    writers = {name: s.writes for s in statements if s.writes for name in s.binds}
    writing, written = [], 0
    for s in statements:
        if s.kind not in ("definition", "stub") and (called := s.now & writers.keys()):
            written += sum(len(writers[name]) for name in called)
            if written > MOST_WRITES:
                raise SyntaxError("the notebook binds too many global names")
            s = replace(s, binds=s.binds.union(*(writers[name] for name in called)))
        writing.append(s)
    return writing
