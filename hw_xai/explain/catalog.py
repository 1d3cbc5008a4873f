"""The methods and their taxonomy: what each explains, how, at which resolution and at what cost."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Literal, NamedTuple

from .ascent import deep_dream, maximize_activation
from .attending import attention_relevance, rollout
from .cam import cam, grad_cam, grad_cam_plus_plus, guided_grad_cam, layer_cam
from .deep_lift import deep_lift
from .features import filter_activation
from .gradients import gradient, guided_backprop, input_x_gradient, integrated_gradients, saliency, smooth_grad
from .learned_cam import lcam
from .lrp import lrp
from .masked_cam import ada_sise, score_cam, sidu, sise
from .perturbation import occlusion, rise, window_count
from .shapley import shapley, shapley_passes
from .surrogate import lime


class Passes(NamedTuple):
    """How often the model runs for one input."""

    forward: int
    backward: int


@dataclass(frozen=True)
class Method:
    """One row of the taxonomy."""

    title: str  # as the field writes it
    function: Callable
    signed: bool  # whether negative values mean "speaks against"
    locality: Literal["local", "global"]  # explains one decision, or what the model has learned
    approach: Literal["gradient", "perturbation", "surrogate", "dimension reduction", "activation"]
    resolution: Literal["element", "window", "superpixel", "layer", "new picture"]  # of the result
    tuning: str  # the options that change the picture, "" where there is nothing to tune
    cost: Callable[[SimpleNamespace], Passes]  # options and facts -> passes for one input with a given target
    use: str  # when to use it, and what to beware of
    paper: str
    at_most: bool = False  # the passes are the most it takes: channels that show nothing are skipped
    explainer: bool = True  # called as function(model, inputs, target); the others are asked about a channel

    def passes(
        self, *, shape: tuple[int, ...] = (3, 128, 128), n_regions: int = 40, n_channels: int = 512, **options: object
    ) -> Passes:
        """Return the passes for one input with the function's defaults, or with other options.

        shape, n_regions, n_channels: of the input, its segments and the layers, where the cost depends on them.
        """
        defaults = {name: p.default for name, p in inspect.signature(self.function).parameters.items()}
        facts = {"shape": shape, "n_regions": n_regions, "n_channels": n_channels}
        return self.cost(SimpleNamespace(**(defaults | facts | options)))


METHODS: dict[str, Method] = {
    "gradient": Method(
        title="Gradient",
        function=gradient,
        signed=True,
        locality="local",
        approach="gradient",
        resolution="element",
        tuning="",
        cost=lambda o: Passes(1, 1),
        use="The building block of the others; its sign says which way to change an element, not whether it is there.",
        paper="Simonyan et al. 2013, arXiv 1312.6034",
    ),
    "saliency": Method(
        title="Saliency",
        function=saliency,
        signed=False,
        locality="local",
        approach="gradient",
        resolution="element",
        tuning="",
        cost=lambda o: Passes(1, 1),
        use="A first look in one pass: where the score is sensitive. Noisy, and blind where the score is saturated.",
        paper="Simonyan et al. 2013, arXiv 1312.6034",
    ),
    "input_x_gradient": Method(
        title="Input × gradient",
        function=input_x_gradient,
        signed=True,
        locality="local",
        approach="gradient",
        resolution="element",
        tuning="",
        cost=lambda o: Passes(1, 1),
        use="Contributions of a nearly linear model in one pass; dark elements get none, whatever they mean.",
        paper="Shrikumar et al. 2016, arXiv 1605.01713",
    ),
    "smooth_grad": Method(
        title="SmoothGrad",
        function=smooth_grad,
        signed=True,
        locality="local",
        approach="gradient",
        resolution="element",
        tuning="noise_level, n_samples",
        cost=lambda o: Passes(o.n_samples, o.n_samples),
        use="Less noise than one gradient: an average over the neighbourhood. Too much noise leaves the data behind.",
        paper="Smilkov et al. 2017, arXiv 1706.03825",
    ),
    "integrated_gradients": Method(
        title="Integrated gradients",
        function=integrated_gradients,
        signed=True,
        locality="local",
        approach="gradient",
        resolution="element",
        tuning="baselines",
        cost=lambda o: Passes(*[o.n_steps * (len(o.baselines) if isinstance(o.baselines, list | tuple) else 1)] * 2),
        use="Contributions that add up to the score difference to the baseline; an element equal to it gets none.",
        paper="Sundararajan et al. 2017, arXiv 1703.01365",
    ),
    "deep_lift": Method(
        title="DeepLIFT",
        function=deep_lift,
        signed=True,
        locality="local",
        approach="gradient",
        resolution="element",
        tuning="baselines",
        cost=lambda o: Passes(
            *[n * (len(o.baselines) if isinstance(o.baselines, list | tuple) else 1) for n in (2, 1)]
        ),
        use="Adds up to the score difference to the baseline as integrated gradients do, in one pass back; noisier.",
        paper="Shrikumar et al. 2017, arXiv 1704.02685",
    ),
    "lrp": Method(
        title="LRP",
        function=lrp,
        signed=True,
        locality="local",
        approach="gradient",
        resolution="element",
        tuning="rule, epsilon, gamma",
        cost=lambda o: Passes(2, 1),
        use="The score in shares, layer by layer: clean pictures, shaped by the rules as much as by the network.",
        paper="Bach et al. 2015, doi 10.1371/journal.pone.0130140",
    ),
    "guided_backprop": Method(
        title="Guided backprop",
        function=guided_backprop,
        signed=True,
        locality="local",
        approach="gradient",
        resolution="element",
        tuning="",
        cost=lambda o: Passes(1, 1),
        use="Crisp pictures of the edges that filters like; says little about the class. Networks with ReLU only.",
        paper="Springenberg et al. 2014, arXiv 1412.6806",
    ),
    "occlusion": Method(
        title="Occlusion",
        function=occlusion,
        signed=True,
        locality="local",
        approach="perturbation",
        resolution="window",
        tuning="window, stride, fill",
        cost=lambda o: Passes(1 + window_count(o.shape, o.window, o.stride), 0),
        use="Any model: what the score loses when a window is hidden. The fill itself can mislead: try several.",
        paper="Zeiler and Fergus 2013, arXiv 1311.2901",
    ),
    "rise": Method(
        title="RISE",
        function=rise,
        signed=False,
        locality="local",
        approach="perturbation",
        resolution="window",
        tuning="n_samples, cells, p",
        cost=lambda o: Passes(o.n_samples, 0),
        use="Any model: smooth maps without a window size to choose, for thousands of passes. Only differences count.",
        paper="Petsiuk et al. 2018, arXiv 1806.07421",
    ),
    "shapley": Method(
        title="Shapley values",
        function=shapley,
        signed=True,
        locality="local",
        approach="perturbation",
        resolution="superpixel",
        tuning="segments, fill, n_samples, method",
        cost=lambda o: Passes(shapley_passes(o.method, o.n_samples, o.n_regions), 0),
        use="Any model: a fair share of the score for each region, with standard errors; depends on what hiding shows.",
        paper="Lundberg and Lee 2017, arXiv 1705.07874",
    ),
    "lime": Method(
        title="LIME",
        function=lime,
        signed=True,
        locality="local",
        approach="surrogate",
        resolution="superpixel",
        tuning="segments, surrogate, n_samples, fill",
        cost=lambda o: Passes(o.n_samples, 0),
        use="Any model, no gradient needed: which regions speak for and against. Look at the surrogate's R² first.",
        paper="Ribeiro et al. 2016, arXiv 1602.04938",
    ),
    "cam": Method(
        title="CAM",
        function=cam,
        signed=True,
        locality="local",
        approach="activation",
        resolution="layer",
        tuning="layer",
        cost=lambda o: Passes(1, 0),
        use="What each place adds to the score, where a network pools its last maps into one linear layer. Coarse.",
        paper="Zhou et al. 2015, arXiv 1512.04150",
    ),
    "grad_cam": Method(
        title="Grad-CAM",
        function=grad_cam,
        signed=False,
        locality="local",
        approach="gradient",
        resolution="layer",
        tuning="layer",
        cost=lambda o: Passes(1, 1),
        use="CAM for any convolutional network, in one pass: where the evidence lies, not its details.",
        paper="Selvaraju et al. 2016, arXiv 1610.02391",
    ),
    "grad_cam_plus_plus": Method(
        title="Grad-CAM++",
        function=grad_cam_plus_plus,
        signed=False,
        locality="local",
        approach="gradient",
        resolution="layer",
        tuning="layer",
        cost=lambda o: Passes(1, 1),
        use="Grad-CAM that covers several objects of a class better; maps that speak against the class never count.",
        paper="Chattopadhay et al. 2017, arXiv 1710.11063",
    ),
    "layer_cam": Method(
        title="LayerCAM",
        function=layer_cam,
        signed=False,
        locality="local",
        approach="gradient",
        resolution="layer",
        tuning="layer",
        cost=lambda o: Passes(1, 1),
        use="Grad-CAM with a weight for each place: earlier layers give finer maps. Negative slopes never count.",
        paper="Jiang et al. 2021, doi 10.1109/TIP.2021.3089943",
    ),
    "guided_grad_cam": Method(
        title="Guided Grad-CAM",
        function=guided_grad_cam,
        signed=True,
        locality="local",
        approach="gradient",
        resolution="element",
        tuning="layer",
        cost=lambda o: Passes(2, 2),
        use="Grad-CAM's place with guided backprop's edges, which owe little to the class. ReLU networks only.",
        paper="Selvaraju et al. 2016, arXiv 1610.02391",
    ),
    "score_cam": Method(
        title="Score-CAM",
        function=score_cam,
        signed=False,
        locality="local",
        approach="perturbation",
        resolution="layer",
        tuning="layer",
        cost=lambda o: Passes(1 + o.n_channels, 0),
        use="Class activation maps without gradients: a map counts as far as the class is recognized in what it shows.",
        paper="Wang et al. 2019, arXiv 1910.01279",
        at_most=True,
    ),
    "sidu": Method(
        title="SIDU",
        function=sidu,
        signed=False,
        locality="local",
        approach="perturbation",
        resolution="layer",
        tuning="layer",
        cost=lambda o: Passes(1 + o.n_channels, 0),
        use="Score-CAM with regions that keep the prediction and are unlike others: objects rather than parts.",
        paper="Muddamsetty et al. 2021, arXiv 2101.10710",
        at_most=True,
    ),
    "sise": Method(
        title="SISE",
        function=sise,
        signed=False,
        locality="local",
        approach="perturbation",
        resolution="layer",
        tuning="layers, mu",
        cost=lambda o: Passes(2 + o.n_channels, 1),
        use="Several layers fused: sharper than one layer's map. Hundreds of passes; one misled layer blanks the map.",
        paper="Sattarzadeh et al. 2020, arXiv 2010.00672",
        at_most=True,
    ),
    "ada_sise": Method(
        title="ADA-SISE",
        function=ada_sise,
        signed=False,
        locality="local",
        approach="perturbation",
        resolution="layer",
        tuning="layers",
        cost=lambda o: Passes(2 + o.n_channels, 1),
        use="SISE with fewer passes: only the maps whose gradient stands out are looked at.",
        paper="Sudhakar et al. 2021, arXiv 2102.07799",
        at_most=True,
    ),
    "lcam": Method(
        title="L-CAM",
        function=lcam,
        signed=False,
        locality="local",
        approach="activation",
        resolution="layer",
        tuning="learned",
        cost=lambda o: Passes(1, 0),
        use="One pass a photo, no gradient: where the class can be recognized. Must be trained once for each model.",
        paper="Gkartzonika et al. 2022, arXiv 2209.11189",
    ),
    "rollout": Method(
        title="Attention rollout",
        function=rollout,
        signed=False,
        locality="local",
        approach="activation",
        resolution="layer",
        tuning="residual, heads",
        cost=lambda o: Passes(1, 1),
        use="Transformers only: which patches reach the tokens that are read. The same map for every class.",
        paper="Abnar and Zuidema 2020, arXiv 2005.00928",
    ),
    "attention_relevance": Method(
        title="Attention relevance",
        function=attention_relevance,
        signed=False,
        locality="local",
        approach="gradient",
        resolution="layer",
        tuning="",
        cost=lambda o: Passes(1, 1),
        use="Transformers only: rollout of the attention that speaks for the class. What speaks against is left out.",
        paper="Chefer et al. 2021, arXiv 2103.15679",
    ),
    "filter_activation": Method(
        title="Filter activation",
        function=filter_activation,
        signed=False,
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
        title="Activation maximization",
        function=maximize_activation,
        signed=False,
        locality="global",
        approach="activation",
        resolution="new picture",
        tuning="layer, channel, parametrization, n_steps, lr, jitter, scale, rotate",
        cost=lambda o: Passes(o.n_steps, o.n_steps),
        use="What a filter or a class looks for. What keeps it from noise shapes it as much as the network does.",
        paper="Erhan et al. 2009; Olah et al. 2017, doi 10.23915/distill.00007",
        explainer=False,
    ),
    "deep_dream": Method(
        title="Deep Dream",
        function=deep_dream,
        signed=False,
        locality="global",
        approach="activation",
        resolution="new picture",
        tuning="layer, channel, octaves, octave_scale, n_steps, lr",
        cost=lambda o: Passes(o.octaves * o.n_steps, o.octaves * o.n_steps),
        use="What a layer knows to see in anything: its patterns grown into a photo. For the eye, not for measuring.",
        paper="Mordvintsev et al. 2015, Inceptionism",
        explainer=False,
    ),
}
