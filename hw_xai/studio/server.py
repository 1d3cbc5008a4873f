"""The studio's routes: thin, each a request read, a piece of work done in a thread, an answer written."""

import asyncio
import json
import socket
import threading
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import wraps
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from ..errors import UserError
from ..show.frame.templates import FRAME
from ..studies.pictures import told
from . import keeping, sentences
from .about import about, thumbnail
from .curves import tell_curves
from .explaining import Asked, explain, map_of, new_maps, read_method, read_methods
from .frames import gif, tell_frames
from .guard import LOOPBACK, Guard, body_of, is_loopback
from .jobs import Cancelled, Job, Stream, unwarned
from .models import Models
from .predicting import predict, regions
from .scene import OpenedPictures, Scene, read_scene
from .uploads import MOST_BYTES, MOST_REQUEST

PAGES = Path(__file__).parent / "pages"
ANSWERS = ("about", "open_dish", "open_photo", "predict", "regions", "model", "python", "look", "part")
STREAMS = ("explain", "frames", "curves", "attribute")
KEPT = {"picture": "image/png", "gif": "image/gif", "arrays": "application/octet-stream", "page": "text/html"}
KINDS = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}


class Studio:
    """Everything that the requests of all browsers share: networks, pictures, maps, threads."""

    def __init__(self, models: Models):
        self.models, self.pictures, self.maps = models, OpenedPictures(), new_maps()
        self.quick = ThreadPoolExecutor(2, "quick")  # a prediction does not wait for a map
        self.slow = ThreadPoolExecutor(4, "slow")
        self.running: set[Job] = set()

    # ------------------------------------------------------------------------------------------------------- answers

    def about(self, asked: Any) -> dict[str, Any]:
        return about(self.models, self.pictures)

    def open_dish(self, asked: Any) -> dict[str, Any]:
        return _opened(self.pictures.dish(asked.get("dish")))

    def open_photo(self, asked: Any) -> dict[str, Any]:
        return _opened(self.pictures.photo(asked.get("photo")))

    def predict(self, asked: Any) -> dict[str, Any]:
        return predict(read_scene(asked.get("scene"), self.pictures, self.models))

    def regions(self, asked: Any) -> dict[str, Any]:
        return regions(read_scene(asked.get("scene"), self.pictures, self.models))

    def model(self, asked: Any) -> dict[str, Any]:
        name = asked.get("model")
        loaded = self.models.load(name)
        return {
            "classes": loaded.classes,
            "side": loaded.size,
            "layers": self.models.layers(name),
            "blocks": self.models.blocks(name),
        }

    def explain(self, asked: Any) -> Callable[[Job], None]:
        scene = read_scene(asked.get("scene"), self.pictures, self.models)
        methods = read_methods(asked.get("methods"), scene, self.models)
        return lambda job: explain(job, scene, methods, self.maps)

    def frames(self, asked: Any) -> Callable[[Job], None]:
        scene, method = self._one(asked)
        return lambda job: tell_frames(job, scene, method, self.maps)

    def curves(self, asked: Any) -> Callable[[Job], None]:
        scene, method = self._one(asked)
        return lambda job: tell_curves(job, scene, method, self.maps)

    def look(self, asked: Any) -> dict[str, Any]:
        bert = self.models.bert()
        with sentences.one_at_a_time:
            return sentences.look(bert, asked)

    def part(self, asked: Any) -> dict[str, Any]:
        bert = self.models.bert()
        with sentences.one_at_a_time:
            return sentences.part(bert, asked)

    def attribute(self, asked: Any) -> Callable[[Job], None]:
        bert = self.models.bert()
        return lambda job: sentences.attribute(job, bert, asked)

    # ------------------------------------------------------------------------------------------------ what is kept

    def python(self, asked: Any) -> dict[str, str]:
        scene, method = self._one(asked)
        return {"python": keeping.python_of(scene, method, self.models)}

    def picture(self, job: Job, asked: Any) -> bytes:
        scene, method = self._one(asked)
        return keeping.picture(scene, map_of(job, scene, method, self.maps))

    def gif(self, job: Job, asked: Any) -> bytes:
        return gif(job, *self._one(asked), self.maps)

    def arrays(self, job: Job, asked: Any) -> bytes:
        scene = read_scene(asked.get("scene"), self.pictures, self.models)
        return keeping.arrays(job, scene, read_methods(asked.get("methods"), scene, self.models), self.maps)

    def page(self, job: Job, asked: Any) -> bytes:
        several = asked.get("scenes")
        if not isinstance(several, list) or not 1 <= len(several) <= 2:
            raise UserError("the page must show one scene or two")
        scenes = [read_scene(one, self.pictures, self.models) for one in several]
        return keeping.page(job, scenes, read_methods(asked.get("methods"), scenes[0], self.models), self.maps)

    def _one(self, asked: Any) -> tuple[Scene, Asked]:
        scene = read_scene(asked.get("scene"), self.pictures, self.models)
        return scene, read_method(asked.get("method"), scene, self.models)

    def warm(self) -> None:
        """Do once what would make the first answers slow."""
        scene = read_scene({"picture": self.pictures.dish(0).id}, self.pictures, self.models)
        job = Job(lambda event: None)
        with unwarned():
            predict(scene)
            regions(scene)
            explain(job, scene, read_methods([{"name": "saliency"}], scene, self.models), self.maps)

    # -------------------------------------------------------------------------------------------------------- routes

    def app(self, hosts: tuple[str, ...] | None = LOOPBACK, embedded: bool = False) -> Guard:
        """Return the app. hosts, embedded: as for `Guard`."""
        answers = {name: getattr(self, name) for name in ANSWERS}
        streams = {name: getattr(self, name) for name in STREAMS}
        kept = {name: getattr(self, name) for name in KEPT}
        routes = [
            Route("/", _file(PAGES / "index.html")),
            Route("/frame.css", _file(FRAME / "page.css")),
            *(Route(f"/{path.name}", _file(path)) for path in sorted(PAGES.iterdir()) if path.suffix in KINDS),
            Route("/api/dish/{number:int}", self._thumbnail("dish")),
            Route("/api/photo/{number:int}", self._thumbnail("photo")),
            Route("/api/picture/{id}", _in_sentences(self._shown)),
            Route("/api/upload", _in_sentences(self._upload), methods=["POST"]),
            *(Route(f"/api/{name}", self._answer(work), methods=["POST"]) for name, work in answers.items()),
            *(Route(f"/api/{name}", self._stream(work), methods=["POST"]) for name, work in streams.items()),
            *(Route(f"/api/{name}", self._file_of(work, KEPT[name]), methods=["POST"]) for name, work in kept.items()),
        ]
        return Guard(Starlette(routes=routes, exception_handlers={Exception: _broken, 404: _missing}), hosts, embedded)

    def _answer(self, work: Callable[[Any], Mapping[str, Any]]) -> Callable:
        @_in_sentences
        async def answer(request: Request) -> Response:
            asked = _object(await body_of(request, MOST_REQUEST))
            return JSONResponse(await self._in(self.quick, work, asked))

        return answer

    def _stream(self, begin: Callable[[Any], Callable[[Job], None]]) -> Callable:
        @_in_sentences
        async def stream(request: Request) -> Any:
            asked = _object(await body_of(request, MOST_REQUEST))
            return Stream(await self._in(self.quick, begin, asked), self.slow, self.running)

        return stream

    def _file_of(self, make: Callable[[Job, Any], bytes], kind: str) -> Callable:
        """Make a file; the work ends when the browser goes away."""

        @_in_sentences
        async def file(request: Request) -> Response:
            asked = _object(await body_of(request, MOST_REQUEST))
            job = Job(lambda event: None)
            work = asyncio.ensure_future(self._in(self.slow, _until_cancelled, make, job, asked))
            while not work.done():
                await asyncio.wait([work], timeout=0.5)
                if not work.done() and await request.is_disconnected():
                    job.cancelled.set()
            return Response(await work, media_type=kind)

        return file

    async def _upload(self, request: Request) -> Response:
        content = await body_of(request, MOST_BYTES)
        name = request.headers.get("x-name", "photo")[:200]
        return JSONResponse(_opened(await self._in(self.quick, self.pictures.upload, content, name)))

    async def _shown(self, request: Request) -> Response:
        picture = self.pictures.open(request.path_params["id"])
        return Response(await self._in(self.quick, thumbnail, picture.image), media_type="image/webp")

    def _thumbnail(self, kind: str) -> Callable:
        def small(number: int) -> bytes:
            return thumbnail(self.pictures.shipped(kind, number), 96)

        @_in_sentences
        async def shown(request: Request) -> Response:
            content = await self._in(self.quick, small, request.path_params["number"])
            return Response(content, media_type="image/webp")

        return shown

    async def _in(self, pool: ThreadPoolExecutor, work: Callable, *arguments: Any) -> Any:
        def quietly() -> Any:
            with unwarned():
                return work(*arguments)

        return await asyncio.get_running_loop().run_in_executor(pool, quietly)


