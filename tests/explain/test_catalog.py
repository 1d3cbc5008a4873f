"""The taxonomy speaks of what exists; its passes are counted in test_every_explainer."""

import doctest
import inspect
import subprocess
import sys

import pytest

import hw_xai.explain
from hw_xai.explain import METHODS
from hw_xai.testing import check_explainer


def test_every_method_is_public_under_its_name():
    for name, method in METHODS.items():
        assert getattr(hw_xai.explain, name) is method.function
        assert name in hw_xai.explain.__all__


def test_explainers_share_one_signature():
    for name, method in METHODS.items():
        if method.explainer:
            parameters = list(inspect.signature(method.function).parameters.values())
            assert [p.name for p in parameters[:3]] == ["model", "inputs", "target"], name
            assert all(p.kind is p.KEYWORD_ONLY for p in parameters[3:]), name
            assert "batch_size" in {p.name for p in parameters}, name


def test_what_is_said_to_need_tuning_is_an_option():
    for method in METHODS.values():
        options = set(inspect.signature(method.function).parameters)
        assert {word for word in method.tuning.split(", ") if word} <= options
        assert method.use.endswith(".")
        assert method.paper


def test_passes_follow_the_options():
    assert METHODS["saliency"].passes() == (1, 1)
    assert METHODS["smooth_grad"].passes(n_samples=7) == (7, 7)
    assert METHODS["integrated_gradients"].passes(baselines=[0, 1], n_steps=10) == (20, 20)
    assert METHODS["lime"].passes() == (1000, 0)


@pytest.mark.parametrize(
    "function", [*(method.function for method in METHODS.values()), check_explainer], ids=lambda one: one.__name__
)
def test_every_method_has_a_short_example_that_runs(function):
    (test,) = doctest.DocTestFinder(recurse=False).find(function, globs={})  # as pasted into an empty notebook
    assert test.examples, f"the docstring of {function.__name__} must have an example"
    assert sum(example.source.count("\n") + example.want.count("\n") for example in test.examples) <= 5
    assert test.examples[-1].want, "and show what comes out"
    assert doctest.DocTestRunner().run(test).failed == 0


def test_importing_the_package_needs_no_torch():
    code = "import sys, hw_xai; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_importing_the_explainers_does_not_import_the_slow_libraries():
    code = "import sys, hw_xai.explain; assert not {'lime', 'sklearn', 'skimage', 'matplotlib'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
