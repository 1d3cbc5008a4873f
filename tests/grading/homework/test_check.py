"""`check` in a notebook: the mistake by its name, in both languages, and never a traceback of ours."""

import linecache
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import captum.attr
import numpy as np
import pytest
import torch
from captum.attr import Saliency
from tqdm import tqdm

from grading.homework.check import check
from grading.homework.misconceptions import MISCONCEPTIONS

ROOT = Path(__file__).parents[3]
SQUARED = next(wrong for wrong in MISCONCEPTIONS["euclidean_distance"] if wrong.name == "squared")


def right(a, b):
    return torch.cdist(a, b)


def squared(a, b):
    return torch.cdist(a, b) ** 2


def test_a_right_answer_passes_and_says_how_long_it_took():
    found = check("euclidean_distance", right, language="en")
    assert found.passed
    assert repr(found).startswith("✔ Euclidean distance: right (")
    assert "#1a7f37" in found._repr_html_()


@pytest.mark.parametrize(("language", "words"), [("en", SQUARED.sentence.en), ("zh-TW", SQUARED.sentence.zh)])
def test_a_mistake_is_named_in_the_language_asked_for(language, words, monkeypatch):
    assert words in repr(check("euclidean_distance", squared, language=language))
    monkeypatch.setenv("HW_XAI_LANGUAGE", language)
    other = {SQUARED.sentence.en, SQUARED.sentence.zh} - {words}
    found = check("euclidean_distance", squared)
    assert words in repr(found)
    assert not any(word in repr(found) for word in other)
    assert words in found._repr_html_()


def test_both_languages_are_said_when_none_is_chosen(monkeypatch):
    monkeypatch.delenv("HW_XAI_LANGUAGE", raising=False)
    text = repr(check("euclidean_distance", squared))
    assert SQUARED.sentence.en in text
    assert SQUARED.sentence.zh in text
    assert SQUARED.hint.en in text


def test_a_wrong_picture_is_drawn_beside_the_expected_one():
    assert "data:image/png;base64," in check("euclidean_distance", squared)._repr_html_()


def no_return(a, b):
    torch.cdist(a, b)


def generated(a, b):
    yield from torch.cdist(a, b)


def as_booleans(a, b):
    return torch.cdist(a, b) > 1


def as_objects(a, b):
    return np.array([[None] * len(b)] * len(a))


def with_nan(a, b):
    return torch.cdist(a, b) * torch.nan


def huge(a, b):
    return torch.zeros(1).expand(20_000, 1_000)


def as_zeros(a, b):
    return torch.zeros(len(a), len(b))


def too_few_arguments(a):
    return a


def exhausted(a, b):
    return exhausted(a, b)


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (no_return, "must be returned, not NoneType"),
        (generated, "must be returned, not generator"),
        (as_booleans, "numbers were expected, bool came"),
        (as_objects, "numbers were expected, object came"),
        (with_nan, "NaN or infinite"),
        (huge, "must have the shape (4, 3), yours has (20000, 1000)"),
        (as_zeros, "zero everywhere"),
        (too_few_arguments, "too_few_arguments() got an unexpected keyword argument 'b'"),
        (exhausted, "RecursionError"),
        (lambda a, b: 1 / 0, "ZeroDivisionError"),
        ("no function", "'str' object is not callable"),
    ],
)
def test_whatever_is_returned_or_raised_is_answered_by_a_sentence(function, words):
    found = check("euclidean_distance", function, language="en")
    assert not found.passed
    assert words in repr(found)
    assert found._repr_html_()


def test_a_stub_fails_with_its_own_message():
    def stub(a, b):
        raise NotImplementedError("Exercise 3: write euclidean_distance here")

    assert "not written yet: Exercise 3: write euclidean_distance here" in repr(check("euclidean_distance", stub))


def test_what_a_student_prints_into_an_error_is_no_markup():
    def shout(a, b):
        raise ValueError("<script>alert(1)</script>")

    assert "<script>" not in check("euclidean_distance", shout)._repr_html_()


CELL = """
def distances(a, b):
    differences = a[:, None] - b[None]
    return differences.no_such_method()
"""


def test_an_error_names_the_students_own_line_in_a_cell():
    name = "<ipython-input-1>"
    linecache.cache[name] = (len(CELL), None, CELL.splitlines(keepends=True), name)
    space = {}
    exec(compile(CELL, name, "exec"), space)
    text = repr(check("euclidean_distance", space["distances"], language="en"))
    assert "AttributeError" in text
    assert "(line 4: return differences.no_such_method())" in text


@pytest.mark.slow
def test_an_error_names_the_students_own_line_in_a_script(tmp_path):
    script = tmp_path / "mine.py"
    end = 'from grading.homework.check import check\nprint(check("euclidean_distance", distances, language="en"))\n'
    script.write_text(CELL + end)
    command = [sys.executable, str(script)]
    done = subprocess.run(command, cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True)
    assert "(line 4: return differences.no_such_method())" in done.stdout


def test_an_error_deep_in_a_library_names_the_students_line():
    def wrong(a, b):
        return torch.nn.functional.conv2d(a, b, stride="two")

    assert 'torch.nn.functional.conv2d(a, b, stride="two")' in repr(check("euclidean_distance", wrong))


def test_an_unknown_exercise_meets_the_nearest_name():
    with pytest.raises(ValueError, match=r'got "euclidean_distanse"\. Did you mean "euclidean_distance"\?'):
        check("euclidean_distanse", right)


