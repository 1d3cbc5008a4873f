"""One untrusted notebook: bytes -> cells -> the functions and answers in it. Nothing is run and nothing is raised.

covers: size, number and nesting of what is in the file; any bytes in place of text, JSON, cells and metadata; Python
    that is too large or too deep for its parser. Each costs its file or its cell and is told in a remark.
does not cover: what the code does once it runs; that is the sandbox's.
"""

import codecs
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property, lru_cache
from itertools import islice

from ..words import Text
from .answers import answers_of, merge, sound
from .magics import MOST_WORK, python_of, work_of
from .slicing import MOST_STATEMENTS, Statement, slice_of, statements_of

LARGEST = 64 * 2**20  # bytes of a file
MOST_ENTRIES = 3_000_000  # commas and brackets of a JSON file: each may cost a hundred bytes of memory
MOST_CELLS = 5_000
LONGEST_CELL = 500_000  # characters
MARK = re.compile(r"^#[ \t]*(?:%%(?![^\s\[])|In\s?\[[\d ]*\]:)[^\n]*\n?", re.MULTILINE)  # a cell of a .py begins
GRADE_ID = re.compile(r"""["']?grade_id["']?\s*[:=]\s*["'](?P<id>[\w-]+)["']|exercise=["'](?P<exercise>\w+)["']""")
OURS = re.compile(r"from hw_xai\b")  # our notebooks show the library's own functions before they are written
ORDER = {"definition": 5, "value": 4, "stub": 2, "import": 1}  # which of several definitions is meant, first of all
BROKEN = 3  # in this order: a cell with a syntax error


@dataclass(frozen=True)
class Cell:
    """A code cell. number: its place among all the cells, from 1."""

    number: int
    source: str
    grade_id: str = ""


@dataclass(frozen=True)
class Definition:
    """Where a notebook defines a function: the text of what it needs. rank: the higher, the more it is meant."""

    source: str
    rank: tuple[int, ...]
    several: bool = False  # whether the notebook has more of them
    remarks: tuple[Text, ...] = ()
    cells: tuple[int, ...] = ()  # the numbers of those that the text comes from


@dataclass(frozen=True)
class Notebook:
    """What a file holds. title, student and variant are as its metadata claim.

    texts: name -> what stands in the text cell of that name. changed: when the file was last, where that is known.
    """

    name: str
    cells: tuple[Cell, ...] = ()
    title: str = ""
    student: str = ""
    variant: int | None = None
    remarks: tuple[Text, ...] = ()
    texts: Mapping[str, str] = field(default_factory=dict)
    changed: datetime | None = None

    @cached_property
    def _code(self) -> tuple[list[Statement], dict[int, SyntaxError]]:
        """The statements of all cells, and what is wrong with the cells that cannot be parsed."""
        statements: list[Statement] = []
        faults: dict[int, SyntaxError] = {}
        work = 0
        for place, cell in enumerate(self.cells):
            try:
                work += work_of(cell.source)
                if work > 10 * MOST_WORK:
                    raise SyntaxError("too many magics in one notebook")
                its = [replace(statement, cell=place) for statement in _statements(cell.source)]
                if len(statements) + len(its) > MOST_STATEMENTS:
                    raise SyntaxError(f"more than {MOST_STATEMENTS} statements before its end")
                statements += its
            except SyntaxError as error:
                faults[place] = error
        return statements, faults

    def definition(self, name: str) -> Definition | None:
        """Return the function `name` with what it depends on, None if the notebook has none."""
        statements, faults = self._code
        named = {place for place, cell in enumerate(self.cells) if cell.grade_id == name}
        places = [
            i
            for i, s in enumerate(statements)
            if name in s.binds and s.kind in ORDER and (s.cell in named or not OURS.match(s.text))
        ]
        if not places:
            return self._unparsed(name, faults)

        def rank(i: int) -> tuple[int, ...]:
            statement = statements[i]
            wrong = statement.kind == "value" and name in statement.calls  # f = f(x) is its result
            return 0 if wrong else ORDER[statement.kind], statement.cell in named, i

        best = max(places, key=rank)
        if rank(best)[0] < BROKEN and (broken := self._unparsed(name, faults)):
            return broken
        several = sum(statements[i].kind in ("definition", "stub") for i in places) > 1
        try:
            text, places = slice_of(name, best, statements)
            numbers = tuple(self.cells[place].number for place in places)
            return Definition(text, rank(best)[:2], several, cells=numbers)
        except SyntaxError as error:
            text, number = statements[best].text + "\n", self.cells[statements[best].cell].number
            return Definition(text, rank(best)[:2], several, (too_much(name, error),), (number,))

    def _unparsed(self, name: str, faults: dict[int, SyntaxError]) -> Definition | None:
        """Return the last cell about `name` that cannot be parsed, as it is: running it will say what is wrong."""
        about = re.compile(rf"^[ \t]*(?:(?:async\s+)?def\s+{name}\b|{name}\s*=[^=])", re.MULTILINE)
        for place in reversed(faults):
            if about.search(self.cells[place].source) or self.cells[place].grade_id == name:
                cell = self.cells[place]
                return Definition(cell.source, (BROKEN, cell.grade_id == name), cells=(cell.number,))
        return None

    def faults(self) -> list[Text]:
        """Say which cells are no Python, and why."""
        return [
            Text(
                f"{shown(self.name)}, cell {cell.number}{at}: {what}; nothing of this cell could be used",
                f"{shown(self.name)} 第 {cell.number} 格{at}：{what}；這一格的內容無法使用",
            )
            for place, error in self._code[1].items()
            for cell in [self.cells[place]]
            for at in [f", line {error.lineno}" if error.lineno else ""]
            for what in [shown(str(error.msg))]
        ]

    def answers(self) -> tuple[dict[str, object], list[Text]]:
        """Return what the cells answer, later ones before earlier ones unless they are empty, and remarks."""
        answers: dict[str, object] = {}
        remarks: list[Text] = []
        for cell in self.cells:
            its, more = answers_of(cell.source)
            remarks += more
            merge(answers, its)
        return answers, remarks


