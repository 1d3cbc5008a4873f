"""Names that a user writes with commas between them."""

from collections.abc import Mapping, Sequence

from ..errors import UserError, nearest


def written(text: str) -> list[str]:
    """Return the names in "a,b,c", each once, as the catalog spells them."""
    names = (name.strip().lower().replace("-", "_") for name in text.split(","))
    return list(dict.fromkeys(name for name in names if name))


def names_or_all(
    text: str, known: Sequence[str], also: Mapping[str, str] | None = None, option: str = "method"
) -> list[str]:
    """Return the names in "a,b,c", each once, or all that are known for "all"; UserError for one that is not.

    also: other spellings of a name. option: the keyword that the names were given by.
    """
    if text.strip().lower() == "all":
        return list(known)
    names = list(dict.fromkeys((also or {}).get(name, name) for name in written(text)))
    for name in names:
        if name not in known:
            raise UserError(f'`{option}` has no "{name}".{nearest(name, known)} There are: {", ".join(known)}')
    if not names:
        raise UserError(f"`{option}` needs at least one name, or all. There are: {', '.join(known)}")
    return names
