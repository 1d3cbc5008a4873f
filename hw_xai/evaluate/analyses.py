"""Two models so small that the gradient can be written down: why it may ignore the input, and why it may draw edges.

From the discussion in Adebayo et al. 2018, arXiv 1810.03292.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..core.arguments import check_inputs, described
from ..core.randomness import generator
from ..explain.gradients import gradient


@dataclass(frozen=True)
class LinearAnalysis:
    """What explains the score w · x: for every input the same weights, or the weights times the input."""

    weights: Tensor  # (D,)
    gradients: Tensor  # (N, D): every row is the weights, whatever the input
    products: Tensor  # (N, D): input × gradient; its rows sum to the scores
    scores: Tensor  # (N,)


def linear_analysis(inputs: Tensor, weights: Tensor | None = None, *, seed: int = 0) -> LinearAnalysis:
    """Explain the linear model x ↦ w · x for inputs (N, ...), flattened to (N, D); w random where none is given, (D,).

    The gradient is w for every input: it depends on the model alone. Input × gradient, and with it integrated gradients
    from zero, is wⱼ xⱼ: large only where the input is, so an image of w that is random still looks like the input.
    """
    check_inputs(inputs)
    inputs = inputs.detach().flatten(1)
    if weights is None:
        weights = torch.randn(inputs.shape[1], generator=generator(seed)).to(inputs)
    if not isinstance(weights, Tensor) or weights.shape != inputs.shape[1:]:
        raise ValueError(f"`weights` must be a tensor of shape {tuple(inputs.shape[1:])}, got {described(weights)}")
    weights = weights.detach().to(inputs)

    def model(x: Tensor) -> Tensor:  # (n, D) -> (n, 1)
        return x @ weights[:, None]

    gradients = gradient(model, inputs, 0)
    return LinearAnalysis(weights, gradients, inputs * gradients, model(inputs)[:, 0])


@dataclass(frozen=True)
class ConvolutionAnalysis:
    """What explains a score that sums ReLU(filter * picture) over all places."""

    kernel: Tensor  # (k, k)
    active: Tensor  # (N, 1, H, W) bool: where the ReLU lets the filter's answer through
    gradients: Tensor  # (N, 1, H, W)
    uniform: Tensor  # (N, 1, H, W) bool: where all k² filters that see the pixel are active, or none is


def convolution_analysis(inputs: Tensor, kernel: Tensor | None = None, *, seed: int = 0) -> ConvolutionAnalysis:
    """Explain Σ ReLU(kernel * x) for pictures (N, 1, H, W), by one filter (k, k), k odd; random where none is given.

    ∂ score / ∂ x at a pixel is the sum of those weights whose filter is active there: of k² on-off states around the
    pixel. Where the neighbourhood looks alike, all are on (gradient Σ kernel) or all off (0); it differs only where the
    states do, along the edges of the picture. A random filter is an edge detector: nothing needs to be learned.
    """
    check_inputs(inputs)
    if inputs.ndim != 4 or inputs.shape[1] != 1:
        raise ValueError(f"`inputs` must be grey pictures (N, 1, H, W), got {described(inputs)}")
    if kernel is None:
        kernel = torch.randn((3, 3), generator=generator(seed))
    if not isinstance(kernel, Tensor) or kernel.ndim != 2 or kernel.shape[0] != kernel.shape[1] or len(kernel) % 2 == 0:
        raise ValueError(f"`kernel` must be a tensor (k, k) with k odd, got {described(kernel)}")
    kernel = kernel.detach().to(inputs)
    size = len(kernel)

    def answers(x: Tensor) -> Tensor:  # (n, 1, H, W) -> (n, 1, H, W)
        return nn.functional.conv2d(x, kernel[None, None], padding=size // 2)

    def model(x: Tensor) -> Tensor:  # -> (n, 1)
        return answers(x).relu().sum(dim=(1, 2, 3))[:, None]

    inputs = inputs.detach()
    active = answers(inputs) > 0
    # beyond the border there is no filter: those pixels are seen by fewer than k², and are never uniform
    seen = nn.functional.conv2d(active.to(inputs), torch.ones_like(kernel)[None, None], padding=size // 2)
    within = nn.functional.conv2d(torch.ones_like(inputs), torch.ones_like(kernel)[None, None], padding=size // 2)
    uniform = (within == size**2) & ((seen == 0) | (seen == size**2))
    return ConvolutionAnalysis(kernel, active, gradient(model, inputs, 0), uniform)
