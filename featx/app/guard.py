"""What the server answers: requests of its own page, with its token, from this machine alone."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import unquote

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

MOST_BYTES = 1 << 26  # of a request: an image that was dropped on the page

#: Nothing is loaded from elsewhere, framed, sent elsewhere or kept by the browser.
HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(self), geolocation=(), microphone=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
_BODIES = {
    "application/json",
    "application/octet-stream",
}  # neither can a form of another site send


class Guard:
    """An ASGI application around another, which sees nothing but what it may answer.

    Parameters
    ----------
    inside : ASGI application
        Its paths are those behind the token.
    token : str
        First part of every address.
    port : int
        That the server listens on, which ``Host`` and ``Origin`` must name.
    """

    def __init__(self, inside: Application, token: str, port: int) -> None:
        self._inside, self._token = inside, token.encode()
        self._hosts = {f"127.0.0.1:{port}", f"localhost:{port}"}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request or refuse it with one sentence."""
        if scope["type"] != "http":
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008})
            return
        headers = {k.decode("latin-1").lower(): v.decode("latin-1") for k, v in scope["headers"]}
        n_hosts = sum(name.lower() == b"host" for name, _ in scope["headers"])
        first, _, rest = _raw_path(scope).removeprefix("/").partition("/")
        status, problem = self._problem(scope["method"], headers, n_hosts, first)
        if problem:
            await _refuse(send, status, problem)
            return
        inner = {**scope, "path": "/" + unquote(rest), "raw_path": b"/" + rest.encode("latin-1"),
                 "root_path": ""}  # fmt: skip
        await self._inside(inner, _bounded(receive), _with_headers(send))

    def _problem(
        self, method: str, headers: dict[str, str], n_hosts: int, token: str
    ) -> tuple[int, str]:
        """A status and why the request is refused; an empty reason where it is not."""
        host = headers.get("host", "")
        if n_hosts != 1 or host not in self._hosts:  # a name that another site made lead here
            return 403, "This server answers to its own address on this machine only."
        if not hmac.compare_digest(token.encode("latin-1", "replace"), self._token):
            return 403, "The address lacks the token that featx printed: copy it whole."
        origin = headers.get("origin")
        if origin is not None and origin != f"http://{host}":
            return 403, "Pages of other sites may not ask this server."
        if headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
            return 403, "Pages of other sites may not ask this server."
        if method not in ("GET", "HEAD", "POST"):
            return 405, "Only GET, HEAD and POST are answered."
        if method == "POST":
            if origin is None:
                return 403, "A change must come from the page itself, with its Origin."
            kind = headers.get("content-type", "").partition(";")[0].strip().lower()
            if kind not in _BODIES:
                return 415, "A change is sent as application/json."
            length = headers.get("content-length", "")
            if not length.isascii() or not length.isdigit():
                return 411, "A change says how long it is."
            if int(length) > MOST_BYTES:
                return 413, f"That is more than {MOST_BYTES >> 20} MB."
        return 200, ""


def _raw_path(scope: Scope) -> str:
    """The path as it was sent: what is escaped in it stays so until the token is known."""
    raw = scope.get("raw_path") or str(scope["path"]).encode()
    return bytes(raw).decode("latin-1")


def _bounded(receive: Receive) -> Receive:
    """The body, ended where it grows beyond what is allowed."""
    seen = 0

    async def receive_some() -> MutableMapping[str, Any]:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        return {"type": "http.disconnect"} if seen > MOST_BYTES else message

    return receive_some


def _with_headers(send: Send) -> Send:
    async def send_more(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            given = {name.lower() for name, _ in message["headers"]}
            more = {"cache-control": "no-store", **HEADERS}
            added = [(k.encode(), v.encode()) for k, v in more.items() if k.encode() not in given]
            message = {**message, "headers": [*message["headers"], *added]}
        await send(message)

    return send_more


async def _refuse(send: Send, status: int, problem: str) -> None:
    headers = {**HEADERS, "content-type": "text/plain; charset=utf-8", "cache-control": "no-store"}
    start = {"type": "http.response.start", "status": status,
             "headers": [(k.encode(), v.encode()) for k, v in headers.items()]}  # fmt: skip
    await send(start)
    await send({"type": "http.response.body", "body": f"{problem}\n".encode()})
