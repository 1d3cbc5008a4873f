"""What the commands on sentences share: reading them with their notices, and how tokens are shown."""

import re
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

from ..errors import UserError
from ..language.bert import Bert
from ..language.masks import places
from ..language.tokens import Encoded, encode


def encoded_with_notices(bert: Bert, texts: Sequence[str], pairs: Sequence[str] | None = None) -> list[Encoded]:
    """Encode, and print what was cut off or is unknown: pages repeat it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # `encode` warns of what it cuts off; its notices say the same
        encoded = encode(bert, texts, pairs)
    for notice in dict.fromkeys(notice for e in encoded for notice in e.notices):
        print(f"note: {notice}", file=sys.stderr)
    return encoded


def shown_name(bert: Bert) -> str:
    """Return the model's name; of a folder its last part, since pages are passed on."""
    path = Path(bert.name).expanduser()
    return path.resolve().name if path.is_dir() else bert.name


def display_tokens(bert: Bert, encoded: Encoded) -> list[str]:
    """Return the tokens as people read them: the characters that they stand for; pieces of a word keep their mark."""
    shown = []
    for t, token in enumerate(encoded.tokens):
        start, end = encoded.offsets[t]
        text = encoded.texts[encoded.segments[t]][start:end].strip()
        written = text and encoded.ids[t] not in (bert.tokenizer.unk_token_id, bert.tokenizer.mask_token_id)
        shown.append(("##" if token.startswith("##") else "") + text if written else token)
    return shown


def in_flags(error: UserError) -> UserError:
    """Return a mistake told in Python's keywords as one of the command line."""
    said = str(error).replace("occurrence=1", "--occurrence 1")
    for keyword in ("occurrence", "reference"):
        said = said.replace(f"`{keyword}`", f"--{keyword}")
    return UserError(said)


def places_of(encoded: Encoded, words: Sequence[str]) -> list[int]:
    """Return the tokens of words, in the order of the words; "word#2" is the second place of a word."""
    found = []
    for word in words:
        name, number = re.fullmatch(r"(.+?)(?:#(\d+))?", word, re.DOTALL).groups()
        try:
            found += places(encoded, name, None if number is None else int(number))
        except UserError as error:
            said = str(error).replace("occurrence=1, 2, …", f"--mask {name}#1, {name}#2, …")
            raise UserError(said.replace("`occurrence`", "the number behind #")) from error
    return found
