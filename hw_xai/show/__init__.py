"""What people see. The only place that normalizes for display, draws, or writes HTML; takes arrays and captions."""

from .figures.pictures import compare, confusion_matrix, heatmap, learning_curves, pictures, save_png, superpixels
from .frame.colours import overlay
from .frame.images import save_picture
from .frame.normalize import limits, scale, to_map
from .pages.gallery.page import Item, Panel, Tile, write_gallery

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
