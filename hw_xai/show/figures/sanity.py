"""Figures of the sanity checks: the maps as the model forgets layer by layer, and how alike they stay."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from ..frame.colours import NIGHT, PAPER, colour, over
from ..frame.images import to_rgb
from ..frame.normalize import is_signed, scale, to_map
from .style import LINE, QUIET, frames, sheet, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_INKS = ("#3f83f2", "#cf4264", "#128a43", "#f47a42", "#8f2580", "#1c9aa0", "#b08900", "#67625b")
_DASHES = ("-", (0, (4, 1.5)), (0, (1, 1.2)))


@styled
def forgetting(
    image: ArrayLike, maps: Mapping[str, Sequence[ArrayLike]], blocks: Sequence[str], title: str = ""
) -> Figure:
    """Draw a grid: a row for every method; the map of the trained model, then one after each block was randomized.

    image: (H,W,3) or (3,H,W); maps: method -> 1 + B maps (H,W) or (C,H,W); blocks: B names. Each map has a scale of its
    own, and no photo lies beneath: what is seen of the picture, the map shows. A method with a value below zero in any
    map is drawn as signed. After figure 2 of Adebayo et al. 2018.
    """
    for name, given in maps.items():
        if len(given) != 1 + len(blocks):
            raise ValueError(f"`maps` must have {1 + len(blocks)} maps for {name}, one more than blocks: {len(given)}")
    figure, axes = frames(len(maps), 2 + len(blocks), size=1.1, title=title)
    for row, (name, given) in zip(axes, maps.items(), strict=True):
        signed = any(is_signed(one) for one in given)
        for ax, one in zip(row[1:], given, strict=True):
            ax.imshow(over(colour(scale(to_map(one, signed), signed=signed), signed), PAPER if signed else NIGHT))
        row[1].set_ylabel(name, rotation=0, ha="right", va="center", labelpad=8)
    axes[0, 0].imshow(to_rgb(image))
    for ax, heading in zip(axes[0, 1:], ("trained", *blocks), strict=True):
        ax.set_title(heading, fontsize=8, rotation=30, ha="center", va="bottom")
    return figure


@styled
def similarity_curves(
    panels: Mapping[str, Mapping[str, tuple[Sequence[float | None], Sequence[float | None]]]],
    blocks: Sequence[str],
    title: str = "",
) -> Figure:
    """Draw how alike the maps stay: a panel for every measure, a line with its spread for every method.

    panels: measure -> method -> (means, spreads) of B values each, None where not defined; blocks: B names, in the
    order in which they were randomized. Every line starts at 1, the trained model. After figure 3 of Adebayo et al.
    """
    figure = sheet(4.2 * len(panels) + 1.6, 3.6)
    axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    names = list(dict.fromkeys(name for lines in panels.values() for name in lines))
    for ax, (measure, lines) in zip(axes, panels.items(), strict=True):
        for name, (means, spreads) in lines.items():
            place = names.index(name)
            y, spread = (np.array([first, *values], dtype=float) for first, values in ((1, means), (0, spreads)))
            x, ink = range(len(y)), _INKS[place % len(_INKS)]
            ax.plot(x, y, color=ink, linestyle=_DASHES[place // len(_INKS) % 3], linewidth=1.8, label=name)
            ax.fill_between(x, y - spread, y + spread, color=ink, alpha=0.1, linewidth=0)
        ax.set_title(textwrap.fill(measure, 32))
        ax.set_xticks(range(1 + len(blocks)), ("trained", *blocks), rotation=45, ha="right", rotation_mode="anchor")
        ax.axhline(0, color=QUIET, linewidth=0.8)
        ax.grid(axis="y", color=LINE, linewidth=0.8)
        ax.spines[["top", "right"]].set_visible(False)
        ax.set_ylim(-0.6, 1.05)
    handles = {line.get_label(): line for ax in axes for line in ax.get_lines() if line.get_label() in names}
    figure.legend(handles.values(), handles.keys(), loc="outside right center")
    if title:
        figure.suptitle(title)
    return figure
