"""The leaderboard of explanations as a picture: every method by every score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ..pages.evaluation.page import Heading, Row, as_text, best, goodness
from .style import INK, LINE, QUIET, sheet, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_GREEN = (0.14, 0.55, 0.31)  # of the best place; the worst is the paper


@styled
def leaderboard(columns: Mapping[str, Heading], rows: Sequence[Row], title: str = "") -> Figure:
    """Draw the means as a coloured table: the greener, the better the place among all rows; the best method is bold.

    Rows in italics are baselines, and come last.
    """
    rows = [row for row in rows if not row.baseline] + [row for row in rows if row.baseline]
    figure = sheet(2.4 + 0.78 * len(columns), 1.6 + 0.3 * len(rows))
    ax = figure.subplots()
    for x, (key, column) in enumerate(columns.items()):
        places, winners = goodness(column, key, rows), best(column, key, rows)
        for y, row in enumerate(rows):
            if key not in row.cells:
                ax.text(x, y, "–", ha="center", va="center", color=QUIET)
                continue
            shade = 0.75 * places[row.name]
            colour = [1 - shade * (1 - channel) for channel in _GREEN]
            ax.fill([x - 0.5, x + 0.5, x + 0.5, x - 0.5], [y - 0.5, y - 0.5, y + 0.5, y + 0.5], color=colour, lw=0)
            weight = "bold" if row.name in winners else "normal"
            ax.text(x, y, as_text(row.cells[key].mean), ha="center", va="center", color=INK, weight=weight, size=8.5)
    ax.set(xlim=(-0.5, len(columns) - 0.5), ylim=(len(rows) - 0.5, -0.5))
    ax.xaxis.tick_top()
    headings = [f"{column.title}\n{column.best} is good" for column in columns.values()]
    ax.set_xticks(range(len(columns)), headings, size=7.5, rotation=40, ha="left", rotation_mode="anchor")
    ax.set_yticks(range(len(rows)), [row.title for row in rows], color=INK)
    for label, row in zip(ax.get_yticklabels(), rows, strict=True):
        label.set_fontstyle("italic" if row.baseline else "normal")
    n_methods = sum(not row.baseline for row in rows)
    if n_methods < len(rows):
        ax.axhline(n_methods - 0.5, color=QUIET, linewidth=1)
    ax.tick_params(length=0)
    ax.spines[:].set_color(LINE)
    if title:
        figure.suptitle(title)
    return figure
