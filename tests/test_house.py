"""The rules of the house that a machine can check: imports run one way, lint is clean, heavy imports are late."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# who may import whom: cli and commands see everything, explain sees nothing of the kit but its errors
ALLOWED = {
    "core": {"errors"},
    "explain": {"core", "errors"},
    "evaluate": {"core", "explain", "errors", "training"},
    "show": {"core", "explain", "files", "errors"},
    "vision": {"core", "explain", "show", "files", "errors", "training"},
    "language": {"core", "explain", "show", "files", "errors", "training"},
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
        parts |= {name.split(".")[1] for name in names if name.startswith("hw_xai.")}
        assert not any(name.split(".")[0] == "grading" for name in names)
    return parts - {package[1]}


@pytest.mark.parametrize("part", ALLOWED)
def test_imports_run_one_way(part):
    for file in (ROOT / "hw_xai" / part).glob("*.py"):
        assert imported(file) <= ALLOWED[part], f"{file.name} imports what {part} must not know"


def test_lint_is_clean():
    result = subprocess.run([sys.executable, "-m", "ruff", "check", ROOT], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize("made", ["hw_xai.cli.parser()", "grading.cli.parser()"])
def test_the_command_lines_start_without_the_heavy_libraries(made):
    heavy = {"torch", "matplotlib", "transformers", "sklearn", "umap", "lime", "distributed", "jinja2"}
    code = f"import sys, hw_xai.cli, grading.cli; {made}; print(sorted({heavy} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
