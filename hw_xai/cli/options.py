"""Kinds of option that several commands take."""

import argparse
from collections.abc import Mapping
from dataclasses import fields
from typing import TypeVar

Recipe = TypeVar("Recipe")


def add_recipe(parser: argparse.ArgumentParser, recipe: type, helps: Mapping[str, str]) -> None:
    """Add an option for each field of a recipe, a dataclass, with the field's default."""
    for option in fields(recipe):
        flag = "--" + option.name.replace("_", "-")
        if option.type is bool:
            parser.add_argument(flag, action="store_true", help=helps[option.name])
        else:
            parser.add_argument(flag, type=option.type, default=option.default, help=helps[option.name])


def recipe_of(options: argparse.Namespace, recipe: type[Recipe]) -> Recipe:
    """Return the recipe that the options of `add_recipe` ask for."""
    return recipe(**{option.name: getattr(options, option.name) for option in fields(recipe)})


def count(text: str) -> int:
    """Return a whole number of at least 1."""
    if not text.isdecimal() or not 1 <= int(text) < 2**31:
        raise argparse.ArgumentTypeError(f'must be a whole number of at least 1, got "{text}"')
    return int(text)


def seed(text: str) -> int:
    """Return a whole number from 0 to 2³² − 1, which every generator takes."""
    if not text.isdecimal() or int(text) >= 2**32:
        raise argparse.ArgumentTypeError(f'must be a whole number from 0 to {2**32 - 1}, got "{text}"')
    return int(text)


def share(text: str) -> float:
    """Return a number from 0 to 10."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 10:
        raise argparse.ArgumentTypeError(f'must be a number from 0 to 10, got "{text}"')
    return value
