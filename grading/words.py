"""Words that every room shares: sentences in both languages of the homework, and the digest of nothing."""

import hashlib
from typing import Literal, NamedTuple

Language = Literal["en", "zh-TW", "both"]
NOTHING_AT_ALL = hashlib.sha256().hexdigest()  # the digest of a submission without a file


class Text(NamedTuple):
    """A sentence in both languages of the homework."""

    en: str
    zh: str
