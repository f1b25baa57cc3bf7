"""The page of `featx label`: what it can ask, and the answers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from featx.app.desk import ChangedMeanwhileError, Desk
from featx.app.pages import MOST_ITEMS, answer, application, asked, asked_rows, in_thread
from featx.app.thumbnails import Thumbnails
from featx.console import counted
from featx.errors import UsageError
from featx.files import printable
from featx.shell import as_argument, shell_line

if TYPE_CHECKING:
    from featx.labelling import LabellingSession


def label_application(session: LabellingSession, desk: Desk, thumbnails: Thumbnails) -> Any:
    """The ASGI application of a labelling; see `featx.app.pages.application`."""
    log = session.log.path
    assert log is not None, "a page writes its labels to a file"
    answers = _LabelAnswers(session, desk, log)
    words = {
        "name": printable(Path(session.folder).absolute().name or session.folder),
        "folder": printable(session.folder),
        "log": printable(_near(log)),
    }
    routes: list[tuple[str, str, Callable[..., Any]]] = [
        ("GET", "/api/state", answers.state),
        ("GET", "/api/rows", answers.rows),
        ("POST", "/api/items", answers.items),
        ("POST", "/api/next", answers.next_batch),
        ("POST", "/api/similar", answers.similar),
        ("POST", "/api/decide", answers.decide),
        ("POST", "/api/undo", answers.undo),
        ("POST", "/api/export", answers.export),
    ]
    return application("label.html", words, session.paths, thumbnails, routes)


def _near(path: Path) -> str:
    """A path as short as a person here would write it."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


class _LabelAnswers:
    """One method for each thing that the page asks; what takes time runs in a thread."""

    def __init__(self, session: LabellingSession, desk: Desk, log: Path) -> None:
        self._session, self._desk, self._log = session, desk, log

    async def state(self, request: Any) -> Any:
        revision = request.query_params.get("rev", "")
        return answer(await in_thread(self._state, revision))

    def _state(self, revision: str) -> dict[str, Any]:
        desk = self._desk
        if revision == desk.revision():
            return {}
        return {"state": desk.state(), "items": desk.items(desk.changed_since(revision))}

    async def rows(self, request: Any) -> Any:
        query = request.query_params
        found = await in_thread(self._desk.rows, query.get("show", "all"), query.get("named", ""))
        return answer({"rows": found})

    async def export(self, request: Any) -> Any:
        path = self._log.with_suffix(".csv")
        n = await in_thread(lambda: self._session.export(path, overwrite=True))
        return answer({
            "said": f"{counted(n, 'label')} written to {printable(str(path))}",
            "command": shell_line("featx", "fit", as_argument(path)),
        })  # fmt: skip

    async def items(self, request: Any) -> Any:
        rows = asked_rows(await asked(request))[:MOST_ITEMS]
        return answer({"items": self._desk.items(rows)})

    async def next_batch(self, request: Any) -> Any:
        return answer(await in_thread(self._listed, self._desk.next_batch))

    async def similar(self, request: Any) -> Any:
        rows = asked_rows(await asked(request))
        return answer(await in_thread(self._listed, lambda: self._desk.similar(rows)))

    def _listed(self, find: Callable[[], list[int]]) -> dict[str, Any]:
        rows = find()
        return {"rows": rows, "items": self._desk.items(rows), "state": self._desk.state()}

    async def decide(self, request: Any) -> Any:
        given = await asked(request)
        rows, marks = asked_rows(given), given.get("marks")
        if not isinstance(marks, list):
            raise UsageError("The request does not say what it showed.")
        try:
            step = await in_thread(
                self._desk.decide, rows, str(given.get("decision")), given.get("label"), marks
            )
        except ChangedMeanwhileError as error:
            found = {"items": self._desk.items(error.rows), "state": self._desk.state()}
            return answer({"error": error.message, **found}, 409)
        self._desk.measure_if_due()
        return answer({"step": step, "items": self._desk.items(rows), "state": self._desk.state()})

    async def undo(self, request: Any) -> Any:
        step = (await asked(request)).get("step")
        rows = await in_thread(self._desk.undo, step if isinstance(step, str) else None)
        said = f"Undone for {counted(len(rows), 'image')}."
        return answer({
            "items": self._desk.items(rows), "state": self._desk.state(),
            "said": said if rows else "There is nothing to undo.",
        })  # fmt: skip
