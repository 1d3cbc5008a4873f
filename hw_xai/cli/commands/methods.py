"""Print the catalog of methods: what each explains, how, at which resolution and at what cost."""

import argparse
import textwrap

from ...explain import METHODS
from ...explain.catalog import Method

COLUMNS = ("method", "locality", "approach", "resolution", "needs tuning", "passes", "when to use")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--markdown", action="store_true", help="as a Markdown table, with the papers")


def run(options: argparse.Namespace) -> None:
    print(markdown() if options.markdown else plain())


def rows() -> list[tuple[str, ...]]:
    """Return one row for each method, in the order of COLUMNS."""

    def passes(method: Method) -> str:
        forward, backward = method.passes()
        return f"{forward} + {backward}" if backward else str(forward)

    return [
        (name, method.locality, method.approach, method.resolution, method.tuning or "no", passes(method), method.use)
        for name, method in METHODS.items()
    ]


def markdown() -> str:
    header = [*COLUMNS, "paper"]
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    for row, method in zip(rows(), METHODS.values(), strict=True):
        lines.append("| " + " | ".join([f"`{row[0]}`", *row[1:], method.paper]) + " |")
    return "\n".join(lines)


def plain() -> str:
    """One method a paragraph: a table of seven columns fits no terminal."""
    paragraphs = []
    for name, locality, approach, resolution, tuning, passes, use in rows():
        facts = f"{locality}, {approach}, one value per {resolution}; passes: {passes}; tune: {tuning}"
        body = textwrap.fill(f"{use}", 96, initial_indent="    ", subsequent_indent="    ")
        paragraphs.append(f"{name}\n    {facts}\n{body}")
    return "\n\n".join(paragraphs) + "\n\npasses: forward + backward for one input, with the default settings"
