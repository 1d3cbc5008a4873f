"""L-CAM: the losses are the formulas, training finds what the classifier needs, one pass explains."""

import pytest
import torch
from torch import Tensor, nn

from hw_xai.explain import LearnedCAM, last_map, lcam
from hw_xai.explain.learned_cam import total_variation

both_variants = pytest.mark.parametrize("variant", ["fm", "img"])


def random_attention(variant: str = "fm") -> LearnedCAM:
    """An attention of its own on SmallNet's six maps and five classes."""
    learned = LearnedCAM(6, 5, variant).double()
    source = torch.Generator().manual_seed(5)
    for parameter in learned.parameters():
        parameter.data = torch.randn(parameter.shape, generator=source, dtype=torch.float64)
    return learned


def steps(learned: LearnedCAM, model: nn.Module, inputs: Tensor, n: int, lr: float) -> list[float]:
    """Train by plain gradient descent and return the losses."""
    losses = []
    for _ in range(n):
        loss = learned.loss(model, inputs)
        gradients = torch.autograd.grad(loss, list(learned.parameters()))
        with torch.no_grad():
            for parameter, gradient in zip(learned.parameters(), gradients, strict=True):
                parameter -= lr * gradient
        losses.append(loss.item())
    return losses


def test_the_map_is_a_1x1_convolution_seen_before_the_sigmoid(small_net, pictures):
    learned = random_attention()
    small_net.eval()
    maps = small_net.block(small_net.pool(small_net.stem(pictures)))  # (3, 6, 8, 8)
    logits = nn.functional.conv2d(maps, learned.weight[:, :, None, None], learned.bias)  # (3, 5, 8, 8)
    expected = nn.functional.interpolate(logits[:, [2]], (16, 16), mode="bilinear")
    expected -= expected.amin(dim=(2, 3), keepdim=True)
    torch.testing.assert_close(learned(small_net, pictures, 2), expected.detach())
    torch.testing.assert_close(lcam(small_net, pictures, 2, learned=learned), expected.detach())


def test_one_forward_pass_and_no_gradient(small_net, pictures):
    calls = []
    small_net.register_forward_hook(lambda _, x, scores: calls.append((len(x[0]), scores.requires_grad)))
    lcam(small_net, pictures[:1], learned=random_attention())
    assert calls == [(1, False)]
    lcam(small_net, pictures, learned=random_attention(), batch_size=3)
    assert calls[1:] == [(3, False)]


@both_variants
def test_the_loss_is_the_papers(variant, small_net, pictures):
    learned = random_attention(variant)
    small_net.eval()
    with torch.no_grad():
        maps = small_net.block(small_net.pool(small_net.stem(pictures)))
        target = small_net(pictures).argmax(dim=1)
        expected = 0
        for i, c in enumerate(target.tolist()):
            a = torch.sigmoid((learned.weight[c, :, None, None] * maps[i]).sum(0) + learned.bias[c])  # (8, 8)
            if variant == "img":
                seen = nn.functional.interpolate(a[None, None], (16, 16), mode="bilinear")[0] * pictures[i]
                scores = small_net(seen[None])
            else:
                x = small_net.pool(small_net.stem(pictures[i : i + 1]))
                scores = small_net.head(small_net.pool((x + a * maps[i]).relu()).flatten(1))
            recognized = -scores.log_softmax(dim=1)[0, c]
            area = ((a + 0.0005) ** 0.3).mean()
            steps = (a[1:] - a[:-1]).square().sum() + (a[:, 1:] - a[:, :-1]).square().sum()
            border = a[0].square().sum() + a[-1].square().sum() + a[:, 0].square().sum() + a[:, -1].square().sum()
            expected += (1.5 * recognized + 2 * area + 0.01 * (steps + 0.3 * border) / 2) / 3
    torch.testing.assert_close(learned.loss(small_net, pictures).detach(), expected)
    torch.testing.assert_close(learned.loss(small_net, pictures, target), learned.loss(small_net, pictures))


def test_total_variation_of_a_bright_place_inside_and_in_the_corner():
    inside, corner = torch.zeros(2, 1, 1, 4, 4)
    inside[0, 0, 1, 2] = corner[0, 0, 0, 0] = 2
    assert total_variation(inside) == 4 * 2**2 / 2
    assert total_variation(corner) == pytest.approx((2 * 2**2 + 0.3 * 2 * 2**2) / 2)
    assert total_variation(torch.cat([inside, corner])) == pytest.approx((8 + 5.2) / 2)


