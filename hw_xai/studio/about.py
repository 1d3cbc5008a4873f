"""What a page must know before it asks: the networks, the methods with their controls, the colours, the limits."""

from typing import Any

from PIL import Image

from ..language.attribution import METHODS as TOKEN_METHODS
from ..show.frame.colours import NIGHT, PAPER, table
from ..show.frame.images import encoded
from ..studies.pictures import at_most
from ..studies.tokens import TITLES
from ..vision.food11.layout import CLASSES, target_of
from .controls import controls_of
from .explaining import LOCAL
from .frames import has_frames
from .models import Models
from .scene import SHOWN_SIDE, OpenedPictures
from .uploads import FILLS, MOST_BYTES, MOST_SIDE


def about(models: Models, pictures: OpenedPictures) -> dict[str, Any]:
    """Return all that a page is made from."""
    return {
        "models": models.names,
        "methods": [
            {
                "name": name,
                "title": method.title,
                "signed": method.signed,
                "approach": method.approach,
                "use": method.use,
                "paper": method.paper,
                "frames": has_frames(name),
                "controls": [vars(control) for control in controls_of(method)],
            }
            for name, method in LOCAL.items()
        ],
        "token_methods": [{"name": name, "title": TITLES[name][0], "use": TITLES[name][1]} for name in TOKEN_METHODS],
        "fills": list(FILLS),
        "shipped": {
            "dish": [CLASSES[target] for target in pictures.dishes.targets],
            "photo": [CLASSES[target_of(path)] for path in pictures.photos],
        },
        "most_bytes": MOST_BYTES,
        "most_side": MOST_SIDE,
        "tables": {"signed": table(True).tolist(), "unsigned": table(False).tolist(), "paper": PAPER, "night": NIGHT},
    }


def thumbnail(image: Image.Image, side: int = SHOWN_SIDE) -> bytes:
    """Return a picture as a page shows it, its longer side at most `side` pixels, as WebP."""
    return encoded(at_most(image, side), "WEBP", quality=88)
