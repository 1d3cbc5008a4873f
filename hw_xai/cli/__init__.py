"""hw-xai: the command line. A user's mistake is one sentence on stderr and exit code 2, never a traceback."""

import argparse
import errno
import os
import sys
from collections.abc import Mapping
from types import ModuleType

from .. import __version__
from ..errors import UserError
from .commands import (
    attend,
    bert,
    data,
    demo,
    embed,
    evaluate,
    explain,
    features,
    layers,
    methods,
    submit,
    tokens,
    train,
    train_lcam,
)

COMMANDS = {
    "demo": demo,
    "explain": explain,
    "methods": methods,
    "layers": layers,
    "features": features,
    "attend": attend,
    "embed": embed,
    "tokens": tokens,
    "evaluate": evaluate,
    "data": data,
    "train": train,
    "train-lcam": train_lcam,
    "bert": bert,
    "submit": submit,
}


def parser() -> argparse.ArgumentParser:
    top = with_commands("hw-xai", "Explain a food-11 CNN and a BERT, and see why.", COMMANDS)
    top.add_argument("--version", action="version", version=f"hw-xai {__version__}")
    return top


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return the exit code: 0 done, 1 the data has faults, 2 a mistake, 130 interrupted."""
    return run_command(parser(), COMMANDS, arguments)


def with_commands(program: str, description: str, commands: Mapping[str, ModuleType]) -> argparse.ArgumentParser:
    """Return a parser with one subcommand for each module, described by the module's docstring."""
    top = argparse.ArgumentParser(prog=program, description=description)
    subparsers = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, module in commands.items():
        first_line = module.__doc__.splitlines()[0]
        module.add_arguments(subparsers.add_parser(name, help=first_line, description=module.__doc__))
    return top


def run_command(
    parser: argparse.ArgumentParser, commands: Mapping[str, ModuleType], arguments: list[str] | None
) -> int:
    """Run the subcommand that the arguments name and return the exit code; say a user's mistake in one sentence."""
    options = parser.parse_args(arguments)
    asked = f"{parser.prog} {options.command}"
    try:
        return commands[options.command].run(options) or 0
    except UserError as error:
        return _say(f"{asked}: {error}", 2)
    except KeyboardInterrupt as stop:
        return _say(f"{asked}: interrupted; {str(stop) or 'what was finished is kept'}", 130)
    except BrokenPipeError:
        # the reader of our output went away (`| head`): nothing is wrong, but Python would complain once more at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        where = f" {error.filename}" if error.filename else ""
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return _say(f"{asked}: the disk is full: free some space, or write elsewhere with --out", 2)
        return _say(f"{asked}: cannot use{where}: {error.strerror or error}", 2)


def _say(sentence: str, code: int) -> int:
    print(sentence, file=sys.stderr)
    return code
