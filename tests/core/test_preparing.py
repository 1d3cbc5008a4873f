"""A prepared model gives the same scores and gradients; whatever cannot be prepared safely is left alone."""

from contextlib import contextmanager
from functools import partial

import pytest
import torch
import torchvision
from torch import Tensor, nn

from hw_xai.core import preparing
from hw_xai.core.lending import borrowed, lent
from hw_xai.core.model import scores_of
from hw_xai.core.preparing import find_wiring, prepared
from hw_xai.explain import gradient, integrated_gradients, smooth_grad
from hw_xai.vision.networks import Classifier, FoodNet

close = partial(torch.testing.assert_close, rtol=1e-12, atol=1e-12)
models = torchvision.models


def homework() -> nn.Module:
    model = Classifier()
    model.fc[0] = nn.Linear(512, 1024)  # its own 8192 inputs are for pictures of 128²
    return model


def seasoned(model: nn.Module) -> nn.Module:
    """Return the model in float64 and eval mode, with BatchNorms that are far from the identity."""
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            for tensor in (module.running_mean, module.running_var, module.weight, module.bias):
                if tensor is not None:
                    nn.init.uniform_(tensor, 0.5, 1.5)
    return model.double().eval()


def faster(model: nn.Module) -> int:
    """Return how many modules of what is lent do something else at the moment; of the model itself none ever does."""
    own = borrowed(model)
    assert own is model or not any("forward" in module.__dict__ for module in model.modules())
    return sum("forward" in module.__dict__ for module in own.modules())


@contextmanager
def made_faster(model, x: Tensor, passes: int = 50):
    with lent(model), prepared(model, x, passes):
        yield


class Net(nn.Module):
    """Two convolutions and a BatchNorm, put together by a function of them and the picture."""

    def __init__(self, wire, norm: nn.Module | None = None, second: nn.Module | None = None):
        super().__init__()
        self.first, self.norm = nn.Conv2d(3, 4, 3, padding=1), norm or nn.BatchNorm2d(4)
        self.second, self.wire = second or nn.Conv2d(4, 4, 3, padding=1), wire

    def forward(self, inputs: Tensor) -> Tensor:
        return self.wire(self, inputs).relu().mean(dim=(2, 3))


