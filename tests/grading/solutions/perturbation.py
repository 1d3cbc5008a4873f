"""Right ways to write occlusion and LIME's surrogate, each unlike the others."""

import numpy as np
import torch
from captum.attr import Occlusion
from sklearn.linear_model import LinearRegression, Ridge

# ---------------------------------------------------------------------------------------------------------- occlusion


@torch.no_grad()
def occlusion_in_a_loop(model, inputs, target, window, stride):
    n, _, height, width = inputs.shape
    rows = torch.arange(n)
    total, count = torch.zeros(n, 1, height, width), torch.zeros(height, width)
    for top in range(0, height - window + 1, stride):
        for left in range(0, width - window + 1, stride):
            hidden = inputs.clone()
            hidden[..., top : top + window, left : left + window] = 0
            drop = (model(inputs) - model(hidden))[rows, target]
            total[..., top : top + window, left : left + window] += drop.reshape(n, 1, 1, 1)
            count[top : top + window, left : left + window] += 1
    return total / count


def occlusion_at_once(model, inputs, target, window, stride):
    n, _, *size = inputs.shape
    ones = torch.eye(int(np.prod([(s - window) // stride + 1 for s in size])))
    covers = torch.nn.functional.fold(  # (windows, 1, H, W): one window in each
        ones[:, None].expand(-1, window**2, -1), size, window, stride=stride
    )
    with torch.no_grad():
        masked = model((inputs[:, None] * (1 - covers)).flatten(0, 1)).unflatten(0, (n, -1))  # (n, windows, classes)
        drops = (model(inputs)[:, None] - masked)[torch.arange(n), :, target]
    return torch.einsum("nk,kchw->nchw", drops, covers) / covers.sum(dim=0)


def occlusion_by_captum(model, inputs, target, window, stride):
    shape, step = (inputs.shape[1], window, window), (inputs.shape[1], stride, stride)
    return Occlusion(model).attribute(inputs, shape, step, baselines=0, target=target)[:, :1].detach()


def occlusion_in_numpy(model, inputs, target, window, stride):
    def scores(x):
        with torch.no_grad():
            return model(torch.from_numpy(x)).numpy()[np.arange(len(x)), target.numpy()]

    pictures = inputs.numpy()
    maps = [[[[] for _ in range(pictures.shape[3])] for _ in range(pictures.shape[2])] for _ in pictures]
    whole = scores(pictures)
    for top in range(0, pictures.shape[2] - window + 1, stride):
        for left in range(0, pictures.shape[3] - window + 1, stride):
            hidden = pictures.copy()
            hidden[:, :, top : top + window, left : left + window] = 0
            drops = whole - scores(hidden)
            for i in range(len(pictures)):
                for y in range(top, top + window):
                    for x in range(left, left + window):
                        maps[i][y][x].append(drops[i])
    return np.array([[[[np.mean(values) for values in row] for row in picture]] for picture in maps])


def occlusion_in_float64(model, inputs, target, window, stride):
    x, total, count = inputs.double(), 0, 0
    model = model.double()
    for top in range(0, x.shape[2] - window + 1, stride):
        for left in range(0, x.shape[3] - window + 1, stride):
            mask = torch.zeros(x.shape[2:], dtype=torch.float64)
            mask[top : top + window, left : left + window] = 1
            drop = (model(x) - model(torch.where(mask.bool(), 0.0, x))).gather(1, target[:, None])
            total, count = total + drop[..., None, None] * mask, count + mask
    model.float()
    return total / count


# ----------------------------------------------------------------------------------------------------------- surrogate


def surrogate_by_sklearn(masks, scores, weights, alpha):
    return Ridge(alpha=alpha, solver="cholesky").fit(masks, scores, weights).coef_


def surrogate_with_a_column_of_ones(masks, scores, weights, alpha):
    x = torch.cat([masks, torch.ones(len(masks), 1)], dim=1)
    penalty = alpha * torch.eye(x.shape[1])
    penalty[-1, -1] = 0
    return torch.linalg.solve(x.T @ torch.diag(weights) @ x + penalty, x.T @ (weights * scores))[:-1]


def surrogate_centred(masks, scores, weights, alpha):
    share = weights / weights.sum()
    z, y = masks - share @ masks, scores - share @ scores
    return torch.inverse(z.T @ (weights[:, None] * z) + alpha * torch.eye(z.shape[1])) @ z.T @ (weights * y)


def surrogate_with_more_samples(masks, scores, weights, alpha):
    """The penalty as K more samples with the score 0, each sample times the root of its weight."""
    root, k = weights.double().sqrt().numpy(), masks.shape[1]
    x = np.hstack([masks.double().numpy(), np.ones((len(masks), 1))]) * root[:, None]
    extra = np.hstack([np.sqrt(alpha) * np.eye(k), np.zeros((k, 1))])
    y = np.concatenate([scores.double().numpy() * root, np.zeros(k)])
    return np.linalg.lstsq(np.vstack([x, extra]), y, rcond=None)[0][:k]


def surrogate_by_plain_regression(masks, scores, weights, alpha):
    share = (weights / weights.sum()).numpy()
    z, y = masks.numpy() - share @ masks.numpy(), scores.numpy() - share @ scores.numpy()
    x = np.vstack([z, np.eye(z.shape[1])])
    w = np.concatenate([weights.numpy(), np.full(z.shape[1], alpha)])
    return LinearRegression(fit_intercept=False).fit(x, np.concatenate([y, np.zeros(z.shape[1])]), w).coef_


SOLUTIONS = {
    "occlusion": [
        occlusion_in_a_loop,
        occlusion_at_once,
        occlusion_by_captum,
        occlusion_in_numpy,
        occlusion_in_float64,
    ],
    "lime_weights": [
        surrogate_by_sklearn,
        surrogate_with_a_column_of_ones,
        surrogate_centred,
        surrogate_with_more_samples,
        surrogate_by_plain_regression,
    ],
}