def class_score(model, x, target):
    return model(x).gather(1, target[:, None]).sum()


def asks_the_caller(model, inputs, target):
    return torch.autograd.grad(class_score(model, inputs.requires_grad_(), target), inputs)[0].abs()


def leaves_its_hook(model, inputs, layer, channel):
    seen = []
    layer.register_forward_hook(lambda module, given, output: seen.append(output))
    model(inputs)
    return seen[0][:, [channel]]


def with_a_library(model, inputs, target):
    return captum.attr.Saliency(model).attribute(inputs, target)


def with_its_class(model, inputs, target):
    return Saliency(model).attribute(inputs, target)


def in_a_lambda(model, inputs, target):
    return (lambda x: Saliency(model).attribute(x, target))(inputs)


def imported_inside(model, inputs, target):
    from captum.attr import Saliency

    return Saliency(model).attribute(inputs, target)


@pytest.mark.filterwarnings("ignore:Input Tensor 0 did not already require gradients")
@pytest.mark.parametrize("function", [with_a_library, with_its_class, in_a_lambda, imported_inside])
def test_what_the_grader_cannot_run_is_not_accepted(function):
    found = check("saliency", function, language="en")
    assert not found.passed
    assert "right, but the grader has no captum" in repr(found)


def with_a_progress_bar(a, b):
    return right(a, b) if list(tqdm([1], disable=True)) else None


def by_a_helper(a, b):
    return with_a_progress_bar(a, b)


def by_opencv(a, b):
    import cv2

    assert cv2.__name__
    return right(a, b)


def by_scipy(a, b):
    from scipy.spatial import distance

    return torch.from_numpy(distance.cdist(a.numpy(), b.numpy())).float()


@pytest.mark.parametrize(
    ("function", "missing"),
    [(with_a_progress_bar, "tqdm"), (by_a_helper, "tqdm"), (by_opencv, "cv2"), (by_scipy, "")],
)
def test_a_library_that_is_not_in_the_sandbox_is_named(function, missing):
    found = check("euclidean_distance", function, language="en")
    assert found.passed == (not missing)
    assert not missing or f"the grader has no {missing}" in repr(found)


def test_a_function_of_the_library_may_be_looked_at():
    from hw_xai import explain

    found = check("saliency", explain.saliency, language="en")
    assert found.passed
    assert "the grader has no hw_xai" in repr(found)


@pytest.mark.parametrize(
    ("name", "function", "words"),
    [
        ("saliency", asks_the_caller, "let a clone of it ask"),
        ("filter_activation", leaves_its_hook, "handle.remove()"),
    ],
)
def test_what_a_right_answer_leaves_behind_is_a_note_under_it(name, function, words):
    found = check(name, function, language="en")
    assert found.passed
    first, note = repr(found).splitlines()
    assert "right (" in first
    assert words in note


def test_a_method_called_as_a_librarys_function_makes_no_note(monkeypatch):
    monkeypatch.setitem(globals(), "sum", Saliency)
    monkeypatch.setitem(globals(), "lime", Saliency)
    assert check("saliency", with_methods, language="en").verdict.hint.en == ""


def with_methods(model, inputs, target):
    x = inputs.clone().requires_grad_()
    x.lime = model(x).gather(1, target[:, None]).sum()
    return torch.autograd.grad(x.lime, x)[0].abs()


def test_nothing_left_behind_makes_no_note():
    assert len(repr(check("euclidean_distance", right, language="en")).splitlines()) == 1


def backward_on_a_plain_clone(model, inputs, target):
    x = inputs.clone()
    class_score(model, x, target).backward()
    return x.grad.abs()


def gradient_of_a_plain_clone(model, inputs, target):
    x = inputs.clone()
    return torch.autograd.grad(class_score(model, x, target), x)[0].abs()


@pytest.mark.parametrize("function", [backward_on_a_plain_clone, gradient_of_a_plain_clone])
def test_a_gradient_that_nobody_asked_for_is_explained(function):
    found = check("saliency", function, language="en")
    assert not found.passed
    assert "your function stopped with" in repr(found)
    assert "with requires_grad_(), before the model saw it" in repr(found)


@torch.no_grad()
def never_at_the_edge(model, inputs, target, window, stride):
    total, count = torch.zeros_like(inputs[:, :1]), torch.zeros_like(inputs[:, :1])
    before = model(inputs).gather(1, target[:, None])
    for top in range(0, inputs.shape[2] - window, stride):
        for left in range(0, inputs.shape[3] - window, stride):
            place = (..., slice(top, top + window), slice(left, left + window))
            hidden = inputs.clone()
            hidden[place] = 0
            total[place] += (before - model(hidden).gather(1, target[:, None]))[:, :, None, None]
            count[place] += 1
    return total / count  # 0 / 0 at the edge


def test_nan_at_the_edge_is_the_known_mistake_that_leaves_it_out():
    found = check("occlusion", never_at_the_edge, language="en")
    assert found.verdict.misconception == "last_window_missing"
    assert "where does the last window start?" in repr(found)


def test_points_are_drawn_as_a_scatter():
    found = check("pca_projection", lambda vectors, n_components: vectors[:, :n_components], language="en")
    as_strips = replace(found, exercise=replace(found.exercise, of_points=False))
    assert "data:image/png;base64," in found._repr_html_()
    assert found._repr_html_() != as_strips._repr_html_()
