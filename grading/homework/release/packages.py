"""The kit as wheels, packed from the files that run here: a checkout and an installed package give the same.

Two distributions from one source, told apart by folders. The students' has the library and what `check` and `submit`
need; the masters with their solutions, the key and its evidence, and the grader itself are not in it.
"""

import base64
import hashlib
import re
from collections.abc import Iterator, Sequence
from importlib.metadata import Distribution, PackageNotFoundError, distribution, version
from pathlib import Path

from hw_xai.files import shipped, zipped

ROOT = Path(__file__).parents[3]
FORM = "Wheel-Version: 1.0\nGenerator: hw-grade\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
STUDENTS = (
    *("hw_xai", "grading/__init__.py", "grading/words.py", "grading/isolation/__init__.py"),
    *("grading/isolation/inside", "grading/verdict", "grading/intake", "grading/homework"),
)
NOT_STUDENTS = ("grading/homework/evidence", "grading/homework/release")
NOT_CODE = ("hw_xai/data", "grading/notebooks")  # where an installed kit has them
GRADERS_EXTRAS = ("grading", "dask")


def kit_wheel() -> tuple[str, bytes]:
    """Return the name and the bytes of a wheel of the code, without data/ and notebooks/: grading needs neither."""
    its = distribution("hw-xai")
    return _wheel(its.version, dict(_code("hw_xai", "grading")), _text(its, "METADATA"), _text(its, "entry_points.txt"))


def students_wheel() -> tuple[str, bytes]:
    """Return the name and the bytes of what students install; equal kits give equal bytes."""
    its = distribution("hw-xai")
    release = f"{its.version.partition('+')[0]}+students"
    without = [ROOT / place for place in NOT_STUDENTS]
    files = {
        name: content for name, content in _code(*STUDENTS) if not any((ROOT / name).is_relative_to(w) for w in without)
    }
    data = shipped("sentences").parent
    for file in sorted(data.rglob("*")):
        if file.is_file():
            files[f"hw_xai/data/{file.relative_to(data).as_posix()}"] = file.read_bytes()
    commands = b"[console_scripts]\nhw-xai = hw_xai.cli:main\n"
    return _wheel(release, files, _for_students(_text(its, "METADATA").decode(), release).encode(), commands)


def _for_students(metadata: str, release: str) -> str:
    """Return the metadata of the students' package: its own version, IPython for magics, no extras of the grader."""
    head, _, text = metadata.partition("\n\n")
    extras = "|".join(GRADERS_EXTRAS)
    lines = [
        line
        for line in head.splitlines()
        if not re.search(rf"^Provides-Extra: ({extras})$|extra == ['\"]({extras})['\"]", line)
    ]
    lines = [f"Version: {release}" if line.startswith("Version:") else line for line in lines]
    return "\n".join([*lines, "Requires-Dist: ipython>=8"]) + f"\n\n{text}"


def _code(*places: str, without: Sequence[str] = ()) -> Iterator[tuple[str, bytes]]:
    """Yield name and bytes of the files of the code in folders, or of files, below ROOT."""
    for place in places:
        for file in [ROOT / place] if (ROOT / place).is_file() else sorted((ROOT / place).rglob("*")):
            apart = any(file.is_relative_to(ROOT / folder) for folder in (*NOT_CODE, *without))
            if file.is_file() and "__pycache__" not in file.parts and not apart:
                yield file.relative_to(ROOT).as_posix(), file.read_bytes()


def _wheel(release: str, files: dict[str, bytes], metadata: bytes, commands: bytes) -> tuple[str, bytes]:
    about = f"hw_xai-{release}.dist-info"
    files |= {f"{about}/METADATA": metadata, f"{about}/entry_points.txt": commands, f"{about}/WHEEL": FORM.encode()}
    rows = [f"{name},sha256={_hash(content)},{len(content)}\n" for name, content in files.items()]
    files[f"{about}/RECORD"] = "".join([*rows, f"{about}/RECORD,,\n"]).encode()
    return f"hw_xai-{release}-py3-none-any.whl", zipped(files)


def pins(extra: str) -> str:
    """Return what pip calls constraints: the versions here of the kit's requirements, also those of an extra."""
    lines = ["# the versions that the zip was made with: what is right here is right there\n"]
    for requirement in sorted(distribution("hw-xai").requires or ()):
        required, _, condition = requirement.partition(";")
        if "extra" not in condition or f'extra == "{extra}"' in condition.replace("'", '"'):
            name = re.split(r"[^\w.-]", required, maxsplit=1)[0]
            try:  # "2.9.0+cpu" is 2.9.0
                lines.append(f"{name}=={version(name).partition('+')[0]}\n")
            except PackageNotFoundError:  # of another system
                continue
    return "".join(lines)


def _text(its: Distribution, name: str) -> bytes:
    return (its.read_text(name) or "").encode()


def _hash(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
