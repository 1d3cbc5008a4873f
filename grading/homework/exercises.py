"""The exercises: one literal table. What is asked, on which calls it is judged, and what every right answer has."""

import copy
from collections.abc import Sequence

import numpy as np
import torch
from sklearn.linear_model import Ridge
from torch import Tensor, nn

from hw_xai import explain

from ..isolation.inside.calls import Call
from ..verdict.distances import Answers, exact, largest, over_seeds
from ..verdict.exercise import Exercise, Property
from ..words import Text
from .judged_calls import (
    ascent_calls,
    attention_calls,
    cam_calls,
    channel_calls,
    cloud_calls,
    forgetting_calls,
    gradient_calls,
    noise_calls,
    occlusion_calls,
    path_calls,
    surrogate_calls,
    token_calls,
    vector_calls,
)

# --------------------------------------------------------------------------------------------------------- properties


def never_negative(calls: Sequence[Call], answers: Answers) -> bool:
    return all((output >= 0).all() for outputs in answers for output in outputs)


def same_twice(calls: Sequence[Call], answers: Answers) -> bool:
    return all(largest(output - outputs[0]) <= 1e-5 * largest(outputs[0]) for outputs in answers for output in outputs)


NEVER_NEGATIVE = Property(
    Text("a saliency is never negative, yours is in places", "顯著性不會是負的，你的有些地方是負的"), never_negative
)
SAME_TWICE = Property(
    Text(
        "called twice with the same arguments, yours gives two results: does it change its inputs or the model?",
        "用相同的引數呼叫兩次，你得到兩個不同的結果：是不是改動了輸入或模型？",
    ),
    same_twice,
)


def seed_decides(calls: Sequence[Call], answers: Answers) -> bool:
    (first, again), (other,) = answers[:2]
    return largest(first - again) <= 1e-5 * largest(first) and largest(first - other) > 1e-4 * largest(first)


def rows_sum_to_one(calls: Sequence[Call], answers: Answers) -> bool:
    return all(largest(output.sum(axis=-1) - 1) < 1e-3 for outputs in answers for output in outputs)


def between_ones(calls: Sequence[Call], answers: Answers) -> bool:
    return all(largest(output) <= 1 + 1e-4 for outputs in answers for output in outputs)


def a_picture(calls: Sequence[Call], answers: Answers) -> bool:
    return all(output.min() >= -1e-5 and output.max() <= 1 + 1e-5 for outputs in answers for output in outputs)


def centred(calls: Sequence[Call], answers: Answers) -> bool:
    return all(largest(output.mean(axis=0)) < 1e-3 * largest(output) for outputs in answers for output in outputs)


ROWS_SUM_TO_ONE = Property(
    Text("each row of a rollout sums to 1: it says where a token's information comes from, in shares",
         "展開的每一列總和是 1：它表示一個詞元的資訊來自何處、各占多少比例"),
    rows_sum_to_one,
)  # fmt: skip
BETWEEN_ONES = Property(Text("a cosine lies between −1 and 1", "餘弦值介於 −1 與 1 之間"), between_ones)
NO_NEGATIVE_CAM = Property(
    Text(
        "a Grad-CAM is never negative: it keeps what speaks for the class",
        "Grad-CAM 不會是負的：它只保留支持該類別的部分",
    ),
    never_negative,
)
A_PICTURE = Property(
    Text(
        "every step must end within 0 and 1, the range of a picture",
        "每一步之後都必須落在 0 到 1 之間，也就是圖片的範圍",
    ),
    a_picture,
)
NO_NEGATIVE_DISTANCE = Property(Text("a distance is never negative", "距離不會是負的"), never_negative)
CENTRED = Property(Text("the mean of the projected points must be the origin", "投影後各點的平均必須是原點"), centred)
SEED_DECIDES = Property(
    Text(
        "the same seed must give the same map and another seed another one",
        "相同的種子必須得到相同的圖，不同的種子則得到不同的圖",
    ),
    seed_decides,
)

# --------------------------------------------------------------------------- references that are not in the library


