"""Known wrong versions of each exercise, with the sentence that names the mistake: exercise -> list."""

from ..judge import Misconception
from .gradients import INTEGRATED_GRADIENTS, SALIENCY, SMOOTH_GRAD
from .language import ATTENTION_ROLLOUT, COSINE_SIMILARITY, EUCLIDEAN_DISTANCE, PCA_PROJECTION, TOKEN_IG

MISCONCEPTIONS: dict[str, list[Misconception]] = {
    "saliency": SALIENCY,
    "smooth_grad": SMOOTH_GRAD,
    "integrated_gradients": INTEGRATED_GRADIENTS,
    "attention_rollout": ATTENTION_ROLLOUT,
    "token_ig": TOKEN_IG,
    "cosine_similarity": COSINE_SIMILARITY,
    "euclidean_distance": EUCLIDEAN_DISTANCE,
    "pca_projection": PCA_PROJECTION,
}
