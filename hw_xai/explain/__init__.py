"""Explanations of any model that maps a batch (N, ...) to scores (N, C): `f(model, inputs, target=None, *, options)`.

Knows neither food nor BERT, reads no file and draws nothing: tensors in, tensors out, the model as it was.
"""

from .attention import attention_maps, attention_rollout
from .cam import cam, grad_cam, grad_cam_plus_plus, guided_grad_cam, last_map
from .catalog import METHODS
from .contract import last_convolution
from .embeddings import cosine_similarity, euclidean_distance, project, sense_report
from .features import filter_activation, maximize_activation, record_activations
from .gradients import (
    completeness_gap,
    gradient,
    guided_backprop,
    input_x_gradient,
    integrated_gradients,
    saliency,
    smooth_grad,
)
from .masked_cam import ada_sise, block_layers, score_cam, sidu, sise
from .perturbation import ShapleyValues, occlusion, rise, shapley, shapley_values
from .surrogate import lime, lime_surrogates, superpixels

__all__ = [
    "METHODS",
    "ShapleyValues",
    "ada_sise",
    "attention_maps",
    "attention_rollout",
    "block_layers",
    "cam",
    "completeness_gap",
    "cosine_similarity",
    "euclidean_distance",
    "filter_activation",
    "grad_cam",
    "grad_cam_plus_plus",
    "gradient",
    "guided_backprop",
    "guided_grad_cam",
    "input_x_gradient",
    "integrated_gradients",
    "last_convolution",
    "last_map",
    "lime",
    "lime_surrogates",
    "maximize_activation",
    "occlusion",
    "project",
    "record_activations",
    "rise",
    "saliency",
    "score_cam",
    "sense_report",
    "shapley",
    "shapley_values",
    "sidu",
    "sise",
    "smooth_grad",
    "superpixels",
]
