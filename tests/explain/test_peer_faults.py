"""What other libraries were seen to get wrong, once for each fault that no other file tests; and two more opinions."""

import warnings
from functools import partial

import pytest
import torch
import torchcam.methods
import torchvision
import zennit.attribution
import zennit.composites
from torch import Tensor, nn

from hw_xai.explain import (
    METHODS,
    grad_cam,
    grad_cam_plus_plus,
    gradient,
    guided_backprop,
    integrated_gradients,
    occlusion,
    smooth_grad,
)

close = partial(torch.testing.assert_close, rtol=1e-6, atol=1e-9)
TARGET = torch.tensor([3, 7])


@pytest.fixture(scope="module")
def resnet() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = torchvision.models.resnet18(weights=None, num_classes=11)
        with torch.no_grad():
            for _ in range(10):
                model(torch.rand(4, 3, 64, 64))
    return model.double().eval()


@pytest.fixture(scope="module")
def photos64() -> Tensor:
    """Two smooth pictures (2, 3, 64, 64), float64."""
    coarse = torch.rand(2, 3, 6, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return nn.functional.interpolate(coarse, size=(64, 64), mode="bilinear")


# ----------------------------------------------------------------------------------------------------- other opinions


def torchcams(kind: str, model: nn.Module, inputs: Tensor) -> Tensor:
    """The torchcam library's map of layer4, enlarged: (2, 1, 64, 64)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with getattr(torchcam.methods, kind)(model, target_layer=model.layer4) as extractor:
            (maps,) = extractor(TARGET.tolist(), model(inputs), normalized=False)  # (2, 2, 2)
    return nn.functional.interpolate(maps.detach()[:, None], size=(64, 64), mode="bilinear")


def test_torchcam_agrees(resnet, photos64):
    expected = torchcams("GradCAM", resnet, photos64)
    assert expected.std() > 0
    close(grad_cam(resnet, photos64, TARGET), expected)


def test_torchcams_plus_plus_forgets_to_divide(resnet, photos64):
    """It divides a copy of g², so its weights are Σ g² · ReLU(g); those of the paper are Σ ReLU(g) / (2 + g · Σ A)."""
    maps = resnet.layer4.register_forward_hook(lambda _, args, output: kept.append(output))
    kept: list[Tensor] = []
    with maps:
        scores = resnet(photos64)
    (g,) = torch.autograd.grad(scores.gather(1, TARGET[:, None]).sum(), kept[0])
    a, positive = kept[0].detach(), g.clamp(min=0)
    for weights, found in (
        (g.square() * positive, torchcams("GradCAMpp", resnet, photos64)),
        (positive / (2 + g * a.sum(dim=(2, 3), keepdim=True)), grad_cam_plus_plus(resnet, photos64, TARGET)),
    ):
        coarse = (weights.sum(dim=(2, 3), keepdim=True) * a).sum(dim=1, keepdim=True)
        close(found, nn.functional.interpolate(coarse, size=(64, 64), mode="bilinear"))


def test_zennit_agrees(resnet, photos64):
    chosen = torch.eye(11, dtype=torch.float64)[TARGET]
    with zennit.attribution.Gradient(resnet) as attributor:
        close(gradient(resnet, photos64, TARGET), attributor(photos64, chosen)[1])
    guided = zennit.composites.GuidedBackprop()
    with zennit.attribution.Gradient(resnet, composite=guided) as attributor:
        close(guided_backprop(resnet, photos64, TARGET), attributor(photos64, chosen)[1])


# ------------------------------------------------------------------------------------------------------------- faults


@pytest.mark.parametrize("name", ["guided_backprop", "guided_grad_cam", "grad_cam", "score_cam", "sise"])
def test_no_handle_piles_up_and_nothing_stays_patched_after_an_exception(name, small_net, pictures):
    """Captum keeps the handles of its hooks; grad-cam's guided backprop leaves the model patched."""
    small_net.eval()
    explain, expected = METHODS[name].function, small_net(pictures)
    for _ in range(3):
        explain(small_net, pictures[:1], 1)
    with pytest.raises(ValueError, match="`target` must be between"):
        explain(small_net, pictures, 99)
    assert torch.equal(small_net(pictures), expected)
    for module in small_net.modules():
        assert not module._forward_hooks
        assert not module._forward_pre_hooks
        assert not module._backward_hooks
        assert "forward" not in module.__dict__


def test_all_steps_never_share_one_batch_by_default(small_net, pictures):
    """Captum puts the whole path into one batch: 500 MB more for 50 steps of a ResNet-18."""
    sizes = []
    model = lambda x: sizes.append(len(x)) or small_net(x)  # noqa: E731
    integrated_gradients(model, pictures[:1], 1, n_steps=200)
    assert sum(sizes) == 200
    assert max(sizes) <= 32


def test_the_noise_is_a_share_of_the_range_by_default(small_net, pictures):
    """Captum's NoiseTunnel draws 5 samples with a standard deviation of 1, whatever the range of the inputs."""
    seen = []
    model = lambda x: seen.append(x.detach()) or small_net.eval()(x)  # noqa: E731
    grey = 0.5 + 0.01 * (pictures[:1] - 0.5)
    smooth_grad(model, grey, 1)
    assert sum(map(len, seen)) == 50
    noise = torch.cat(seen) - grey
    assert noise.std() == pytest.approx(0.15 * float(grey.max() - grey.min()), rel=0.05)


def test_grad_cam_is_positive_and_enlarged_smoothly(resnet, photos64):
    """Captum's has no ReLU unless asked and repeats the nearest value."""
    found = grad_cam(resnet, photos64, TARGET)
    assert found.min() >= 0
    assert len(found[0].unique()) > 100  # of 2 × 2 places


def test_inpainting_works_on_the_real_range(pictures):
    """shap's masker turns the picture into whole numbers from 0 to 255: one in [0, 1] is black with white spots."""
    seen = []
    model = lambda x: seen.append(x) or x.flatten(1)[:, :2]  # noqa: E731
    occlusion(model, pictures[:1], 0, window=4, stride=4, fill="inpaint")
    painted = torch.cat(seen)
    assert painted.min() >= pictures[:1].min() - 1e-3
    assert len(painted.unique()) > 500
