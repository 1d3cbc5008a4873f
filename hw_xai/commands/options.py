"""Kinds of option that several commands take."""

import argparse


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
