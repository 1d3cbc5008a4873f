# ruff: noqa: E501 (a row of a table)
"""Imports: the answers of others, and code that comes from elsewhere."""

from attack import Attack

NOT_THERE = "library of explanations"


def importing(name: str, statement: str, says: str = NOT_THERE, ends: str = "failed") -> Attack:
    return Attack(name, f"leaves the work to {name}", statement, ends, says)


ATTACKS = [
    importing("the reference", "from hw_xai.explain import cosine_similarity"),
    importing("hw_xai by name", "import importlib; importlib.import_module('hw_xai.explain.embeddings')"),
    importing("captum", "from captum.attr import Saliency"),
    importing("grad-cam", "from pytorch_grad_cam import GradCAM"),
    importing("lime", "import lime.lime_image"),
    importing("shap", "import shap"),
    importing("the key", "from grading.homework.evidence.key import compute_key", "module grading is not there"),
    importing("the judge", "import grading.verdict.judging", "module grading is not there"),
    importing(
        "the exercises",
        "from grading.homework.exercises import EXERCISES",
        "module grading is not there",
    ),
    importing("the tests", "import tests.grading.solutions.gradients", "module tests is not there"),
    Attack(
        "sys.path",
        "puts the repository in front of the path",
        """
import sys, importlib
sys.path[:0] = [T["root"], T["root"] + "/hw_xai", T["root"] + "/.venv/lib/python3.11/site-packages"]
importlib.invalidate_caches()
for name in ("hw_xai", "explain", "captum", "lime"):
    try:  # the name of a folder may be there, nothing in it
        if __import__(name).__file__: reached(name)
    except (ImportError, OSError): pass
""",
    ),
    Attack(
        "loader",
        "loads the reference from its file",
        """
import importlib.util
for path in ("/hw_xai/explain/__init__.py", "/grading/homework/evidence/key.py"):
    try:
        spec = importlib.util.spec_from_file_location("x", T["root"] + path)
        module = importlib.util.module_from_spec(spec); spec.loader.exec_module(module); reached(path)
    except (OSError, ImportError): pass
""",
    ),
    Attack(
        "pip",
        "installs a package when graded",
        """
import subprocess, sys
try: subprocess.run([sys.executable, "-m", "pip", "install", "captum"], timeout=5); reached("pip")
except (OSError, subprocess.SubprocessError): pass
""",
    ),
    Attack(
        "pip inside",
        "installs by pip's own code, without a process",
        """
try:
    import pip._internal
    reached("pip")
except ImportError: pass
""",
    ),
    Attack(
        "ensurepip",
        "unpacks the pip that Python carries",
        """
import ensurepip
try: ensurepip.bootstrap(root="/tmp/p"); reached("pip")
except Exception: pass
""",
        "failed",
        "module ensurepip is not there|zero everywhere",
    ),
    Attack(
        "torch.hub",
        "downloads a repository",
        """
import torch
try: torch.hub.load("pytorch/captum", "x", trust_repo=True); reached("hub")
except Exception: pass
""",
    ),
    Attack(
        "torch pickle",
        "a pickle that runs when it is loaded",
        """
import io, pickle, torch
class Evil:
    def __reduce__(self): return (exec, ("import os; os.open(T['files'][0], 0)",))
data = io.BytesIO(); torch.save(Evil(), data); data.seek(0)
try: torch.load(data, weights_only=False); reached("file")
except Exception: pass
""",
    ),
    Attack(
        "native library",
        "compiles and loads code of its own",
        """
import ctypes
open("/tmp/evil.so", "wb").write(b"\\x7fELF" + bytes(1000))
ctypes.CDLL("/tmp/evil.so")
""",
        "failed|crashed",
        "OSError|PermissionError",
    ),
    Attack(
        "poisoned module",
        "leaves a module in the working folder for others to import",
        """
import sys
for folder in (".", "/tmp", "/kit", "/site", *sys.path):
    for name in ("torch", "euclid", "sitecustomize", "usercustomize"):
        try: open(f"{folder}/{name}.py", "w").write("print('REACHED by import')")
        except OSError: pass
""",
        second="import sys; sys.path.insert(0, '/tmp'); sys.path.insert(0, '.')\nsys.modules.pop('torch', 0) if 0 else None",
    ),
    Attack(
        "late import",
        "the grader imports what the student put into sys.modules",
        """
import sys, types
for name in ("json", "numpy", "grading.verdict.judging", "grading.homework.evidence.key"): sys.modules[name] = types.ModuleType(name)
""",
        "failed",
        "zero everywhere|raised",
    ),
]
