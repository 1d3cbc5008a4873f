"""The one vocabulary of options: what each is called, which values it takes, and how a library's sentence names it."""

import argparse
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeVar, cast

RecipeType = TypeVar("RecipeType")

DEVICES = ("auto", "cpu", "cuda", "mps")


def count(text: str) -> int:
    """Return a whole number of at least 1."""
    if not text.isdecimal() or not 1 <= int(text) < 2**31:
        raise argparse.ArgumentTypeError(f'must be a whole number of at least 1, got "{text}"')
    return int(text)


def natural(text: str) -> int:
    """Return a whole number of at least 0."""
    if not text.isdecimal() or int(text) >= 2**31:
        raise argparse.ArgumentTypeError(f'must be a whole number of at least 0, got "{text}"')
    return int(text)


def seed(text: str) -> int:
    """Return a whole number from 0 to 2³² − 1, which every generator takes."""
    if not text.isdecimal() or int(text) >= 2**32:
        raise argparse.ArgumentTypeError(f'must be a whole number from 0 to {2**32 - 1}, got "{text}"')
    return int(text)


def port(text: str) -> int:
    """Return a whole number from 0 to 65535."""
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f'must be a whole number from 0 to 65535, got "{text}"')
    return int(text)


def share(text: str) -> float:
    """Return a number from 0 to 10."""
    return _number(text, 0, 10)


def gigabytes(text: str) -> float:
    """Return a number from 0.001 to a million."""
    return _number(text, 0.001, 1e6)


def _number(text: str, low: float, high: float) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not low <= value <= high:
        raise argparse.ArgumentTypeError(f'must be a number from {low:g} to {high:,g}, got "{text}"')
    return value


@dataclass(frozen=True)
class Option:
    """What every command means by an option; a command may give it a default and say more about it."""

    help: str
    kind: Callable[[str], Any] = str
    metavar: str | None = None
    choices: tuple[str, ...] | None = None
    default: Any = None


_MODEL = (
    "shipped name, imagenet, weights file, package.module:function that returns a model, a name of torchvision's or "
    "timm:NAME with --weights, or a folder or hub name of a Hugging Face image classifier"
)

# How an option is spelled and what it takes is said here alone: tests/cli/test_vocabulary.py walks every parser.
VOCABULARY = {
    "--out": Option("folder for the results", metavar="DIR"),
    "--model": Option(_MODEL, metavar="MODEL"),
    "--weights": Option("file of the weights of a torchvision or timm network", metavar="FILE"),
    "--classes": Option("names of the network's classes, with commas between them or in a file", metavar="NAMES|FILE"),
    "--normalize": Option(
        "own or none: what a network with --weights learned with", choices=("own", "none"), default="own"
    ),
    "--device": Option("where the model runs; auto: a GPU where there is one", choices=DEVICES, default="auto"),
    "--data": Option('food-11 folder, folder of photos, or "synthetic" for the drawn dishes', metavar="FOLDER"),
    "--method": Option("names of the catalog with commas between them, or all", metavar="NAMES"),
    "--layer": Option("see `hw-xai layers`"),
    "--target": Option("class to explain (default: the predicted one)", metavar="CLASS"),
    "--lcam": Option("trained L-CAM (default: the one shipped for the model)", metavar="NAME|FILE"),
    "--images": Option("how many images", count, "N"),
    "--size": Option("side of the pictures, pixels", count, "PIXELS"),
    "--n-samples": Option("draws of the methods that draw", count, "N"),
    "--n-steps": Option("points on the path of integrated gradients", count, "N"),
    "--noise-level": Option("SmoothGrad's σ as a share of the input's range", share, "SHARE"),
    "--batch-size": Option("rows in one call of the model: less needs less memory", count, "N"),
    "--seed": Option("decides everything that is random", seed, "N", default=0),
    "--threads": Option("CPU threads (PyTorch's own choice)", count, "N"),
    "--workers": Option("processes that read photos", natural, "N", default=0),
    "--jobs": Option("processes (default: one for each core)", count, "N"),
    "--reader-steps": Option("batches of the reader", count, "N"),
    "--occurrence": Option("which one, where the word stands more than once", count, "N"),
    "--max-gigabytes": Option("refuse archives that unpack to more", gigabytes, "GB", default=8),
}

# Keywords of the library whose option has another name; any other keyword is its option's.
KEYWORDS = {"learned": "--lcam", "root": "--out", "input_size": "--size"}


def add(parser: argparse._ActionsContainer, *flags: str, **changes: Any) -> None:
    """Add an option of the vocabulary under its name, the first of `flags`; changes: default, help, required, …"""
    option = VOCABULARY[flags[0]]
    settings: dict[str, Any] = {"help": option.help, "default": option.default}
    if option.choices:
        settings["choices"] = option.choices
    else:
        settings |= {"type": option.kind, "metavar": option.metavar}
    settings |= changes
    if settings["default"] is not None and "default" not in settings["help"]:
        settings["help"] += " (default: %(default)s)"
    parser.add_argument(*flags, **settings)


def add_model(parser: argparse._ActionsContainer, **changes: Any) -> None:
    """Add what `load_model` takes: the model, its weights and classes where it does not bring them, the device."""
    add(parser, "--model", **changes)
    for flag in ("--weights", "--classes", "--normalize", "--device"):
        add(parser, flag)


def model_of(options: argparse.Namespace) -> dict[str, Any]:
    """Return the keywords of `load_model` besides its source that the options of `add_model` ask for."""
    return {name: getattr(options, name) for name in ("weights", "classes", "normalize", "device")}


# ------------------------------------------------------------------------------------------------------------- recipes


def add_recipe(parser: argparse.ArgumentParser, recipe: type, helps: Mapping[str, str]) -> None:
    """Add an option for each field of a recipe, a dataclass, with the field's default; the recipe knows the bounds."""
    for option in fields(recipe):
        flag = "--" + option.name.replace("_", "-")
        text = f"{helps[option.name]} (default: %(default)s)"
        if option.type is bool:
            parser.add_argument(flag, action="store_true", help=helps[option.name])
        else:
            kind = {int: "N", float: "NUMBER"}.get(cast(type, option.type))
            parser.add_argument(flag, type=option.type, default=option.default, metavar=kind, help=text)


def recipe_of(options: argparse.Namespace, recipe: type[RecipeType]) -> RecipeType:
    """Return the recipe that the options of `add_recipe` ask for."""
    return recipe(**{option.name: getattr(options, option.name) for option in fields(recipe)})  # type: ignore[arg-type]


# --------------------------------------------------------------------------------------------- from keywords to flags


def flags_of(parser: argparse.ArgumentParser) -> dict[str, str]:
    """Return the flag of each keyword that a parser and its commands know: {"n_steps": "--n-steps"}."""
    flags: dict[str, str] = {}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                flags |= flags_of(command)
        elif action.option_strings:
            flags[action.dest] = next(s for s in action.option_strings if s.startswith("--"))
    return flags | {keyword: flag for keyword, flag in KEYWORDS.items() if flag in flags.values()}


def in_flags(sentence: str, flags: Mapping[str, str]) -> str:
    """Return a library's sentence as a command says it: `n_steps` --n-steps, `seed=1` --seed 1, `all=True` --all."""

    def told(match: re.Match) -> str:
        flag = flags.get(match["keyword"])
        value = match["value"]
        return match[0] if flag is None else flag if value in (None, "True") else f"{flag} {value}"

    return re.sub(r"`(?P<keyword>[a-z][a-z0-9_]*)(?:=(?P<value>[^`]*))?`", told, sentence)
