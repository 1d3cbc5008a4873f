"""A notebook as a page for teaching that needs no network: formulas become MathML, which browsers draw themselves."""

import copy
import re

from nbformat import NotebookNode

# nbconvert's own page asks servers for scripts: for formulas (ours are MathML), widgets and diagrams (we have none)
OFFLINE = """{% extends 'lab/index.html.j2' %}
{% block html_head_js %}{% endblock %}
{% block extra_css %}<style>math { font-size: 1.15em }</style>{% endblock %}
{% block html_head_js_mathjax %}{% endblock %}
{% block html_head_js_mermaidjs %}{% endblock %}"""
CODE_OR_FORMULA = re.compile(r"```.*?```|`[^`\n]*`|\$\$(?P<block>.+?)\$\$|\$(?P<inline>[^$\n]+?)\$", re.DOTALL)


def html_of(notebook: NotebookNode, title: str) -> str:
    """Return a notebook as one page without references to anything outside it."""
    from jinja2 import DictLoader  # late: Jupyter brings it, for the pages for teaching only
    from nbconvert import HTMLExporter  # late: Jupyter, needed for the pages for teaching only

    notebook = copy.deepcopy(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = with_mathml(cell.source)
    exporter = HTMLExporter(extra_loaders=[DictLoader({"offline.html.j2": OFFLINE})], template_file="offline.html.j2")
    return exporter.from_notebook_node(notebook, {"metadata": {"name": title}})[0]


def with_mathml(markdown: str) -> str:
    """Replace the formulas of a text, $…$ and $$…$$, but not what looks like one within code."""
    from latex2mathml.converter import convert  # late: an extra, needed for the pages for teaching only

    def drawn(match: re.Match) -> str:
        if block := match["block"]:
            return convert(" ".join(block.split()), display="block")
        return convert(match["inline"]) if match["inline"] else match[0]

    return CODE_OR_FORMULA.sub(drawn, markdown)