class Noted(nn.Module):
    """Passes on to a model and counts the calls."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model, self.calls, self.shapes = model, 0, []

    def forward(self, inputs: Tensor) -> Tensor:
        self.calls += 1
        self.shapes.append(inputs.shape[0])
        return self.model(inputs)


OUTSIDE: list = []


class MarksOutside(Noted):
    def forward(self, inputs: Tensor) -> Tensor:
        OUTSIDE.append(inputs.shape[0])
        return self.model(inputs)


def once(m, x):
    return m.second(m.norm(m.first(x)).relu())


TWICE = nn.Conv2d(3, 3, 3, padding=1)
# what it is -> (model, how many modules become faster: both of each pair and every convolution that is left)
NETWORKS = {
    "homework": (homework, 22),
    "resnet18": (lambda: models.resnet18(weights=None, num_classes=11), 40),
    "mobilenet_v2": (lambda: models.mobilenet_v2(weights=None, num_classes=5), 104),
    "efficientnet_b0": (lambda: models.efficientnet_b0(weights=None, num_classes=5), 130),
    "foodnet": (lambda: FoodNet(channels=16), 80),
    "conv, norm": (lambda: Net(once), 3),
    "no affine": (lambda: Net(once, nn.BatchNorm2d(4, affine=False)), 3),
    "reflected edges": (lambda: Net(once, second=nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect")), 3),
    "no bias": (lambda: Net(lambda m, x: m.norm(m.second(m.first(x))), second=nn.Conv2d(4, 4, 1, bias=False)), 3),
    "statistics of the batch": (lambda: Net(once, nn.BatchNorm2d(4, track_running_stats=False)), 2),
    "conv also used without norm": (lambda: Net(lambda m, x: once(m, x) + m.first(x)), 1),
    "output before norm used again": (lambda: Net(lambda m, x: (y := m.first(x)) + m.norm(y)), 1),
    "norm used twice": (lambda: Net(lambda m, x: m.norm(m.second(m.norm(m.first(x))))), 2),
    "conv used twice": (lambda: Net(lambda m, x: m.norm(m.second(m.second(m.first(x))))), 1),
    "relu between": (lambda: Net(lambda m, x: m.norm(m.first(x).relu())), 1),
    "functional use of the weight": (lambda: Net(lambda m, x: once(m, x) * m.first.weight.norm()), 3),
    "transposed": (lambda: Net(lambda m, x: m.norm(m.second(m.first(x))), second=nn.ConvTranspose2d(4, 4, 3)), 1),
    "shape of the maps": (lambda: Net(lambda m, x: once(m, x).view(len_of(x), 4, -1, 1)), 3),
    "one module, two names": (lambda: nn.Sequential(TWICE, nn.BatchNorm2d(3), TWICE, nn.BatchNorm2d(3), Mean()), 0),
    "depends on the data": (lambda: Net(lambda m, x: once(m, x) if x.mean() > 0 else m.first(x)), 0),
    "no convolution": (lambda: nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 4)), 0),
    "signals": (lambda: nn.Sequential(nn.Flatten(2), nn.Conv1d(3, 4, 3), nn.BatchNorm1d(4), nn.Flatten()), 2),
}  # fmt: skip


def len_of(x: Tensor):
    return x.size(0)


class Mean(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.mean(dim=(2, 3))


@pytest.mark.parametrize("kind", NETWORKS)
def test_prepared_and_unprepared_agree(kind):
    make, n_faster = NETWORKS[kind]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model, x = seasoned(make()), torch.rand(2, 3, 32, 32, dtype=torch.float64)
    scores, slopes = model(x).detach(), gradient(model, x, 1)
    state = {name: (id(tensor), tensor._version) for name, tensor in model.state_dict(keep_vars=True).items()}
    with made_faster(model, x):
        assert faster(model) == n_faster
        with torch.no_grad():
            close(scores_of(model, x), scores, rtol=1e-12, atol=1e-12 * scores.abs().max().item())
        close(gradient(model, x, 1), slopes, atol=1e-12 * slopes.abs().max().item())
    assert faster(model) == 0
    assert torch.equal(model(x), scores)
    assert {n: (id(t), t._version) for n, t in model.state_dict(keep_vars=True).items()} == state


@pytest.mark.parametrize("kind", ["homework", "resnet18", "foodnet"])
def test_single_precision_takes_another_layout_and_agrees(kind):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model, x = seasoned(NETWORKS[kind][0]()).float(), torch.rand(2, 3, 32, 32)
    scores = model(x).detach()
    with made_faster(model, x), torch.no_grad():
        torch.testing.assert_close(scores_of(model, x), scores, rtol=1e-4, atol=1e-4 * scores.abs().max().item())
    assert integrated_gradients(model, x, 1, n_steps=12).is_contiguous()


def test_a_view_of_maps_forbids_the_other_layout():
    model = NETWORKS["shape of the maps"][0]().eval()
    x = torch.rand(2, 3, 8, 8)
    with made_faster(model, x):
        assert scores_of(model, x).shape == (2, 4)


def test_a_transformer_is_prepared():
    vit = models.VisionTransformer(32, 16, 2, 2, 16, 32, num_classes=5).double().eval()
    x = torch.rand(2, 3, 32, 32, dtype=torch.float64)
    scores = vit(x).detach()
    with made_faster(vit, x):
        close(scores_of(vit, x).detach(), scores)


@pytest.mark.parametrize("register", ["register_forward_hook", "register_forward_pre_hook"])
def test_a_model_with_hooks_is_left_alone_and_its_hooks_run(register):
    model, seen = seasoned(Net(once)), []
    x = torch.rand(1, 3, 8, 8, dtype=torch.float64)
    expected = integrated_gradients(model, x, 1)
    getattr(model.first, register)(lambda module, args, *output: seen.append(len(args[0])))
    with made_faster(model, x):
        assert faster(model) == 0
    close(integrated_gradients(model, x, 1), expected)
    assert sum(seen) == 50


def test_full_backward_hooks_keep_working():
    model, seen = seasoned(Net(once)), []
    model.norm.register_full_backward_hook(lambda module, *_: seen.append(1))
    smooth_grad(model, torch.rand(1, 3, 8, 8, dtype=torch.float64), 1, n_samples=20, batch_size=20)
    assert len(seen) == 1


def test_nothing_is_prepared_for_few_passes_or_without_a_module():
    model, x = seasoned(Net(once)), torch.rand(1, 3, 8, 8, dtype=torch.float64)
    for case, passes in [(model, 1), (lambda x: model(x), 50)]:
        with made_faster(case, x, passes):
            assert faster(model) == 0
    with prepared(model, x, 50):  # which is not lent
        assert faster(model) == 0


def test_tracing_leaves_no_marks():
    """Counters in the module count calls, not traces; a forward that reaches a list outside is not traced at all."""
    x = torch.rand(1, 3, 8, 8, dtype=torch.float64)
    noted, marking = Noted(seasoned(Net(once))).eval(), MarksOutside(seasoned(Net(once))).eval()
    integrated_gradients(noted, x, 1, n_steps=20, batch_size=10)
    assert noted.calls == 2
    assert noted.shapes == [10, 10]
    integrated_gradients(marking, x, 1, n_steps=20, batch_size=10)
    assert OUTSIDE == [10, 10]
    assert find_wiring(marking, x) is preparing.UNTOUCHED


def test_the_model_is_as_before_after_an_exception():
    model, calls = seasoned(Net(once)), []

    def failing(m, x):
        calls.append(sum("forward" in module.__dict__ for module in m.modules()))
        if len(calls) == 5:  # one to see how it is wired, one to see that nothing else comes out
            raise ArithmeticError
        return once(m, x)

    model.wire = failing
    with pytest.raises(ArithmeticError):
        integrated_gradients(model, torch.rand(1, 3, 8, 8, dtype=torch.float64), 1)
    assert calls[-1] == 3
    assert faster(model) == 0


def test_preparing_twice_is_preparing_once():
    model, x = seasoned(Net(once)), torch.rand(1, 3, 8, 8, dtype=torch.float64)
    expected = model(x)
    with lent(model), prepared(model, x, 50), prepared(model, x, 50):
        close(scores_of(model, x), expected)
    assert faster(model) == 0


class Fuse(nn.Module):
    """Asks whether what it has are tensors, as fusion blocks do: of a symbol for one it would think it is none."""

    def __init__(self):
        super().__init__()
        self.conv, self.bn, self.fc = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        raw = self.conv(x)
        maps = [one for one in (raw, self.bn(raw).relu()) if isinstance(one, Tensor)]
        return self.fc(torch.cat([one.mean((2, 3)) for one in maps], 1))


def test_the_graph_is_that_of_a_real_pass():
    model, x = seasoned(Fuse()), torch.rand(1, 3, 16, 16, dtype=torch.float64)
    with made_faster(model, x):
        assert faster(model) == 1  # the convolution's layout; its BatchNorm stays
    explained = integrated_gradients(model, x, 1)
    close(explained, integrated_gradients(lambda z: model(z), x, 1))


class Hidden(torch.autograd.Function):
    """Adds, out of sight."""

    @staticmethod
    def forward(ctx, a: Tensor, b: Tensor) -> Tensor:
        return a + b


def test_a_wrong_graph_is_noticed_by_its_scores():
    model, x = seasoned(Net(lambda m, x: Hidden.apply(y := m.first(x), m.norm(y)))), torch.rand(1, 3, 8, 8).double()
    with made_faster(model, x), torch.no_grad():
        close(scores_of(model, x), model(x))


def test_a_model_is_looked_at_once_and_again_when_it_has_changed(monkeypatch):
    model, x, looks = seasoned(Net(once)), torch.rand(1, 3, 8, 8, dtype=torch.float64), []
    look = preparing.find_wiring
    monkeypatch.setattr(preparing, "find_wiring", lambda *given: looks.append(1) or look(*given))
    for _ in range(3):
        integrated_gradients(model, x, 1, n_steps=12)
    assert len(looks) == 1
    model.norm = nn.Identity()
    close(integrated_gradients(model, x, 1, n_steps=12), integrated_gradients(lambda z: model(z), x, 1, n_steps=12))
    assert len(looks) == 2
