"""Every explainer of the catalog on the homework's Classifier, a ResNet-18, a small ViT and a text model, all at once.

One test for each method and network: the passes are those of the catalog, a batch of one equals its row in a batch,
the result is finite and broadcasts, and the network is as it was.
"""

import inspect

import pytest
import torch
import torchvision
from torch import Tensor, nn

from hw_xai.explain import METHODS, LearnedCAM
from hw_xai.vision.networks import Classifier

QUARTERS = torch.arange(4).reshape(2, 2).kron(torch.ones(16, 16).long())  # of a picture of 32²
FAST = {
    "smooth_grad": {"n_samples": 12},  # enough for a prepared model to pay
    "integrated_gradients": {"n_steps": 12},
    "occlusion": {"window": 16, "stride": 16},
    "rise": {"n_samples": 12},
    "shapley": {"segments": QUARTERS, "n_samples": 14},
    "lime": {"segments": QUARTERS, "n_samples": 60},
}
ATTENTION = ("rollout", "attention_relevance")
RELU = ("guided_backprop", "guided_grad_cam")
RULED = ("deep_lift", "lrp")  # have no rule for LayerNorm
SLOPES = ("gradient", "saliency", "input_x_gradient", "smooth_grad", "integrated_gradients")
EXPLAINERS = [name for name, method in METHODS.items() if method.explainer]
SUITS = {  # what each network is not made for
    "homework": [name for name in EXPLAINERS if name not in ("cam", *ATTENTION)],  # two linear layers behind the maps
    "resnet18": [name for name in EXPLAINERS if name not in ATTENTION],
    "vit": [name for name in EXPLAINERS if name not in ("cam", *RELU, *RULED)],
    "text": [*SLOPES, "occlusion", "shapley", "lime"],
}  # fmt: skip


class Reader(nn.Module):
    """Scores (N, 3) of embedded words (N, 6, 4), read by a GRU."""

    def __init__(self):
        super().__init__()
        self.reader, self.head = nn.GRU(4, 8, batch_first=True), nn.Linear(8, 3)

    def forward(self, vectors: Tensor) -> Tensor:
        return self.head(self.reader(vectors)[0][:, -1])


class Noted(nn.Module):
    """Counts the rows of all passes."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model, self.rows = model, 0

    def forward(self, inputs: Tensor) -> Tensor:
        self.rows += inputs.shape[0]
        return self.model(inputs)


def homework() -> nn.Module:
    model = Classifier()
    model.cnn = nn.Sequential(*[model.cnn[i] for i in (0, 1, 2, 9, 10, 11, 12, 19)])  # the first and the second stage
    model.fc = nn.Sequential(nn.Linear(128 * 8 * 8, 16), nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, 11))
    return model


MAKE = {
    "homework": homework,
    "resnet18": lambda: torchvision.models.resnet18(weights=None, num_classes=11),
    "vit": lambda: torchvision.models.VisionTransformer(32, 8, 2, 2, 16, 32, num_classes=5),
    "text": Reader,
}


@pytest.fixture(scope="module")
def networks() -> dict[str, nn.Module]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = {name: make().double() for name, make in MAKE.items()}
        for name in ("homework", "resnet18"):
            with torch.no_grad():
                for _ in range(20):
                    made[name](torch.rand(4, 3, 32, 32, dtype=torch.float64))
        if (head := made["vit"].heads.head).weight.abs().max() == 0:  # torchvision starts it at zero
            nn.init.normal_(head.weight)
    return made


def options_of(name: str, kind: str) -> dict:
    options = dict(FAST.get(name, {}))
    if kind == "text":
        options |= {"segments": torch.arange(6).reshape(6, 1), "fill": 0.0} if "segments" in options else {}
        options |= {"window": 2, "stride": 2} if "window" in options else {}
    if "learned" in inspect.signature(METHODS[name].function).parameters:
        options["learned"] = LearnedCAM({"homework": 128, "resnet18": 512, "vit": 16}[kind], 5 if kind == "vit" else 11)
    return options


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, names in SUITS.items() for name in names])
def test_a_network_is_explained_row_by_row_and_left_as_it_was(kind, name, networks):
    model, options = Noted(networks[kind].train()), options_of(name, kind)
    size = (2, 6, 4) if kind == "text" else (2, 3, 4, 4)
    inputs = torch.rand(size, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    inputs = inputs if kind == "text" else nn.functional.interpolate(inputs, size=(32, 32), mode="bilinear")
    before = {key: (id(value), value.clone()) for key, value in model.state_dict(keep_vars=True).items()}

    together = METHODS[name].function(model, inputs, 1, **options)
    facts = {"shape": tuple(inputs.shape[1:]), "n_regions": 6 if kind == "text" else 4, "n_channels": 2000}
    expected = METHODS[name].passes(**facts | options).forward * len(inputs)
    assert model.rows == expected or METHODS[name].at_most and model.rows < expected
    assert together.isfinite().all()
    assert torch.broadcast_shapes(together.shape, inputs.shape) == inputs.shape
    alone = METHODS[name].function(model, inputs[1:], 1, **options)
    torch.testing.assert_close(alone, together[1:], rtol=1e-6, atol=1e-9 * together.abs().max().item())

    assert all(module.training and "forward" not in module.__dict__ for module in model.modules())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    for key, value in model.state_dict(keep_vars=True).items():
        assert before[key][0] == id(value)
        assert torch.equal(before[key][1], value)
