"""The kit as a wheel, packed from the files that run here: a checkout and an installed package give the same."""

import base64
import hashlib
import re
from importlib.metadata import Distribution, PackageNotFoundError, distribution, version
from pathlib import Path

from hw_xai.files import zipped

ROOT = Path(__file__).parents[3]
PACKAGES = ("hw_xai", "grading")
FORM = "Wheel-Version: 1.0\nGenerator: hw-grade\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def kit_wheel() -> tuple[str, bytes]:
    """Return the name and the bytes of a wheel of the code, without data/ and notebooks/: grading needs neither."""
    its = distribution("hw-xai")
    files = {
        file.relative_to(ROOT).as_posix(): file.read_bytes()
        for package in PACKAGES
        for file in sorted((ROOT / package).rglob("*"))
        if file.is_file() and "__pycache__" not in file.parts and _is_code(file.relative_to(ROOT / package))
    }
    about = f"hw_xai-{its.version}.dist-info"
    files[f"{about}/METADATA"] = _text(its, "METADATA")
    files[f"{about}/entry_points.txt"] = _text(its, "entry_points.txt")
    files[f"{about}/WHEEL"] = FORM.encode()
    rows = [f"{name},sha256={_hash(content)},{len(content)}\n" for name, content in files.items()]
    files[f"{about}/RECORD"] = "".join([*rows, f"{about}/RECORD,,\n"]).encode()
    return f"hw_xai-{its.version}-py3-none-any.whl", zipped(files)


def pins(extra: str) -> str:
    """Return what pip calls constraints: the versions here of the kit's requirements, also those of an extra."""
    lines = ["# the versions that the zip was made with: what is right here is right there\n"]
    for requirement in sorted(distribution("hw-xai").requires or ()):
        name, _, condition = requirement.partition(";")
        if "extra" not in condition or f'extra == "{extra}"' in condition.replace("'", '"'):
            name = re.match(r"[\w.-]+", name)[0]
            try:  # "2.9.0+cpu" is 2.9.0
                lines.append(f"{name}=={version(name).partition('+')[0]}\n")
            except PackageNotFoundError:  # of another system
                continue
    return "".join(lines)


def _is_code(file: Path) -> bool:
    return file.parts[0] not in ("data", "notebooks")


def _text(its: Distribution, name: str) -> bytes:
    return (its.read_text(name) or "").encode()


def _hash(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
