"""How the tokens of a vocabulary are written for people: bytes and SentencePiece marks as the text that they mean."""

from functools import lru_cache
from typing import Any

_SPACES = ("Ġ", "▁")  # how byte-level BPE and SentencePiece write the space before a word


def byte_characters() -> dict[str, int]:
    """Return the character -> byte table of byte-level BPE (Radford et al. 2019): printable bytes are themselves."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + k): byte for k, byte in enumerate(others)}


@lru_cache(maxsize=8)
def readable_vocabulary(tokenizer: Any, size: int) -> tuple[str, ...]:
    """Return tokens 0 to size − 1 as people read them, no two alike where their spellings are not.

    A word that begins anew is written plainly; a piece that would read like one gets BERT's mark, "##ing". Bytes that
    are no character alone are ⟨E8⟩.
    """
    tokens = tokenizer.convert_ids_to_tokens(range(size))
    tokens = [f"[{i}]" if token is None else token for i, token in enumerate(tokens)]  # rows that no token has
    marked = {mark for mark in _SPACES if sum(token.startswith(mark) for token in tokens) > 1}
    if not marked:
        return tuple(tokens)
    table = byte_characters() if "Ġ" in marked else None
    special = set(tokenizer.all_special_tokens)
    texts = [token if token in special else _text(token, table) for token in tokens]
    words = {text.strip() for text in texts if text.startswith(" ")}

    def written(text: str) -> str:
        plain = text.strip() or "␣" * max(1, len(text))
        return f"##{plain}" if text and not text.startswith(" ") and plain in words else plain

    return tuple(token if token in special else written(text) for token, text in zip(tokens, texts, strict=True))


def readable(tokenizer: Any, token_id: int, size: int) -> str:
    """Return one token as people read it; size: of the vocabulary."""
    return readable_vocabulary(tokenizer, size)[token_id]


def _text(token: str, table: dict[str, int] | None) -> str:
    """Return the text that a token stands for; table: that of a byte-level vocabulary."""
    if table is None:
        if token.startswith("<0x") and token.endswith(">"):
            return f"⟨{token[3:-1]}⟩"
        return token.replace("▁", " ")
    if not all(character in table for character in token):
        return token
    # a byte that is no part of a whole character comes out as a lone surrogate
    characters = bytes(table[character] for character in token).decode("utf-8", errors="surrogateescape")
    return "".join(c if c.isprintable() else f"⟨{ord(c) & 0xFF:02X}⟩" for c in characters)
