"""Who may ask the studio, and what its pages may do.

Covers: other sites open in the same browser (they can neither read nor ask anything: the names in Host and Origin are
looked at, so that no name of theirs can be made to point here), scripts and pictures from elsewhere, framing, sniffing,
large requests. Does not cover: other people on the same machine, who can open the same port; with `host`, anybody who
reaches it. There is no password.
"""

import ipaddress
from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..errors import UserError

LOOPBACK = ("127.0.0.1", "localhost", "::1")
POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data: blob:",
    "connect-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'none'",
}


class Guard:
    """Turns away what does not come from the studio's own pages, and puts a strict policy on every answer."""

    def __init__(self, app: ASGIApp, hosts: Collection[str] | None, embedded: bool = False):
        """hosts: the names under which the studio may be asked for, None for any. embedded: shown inside a notebook."""
        self.app, self.hosts = app, hosts
        ancestors = "http://localhost:* http://127.0.0.1:* https:" if embedded else "'none'"
        policy = {**POLICY, "frame-ancestors": ancestors}
        self.headers = {
            "content-security-policy": "; ".join(f"{key} {value}" for key, value in policy.items()),
            "x-content-type-options": "nosniff",
            "referrer-policy": "no-referrer",
            "cross-origin-opener-policy": "same-origin",
            "cross-origin-resource-policy": "same-origin",
            "permissions-policy": "camera=(self), microphone=(), geolocation=()",
            "cache-control": "no-store",
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(self.headers)
            await send(message)

        complaint = self.complaint(Headers(scope=scope))
        if complaint:
            return await JSONResponse({"error": complaint}, 403)(scope, receive, guarded)
        await self.app(scope, receive, guarded)

    def complaint(self, headers: Headers) -> str:
        """Return why a request is turned away, "" when it is not."""
        host = urlsplit(f"//{headers.get('host', '')}")
        if self.hosts is not None and (host.hostname or "") not in self.hosts:
            return f"the studio answers only under {', '.join(self.hosts)}"
        ours = headers.get("sec-fetch-site", "none") in ("same-origin", "none")
        if not ours and headers.get("sec-fetch-mode") != "navigate":  # a link from elsewhere may open the page
            return "the studio answers only its own pages"
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != host.netloc:
            return "the studio answers only its own pages"
        return ""


async def body_of(request: Request, most: int) -> bytes:
    """Return the body of a request; UserError for one of more than `most` bytes, of which no more is read."""
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > most:
            raise UserError(f"at most {most / 2**20:g} MB can be sent at once: make it smaller")
    return bytes(content)


def is_loopback(host: str) -> bool:
    """Whether a host is this machine alone."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
