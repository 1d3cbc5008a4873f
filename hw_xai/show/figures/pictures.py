"""Figures for slides and notebooks. Each function returns a new Figure and leaves matplotlib's state alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import ArrayLike

from ...files import atomic
from ..frame.colours import mute
from ..frame.images import outline, to_rgb
from ..frame.normalize import is_signed, limits, stretch, to_map
from .style import INK, LINE, colour_bar, frames, lay, png_of, sheet, styled, trace

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@styled
def compare(
    images: Sequence[ArrayLike],
    maps: Mapping[str, Sequence[ArrayLike]],
    captions: Sequence[str] = (),
    masks: Sequence[ArrayLike | None] = (),
    shared: Literal["row", "column"] | None = None,
    title: str = "",
) -> Figure:
    """Draw a grid: a row for every image, its photo first, then a column for every method.

    images: N × (H,W,3) or (3,H,W); maps: method -> N maps (H,W) or (C,H,W) of any resolution; captions: N, such as
    "Soup 93 %"; masks: N × (H,W) bool, outlined. A method with a value below zero anywhere is drawn as signed.
    shared: "column" compares strengths between images, "row" between methods; None scales each map alone.
    """
    for name, given in maps.items():
        if len(given) != len(images):
            raise ValueError(f"`maps` must have {len(images)} maps for {name}, one per image, got {len(given)}")
    signed = {name: any(is_signed(one) for one in given) for name, given in maps.items()}
    if shared == "row" and len(set(signed.values())) > 1:
        raise ValueError('`maps` must all be signed or all unsigned to be shared="row", got both: drop some')
    flat = {(row, name): to_map(one, signed[name]) for name, given in maps.items() for row, one in enumerate(given)}
    ends = {place: _ends(flat, place, shared, signed[place[1]]) for place in flat}

    figure, axes, bars = frames(len(images), 1 + len(maps), title=title, bars=True)
    bars[0].set_visible(False)  # the photos have no colour map
    for row, image in enumerate(images):
        photo = to_rgb(image)
        axes[row, 0].imshow(photo)
        axes[row, 0].set_xlabel(captions[row] if row < len(captions) else "")
        for ax, name in zip(axes[row, 1:], maps, strict=True):
            lay(ax, photo, stretch(flat[row, name], *ends[row, name]), signed[name])
        mask = masks[row] if row < len(masks) else None
        for ax in axes[row]:
            trace(ax, None if mask is None else np.asarray(mask))
    for ax, bar, name in zip(axes[0, 1:], bars[1:], maps, strict=True):
        ax.set_title(name)
        in_one_unit = shared == "column" or (shared == "row" and len(images) == 1)
        colour_bar(bar, signed[name], ends[0, name] if in_one_unit else None)
    return figure


def _ends(flat: dict, place: tuple[int, str], shared: str | None, signed: bool) -> tuple[float, float]:
    """Return the limits of the map at (row, method), taken over all the maps that share its scale."""
    row, name = place
    peers = [
        values.ravel() for (other_row, other_name), values in flat.items()
        if (other_row == row or shared == "column") and (other_name == name or shared == "row")
    ]  # fmt: skip
    return limits(np.concatenate(peers), signed=signed)


@styled
def heatmap(
    image: ArrayLike, attribution: ArrayLike, title: str = "", caption: str = "", mask: np.ndarray | None = None
) -> Figure:
    """Draw one explanation large, with a colour bar in the attribution's own unit. Shapes as in `compare`."""
    photo, signed = to_rgb(image), is_signed(attribution)
    values = to_map(attribution, signed)
    ends = limits(values, signed=signed)
    figure, axes = frames(1, 1, size=4.2)
    ax = axes[0, 0]
    lay(ax, photo, stretch(values, *ends), signed)
    trace(ax, mask)
    ax.set_title(title)
    ax.set_xlabel(caption)
    colour_bar(ax.inset_axes((1.03, 0, 0.045, 1)), signed, ends, upright=True)
    return figure


