"""A command line of several commands, of which only the one that is asked for is imported."""

import argparse
import errno
import importlib
import importlib.util
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from ..errors import UserError
from .options import flags_of, in_flags


@dataclass(frozen=True)
class CommandLine:
    """A program whose commands are the modules of a package: each has a docstring, `add_arguments` and `run`."""

    program: str
    description: str
    package: str
    commands: tuple[str, ...]
    version: str | None = None

    def parser(self, *asked: str) -> argparse.ArgumentParser:
        """Return the parser; only the commands in `asked` know their options, and only they are imported."""
        top = argparse.ArgumentParser(prog=self.program, description=self.description)
        subparsers = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
        for name in self.commands:
            if name in asked:
                module = self.module(name)
                module.add_arguments(subparsers.add_parser(name, help=self._help(name), description=module.__doc__))
            else:
                subparsers.add_parser(name, help=self._help(name))
        if self.version:
            top.add_argument("--version", action="version", version=f"{self.program} {self.version}")
        return top

    def module(self, name: str) -> ModuleType:
        return importlib.import_module(f"{self.package}.{name.replace('-', '_')}")

    def run(self, arguments: list[str] | None = None) -> int:
        """Run the command that the arguments name and return the exit code; say a user's mistake in one sentence."""
        given = sys.argv[1:] if arguments is None else arguments
        asked = next((word for word in given if not word.startswith("-")), "")
        said = f"{self.program} {asked}".rstrip()
        flags: dict[str, str] = {}
        try:
            parser = self.parser(asked)
            options = parser.parse_args(given)
            flags = options.flags = flags_of(parser)  # for what a command says in the library's words
            return self.module(options.command).run(options) or 0
        except ValueError as error:
            if not isinstance(error, UserError) and not re.match(r"`\w+` must ", str(error)):
                raise  # a fault of ours: the library tells what a user can mend as "`keyword` must be …"
            return _say(f"{said}: {in_flags(str(error), flags)}", 2)
        except KeyboardInterrupt as stop:
            return _say(f"{said}: interrupted; {str(stop) or 'what was finished is kept'}", 130)
        except BrokenPipeError:
            # the reader of our output went away (`| head`): nothing is wrong, but Python would complain at exit
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        except OSError as error:
            where = f" {error.filename}" if error.filename else ""
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                return _say(f"{said}: the disk is full: free some space, or write elsewhere with --out", 2)
            return _say(f"{said}: cannot use{where}: {error.strerror or error}", 2)

    def _help(self, name: str) -> str:
        """Return the first line of a command's docstring, without importing the command."""
        spec = importlib.util.find_spec(f"{self.package}.{name.replace('-', '_')}")
        assert spec is not None, name
        assert spec.origin is not None, name
        with Path(spec.origin).open(encoding="utf-8") as file:
            return file.readline().strip().strip('"').replace("%", "%%")


def _say(sentence: str, code: int) -> int:
    print(sentence, file=sys.stderr)
    return code
