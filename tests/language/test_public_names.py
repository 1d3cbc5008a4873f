"""What `hw_xai.language` and `hw_xai.show` offer: small, and all of it there."""

import inspect

import pytest

from hw_xai import language, show


@pytest.mark.parametrize("package", [language, show])
def test_every_public_name_is_there_and_says_what_it_is(package):
    assert len(package.__all__) == len(set(package.__all__)) <= 30
    for name in package.__all__:
        assert inspect.getdoc(getattr(package, name)), name


def test_language_draws_nothing():
    for name in language.__all__:
        assert not getattr(language, name).__module__.startswith("hw_xai.show")
