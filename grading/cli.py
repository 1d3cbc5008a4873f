"""hw-grade: release the homework, grade it. A mistake is one sentence on stderr and exit code 2, never a traceback."""

import sys

from hw_xai.cli.line import CommandLine

COMMANDS = ("init", "release", "run", "report", "hand", "export", "history", "restore", "audit", "gradescope", "doctor")
LINE = CommandLine("hw-grade", "Release the homework and grade it.", "grading.commands", COMMANDS)


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return the exit code: 0 done, 1 the audit found something, 2 a mistake, 130 interrupted."""
    return LINE.run(arguments)


if __name__ == "__main__":
    sys.exit(main())
