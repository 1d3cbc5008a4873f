"""hw-grade: release the homework. A user's mistake is one sentence on stderr and exit code 2, never a traceback."""

import argparse
import sys

from hw_xai.errors import UserError

from .commands import release

COMMANDS = {"release": release}


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="hw-grade", description="Release the homework and grade what comes back.")
    subparsers = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, module in COMMANDS.items():
        first_line = module.__doc__.splitlines()[0]
        module.add_arguments(subparsers.add_parser(name, help=first_line, description=module.__doc__))
    return top


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return the exit code: 0 done, 2 a mistake, 130 interrupted."""
    options = parser().parse_args(arguments)
    try:
        return COMMANDS[options.command].run(options) or 0
    except UserError as error:
        return _say(f"hw-grade {options.command}: {error}", 2)
    except KeyboardInterrupt:
        return _say(f"hw-grade {options.command}: interrupted; what was finished is kept", 130)
    except OSError as error:
        where = f" {error.filename}" if error.filename else ""
        return _say(f"hw-grade {options.command}: cannot use{where}: {error.strerror or error}", 2)


def _say(sentence: str, code: int) -> int:
    print(sentence, file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
