"""hw-grade: release the homework, grade it. A mistake is one sentence on stderr and exit code 2, never a traceback."""

import argparse
import sys

from hw_xai.cli import run_command, with_commands

from .commands import audit, gradescope, release, report, run

COMMANDS = {"release": release, "run": run, "report": report, "audit": audit, "gradescope": gradescope}


def parser() -> argparse.ArgumentParser:
    return with_commands("hw-grade", "Release the homework and grade it.", COMMANDS)


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return the exit code: 0 done, 1 the audit found something, 2 a mistake, 130 interrupted."""
    return run_command(parser(), COMMANDS, arguments)


if __name__ == "__main__":
    sys.exit(main())