@styled
def pictures(
    images: Sequence[ArrayLike], captions: Sequence[str] = (), title: str = "", columns: int | None = None
) -> Figure:
    """Draw a grid of pictures: what filters look for (H,W,3), or where they fire (H,W), each scaled alone."""
    if len(images) == 0:
        raise ValueError("`images` must hold at least one picture, got none")
    columns = columns or min(len(images), max(4, round(np.sqrt(1.6 * len(images)))))
    figure, axes = frames(-(-len(images) // columns), columns, size=1.6, title=title)
    for index, ax in enumerate(axes.flat):
        if index < len(images):
            ax.imshow(to_rgb(images[index]))
            ax.set_xlabel(captions[index] if index < len(captions) else "", fontsize=8)
    return figure


@styled
def superpixels(
    image: ArrayLike, segments: np.ndarray, weights: Mapping[int, float], n_features: int = 10, title: str = ""
) -> Figure:
    """Outline the superpixels that weigh most in a LIME surrogate: green ones speak for the class, red ones against.

    segments: (H,W) int; weights: segment -> weight; the `n_features` strongest are drawn, filled by their strength.
    """
    photo = to_rgb(image)
    if segments.shape != photo.shape[:2]:
        raise ValueError(f"`segments` must be {photo.shape[:2]} like the image, got the shape {segments.shape}")
    strongest = sorted((s for s in weights if weights[s]), key=lambda s: -abs(weights[s]))[:n_features]
    figure, axes = frames(1, 2, size=3.4, title=title)
    plain, ax = axes[0]
    plain.imshow(photo)
    ax.imshow(mute(photo, signed=True))
    for segment in strongest:
        ink, dashes = ("#128a43", "-") if weights[segment] > 0 else ("#cf2b22", (0, (3, 1)))
        strength = abs(weights[segment] / weights[strongest[0]])
        for polygon in outline(segments == segment):
            x, y = polygon.T - 0.5  # imshow puts the centre of the first pixel at 0
            ax.fill(x, y, color=ink, alpha=0.6 * strength, linewidth=0)
            ax.plot(x, y, color=ink, linewidth=1.5, linestyle=dashes)
    plain.set_xlabel("the picture")
    ax.set_xlabel("green speaks for the class, red (dashed) against it")
    return figure


@styled
def learning_curves(history: Sequence[Mapping[str, float]]) -> Figure:
    """Draw loss and accuracy by epoch, for training and validation.

    history: one row an epoch with any of "train_loss", "train_accuracy", "validation_loss", "validation_accuracy".
    """
    figure = sheet(9, 3.4)
    for ax, quantity in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        for part, ink in (("train", "#3f83f2"), ("validation", "#cf4264")):
            name = f"{part}_{quantity}"
            points = np.array([(epoch, row[name]) for epoch, row in enumerate(history, start=1) if name in row])
            if not len(points):
                continue
            x, y = points.T
            ax.plot(x, y, color=ink, linewidth=1.8, marker="o" if len(x) < 15 else "", markersize=4, label=part)
            if name == "validation_accuracy" and np.isfinite(y).any():
                best = np.nanargmax(y)
                ax.plot(x[best], y[best], "o", color=ink, markersize=6)
                ax.annotate(f"{y[best]:.3f}", (x[best], y[best]), xytext=(0, 7), textcoords="offset points",
                            ha="center", color=ink)  # fmt: skip
        ax.set_title(quantity.capitalize())
        ax.set_xlabel("epoch")
        ax.locator_params(axis="x", integer=True)
        ax.grid(axis="y", color=LINE, linewidth=0.8)
        ax.spines[["top", "right"]].set_visible(False)
        ax.margins(y=0.15)
        if ax.lines:
            ax.legend(loc="upper right" if quantity == "loss" else "lower right")
    return figure


@styled
def confusion_matrix(matrix: ArrayLike, classes: Sequence[str]) -> Figure:
    """Draw a confusion matrix (C,C) of counts, rows the true class; the colour is the share of the row."""
    matrix = np.asarray(matrix)
    if matrix.shape != (len(classes), len(classes)):
        raise ValueError(f"`matrix` must be {len(classes)} × {len(classes)} like `classes`, got {matrix.shape}")
    total = matrix.sum(axis=1, keepdims=True)
    share = np.divide(matrix, total, out=np.zeros(matrix.shape), where=total > 0)
    side = 2 + 0.5 * len(classes)
    figure = sheet(side + 0.6, side)
    ax = figure.subplots()
    ax.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(matrix):
        if count:
            ink = "white" if share[row, column] > 0.5 else INK
            ax.text(column, row, f"{count:g}", ha="center", va="center", color=ink, fontsize=8.5)
    ax.set_xticks(range(len(classes)), classes, rotation=45, ha="right", rotation_mode="anchor")
    ax.set_yticks(range(len(classes)), [f"{name}  {p:.0%}" for name, p in zip(classes, share.diagonal(), strict=True)])
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.set_xlabel("predicted")
    ax.set_ylabel("true, and the share found")
    right = matrix.trace() / max(matrix.sum(), 1)
    ax.set_title(f"{right:.1%} of {matrix.sum():,} right")
    return figure


def save_png(figure: Figure, path: str | Path, dpi: int = 150) -> Path:
    """Write a figure as a PNG, whole or not at all; equal figures give equal bytes."""
    with atomic(path) as temporary:
        temporary.write_bytes(png_of(figure, dpi))
    return Path(path)