def lime_weights(masks: Tensor, scores: Tensor, weights: Tensor, alpha: float) -> np.ndarray:
    """Masks (S, K), scores and weights (S,) -> (K,): argmin Σ wₛ (scoreₛ − b − maskₛ · c)² + alpha Σ c², b free."""
    x, y, w = (values.double().numpy() for values in (masks, scores, weights))
    return Ridge(alpha=alpha).fit(x, y, sample_weight=w).coef_


def maximize_activation(model, layer, channel: int, start: Tensor, n_steps: int, lr: float) -> Tensor:
    """(N, C, H, W) -> (N, C, H, W): n_steps times x ← clamp(x + lr · g / RMS(g), 0, 1), g = ∂ mean activation / ∂ x.

    The mean is that of the channel's map, the RMS that of each picture's own gradient.
    """
    x = start
    for _ in range(n_steps):
        x = x.detach().requires_grad_()
        with explain.record_activations(model, layer) as seen:
            model(x)
        g = torch.autograd.grad(seen[layer][:, channel].mean(dim=(1, 2)).sum(), x)[0]
        x = (x + lr * g / g.square().mean(dim=(1, 2, 3), keepdim=True).sqrt()).clamp(0, 1)
    return x


def randomize_layers(model: nn.Module, inputs: Tensor, target: Tensor, n_layers: int, seed: int) -> Tensor:
    """(N, C, H, W) -> (2, N, C, H, W): the saliency of the model and of a copy whose last n_layers were reset.

    Layers: the modules that have `reset_parameters`, in the order of `model.modules()`; before each one is reset,
    `torch.manual_seed(seed)`, so that the result does not depend on their order.
    """
    forgetful = copy.deepcopy(model)
    resets = [getattr(layer, "reset_parameters", None) for layer in forgetful.modules()]
    for reset in list(filter(None, resets))[-n_layers:]:
        torch.manual_seed(seed)
        reset()
    return torch.stack([explain.saliency(m, inputs, target) for m in (model, forgetful)])


def token_ig(model, inputs_embeds: Tensor, target: Tensor, baselines: Tensor, n_steps: int) -> Tensor:
    """(N, T, D) -> (N, T): one number per token."""
    return explain.integrated_gradients(model, inputs_embeds, target, baselines=baselines, n_steps=n_steps).sum(dim=2)


def pca_projection(vectors: Tensor, n_components: int) -> np.ndarray:
    """(n, d) -> (n, n_components)."""
    return explain.project(vectors, "pca", n_components=n_components).points


def mirrored_as(mine: np.ndarray, ours: np.ndarray) -> np.ndarray:
    """Return mine with each column's sign as in ours: the direction of a principal axis is free."""
    return mine * np.where((mine * ours).sum(axis=0) < 0, -1, 1)


def each_by_its_size(mine: np.ndarray, ours: np.ndarray) -> np.ndarray:
    """Return mine with the error of each map in proportion to that map: one has far smaller values than the other."""
    sizes = np.abs(ours).reshape(len(ours), -1).max(axis=1).reshape(-1, *[1] * (ours.ndim - 1))
    return ours + (mine - ours) * (sizes.max() / np.maximum(sizes, 1e-9 * sizes.max() + 1e-30))


# -------------------------------------------------------------------------------------------------------------- table

