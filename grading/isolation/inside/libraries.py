"""Which libraries lie in the sandbox: one list for what starts it and for what tells students before they hand in."""

import importlib.metadata
import os
import re
import sys
from functools import lru_cache

DISTRIBUTIONS = ("torch", "numpy", "scipy", "scikit-learn", "pillow", "matplotlib")
PROMISED = {"torch", "numpy", "scipy", "sklearn", "PIL", "matplotlib"}  # their modules
# libraries that do the homework: where it is graded there are none
EXPLAINERS = ("hw_xai", "captum", "lime", "pytorch_grad_cam", "quantus", "shap", "torchcam", "zennit")


@lru_cache
def libraries() -> dict[str, str]:
    """Return where the top-level folders and modules of DISTRIBUTIONS and all that they need lie, by name."""
    found, waiting, seen = {}, list(DISTRIBUTIONS), set()
    while waiting:
        name = re.sub(r"[-_.]+", "-", waiting.pop()).lower()
        if name in seen:
            continue
        seen.add(name)
        try:
            distribution = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # for another system or an extra; what is truly missing shows when it is loaded
        waiting += [match[0] for r in distribution.requires or () if "extra ==" not in r and (match := NAME.match(r))]
        for file in distribution.files or ():
            top = file.parts[0]
            if top not in ("..", "/", "__pycache__") and not top.endswith((".dist-info", ".pth")):
                found[top] = os.path.realpath(str(distribution.locate_file(top)))
    return {name: path for name, path in sorted(found.items()) if os.path.exists(path)}


def is_there(module: str) -> bool:
    """Whether students' code can import a module, such as "torch.nn", where it is graded."""
    root = module.partition(".")[0]
    roots = {name.partition(".")[0] for name in libraries()}
    return root not in EXPLAINERS and (root in sys.stdlib_module_names or root in PROMISED or root in roots)


NAME = re.compile(r"[\w.-]+")
