"""A verdict as students see it: a sentence, a hint, and their picture beside the expected one. All text is escaped."""

import html
from collections.abc import Sequence

import numpy as np

from hw_xai.show.figures.answers import clouds, comparison
from hw_xai.show.figures.style import png_of
from hw_xai.show.frame.images import data_uri

from ..words import Language, Text
from .exercise import Verdict

LARGEST = 1e30  # of the numbers in a picture


def in_words(text: Text, language: Language) -> str:
    """Return a text in one language, or both with a slash between unless they are the same."""
    if language == "both":
        return text.en if text.en == text.zh else f"{text.en} / {text.zh}"
    return text.zh if language == "zh-TW" else text.en


def lines_of(title: Text, verdict: Verdict, language: Language) -> list[str]:
    """Return the verdict as plain lines: what is asked and how it went, the hint if there is one."""
    mark = "✔" if verdict.passed else "✘"
    colon = "：" if language == "zh-TW" else ": "
    lines = [f"{mark} {in_words(title, language)}{colon}{in_words(verdict.reason, language)}"]
    if verdict.hint.en:
        lines.append(f"→ {in_words(verdict.hint, language)}")
    return lines


def as_html(title: Text, verdict: Verdict, language: Language, of_points: bool = False) -> str:
    """Return the verdict as a piece of HTML, with a picture where the output is one; of_points: its rows are points."""
    colour = "#1a7f37" if verdict.passed else "#b35900"
    body = "".join(f"<div>{html.escape(line)}</div>" for line in lines_of(title, verdict, language))
    picture = comparison_png(verdict.yours, verdict.expected, language, of_points)
    if picture:
        alt = html.escape(in_words(Text("yours, expected, difference", "你的、預期的、差異"), language))
        body += f'<img alt="{alt}" style="max-width:100%" src="{data_uri(picture, "PNG")}">'
    return f'<div style="border-left:4px solid {colour};padding:.2em .8em;line-height:1.5">{body}</div>'


def comparison_png(
    yours: np.ndarray | None, expected: np.ndarray | None, language: Language, of_points: bool = False
) -> bytes | None:
    """Draw yours, expected and their difference, as heatmaps, bars or points; None where there is nothing to draw."""
    if yours is None or expected is None or yours.shape != expected.shape or yours.size < 2:
        return None
    words = [
        in_words(t, "en" if language == "both" else language)
        for t in (Text("yours", "你的"), Text("expected", "預期的"), Text("difference", "差異"))
    ]
    draw = clouds if of_points else comparison
    return png_of(draw(*drawable([yours, expected]), words), dpi=110)


def drawable(arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Reduce arrays of one shape to what can be drawn: (H, W), or (K,) for a row of numbers.

    Of a batch the row is taken where the arrays differ most; colours are summed. Whatever a student returned can be
    drawn: of complex numbers the real part, and nothing so large that its differences overflow.
    """
    arrays = [np.nan_to_num(np.real(a).astype(np.float64)).clip(-LARGEST, LARGEST) for a in arrays]
    if arrays[0].ndim > 2:
        differences = np.abs(arrays[0] - arrays[-1]).reshape(len(arrays[0]), -1).max(axis=1)
        arrays = [a[differences.argmax()] for a in arrays]
    while arrays[0].ndim > 2:
        arrays = [a.sum(axis=0) for a in arrays]
    return arrays
