"""Right ways to write the exercises about BERT, each unlike the others."""

import numpy as np
import torch
from captum.attr import IntegratedGradients
from scipy.spatial import distance
from sklearn.decomposition import PCA
from sklearn.metrics import pairwise

# ------------------------------------------------------------------------------------------------------------ rollout


def rollout_in_a_loop(attentions):
    n = attentions.shape[-1]
    result = torch.eye(n)
    for layer in attentions:
        result = (0.5 * layer.mean(0) + 0.5 * torch.eye(n)) @ result
    return result


def rollout_by_multi_dot(attentions):
    mixed = (attentions.mean(dim=1) + torch.eye(attentions.shape[-1])) / 2
    return torch.linalg.multi_dot([*mixed.flip(0)]) if len(mixed) > 1 else mixed[0]


def rollout_in_numpy(attentions):
    a = attentions.numpy().astype(np.float64).mean(axis=1) + np.eye(attentions.shape[-1])
    a /= a.sum(axis=-1, keepdims=True)
    result = a[0]
    for layer in a[1:]:
        result = np.matmul(layer, result)
    return result


def rollout_token_by_token(attentions):
    fused = attentions.double().mean(dim=1)
    rows = []
    for token in range(fused.shape[-1]):
        share = torch.zeros(fused.shape[-1], dtype=torch.float64)
        share[token] = 1
        for layer in fused.flip(0):
            share = (share + share @ layer) / 2
        rows.append(share)
    return torch.stack(rows)


# ----------------------------------------------------------------------------------------------------- tokens' shares


def tokens_in_a_loop(model, inputs_embeds, target, baselines, n_steps):
    total = 0
    for k in range(n_steps):
        x = (baselines + (k + 0.5) / n_steps * (inputs_embeds - baselines)).requires_grad_()
        model(x)[range(len(x)), target].sum().backward()
        total = total + x.grad
    return ((inputs_embeds - baselines) * total / n_steps).sum(-1)


def tokens_by_captum(model, inputs_embeds, target, baselines, n_steps):
    method = IntegratedGradients(model)
    return method.attribute(inputs_embeds, baselines, target, n_steps=n_steps, method="riemann_middle").sum(dim=-1)


def tokens_one_by_one(model, inputs_embeds, target, baselines, n_steps):
    alphas = ((torch.arange(n_steps) + 0.5) / n_steps)[:, None, None]
    rows = []
    for end, start, label in zip(inputs_embeds, baselines, target, strict=True):
        points = torch.lerp(start[None], end[None], alphas).requires_grad_()
        slopes = torch.autograd.grad(model(points)[:, label].sum(), points)[0]
        rows.append(torch.einsum("td,ktd->t", end - start, slopes) / n_steps)
    return torch.stack(rows)


def tokens_in_float64(model, inputs_embeds, target, baselines, n_steps):
    result = tokens_in_a_loop(model.double(), inputs_embeds.double(), target, baselines.double(), n_steps)
    model.float()
    return result.detach().numpy()


# ------------------------------------------------------------------------------------------- similarity and distance


def cosine_by_torch(a, b):
    return torch.nn.functional.cosine_similarity(a[:, None], b[None], dim=2)


def cosine_pair_by_pair(a, b):
    return torch.tensor([[float(x @ y / (x.norm() * y.norm())) for y in b] for x in a])


def cosine_by_scipy(a, b):
    return 1 - distance.cdist(a.numpy(), b.numpy(), "cosine")


def cosine_by_sklearn(a, b):
    return pairwise.cosine_similarity(a.numpy(), b.numpy())


def cosine_in_numpy(a, b):
    a, b = a.double().numpy(), b.double().numpy()
    return (a @ b.T) / np.outer(np.linalg.norm(a, axis=1), np.linalg.norm(b, axis=1))


def distance_by_torch(a, b):
    return (a[:, None] - b[None]).norm(dim=-1)


def distance_pair_by_pair(a, b):
    return np.array([[np.sqrt(((x - y) ** 2).sum()) for y in b.numpy()] for x in a.numpy()])


def distance_by_scipy(a, b):
    return distance.cdist(a.numpy(), b.numpy())


def distance_by_products(a, b):
    squared = a.square().sum(1)[:, None] + b.square().sum(1)[None] - 2 * a @ b.T
    return squared.clamp(min=0).sqrt()


# --------------------------------------------------------------------------------------------------------- projection


def pca_by_svd(vectors, n_components):
    centred = vectors - vectors.mean(0)
    u, s, _ = torch.linalg.svd(centred, full_matrices=False)
    return (u * s)[:, :n_components]


def pca_by_eigh(vectors, n_components):
    centred = vectors - vectors.mean(dim=0, keepdim=True)
    _, axes = torch.linalg.eigh(centred.T @ centred)
    return centred @ axes.flip(1)[:, :n_components]


def pca_by_sklearn(vectors, n_components):
    return PCA(n_components).fit_transform(vectors.numpy())


def pca_by_lowrank(vectors, n_components):
    centred = vectors - vectors.mean(dim=0)
    _, _, v = torch.pca_lowrank(centred.double(), q=6, center=False)
    return centred.double() @ -v[:, :n_components]


def pca_by_covariance_in_numpy(vectors, n_components):
    x = vectors.numpy().astype(np.float64)
    values, axes = np.linalg.eig(np.cov(x.T))
    return (x - x.mean(axis=0)) @ axes[:, np.argsort(-values)[:n_components]]


SOLUTIONS = {
    "attention_rollout": [rollout_in_a_loop, rollout_by_multi_dot, rollout_in_numpy, rollout_token_by_token],
    "token_ig": [tokens_in_a_loop, tokens_by_captum, tokens_one_by_one, tokens_in_float64],
    "cosine_similarity": [
        cosine_by_torch,
        cosine_pair_by_pair,
        cosine_by_scipy,
        cosine_by_sklearn,
        cosine_in_numpy,
    ],
    "euclidean_distance": [distance_by_torch, distance_pair_by_pair, distance_by_scipy, distance_by_products],
    "pca_projection": [pca_by_svd, pca_by_eigh, pca_by_sklearn, pca_by_lowrank, pca_by_covariance_in_numpy],
}
