"""The README tells the truth: its table is the catalog's, its commands exist, its files are there."""

import re
from pathlib import Path

from hw_xai.cli import COMMANDS
from hw_xai.cli.commands.methods import markdown, plain
from hw_xai.explain import METHODS

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def test_the_table_of_methods_is_the_catalogs():
    table = re.search(r"<!-- methods:.*?-->\n(.*?)\n<!-- end of methods -->", README, re.DOTALL)[1]
    assert table.strip() == markdown(), "paste the output of `hw-xai methods --markdown` into README.md"


def test_every_method_is_listed():
    assert all(f"\n{name}\n" in f"\n{plain()}" for name in METHODS)


def test_every_command_in_the_readme_exists():
    named = set(re.findall(r"(?:hw-xai|hw_xai\.cli) ([a-z]+)", README))
    assert named
    assert named <= set(COMMANDS)


def test_every_link_in_the_readme_leads_somewhere():
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", README) if "://" not in link]
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
