"""Known wrong versions of each exercise, with the sentence that names the mistake: exercise -> list."""

from ..judge import Misconception
from .gradients import INTEGRATED_GRADIENTS, SALIENCY, SMOOTH_GRAD

MISCONCEPTIONS: dict[str, list[Misconception]] = {
    "saliency": SALIENCY,
    "smooth_grad": SMOOTH_GRAD,
    "integrated_gradients": INTEGRATED_GRADIENTS,
}
