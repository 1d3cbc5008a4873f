"""The rules: each a function that raises where an explainer breaks it."""

import random
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..core.arguments import described
from ..explain.gradients import completeness_gap
from .case import Broken, Case, around, close, demand, demand_close


def _shape(case: Case) -> None:
    result, shape = case.run(), tuple(case.inputs.shape)
    expected = f"return a floating tensor (N, ...) that broadcasts against the inputs of shape {shape}"
    fits = result.is_floating_point() and _broadcasts(result.shape, case.inputs.shape)
    demand(fits, f"{expected}, got {described(result)}")
    demand(not result.requires_grad, f"{expected}, got one that still requires a gradient: detach it")


def _broadcasts(shape: Sequence[int], to: Sequence[int]) -> bool:
    return len(shape) == len(to) and shape[0] == to[0] and all(a in (1, b) for a, b in zip(shape, to, strict=True))


def _finite(case: Case) -> None:
    for what, inputs in (("these inputs", case.inputs), ("inputs of zeros", torch.zeros_like(case.inputs))):
        result = case.run(f"for {what}", inputs=inputs)
        demand(bool(result.isfinite().all()), f"return finite values for {what}, got NaN or infinite ones")


def _dtype(case: Case) -> None:
    for dtype in (torch.float32, torch.float64):
        name = str(dtype).removeprefix("torch.")
        inputs = case.inputs.to(dtype)
        result = case.run(f"for a model and inputs in {name}", model=case.model.to(dtype), inputs=inputs)
        expected = f"return {name} on {inputs.device} for such inputs"
        demand((result.dtype, result.device) == (dtype, inputs.device), f"{expected}, got {_kind(result)}")


def _kind(result: Tensor) -> str:
    return f"{str(result.dtype).removeprefix('torch.')} on {result.device}"


def _rows(case: Case) -> None:
    together = case.run()
    for i in range(len(case.inputs)):
        alone = case.run("for one row", inputs=case.inputs[i : i + 1], target=case.target[i : i + 1])
        demand_close(alone, together[i : i + 1], f"explain row {i} alone as in the batch")


def _seed(case: Case) -> None:
    options: dict[str, Any] = {"seed": 3} if case.takes("seed") else {}
    first = case.run(**options)
    with torch.random.fork_rng():
        torch.manual_seed(99)
        again = case.run("a second time", **options)
    # not close: a sum over random draws is made in the same order
    demand(torch.equal(first, again), "return the same a second time, got another attribution: seed what you draw")
    if options:
        demand(not close(case.run(seed=4), first), "draw anew for another `seed`, got the same attribution")


def _target(case: Case) -> None:
    results = [case.run("for any class", target=torch.full_like(case.target, c)) for c in range(case.n_classes)]
    differs = case.n_classes == 1 or any(not close(result, results[0]) for result in results[1:])
    demand(differs, f"depend on the target, got the same attribution for all {case.n_classes} classes")
    expected = torch.stack([results[c][i] for i, c in enumerate(case.target.tolist())])
    demand_close(case.run(), expected, "explain row i for target[i]")


def _target_forms(case: Case) -> None:
    demand_close(case.run("for target None", target=None), case.run(), "explain the predicted classes for target None")
    one, each = case.target[0].item(), case.target[:1].expand_as(case.target)
    demand_close(case.run("for an int", target=one), case.run(target=each), "explain one int as a target for all rows")


def _mode(case: Case) -> None:
    expected = case.run()
    result = case.run("for a model in training mode", model=case.model.train())
    demand_close(result, expected, "explain a model in training mode as in eval mode")


def _gradients(case: Case) -> None:
    expected = case.run()
    for mode in (torch.no_grad, torch.inference_mode):
        with mode():
            result = case.run(f"under torch.{mode.__name__}", inputs=case.inputs.clone())
        demand_close(result, expected, f"return the same under torch.{mode.__name__}")
    result = case.run("for frozen parameters", model=case.model.requires_grad_(False))
    demand_close(result, expected, "return the same for frozen parameters")


def _function(case: Case) -> None:
    model = case.given
    modes = {module: module.training for module in model.modules()}
    try:
        expected = case.run(model=model.eval())
        result = case.run("for a model that is a function", model=lambda inputs: model(inputs))
    finally:
        for module, mode in modes.items():
            module.training = mode
    demand_close(result, expected, "explain a function as the module that it calls")


