"""Class activation maps against grad-cam, Captum, slow formulas, planted evidence, and known faults."""

import warnings
from functools import partial

import captum.attr
import numpy as np
import pytest
import pytorch_grad_cam
import skimage.filters
import torch
import torchvision
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import Tensor, nn

from hw_xai.explain import (
    METHODS,
    ada_sise,
    block_layers,
    cam,
    grad_cam,
    grad_cam_plus_plus,
    guided_backprop,
    guided_grad_cam,
    last_map,
    layer_cam,
    score_cam,
    sidu,
    sise,
)
from hw_xai.explain.masked_cam import otsu
from hw_xai.vision.networks import Classifier, FoodNet

close = partial(torch.testing.assert_close, rtol=1e-6, atol=1e-9)
SINGLE_PASS = [cam, grad_cam, grad_cam_plus_plus, layer_cam, guided_grad_cam]
MASKED = [score_cam, sidu, sise, ada_sise]
TARGET = torch.tensor([3, 7])


def seasoned(model: nn.Module, size: int) -> nn.Module:
    """Return the model in float64 and eval mode, with BatchNorm statistics of real passes."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # the mean over all passes
    with torch.no_grad():
        for _ in range(2):
            model(torch.rand(4, 3, size, size))
    return model.double().eval()


@pytest.fixture(scope="module")
def foodnet() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return seasoned(FoodNet(channels=24), 64)


@pytest.fixture(scope="module")
def resnet() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return seasoned(torchvision.models.resnet18(weights=None, num_classes=11), 64)


@pytest.fixture(scope="module")
def homework() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Classifier()
        model.fc[0] = nn.Linear(512, 1024)  # its own 8192 inputs are for pictures of 128²
        return seasoned(model, 32)


@pytest.fixture(scope="module")
def photos64() -> Tensor:
    """Two smooth pictures (2, 3, 64, 64), float64."""
    coarse = torch.rand(2, 3, 6, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return nn.functional.interpolate(coarse, size=(64, 64), mode="bilinear")


class Tiny(nn.Module):
    """(N, 3, 16, 16) -> (N, 4): two sizes of maps, few channels, logits strong enough to matter."""

    def __init__(self):
        super().__init__()
        self.early = nn.Sequential(nn.Conv2d(3, 5, 3, padding=1), nn.ReLU(inplace=True))
        self.late = nn.Sequential(nn.Conv2d(5, 7, 3, stride=2, padding=1), nn.ReLU(inplace=True))
        self.head = nn.Linear(7, 4)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.head(self.late(self.early(inputs)).mean(dim=(2, 3)))


@pytest.fixture
def tiny() -> Tiny:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model = Tiny().double().eval()
    with torch.no_grad():
        model.head.weight *= 10
        model.late[0].weight[2], model.late[0].bias[2] = 0, -1  # a dead channel
    return model


def enlarged(maps: Tensor, size: int) -> Tensor:
    """(n, K, h, w) -> (n, K, size, size)."""
    return nn.functional.interpolate(maps, size=(size, size), mode="bilinear", align_corners=False)


def stretched(values: Tensor) -> Tensor:
    return (values - values.min()) / (values.max() - values.min())


def maps_of(model: Tiny, x: Tensor) -> tuple[Tensor, Tensor]:
    """What the two layers return for one picture: (5, 16, 16), (7, 8, 8)."""
    early = model.early(x[None])
    return early[0], model.late(early)[0]


def p_of(model: nn.Module, x: Tensor) -> Tensor:
    """Probabilities (C,) for one picture."""
    with torch.no_grad():
        return model(x[None]).softmax(dim=1)[0]


class Counting(nn.Module):
    """Counts the rows of all forward passes."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model, self.rows = model, 0

    def forward(self, inputs: Tensor) -> Tensor:
        self.rows += len(inputs)
        return self.model(inputs)


# -------------------------------------------------------------------------------------------------- known exactly


