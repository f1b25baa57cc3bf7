"""The page of `featx open`: what it can ask, and the answers."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from typing import Any

from featx.app.desk import ChangedMeanwhileError
from featx.app.pages import MOST_ITEMS, answer, application, asked, asked_rows, in_thread
from featx.app.run_desk import RunDesk
from featx.app.thumbnails import Thumbnails
from featx.app.trying import Judge
from featx.errors import UsageError
from featx.files import printable

LONGEST_NAME = 120


def open_application(name: str, desk: RunDesk, judge: Judge, thumbnails: Thumbnails) -> Any:
    """The ASGI application of a finished run; see `featx.app.pages.application`."""
    answers = _RunAnswers(desk, judge)
    words = {
        "name": printable(name), "judged_on": desk.subject.judged_on,
        "file": printable(str(desk.corrections.path)), "missing": desk.subject.missing,
    }  # fmt: skip
    routes: list[tuple[str, str, Callable[..., Any]]] = [
        ("GET", "/api/state", answers.state),
        ("GET", "/api/rows", answers.rows),
        ("GET", "/api/about/{i:int}", answers.about),
        ("GET", "/heat/{i:int}", answers.heat),
        ("GET", "/tried/{k:int}", answers.tried),
        ("GET", "/tried/{k:int}/heat", answers.heat_of_tried),
        ("POST", "/api/items", answers.items),
        ("POST", "/api/decide", answers.decide),
        ("POST", "/api/try", answers.judge),
    ]
    return application("open.html", words, desk.paths, thumbnails, routes)


class _RunAnswers:
    """One method for each thing that the page asks; what takes time runs in a thread."""

    def __init__(self, desk: RunDesk, judge: Judge) -> None:
        self._desk, self._judge = desk, judge

    async def state(self, request: Any) -> Any:
        return answer({"state": self._desk.state()})

    async def rows(self, request: Any) -> Any:
        return answer({"rows": await in_thread(self._desk.found, dict(request.query_params))})

    async def items(self, request: Any) -> Any:
        rows = asked_rows(await asked(request))[:MOST_ITEMS]
        return answer({"items": self._desk.items(rows)})

    async def about(self, request: Any) -> Any:
        return answer(await in_thread(self._judge.about, request.path_params["i"]))

    async def heat(self, request: Any) -> Any:
        return _picture(await in_thread(self._judge.heat, request.path_params["i"]))

    async def heat_of_tried(self, request: Any) -> Any:
        return _picture(await in_thread(self._judge.heat_of_tried, request.path_params["k"]))

    async def tried(self, request: Any) -> Any:
        k = request.path_params["k"]
        return _picture((await in_thread(self._judge.picture_of_tried, k), ""))

    async def decide(self, request: Any) -> Any:
        given = await asked(request)
        rows, marks = asked_rows(given), given.get("marks")
        if not isinstance(marks, list):
            raise UsageError("The request does not say what it showed.")
        decision, value = str(given.get("decision")), given.get("value")
        try:
            await in_thread(self._desk.decide, rows, decision, value, marks)
        except ChangedMeanwhileError as error:
            found = {"items": self._desk.items(error.rows), "state": self._desk.state()}
            return answer({"error": error.message, **found}, 409)
        return answer({"items": self._desk.items(rows), "state": self._desk.state()})

    async def judge(self, request: Any) -> Any:
        given = request.query_params.get("name", "")
        name = printable(unicodedata.normalize("NFC", given))[:LONGEST_NAME] or "image"
        return answer({"items": [await in_thread(self._judge.judge, await request.body(), name)]})


def _picture(found: tuple[bytes, str]) -> Any:
    """A picture, with what it shows in a header; text there is Latin-1, so it is escaped."""
    from urllib.parse import quote

    from starlette.responses import Response

    data, words = found
    headers = {"x-words": quote(words), "cache-control": "private, max-age=600"}
    return Response(data, media_type="image/webp", headers=headers)
