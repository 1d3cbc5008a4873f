"""The themes import what lies beside them. In a quick run the second tier meets every fifth attack."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.hookimpl(tryfirst=True)  # before -m chooses
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    second = [item for item in items if item.path.parent == Path(__file__).parent and "[process" in item.name]
    for number, item in enumerate(second):
        if number % 5:
            item.add_marker(pytest.mark.slow)
