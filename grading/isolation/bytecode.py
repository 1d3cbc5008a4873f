"""Compiles the libraries once, as pip does and others do not: in the sandbox nothing can be written, so that each
template, and each student who needs a module more, would compile thousands of files anew.

Covers: a program of ours loads what the sandbox's template loads, outside the sandbox; nothing of a student's is read.
Does not cover: libraries in a folder that we may not write; there all is as slow as it was.
"""

import importlib.util
import os
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

ONE = threading.Lock()
SIGNS = ("torch._dynamo.eval_frame", "torch.optim.adam", "scipy.stats._stats_py", "sklearn.linear_model._base")
SECONDS = 300


def compile_libraries(inside: Path) -> None:
    """Write the bytecode of what the sandbox loads beside its sources, unless it is there. inside: its kit."""
    with ONE:
        sources = [source for name in SIGNS if (source := _source_of(name))]
        missing = [source for source in sources if not _compiled(source).is_file()]
        if not missing or not all(os.access(source.parent, os.W_OK) for source in missing):
            return
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        code = f"import sys; sys.path[:] = {[str(inside.parent), *sys.path]!r}; from inside.worker import load; load()"
        with suppress(OSError, subprocess.SubprocessError):  # then it is slow, and no worse
            subprocess.run(
                [sys.executable, "-s", "-P", "-X", "utf8", "-c", code],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=SECONDS,
                check=False,
            )


def _source_of(name: str) -> Path | None:
    """Return the file of a module, found without loading its package; None where the library is missing."""
    top, *rest = name.split(".")
    spec = importlib.util.find_spec(top)
    folder = next(iter(spec.submodule_search_locations or ()), None) if spec else None
    path = folder and Path(folder, *rest).with_suffix(".py")
    return path if path and path.is_file() else None


def _compiled(source: Path) -> Path:
    return source.parent / "__pycache__" / f"{source.stem}.{sys.implementation.cache_tag}.pyc"
