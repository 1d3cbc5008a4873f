"""hw_xai: explain a food-11 CNN and a BERT, and learn whether the explanation is any good."""

__version__ = "0.1.0"
