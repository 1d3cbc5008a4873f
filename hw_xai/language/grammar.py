"""Patterns with {slots}, filled at random: sentences whose tags, senses and answers are known by construction."""

import re
from random import Random

Slots = dict[str, list[str]]

_SLOT = re.compile(r"\{(\w+)\}")


def read_slots(table: dict[str, str | list[str] | dict[str, str]]) -> Slots:
    """Return slot -> phrases; a string is a list of words, a table `{TAG = "words"}` a list of tagged words."""
    slots = {}
    for name, value in table.items():
        if isinstance(value, str):
            slots[name] = value.split()
        elif isinstance(value, list):
            slots[name] = value
        else:
            slots[name] = [f"{word}/{tag}" for tag, words in value.items() for word in words.split()]
    return slots


def expand(pattern: str, slots: Slots, rng: Random) -> str:
    """Fill every {slot} of `pattern`, also those inside what was drawn.

    A slot that occurs again gets another value. One gender is drawn for the whole sentence: where there is no slot `he`
    it is `he_f` or `he_m`. The article "a" becomes "an" where a vowel follows.
    """
    gender = rng.choice("fm")
    used: set[str] = set()

    def draw(match: re.Match) -> str:
        choices = slots.get(match[1]) or slots[f"{match[1]}_{gender}"]
        choice = rng.choice([c for c in choices if c not in used] or choices)
        used.add(choice)
        return choice

    while _SLOT.search(pattern):
        pattern = _SLOT.sub(draw, pattern)
    return with_articles(pattern)


def with_articles(text: str) -> str:
    """Return `text` with "an" for "a" before a vowel; the words may carry tags ("a/DET apple/NOUN")."""
    return re.sub(r"\b([Aa])((?:/DET)?) (?=[aeiouAEIOU])", r"\1n\2 ", text)


def capitalized(text: str) -> str:
    """Return `text` with its first letter in upper case and the rest as it was."""
    return text[:1].upper() + text[1:]
