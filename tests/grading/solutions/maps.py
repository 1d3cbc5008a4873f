"""Right ways to write the exercises about filters, CAM and forgetting, each unlike the others."""

import copy

import numpy as np
import torch
from captum.attr import LayerActivation, LayerAttribution, LayerGradCam, Saliency
from torch import nn
from torchcam.methods import GradCAM

# ------------------------------------------------------------------------------------------------ a filter's activation


def output_of(model, layer, x):
    kept = []
    handle = layer.register_forward_hook(lambda module, args, output: kept.append(output))
    scores = model(x)
    handle.remove()
    return scores, kept[0]


def activation_by_hook(model, inputs, layer, channel):
    with torch.no_grad():
        return output_of(model, layer, inputs)[1][:, [channel]]


def activation_row_by_row(model, inputs, layer, channel):
    return torch.stack([output_of(model, layer, row[None])[1][0, channel][None] for row in inputs]).detach()


def activation_by_captum(model, inputs, layer, channel):
    return LayerActivation(model, layer).attribute(inputs)[:, channel].unsqueeze(1)


def activation_in_float64(model, inputs, layer, channel):
    maps = output_of(model.double(), layer, inputs.double())[1].detach().numpy()
    model.float()
    return maps[:, channel : channel + 1].copy()


# ---------------------------------------------------------------------------------------------- activation maximization


def ascent_by_hook(model, layer, channel, start, n_steps, lr):
    x = start.clone()
    for _ in range(n_steps):
        x.requires_grad_(True)
        output_of(model, layer, x)[1][:, channel].sum().backward()  # the sum: its gradient has the same direction
        with torch.no_grad():
            g = x.grad
            x = torch.clamp(x + lr * g / torch.sqrt((g**2).mean(dim=(1, 2, 3), keepdim=True)), 0, 1)
    return x


def ascent_one_by_one(model, layer, channel, start, n_steps, lr):
    pictures = []
    for picture in start:
        x = picture[None].clone()
        for _ in range(n_steps):
            x = x.detach().requires_grad_()
            g = torch.autograd.grad(output_of(model, layer, x)[1][0, channel].mean(), x)[0]
            x = (x + lr * g / g.pow(2).mean().sqrt()).clamp(min=0, max=1)
        pictures.append(x[0])
    return torch.stack(pictures)


def ascent_in_numpy(model, layer, channel, start, n_steps, lr):
    x = start.numpy().copy()
    for _ in range(n_steps):
        at = torch.from_numpy(x).requires_grad_()
        output_of(model, layer, at)[1].mean(dim=(2, 3))[:, channel].sum().backward()
        g = at.grad.numpy()
        x = np.clip(x + lr * g / np.sqrt(np.mean(g**2, axis=(1, 2, 3), keepdims=True)), 0, 1)
    return x


def ascent_by_optimizer_in_float64(model, layer, channel, start, n_steps, lr):
    x = start.double().requires_grad_()
    descend = torch.optim.SGD([x], lr=lr)
    model.double()
    for _ in range(n_steps):
        descend.zero_grad()
        (-output_of(model, layer, x)[1][:, channel].mean()).backward()
        x.grad /= x.grad.flatten(1).norm(dim=1).reshape(-1, 1, 1, 1) / x[0].numel() ** 0.5
        descend.step()
        x.data.clamp_(0, 1)
    model.float()
    return x


# ------------------------------------------------------------------------------------------------------------- Grad-CAM


def enlarged(small, inputs):
    return nn.functional.interpolate(small, size=inputs.shape[-2:], mode="bilinear")


def cam_by_hook(model, inputs, target, layer):
    scores, maps = output_of(model, layer, inputs)
    slopes = torch.autograd.grad(scores[torch.arange(len(inputs)), target].sum(), maps)[0]
    return enlarged(torch.einsum("nk,nkhw->nhw", slopes.mean(dim=(2, 3)), maps).relu()[:, None], inputs).detach()