def _until_cancelled(make: Callable[[Job, Any], bytes], job: Job, asked: Any) -> bytes:
    try:
        return make(job, asked)
    except Cancelled:
        return b""


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        asked = json.loads(body or b"{}")
    except (ValueError, RecursionError):
        raise UserError("the request must be JSON") from None
    if not isinstance(asked, dict):
        raise UserError("the request must be an object")
    return asked


def _opened(picture: Any) -> dict[str, Any]:
    width, height = picture.image.size
    return {"id": picture.id, "name": picture.name, "width": width, "height": height, "true_class": picture.true_class}


def _file(path: Path) -> Callable:
    async def file(request: Request) -> Response:
        return FileResponse(path, media_type=KINDS[path.suffix])

    return file


def _in_sentences(work: Callable[[Request], Awaitable[Any]]) -> Callable[[Request], Awaitable[Any]]:
    """Answer a request by a piece of work, or by a sentence where that raises."""

    @wraps(work)
    async def answered(request: Request) -> Any:
        try:
            return await work(request)
        except Exception as error:
            return _said(error)

    return answered


def _said(error: Exception) -> Response:
    """Return an error as a sentence for the page: 400 for a mistake, 500 for what broke."""
    return JSONResponse({"error": told(error)}, 400 if isinstance(error, ValueError) else 500)


