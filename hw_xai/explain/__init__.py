"""Explanations of any model that maps a batch (N, ...) to scores (N, C): `f(model, inputs, target=None, *, options)`.

Knows neither food nor BERT, reads no file and draws nothing: tensors in, tensors out, the model as it was.
"""

from .attention import attention_maps, attention_rollout
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
from .surrogate import lime, lime_surrogates, superpixels

__all__ = [
    "METHODS",
    "attention_maps",
    "attention_rollout",
    "completeness_gap",
    "cosine_similarity",
    "euclidean_distance",
    "filter_activation",
    "gradient",
    "guided_backprop",
    "input_x_gradient",
    "integrated_gradients",
    "last_convolution",
    "lime",
    "lime_surrogates",
    "maximize_activation",
    "project",
    "record_activations",
    "saliency",
    "sense_report",
    "smooth_grad",
    "superpixels",
]