@both_variants
def test_an_untrained_attention_is_the_same_everywhere(variant, small_net, pictures):
    learned = LearnedCAM.for_model(small_net, pictures, variant)
    assert learned.weight.shape == (5, 6)
    assert learned.weight.dtype == torch.float64
    assert not learned(small_net, pictures).any()


@both_variants
def test_training_lowers_the_loss_and_leaves_the_classifier_alone(variant, trained_net, squares):
    inputs, _ = squares(64, seed=7)
    before = {name: tensor.clone() for name, tensor in trained_net.state_dict().items()}
    trained_net.train(True)
    learned = LearnedCAM.for_model(trained_net, inputs, variant)
    losses = steps(learned, trained_net, inputs, n=20, lr=0.3)
    assert trained_net.training
    trained_net.eval()
    assert losses[-1] < 0.96 * losses[0]
    assert all(torch.equal(tensor, before[name]) for name, tensor in trained_net.state_dict().items())
    assert all(p.grad is None and p.requires_grad for p in trained_net.parameters())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in trained_net.modules())


class PlantedChannel(nn.Module):
    """(N, 3, 8, 8) -> (N, 2): the first class is seen in red, the second in green, and blue says nothing."""

    def __init__(self):
        super().__init__()
        self.maps = nn.Conv2d(3, 3, 1)
        self.maps.weight.data = torch.eye(3)[:, :, None, None]
        self.maps.bias.data.zero_()

    def forward(self, inputs: Tensor) -> Tensor:
        return 20 * self.maps(inputs).mean(dim=(2, 3))[:, :2]


@both_variants
def test_it_learns_where_the_class_is(variant):
    source = torch.Generator().manual_seed(0)
    inputs = 0.1 * torch.rand((40, 3, 8, 8), generator=source)
    inputs[:, 2, 4:, :4] = 1.0  # a blue patch that means nothing
    inputs[::2, 0, :4, 4:] = 1.0
    inputs[1::2, 1, :4, 4:] = 1.0
    model = PlantedChannel()
    learned = LearnedCAM.for_model(model, inputs, variant)
    steps(learned, model, inputs, n=60, lr=1.0)
    found = learned(model, inputs)
    assert (found[:, :, :4, 4:].sum((1, 2, 3)) / found.sum((1, 2, 3)) > 0.5).all()  # a quarter of the area
    assert (learned.weight.argmax(dim=1) == torch.tensor([0, 1])).all()


def test_other_numbers_of_dimensions():
    sequence = nn.Sequential(nn.Conv1d(2, 4, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool1d(1), nn.Flatten())
    inputs = torch.rand(3, 2, 12)
    learned = LearnedCAM.for_model(sequence, inputs, "img")
    learned.loss(sequence, inputs).backward()
    assert learned.weight.grad.isfinite().all()
    assert learned(sequence, inputs).shape == (3, 1, 12)


def test_a_black_box_needs_its_layer_named(small_net, pictures):
    small_net.eval()
    learned = random_attention()
    layer = last_map(small_net)
    torch.testing.assert_close(learned(lambda x: small_net(x), pictures, layer=layer), learned(small_net, pictures))
    with pytest.raises(ValueError, match="`layer` must be given"):
        learned(lambda x: small_net(x), pictures)


def test_mistakes_are_told(small_net, pictures):
    with pytest.raises(ValueError, match="`learned` must be a LearnedCAM trained on this model, got None: train one"):
        lcam(small_net, pictures)
    with pytest.raises(ValueError, match='`variant` must be "fm" or "img", got \'both\''):
        LearnedCAM(6, 5, "both")
    with pytest.raises(ValueError, match="`model` must have the 4 classes L-CAM was trained on, got 5"):
        lcam(small_net, pictures, learned=LearnedCAM(6, 4))
    with pytest.raises(ValueError, match="`layer` must give the 7 maps L-CAM was trained on, got 6"):
        lcam(small_net, pictures, learned=LearnedCAM(7, 5))
    with pytest.raises(ValueError, match="`target` must be between 0 and 4, got 5"):
        LearnedCAM(6, 5).loss(small_net, pictures, 5)
    with pytest.raises(ValueError, match="`inputs` must be finite"):
        LearnedCAM(6, 5).loss(small_net, pictures * torch.nan)
