"""Tables that people save: CSV from Excel in any of its encodings and separators, from Canvas, from Moodle."""

import codecs
import csv
import io
import re
from pathlib import Path

from hw_xai.errors import UserError

MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
SEPARATOR = re.compile(r"sep=([,;\t])\r?\n")  # a first line for Excel, which says what stands between the values
ENCODINGS = ("utf-8", "cp950", "big5hkscs")  # what Excel in Taiwan and Hong Kong saves as "CSV"


def read_table(path: str | Path) -> list[tuple[int, dict[str, str]]]:
    """Return the rows of a table with their numbers in the file, from 2 on; rows with nothing in them are passed over.

    Names of columns and values come without spaces around them. UserError where it is no table.
    """
    text = text_of(path)
    told = SEPARATOR.match(text)
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=separator_of(text), strict=False))
    except csv.Error:
        raise UserError(f"{path} must be a CSV file: save it as one from the spreadsheet") from None
    numbered = list(enumerate(rows, start=1))[bool(told) :]
    filled = [(i, row) for i, row in numbered if any(value.strip() for value in row)]
    if not filled:
        return []
    names = [name.strip() for name in filled[0][1]]
    return [
        (number, {name: (row[i] if i < len(row) else "").strip() for i, name in enumerate(names) if name})
        for number, row in filled[1:]
    ]


def separator_of(text: str) -> str:
    """Return what stands between the values of a table."""
    if told := SEPARATOR.match(text):
        return told[1]
    first = next((line for line in text.splitlines() if line.strip()), "")
    return max(",\t;", key=first.count)


def text_of(path: str | Path) -> str:
    """Return the text of a table, without a mark of its encoding; UserError where it is none."""
    content = Path(path).read_bytes()
    marked = [encoding for mark, encoding in MARKS.items() if content.startswith(mark)]
    if not marked and content[1:2] == b"\0":
        marked = ["utf-16-le"]
    for encoding in marked or ENCODINGS:
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text
    raise UserError(f'{path} must be a CSV file in UTF-8 (in Excel: "CSV UTF-8"), Big5 or UTF-16')
