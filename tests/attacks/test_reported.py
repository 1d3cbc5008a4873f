"""Reports on hostile code and words: written in seconds, nothing of them acts on a page, and a person is told."""

import json
import re
import time

import pytest
from attack import DISTANCE, RIGHT
from reported import CODES

from grading.reports import write_reports
from grading.reports.hand import hand_page
from grading.running.rules import Course
from grading.verdict.results import Graded, Result
from grading.words import Text

COURSE = Course({"cosine_similarity": 1.0}, seeds=(1,))
ACTIVE = re.compile(r"<script>alert|<!--|\x1b|\x07|\x9b|[\u202a-\u202e\u2066-\u2069\u200b-\u200f]")


def result(student: str) -> Result:
    part = Graded("cosine_similarity", "passed", 1.0, 1.0, Text("right", "正確"), isolation="bubblewrap")
    return Result(student, "", (part,), (), ())


@pytest.mark.parametrize("name", CODES)
def test_code_in_reports(name, tmp_path):
    _, code = CODES[name]
    sources = {student: {"cosine_similarity": RIGHT} for student in ("b10", "b11")}
    sources |= {student: {"cosine_similarity": code} for student in ("b66", "b67")}
    start = time.process_time()
    write_reports([result(student) for student in sources], tmp_path, COURSE, sources)
    page = hand_page(
        "cosine_similarity", {s: its["cosine_similarity"] for s, its in sources.items()}, 1, (), COURSE, "", True
    )
    assert time.process_time() - start < 10  # in this process
    pages = [*(path.read_text(encoding="utf-8") for path in tmp_path.rglob("*.html")), page]
    assert len(pages) >= 6
    assert not [found for text in pages if (found := ACTIVE.search(text))]
    similar = json.loads((tmp_path / "class.json").read_text(encoding="utf-8"))["similar"]
    listed = {who for one in similar for who in one["members"]}
    assert {"b66", "b67"} <= listed  # it hides no copy, or a person is told to read it


def test_honest_code_is_coloured_beside_code_that_ends_the_child(tmp_path):
    codes = {"b10": DISTANCE, "b66": CODES["marks in a text"][1], "b67": DISTANCE}
    page = hand_page("cosine_similarity", codes, 1, (), COURSE, "", True)
    assert page.count('<span class="k">def</span>') == 2
