"""A model is explained without anybody else noticing: by other threads, while it is trained, whatever wraps it."""

import threading
from collections import UserDict
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from hw_xai.core.lending import borrowed, copied, lent
from hw_xai.core.model import scores_of
from hw_xai.explain import METHODS, grad_cam, gradient, integrated_gradients, record_activations, saliency, smooth_grad

QUARTERS = torch.arange(4).reshape(2, 2).kron(torch.ones(8, 8).long())
CHEAP = {
    "smooth_grad": {"n_samples": 14},
    "integrated_gradients": {"n_steps": 14},
    "occlusion": {"window": 4, "stride": 4},
    "rise": {"n_samples": 20},
    "lime": {"segments": QUARTERS, "n_samples": 40},
    "shapley": {"segments": QUARTERS, "n_samples": 20},
}
OF_OTHER_NETWORKS = ("cam", "lcam", "rollout", "attention_relevance")  # one linear layer, a learned one, attention
NAMES = [name for name, method in METHODS.items() if method.explainer and name not in OF_OTHER_NETWORKS]


class Branching(nn.Module):
    """Keeps its blocks in a plain list as well, as some do, and a function of its own under another name."""

    def __init__(self):
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.Dropout(0.5))
        self.second = nn.Sequential(nn.Conv2d(6, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(inplace=True))
        self.head = nn.Linear(6, 5)
        self.blocks, self.read = [self.first, self.second], self.pooled

    def pooled(self, maps: Tensor) -> Tensor:
        return self.head(maps.mean((2, 3)))

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x)
        return self.read(x)


def seasoned(seed: int) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = Branching().double()
        with torch.no_grad():
            for _ in range(5):
                model(torch.rand(8, 3, 16, 16).double())
    return model


