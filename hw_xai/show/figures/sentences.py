"""Figures of what a BERT does with sentences, for slides and notebooks: attention, layers, words."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...files import atomic
from ..frame.colours import NIGHT, PAPER, over, table
from .pictures import save_png
from .style import INK, LINE, QUIET, mark_of, missing, sheet, styled

if TYPE_CHECKING:
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

    from ..pages.attention.page import HeadsView, SentenceView


@styled
def attention_figure(tokens: Sequence[str], attention: np.ndarray, title: str = "", causal: bool = False) -> Figure:
    """Draw one head (T, T): rows look, columns are looked at. causal: what cannot be looked at is left grey."""
    side = 1.6 + min(0.27 * len(tokens), 12)
    figure = sheet(side + 0.8, side)
    ax = figure.subplots()
    image = ax.imshow(_seen(attention, causal), cmap=_fire(), vmin=0)
    size = min(9.5, 800 / len(tokens))  # points: a long sentence is read in the page
    ax.set_xticks(range(len(tokens)), tokens, rotation=90)
    ax.set_yticks(range(len(tokens)), tokens)
    ax.tick_params(length=0, labelsize=size)
    ax.spines[:].set_visible(False)
    ax.set_title(title)
    figure.colorbar(image, ax=ax, shrink=0.6, aspect=30).outline.set_edgecolor(LINE)
    return figure


@styled
def all_heads_figure(attention: np.ndarray, title: str = "", causal: bool = False) -> Figure:
    """Draw every head (L, H, T, T) small, a row for each layer; brightness is the square root of the attention.

    causal: as for `attention_figure`.
    """
    n_layers, n_heads = attention.shape[:2]
    figure = sheet(0.9 * n_heads + 0.5, 0.9 * n_layers + 0.6)
    axes = figure.subplots(n_layers, n_heads, squeeze=False)
    for (layer, head), ax in np.ndenumerate(axes):
        ax.imshow(_seen(np.sqrt(attention[layer, head]), causal), cmap=_fire(), vmin=0, vmax=1)
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set_visible(False)
        if layer == 0:
            ax.set_title(f"{head + 1}", fontsize=8, fontweight="normal", color=QUIET)
        if head == 0:
            ax.set_ylabel(f"{layer + 1}", fontsize=8, rotation=0, labelpad=8, va="center")
    figure.suptitle(title, fontsize=10.5)
    return figure


@styled
def heads_figure(names: Sequence[Sequence[str]], strength: np.ndarray, title: str = "") -> Figure:
    """Draw what each head does (L, H) as words, coloured by how clearly (0 to 1)."""
    n_layers, n_heads = len(names), len(names[0])
    figure = sheet(1.15 * n_heads + 0.6, 0.52 * n_layers + 0.9)
    ax = figure.subplots()
    ax.imshow(strength, cmap="Oranges", vmin=0, vmax=1.3, aspect="auto")
    for layer, row in enumerate(names):
        for head, name in enumerate(row):
            ax.text(head, layer, name.replace(" (", "\n(") or "–", ha="center", va="center", fontsize=7.5)
    ax.set_xticks(range(n_heads), [str(i + 1) for i in range(n_heads)])
    ax.set_yticks(range(n_layers), [str(i + 1) for i in range(n_layers)])
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.set_xlabel("head")
    ax.set_ylabel("layer")
    ax.set_title(title)
    return figure


@styled
def projection_figure(points: np.ndarray, groups: Sequence[str], captions: Sequence[str]) -> Figure:
    """Draw one scatter for each layer, points (S, n, 2), coloured by group; captions: S, what each is worth."""
    columns = min(len(points), 5)
    rows = -(-len(points) // columns)
    figure = sheet(2.3 * columns, 2.6 * rows + 0.4)
    names = list(dict.fromkeys(groups))
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for ax, layer, caption in zip(axes, points, captions, strict=False):
        for name in names:
            x, y = layer[[group == name for group in groups]].T
            ax.plot(x, y, linestyle="", markersize=5, alpha=0.8, label=name, **mark_of(names.index(name)))
        ax.set_xlabel(caption, fontsize=7.5)
        ax.margins(0.12)
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set_edgecolor(LINE)
    for number, ax in enumerate(axes):
        ax.set_visible(number < len(points))
        ax.set_title(f"layer {number}")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=min(8, len(names)))
    return figure


@styled
def similarity_figure(matrices: np.ndarray, labels: Sequence[str], metric: str) -> Figure:
    """Draw sentence × sentence for each layer, (S, n, n), on one scale."""
    columns = min(len(matrices), 5)
    rows = -(-len(matrices) // columns)
    figure = sheet(2.4 * columns + 1.4, 2.5 * rows + 0.3)
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for number, ax in enumerate(axes):
        ax.set_visible(number < len(matrices))
        if number >= len(matrices):
            continue
        image = ax.imshow(matrices[number], cmap=_fire(), vmin=matrices.min(), vmax=matrices.max())
        ax.set_title(f"layer {number}")
        ax.set_xticks([])
        ax.set_yticks(range(len(labels)), labels if number % columns == 0 else [""] * len(labels), fontsize=6.5)
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)
    figure.colorbar(image, ax=list(axes), shrink=0.7, aspect=40, label=metric).outline.set_edgecolor(LINE)
    return figure


@styled
def words_figure(
    words: Sequence[str],
    methods: Mapping[str, np.ndarray],
    title: str = "",
    amounts: Collection[str] | None = None,
) -> Figure:
    """Draw what each word does to a score, a column of bars for each method; red for, blue against.

    amounts: the methods that say how much, not for or against, drawn in brown; None takes those without a negative.
    """
    if amounts is None:
        amounts = [name for name, values in methods.items() if values.min() >= 0]
    figure = sheet(1.4 + 2.1 * len(methods), 0.8 + 0.28 * len(words))
    axes = figure.subplots(1, len(methods), squeeze=False, sharey=True)[0]
    signed = over(table(True), PAPER) / 255
    for ax, (name, values) in zip(axes, methods.items(), strict=True):
        largest = max(np.abs(values).max(), 1e-12)
        inks = "#8a3b12" if name in amounts else signed[np.round(127 + 127 * values / largest).astype(int)]
        ax.barh(range(len(words)), values, color=inks, edgecolor=LINE, linewidth=0.5)
        ax.axvline(0, color=INK, linewidth=0.8)
        ax.set_yticks(range(len(words)), words)
        ax.set_title(name)
        ax.tick_params(length=0, labelsize=8.5)
        ax.spines[:].set_visible(False)
        ax.locator_params(axis="x", nbins=3)
    axes[0].invert_yaxis()
    figure.suptitle(title, fontsize=10)
    return figure


def write_attention_figures(
    folder: str | Path, sentences: Sequence[SentenceView], heads: HeadsView, causal: bool = False
) -> list[Path]:
    """Write the views of the attention page as PNG and SVG, those of one layer for the last."""
    written = []
    for number, view in enumerate(sentences, start=1):
        last = len(view.attention)
        mean = f"layer {last}, mean of its heads"
        drawn = {
            "all-heads": all_heads_figure(view.attention, "every head, a row for each layer", causal),
            "mean": attention_figure(view.tokens, view.attention[-1].mean(0), mean, causal),
            "rollout": attention_figure(view.tokens, view.rollout[-1], f"rollout up to layer {last}", causal),
        }
        if view.relevance is not None:
            title = "gradient × attention: what each guess rests on"
            drawn["relevance"] = attention_figure(view.tokens, view.relevance[-1], title)
        for name, figure in drawn.items():
            written += save_figure(figure, Path(folder) / f"{number}-{name}", "".join(view.tokens))
    written += save_figure(heads_figure(heads.names, heads.strength, "what each head does"), Path(folder) / "heads")
    entropy = [[f"{value:.2f}" for value in row] for row in heads.entropy]
    title = "entropy of each head: 0 looks at one token, 1 everywhere alike"
    return written + save_figure(heads_figure(entropy, heads.entropy, title), Path(folder) / "entropy")


def save_figure(figure: Figure, stem: Path, text: str = "") -> list[Path]:
    """Write stem.png and stem.svg, and return them; characters of `text` that no font has are told, and are boxes."""
    import matplotlib  # late: `import hw_xai.show` does without matplotlib

    if boxes := missing(text):
        print(f"note: no font here has {', '.join(boxes)}: the pictures show boxes instead", file=sys.stderr)
    svg = stem.with_name(f"{stem.name}.svg")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # the note says which
        png = save_png(figure, stem.with_name(f"{stem.name}.png"))
        # letters as outlines: whoever opens the file needs no font
        with atomic(svg) as temporary, matplotlib.rc_context({"svg.fonttype": "path", "svg.hashsalt": stem.name}):
            figure.savefig(temporary, format="svg", metadata={"Date": None})
    return [png, svg]


def _seen(attention: np.ndarray, causal: bool) -> np.ndarray:
    """Return attention (T, T) with NaN where a token of a model that reads from left to right cannot look."""
    hidden = np.triu(np.ones(attention.shape, dtype=bool), 1) & causal
    return np.where(hidden, np.nan, attention)


def _fire() -> Colormap:
    from matplotlib.colors import ListedColormap  # late: `import hw_xai.show` does without matplotlib

    return ListedColormap(over(table(False), NIGHT) / 255).with_extremes(bad=LINE)
