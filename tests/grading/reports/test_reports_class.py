"""What the report says about a class, against the plain formulas."""

import re
from dataclasses import replace

import numpy as np
import pytest

from grading.intake.submission import NOTHING_AT_ALL
from grading.reports.class_page import class_data, class_page
from grading.reports.similarity import REFERENCE, released, suspicious_pairs
from grading.reports.statistics import concerns, histogram, items, mistakes, summary
from grading.running.rules import Course
from grading.verdict.results import Answered, Graded, Result
from grading.words import Text

COURSE = Course(points={"saliency": 2}, seeds=(5,), title="Homework 9", language="en")


def student(i: int, points: float, q1: float, status: str = "passed", misconception: str | None = None) -> Result:
    exercise = Graded("saliency", status, points, 2, Text("so it is", "如此"), misconception=misconception)
    return Result(f"s{i:02d}", f"name {i}", (exercise,), (Answered("Q1", q1, 0.3),))


CLASS = [student(i, 2 * (i % 4 > 0), 0.3 * (i % 3 > 0)) for i in range(24)]


def test_discrimination_is_the_correlation_with_all_the_rest():
    item = items(CLASS, "questions")[0]
    one = np.array([result.questions[0].points for result in CLASS])
    rest = np.array([result.exercises[0].points for result in CLASS])
    assert item.discrimination == pytest.approx(np.corrcoef(one, rest)[0, 1], abs=1e-3)
    assert item.right == pytest.approx(2 / 3, abs=1e-4)


def test_discrimination_of_few_or_equal_students_is_none():
    assert items(CLASS[:9], "questions")[0].discrimination is None
    assert items([student(i, 2, 0.3 * (i % 2)) for i in range(20)], "questions")[0].discrimination is None


def test_scores_and_misconceptions_and_concerns_are_counted():
    rows = [student(0, 2, 0.3), student(1, 0, 0, "failed", "signed"), student(2, 0, 0, "failed", "signed")]
    rows += [student(3, 0, 0, "crashed"), student(4, 0, 0, "not_graded")]
    assert sum(histogram(rows)) == 5
    assert (histogram(rows)[0], histogram(rows)[-1]) == (4, 1)
    assert summary(rows)["mean"] == 0.2
    assert [(row.name, row.n) for row in mistakes(rows)] == [("signed", 2)]
    assert [(row.kind, row.student) for row in concerns(rows)] == [("not_graded", "s04"), ("crashed", "s03")]


def test_who_handed_in_nothing_counts_in_no_number():
    absent = [replace(student(90 + i, 0, 0, "not_attempted"), digest=NOTHING_AT_ALL) for i in range(12)]
    for part in ("exercises", "questions"):
        assert items([*CLASS, *absent], part) == items(CLASS, part)
    assert summary([*CLASS, *absent]) == summary(CLASS)
    assert histogram([*CLASS, *absent]) == histogram(CLASS)


def test_a_class_sees_who_chose_what():
    chosen = [("dish_3",), ("dish_0",), ("dish_0",), ()]
    rows = [Result(f"s{i}", "", (), (Answered("Q1", 0, 0.3, chosen=options),)) for i, options in enumerate(chosen)]
    assert items(rows, "questions")[0].chosen == {"dish_0": 2, "dish_3": 1}
    page = class_page(rows, replace(COURSE, key={"Q1": frozenset({"dish_3"})}))
    shown = [" ".join(re.sub("<[^>]*>", " ", row).split()) for row in page.split("<li>")[1:]]
    assert [row[: len("25 % ✔ dish 3")].strip() for row in shown[:2]] == ["25 % ✔ dish 3", "50 % dish 0"]
    assert "who chose what" not in class_page([student(0, 2, 0.3)], COURSE)


def test_what_is_nobodys_needs_a_person():
    page = class_page([student(0, 2, 0.3)], COURSE, None, [Text("<b>x9\x00 is nobody on the roster", "x9 不在名單上")])
    assert "&lt;b&gt;x9\ufffd is nobody on the roster" in page
    assert 'href="students//' not in page


@pytest.mark.parametrize("results", [[], [Result("a", "", (), ())]])
def test_a_class_of_nobody_and_of_nothing_has_a_report(results):
    assert "<h1>" in class_page(results, COURSE, [])
    assert class_data(results, COURSE)["students"] == len(results)


# ----------------------------------------------------------------------------------------------------------- similarity

OWN = [
    """def saliency(model, inputs, target):
    x = inputs.clone().requires_grad_()
    score = model(x)[range(len(x)), target]
    score.sum().backward()
    return abs(x.grad)
""",
    """def saliency(model, inputs, target):
    maps = []
    for row, label in zip(inputs, target):
        row = row[None].requires_grad_()
        model(row)[0, label].backward()
        maps.append(row.grad[0].abs())
    return torch.stack(maps)
""",
    """def saliency(model, inputs, target):
    out, back = torch.func.vjp(model, inputs)
    hot = F.one_hot(target, out.shape[1]).to(out)
    return back(hot)[0].abs().detach()
""",
]
ODD = """def saliency(m, i, t):
    k = {'a': [3, 1], 'b': (7, 9)}
    while k:
        k.popitem()
    return -(-grad(m, i)[t] ** 1)
"""


def test_a_copy_with_other_names_is_found_and_own_work_is_not():
    copied = "# all my own work\n" + ODD.replace("k", "table").replace("m,", "net,").replace("    ", "  ")
    sources = {f"s{i:02d}": {"saliency": OWN[i % 3]} for i in range(30)}
    sources |= {"copier": {"saliency": copied}, "source": {"saliency": ODD}}
    (pair,) = suspicious_pairs(sources)
    assert (pair.a, pair.b, pair.similarity) == ("copier", "source", 1.0)
    assert pair.note.en == "code that nobody else has"


def test_our_own_solution_is_recognized():
    template, ours = released()
    sources = {f"s{i:02d}": {"saliency": OWN[i % 3]} for i in range(30)}
    sources["thief"] = {"saliency": ours["saliency"][-1].replace("slope", "g")}
    assert [(pair.a, pair.b) for pair in suspicious_pairs(sources, template, ours)] == [("thief", REFERENCE)]


def test_an_untouched_stub_is_nobodys_copy():
    template, ours = released()
    sources = {name: {"grad_cam": template["grad_cam"]} for name in "ab"}
    assert suspicious_pairs(sources, template, ours) == []


@pytest.mark.parametrize("source", ["", "\x00", "\ud800", "'''", "def (", "a" * 100_000, "((" * 50_000])
def test_any_text_can_be_compared(source):
    assert suspicious_pairs({"a": {"saliency": source}, "b": {"saliency": "x"}}) == []
