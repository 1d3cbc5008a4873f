"""The rules of the house that a machine can check: imports run one way, lint is clean, heavy imports are late."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# who may import whom: cli, studio -> studies -> show, evaluate, models -> vision, language -> training, explain -> core
BASE = {"errors", "files"}
CORE = BASE | {"core"}
METHODS = CORE | {"explain", "training"}
ALLOWED = {
    "core": BASE,
    "training": CORE,
    "explain": CORE,
    "vision": METHODS,
    "language": METHODS,
    "show": CORE,  # takes arrays and captions
    "evaluate": METHODS,
    "models": METHODS | {"vision", "language"},
    "testing": METHODS,
    "studies": METHODS | {"vision", "language", "show", "evaluate", "models"},
    "studio": METHODS | {"vision", "language", "show", "evaluate", "models", "studies"},
    "cli": METHODS | {"vision", "language", "show", "evaluate", "models", "studies", "studio"},
}


def imported(file: Path) -> set[str]:
    """Return which parts of hw_xai a file imports, by the name of the part."""
    package = file.relative_to(ROOT).with_suffix("").parts[:-1]
    parts = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            name = ".".join([*base, *([node.module] if node.module else [])])
            names = [f"{name}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        parts |= {name.split(".")[1] for name in names if name.startswith("hw_xai.")} - {"__version__"}
        assert not any(name.split(".")[0] == "grading" for name in names)
    return parts - {package[1] if len(package) > 1 else file.stem}


@pytest.mark.parametrize("part", ALLOWED)
def test_imports_run_one_way(part):
    package = ROOT / "hw_xai"
    alone = package / f"{part}.py"
    for file in [alone] if alone.is_file() else (package / part).rglob("*.py"):
        wrong = imported(file) - ALLOWED[part]
        assert not wrong, f"{file.relative_to(package).as_posix()} imports {wrong}, which {part} must not know"


def test_no_part_is_left_out_of_the_arrows():
    package = ROOT / "hw_xai"
    parts = {path.relative_to(package).parts[0].removesuffix(".py") for path in package.rglob("*.py")}
    assert parts - {"__init__", "__main__", "data"} - BASE <= {*ALLOWED}


FLAG = re.compile(r"(?<![\w-])--[a-z][a-z-]+")
OF_ANOTHER_PROGRAM = re.compile(r"`uv [^`]*")
KNOW_FLAGS = ("hw_xai/cli/", "grading/commands/", "grading/cli.py", "grading/gradescope.py")  # the last writes a script


def test_only_the_command_line_knows_flags():
    told = []
    for file in [*ROOT.glob("hw_xai/**/*.py"), *ROOT.glob("grading/**/*.py")]:
        name = file.relative_to(ROOT).as_posix()
        if name.startswith(KNOW_FLAGS):
            continue
        nodes = list(ast.walk(ast.parse(file.read_text(encoding="utf-8"))))
        docstrings = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
        constants = [node for node in nodes if isinstance(node, ast.Constant) and id(node) not in docstrings]
        for text in (OF_ANOTHER_PROGRAM.sub("", node.value) for node in constants if isinstance(node.value, str)):
            if " " in text.strip() and FLAG.search(text):  # a sentence, not an argument for another program
                told.append(f"{name}: {text}")
    assert not told, "a library's sentence names the `keyword`, and the command line turns it into the flag"


def test_nothing_installs_the_kit_by_its_bare_name():
    """On an index the name may be anybody's: what is installed is a checkout or a wheel that the teacher gave."""
    bare = re.compile(r"install\b[^\n&;|]*?[\"'\s]hw[-_]xai(\[[\w,]*\])?([\"'\s`\\]|$)")
    files = [file for folder in ("hw_xai", "grading", "notebooks", "docs") for file in (ROOT / folder).rglob("*")]
    texts = {".py", ".md", ".ipynb", ".j2", ".toml", ".sh", ".js"}
    for file in [*files, *ROOT.glob("*.md")]:
        if file.suffix in texts and file.is_file():
            assert not bare.search(file.read_text(encoding="utf-8")), file
    assert bare.search("pip install 'hw-xai[heic]'")
    assert not bare.search('pip install "hw_xai-0.1.0-py3-none-any.whl[grading]"')


def test_lint_is_clean():
    result = subprocess.run([sys.executable, "-m", "ruff", "check", ROOT], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout


LATE_IMPORTS = 66  # lower it with every one that goes to the top of its file


def test_late_imports_are_few_and_say_why():
    late, silent = 0, []
    for file in [*ROOT.glob("hw_xai/**/*.py"), *ROOT.glob("grading/**/*.py")]:
        text = file.read_text(encoding="utf-8")
        lines = text.splitlines()
        functions = [n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
        inside = {n.lineno: n for f in functions for n in ast.walk(f) if isinstance(n, ast.Import | ast.ImportFrom)}
        late += len(inside)
        for number in inside:
            if "  # " not in lines[number - 1] and not lines[number - 2].lstrip().startswith("#"):
                silent.append(f"{file.relative_to(ROOT)}:{number}: {lines[number - 1].strip()}")
    assert not silent, "an import inside a function has its reason in a comment on its line or above it"
    assert late <= LATE_IMPORTS


# names that still mean two things: the list only shrinks
OF_TWO_THINGS = {"Case", "Classifier", "Corpus", "Frame", "Map", "MaskedBatches", "Photo"}


def test_a_class_s_name_means_one_thing():
    places: dict[str, list[str]] = {}
    for file in [*ROOT.glob("hw_xai/**/*.py"), *ROOT.glob("grading/**/*.py")]:
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places.setdefault(node.name, []).append(file.relative_to(ROOT).as_posix())
    twice = {name: files for name, files in places.items() if len(files) > 1}
    assert twice.keys() <= OF_TWO_THINGS, twice
    assert twice.keys() >= OF_TWO_THINGS, "one of them means one thing now: take it off the list"


@pytest.mark.parametrize("made", ["hw_xai.cli.LINE.parser()", "grading.cli.LINE.parser()"])
def test_the_command_lines_start_without_the_heavy_libraries(made):
    heavy = {"torch", "matplotlib", "transformers", "sklearn", "umap", "lime", "distributed", "jinja2", "starlette"}
    code = f"import sys, hw_xai.cli, grading.cli; {made}; print(sorted({heavy} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
