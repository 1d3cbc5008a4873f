"""Right ways to write saliency, SmoothGrad and integrated gradients, each unlike the others."""

import numpy as np
import torch
from captum.attr import IntegratedGradients, Saliency

# ----------------------------------------------------------------------------------------------------------- saliency


def saliency_by_backward(model, inputs, target):
    x = inputs.clone().requires_grad_(True)
    model(x)[torch.arange(len(x)), target].sum().backward()
    return x.grad.abs()


def saliency_row_by_row(model, inputs, target):
    maps = []
    for picture, label in zip(inputs, target, strict=True):
        x = picture[None].detach().requires_grad_(True)
        model(x)[0, label].backward()
        maps.append(x.grad[0].abs())
    return torch.stack(maps)


def saliency_by_captum(model, inputs, target):
    return Saliency(model).attribute(inputs.clone().requires_grad_(), target=target, abs=True)


def saliency_by_vjp(model, inputs, target):
    scores, back = torch.func.vjp(model, inputs)
    one_hot = torch.nn.functional.one_hot(target, scores.shape[1]).to(scores)
    return back(one_hot)[0].abs().detach().numpy()


def saliency_by_hand_in_float64(model, inputs, target):
    x = inputs.double().requires_grad_()
    scores = model.double()(x)
    (g,) = torch.autograd.grad(scores.gather(1, target.unsqueeze(1)).sum(), x)
    model.float()
    return np.maximum(g.numpy(), -g.numpy())


# --------------------------------------------------------------------------------------------------------- SmoothGrad


def gradient(model, x, target):
    x = x.detach().requires_grad_()
    return torch.autograd.grad(model(x).gather(1, target[:, None]).sum(), x)[0]


def width(x):
    return x.amax(dim=(1, 2, 3), keepdim=True) - x.amin(dim=(1, 2, 3), keepdim=True)


def smooth_in_a_loop(model, inputs, target, n_samples, noise_level, seed):
    g, total = torch.Generator().manual_seed(seed), torch.zeros_like(inputs)
    for _ in range(n_samples):
        noise = torch.randn(inputs.shape, generator=g)
        total += gradient(model, inputs + noise_level * width(inputs) * noise, target)
    return total / n_samples


def smooth_in_one_tensor(model, inputs, target, n_samples, noise_level, seed):
    g = torch.Generator().manual_seed(seed)
    noise = torch.randn(n_samples, *inputs.shape, generator=g) * noise_level * width(inputs)
    rows = (inputs + noise).flatten(0, 1)
    return gradient(model, rows, target.repeat(n_samples)).unflatten(0, (n_samples, -1)).mean(dim=0)


def smooth_row_by_row(model, inputs, target, n_samples, noise_level, seed):
    torch.manual_seed(seed)
    maps = []
    for i in range(len(inputs)):
        x = inputs[i : i + 1]
        noisy = x + noise_level * (x.max() - x.min()) * torch.randn(n_samples, *x.shape[1:])
        maps.append(gradient(model, noisy, target[i].repeat(n_samples)).mean(dim=0))
    return torch.stack(maps)


def smooth_with_numpy(model, inputs, target, n_samples, noise_level, seed):
    rng = np.random.default_rng(seed)
    sigma = noise_level * np.ptp(inputs.numpy(), axis=(1, 2, 3))[:, None, None, None]
    maps = []
    for _ in range(n_samples):
        noisy = inputs.numpy() + sigma * rng.normal(size=inputs.shape)
        maps.append(gradient(model, torch.tensor(noisy, dtype=torch.float32), target).numpy())
    return np.mean(maps, axis=0)


# ------------------------------------------------------------------------------------------------ integrated gradients


def path_in_a_loop(model, inputs, target, baselines, n_steps):
    total = torch.zeros_like(inputs)
    for k in range(n_steps):
        total += gradient(model, baselines + (k + 0.5) / n_steps * (inputs - baselines), target)
    return (inputs - baselines) * total / n_steps


def path_at_once(model, inputs, target, baselines, n_steps):
    alphas = torch.linspace(0.5 / n_steps, 1 - 0.5 / n_steps, n_steps).reshape(-1, *[1] * inputs.ndim)
    points = torch.lerp(baselines[None], inputs[None], alphas).flatten(0, 1)
    slopes = gradient(model, points, target.repeat(n_steps)).reshape(n_steps, *inputs.shape)
    return slopes.mean(dim=0) * (inputs - baselines)


def path_by_captum(model, inputs, target, baselines, n_steps):
    method = IntegratedGradients(model, multiply_by_inputs=True)
    return method.attribute(inputs, baselines, target, n_steps=n_steps, method="riemann_middle")


def path_finer(model, inputs, target, baselines, n_steps):
    return path_at_once(model, inputs, target, baselines, 4 * n_steps)


def path_by_trapezoids(model, inputs, target, baselines, n_steps):
    alphas = torch.linspace(0, 1, n_steps)
    points = [(baselines + alpha * (inputs - baselines)).requires_grad_() for alpha in alphas]
    scores = sum(model(point).gather(1, target[:, None]).sum() for point in points)
    along = torch.stack(torch.autograd.grad(scores, points))
    return (inputs - baselines) * torch.trapezoid(along, alphas, dim=0)


def path_in_float64(model, inputs, target, baselines, n_steps):
    start, end = baselines.double(), inputs.double()
    result = path_in_a_loop(model.double(), end, target, start, n_steps).numpy()
    model.float()
    return result


SOLUTIONS = {
    "saliency": [
        saliency_by_backward,
        saliency_row_by_row,
        saliency_by_captum,
        saliency_by_vjp,
        saliency_by_hand_in_float64,
    ],
    "smooth_grad": [smooth_in_a_loop, smooth_in_one_tensor, smooth_row_by_row, smooth_with_numpy],
    "integrated_gradients": [
        path_in_a_loop,
        path_at_once,
        path_by_captum,
        path_finer,
        path_by_trapezoids,
        path_in_float64,
    ],
}
