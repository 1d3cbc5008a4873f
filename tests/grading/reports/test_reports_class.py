"""What the report says about a class, against the plain formulas."""

import re
import time
from dataclasses import replace

import numpy as np
import pytest

from grading.intake.living_code import LONGEST, living
from grading.intake.submission import NOTHING_AT_ALL
from grading.reports.class_page import class_data, class_page
from grading.reports.cluster_page import cluster_page, name_of
from grading.reports.concerns import concerns
from grading.reports.similarity import FEW, REFERENCE, released, suspicious_clusters
from grading.reports.statistics import histogram, items, mistakes, summary
from grading.running.counting import BY_HAND
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


def test_what_is_said_of_many_needs_a_person_once():
    flawed, ill = Text("full points: flawed", "給滿分"), Text("excused: ill", "免計分")
    essay = Graded("essay", "not_graded", 0, 5, BY_HAND)
    rows = [student(i, 2, 0.3) for i in range(5)]
    rows = [replace(one, exercises=(replace(one.exercises[0], decided=flawed), essay)) for one in rows]
    excused = [replace(part, decided=ill, out_of=0) for part in rows[0].parts]
    rows[0] = replace(rows[0], exercises=tuple(excused[:2]), questions=tuple(excused[2:]))
    unread = Text("Q1: only the letters A, B can be chosen.", "Q1：只能選擇 A, B。")
    rows[1] = replace(rows[1], questions=(Answered("Q1", 0, 0.3, unread), Answered("Q2", 0, 0.3, unread._replace(
        en=unread.en.replace("Q1", "Q2"), zh=unread.zh.replace("Q1", "Q2")
    ))))  # fmt: skip
    assert [(row.kind, row.student, row.exercise, row.reason.en) for row in concerns(rows)] == [
        ("answers", "s01", "", "Q1, Q2: only the letters A, B can be chosen."),
        ("adjusted", "", "saliency", "4 students: full points: flawed"),
        ("adjusted", "s00", "", "excused: ill"),
        ("by_hand", "", "essay", "4 answers wait to be read: hw-grade hand CLASS essay"),
    ]


def test_what_nobody_has_read_yet_is_not_the_hardest_exercise():
    essay = Graded("essay", "not_graded", 0, 5, BY_HAND)
    rows = [
        replace(student(i, 2 * (i % 2), 0.3), exercises=(student(i, 2 * (i % 2), 0).exercises[0], essay))
        for i in range(12)
    ]
    rows[0] = replace(rows[0], exercises=(rows[0].exercises[0], replace(essay, points=5, decided=Text("set to 5", ""))))
    found = {item.name: item for item in items(rows, "exercises")}
    assert (found["essay"].n, found["essay"].right) == (1, 1.0)
    assert found["essay"].statuses == {"not_graded": 12}
    none = [replace(one, exercises=(essay,)) for one in rows]
    assert (items(none, "exercises")[0].n, items(none, "exercises")[0].right) == (0, 0.0)
    assert "–" in class_page(none, COURSE)


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


LONG = """def saliency(model, inputs, target):
    x = inputs.clone().requires_grad_()
    table = {'rows': [x[i : i + 1] for i in range(len(x))], 'seen': 0}
    while table['seen'] < len(x):
        one = model(table['rows'][table['seen']])
        table['seen'] += 1
        one[0, target[table['seen'] - 1]].backward()
    return x.grad.abs()
"""


def class_of(copies: list[str]) -> dict[str, dict[str, str]]:
    """Return thirty who wrote for themselves and those who handed in these codes."""
    sources = {f"s{i:02d}": {"saliency": OWN[i % 3]} for i in range(30)}
    return sources | {f"x{i:02d}": {"saliency": code} for i, code in enumerate(copies)}


def members(clusters, many=False):
    return [cluster.members for cluster in clusters if cluster.many == many]


def test_a_copy_with_other_names_is_found_and_own_work_is_not():
    copied = "# all my own work\n" + ODD.replace("k", "table").replace("m,", "net,").replace("    ", "  ")
    found = suspicious_clusters(class_of([copied, ODD]))
    assert members(found) == [("x00", "x01")]
    assert (found[0].similarity, found[0].note.en) == (1.0, "code that nobody else has")


@pytest.mark.parametrize("n", [2, 6, 7, 8, 25])
def test_identical_copies_are_one_cluster_however_many(n):
    found = suspicious_clusters(class_of([LONG] * n))
    assert tuple(f"x{i:02d}" for i in range(n)) in members(found, many=n > FEW)
    assert len(members(found)) == (n <= FEW)  # nobody else is said to be odd


