"""Layer-wise relevance propagation: the score itself, handed back to the inputs in shares of what made it."""

from collections.abc import Callable
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from ..core.arguments import check_amount, check_choice
from ..core.batches import explaining
from ..core.model import graph_nodes, of_target, resolve_target, scores_of
from ..core.preparing import tensors_in
from ..core.protocols import Model, Target
from .backward_rules import (
    ACTIVATIONS,
    AVERAGING,
    CONVOLVING,
    GATES,
    LARGEST,
    MOVING,
    WEIGHTED,
    ByRule,
    Ruled,
    argument,
    carried_back,
    carries,
    scores_seen,
)

LrpRule = Literal["composite", "epsilon", "gamma"]
UNSEEN = ("Convolution", "Addmm", "Mm", "NativeBatchNorm", "CudnnBatchNorm", "Relu")  # in a graph without rules
TOLERANCE = 1e-3  # of the largest score


def lrp(
    model: Model,
    inputs: Tensor,
    target: Target = None,
    *,
    rule: LrpRule = "composite",
    epsilon: float = 1e-6,
    gamma: float = 0.25,
    batch_size: int | None = None,
) -> Tensor:
    """Layer-wise relevance propagation: each layer's inputs get shares of its relevance, as they made its outputs.

    rule: "epsilon", shares of zⱼₖ = xⱼ wⱼₖ in Σⱼ zⱼₖ + bₖ ± ε; "gamma", where what speaks for an output counts 1 + γ
    times; "composite": all inputs of the first layer alike, γ for convolutions, ε for linear layers. A BatchNorm counts
    as one with the convolution before it; activations hand on what they get, sums in shares, products to the factor
    that is no gate. Biases keep theirs. ValueError for what has no rule. Two forward passes and one backward pass.
    Bach et al. 2015, doi 10.1371/journal.pone.0130140; Montavon et al. 2019, doi 10.1007/978-3-030-28954-6_10.

    >>> from hw_xai.explain import lrp
    >>> from hw_xai.testing import pictures, small_network
    >>> lrp(small_network(), pictures(), target=2).shape
    torch.Size([3, 3, 16, 16])
    """
    check_choice("rule", rule, get_args(LrpRule))
    check_amount("epsilon", epsilon)
    check_amount("gamma", gamma)

    def propagated(x: Tensor, target: Tensor | None) -> Tensor:  # (n, ...) -> (n, ...)
        plain = scores_of(model, x)
        chosen = resolve_target(plain, target)
        x = x.detach().requires_grad_()
        with torch.enable_grad():
            scores = scores_seen(Relevance(rule, epsilon, gamma), model, x)  # (n, C)
            score = of_target(scores, chosen)
        _check(plain, scores)
        (found,) = torch.autograd.grad(score, x, score.detach())
        return found.contiguous()

    with explaining(model, inputs, target, batch_size) as chunks:
        return torch.cat([propagated(x, t) for x, t in chunks])


def _check(plain: Tensor, scores: Tensor) -> None:
    if not scores.requires_grad:
        raise ValueError("`model` must be differentiable, got scores that do not depend on the inputs")
    hidden = {node.name() for node in graph_nodes(scores) if node.name().startswith(UNSEEN)}
    if hidden or (scores.detach() - plain).abs().max() > TOLERANCE * plain.abs().max():
        expected = "let LRP see all that it does, and use what an operation in place returns"
        raise ValueError(f"`model` must {expected}, got {', '.join(sorted(hidden)) or 'other scores'}: is it compiled?")


