"""The pages for teaching: formulas are drawn, nothing is asked of a server."""

import re

import nbformat
import pytest

from grading.homework.release.cells import Options
from grading.homework.release.notebooks import masters, release
from grading.homework.release.teaching_page import html_of, with_mathml


def test_formulas_become_mathml_and_code_does_not():
    drawn = with_mathml("With $x_i$ and\n$$\\frac{a}{b}\n+ c$$ but `$HOME` or\n```\n$1 $2\n```")
    assert drawn.count("<math") == 2
    assert drawn.count('display="block"') == 1
    assert "<mfrac>" in drawn
    assert drawn.endswith("but `$HOME` or\n```\n$1 $2\n```")


def test_the_notebook_itself_keeps_its_formulas():
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("$x$")])
    page = html_of(notebook, "a title")
    assert "<title>a title</title>" in page
    assert "<mi>x</mi>" in page
    assert notebook.cells[0].source == "$x$"


@pytest.mark.parametrize("master", masters(), ids=lambda path: path.stem)
def test_no_page_asks_a_server_and_no_formula_is_left(master):
    page = html_of(release(master, Options(solved=True)), master.stem)
    assert not re.search(r"""<(script|link|img|iframe)[^>]*(src|href)=["']?(https?:)?//""", page)
    assert "Run this cell first" in page
    assert not re.search(r"\\(frac|text|sum)\b", page)
