"""The panels of the studio below a notebook's cell: a studio in this process, shown in a frame."""

import atexit
import html
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

from PIL import Image

from ..errors import UserError
from ..vision.reading import read_photo
from .models import Models
from .server import Server, Studio

_open: dict[tuple[str, str, str], Server] = {}  # by photo network, language network, device


class Frame:
    """A frame that a notebook shows; `url` opens it in a tab of its own."""

    def __init__(self, server: Server, fragment: str, height: int):
        self.server, self.fragment, self.height = server, fragment, height

    @property
    def url(self) -> str:
        """Where it can be opened by itself, on this machine."""
        return f"{self.server.url}#{self.fragment}"

    def _repr_html_(self) -> str:
        source = html.escape(self.url, quote=True)
        return f'<iframe src="{source}" width="100%" height="{self.height}" style="border: 0" allow="camera"></iframe>'

    def _ipython_display_(self) -> None:
        if "google.colab" in sys.modules:  # the machine is elsewhere: Colab passes the port on
            from google.colab import output  # late: there only

            output.serve_kernel_port_as_iframe(self.server.port, path=f"/#{self.fragment}", height=str(self.height))
            return
        from IPython.display import HTML, display  # late: the notebook brings it

        display(HTML(self._repr_html_()))


def photo_frame(path: Any, model: str, device: str, height: int) -> Frame:
    """Return the panels of a photo: a path, a PIL image, or None for the drawn dishes."""
    server = _server(model, "built-in", device)
    if path is None:
        return Frame(server, "photo", height)
    image = path.convert("RGB") if isinstance(path, Image.Image) else read_photo(path)
    name = "photo" if isinstance(path, Image.Image) else Path(path).name
    return Frame(server, f"picture={server.studio.pictures.keep(image, name).id}", height)


def sentence_frame(text: str, model: str, height: int) -> Frame:
    """Return the panels of a sentence."""
    if not isinstance(text, str):
        raise UserError(f"`text` must be a sentence, got a {type(text).__name__}")
    return Frame(_server("foodnet-photos", model, "auto"), f"sentence={quote(text)}", height)


def _server(model: str, language: str, device: str) -> Server:
    """Return the studio of these networks, which is started once and ends with the notebook."""
    key = (model, language, device)
    if key not in _open:
        _open[key] = Server(Studio(Models([model], language, device)), embedded=True).start()
        atexit.register(_open[key].stop)
    return _open[key]
