"""hw-xai: the command line. A user's mistake is one sentence on stderr and exit code 2, never a traceback."""

from .. import __version__
from .line import CommandLine

COMMANDS = (
    "demo",
    "explain",
    "methods",
    "layers",
    "features",
    "attend",
    "embed",
    "tokens",
    "evaluate",
    "data",
    "train",
    "train-broad",
    "train-lcam",
    "bert",
    "studio",
    "submit",
)
LINE = CommandLine(
    "hw-xai", "Explain a food-11 CNN and a BERT, and see why.", "hw_xai.cli.commands", COMMANDS, __version__
)


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return the exit code: 0 done, 1 the data has faults, 2 a mistake, 130 interrupted."""
    return LINE.run(arguments)