@pytest.mark.parametrize("name", ["foodnet", "resnet"])
def test_cam_is_grad_cam_up_to_a_factor_and_adds_up_to_the_score(name, request, photos64):
    model = request.getfixturevalue(name)
    maps = model.features if name == "foodnet" else model.layer4
    found = cam(model, photos64, TARGET, layer=maps)
    with torch.no_grad():
        scores = model(photos64).gather(1, TARGET[:, None])[:, 0]
    close(found.mean(dim=(1, 2, 3)) + model.fc.bias[TARGET], scores)  # enlarging keeps the mean for whole factors
    n_places = {"foodnet": 4 * 4, "resnet": 2 * 2}[name]
    nowhere_negative = (found > 0).flatten(1).all(dim=1)  # a ReLU before the enlarging changes nothing there
    positive = grad_cam(model, photos64, TARGET, layer=maps) * n_places
    close(positive[nowhere_negative], found[nowhere_negative])
    everywhere = positive > 0
    assert everywhere[found > 0].all()


@pytest.mark.parametrize("explain", [cam, grad_cam, grad_cam_plus_plus, layer_cam, score_cam, sise, ada_sise])
def test_a_planted_channel_is_found(explain):
    """A class that counts red, one that counts green: red lies at the top left, green at the bottom right."""
    model = nn.Sequential(nn.Conv2d(3, 3, 1, bias=False), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    model.append(nn.Linear(3, 3, bias=False))
    model = model.double()
    with torch.no_grad():
        model[0].weight.copy_(torch.eye(3)[:, :, None, None])
        model[-1].weight.copy_(40 * torch.eye(3) - 10)
    picture = torch.zeros(1, 3, 16, 16, dtype=torch.float64)
    picture[0, 0, 1:6, 1:6] = 1
    picture[0, 1, 10:15, 10:15] = 1
    for target, place in enumerate([(slice(1, 6), slice(1, 6)), (slice(10, 15), slice(10, 15))]):
        positive = explain(model, picture, target).clamp(min=0)[0, 0]
        assert positive[place].sum() > 0.9 * positive.sum() > 0
    if explain is grad_cam:
        close(positive, picture[0, 1] * 30 / 256)


def test_grad_cam_plus_plus_against_the_formula_with_its_fractions(tiny, pictures):
    for x in pictures:
        maps = maps_of(tiny, x)[1].detach().requires_grad_()
        (g,) = torch.autograd.grad(tiny.head(maps.mean(dim=(1, 2)))[1], maps)
        total = torch.zeros(8, 8).double()
        for a, slopes in zip(maps.detach(), g, strict=True):
            alpha = torch.where(slopes == 0, 0, slopes**2 / (2 * slopes**2 + a.sum() * slopes**3))
            total += (alpha * slopes.clamp(min=0)).sum() * a
        close(grad_cam_plus_plus(tiny, x[None], 1), enlarged(total.clamp(min=0)[None, None], 16))


@pytest.mark.parametrize("early", [False, True])
def test_layer_cam_against_the_loop_and_the_grad_cam_library(early, tiny, pictures):
    layer = tiny.early if early else tiny.late
    for x in pictures:
        first = tiny.early(x[None]).detach().requires_grad_()
        maps = first if early else tiny.late(first).detach().requires_grad_()
        later = tiny.late(maps) if early else maps
        (g,) = torch.autograd.grad(tiny.head(later.mean(dim=(2, 3)))[0, 1], maps)
        total = sum(slopes.clamp(min=0) * a for a, slopes in zip(maps.detach()[0], g[0], strict=True))
        found = layer_cam(tiny, x[None], 1, layer=layer)
        close(found, enlarged(total.clamp(min=0)[None, None], 16))
        with pytorch_grad_cam.LayerCAM(tiny.float(), [layer]) as peer:
            theirs = peer(x[None].float(), [ClassifierOutputTarget(1)])
        tiny.double()
        flat = torch.stack([torch.from_numpy(theirs).flatten().double(), found.flatten()])
        assert torch.corrcoef(flat)[0, 1] > 0.98  # theirs is stretched, and enlarged by OpenCV


def test_score_cam_against_the_loop(tiny, pictures):
    for x in pictures:
        maps = maps_of(tiny, x)[1].detach()
        total = torch.zeros(16, 16).double()
        for a in maps:
            up = enlarged(a[None, None], 16)[0, 0]
            if up.max() > up.min():
                total += p_of(tiny, x * stretched(up))[1] * up
        close(score_cam(tiny, x[None], 1)[0, 0], total.clamp(min=0))


def test_sidu_against_the_loop(tiny, pictures):
    for x in pictures:
        maps = maps_of(tiny, x)[1].detach()
        masks = [enlarged((a > 0.1).double()[None, None], 16)[0, 0] for a in maps]
        seen = [p_of(tiny, x * mask) for mask in masks]
        similar = [torch.exp(-((p_of(tiny, x)[1] - p[1]) ** 2) / (2 * 0.25**2)) for p in seen]
        unique = stretched(torch.stack([sum((p - q).norm() for q in seen) for p in seen]))
        expected = sum(s * u * mask for s, u, mask in zip(similar, unique, masks, strict=True))
        close(sidu(tiny, x[None], 1)[0, 0], expected)


def otsu_by_trying(values: Tensor) -> float:
    """The smallest upper value of the cut with the smallest variance within the two classes."""
    values = values.flatten().sort().values
    cuts = values.unique()[1:].tolist()
    spread = lambda v: (v - v.mean()).square().sum()  # noqa: E731
    within = [spread(values[values < c]) + spread(values[values >= c]) for c in cuts]
    return cuts[int(torch.stack(within).argmin())] if cuts else values[0].item()


@pytest.mark.parametrize("adaptive", [False, True])
@pytest.mark.parametrize("mu", [0.0, 0.3])
def test_sise_against_the_loop(adaptive, mu, tiny, pictures):
    for x in pictures[:2]:
        early = tiny.early(x[None]).detach().requires_grad_()
        late = tiny.late(early)
        slopes = torch.autograd.grad(tiny.head(late.mean(dim=(2, 3))).softmax(dim=1)[0, 1], [early, late])
        fused, passes = torch.zeros(16, 16).double(), 2
        for layer, (maps, slope) in enumerate(zip([early, late], slopes, strict=True)):
            alive = [k for k in range(maps.shape[1]) if maps[0, k].max() > maps[0, k].min()]
            alpha = slope[0, alive].mean(dim=(1, 2))
            if alpha.max() <= 0:
                continue
            alpha = alpha / alpha.max()
            threshold = otsu_by_trying(alpha[alpha > 0]) - 1e-12 if adaptive else mu
            view = torch.zeros(16, 16).double()
            for k, a in zip(alive, alpha, strict=True):
                up = enlarged(maps[:, k : k + 1].detach(), 16)[0, 0]
                if a > threshold:
                    mask = stretched(up)
                    view += p_of(tiny, x * mask)[1] * mask / mask.sum()
                    passes += 1
            view = stretched(view)
            fused = view if layer == 0 else (fused + view) * (view >= otsu_by_trying(view))
        counting = Counting(tiny)
        found = ada_sise(counting, x[None], 1) if adaptive else sise(counting, x[None], 1, mu=mu)
        close(found[0, 0], fused)
        assert counting.rows == passes


def test_otsu_cuts_where_skimage_does():
    source = torch.Generator().manual_seed(0)
    values = torch.cat([torch.randn(300, generator=source), 5 + torch.randn(200, generator=source)]).double()
    theirs = skimage.filters.threshold_otsu(values.numpy(), nbins=4096)
    assert abs(int((values >= otsu(values)).sum()) - int((values > theirs).sum())) <= 3  # theirs is of a histogram
    assert otsu(values) == pytest.approx(otsu_by_trying(values))
    assert otsu(torch.tensor([2.0, 2.0])) == otsu(torch.tensor([2.0])) == 2  # nothing to cut: all are upper
    assert otsu(torch.tensor([1.0, 1.0, 5.0])) == 5


def test_guided_grad_cam_is_the_product(foodnet, photos64):
    expected = guided_backprop(foodnet, photos64, TARGET) * grad_cam(foodnet, photos64, TARGET)
    close(guided_grad_cam(foodnet, photos64, TARGET), expected)


def test_the_map_lies_on_the_square(trained_net, squares):
    inputs, places = squares(8, seed=7)
    on_square = (inputs > 0.55).any(dim=1, keepdim=True)
    for explain in (grad_cam, grad_cam_plus_plus, sise, ada_sise):
        positive = explain(trained_net, inputs, places)
        assert (positive * on_square).sum() / positive.sum() > 1.5 * on_square.double().mean(), explain.__name__


# ---------------------------------------------------------------------------------------------------- other libraries


def theirs(kind: str, model: nn.Module, layer: nn.Module, inputs: Tensor) -> Tensor:
    """The grad-cam library's map before it is stretched: (N, 1, h, w)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with getattr(pytorch_grad_cam, kind)(model=model, target_layers=[layer]) as explainer:
            targets = [ClassifierOutputTarget(int(t)) for t in TARGET]
            explainer(input_tensor=inputs.clone(), targets=targets)
            gradients = explainer.activations_and_grads
            maps, slopes = gradients.activations[0].double().numpy(), gradients.gradients[0].double().numpy()
            return torch.from_numpy(explainer.get_cam_image(inputs, layer, targets, maps, slopes, False))[:, None]


@pytest.mark.parametrize("name", ["foodnet", "resnet", "homework"])
def test_grad_cam_library_agrees(name, request, photos64):
    model = request.getfixturevalue(name)
    inputs = photos64[..., :32, :32] if name == "homework" else photos64
    layer = last_map(model)
    size = inputs.shape[-1]
    expected = enlarged(theirs("GradCAM", model, layer, inputs).clamp(min=0), size)
    assert expected.std() > 0
    close(grad_cam(model, inputs, TARGET), expected)


def test_grad_cam_library_agrees_on_plus_plus_up_to_its_epsilon(foodnet, photos64):
    with torch.no_grad():
        foodnet.fc.weight *= 1e3  # of its fraction's 1e-6, that is
    expected = enlarged(theirs("GradCAMPlusPlus", foodnet, foodnet.features, photos64).clamp(min=0), 64)
    found = grad_cam_plus_plus(foodnet, photos64, TARGET)
    with torch.no_grad():
        foodnet.fc.weight /= 1e3
    close(found, expected, rtol=1e-3, atol=1e-3 * expected.max().item())


@pytest.mark.parametrize("name", ["foodnet", "resnet", "homework"])
def test_captum_agrees_on_grad_cam(name, request, photos64):
    model = request.getfixturevalue(name)
    inputs = photos64[..., :32, :32] if name == "homework" else photos64
    coarse = captum.attr.LayerGradCam(model, last_map(model)).attribute(inputs, target=TARGET, relu_attributions=True)
    close(grad_cam(model, inputs, TARGET), enlarged(coarse.detach(), inputs.shape[-1]))


# ------------------------------------------------------------------------------------------------------------- layers


def test_the_default_layer_is_the_last_finished_map(foodnet, resnet, homework):
    assert last_map(foodnet) is foodnet.features
    assert last_map(resnet) is resnet.layer4
    assert last_map(homework) is homework.cnn[36]
    assert last_map(torchvision.models.vgg11(weights=None, num_classes=3)).inplace
    with pytest.raises(ValueError, match="`layer` must be given for a model without convolution modules"):
        last_map(nn.Linear(3, 2))


def test_blocks_are_what_happens_at_one_size_and_end_with_the_last_map(foodnet, resnet, homework, photos64):
    with torch.no_grad():
        stages = [resnet.relu, resnet.layer1, resnet.layer2, resnet.layer3, resnet.layer4]
        assert block_layers(resnet, photos64[:1]) == stages
        assert block_layers(homework, photos64[:1, :, :32, :32]) == [homework.cnn[i] for i in (8, 18, 28, 32, 36)]
        blocks = block_layers(foodnet, photos64[:1])
    expanded = [foodnet.features[i].layers[2] for i in (2, 4, 6)]  # the last before the filter that has a stride
    assert expanded == blocks[:3]
    assert blocks[-1] is foodnet.features


@pytest.mark.parametrize("explain", SINGLE_PASS + MASKED)
def test_layers_are_named_by_module_or_path(explain, tiny, pictures):
    if explain in (sise, ada_sise):
        by_module = explain(tiny, pictures, 1, layers=[tiny.early, tiny.late])
        close(explain(tiny, pictures, 1, layers=["early", "late"]), by_module)
        close(explain(tiny, pictures, 1), explain(tiny, pictures, 1, layers=["early", "late"]))
        with pytest.raises(ValueError, match=r'`layer` must name a module of Tiny, got "lat"\. Did you mean "late"'):
            explain(tiny, pictures, 1, layers=["lat"])
    else:
        close(explain(tiny, pictures, 1, layer=tiny.late), explain(tiny, pictures, 1, layer="late"))
        close(explain(tiny, pictures, 1), explain(tiny, pictures, 1, layer="late"))
        with pytest.raises(ValueError, match=r'`layer` must name a module of Tiny, got "lat"\. Did you mean "late"'):
            explain(tiny, pictures, 1, layer="lat")


def test_signals_of_any_dimension_have_maps():
    model = nn.Sequential(nn.Conv1d(2, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(4, 3))
    signal = torch.rand(2, 2, 20)
    for explain in (cam, grad_cam, grad_cam_plus_plus, score_cam, sidu, sise):
        assert explain(model, signal, 1).shape == (2, 1, 20)


# ------------------------------------------------------------------------------------------ faults of known libraries


@pytest.mark.parametrize("explain", [grad_cam, grad_cam_plus_plus, score_cam, sidu, sise])
def test_a_following_in_place_relu_does_not_reach_the_record(explain, tiny, pictures):
    """The grad-cam library's maps are off by up to .8 here."""
    options = {"layers": ["late.0"]} if explain is sise else {"layer": "late.0"}
    found = explain(tiny, pictures, 1, **options)
    tiny.late[1].inplace = tiny.early[1].inplace = False
    close(found, explain(tiny, pictures, 1, **options))


def test_no_epsilon_drowns_the_slopes_of_small_logits(foodnet, photos64):
    """The grad-cam library's Grad-CAM++ adds 1e-6 to a fraction of squared slopes: its map changes by .1 and more."""
    small, tiny = (grad_cam_plus_plus(scaled(foodnet, by), photos64, TARGET) for by in (1e-2, 1e-8))
    close(small / small.amax(), tiny / tiny.amax(), rtol=0, atol=1e-3)
    close(grad_cam(scaled(foodnet, 100), photos64, TARGET), 100 * grad_cam(foodnet, photos64, TARGET))


def scaled(model: nn.Module, scale: float) -> nn.Module:
    """Return the model with larger or smaller logits."""

    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, inputs: Tensor) -> Tensor:
            return scale * self.model(inputs)

    return Scaled()