def cam_row_by_row(model, inputs, target, layer):
    rows = []
    for x, label in zip(inputs, target, strict=True):
        scores, maps = output_of(model, layer, x[None])
        maps.retain_grad()
        scores[0, label].backward()
        weights = maps.grad[0].flatten(1).mean(1)
        summed = sum(w * m for w, m in zip(weights, maps[0], strict=True))
        rows.append(enlarged(summed.clamp(min=0)[None, None], inputs)[0])
    return torch.stack(rows).detach().numpy()


def cam_by_captum(model, inputs, target, layer):
    small = LayerGradCam(model, layer).attribute(inputs, target, relu_attributions=True)
    return LayerAttribution.interpolate(small, inputs.shape[-2:], "bilinear")


def cam_by_torchcam(model, inputs, target, layer):
    with GradCAM(model, layer) as extractor:
        scores = model(inputs.clone().requires_grad_())
        small = extractor(target.tolist(), scores, normalized=False)[0]
    return enlarged(small[:, None], inputs).detach()


def cam_in_float64(model, inputs, target, layer):
    result = cam_by_hook(model.double(), inputs.double(), target, layer)
    model.float()
    return result


# ---------------------------------------------------------------------------------------------------- forgetting layers


def forgetting_a_copy(model, inputs, target, n_layers, seed):
    other = copy.deepcopy(model)
    layers = [layer for layer in other.modules() if hasattr(layer, "reset_parameters")]
    for layer in layers[-n_layers:]:
        torch.manual_seed(seed)
        layer.reset_parameters()
    maps = []
    for m in (model, other):
        x = inputs.clone().requires_grad_()
        m(x).gather(1, target[:, None]).sum().backward()
        maps.append(x.grad.abs())
    return torch.stack(maps)


def forgetting_from_the_end(model, inputs, target, n_layers, seed):
    other = copy.deepcopy(model)
    for layer in reversed([m for m in other.modules() if hasattr(m, "reset_parameters")]):
        if n_layers == 0:
            break
        torch.manual_seed(seed)
        layer.reset_parameters()
        n_layers -= 1
    maps = [Saliency(m).attribute(inputs.clone().requires_grad_(), target=target) for m in (model, other)]
    return torch.stack(maps).numpy()


def forgetting_and_remembering(model, inputs, target, n_layers, seed):
    def explained():
        x = inputs.clone().requires_grad_()
        return torch.autograd.grad(sum(row[label] for row, label in zip(model(x), target, strict=True)), x)[0].abs()

    before, learned = explained(), copy.deepcopy(model.state_dict())
    for layer in [m for m in model.modules() if hasattr(m, "reset_parameters")][-n_layers:]:
        torch.random.manual_seed(seed)
        layer.reset_parameters()
    after = explained()
    model.load_state_dict(learned)
    return torch.stack((before, after))


def forgetting_in_float64(model, inputs, target, n_layers, seed):
    other = copy.deepcopy(model)
    names = [name for name, m in other.named_modules() if hasattr(m, "reset_parameters")]
    for name in names[len(names) - n_layers :]:
        torch.manual_seed(seed)
        other.get_submodule(name).reset_parameters()
    maps = np.empty((2, *inputs.shape))
    for i, m in enumerate((copy.deepcopy(model), other)):
        x = inputs.double().requires_grad_()
        m.double()(x)[range(len(x)), target].sum().backward()
        maps[i] = x.grad.abs().numpy()
    return maps


SOLUTIONS = {
    "filter_activation": [activation_by_hook, activation_row_by_row, activation_by_captum, activation_in_float64],
    "maximize_activation": [
        ascent_by_hook,
        ascent_one_by_one,
        ascent_in_numpy,
        ascent_by_optimizer_in_float64,
    ],
    "grad_cam": [cam_by_hook, cam_row_by_row, cam_by_captum, cam_by_torchcam, cam_in_float64],
    "randomize_layers": [
        forgetting_a_copy,
        forgetting_from_the_end,
        forgetting_and_remembering,
        forgetting_in_float64,
    ],
}