def test_those_who_come_together_in_several_exercises_stand_first():
    sources = class_of([LONG] * 7)
    for student in [f"x{i:02d}" for i in range(7)]:
        sources[student]["grad_cam"] = LONG.replace("saliency", "grad_cam")
    found = suspicious_clusters(sources)
    assert [(c.exercise, len(c.members)) for c in found[:2]] == [("grad_cam", 7), ("saliency", 7)]


EACH = re.compile(r"\n( +)(?=\w)")  # the beginning of each statement
HIDDEN = {
    "zeros": lambda code: re.sub(r"\n( +)(?=\w)(?!while)", r"\n\g<1>0; ", code),
    "docstrings": lambda code: EACH.sub(r"\n\1'step'\n\1", code),
    "constants": lambda code: EACH.sub(r"\n\1q = 3; r = q, 1\n\1", code),
    "circles": lambda code: EACH.sub(r"\n\1q = 1; q = r = q\n\1", code),
    "calls": lambda code: EACH.sub(r"\n\1len(''); torch.zeros(1); inputs.clone()\n\1", code),
    "branches": lambda code: EACH.sub(r"\n\1if 0: model(1)\n\1for _ in [1]: pass\n\1", code),
    "overwritten": lambda code: code.replace("    x =", "    x = 5\n    x ="),
    "neutral": lambda code: code.replace("    while", "    x = x; x += 0; x = x * 1\n    while"),
    "types": lambda code: code.replace("model, inputs", "model: object, inputs: 1").replace("x =", "x: list =", 1),
    "unreachable": lambda code: code + "    print(model, inputs, target, model(target), inputs.grad)\n" * 9,
}


@pytest.mark.parametrize("how", HIDDEN)
def test_what_has_no_effect_hides_no_copy(how):
    hidden = HIDDEN[how](LONG)
    assert hidden != LONG
    found = suspicious_clusters(class_of([LONG, hidden.replace("table", "t")]))
    assert members(found) == [("x00", "x01")]
    assert found[0].similarity == suspicious_clusters(class_of([LONG, LONG]))[0].similarity, living(hidden)


@pytest.mark.parametrize("n", [1, 6, 12])
def test_our_own_solution_is_recognized_however_many_have_it(n):
    template, ours = released()
    stolen = ours["saliency"][-1].replace("slope", "g")
    found = suspicious_clusters(class_of([stolen] * n), template, ours)
    assert (*(f"x{i:02d}" for i in range(n)), REFERENCE) in members(found, many=n > FEW)
    assert any(f"{n} of {30 + n}" in cluster.note.en for cluster in found)


def test_an_untouched_stub_is_nobodys_copy():
    template, ours = released()
    sources = {name: {"grad_cam": template["grad_cam"]} for name in "abcdefghij"}
    assert suspicious_clusters(sources, template, ours) == []


def test_what_has_an_effect_stays():
    steps = "handle = x.register(f)", "y = [g(x)]", "y += [1]", "for i in y:", "    x.add(i)", "return y"
    code = "\n    ".join(("def f(x):", *steps))
    assert living(code) == code


@pytest.mark.parametrize(
    "source",
    ["", "\x00", "\ud800", "'''", "def (", "a" * 100_000, "((" * 50_000, "0;" * 15_000, "x=y\ny=x\n" * 3000,
     "-" * 30_000 + "1", "x" + "+1" * 9_000, "if x: pass\n" + "elif y: pass\n" * 1500],
)  # fmt: skip
def test_any_text_can_be_compared(source):
    started = time.process_time()
    found = suspicious_clusters({"a": {"saliency": source}, "b": {"saliency": "x"}})
    assert [cluster.members for cluster in found] == ([("a",)] if len(source) > LONGEST else [])
    assert time.process_time() - started < 10


def test_the_pages_of_the_class_and_of_a_cluster_name_everybody():
    sources = class_of([LONG] * 8 + [ODD, ODD + "    # <script>"])
    clusters = suspicious_clusters(sources)
    page = class_page([student(0, 2, 0.3)], COURSE, clusters)
    assert "of 40 who wrote it" in page
    for cluster in clusters:
        own = cluster_page(cluster, sources, COURSE)
        assert name_of(cluster) in page
        assert all(name in own and name in page for name in cluster.members)
        assert "<script>" not in own