async def _missing(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": "there is nothing here"}, 404)


async def _broken(request: Request, error: Exception) -> Response:
    return _said(error)


# ------------------------------------------------------------------------------------------------------------- serving


class Server:
    """A studio that listens on a port, in this thread (`run`) or in one of its own (`start`)."""

    def __init__(self, studio: Studio, host: str = "127.0.0.1", port: int = 0, embedded: bool = False):
        import uvicorn  # late: the page in a test needs no server

        self.studio, self.host = studio, host
        self.socket = _bound(host, port)
        self.port: int = self.socket.getsockname()[1]
        hosts = LOOPBACK if is_loopback(host) and not embedded else None
        config = uvicorn.Config(
            studio.app(hosts, embedded),
            log_level="warning",
            access_log=False,
            ws="none",
            lifespan="off",
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=30,
            limit_concurrency=100,
        )
        self.server = uvicorn.Server(config)

    @property
    def url(self) -> str:
        """Where a browser of this machine finds it."""
        host = "127.0.0.1" if self.host in ("0.0.0.0", "::") else self.host
        return f"http://[{host}]:{self.port}/" if ":" in host else f"http://{host}:{self.port}/"

    def run(self) -> None:
        """Answer until Ctrl-C."""
        threading.Thread(target=self.studio.warm, daemon=True).start()
        self.server.run(sockets=[self.socket])

    def start(self) -> "Server":
        """Answer in a thread of its own."""
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [self.socket]}, daemon=True)
        self.thread.start()
        return self

    def stop(self) -> None:
        """End the thread of `start`."""
        self.server.should_exit = True
        self.thread.join(10)
        self.socket.close()


def _bound(host: str, port: int) -> socket.socket:
    try:
        kind, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        found = socket.socket(kind)
    except OSError:
        raise UserError(f"`host` must be an address of this machine, got {host!r}") from None
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind(address)
        found.listen(100)  # from now on a browser waits for an answer instead of being told that nobody is there
    except OSError as error:
        found.close()
        cause = error.strerror or error
        raise UserError(
            f"`port` must be free on {host}, but {port} is not ({cause}): give another, 0 for any"
        ) from None
    return found
