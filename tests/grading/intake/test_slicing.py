"""What a function depends on, and no more: every way Python has to bind a name, and every way to need one."""

import ast
import contextlib
import time
from dataclasses import replace

import pytest

from grading.intake.magics import python_of
from grading.intake.slicing import slice_of, statements_of


def sliced(*cells: str, name: str = "f", at: int = -1) -> str:
    """Return the slice of a function, of its definition number `at`."""
    statements = [replace(s, cell=i) for i, cell in enumerate(cells) for s in statements_of(python_of(cell))]
    places = [i for i, s in enumerate(statements) if name in s.binds and s.kind == "definition"]
    return slice_of(name, places[at], statements)[0]


def lines(*cells: str, **options) -> list[str]:
    return [line for line in sliced(*cells, **options).splitlines() if line]


F = "def f(x):\n    return g(x)"


@pytest.mark.parametrize(
    "binding",
    [
        "def g(x): return x",
        "g = lambda x: x",
        "from a import g",
        "from a import b as g",
        "import g",
        "import g.h",
        "(g, h) = make()",
        "class g: pass",
        "if y := make(): g = y",
        "[g := 1]",
        "for g in things: pass",
        "with make() as g: pass",
        "try:\n    import g\nexcept ImportError:\n    g = None",
        "g: object = 1",
        "async def g(x): pass",
        "while True:\n    g = 1\n    break",
        "match y:\n    case [g]: pass",
    ],
)
@pytest.mark.parametrize("first", [True, False])
def test_what_binds_a_needed_name_is_taken_wherever_it_stands(binding, first):
    cells = [binding, F] if first else [F, binding]
    assert lines(*cells) == [line for cell in cells for line in cell.splitlines()]


@pytest.mark.parametrize(
    "reader",
    [
        "def f(x=g): return x",
        "def f(x: g): return x",
        "def f(x) -> g: return x",
        "@g\ndef f(x): return x",
        "f = lambda x: g",
        "def f(x):\n    def inner(): return g\n    return inner",
        "def f(x): return [g for _ in x]",
        "def f(x):\n    class A(g): pass",
        "def f(x):\n    class A:\n        g = g",
        "def f(x):\n    global g\n    g += 1",
        "class f:\n    y = g",
        "def f(x): return f'{g}'",
    ],
)
def test_whatever_reads_a_name_needs_it(reader):
    assert "g = 1" in lines("g = 1", reader)


@pytest.mark.parametrize(
    "other",
    [
        'check("f", f)',
        "plt.plot([1])",
        "f(1)",
        "for g2 in []: train()",
        "y = f(1)",
        "f",
        "while True: pass",
        "import matplotlib.pyplot as plt",
        "model.fit(x)",
        "assert f(1) == 1",
        "del g",
        "g: int",
        "print(g)",
        "raise ValueError",
    ],
)
def test_what_shows_or_trains_is_left_out(other):
    assert lines("def g(x): return x", other, F, other) == ["def g(x): return x", *F.splitlines()]


@pytest.mark.parametrize(
    "change", ["g['a'] = 1", "g.a = 1", "g += [1]", "g.append(1)", "del g[0]", "for i in range(3): g.append(i)",
               "g.setdefault('a', 1)", "g[0].b.c = 1"],
)  # fmt: skip
def test_what_changes_a_needed_object_is_taken(change):
    assert lines("g = []", change, "def f(x): return g[x]") == ["g = []", change, "def f(x): return g[x]"]
    assert lines("g = []", "def f(x): return x", change) == ["def f(x): return x"]


def test_the_state_is_that_below_the_functions_cell():
    helpers = "def g(x): return 1", "def g(x): return 2"
    assert lines(helpers[0], F, helpers[1]) == [helpers[0], *F.splitlines()]
    assert lines(helpers[0], F + "\n" + helpers[1]) == [*F.splitlines(), helpers[1]]
    assert lines(helpers[0], helpers[1], F) == [helpers[1], *F.splitlines()]
    assert lines("g = load()", "g = 1", "def f(): return g", "g = f()") == ["g = 1", "def f(): return g"]


