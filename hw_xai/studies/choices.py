"""Names that a user writes with commas between them."""

from collections.abc import Mapping, Sequence

from ..errors import UserError, nearest


def names_or_all(text: str, known: Sequence[str], also: Mapping[str, str] | None = None) -> list[str]:
    """Return the names in "a,b,c", each once, or all that are known for "all". also: other spellings of a name."""
    if text.strip().lower() == "all":
        return list(known)
    written = (name.strip().lower().replace("-", "_") for name in text.split(","))
    names = list(dict.fromkeys((also or {}).get(name, name) for name in written if name))
    for name in names:
        if name not in known:
            raise UserError(f'no method is called "{name}".{nearest(name, known)} There are: {", ".join(known)}')
    if not names:
        raise UserError(f"`method` needs at least one name, or all. There are: {', '.join(known)}")
    return names
