"""`check_explainer`: what every explainer of this library keeps, held against anybody's function.

    assert not check_explainer(my_saliency)  # in a test of yours: prints a sentence for each rule that is broken

`RULES` are for every explainer; `CLAIMS` hold where a method says so.
"""

from collections.abc import Callable, Collection
from functools import partial

from torch import Tensor, nn

from ..core.arguments import check_choice, check_inputs
from ..core.protocols import Explainer
from .case import Broken, Case
from .example import SmallNet, pictures, small_network
from .rules import CLAIMS, RULES

__all__ = ["CLAIMS", "RULES", "SmallNet", "check_explainer", "pictures", "small_network"]


def check_explainer(
    explain: Explainer,
    model: nn.Module | None = None,
    inputs: Tensor | None = None,
    *,
    rules: Collection[str] | None = None,
    claims: Collection[str] = (),
    baselines: Tensor | float = 0.0,
) -> list[str]:
    """Return one sentence for each rule that explain(model, inputs, target) breaks, [] where it keeps them all.

    explain: returns an attribution of the inputs' shape, or one that broadcasts against it, such as maps (N, 1, H, W);
    target is a LongTensor (N,), an int for all rows, or None for the predicted classes. Options are bound beforehand:
    `partial(f, n_samples=9)`; where it takes `seed` and `batch_size`, those are checked too. A layer is best bound by
    its name or found in the model that is passed: most rules ask about copies of it.
    model, inputs: one that is written in Python and a batch (N, ...); by default a small convolutional network and
    three pictures. Neither is changed, whatever explain does.
    rules: of RULES, all by default. claims: of CLAIMS, what the method promises beyond them, about these baselines.

    >>> from hw_xai.testing import check_explainer
    >>> check_explainer(lambda model, inputs, target=None: inputs.abs(), rules=["rows", "target"])
    ['target: `explain` must depend on the target, got the same attribution for all 5 classes']
    """
    for name, asked, known in (("rules", rules or (), RULES), ("claims", claims, CLAIMS)):
        for one in asked:
            check_choice(name, one, known)
    model, inputs = small_network() if model is None else model, pictures() if inputs is None else inputs
    check_inputs(inputs)
    chosen = {name: RULES[name] for name in (RULES if rules is None else rules)}
    chosen |= {name: partial(CLAIMS[name], baselines=baselines) for name in claims}
    told = []
    for name, rule in chosen.items():
        if sentence := _broken(name, rule, explain, model, inputs):
            told.append(sentence)
            if name == "shape":  # then nothing else can be asked
                break
    return told


def _broken(name: str, rule: Callable[[Case], None], explain: Explainer, model: nn.Module, inputs: Tensor) -> str:
    """Return what is wrong by one rule, or ""."""
    try:
        rule(Case(explain, model, inputs))
    except Broken as broken:
        return f"{name}: `explain` {broken}"
    return ""
