"""A code without what has no effect, for comparing: a copy is not hidden by statements that do nothing.

Covers: statements that only name or compute something (`0;`, docstrings, `len("")`, `x.clone()`), `pass`, annotations,
statements after a return, branches that are never or always taken, names that nothing needs (in circles, too, and
those written anew before they are read), unused imports and inner functions, `x += 0`, blocks that all this empties.
Does not cover: statements without effect for the values at hand only; the same step in other words or another order.

The text is parsed and never run; what does not parse comes back as it is.
"""

import ast
from collections.abc import Iterator
from itertools import islice

LONGEST = 30_000  # characters that are parsed
DEEPEST = 60  # of an expression: what lies deeper is `...`
ROUNDS = 6  # a block that is emptied may have held the last use of a name, and so on
AHEAD = 40  # statements to look ahead for the one that writes a name anew
STOPS = (ast.Return, ast.Raise, ast.Break, ast.Continue)
EFFECTS = (ast.Await, ast.Yield, ast.YieldFrom, ast.NamedExpr)
LITERAL = (ast.Constant, ast.Tuple, ast.List, ast.UnaryOp, ast.unaryop, ast.expr_context, ast.keyword)
# what has no effect but its value: functions of Python; methods of tensors and arrays
FUNCTIONS = """
    abs all any bool bytes callable chr complex dict enumerate filter float format frozenset hash hex id int
    isinstance len list map max min object ord pow print range repr reversed round set slice sorted str sum
    tuple type zip
"""
METHODS = """
    abs clone contiguous copy cpu detach dim double float item max mean min numel numpy size sum to tolist view
"""
FUNCTION_NAMES, METHOD_NAMES = frozenset(FUNCTIONS.split()), frozenset(METHODS.split())
NEUTRAL = {ast.Add: 0, ast.Sub: 0, ast.Mult: 1, ast.Div: 1, ast.Pow: 1}


def living(source: str) -> str:
    """Return the code in one spelling, without comments and what has no effect; as it is where it does not parse."""
    try:
        tree = ast.parse(source[:LONGEST])
        _cut_deep(tree)
        local = _stored(tree)
        for _ in range(ROUNDS):
            pruned = _Pruned(tree, local)
            pruned.visit(tree)
            if not pruned.removed:
                break
        return ast.unparse(tree)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return source


def _cut_deep(tree: ast.AST) -> None:
    todo = [(tree, 0)]
    while todo:
        node, depth = todo.pop()
        for child in ast.iter_child_nodes(node):
            if depth == DEEPEST and isinstance(child, ast.expr):
                child.__class__, child.__dict__ = ast.Constant, {"value": ..., "kind": None}
            else:
                todo.append((child, depth + 1 if isinstance(child, ast.expr) else 0))


