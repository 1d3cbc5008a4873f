"""What people see. The only place that normalizes for display, draws, or writes HTML; takes arrays and captions."""

from .colours import overlay
from .figures import compare, confusion_matrix, heatmap, learning_curves, pictures, save_png, superpixels
from .gallery import Item, Panel, Tile, write_gallery
from .images import save_picture
from .normalize import limits, scale, to_map

__all__ = [
    "Item",
    "Panel",
    "Tile",
    "compare",
    "confusion_matrix",
    "heatmap",
    "learning_curves",
    "limits",
    "overlay",
    "pictures",
    "save_picture",
    "save_png",
    "scale",
    "superpixels",
    "to_map",
    "write_gallery",
]
