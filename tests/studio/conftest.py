"""A studio that listens, and a client that asks it as a browser does."""

import http.client
import io
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from PIL import Image

from hw_xai.studio.models import Models
from hw_xai.studio.server import Server, Studio
from hw_xai.vision.dishes.synthetic import draw_dish

MODEL = "foodnet-synthetic"


class Client:
    """One browser: asks, reads streams, uploads."""

    def __init__(self, server: Server):
        self.server, self.studio = server, server.studio

    def request(self, path: str, body: bytes | None = None, method: str | None = None, **headers: str):
        """Return (status, headers, body)."""
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=300)
        try:
            sent = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method or ("GET" if body is None else "POST"), path, body, sent)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def ask(self, name: str, **body: Any) -> Any:
        """Return the answer to a question; the sentence under "error" where there is one."""
        return json.loads(self.request(f"/api/{name}", json.dumps(body).encode())[2])

    def body(self, **asked: Any) -> bytes:
        return json.dumps(asked).encode()

    def stream(self, name: str, **body: Any) -> list[dict]:
        """Return all events of a stream."""
        content = self.request(f"/api/{name}", json.dumps(body).encode())[2]
        return [json.loads(line) for line in content.splitlines()]

    def upload(self, image: Image.Image | bytes, name: str = "lunch.png") -> Any:
        if isinstance(image, Image.Image):
            stream = io.BytesIO()
            image.save(stream, "PNG")
            image = stream.getvalue()
        return json.loads(self.request("/api/upload", image, X_Name=name)[2])

    def photo(self, number: int = 0) -> str:
        return self.ask("open_photo", photo=number)["id"]

    def dish(self, number: int = 9) -> str:
        return self.ask("open_dish", dish=number)["id"]


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    server = Server(Studio(Models([MODEL], "built-in", "cpu"))).start()
    yield server
    server.stop()


@pytest.fixture
def client(server) -> Client:
    return Client(server)


@pytest.fixture(scope="session")
def photo() -> Image.Image:
    return Image.fromarray(draw_dish(9, 160, seed=5).image).crop((0, 0, 160, 120))


def bits(mask: np.ndarray) -> str:
    """Return a mask as a page sends it."""
    import base64

    return base64.b64encode(np.packbits(mask.ravel()).tobytes()).decode()


@pytest.fixture(scope="session")
def as_bits():
    return bits
