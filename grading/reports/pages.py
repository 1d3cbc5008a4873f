"""What the pages of the reports share: texts in one language or both, points, and the template engine."""

import base64
import hashlib
import re
from pathlib import Path

from markupsafe import Markup, escape

from hw_xai.show.frame.colours import NIGHT, PAPER, css_gradient
from hw_xai.show.frame.templates import load_template

from ..verdict.feedback import in_words
from ..words import Language, Text
from .wording import STATUS, number

TEMPLATES = Path(__file__).parent / "templates"
TAGS = {"en": "en", "zh-TW": "zh-Hant-TW", "both": "en"}

BOTH = Markup('<span lang="en">{}</span><span class="gap"> </span><span lang="zh-Hant-TW">{}</span>')


def render(template: str, language: Language, **values: object) -> str:
    """Return a page. In its template `t("Score", "分數")` and `say(text)` print the language of the course."""

    def say(text: Text) -> Markup:
        if language != "both" or text.en == text.zh:
            return with_code(in_words(text, language))
        return BOTH.format(*map(with_code, text))

    return load_template(template, TEMPLATES).render(
        say=say,
        t=lambda en, zh: say(Text(en, zh)),
        words=lambda en, zh: in_words(Text(en, zh), language),
        tag=TAGS[language],
        both=language == "both",
        number=number,
        status_words=STATUS,
        paper=PAPER,
        night=NIGHT,
        gradient={True: css_gradient(True), False: css_gradient(False)},
        **values,
    )


def hash_of_script(script: str) -> str:
    """Return what a page's policy names its own script by, so that no other runs."""
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def with_code(text: str) -> Markup:
    """Escape a text and set what stands between backticks as code."""
    return Markup(re.sub("`([^`]+)`", r"<code>\1</code>", str(escape(text))))