def _batch_size(case: Case) -> None:
    if not case.takes("batch_size"):
        return
    rows: list[int] = []

    def counted(_: nn.Module, forward: Callable[[Tensor], Tensor], inputs: Tensor) -> Tensor:
        rows.append(len(inputs))
        return forward(inputs)

    expected = case.run()
    for batch_size in (1, 2, 7):
        rows.clear()
        result = case.run(f"with batch_size={batch_size}", model=around(case.model, counted), batch_size=batch_size)
        most = max(rows, default=0)
        demand(most <= batch_size, f"pass at most `batch_size` rows at once, got {most} for batch_size={batch_size}")
        demand_close(result, expected, f"return the same with batch_size={batch_size}")


def _unchanged(case: Case, in_place: bool = False) -> None:
    """Of a model in a mixture of states that draws random numbers and counts in its buffers, also after it failed."""
    calls, fails_at = 0, None

    def meddle(self: Any, forward: Callable[[Tensor], Tensor], inputs: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        torch.rand(1), np.random.rand(), random.random()  # noqa: NPY002  the global state is the point
        self.counted += 1
        self.replaced = self.replaced + 1
        scores = forward(inputs.mul_(0.5) if in_place else inputs)
        if calls == fails_at:
            raise ArithmeticError("the model failed")
        return scores

    model, inputs = _mixed(around(case.model, meddle)), case.inputs.requires_grad_()
    before = _state(model, inputs)
    when = "works in place in its inputs" if in_place else "draws random numbers and counts in buffers"
    case.run(f"for a model that {when}", model=model)
    _demand_same(before, _state(model, inputs), "")
    calls, fails_at = 0, min(2, calls)
    try:
        case.run(model=model)
        raised: BaseException | None = None
    except Broken as broken:
        raised = broken.__cause__
    demand(isinstance(raised, ArithmeticError), f"pass on what the model raises, got {raised!r}")
    _demand_same(before, _state(model, inputs), " after the model has raised")


def _mixed(model: nn.Module) -> nn.Module:
    """Return the model in both modes, with gradients, one frozen parameter and two buffers more."""
    model.train()
    for module in list(model.children())[::2]:
        module.eval()
    parameters = [p for p in model.parameters() if p.is_floating_point()]
    for parameter in parameters:
        parameter.grad = torch.ones_like(parameter)
    for parameter in parameters[-1:]:
        parameter.requires_grad_(False)
    model.register_buffer("counted", torch.zeros(1))
    model.register_buffer("replaced", torch.zeros(1))
    return model


def _demand_same(before: dict[str, object], after: dict[str, object], when: str) -> None:
    changed = [name for name in before if not _equal(before[name], after[name])]
    demand(not changed, f"leave everything as it was{when}, got a change of {', '.join(changed)}")


def _state(model: nn.Module, inputs: Tensor) -> dict[str, object]:
    """Return everything that must be as before, in words."""
    tensors, named = model.state_dict(keep_vars=True), list(model.named_parameters())
    modules = dict(model.named_modules())
    listeners = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return {
        "parameters and buffers": {name: tensor.detach().clone() for name, tensor in tensors.items()},
        "which tensors these are": {name: id(tensor) for name, tensor in tensors.items()},
        "the parameters' gradients": {n: p.grad if p.grad is None else p.grad.clone() for n, p in named},
        "requires_grad": {name: parameter.requires_grad for name, parameter in named},
        "training and eval mode": {name: module.training for name, module in modules.items()},
        "hooks": {name: [len(getattr(module, kind)) for kind in listeners] for name, module in modules.items()},
        "the modules' attributes": {name: sorted(vars(module)) for name, module in modules.items()},
        "the inputs": inputs.detach().clone(),
        "the inputs' gradient": [inputs.requires_grad, inputs.grad],
        "the global random state": [torch.get_rng_state(), random.getstate(), *map(str, np.random.get_state())],  # noqa: NPY002
        "torch's gradient mode": [torch.is_grad_enabled(), torch.is_inference_mode_enabled()],
    }


def _equal(a: object, b: object) -> bool:
    """Compare nested dicts and lists of tensors and plain values."""
    if isinstance(a, Tensor):
        return isinstance(b, Tensor) and torch.equal(a, b)
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_equal(a[key], b[key]) for key in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(_equal, a, b))
    return a == b


