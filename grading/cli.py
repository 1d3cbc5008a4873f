"""hw-grade: release the homework. A user's mistake is one sentence on stderr and exit code 2, never a traceback."""

import sys

from hw_xai.cli import run_command, with_commands

from .commands import release

COMMANDS = {"release": release}


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return the exit code: 0 done, 2 a mistake, 130 interrupted."""
    return run_command(with_commands("hw-grade", "Release the homework.", COMMANDS), COMMANDS, arguments)


if __name__ == "__main__":
    sys.exit(main())
