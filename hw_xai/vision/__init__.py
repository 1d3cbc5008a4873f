"""Photos of food and the networks that classify them: the food-11 data, the painter of dishes, FoodNet and others."""

from . import networks as models  # noqa: F401 (its earlier name, under which scripts still import it)
from .dishes.synthetic import SyntheticFood11, draw_dish
from .food11.layout import CLASSES, Food11, find_photos
from .networks import Classifier, FoodNet, architectures, build, load, save
from .preprocess import preprocessing
from .reading import read_photo

__all__ = [
    "CLASSES",
    "Classifier",
    "Food11",
    "FoodNet",
    "SyntheticFood11",
    "architectures",
    "build",
    "draw_dish",
    "find_photos",
    "load",
    "preprocessing",
    "read_photo",
    "save",
]
