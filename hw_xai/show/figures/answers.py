"""A student's result beside the expected one, on one scale: a wrong size shows as well as a wrong place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..frame.colours import NIGHT, PAPER, colour, over
from ..frame.normalize import is_signed, limits, stretch
from .style import LINE, QUIET, colour_bar, frames, sheet, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@styled
def comparison(yours: np.ndarray, expected: np.ndarray, words: Sequence[str]) -> Figure:
    """Draw yours, expected and yours − expected: three heatmaps for (H,W), bars for a row of numbers (K,).

    words: the captions, the difference's last.
    """
    panels = [yours, expected, yours - expected]
    if yours.ndim == 1:
        return _bars(panels, words)
    signed = [is_signed(yours) or is_signed(expected)] * 2 + [True]
    shared = limits(expected, percentile=100, signed=signed[0])
    figure, axes, bars = frames(1, 3, size=1.9, bars=True)
    for ax, bar, values, both, word in zip(axes[0], bars, panels, signed, words, strict=True):
        ends = shared if values is not panels[2] else limits(values, percentile=100, signed=True)
        ax.imshow(over(colour(stretch(values, *ends), both), PAPER if both else NIGHT))  # as its colour bar is
        ax.set_title(word)
        colour_bar(bar, both, ends)
    return figure


@styled
def clouds(yours: np.ndarray, expected: np.ndarray, words: Sequence[str]) -> Figure:
    """Draw the first two columns of two sets of points (n, k ≥ 2) as one scatter; words: their captions."""
    figure = sheet(4.2, 3.4)
    ax = figure.subplots()
    for points, word, ink, mark in zip((expected, yours), words[1::-1], ("#3f83f2", "#d9523c"), "ox", strict=True):
        ax.plot(*points[:, :2].T, mark, color=ink, markersize=5, alpha=0.8, label=word, zorder=3)
    for line in (ax.axhline, ax.axvline):
        line(0, color=LINE, linewidth=0.8)  # the origin, where the mean of the points belongs
    ax.tick_params(length=0, labelsize=8)
    ax.spines[:].set_visible(False)
    ax.legend(loc="best", labelcolor=QUIET)
    return figure


def _bars(panels: list[np.ndarray], words: Sequence[str]) -> Figure:
    figure = sheet(6.4, 1.9)
    ax = figure.subplots()
    places = np.arange(len(panels[0]))
    for offset, values, word in zip((-0.2, 0.2), panels, words, strict=False):
        ax.bar(places + offset, values, width=0.38, label=word)
    ax.set_xticks(places[:: max(1, len(places) // 12)])
    ax.axhline(0, linewidth=0.8)
    ax.legend()
    return figure
