"""The paper and the pens of every figure: style, fonts, grids, colour bars."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import cache, wraps
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from ..frame.colours import NIGHT, PAPER, colour, mute, over, table
from ..frame.images import outline

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, QUIET, LINE = "#26231f", "#67625b", "#e4e0d9"
CJK_FONTS = (
    "Noto Sans CJK TC", "Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans TC", "Source Han Sans TC", "PingFang TC",
    "Heiti TC", "Microsoft JhengHei", "Microsoft YaHei", "WenQuanYi Zen Hei", "Arial Unicode MS",
)  # fmt: skip
OUR_FONT, OUR_FAMILY = Path(__file__).parent.parent / "fonts" / "chinese.otf", "hw_xai Chinese"


def styled(draw: Callable[..., Figure]) -> Callable[..., Figure]:
    """Run `draw` in our style and give the caller's matplotlib settings back."""

    @wraps(draw)
    def drawn(*args, **kwargs) -> Figure:
        import matplotlib  # late: `import hw_xai.show` does without matplotlib

        with matplotlib.rc_context():
            matplotlib.rcdefaults()  # a figure looks the same whatever the notebook has set
            matplotlib.rcParams.update(_style())
            return draw(*args, **kwargs)

    return drawn


def missing(text: str) -> list[str]:
    """Return the characters of `text` that no font of our figures has."""
    font_manager = _font_manager()
    files = [font_manager.findfont(family, fallback_to_default=False) for family in _style()["font.family"]]
    known = set().union(*(_points(file) for file in dict.fromkeys(files)))
    return [c for c in dict.fromkeys(text) if c.isprintable() and not c.isspace() and ord(c) not in known]


def _font_manager() -> ModuleType:
    from matplotlib import font_manager  # late: `import hw_xai.show` does without matplotlib

    return font_manager


@cache
def _points(file: str) -> frozenset[int]:
    """Return the code points that a font file has."""
    return frozenset(_font_manager().get_font(file).get_charmap())


@cache
def _style() -> dict:
    # matplotlib keeps a list of fonts that never learns of new ones: what ships with us is added at each start
    font_manager = _font_manager()
    font_manager.fontManager.addfont(OUR_FONT)
    installed = set(font_manager.fontManager.get_font_names())
    return {
        # matplotlib takes the first that has the glyph
        "font.family": ["DejaVu Sans", *(font for font in CJK_FONTS if font in installed), OUR_FAMILY],
        "font.size": 9.5,
        "text.color": INK,
        "axes.labelcolor": QUIET,
        "axes.edgecolor": QUIET,
        "axes.titlesize": 10.5,
        "axes.titleweight": "bold",
        "figure.titlesize": 13,
        "figure.titleweight": "bold",
        "xtick.color": QUIET,
        "ytick.color": QUIET,
        "legend.frameon": False,
    }


@cache
def _figure_type() -> type[Figure]:
    from matplotlib.figure import Figure  # late: `import hw_xai.show` does without matplotlib

    class Sheet(Figure):
        """A figure that a notebook draws although pyplot, which would teach it to, was never imported."""

        def _repr_png_(self) -> bytes:
            return png_of(self, dpi=110)

    return Sheet


def png_of(figure: Figure, dpi: int) -> bytes:
    """Return a figure as the bytes of a PNG; equal figures give equal bytes."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return buffer.getvalue()


def sheet(width: float, height: float) -> Figure:
    """Return an empty figure of that size in inches."""
    figure = _figure_type()(figsize=(width, height))
    figure.set_layout_engine("constrained", h_pad=0.06)
    return figure


def frames(n_rows: int, n_columns: int, size: float = 2.1, title: str = "", bars: bool = False) -> tuple:
    """Return a figure and its bare axes (n_rows, n_columns), about `size` inches each; with `bars` also a flat one
    (n_columns,) below each column."""
    figure = sheet(n_columns * (size + 0.1) + 0.1, n_rows * (size + 0.2) + 0.3 + 0.35 * bars + 0.3 * bool(title))
    axes = figure.subplots(n_rows + bars, n_columns, squeeze=False, height_ratios=[1] * n_rows + [0.05] * bars)
    for ax in axes.flat:
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set_visible(False)
    if title:
        figure.suptitle(title)
    return (figure, axes[:-1], axes[-1]) if bars else (figure, axes)


def lay(ax: Axes, photo: np.ndarray, scaled: np.ndarray, signed: bool) -> None:
    """Lay a scaled map (h,w) of any resolution over the muted photo (H,W,3)."""
    height, width = photo.shape[:2]
    ax.imshow(mute(photo, signed))
    ax.imshow(colour(scaled, signed), extent=(-0.5, width - 0.5, height - 0.5, -0.5))


def trace(ax: Axes, mask: np.ndarray | None) -> None:
    """Draw the outline of a mask in white on black, visible on any photo."""
    for polygon in [] if mask is None else outline(mask):
        x, y = polygon.T - 0.5  # imshow puts the centre of the first pixel at 0
        ax.plot(x, y, color="black", linewidth=2.2)
        ax.plot(x, y, color="white", linewidth=1.1)


def colour_bar(ax: Axes, signed: bool, ends: tuple[float, float] | None, upright: bool = False) -> None:
    """Fill `ax` with the colours from low to high. Without `ends` every map has a scale of its own: no numbers then."""
    from matplotlib import cm, colors  # late: `import hw_xai.show` does without matplotlib

    low, high = ends if ends and ends[0] < ends[1] else (-1, 1)
    colours = over(table(signed), PAPER if signed else NIGHT) / 255
    scale = cm.ScalarMappable(colors.Normalize(low, high), colors.ListedColormap(colours))
    bar = ax.figure.colorbar(scale, cax=ax, orientation="vertical" if upright else "horizontal")
    bar.outline.set_edgecolor(LINE)
    ax.tick_params(length=0, labelsize=8)
    if ends:
        bar.formatter.set_powerlimits((-2, 3))  # type: ignore[attr-defined]  # a ScalarFormatter where no other was given
        return
    bar.set_ticks([-1, 0, 1] if signed else [-1, 1], labels=["against", "0", "for"] if signed else ["little", "a lot"])
    first, *_, last = ax.get_xticklabels()
    first.set_horizontalalignment("left")
    last.set_horizontalalignment("right")


GROUP_COLOURS = ("#d9523c", "#3f83f2", "#3f9d62", "#c9a227", "#8f4fb0", "#2a9d9d", "#c2588a", "#8a6a4a")
GROUP_MARKERS = ("o", "s", "^", "D", "X")  # the page has the same shapes in the same order


def mark_of(group: int) -> dict[str, str]:
    """Return the colour and the shape of a group: 40 differ, and colours that return come with another shape."""
    return {"color": GROUP_COLOURS[group % len(GROUP_COLOURS)], "marker": GROUP_MARKERS[group % len(GROUP_MARKERS)]}