EXERCISES: dict[str, Exercise] = {
    "occlusion": Exercise(
        title=Text("Occlusion", "遮擋法"),
        notebook="1_perturbation",
        points=3,
        minutes=20,
        lines=12,
        reference=explain.occlusion,
        plan=occlusion_calls,
        properties=(SAME_TWICE,),
    ),
    "lime_weights": Exercise(
        title=Text("LIME's surrogate", "LIME 的代理模型"),
        notebook="1_perturbation",
        points=3,
        minutes=15,
        lines=5,
        reference=lime_weights,
        plan=surrogate_calls,
        properties=(SAME_TWICE,),
    ),
    "saliency": Exercise(
        title=Text("Saliency", "顯著圖"),
        notebook="2_gradients",
        points=2,
        minutes=5,
        lines=5,
        reference=explain.saliency,
        plan=gradient_calls,
        properties=(SAME_TWICE, NEVER_NEGATIVE),
    ),
    "smooth_grad": Exercise(
        title=Text("SmoothGrad", "SmoothGrad"),
        notebook="2_gradients",
        points=3,
        minutes=15,
        lines=7,
        reference=explain.smooth_grad,
        plan=noise_calls,
        properties=(SEED_DECIDES,),
        distance=over_seeds(),
    ),
    "integrated_gradients": Exercise(
        title=Text("Integrated gradients", "積分梯度"),
        notebook="2_gradients",
        points=4,
        minutes=15,
        lines=8,
        reference=explain.integrated_gradients,
        plan=path_calls,
        properties=(SAME_TWICE,),
        distance=exact(0.02),  # trapezoid and Gauss–Legendre are right too, the left and the right sum are not
    ),
    "filter_activation": Exercise(
        title=Text("Activation of a filter", "濾波器的活化"),
        notebook="3_filters_and_cam",
        points=1,
        minutes=10,
        lines=5,
        reference=explain.filter_activation,
        plan=channel_calls,
        properties=(SAME_TWICE,),
    ),
    "maximize_activation": Exercise(
        title=Text("Activation maximization", "活化最大化"),
        notebook="3_filters_and_cam",
        points=3,
        minutes=20,
        lines=10,
        reference=maximize_activation,
        plan=ascent_calls,
        properties=(SAME_TWICE, A_PICTURE),
        distance=exact(0.005),  # rounding grows a little from step to step
    ),
    "grad_cam": Exercise(
        title=Text("Grad-CAM", "Grad-CAM"),
        notebook="3_filters_and_cam",
        points=3,
        minutes=20,
        lines=10,
        reference=explain.grad_cam,
        plan=cam_calls,
        properties=(SAME_TWICE, NO_NEGATIVE_CAM),
    ),
    "attention_rollout": Exercise(
        title=Text("Attention rollout", "注意力展開"),
        notebook="4_attention",
        points=3,
        minutes=15,
        lines=7,
        reference=explain.attention_rollout,
        plan=attention_calls,
        properties=(SAME_TWICE, ROWS_SUM_TO_ONE),
    ),
    "token_ig": Exercise(
        title=Text("Integrated gradients of tokens", "詞元的積分梯度"),
        notebook="4_attention",
        points=3,
        minutes=10,
        lines=7,
        reference=token_ig,
        plan=token_calls,
        properties=(SAME_TWICE,),
        distance=exact(0.05),  # the middle of the steps, as in the text; a finer rule is off by more
    ),
    "cosine_similarity": Exercise(
        title=Text("Cosine similarity", "餘弦相似度"),
        notebook="5_embeddings",
        points=1,
        minutes=5,
        lines=3,
        reference=explain.cosine_similarity,
        plan=vector_calls,
        properties=(SAME_TWICE, BETWEEN_ONES),
    ),
    "euclidean_distance": Exercise(
        title=Text("Euclidean distance", "歐氏距離"),
        notebook="5_embeddings",
        points=1,
        minutes=5,
        lines=2,
        reference=explain.euclidean_distance,
        plan=vector_calls,
        properties=(SAME_TWICE, NO_NEGATIVE_DISTANCE),
    ),
    "pca_projection": Exercise(
        title=Text("Projection by PCA", "以 PCA 投影"),
        notebook="5_embeddings",
        points=2,
        minutes=10,
        lines=4,
        reference=pca_projection,
        plan=cloud_calls,
        properties=(CENTRED,),
        distance=exact(align=mirrored_as),
        of_points=True,
    ),
    "randomize_layers": Exercise(
        title=Text("A model that forgets", "會遺忘的模型"),
        notebook="6_can_you_trust_it",
        points=3,
        minutes=20,
        lines=11,
        reference=randomize_layers,
        plan=forgetting_calls,
        properties=(SAME_TWICE,),
        distance=exact(align=each_by_its_size),
    ),
}
