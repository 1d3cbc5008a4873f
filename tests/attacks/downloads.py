# ruff: noqa: E501 (a row of a table)
"""Downloads of a class in which something harms whoever lists it, before anybody's work is read.

DOWNLOADS: name -> (what it tries, how to make it in a folder that holds honest work, words of a remark or None).
"""

from collections.abc import Callable
from pathlib import Path

MB = 2**20
LAUGHS = "x: &a0 [ha]\n" + "".join(f"x{i}: &a{i} [{','.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 30))
MERGED = "a0: &a0 {k: v}\n" + "".join(f"a{i}: &a{i}\n  <<: [{','.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 30))
OF_10 = "submission_1:\n  :submitters:\n  - :sid: "


def metadata(text: str) -> Callable[[Path], None]:
    """Gradescope's file beside the folders: what a student's tests printed stands in it."""
    return lambda root: (root / "submission_metadata.yml").write_text(text, encoding="utf-8") and None


DOWNLOADS: dict[str, tuple[str, Callable[[Path], None], str | None]] = {
    "metadata of references": ("30 lines that are 10^29 texts", metadata(f"{LAUGHS}{OF_10}*a29\n    :name: *a29\n"), None),
    "metadata with a key of references": ("the same as a key", metadata(f"{LAUGHS}? *a29\n: {{}}\n"), "no table"),
    "metadata that are merged": ("tables merged ten times ten times", metadata(f"{MERGED}{OF_10}b66\n"), None),
    "metadata of themselves": ("a table in itself", metadata("submission_1: &a\n  :submitters: [*a]\n  <<: *a\n"), None),
    "deep metadata": ("brackets 3 million deep", metadata("[" * 3 * 10**6), "could not be read"),
    "a number without end": ("a number that is quadratic to read", metadata(f"{OF_10}1{':59' * 10**6}\n"), "could not be"),
    "metadata without end": ("60 MB of lists", metadata(f"x: [{'[],' * 20 * MB}]\n"), "could not be read"),
    "metadata of millions": (
        "the same two thousand people in three thousand folders",
        metadata("s: &s\n" + "- {sid: b10, email: a@x.org}\n" * 2000 + "".join(f"f{i}: {{submitters: *s}}\n" for i in range(3000))),
        "could not be read",
    ),
}  # fmt: skip
