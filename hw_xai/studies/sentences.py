"""What the studies of sentences share: reading them with their notices, places of words, and how tokens are shown."""

import re
import warnings
from collections.abc import Sequence
from pathlib import Path

from ..errors import UserError
from ..language.bert import Bert
from ..language.masks import places
from ..language.tokens import Encoded, encode, stands_in


def read_sentences(bert: Bert, texts: Sequence[str], pairs: Sequence[str] | None = None) -> list[Encoded]:
    """Encode; what was cut off or is unknown is told by `notices_of`, and not by a warning besides."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # `encode` warns of what it cuts off; its notices say the same
        return encode(bert, texts, pairs)


def notices_of(encoded: Sequence[Encoded]) -> list[str]:
    """Return what readers must know of the sentences, each notice once."""
    return list(dict.fromkeys(notice for e in encoded for notice in e.notices))


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
        text = ("##" if token.startswith("##") else "") + text if written else token
        alike = [u for u in range(len(encoded)) if _place(encoded, u) == _place(encoded, t)]
        shared = written and len(alike) > 1  # bytes of one character
        shown.append(f"{text} {alike.index(t) + 1}/{len(alike)}" if shared else text)
    return shown


def _place(encoded: Encoded, t: int) -> tuple[int, int, int]:
    return (encoded.segments[t], *encoded.offsets[t])


def places_of(encoded: Encoded, words: Sequence[str]) -> list[int]:
    """Return the tokens of words, in the order of the words; "word#2" is the second place of a word."""
    found: list[int] = []
    for word in words:
        name, number = _numbered(word)
        try:
            found += places(encoded, name, number)
        except UserError as error:
            said = str(error).replace("`occurrence=1`, 2, …", f"{name}#1, {name}#2, …")
            raise UserError(said.replace("`occurrence`", "the number behind #")) from error
    return found


def words_in(encoded: Sequence[Encoded], words: Sequence[str]) -> list[list[str]]:
    """Return which of the words each sentence holds; UserError for one that none holds, or that is not clear."""
    here = [[word for word in words if stands_in(e, _numbered(word)[0])] for e in encoded]
    for word in words:
        if not any(word in found for found in here):
            places_of(encoded[0], [word])  # says what is missing
    for e, found in zip(encoded, here, strict=True):
        places_of(e, found)
    return here


def missing_words(encoded: Sequence[Encoded], words: Sequence[str]) -> list[str]:
    """Return a sentence for each word that some of the sentences do not hold."""
    return [
        f'"{_numbered(word)[0]}" is not in "{" / ".join(e.texts)}": nothing is hidden there in its place'
        for e in encoded
        for word in words
        if not stands_in(e, _numbered(word)[0])
    ]


def _numbered(word: str) -> tuple[str, int | None]:
    """Return what "word#2" means."""
    match = re.fullmatch(r"(.+?)#(\d+)", word, re.DOTALL)
    return (match[1], int(match[2])) if match else (word, None)