def test_two_functions_with_helpers_of_one_name_each_get_their_own():
    cells = ("def g(x): return 1\n" + F, "def g(x): return 2\n" + F.replace("f(", "f2("))
    assert "return 1" in sliced(*cells)
    assert "return 2" in sliced(*cells, name="f2")
    assert "return 1" not in sliced(*cells, name="f2")


def test_what_a_statement_needs_to_run_comes_before_it():
    assert lines("TABLE = g(3)", "def f(): return TABLE", "def g(x): return x * SCALE", "SCALE = 2") == [
        "def g(x): return x * SCALE",
        "SCALE = 2",
        "TABLE = g(3)",
        "def f(): return TABLE",
    ]
    space = {}
    exec(
        sliced("@once\ndef f(): return T", "T = g(3)", "def g(x): return x * S", "S = 2", "def once(h): return h"),
        space,
    )
    assert space["f"]() == 6


def test_a_value_computed_with_a_name_that_changes_later():
    cells = "s = 2", "def g(x): return x * s", "t = g(3)", "s = 5", "def f(): return t, g(1)"
    space = {}
    exec(sliced(*cells), space)
    assert space["f"]() == (6, 5)


def test_a_function_that_is_wrapped_but_not_its_result():
    assert lines("def f(x): return x\nf = jit(f)") == ["def f(x): return x", "f = jit(f)"]
    assert lines("def f(x): return x\nf = f(1)") == ["def f(x): return x"]


def test_a_name_that_a_call_binds():
    cells = "def setup():\n    global g\n    g = 1", "setup()", "def f(): return g"
    space = {}
    exec(sliced(*cells), space)
    assert space["f"]() == 1


def test_imports_are_taken_one_by_one_and_stars_where_a_name_is_open():
    assert lines("import a, b as g", "from c import *", "def f(): return g") == ["import b as g", "def f(): return g"]
    assert lines("import a, b", "from c import *", "def f(): return g")[0] == "from c import *"
    assert lines("def f(): return a.b.c()", "import a.b\nimport a.d")[-2:] == ["import a.b", "import a.d"]
    assert (
        lines("x = 1\nfrom __future__ import annotations\ndef f(): return x")[0] == "from __future__ import annotations"
    )


def test_statements_on_one_line_and_comments():
    assert lines("a = 1; g = [\n 1]; b = 2", "def f(): return g  # see below") == ["g = [", " 1]", "def f(): return g"]
    assert "# 中文" in sliced("def f():\n    # 中文\n    return '中', 1; é = 2")


@pytest.mark.parametrize(
    "source",
    ["(" * 5000, "-" * 100_000 + "1", "x = " + "[" * 150 + "]" * 150, "1+" * 50_000 + "1", "\0", "def f(a, a): pass",
     "def f():\n" + "".join("  " * i + "if x:\n" for i in range(1, 150)), "f(" * 90 + ")" * 90, "x\n" * 30_000,
     "lambda: " * 3000 + "1", "a" + ".a" * 20_000, "x = 1\n  y = 2"],
)  # fmt: skip
def test_nothing_but_a_syntax_error_comes_of_strange_code(source):
    with contextlib.suppress(SyntaxError):
        statements_of(python_of(source))


def test_a_tangle_is_given_up_with_a_reason():
    with pytest.raises(SyntaxError, match="depends on too much"):
        sliced("x = 0\n" + "x += 1\n" * 3000 + "def f(): return x")


# -------------------------------------------------------------------------------------------------------------- magics