@pytest.fixture(scope="module")
def x() -> Tensor:
    return torch.rand((2, 3, 16, 16), generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def explained(name: str, model, x: Tensor) -> Tensor:
    return METHODS[name].function(model, x, 2, **CHEAP.get(name, {}))


@pytest.mark.parametrize("shared", [True, False], ids=["one model", "each its own"])
def test_threads_get_what_one_alone_gets(shared, x):
    models = [seasoned(0)] * 4 if shared else [seasoned(seed) for seed in range(4)]
    for model in models:
        model.train()
    alone = {(id(model), name): explained(name, model, x) for model in models for name in NAMES}
    wrong, start = [], threading.Barrier(4)

    def work(place: int) -> None:
        start.wait()
        model = models[place]
        for name in NAMES[place:] + NAMES[:place]:
            try:
                torch.testing.assert_close(explained(name, model, x), alone[id(model), name])
            except Exception as error:
                wrong.append((name, error))

    threads = [threading.Thread(target=work, args=(place,)) for place in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert all(module.training for model in models for module in model.modules())
    assert not any("forward" in module.__dict__ for model in models for module in model.modules())


def test_training_goes_on_while_the_model_is_explained(x):
    model, stop, problems, steps = seasoned(0).train(), threading.Event(), [], []

    def train() -> None:
        while not stop.is_set():
            loss = model(torch.rand(4, 3, 16, 16).double()).square().mean()
            if not (loss.requires_grad and all(module.training for module in model.modules())):
                problems.append("frozen or in eval mode")
            loss.backward()
            if any(parameter.grad is None for parameter in model.parameters()):
                problems.append("a parameter without gradient")
            model.zero_grad()
            steps.append(1)

    thread = threading.Thread(target=train)
    thread.start()
    for _ in range(5):
        for name in ("smooth_grad", "grad_cam", "occlusion"):
            explained(name, model, x)
    stop.set()
    thread.join()
    assert problems == []
    assert steps


def test_the_copy_shares_the_weights_and_nothing_that_is_written(x):
    model = seasoned(0).train()
    with lent(model):
        copy = borrowed(model)
        assert copy is not model
        assert not any(module.training for module in copy.modules())
        assert copy.head.weight.data_ptr() == model.head.weight.data_ptr()
        assert not copy.head.weight.requires_grad
        assert copy.first[1].running_mean.data_ptr() != model.first[1].running_mean.data_ptr()
        assert copy.blocks[0] is copy.first is borrowed(model.first)
        assert copy.read.__self__ is copy
    assert borrowed(model) is model
    torch.testing.assert_close(gradient(model, x, 1), gradient(lambda z: model.eval()(z), x, 1))


def test_what_cannot_be_copied_is_lent_itself_and_given_back(x):
    enclosing = seasoned(0).train()
    head = enclosing.head
    enclosing.read = lambda maps: head(maps.mean((2, 3)))
    hooked = seasoned(0).train()
    hooked.first.register_forward_hook(lambda module, args, output: None)
    for model in (enclosing, hooked):
        assert copied(model) is None
        torch.testing.assert_close(smooth_grad(model, x, 1), smooth_grad(seasoned(0), x, 1))
        assert all(module.training for module in model.modules())
        assert all(parameter.requires_grad for parameter in model.parameters())


@pytest.mark.parametrize("wrap", [nn.DataParallel, lambda model: nn.Sequential(model)], ids=["parallel", "sequential"])
def test_wrappers_change_nothing(wrap, x):
    model = seasoned(0)
    wrapped = wrap(model)
    for name in ("integrated_gradients", "grad_cam", "occlusion"):
        torch.testing.assert_close(explained(name, wrapped, x), explained(name, model, x))
    layer = next(name for name, module in wrapped.named_modules() if module is model.first)
    torch.testing.assert_close(grad_cam(wrapped, x, 2, layer=layer), grad_cam(model, x, 2, layer="first"))


@pytest.mark.filterwarnings("ignore:.*torch.jit.*is deprecated:FutureWarning")
@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
def test_torchscript_is_explained_and_left_as_it_was(x):
    model = seasoned(0).second.eval()
    model = nn.Sequential(nn.Conv2d(3, 6, 1), model, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 5)).double()
    scripted = torch.jit.script(model.eval())
    for f in (saliency, integrated_gradients):
        torch.testing.assert_close(f(scripted, x, 1), f(model, x, 1))
        torch.testing.assert_close(f(nn.Sequential(scripted), x, 1), f(model, x, 1))


@pytest.mark.parametrize(
    "form",
    [
        lambda scores: (scores, scores.new_zeros(7)),
        lambda scores: {"loss": scores.sum(), "logits": scores},
        lambda scores: SimpleNamespace(logits=scores),
        lambda scores: {"out": scores},
    ],
    ids=["tuple", "dict with logits", "an object with logits", "dict"],
)
def test_scores_are_found_in_what_models_return(form, x):
    model = seasoned(0).eval()
    torch.testing.assert_close(gradient(lambda z: form(model(z)), x, 1), gradient(model, x, 1))
    with pytest.raises(ValueError, match="`model` must return floating scores"):
        scores_of(lambda z: UserDict(nothing=3), x)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_model_of_another_precision_is_asked_in_its_own(dtype, x):
    model = seasoned(0).eval()
    expected = saliency(model, x, 1)
    found = saliency(model.to(dtype), x, 1)
    assert found.dtype == x.dtype
    assert torch.corrcoef(torch.stack([found.flatten(), expected.flatten()]))[0, 1] > 0.99


def test_scores_that_are_no_numbers_are_told(x):
    with pytest.raises(ValueError, match="`model` must return scores that are numbers, got NaN"):
        saliency(lambda z: z.mean((2, 3)) * torch.nan, x, 1)


@pytest.mark.parametrize("target", [[1, 2], (1, 2), np.array([1, 2]), np.array([1, 2], np.int32)])
def test_targets_may_be_lists_and_arrays(target, x):
    model = seasoned(0)
    torch.testing.assert_close(gradient(model, x, target), gradient(model, x, torch.tensor([1, 2])))


@pytest.mark.parametrize("target", [np.int64(1), torch.tensor(1)])
def test_one_target_stands_for_all(target, x):
    model = seasoned(0)
    torch.testing.assert_close(gradient(model, x, target), gradient(model, x, 1))


def test_recording_and_explaining_at_once_does_not_mix(x):
    """A recording of the user's own keeps to the passes of its own thread."""
    model = seasoned(0).eval()
    with record_activations(model, "second") as seen:
        model(x)
        before = seen["second"].clone()
        thread = threading.Thread(target=gradient, args=(lambda z: model(z), 1 - x, 1))
        thread.start()
        thread.join()
        torch.testing.assert_close(seen["second"], before)