def _refusals(case: Case) -> None:
    broken = case.inputs.clone()
    broken.view(-1)[0] = torch.nan
    wrong: dict[str, dict[str, object]] = {
        "NaN in the inputs": {"inputs": broken},
        "inputs without a row": {"inputs": case.inputs[:0], "target": case.target[:0]},
        f"target {case.n_classes} of {case.n_classes} classes": {"target": case.n_classes},
        "targets for another number of rows": {"target": torch.cat([case.target, case.target])},
        "a model that returns no scores (N, C)": {
            "model": around(case.model, lambda _, forward, inputs: forward(inputs).argmax(dim=1))
        },
    }
    for what, arguments in wrong.items():
        try:
            case.run(**arguments)  # type: ignore[arg-type]  # wrong on purpose
        except Broken as error:
            refused = isinstance(error.__cause__, ValueError)
            demand(refused, f"refuse {what} with a ValueError, got {type(error.__cause__).__name__}")
        else:
            demand(False, f"refuse {what} with a ValueError, got an attribution")


RULES: dict[str, Callable[[Case], None]] = {
    "shape": _shape,  # (N, ...) that broadcasts against the inputs, without a graph
    "finite": _finite,
    "dtype": _dtype,  # and device: those of the inputs
    "rows": _rows,  # a row alone is explained as in a batch
    "seed": _seed,  # alone decides the randomness
    "target": _target,  # the explanation depends on it, row by row
    "target_forms": _target_forms,  # None is the predicted classes, an int is for all rows
    "mode": _mode,  # explained is the model in eval mode
    "gradients": _gradients,  # no matter whether they are switched off around, or the model is frozen
    "function": _function,  # any callable is a model
    "batch_size": _batch_size,  # bounds the rows of a pass and changes nothing else
    "unchanged": _unchanged,  # model, inputs, random states: all as before, also after an exception
    "in_place": partial(_unchanged, in_place=True),  # also for a model that writes into its inputs
    "refusals": _refusals,  # a ValueError for what cannot be explained
}


# -------------------------------------------------------------------------------------------------------------- claims


def _completeness(case: Case, baselines: Tensor | float) -> None:
    gap = completeness_gap(case.run(), case.model, case.inputs, case.target, baselines)
    whole = completeness_gap(torch.zeros_like(case.inputs), case.model, case.inputs, case.target, baselines)
    share = float(gap.abs().max() / whole.abs().max())
    demand(share < 0.01, f"sum to the difference of scores to the baselines, got {share:.1%} of it as the gap")


def _sensitivity_n(case: Case, baselines: Tensor | float) -> None:
    """Any n elements of a linear model: their sum is what the score loses without them. Ancona et al. 2018."""
    source = torch.Generator().manual_seed(0)
    linear = nn.Sequential(nn.Flatten(), nn.Linear(case.inputs[0].numel(), case.n_classes)).to(case.inputs)
    with torch.no_grad():
        for parameter in linear.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=source))
    result = case.run("for a linear model", model=linear)
    away = torch.as_tensor(baselines).to(case.inputs).expand_as(case.inputs)
    for share in (0.1, 0.5, 1.0):
        hidden = (torch.rand(result.shape, generator=source) <= share).to(result.device)
        left = torch.where(hidden, away, case.inputs)
        with torch.no_grad():
            lost = (linear(case.inputs) - linear(left)).gather(1, case.target[:, None])[:, 0]
        gap = float(((result * hidden).flatten(1).sum(dim=1) - lost).abs().max() / lost.abs().max())
        expected = "add up, for any elements of a linear model, to what the score loses without them"
        demand(gap < 0.01, f"{expected}, got {gap:.1%} of it as the gap for {share:.0%} of the elements")


CLAIMS: dict[str, Callable[..., None]] = {
    "completeness": _completeness,  # the sum is score(inputs) - score(baselines), to 1 %
    "sensitivity_n": _sensitivity_n,  # so is the sum over any elements, where the model is linear
}
