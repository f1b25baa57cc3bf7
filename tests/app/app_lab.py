"""A page served inside this process, and requests to it as no browser would send them."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import uvicorn

from featx.app.desk import Desk
from featx.app.guard import Guard
from featx.app.label_page import label_application
from featx.app.serving import ServedPlace
from featx.app.thumbnails import Thumbnails
from featx.labelling import LabellingSession, LabelLog
from tests.lab import save_pixels

#: As a file may be called, and a class.
HOSTILE = "<img src=x onerror=alert(1)>"


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    data: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.data)


@dataclass
class Served:
    """A server that runs."""

    place: ServedPlace

    @property
    def own(self) -> dict[str, str]:
        """The headers that the page's own changes have."""
        host = f"127.0.0.1:{self.place.port}"
        return {"Host": host, "Origin": f"http://{host}", "Content-Type": "application/json"}

    def ask(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> Answer:
        """Send a request with the token before ``path``, which is sent as it is."""
        return self.raw(method, f"/{self.place.token}/{path}", body, headers)

    def raw(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> Answer:
        """Send a request; ``headers`` stand in the place of the page's own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.place.port, timeout=30)
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        given = self.own if headers is None else headers
        for name, value in given.items():
            connection.putheader(name, value)
        if data is not None and "Content-Length" not in given:
            connection.putheader("Content-Length", str(len(data)))
        connection.endheaders(data)
        found = connection.getresponse()
        lower = {name.lower(): value for name, value in found.getheaders()}
        answer = Answer(found.status, lower, found.read())
        connection.close()
        return answer


@contextmanager
def serving(application: Any) -> Iterator[Served]:
    """Serve in a thread, behind the guard, until the block ends."""
    place = ServedPlace.take(0)
    guard = Guard(application, place.token, place.port)
    config = uvicorn.Config(guard, log_level="critical", lifespan="off", ws="none", loop="asyncio")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [place.listening]}, daemon=True)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.005)
        yield Served(place)
    finally:
        server.should_exit = True
        thread.join()
        place.listening.close()


def draw(folder: Path, names: Sequence[str]) -> list[str]:
    """Small images, red, green and blue in turn; their paths."""
    paths = []
    rng = np.random.default_rng(0)
    for i, name in enumerate(names):
        pixels = rng.integers(0, 60, (24, 32, 3), np.uint8)
        pixels[..., i % 3] += 150
        path = folder / name
        save_pixels(path, pixels)
        paths.append(str(path))
    return paths


def labelling(folder: Path, names: Sequence[str], paths: Sequence[str]) -> LabellingSession:
    """A labelling of images whose embeddings are given: three clouds, in turn."""
    rng = np.random.default_rng(1)
    X = rng.normal(0, 0.2, (len(names), 4)).astype(np.float32)
    X[np.arange(len(names)), np.arange(len(names)) % 3] += 3
    log = LabelLog(folder / "labels.jsonl", who="tester")
    return LabellingSession(str(folder), names, paths, X, log, batch=6)


def page_of(session: LabellingSession, cache: Path) -> Any:
    """The application of a labelling."""
    return label_application(session, Desk(session), Thumbnails(cache))
