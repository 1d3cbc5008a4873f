"""The studio: a local web app in which explanations answer while one paints, types and moves sliders.

    hw-xai studio                                # in a browser
    from hw_xai.studio import photo, sentence    # the same panels inside a notebook

Needs the extra `studio`. Nothing here knows a flag of the command line; what is computed lies in the other rooms.
"""

from typing import Any


def photo(path: Any = None, *, model: Any = "foodnet-photos", device: str = "auto", height: int = 900) -> Any:
    """Show the panels of a photo below a notebook's cell: a path, a PIL image, or None for the drawn dishes."""
    from .notebook import photo_frame  # late: the extra studio

    return photo_frame(path, model, device, height)


def sentence(text: str = "", *, model: str = "built-in", height: int = 900) -> Any:
    """Show the panels of a sentence below a notebook's cell."""
    from .notebook import sentence_frame  # late: the extra studio

    return sentence_frame(text, model, height)


__all__ = ["photo", "sentence"]