def too_much(name: str, error: SyntaxError) -> Text:
    return Text(f"{name}: {error.msg}; it is graded without the rest", f"{name}：相依的程式過於龐大，只評分函式本身")


def shown(text: str, longest: int = 80) -> str:
    """Return a text of a student's for a sentence of ours: one line, nothing but printable signs, not long."""
    clean = "".join(sign if sign.isprintable() else "�" for sign in text[: longest + 1])
    return clean[:longest] + "…" if len(clean) > longest else clean


# ------------------------------------------------------------------------------------------------------------- reading


def read_notebook(content: bytes, name: str) -> Notebook:
    """Read a .ipynb of format 3 or 4, or a .py with or without the marks of cells."""
    if len(content) > LARGEST:
        return _nothing(name, f"the file has more than {LARGEST >> 20} MB; clear the outputs and save it again",
                        f"檔案超過 {LARGEST >> 20} MB；請清除輸出後重新儲存")  # fmt: skip
    text, sure = text_of(content)
    remarks: tuple[Text, ...] = () if sure else (_unsure(name),)
    if not name.lower().endswith(".ipynb") and not text.lstrip().startswith("{"):
        return Notebook(name, tuple(_cells_of_python(text)), remarks=remarks)
    if sum(text.count(sign) for sign in "[{,") > MOST_ENTRIES:
        return _nothing(name, "the file holds too many things; clear the outputs and save it again",
                        "檔案內容過多；請清除輸出後重新儲存")  # fmt: skip
    try:
        data = json.loads(text, strict=False)
        if not isinstance(data, dict):
            raise ValueError("a notebook is an object")
    except (ValueError, RecursionError, MemoryError) as error:
        what = "too deeply nested" if isinstance(error, RecursionError) else shown(str(error))
        return _nothing(name, f"this is no Jupyter notebook ({what}); open it in Jupyter and save it again",
                        f"這不是 Jupyter 筆記本（{what}）；請用 Jupyter 開啟後重新儲存")  # fmt: skip
    cells, texts, skipped = _cells_of(data)
    if skipped:
        remarks += (Text(f"{shown(name)}: {skipped} damaged cells were left out",
                         f"{shown(name)}：略過 {skipped} 個損壞的儲存格"),)  # fmt: skip
    ours = _entry(_entry(data, "metadata"), "hw_xai")
    title, student, variant = (ours.get(key) for key in ("notebook", "student", "variant"))
    return Notebook(
        name,
        tuple(cells),
        title if isinstance(title, str) else "",
        student if isinstance(student, str) and len(student) < 100 and sound(student) else "",
        variant if type(variant) is int and 0 <= variant < 2**33 else None,
        remarks,
        texts,
    )


