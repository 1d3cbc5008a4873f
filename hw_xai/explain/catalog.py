"""The methods and their taxonomy: what each explains, how, at which resolution and at what cost."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Literal, NamedTuple

from .features import filter_activation, maximize_activation
from .gradients import gradient, guided_backprop, input_x_gradient, integrated_gradients, saliency, smooth_grad
from .surrogate import lime


class Passes(NamedTuple):
    """How often the model runs for one input."""

    forward: int
    backward: int


@dataclass(frozen=True)
class Method:
    """One row of the taxonomy."""

    function: Callable
    locality: Literal["local", "global"]  # explains one decision, or what the model has learned
    approach: Literal["gradient", "perturbation", "surrogate", "dimension reduction", "activation"]
    resolution: Literal["element", "superpixel", "layer", "new picture"]  # of the result
    tuning: str  # the options that change the picture, "" where there is nothing to tune
    cost: Callable[[SimpleNamespace], Passes]  # options -> passes for one input with a given target
    use: str  # when to use it, and what to beware of
    paper: str
    explainer: bool = True  # called as function(model, inputs, target); the others are asked about a channel

    def passes(self, **options: object) -> Passes:
        """Return the passes for one input with the function's defaults, or with other options."""
        defaults = {name: p.default for name, p in inspect.signature(self.function).parameters.items()}
        return self.cost(SimpleNamespace(**(defaults | options)))


METHODS: dict[str, Method] = {
    "gradient": Method(
        function=gradient,
        locality="local",
        approach="gradient",
        resolution="element",
        tuning="",
        cost=lambda o: Passes(1, 1),
        use="The building block of the others; its sign says which way to change an element, not whether it is there.",
        paper="Simonyan et al. 2013, arXiv 1312.6034",
    ),
    "saliency": Method(
        function=saliency,
        locality="local",
        approach="gradient",
        resolution="element",
        tuning="",
        cost=lambda o: Passes(1, 1),
        use="A first look in one pass: where the score is sensitive. Noisy, and blind where the score is saturated.",
        paper="Simonyan et al. 2013, arXiv 1312.6034",
    ),
    "input_x_gradient": Method(
        function=input_x_gradient,
        locality="local",
        approach="gradient",
        resolution="element",
        tuning="",
        cost=lambda o: Passes(1, 1),
        use="Contributions of a nearly linear model in one pass; dark elements get none, whatever they mean.",
        paper="Shrikumar et al. 2016, arXiv 1605.01713",
    ),
    "smooth_grad": Method(
        function=smooth_grad,
        locality="local",
        approach="gradient",
        resolution="element",
        tuning="noise_level, n_samples",
        cost=lambda o: Passes(o.n_samples, o.n_samples),
        use="Less noise than one gradient: an average over the neighbourhood. Too much noise leaves the data behind.",
        paper="Smilkov et al. 2017, arXiv 1706.03825",
    ),
    "integrated_gradients": Method(
        function=integrated_gradients,
        locality="local",
        approach="gradient",
        resolution="element",
        tuning="baselines",
        cost=lambda o: Passes(*[o.n_steps * (len(o.baselines) if isinstance(o.baselines, list | tuple) else 1)] * 2),
        use="Contributions that add up to the score difference to the baseline; an element equal to it gets none.",
        paper="Sundararajan et al. 2017, arXiv 1703.01365",
    ),
    "guided_backprop": Method(
        function=guided_backprop,
        locality="local",
        approach="gradient",
        resolution="element",
        tuning="",
        cost=lambda o: Passes(1, 1),
        use="Crisp pictures of the edges that filters like; says little about the class. Networks with ReLU only.",
        paper="Springenberg et al. 2014, arXiv 1412.6806",
    ),
    "lime": Method(
        function=lime,
        locality="local",
        approach="surrogate",
        resolution="superpixel",
        tuning="segments, n_samples, fill",
        cost=lambda o: Passes(o.n_samples, 0),
        use="Any model, no gradient needed: which regions speak for and against. Look at the surrogate's R² first.",
        paper="Ribeiro et al. 2016, arXiv 1602.04938",
    ),
    "filter_activation": Method(
        function=filter_activation,
        locality="local",
        approach="activation",
        resolution="layer",
        tuning="layer, channel",
        cost=lambda o: Passes(1, 0),
        use="Where one filter responds in a photo: what is seen so far, not yet what it is used for.",
        paper="Zeiler and Fergus 2013, arXiv 1311.2901",
        explainer=False,
    ),
    "maximize_activation": Method(
        function=maximize_activation,
        locality="global",
        approach="activation",
        resolution="new picture",
        tuning="layer, channel, n_steps, lr, jitter, blur, total_variation",
        cost=lambda o: Passes(o.n_steps, o.n_steps),
        use="What a filter or a class looks for. The regularisers shape the picture as much as the network does.",
        paper="Erhan et al. 2009; Yosinski et al. 2015, arXiv 1506.06579",
        explainer=False,
    ),
}