class Relevance(Ruled):
    """Lets the backward pass hand on relevance instead of gradients."""

    method = "LRP"

    def __init__(self, rule: LrpRule, epsilon: float, gamma: float):
        super().__init__()
        self.rule, self.epsilon, self.gamma = rule, epsilon, gamma
        self.first = True
        # id of an output, kept alive -> it, what it was made of, and by which rule
        self.convolved: dict[int, tuple] = {}
        self.gates: dict[int, Tensor] = {}

    def follow(self, name: str, function: Callable, args: tuple, kwargs: dict):
        carrying = [value for value in tensors_in((args, kwargs)) if carries(value)]
        x, single = carrying[0], len(carrying) == 1
        if name in MOVING or name in LARGEST:
            return function(*args, **kwargs)
        if not single and name == "add" and not kwargs.get("alpha"):
            return self.shared(carrying, 1.0)
        if not single and name == "sub" and not kwargs.get("alpha"):
            return self.shared(carrying, -1.0)
        if not single and name == "mul":
            return self.gated(name, function, args, kwargs)
        if not single or not args or args[0] is not x and name not in ("add", "mul", "sub", "rsub"):
            return self.unknown(name, function, args, kwargs)

        def apply(value: Tensor) -> Tensor:
            return function(*(value if a is x else a for a in args), **kwargs)

        if name in WEIGHTED:
            return self.weighted(name, function, args, kwargs)
        if name == "batch_norm" and not argument("training", 5, args, kwargs):
            return self.normalized(apply, args, kwargs)
        if name in ACTIVATIONS or name in ("mul", "div", "neg"):
            output = handed_on(apply, x)
            if name in GATES:
                self.gates[id(output)] = output
            return output
        if name in AVERAGING or name in ("matmul", "bmm"):
            return self.by(epsilon_rule(apply, apply, self.epsilon), apply, x)
        if name in ("add", "sub", "rsub"):  # of a constant: a bias
            sign = -1.0 if name == "rsub" or args[0] is not x and name == "sub" else 1.0
            return self.by(epsilon_rule(apply, lambda value: sign * value, self.epsilon), apply, x)
        return self.unknown(name, function, args, kwargs)

    def by(self, rule: Callable, apply: Callable, x: Tensor) -> Tensor:
        value = x.detach().clone()  # what works in place must not reach it
        return ByRule.apply(lambda: apply(value.clone()), lambda arriving: [rule(value, arriving)], x)

    def weighted(self, name: str, function: Callable, args: tuple, kwargs: dict) -> Tensor:
        positional: list[Any] = [*args, *[None] * (3 - len(args))]
        x, weight, bias, *rest = positional
        given = dict(kwargs)
        weight, bias = given.pop("weight", weight).detach(), given.pop("bias", bias)
        bias = bias if bias is None else bias.detach()

        def linear(value: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
            return function(value, weight, bias, *rest, **given)

        kind: str = self.rule
        if kind == "composite":
            kind = "flat" if self.first else "epsilon" if name == "linear" else "gamma"
        self.first = False
        output = self.propagate(linear, x, weight, bias, kind)
        if name in CONVOLVING or name == "linear":
            self.convolved[id(output)] = (output, linear, x, weight, bias, kind)
        return output

    def propagate(self, linear: Callable, x: Tensor, weight: Tensor, bias: Tensor | None, kind: str) -> Tensor:
        rules = {
            "epsilon": lambda: epsilon_rule(
                lambda v: linear(v, weight, bias), lambda v: linear(v, weight, None), self.epsilon
            ),
            "gamma": lambda: gamma_rule(linear, weight, bias, self.gamma, self.epsilon),
            "flat": lambda: flat_rule(linear, weight, self.epsilon),
        }
        return self.by(rules[kind](), lambda value: linear(value, weight, bias), x)

    def normalized(self, apply: Callable, args: tuple, kwargs: dict) -> Tensor:
        """A BatchNorm in one with what it normalizes; alone it hands on what it gets."""
        names = ("input", "running_mean", "running_var", "weight", "bias", "training", "momentum", "eps")
        given = {"weight": None, "bias": None, "eps": 1e-5} | dict(zip(names, args)) | kwargs  # noqa: B905
        x = given["input"]
        if id(x) not in self.convolved:
            return handed_on(apply, x)
        _, linear, before, weight, bias, kind = self.convolved[id(x)]
        scale = (given["running_var"] + given["eps"]).rsqrt()  # (K,)
        if given["weight"] is not None:
            scale = scale * given["weight"].detach()
        shift = ((0 if bias is None else bias) - given["running_mean"]) * scale
        if given["bias"] is not None:
            shift = shift + given["bias"].detach()
        return self.propagate(linear, before, weight * scale.reshape(-1, *[1] * (weight.ndim - 1)), shift, kind)

    def shared(self, terms: list[Tensor], sign: float) -> Tensor:
        a, b = (term.detach().clone() for term in terms)
        total = a + sign * b

        def shares(arriving: Tensor) -> list[Tensor]:
            part = arriving / stable(total, self.epsilon)
            return [(a * part).sum_to_size(a.shape), (sign * b * part).sum_to_size(b.shape)]

        return ByRule.apply(total.clone, shares, *terms)

    def gated(self, name: str, function: Callable, args: tuple, kwargs: dict) -> Tensor:
        a, b = args[:2]
        if (id(a) in self.gates) == (id(b) in self.gates):
            return self.unknown(f"{name} of two that depend on the inputs", function, args, kwargs)
        signal, gate = (b, a) if id(a) in self.gates else (a, b)
        value, opened = signal.detach().clone(), gate.detach().clone()
        return ByRule.apply(lambda: value * opened, lambda arriving: [arriving.sum_to_size(value.shape)], signal)


def handed_on(apply: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Return apply(x), which hands on all relevance that it gets."""
    value = x.detach().clone()
    return ByRule.apply(lambda: apply(value), lambda arriving: [arriving.sum_to_size(x.shape)], x)


# --------------------------------------------------------------------------------------------------------------- rules


def stable(z: Tensor, epsilon: float) -> Tensor:
    """Return z moved away from zero by epsilon, upwards for zero itself."""
    return z + torch.where(z < 0, -epsilon, epsilon)


def epsilon_rule(whole: Callable, linear: Callable, epsilon: float) -> Callable[[Tensor, Tensor], Tensor]:
    """Shares of what is linear in x in the whole, which may have a bias."""

    def back(x: Tensor, relevance: Tensor) -> Tensor:
        (found,) = carried_back(linear, [x], relevance / stable(whole(x.clone()), epsilon))
        return x * found

    return back


def gamma_rule(linear: Callable, weight: Tensor, bias: Tensor | None, gamma: float, epsilon: float) -> Callable:
    """For outputs of either sign, and inputs too: what speaks for the output counts 1 + γ times."""
    upper, lower = weight + gamma * weight.clamp(min=0), weight + gamma * weight.clamp(max=0)
    high = None if bias is None else bias + gamma * bias.clamp(min=0)
    low = None if bias is None else bias + gamma * bias.clamp(max=0)

    def back(x: Tensor, relevance: Tensor) -> Tensor:
        z, found = linear(x, weight, bias), torch.zeros_like(x)
        plus, minus = x.clamp(min=0), x.clamp(max=0)
        for wanted, for_plus, for_minus, constant in ((z > 0, upper, lower, high), (z < 0, lower, upper, low)):
            whole = linear(plus, for_plus, constant) + linear(minus, for_minus, None)
            part = torch.where(wanted, relevance / stable(whole, epsilon), 0)
            for side, weights in ((plus, for_plus), (minus, for_minus)):
                if side.any():
                    found += side * carried_back(lambda v, w=weights: linear(v, w, None), [side], part)[0]
        return found

    return back


def flat_rule(linear: Callable, weight: Tensor, epsilon: float) -> Callable:
    """All inputs of an output alike, whatever they are: for pictures, of which black is nothing special."""

    def back(x: Tensor, relevance: Tensor) -> Tensor:
        ones = torch.ones_like(x)

        def count(value: Tensor) -> Tensor:
            return linear(value, torch.ones_like(weight), None)

        return carried_back(count, [ones], relevance / stable(count(ones), epsilon))[0]

    return back
