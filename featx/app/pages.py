"""What every page of this machine's server has: its document, scripts, pictures and answers."""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from featx import console
from featx.app.thumbnails import LARGE_PX, SMALL_PX, Thumbnails
from featx.errors import DecodeError, FeatxError, UsageError
from featx.files import printable
from featx.system_errors import explain

FOLDER = Path(__file__).parent
MOST_ITEMS = 1000  # that one request is answered with
_KINDS = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_KEEP_PICTURES = "private, max-age=3600"


def answer(document: Any, status: int = 200) -> Any:
    """A response in JSON; what is not UTF-8 in it becomes escapes."""
    from starlette.responses import Response

    data = json.dumps(document, allow_nan=False).encode("ascii")
    return Response(data, status, media_type="application/json")


def refused(error: FeatxError, status: int = 400) -> Any:
    """A response with what was wrong."""
    return answer({"error": printable(str(error))}, status)


async def asked(request: Any) -> dict[str, Any]:
    """The JSON object of a request.

    Raises
    ------
    UsageError
        It is not one.
    """
    try:
        found = json.loads(await request.body())
        json.dumps(found, ensure_ascii=False).encode()  # halves of characters are no text
    except (ValueError, RecursionError):
        raise UsageError("The request is not JSON.") from None
    if not isinstance(found, dict):
        raise UsageError("The request is not a JSON object.")
    return found


def asked_rows(given: dict[str, Any]) -> list[int]:
    """The numbers of images in a request; UsageError where it has none."""
    rows = given.get("rows")
    if not isinstance(rows, list) or not all(type(row) is int for row in rows):
        raise UsageError("The request does not say which images.")
    return rows


async def in_thread(function: Callable[..., Any], *arguments: Any) -> Any:
    """What a function returns that takes time; the server answers others meanwhile."""
    from starlette.concurrency import run_in_threadpool

    return await run_in_threadpool(function, *arguments)


def application(
    template: str,
    words: dict[str, Any],
    paths: Sequence[str],
    thumbnails: Thumbnails,
    routes: Sequence[tuple[str, str, Callable[..., Any]]],
) -> Any:
    """The application of one page.

    Parameters
    ----------
    template : str
        File of the page below ``templates``.
    words : dict
        What the template shows.
    paths : sequence of str
        Files of the images; the page asks for them by their number and can name no other file.
    thumbnails : Thumbnails
    routes : sequence of (method, path, function of a request)
        What the page can ask beside it.
    """
    from starlette.applications import Starlette
    from starlette.routing import Route

    common = _CommonAnswers(template, words, paths, thumbnails)
    return Starlette(
        routes=[
            Route("/", common.page),
            Route("/static/{name}", common.static),
            Route("/picture/{size}/{row:int}", common.picture),
            *(Route(path, _said(f), methods=[method]) for method, path, f in routes),
        ]
    )


class _CommonAnswers:
    """The document, its files, and the pictures of the images."""

    def __init__(
        self, template: str, words: dict[str, Any], paths: Sequence[str], thumbnails: Thumbnails
    ) -> None:
        self._template, self._words = template, words
        self._paths, self._thumbnails = paths, thumbnails

    async def page(self, request: Any) -> Any:
        from starlette.responses import Response

        return Response(_template(self._template).render(**self._words), media_type="text/html")

    async def static(self, request: Any) -> Any:
        from starlette.responses import Response

        name = request.path_params["name"]
        if name not in _static():
            return refused(UsageError("There is no such file."), 404)
        return Response(_static()[name], media_type=_KINDS[Path(name).suffix])

    async def picture(self, request: Any) -> Any:
        from starlette.responses import Response

        row, large = request.path_params["row"], request.path_params["size"] == "large"
        if row >= len(self._paths):
            return refused(UsageError("There is no such image."), 404)
        try:
            size_px = LARGE_PX if large else SMALL_PX
            found = await in_thread(self._thumbnails.picture, self._paths[row], size_px)
        except DecodeError as error:
            return refused(error, 404)
        headers = {"cache-control": _KEEP_PICTURES}
        return Response(found.data, media_type="image/webp", headers=headers)


def _said(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of a request whose errors are answers."""

    async def called(request: Any) -> Any:
        try:
            return await function(request)
        except FeatxError as error:
            return refused(error)
        except OSError as error:  # such as a full disk: nothing of the request was done
            return refused(FeatxError(explain(error) or str(error)), 500)
        except Exception as error:  # the page and its other requests go on
            console.detail("".join(traceback.format_exception(error)))
            words = f"{type(error).__name__}: {error}. Nothing was changed; -v shows where."
            return refused(FeatxError(words), 500)

    return called


@cache
def _template(name: str) -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(FOLDER / "templates"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    return environment.get_template(name)


@cache
def _static() -> dict[str, bytes]:
    """The scripts and styles by name: nothing else lies behind ``static/``."""
    return {
        path.name: path.read_bytes()
        for path in (FOLDER / "static").iterdir()
        if path.suffix in _KINDS
    }
