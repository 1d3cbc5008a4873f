"""Known wrong versions of each exercise, with the sentence that names the mistake: exercise -> list."""

from ...verdict.exercise import Misconception
from .cam import GRAD_CAM
from .gradients import INTEGRATED_GRADIENTS, SALIENCY, SMOOTH_GRAD
from .language import ATTENTION_ROLLOUT, COSINE_SIMILARITY, EUCLIDEAN_DISTANCE, PCA_PROJECTION, TOKEN_IG
from .maps import FILTER_ACTIVATION, MAXIMIZE_ACTIVATION
from .perturbation import LIME_WEIGHTS, OCCLUSION
from .trust import RANDOMIZE_LAYERS

MISCONCEPTIONS: dict[str, list[Misconception]] = {
    "occlusion": OCCLUSION,
    "lime_weights": LIME_WEIGHTS,
    "saliency": SALIENCY,
    "smooth_grad": SMOOTH_GRAD,
    "integrated_gradients": INTEGRATED_GRADIENTS,
    "filter_activation": FILTER_ACTIVATION,
    "maximize_activation": MAXIMIZE_ACTIVATION,
    "grad_cam": GRAD_CAM,
    "attention_rollout": ATTENTION_ROLLOUT,
    "token_ig": TOKEN_IG,
    "cosine_similarity": COSINE_SIMILARITY,
    "euclidean_distance": EUCLIDEAN_DISTANCE,
    "pca_projection": PCA_PROJECTION,
    "randomize_layers": RANDOMIZE_LAYERS,
}
