"""The two models of the paper's discussion, against the gradient written down by hand."""

import pytest
import torch
from torch import nn

from hw_xai.evaluate.analyses import convolution_analysis, linear_analysis
from hw_xai.evaluate.similarity import edges
from hw_xai.evaluate.statistics import rank_correlation


def test_the_gradient_of_a_linear_model_is_its_weights_for_every_input():
    inputs = torch.rand((4, 1, 6, 6), generator=torch.Generator().manual_seed(0)).double()
    found = linear_analysis(inputs)
    assert found.gradients.shape == (4, 36)
    torch.testing.assert_close(found.gradients, found.weights.expand(4, 36))
    torch.testing.assert_close(found.products, inputs.flatten(1) * found.weights)
    torch.testing.assert_close(found.products.sum(dim=1), found.scores)
    assert not torch.equal(found.weights, linear_analysis(inputs, seed=1).weights)


def test_input_times_random_weights_shows_the_input():
    """Two models without anything in common agree on where the picture is."""
    inputs = torch.zeros(1, 20, 20)
    inputs[:, 5:15, 5:15] = 1
    a, b = (linear_analysis(inputs, seed=seed) for seed in (0, 1))
    assert rank_correlation(a.products.abs(), b.products.abs()) > 0.8
    assert rank_correlation(a.gradients.abs(), b.gradients.abs()).abs() < 0.2


def disc() -> torch.Tensor:
    """A bright disc on a dark ground, (1, 1, 40, 40), no pixel zero."""
    y, x = torch.meshgrid(torch.arange(40.0), torch.arange(40.0), indexing="ij")
    return (0.2 + 0.6 * ((x - 20) ** 2 + (y - 18) ** 2 < 120).double())[None, None]


@pytest.mark.parametrize("seed", range(4))
def test_the_gradient_of_a_convolution_is_the_sum_of_the_weights_that_are_active(seed):
    found = convolution_analysis(disc(), seed=seed)
    by_hand = nn.functional.conv_transpose2d(found.active.double(), found.kernel[None, None], padding=1)
    torch.testing.assert_close(found.gradients, by_hand)
    inside, total = found.gradients[found.uniform], found.kernel.sum()
    assert ((inside.abs() < 1e-9) | ((inside - total).abs() < 1e-9)).all()


@pytest.mark.parametrize("seed", range(4))
def test_the_gradient_of_a_random_convolution_differs_only_along_the_edges(seed):
    pictures = disc()
    found = convolution_analysis(pictures, seed=seed)
    near_edge = nn.functional.max_pool2d(edges(None, pictures), 5, 1, 2) > 0.01
    inner = torch.zeros_like(near_edge)
    inner[..., 2:-2, 2:-2] = True  # the picture's own border is an edge as well
    assert (found.uniform | near_edge)[inner].all()


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: linear_analysis(torch.ones(2, 3), torch.ones(4)), "`weights` must be a tensor of shape"),
        (lambda: convolution_analysis(torch.ones(2, 3, 8, 8)), "`inputs` must be grey pictures"),
        (lambda: convolution_analysis(torch.ones(2, 1, 8, 8), torch.ones(2, 2)), "`kernel` must be a tensor"),
    ],
)
def test_bad_input_gets_a_sentence(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()
