"""The rules of the house that a machine can check: imports run one way, lint is clean, heavy imports are late."""

import ast
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
# arrows that still run the wrong way: none may be added
DEBTS = {("vision/train.py", "show"), ("studies/evaluation/evaluator.py", "cli")}


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
        name = file.relative_to(package).as_posix()
        wrong = {other for other in imported(file) - ALLOWED[part] if (name, other) not in DEBTS}
        assert not wrong, f"{name} imports {wrong}, which {part} must not know"


def test_no_part_is_left_out_of_the_arrows():
    package = ROOT / "hw_xai"
    parts = {path.relative_to(package).parts[0].removesuffix(".py") for path in package.rglob("*.py")}
    assert parts - {"__init__", "__main__", "data"} - BASE <= {*ALLOWED}


def test_lint_is_clean():
    result = subprocess.run([sys.executable, "-m", "ruff", "check", ROOT], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize("made", ["hw_xai.cli.LINE.parser()", "grading.cli.LINE.parser()"])
def test_the_command_lines_start_without_the_heavy_libraries(made):
    heavy = {"torch", "matplotlib", "transformers", "sklearn", "umap", "lime", "distributed", "jinja2", "starlette"}
    code = f"import sys, hw_xai.cli, grading.cli; {made}; print(sorted({heavy} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