@pytest.mark.parametrize(
    ("cell", "python"),
    [
        ("%%time\nx = 1\n", "x = 1\n"),
        ("\n\n%%capture out\n%%time\nx = 1", "x = 1"),
        ("%%bash\nls", ""),
        ("%%writefile a.py\ndef f(): pass", ""),
        ("%%html\n<b>", ""),
        ("!ls\nx = 1", "pass\nx = 1"),
        ("%pip install a\n", "pass"),
        ("x = !ls", "x = None"),
        ("%time x = g()", "x = g()"),
        ("x = %time g()", "x = g()"),
        ("if a:\n    %matplotlib inline", "if a:\n    pass"),
        ("def f():\n    get_ipython().system('ls')\n    return 1", "def f():\n    pass\n    return 1"),
        ("torch.zeros?", "pass"),
        (">>> x = 1", "x = 1\n"),
        ("s = '''\n%time\n!ls\n'''", "s = '''\n%time\n!ls\n'''"),
        ("x = 5 % 3  # ! %", "x = 5 % 3  # ! %"),
        # each of these made the whole cell unreadable, for it was written anew
        ('%matplotlib inline\nx = f"{a}\u3000{b}"', 'pass\nx = f"{a}\u3000{b}"'),
        ('%time x = f"{a}\u3000"', 'x = f"{a}\u3000"'),
        ('!ls\nx = f"{a}\u0301\\n"  # e\u0301', 'pass\nx = f"{a}\u0301\\n"'),
        ('x = f"{get_ipython()}"; y = "é"; get_ipython().magic("ls")', 'x = ""; y = "é"; pass'),
        ("é = get_ipython(); y = [get_ipython().x(), é]", "é = None; y = [None, é]"),
    ],
)
def test_magics_are_taken_out(cell, python):
    assert ast.dump(ast.parse(python_of(cell))) == ast.dump(ast.parse(python))


def test_what_is_no_magic_stays_as_it_was_written():
    cell = 'x = f"{a!r:>{width}}\u3000"  # 全形　空白\n'
    assert python_of("!ls\n" + cell) == "pass\n" + cell


@pytest.mark.parametrize(
    "cell", ["x" + "\u0301" * 5000 + " = 1", "x = '" + "a" * 100_000 + "' ?", "a" + ".b" * 99_999 + "c" * 9999 + " ?"]
)
def test_what_takes_quadratic_time_costs_its_cell(cell):
    start = time.monotonic()
    with pytest.raises(SyntaxError):
        statements_of(python_of(cell))
    assert time.monotonic() - start < 5


def test_combining_marks_in_texts_are_no_names():
    mark, sign = chr(0x301) * 999, "字" * 999
    cell = f"# e{mark}\nx = '{mark}' + 'é\\'{mark}'\ny = " + '"""\n' + sign + '"""\n'
    assert len(statements_of(python_of(cell))) == 2


def test_a_cell_of_thousands_of_magics_costs_nothing():
    with pytest.raises(SyntaxError, match="too many magics"):
        python_of("!ls\n" * 20_000)


def test_what_a_script_does_for_itself_is_left_out_unless_nothing_else_defines_it():
    guard = 'if __name__ == "__main__":\n    n = int(input())\n    def g(x): return x'
    assert lines("n = 5", guard, "def f(x):\n    return x + n") == ["n = 5", "def f(x):", "    return x + n"]
    assert lines(guard, F) == [*guard.splitlines(), *F.splitlines()]


@pytest.mark.parametrize("module", ["hw_xai.explain", "hw_xai.show", "captum.attr"])
def test_a_star_of_a_library_that_is_not_there_defines_no_builtin(module):
    """One such line at the end of a notebook made every exercise that uses `range` import what the grader has not."""
    source = "def f(n):\n    return [i for i in range(n)]\n"
    assert "import" not in sliced(source, f"from {module} import *")


def test_a_star_that_can_mean_the_name_is_taken():
    source = "from math import *\nfrom hw_xai.explain import *\ndef f(n):\n    return sqrt(n)\n"
    assert "from math import *" in sliced(source)
    assert "hw_xai" not in sliced(source)
    alone = "from hw_xai.explain import *\ndef f(model, inputs):\n    return gradient(model, inputs)\n"
    assert "from hw_xai.explain import *" in sliced(alone)  # and the grader says that it is not there


@pytest.mark.parametrize("body", ["pass", "...", '"""What to do."""\n    pass', "raise NotImplementedError"])
def test_an_empty_function_is_a_stub(body):
    (statement,) = statements_of(f"def f(x):\n    {body}\n")
    assert statement.kind == "stub"
