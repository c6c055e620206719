"""Who looks at the page, and what no request may do: write from elsewhere, or bring a script."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

READS = ("GET", "HEAD")
# No inline script or style, whoever has written a name or a note.
POLICY = "; ".join(
    (
        *("default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self' data:"),
        *("connect-src 'self'", "form-action 'self'", "base-uri 'none'", "frame-ancestors 'self'"),
    )
)
SECURITY_HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
REFUSED = (
    "Expected a request of this page itself: JSON, the header x-tsad: 1, from the same origin. "
    "Received: another one. Nothing was written."
)


@dataclass(frozen=True)
class Visitor:
    """Who is logged in, and what they may do with a dataset by the rights on its DAG.

    Attributes
    ----------
    may_read, may_edit : called with a dataset's name.
    """

    name: str
    may_read: Callable[[str], bool]
    may_edit: Callable[[str], bool]


def is_own_write(headers: Headers) -> bool:
    """Whether a browser says that a request comes from a script of this page.

    Browsers say where from (`Sec-Fetch-Site`) over https and to localhost; elsewhere the origin
    has to be the host that was asked.

    >>> own = {"content-type": "application/json", "x-tsad": "1", "sec-fetch-site": "same-origin"}
    >>> is_own_write(Headers(own)), is_own_write(Headers(own | {"sec-fetch-site": "cross-site"}))
    (True, False)
    >>> is_own_write(Headers(own | {"content-type": "text/plain"}))
    False
    """
    if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        return False
    if headers.get("x-tsad") != "1":
        return False
    if site := headers.get("sec-fetch-site"):
        return site == "same-origin"
    origin, host = headers.get("origin"), headers.get("host")
    return bool(origin and host) and urlsplit(origin).netloc == host


class Guard:
    """Refuses writes from elsewhere with 403, and puts the security headers on every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers: Any = MutableHeaders(scope=message)
                headers.update(SECURITY_HEADERS)
                headers.setdefault("cache-control", "no-store")
            await send(message)

        if scope["method"] not in READS and not is_own_write(Headers(scope=scope)):
            await PlainTextResponse(REFUSED, 403)(scope, receive, guarded)
            return
        await self.app(scope, receive, guarded)
