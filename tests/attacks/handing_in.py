"""What is handed in: files that harm whoever opens them. Nothing in them is run before the sandbox.

HANDED_IN: name -> (what it tries, how to make the files, words of a remark or None, what cosine_similarity deserves).
"""

import io
import json
import stat
import struct
import zipfile
from collections.abc import Callable

from attack import RIGHT, ZERO

Files = dict[str, bytes]


def notebook(*cells: str, cell_metadata: dict | None = None, **metadata: object) -> bytes:
    rows = [{"cell_type": "code", "id": f"c{i}", "metadata": cell_metadata or {}, "source": cell, "outputs": [],
             "execution_count": None} for i, cell in enumerate(cells)]  # fmt: skip
    return json.dumps({"cells": rows, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}).encode()


def zipped(files: dict[str | zipfile.ZipInfo, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return data.getvalue()


def link(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info


def nested(depth: int) -> bytes:
    data = notebook(RIGHT)
    for i in range(depth):
        data = zipped({f"{i}.zip" if i else "5_embeddings.ipynb": data})
    return data


def lying_size() -> bytes:
    """A zip whose member says that it is a thousand times smaller than it is."""
    data = zipped({"5_embeddings.ipynb": notebook(RIGHT + "#" * 10**6)})
    place = data.rindex(b"PK\1\2") + 24
    return data[:place] + struct.pack("<I", 1000) + data[place + 4 :]


def overlapping() -> bytes:
    """A zip whose directory names the same bytes a thousand times."""
    data = zipped({"5_embeddings.ipynb": notebook(RIGHT) + b" " * 10**6})
    start = data.rindex(b"PK\1\2")
    end = data.rindex(b"PK\5\6")
    many, n = data[start:end] * 1000, 1000
    return data[:start] + many + b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, n, n, len(many), start, 0)


def alone(content: Callable[[], bytes], name: str = "5_embeddings.ipynb") -> Callable[[], Files]:
    return lambda: {name: content()}


def in_zip(make: Callable[[], Files], **how: object) -> Callable[[], Files]:
    return lambda: {"work.zip": zipped(make(), **how)}


def saying(cell: str) -> Callable[[], Files]:
    return alone(lambda: notebook(RIGHT, cell))


MB = 2**20
HANDED_IN: dict[str, tuple[str, Callable[[], Files], str | None, int]] = {
    "zip bomb": ("expands to 60 MB from 60 KB", in_zip(lambda: {"5_embeddings.ipynb": bytes(60 * MB)}), "expands", 0),
    "nested bomb": ("zips in zips in zips", lambda: {"work.zip": nested(8)}, "zip", 0),
    "lying zip": ("says another size than it has", lambda: {"work.zip": lying_size()}, "damaged", 0),
    "overlapping zip": ("the same bytes a thousand times", lambda: {"work.zip": overlapping()}, "expands", 0),
    "many files": ("a zip of 5,000 files", in_zip(lambda: {f"{i}.py": b"" for i in range(5000)}), "more than", 0),
    "no zip": ("bytes that are none", lambda: {"work.zip": b"PK\3\4" + bytes(99)}, "damaged", 0),
    "escape": (
        "a path that leads out",
        in_zip(
            lambda: {"../../../../tmp/evil.ipynb": notebook(RIGHT), "/etc/evil.py": b"x", "a.ipynb": notebook(RIGHT)}
        ),
        "leads out",
        1,
    ),
    "backslashes": (
        "a path that leads out on Windows",
        in_zip(lambda: {"..\\..\\evil.ipynb": notebook(RIGHT)}),
        "leads out",
        0,
    ),
    "zipped link": ("a link to the key", in_zip(lambda: {link("5_embeddings.ipynb"): b"/etc/passwd"}), "a link", 0),
    "forged results": (
        "the results, within the zip",
        in_zip(
            lambda: {
                "results.json": b'{"score": 99}',
                "manifest.json": b'{"student": "b10", "points": 99}',
                "gradebook.csv": b"b66,99",
                "5_embeddings.ipynb": notebook(ZERO),
            }
        ),
        None,
        0,
    ),
    "large notebook": (
        "100 MB of outputs",
        alone(lambda: b'{"cells": [], "x": "' + b"x" * 100 * MB + b'"}'),
        "64 MB",
        0,
    ),
    "many cells": (
        "a notebook of a million cells",
        alone(lambda: b'{"cells": [' + b"{}," * 10**6 + b"{}]}"),
        "damaged cells|too many",
        0,
    ),
    "deep JSON": (
        "brackets 100,000 deep",
        alone(lambda: b'{"cells": ' + b"[" * 10**5 + b"]" * 10**5 + b"}"),
        "nested",
        0,
    ),
    "huge number": (
        "a number of a million digits",
        alone(lambda: b'{"cells": ' + b"9" * 10**6 + b"}"),
        "no Jupyter",
        0,
    ),
    "no JSON": ("code in place of JSON", alone(lambda: b"{__import__('os')._exit(0)}"), "no Jupyter", 0),
    "not UTF-8": ("broken encodings", alone(lambda: b'{"cells": "\xff\xfe\xff"}'), "not written in UTF-8|UTF-8", 0),
    "surrogates": ("half signs in the code", alone(lambda: notebook(RIGHT + "\nx = '\ud800'")), None, 1),
    "NUL": ("zeros within the code", alone(lambda: notebook(RIGHT, "x = '\0'")), "cell 2", 1),
    "deep literal": ("brackets 10^6 deep in the answers", saying("answers = " + "[" * 10**5), "answers|cell 2", 1),
    "long expression": ("a sum of 10^5 terms", saying("x = " + "+".join("1" * 10**5)), "nested|cell 2", 1),
    "answers of code": (
        "answers that run",
        saying("answers = {'Q1': __import__('os').system('touch /tmp/evil')}"),
        "Q1",
        1,
    ),
    "answers by eval": (
        "answers that are computed",
        saying("answers = dict(Q1=open('/etc/passwd').read())"),
        "the answer must be letters",
        1,
    ),
    "huge answers": ("a number of 10^8 digits", saying("answers = {'Q1': 9**9**9, 'Q2': 'A' * 10**10}"), "Q1", 1),
    "ten thousand answers": (
        "more answers than there are questions",
        saying("answers = {" + ",".join(f"'Q{i}': 'A'" for i in range(10**4)) + "}"),
        None,
        1,
    ),
    "magics": ("a shell in the notebook", saying("!touch /tmp/evil\n%run evil.py\n%%bash\nrm -rf ~"), None, 1),
    "cells at import": ("cells that run by themselves", saying("import os\nos._exit(0)"), None, 1),
    "another function": (
        "a name that looks like the right one",
        alone(lambda: notebook(RIGHT.replace("cosine_s", "cosine_ｓ"))),
        None,
        1,
    ),
    "twice": ("right first, patched later", alone(lambda: notebook(RIGHT, ZERO)), "more than once", 0),
    "another student": (
        "a notebook made for somebody else",
        alone(lambda: notebook(RIGHT, hw_xai={"student": "b10", "variant": 10**30, "notebook": ["<script>"]})),
        "was made for b10",
        1,
    ),
    "forged metadata": (
        "metadata of a grader",
        alone(
            lambda: notebook(
                ZERO,
                cell_metadata={
                    "nbgrader": {"grade_id": "cosine_similarity", "points": 99, "grade": True, "locked": [[]]}
                },
            )
        ),
        None,
        0,
    ),
    "metadata of another kind": (
        "numbers, lists and nothing where texts belong",
        alone(
            lambda: json.dumps(
                {
                    "cells": [
                        {"cell_type": 5, "source": {"a": 1}},
                        {"cell_type": "code", "source": [1, None]},
                        7,
                        None,
                        [],
                    ],
                    "metadata": [],
                    "nbformat": "x",
                }
            ).encode()
        ),
        "damaged",
        0,
    ),
    "markup": (
        "markup in the code and its error",
        alone(
            lambda: notebook(
                "def cosine_similarity(a, b): raise ValueError('<script>alert(1)</script>=1+1\"><img src=x>')"
            )
        ),
        None,
        0,
    ),
    "hostile file name": (
        "markup and a formula as a name",
        lambda: {"=1+1<script>alert(1)<script>.ipynb": b"{"},
        "no Jupyter",
        0,
    ),
    "bidi name": ("a name that is read backwards", lambda: {"5_\u202egnp.ipynb": notebook(RIGHT)}, "name", 0),
}