def test_dead_channels_cost_nothing_and_give_no_nan(tiny, pictures):
    counting = Counting(tiny)
    for explain, alive in ((score_cam, 6), (sidu, 7)):
        counting.rows = 0
        assert explain(counting, pictures[:1], 1).isfinite().all()
        assert counting.rows <= 1 + alive
    with torch.no_grad():
        tiny.late[0].weight.zero_()
        tiny.late[0].bias.fill_(-1)
    for explain in SINGLE_PASS + MASKED:
        found = explain(tiny, pictures[:1], 1, **({"layers": ["late"]} if explain in (sise, ada_sise) else {}))
        assert torch.equal(found, torch.zeros_like(found))


def test_the_passes_of_score_cam_and_sidu_are_counted(tiny, pictures):
    for explain in (score_cam, sidu):
        counting, expected = Counting(tiny), 0
        explain(counting, pictures, 1)
        for x in pictures:
            maps = maps_of(tiny, x)[1].flatten(1)
            alive = int((maps.amax(dim=1) > maps.amin(dim=1)).sum())
            expected += 1 + (alive if explain is score_cam else len({tuple(m) for m in (maps > 0.1).tolist()}))
        assert counting.rows == expected
        assert expected <= METHODS[explain.__name__].passes(n_channels=7).forward * len(pictures)