class _Pruned(ast.NodeTransformer):
    """One round over the statements of a tree. local: names that the code gives itself."""

    def __init__(self, tree: ast.Module, local: set[str]):
        self.local = local
        self.needed = self._needed(tree)
        self.depth = self.removed = 0

    def _needed(self, tree: ast.Module) -> set[str]:
        """Return the names that what has an effect reads, straight or by way of other names."""
        needed: set[str] = set()
        reads: dict[str, set[str]] = {}  # name -> names in its values
        todo: list[ast.AST] = [tree]
        while todo:
            node = todo.pop()
            if isinstance(node, ast.Global | ast.Nonlocal):
                needed |= set(node.names)
            elif _compound(node):
                todo += _inner(node)
                needed |= _head(node)
            elif (bound := _bound(node)) and self._idle(node):
                for name in bound:
                    reads.setdefault(name, set()).update(_read(node))
            else:
                needed |= _read(node)
        names = list(needed)
        while names:
            more = reads.get(names.pop(), set()) - needed
            needed |= more
            names += more
        return needed

    def _idle(self, node: ast.AST) -> bool:
        """Whether a statement that binds names does nothing else."""
        known = vars(node)  # it lives as long as the node, for several rounds
        if "idle" not in known:
            value = getattr(node, "value", None)
            known["idle"] = self._without_effect(value) if value else True
        return known["idle"]

    def _without_effect(self, expression: ast.AST) -> bool:
        return not any(
            isinstance(node, EFFECTS) or (isinstance(node, ast.Call) and not self._harmless(node))
            for node in _evaluated(expression)
        )

    def _harmless(self, call: ast.Call) -> bool:
        if isinstance(call.func, ast.Name):
            return call.func.id in FUNCTION_NAMES and call.func.id not in self.local
        if not isinstance(call.func, ast.Attribute):
            return False
        root: ast.AST = call.func
        while isinstance(root, ast.Attribute):
            root = root.value
        foreign = isinstance(root, ast.Name) and root.id not in self.local
        literal = all(isinstance(node, LITERAL) for part in (*call.args, *call.keywords) for node in ast.walk(part))
        of_library = foreign and bool(call.args) and literal and "seed" not in call.func.attr
        return of_library or call.func.attr in METHOD_NAMES

    # ---------------------------------------------------------------------------------------------------- statements

    def visit(self, node: ast.AST) -> ast.AST | None:
        return node if isinstance(node, ast.expr) else super().visit(node)

    def generic_visit(self, node: ast.AST) -> ast.AST:
        inner = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        self.depth += inner
        super().generic_visit(node)
        for name in _blocks(node):
            kept = self._kept(getattr(node, name))
            needed = name == "body" and not isinstance(node, ast.Module)
            setattr(node, name, kept or [ast.Pass()] if needed else kept)
        self.depth -= inner
        return node

    def visit_arguments(self, node: ast.arguments) -> ast.arguments:
        for one in ast.iter_child_nodes(node):
            if isinstance(one, ast.arg):
                one.annotation = None
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:
        return ast.copy_location(ast.Assign([node.target], node.value), node) if node.value else None

    def _kept(self, block: list[ast.stmt]) -> list[ast.stmt]:
        kept: list[ast.stmt] = []
        for statement in block:
            kept += self._remains(statement)
            if kept and isinstance(kept[-1], STOPS):
                break
        reads = [_read(one) for one in kept]
        alive = [one for i, one in enumerate(kept) if not self._written_anew(kept, reads, i)]
        self.removed += len(block) - len(alive)
        return alive

    def _remains(self, node: ast.stmt) -> list[ast.stmt]:
        match node:
            case ast.Pass() | ast.Assert(test=ast.Constant()):
                return []
            case ast.Expr() if self._idle(node):
                return []
            case ast.If(test=ast.Constant(value=value)):
                return node.body if value else node.orelse
            case ast.While(test=ast.Constant(value=value)) if not value:
                return node.orelse
            case ast.If(test=value) | ast.For(iter=value) if self._without_effect(value) and _empty(node):
                return []
            case ast.Try(finalbody=last) if all(isinstance(one, ast.Pass) for one in node.body):
                return [*node.orelse, *last]
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Name(id=same)) if same == name:
                return []
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.BinOp(ast.Name(id=same), op, ast.Constant(value=n))):
                if same == name and NEUTRAL.get(type(op), "none") == n:
                    return []
            case ast.AugAssign(op=op, value=ast.Constant(value=n)) if NEUTRAL.get(type(op), "none") == n:
                return []
            case ast.Import(names=names) | ast.ImportFrom(names=names):
                node.names = [n for n in names if (n.asname or n.name.split(".")[0]) in self.needed | {"*"}]
                return [node] if node.names else []
            case ast.FunctionDef(name=name, decorator_list=[]) if self.depth and name not in self.needed:
                return []
        dead = self._idle(node) and not _bound(node) & self.needed if _bound(node) else False
        an_exercise = not self.depth and any(isinstance(one, ast.Lambda) for one in ast.walk(node))
        return [] if dead and not an_exercise else [node]

    def _written_anew(self, block: list[ast.stmt], reads: list[set[str]], i: int) -> bool:
        names = _bound(block[i])
        if not names or isinstance(block[i], ast.AugAssign) or not self._idle(block[i]):
            return False
        for later, read in islice(zip(block, reads, strict=True), i + 1, i + 1 + AHEAD):
            if names & read:
                return False
            if isinstance(later, ast.Assign):
                names = names - _bound(later)
                if not names:
                    return True
        return False


def _bound(node: ast.AST) -> set[str]:
    """Return the names that a statement binds, none for one that changes more than names."""
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AugAssign) else []
    parts = [part for target in targets for part in (target.elts if isinstance(target, ast.Tuple) else [target])]
    names = [part.id for part in parts if isinstance(part, ast.Name)]
    return set(names) if len(names) == len(parts) else set()


def _stored(tree: ast.AST) -> set[str]:
    nodes = list(ast.walk(tree))
    names = {node.id for node in nodes if isinstance(node, ast.Name) and type(node.ctx) is ast.Store}
    return names | {node.arg for node in nodes if isinstance(node, ast.arg)}


def _read(node: ast.AST) -> set[str]:
    """Return the names that a statement reads, with all that is in it."""
    return _head(node).union(*map(_read, _inner(node))) if _compound(node) else _head(node)


def _head(node: ast.AST) -> set[str]:
    """Return the names that a statement reads itself: of a compound one what stands before its block."""
    known = vars(node)  # it lives as long as the node, for several rounds
    if "head" not in known:
        names: set[str] = set()
        todo, inner = [node], {id(one) for one in _inner(node)}
        while todo:
            one = todo.pop()
            todo += [child for child in ast.iter_child_nodes(one) if id(child) not in inner]
            if isinstance(one, ast.Name) and type(one.ctx) is not ast.Store:
                names.add(one.id)
            elif isinstance(one, ast.AugAssign) and isinstance(one.target, ast.Name):
                names.add(one.target.id)
        known["head"] = names
    return known["head"]


def _compound(node: ast.AST) -> bool:
    return any(True for _ in _blocks(node)) or isinstance(node, ast.Match)


def _inner(node: ast.AST) -> list[ast.AST]:
    """Return what lies in a statement: others, and what holds others, such as a handler of errors."""
    fields = ("body", "orelse", "finalbody", "handlers", "cases")
    return [one for name in fields for one in getattr(node, name, ()) if not isinstance(one, ast.expr)]


def _evaluated(expression: ast.AST) -> Iterator[ast.AST]:
    """Walk over what is computed, not over what a lambda would."""
    todo = [expression]
    while todo:
        yield (node := todo.pop())
        todo += ast.iter_child_nodes(node.args if isinstance(node, ast.Lambda) else node)


def _empty(node: ast.If | ast.For) -> bool:
    return all(isinstance(one, ast.Pass) for one in (*node.body, *node.orelse))


def _blocks(node: ast.AST) -> Iterator[str]:
    """Return the names of the fields that hold statements."""
    return (name for name in ("body", "orelse", "finalbody") if isinstance(getattr(node, name, None), list))
