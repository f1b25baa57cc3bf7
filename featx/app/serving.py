"""A server for one person on this machine, until Ctrl-C."""

from __future__ import annotations

import secrets
import socket
import threading
import webbrowser
from collections.abc import Callable
from dataclasses import dataclass

from featx import console
from featx.app.guard import Application, Guard
from featx.errors import MissingExtraError, UsageError

ADDRESS = "127.0.0.1"
_TOKEN_BYTES = 24
_CLOSE_S = 2  # what a request may still take once the server closes


@dataclass(frozen=True)
class ServedPlace:
    """Where a page is served.

    Parameters
    ----------
    listening : socket.socket
        On the loopback address.
    token : str
        Random, new for every server.
    """

    listening: socket.socket
    token: str

    @classmethod
    def take(cls, port: int) -> ServedPlace:
        """Take a port; 0 is any that is free.

        Raises
        ------
        UsageError
            The port is taken or not allowed.
        """
        try:
            listening = socket.create_server((ADDRESS, port))
        except OSError as error:
            raise UsageError(
                f"Port {port} cannot be used: {error.strerror or error}.",
                hint="Name another --port, or leave it out for a free one.",
            ) from None
        return cls(listening, secrets.token_urlsafe(_TOKEN_BYTES))

    @property
    def port(self) -> int:
        """The port that the server listens on."""
        return int(self.listening.getsockname()[1])

    @property
    def address(self) -> str:
        """The address of the page."""
        return f"http://{ADDRESS}:{self.port}/{self.token}/"


def require_server() -> None:
    """Raise MissingExtraError where Starlette or uvicorn is not installed."""
    try:
        import starlette
        import uvicorn
    except ImportError as error:
        raise MissingExtraError("A page on this machine", "app") from error
    del starlette, uvicorn


def serve(
    application: Application, place: ServedPlace, *, browser: bool, started: Callable[[str], None]
) -> None:
    """Serve a page until Ctrl-C or SIGTERM.

    Parameters
    ----------
    application : ASGI application
        What lies behind the token.
    place : ServedPlace
    browser : bool
        Whether to open the page in the person's browser.
    started : callable
        Given the address once the server answers there.
    """
    import uvicorn

    config = uvicorn.Config(
        Guard(application, place.token, place.port), log_level="critical", access_log=False,
        lifespan="off", ws="none", http="h11", loop="asyncio", server_header=False,
        timeout_graceful_shutdown=_CLOSE_S, proxy_headers=False,
    )  # fmt: skip
    started(place.address)
    if browser:
        threading.Thread(target=_open, args=(place.address,), daemon=True).start()
    with console.elsewhere():
        try:
            uvicorn.Server(config).run(sockets=[place.listening])
        except KeyboardInterrupt:
            pass  # how the person closes it: all that was asked for is done
        finally:
            place.listening.close()


def _open(address: str) -> None:
    """Open a page in the browser; where there is none, the address has been printed."""
    try:
        webbrowser.open(address)
    except Exception as error:
        console.detail(f"No browser could be opened: {error}")
