"""Sentences with their senses, and questions with their passages, from the files that people have: TSV, CSV, JSON."""

import csv
import io
import json
from pathlib import Path
from typing import Any

from ..errors import UserError
from ..language.corpus import ReadingExample

_SENTENCE = ("sentence", "text", "句子", "文本")
_SENSE = ("sense", "label", "meaning", "group", "class", "意思", "標籤", "标签")
_PASSAGE = ("passage", "context", "text", "paragraph")


def labelled_sentences(path: Path) -> list[tuple[str, str]]:
    """Return the sentences of a file with their senses, "" where there is none.

    Text: a sentence a line and, behind a tab, its sense. CSV and TSV: the same in columns, or in those that a first
    row names (sentence or text; sense or label). JSON (also a line each): sentences, pairs, objects with these names,
    or {sense: [sentences]}.
    """
    text = _text(path)
    if path.suffix.lower() in (".json", ".jsonl", ".ndjson"):
        return [_from_json(path, one) for one in _entries(_json(path, text))]
    return _from_rows(path, _rows(path, text))


def _text(path: Path) -> str:
    if not path.is_file():
        raise UserError(f"`sentences` must be ten, built-in:WORD, passage:N or a file, but there is no file {path}")
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path} must be a text in UTF-8, but byte {error.start} is not: save it as UTF-8") from error


def _rows(path: Path, text: str) -> list[list[str]]:
    """Return the cells of each line that is not empty."""
    if path.suffix.lower() != ".csv":
        rows = [line.split("\t") for line in text.splitlines()]
    else:
        first = next((line for line in text.splitlines() if line.strip()), "")
        separator = max(",;\t", key=first.count)  # a spreadsheet in many countries writes semicolons
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=separator))
    cells = ([cell.strip() for cell in row] for row in rows)
    return [row for row in cells if any(row)]


def _from_rows(path: Path, rows: list[list[str]]) -> list[tuple[str, str]]:
    names = [cell.lower() for cell in rows[0]] if rows else []
    headed = any(name in _SENTENCE for name in names)
    sentence = next((i for i, name in enumerate(names) if name in _SENTENCE), 0) if headed else 0
    sense = next((i for i, name in enumerate(names) if name in _SENSE), None) if headed else 1
    found = []
    for number, row in enumerate(rows[1:] if headed else rows, start=2 if headed else 1):
        if sentence >= len(row) or not row[sentence]:
            raise UserError(f"{path} must hold a sentence in each row, but row {number} has none: {row}")
        found.append((row[sentence], row[sense] if sense is not None and sense < len(row) else ""))
    return found


def _json(path: Path, text: str) -> Any:
    try:
        if path.suffix.lower() == ".json":
            return json.loads(text)
        return [json.loads(line) for line in text.splitlines() if line.strip()]
    except json.JSONDecodeError as error:
        raise UserError(f"{path} must be JSON, but line {error.lineno} is not: {error.msg}") from error


def _entries(content: Any) -> list[Any]:
    """Return a list of entries; {sense: [sentences]} becomes pairs, and an object with one list in it that list."""
    if isinstance(content, dict):
        lists = [value for value in content.values() if isinstance(value, list)]
        if len(lists) == 1 and any(isinstance(entry, dict) for entry in lists[0]):
            return lists[0]
        return [
            [sentence, sense]
            for sense, sentences in content.items()
            for sentence in (sentences if isinstance(sentences, list) else [sentences])
        ]
    return content if isinstance(content, list) else [content]


def _from_json(path: Path, entry: Any) -> tuple[str, str]:
    cells: list[Any] = []
    if isinstance(entry, str):
        cells = [entry, ""]
    elif isinstance(entry, list):
        cells = [*entry[:2], "", ""][:2] if entry else []
    elif isinstance(entry, dict):
        cells = [_named(entry, _SENTENCE), _named(entry, _SENSE) or ""]
    if not cells or not isinstance(cells[0], str) or not cells[0].strip():
        raise UserError(f'{path} must hold sentences such as {{"sentence": "…", "sense": "…"}}, got {str(entry)[:80]}')
    return cells[0].strip(), str(cells[1]).strip()


def _named(entry: dict, names: tuple[str, ...]) -> Any:
    return next((value for key, value in entry.items() if str(key).lower() in names), None)


def own_passage(path: Path) -> ReadingExample:
    """Return a question about a passage, and its answer where that is told, from JSON or from lines.

    JSON: "question", "passage" (or "context") and "answer", SQuAD's "answers" too. Text: the question in the first
    line, the passage in the rest.
    """
    text = _text(path)
    if path.suffix.lower() == ".json":
        entry = _json(path, text)
        entry = entry[0] if isinstance(entry, list) and entry else entry
        entry = entry if isinstance(entry, dict) else {}
        question, passage = entry.get("question"), _named(entry, _PASSAGE)
        answers = entry.get("answers", {})
        told = answers.get("text", []) if isinstance(answers, dict) else answers
        answer = entry.get("answer") or (told[0] if told else "")
        answer = answer.get("text", "") if isinstance(answer, dict) else answer
    else:
        question, _, passage = text.strip().partition("\n")
        answer = ""
    if not (isinstance(question, str) and isinstance(passage, str) and question.strip() and passage.strip()):
        raise UserError(
            f'{path} must hold a question and a passage, as {{"question": "…", "passage": "…", "answer": "…"}} or as '
            "lines of text, the question first"
        )
    passage, answer = passage.strip(), str(answer).strip()
    if answer not in passage:
        raise UserError(f'{path} must have its answer in the passage, letter by letter, got "{answer}"')
    return ReadingExample(passage, question.strip(), answer, passage.index(answer))
