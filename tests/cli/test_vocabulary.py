"""One vocabulary: over all commands of hw-xai and hw-grade an option has one spelling, one kind of value, one bound."""

import argparse
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import fields

import pytest

import grading.cli
import hw_xai.cli
from hw_xai.cli.options import VOCABULARY, flags_of, in_flags
from hw_xai.training import recipe as recipes

LINES = {"hw-xai": hw_xai.cli.LINE, "hw-grade": grading.cli.LINE}
EARLIER = {"--root", "--methods", "--synthetic-images"}  # what they were once called, still accepted
OTHERS = {
    "--output",
    "--epoch",
    "--n_samples",
    "--samples",
    "--random-seed",
    "--rng",
    "--num-workers",
    "--gpu",
    "--dir",
}
# a projection's method is one of three; a class may have several rosters, a studio several models
OF_TWO_KINDS = {"--method", "--model", "--roster"}
RECIPES = {
    ("hw-xai", "train"): recipes.Recipe,
    ("hw-xai", "train-broad"): recipes.BroadRecipe,
    ("hw-xai", "train-lcam"): recipes.LcamRecipe,
    ("hw-xai", "bert"): recipes.BertRecipe,
}


def parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """Yield a parser and those of its commands."""
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from parsers(command)


@pytest.fixture(scope="module")
def options() -> list[tuple[str, str, argparse.Action]]:
    """Every option with the program and the command that take it."""
    found = []
    for program, line in LINES.items():
        for name in line.commands:
            command = next(p for p in parsers(line.parser(name)) if p.prog == f"{program} {name}")
            for one in parsers(command):
                found += [(program, name, action) for action in one._actions if action.option_strings]
    return found


def test_every_command_is_walked(options):
    assert {(program, name) for program, name, _ in options} == {
        (program, name) for program, line in LINES.items() for name in line.commands
    }


def test_an_option_takes_the_same_values_in_every_command(options):
    kinds = defaultdict(set)
    for program, name, action in options:
        recipe = RECIPES.get((program, name))
        if recipe and action.dest in {field.name for field in fields(recipe)}:
            continue  # bounded by the recipe: below
        for flag in action.option_strings:
            kinds[flag].add((type(action), action.type or str, tuple(action.choices or ())))
    several = {flag for flag, kind in kinds.items() if len(kind) > 1}
    assert several <= OF_TWO_KINDS


def test_an_option_of_the_vocabulary_is_the_vocabularys(options):
    for program, name, action in options:
        recipe = RECIPES.get((program, name))
        flag = action.option_strings[0]
        if flag not in VOCABULARY or (recipe and action.dest in {field.name for field in fields(recipe)}):
            continue
        if action.choices is None and flag not in ("--model", "--method"):
            assert (action.type or str) is VOCABULARY[flag].kind, f"{program} {name} {flag}"


def test_every_number_has_bounds(options):
    for program, name, action in options:
        if action.type in (int, float):
            bounded = action.dest in recipes.BOUNDS | recipes.MASKED_WORDS_BOUNDS
            assert bounded, (
                f"{program} {name} {action.option_strings[0]} takes any number: give it a kind of options.py"
            )


def test_no_second_spelling(options):
    flags = {flag for _, _, action in options for flag in action.option_strings if flag.startswith("--")}
    assert not flags & OTHERS
    assert all(re.fullmatch(r"--[a-z][a-z0-9-]*", flag) for flag in flags)
    for _, _, action in options:
        long = [flag for flag in action.option_strings if flag.startswith("--")]
        assert len(set(long) - EARLIER) == 1


def test_what_takes_a_network_takes_a_device(options):
    for name in ("explain", "layers", "features", "train-lcam", "evaluate", "demo"):
        mine = {flag for _, command, action in options if command == name for flag in action.option_strings}
        assert "--device" in mine, name


def test_results_go_to_out(options):
    for name in ("explain", "features", "train", "train-lcam", "evaluate", "demo", "attend", "embed", "tokens", "bert"):
        assert "--out" in {flag for _, command, action in options if command == name for flag in action.option_strings}


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("`n_steps` must be at least 1, got 0", "--n-steps must be at least 1, got 0"),
        ("say `occurrence=1` or more", "say --occurrence 1 or more"),
        ("`occurrence=True` counts them", "--occurrence counts them"),
        ("`learned` must be a LearnedCAM", "--lcam must be a LearnedCAM"),
        ("`root` must be new", "`root` must be new"),
        ("`hw-xai layers` lists them", "`hw-xai layers` lists them"),
        ("`unheard_of` must be 3", "`unheard_of` must be 3"),
    ],
)
def test_a_librarys_keyword_becomes_the_commands_flag(said, told):
    parser = argparse.ArgumentParser()
    for flag in ("--n-steps", "--occurrence", "--lcam"):
        parser.add_argument(flag)
    assert in_flags(said, flags_of(parser)) == told


BERT_MISTAKES = {
    "--heads=5": "--heads must divide --width",
    "--width=7": "--heads must divide --width",
    "--batch-size=0": "--batch-size must be between 1 and",
    "--threads=-1": "--threads: must be a whole number of at least 1",
    "--lr=nan": "--lr must be between 0 and 100, got nan",
    "--layers=-1": "--layers must be between 1 and",
    "--steps=0": "--steps must be between 1 and",
    "--sentences=0": "--sentences must be between 1 and",
    "--reader-steps=0": "--reader-steps: must be a whole number of at least 1",
    "--masked=0": "--masked must be between",
    "--dropout=1": "--dropout must be between",
}


@pytest.mark.parametrize("mistake", BERT_MISTAKES)
def test_a_recipe_out_of_bounds_is_one_sentence(mistake, fails, tmp_path):
    said = fails("bert", "train", "--out", tmp_path / "run", mistake)
    assert BERT_MISTAKES[mistake] in said
    assert not (tmp_path / "run").exists()


def test_only_the_command_that_is_asked_for_is_imported():
    import subprocess
    import sys

    code = (
        "import sys, hw_xai.cli; hw_xai.cli.LINE.parser('submit'); "
        "print([m for m in sys.modules if m.startswith('hw_xai.cli.commands.')], 'torch' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "['hw_xai.cli.commands.submit'] False"


@pytest.mark.parametrize("program", LINES)
def test_the_help_line_of_a_command_is_its_docstrings_first(program):
    line = LINES[program]
    listed = line.parser().format_help()
    for name in line.commands:
        first = line.module(name).__doc__.splitlines()[0]
        assert first.split(":")[0].split(",")[0][:40] in " ".join(listed.split()), name