def text_of(content: bytes) -> tuple[str, bool]:
    """Return bytes as text with \\n at the line ends, and whether its encoding was sure."""
    sure = True
    marks = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF16_LE: "utf-16",
             codecs.BOM_UTF16_BE: "utf-16"}  # fmt: skip
    encodings = [encoding for mark, encoding in marks.items() if content.startswith(mark)][:1]
    if not encodings and content[1:2] == b"\0":
        encodings = ["utf-16-le"]
    for encoding in [*encodings, "utf-8", "cp950", "latin-1"]:
        try:
            text = content.decode(encoding)
            sure = encoding not in ("cp950", "latin-1")
            break
        except UnicodeDecodeError:
            continue
    return _one_line_end(text), sure


def _one_line_end(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _cells_of_python(text: str) -> Iterator[Cell]:
    marks = list(islice(MARK.finditer(text), MOST_CELLS))
    starts = [(0, ""), *((mark.end(), mark[0]) for mark in marks)]
    ends = [*(mark.start() for mark in marks), len(text)]
    for number, ((start, mark), end) in enumerate(zip(starts, ends, strict=True), start=1):
        if "[markdown]" in mark or "[raw]" in mark or not text[start:end].strip() or number > MOST_CELLS:
            continue
        found = GRADE_ID.search(mark)
        source = re.sub(
            r"^([ \t]*)#[ \t]?(?=[%!])", r"\1", text[start:end], flags=re.MULTILINE
        )  # jupytext comments magics out
        yield Cell(number, _sound(source), (found["id"] or found["exercise"]) if found else "")


def _cells_of(data: dict) -> tuple[list[Cell], dict[str, str], int]:
    """Return the code cells of a notebook as read from JSON, the named text cells, and how many were no cells."""
    rows = _list(data.get("cells"))
    for sheet in _list(data.get("worksheets")):  # format 3
        rows += _list(_entry({"": sheet}, "").get("cells"))
    cells, texts, skipped = [], {}, max(0, len(rows) - MOST_CELLS)
    for number, row in enumerate(rows[:MOST_CELLS], start=1):
        source = row.get("source", row.get("input", "")) if isinstance(row, dict) else None
        if isinstance(source, list):
            source = "".join(line for line in source if isinstance(line, str))
        if not isinstance(source, str) or len(source) > LONGEST_CELL:
            skipped += 1
            continue
        grade_id = _entry(_entry(row, "metadata"), "nbgrader").get("grade_id")
        grade_id = grade_id if isinstance(grade_id, str) else ""
        source = _sound(_one_line_end(source))
        if row.get("cell_type", "code") == "code":
            cells.append(Cell(number, source, grade_id))
        elif re.fullmatch(r"[\w-]{1,60}", grade_id):
            texts[grade_id] = source
    return cells, texts, skipped


def _entry(data: dict, key: str) -> dict:
    found = data.get(key)
    return found if isinstance(found, dict) else {}


def _list(value: object) -> list:
    return list(value) if isinstance(value, list) else []


def _sound(text: str) -> str:
    return text if sound(text) else text.encode(errors="replace").decode()


def _nothing(name: str, en: str, zh: str) -> Notebook:
    return Notebook(name, remarks=(Text(f"{shown(name)}: {en}", f"{shown(name)}：{zh}"),))


def _unsure(name: str) -> Text:
    return Text(
        f"{shown(name)}: not written in UTF-8; its text was read as well as it could be",
        f"{shown(name)}：檔案編碼不是 UTF-8，已盡可能讀取",
    )


@lru_cache(maxsize=512)
def _kept(source: str) -> tuple[Statement, ...]:
    return tuple(statements_of(python_of(source)))


def _statements(source: str) -> tuple[Statement, ...]:
    """Return the statements of a cell; those of short cells are kept, for most cells are the same in all notebooks."""
    return _kept(source) if len(source) < 10_000 else _kept.__wrapped__(source)


def definitions(notebooks: Sequence[Notebook], name: str, home: str) -> list[tuple[Notebook, Definition]]:
    """Return who defines `name`, the best last. home: the notebook that asks for it."""
    found = [(notebook, its) for notebook in notebooks if (its := notebook.definition(name))]

    def rank(row: tuple[Notebook, Definition]) -> tuple:
        notebook, its = row
        return its.rank[0], home in (notebook.title, notebook.name.rsplit("/")[-1][: len(home)]), its.rank[1]

    return sorted(found, key=rank)
