"""Explanations of any model that maps a batch (N, ...) to scores (N, C): `f(model, inputs, target=None, *, options)`.

Knows no subject and no particular network, reads no file and draws nothing: tensors in, tensors out.
"""

from ..core.layers import last_convolution
from ..core.maps import last_map
from .ascent import deep_dream, maximize_activation
from .attending import attention_relevance, rollout
from .attention import attention_maps, attention_rollout
from .cam import cam, grad_cam, grad_cam_plus_plus, guided_grad_cam, layer_cam
from .catalog import METHODS
from .concepts import ConceptReport, tcav
from .deep_lift import deep_lift
from .embeddings import cosine_similarity, euclidean_distance
from .features import extreme_images, filter_activation, layer_shapes, mean_activations, record_activations
from .gradients import (
    completeness_gap,
    gradient,
    guided_backprop,
    input_x_gradient,
    integrated_gradients,
    saliency,
    smooth_grad,
)
from .learned_cam import LearnedCAM, lcam
from .lrp import lrp
from .masked_cam import ada_sise, block_layers, score_cam, sidu, sise
from .perturbation import occlusion, rise
from .projection import project
from .scores import BoxScores, SegmentScores, SimilarityScores
from .separation import sense_report
from .shapley import ShapleyValues, shapley, shapley_values
from .surrogate import LimeReport, Surrogate, lime, lime_report, lime_surrogates, superpixels

__all__ = [
    "METHODS",
    "BoxScores",
    "ConceptReport",
    "LearnedCAM",
    "LimeReport",
    "SegmentScores",
    "ShapleyValues",
    "SimilarityScores",
    "Surrogate",
    "ada_sise",
    "attention_maps",
    "attention_relevance",
    "attention_rollout",
    "block_layers",
    "cam",
    "completeness_gap",
    "cosine_similarity",
    "deep_dream",
    "deep_lift",
    "euclidean_distance",
    "extreme_images",
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
    "layer_cam",
    "layer_shapes",
    "lcam",
    "lime",
    "lime_report",
    "lime_surrogates",
    "lrp",
    "maximize_activation",
    "mean_activations",
    "occlusion",
    "project",
    "record_activations",
    "rise",
    "rollout",
    "saliency",
    "score_cam",
    "sense_report",
    "shapley",
    "shapley_values",
    "sidu",
    "sise",
    "smooth_grad",
    "superpixels",
    "tcav",
]
