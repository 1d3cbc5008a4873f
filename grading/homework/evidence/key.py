"""The key of the thirty questions, computed: no answer is written down anywhere.

Every option is decided by a measurement on the shipped models (grading/evidence). One that is close to the line between
true and false raises an error instead of a key: then the question, or the model behind it, has to change.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import cache

import torch

from hw_xai.core.batches import progress_bar

from ..questions import load_questions
from . import Evidence, attention, embeddings, filters, gradients, perturbation
from .shipped import Shipped

PARTS = (perturbation, gradients, filters, attention, embeddings)
MEASURES: Mapping[str, Callable[[Shipped], Evidence]] = {
    f"Q{number}": next(vars(part)[f"q{number}"] for part in PARTS if f"q{number}" in vars(part))
    for number in range(1, 31)
}


def compute_key(progress: bool = False) -> dict[str, frozenset[str]]:
    """Return question -> names of its right options, less than a minute on a quiet machine; the second time at once."""
    return dict(_key(progress))


def decided(name: str, evidence: Evidence) -> frozenset[str]:
    """Return the options that are true; ValueError unless every one is clearly true or clearly false."""
    question = load_questions()[name]
    if set(evidence) != set(question.options):
        odd = ", ".join(sorted(set(evidence) ^ set(question.options)))
        raise ValueError(f"{name} must have the same options in questions.toml and in its evidence, but not so: {odd}")
    for option, distance in evidence.items():
        if not abs(distance) >= 1:  # written so that NaN is undecided too
            raise ValueError(
                f"{name} must be decided clearly, but its option {option} lies {distance:.2f} from the line, within 1: "
                "ask something else, or of another dish or sentence"
            )
    right = frozenset(option for option, distance in evidence.items() if distance > 0)
    if not 0 < len(right) < len(evidence) or (len(right) > 1 and not question.multiple):
        raise ValueError(f"{name} must have right and wrong options, one right if single, got {sorted(right)}")
    return right


def key_of(shipped: Shipped, names: Iterable[str] | None = None, progress: bool = False) -> dict[str, frozenset]:
    """Compute the key for some seed and precision, of all questions or the named."""
    names = list(MEASURES if names is None else names)
    key = {}
    with progress_bar(len(names), "questions", progress) as bar:
        for name in names:
            key[name] = decided(name, MEASURES[name](shipped))
            bar.update(1)
    return key


@cache
def _key(progress: bool) -> dict[str, frozenset[str]]:
    return key_of(Shipped(0, torch.float32), progress=progress)