# ------------------------------------------------------------------------------------------------------------ mistakes


def test_cam_says_why_a_network_does_not_qualify(homework, foodnet, small_net, pictures, photos64):
    for model, inputs, layer, got in [
        (homework, photos64[..., :32, :32], None, "got 1024 features: use grad_cam"),
        (small_net, pictures, "block", "got 96 features"),
        (foodnet, photos64, "features.13", "pool its 192 maps globally, .* got 24 features"),
        (foodnet, photos64, "features.14.1", "got features that are not the mean of the layer's maps"),
        (scaled(foodnet, 2), photos64, None, "got scores that are not what that layer returns"),
    ]:
        with pytest.raises(ValueError, match=got):
            cam(model, inputs, 1, layer=layer)
    with pytest.raises(ValueError, match="`model` must be a module that ends in one nn.Linear for CAM"):
        cam(lambda x: foodnet(x), photos64, 1, layer=foodnet.features)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m, x: grad_cam(m, x, layer=m.head), r"`layer` must return maps \(N, K, ...\) .*, got a float64 tensor"),
        (lambda m, x: score_cam(m, x, layer="head"), r"`layer` must return maps \(N, K, ...\)"),
        (lambda m, x: grad_cam(lambda x: m(x), x), "`layer` must be given for a model without convolution modules"),
        (lambda m, x: sise(lambda x: m(x), x), "`layers` must be given for a model that is no module, got a function"),
        (lambda m, x: sise(m, x, layers="late"), "`layers` must be a list of modules or dotted paths, got 'late'"),
        (lambda m, x: ada_sise(m, x, layers=[]), "`layers` must be a list of modules or dotted paths, got a list"),
        (lambda m, x: sise(m, x, mu=-1), "`mu` must be a finite number of at least 0, got -1"),
        (lambda m, x: sise(lambda x: m(x).detach(), x, layers=[m.late]), "`layers` must all lead to the scores"),
        (lambda m, x: grad_cam(lambda x: m(x).detach(), x, layer=m.late), "`model` must be differentiable"),
        (lambda m, x: guided_grad_cam(Gelu(m), x), "`model` must use ReLU as its only activation"),
    ],
)
def test_mistakes_are_told_in_a_sentence(call, message, tiny, pictures):
    with pytest.raises(ValueError, match=message):
        call(tiny, pictures)


class Gelu(nn.Module):
    """A network that is not ReLU's alone."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, inputs: Tensor) -> Tensor:
        return self.model(nn.functional.gelu(inputs))


def test_progress_bar_counts_the_masks(tiny, pictures, capsys):
    score_cam(tiny, pictures[:1], 1, progress=True)
    assert "4/4" in capsys.readouterr().err


def test_float32_and_float64_agree(tiny, pictures):
    for explain in SINGLE_PASS + MASKED[:1]:
        double = explain(tiny.double(), pictures, 1)
        single = explain(tiny.float(), pictures.float(), 1)
        assert np.abs(single.double().numpy() - double.numpy()).max() <= 2e-3 * double.abs().max()
