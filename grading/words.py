"""Sentences in both languages of the homework."""

from typing import NamedTuple


class Text(NamedTuple):
    """A sentence in both languages of the homework."""

    en: str
    zh: str
