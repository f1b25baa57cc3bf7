"""`featx label`: a folder of images, labelled in a page on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from featx import console
from featx.app.desk import Desk
from featx.app.label_page import label_application
from featx.app.serving import ServedPlace, require_server, serve
from featx.app.thumbnails import Thumbnails
from featx.config import ExtractConfig, LabelConfig
from featx.files import printable
from featx.formats import find_writer
from featx.labelling import LabellingSession
from featx.labelling.exchange import FOREIGN, MANIFEST
from featx.outputs import Output, claimed
from featx.shell import as_argument, shell_line
from featx.store import cache_folder


def label_folder(config: LabelConfig, extract: ExtractConfig) -> dict[str, Any]:
    """Embed a folder as far as the cache lacks it, and serve its page until Ctrl-C.

    Parameters
    ----------
    config : LabelConfig
    extract : ExtractConfig

    Returns
    -------
    dict
        ``folder``, ``log``, ``images``, ``labelled``, ``classes`` (labelled images of each) and
        ``export``, the manifest that was written, or None.

    Raises
    ------
    MissingExtraError
        The page needs the extra ``app``.
    UsageError
        The port is taken; else see `featx.labelling.LabellingSession.open`.
    """
    if config.export is not None:
        with claimed([_export(config, config.export)]):  # refused now rather than at the end
            pass
    place = None
    if config.page:
        require_server()
        place = ServedPlace.take(
            config.port
        )  # before the work, which would else be done for nothing
    session = LabellingSession.open(
        config.folder, log=config.log, extract=extract, seed=config.seed,
        random_share=config.random_share, batch=config.batch, enough=config.enough,
    )  # fmt: skip
    for source in config.import_from:
        _import(session, source)
    if place is not None:
        thumbnails = Thumbnails(cache_folder(extract.cache) / "thumbnails")
        application = label_application(session, Desk(session), thumbnails)
        serve(application, place, browser=config.browser, started=_tell)
    if config.export is not None:
        session.export(config.export, overwrite=config.overwrite)
    return _ended(session, config)


def _export(config: LabelConfig, path: str) -> Output:
    kind = FOREIGN.get(Path(path).suffix.lower())
    if kind is None:
        find_writer(path)
    return Output(path, "--export", kind or MANIFEST, config.overwrite)


def _import(session: LabellingSession, source: str) -> None:
    found = session.import_labels(source)
    given = [console.counted(len(found.labels), "label")]
    for names, words in ((found.excluded, "excluded"), (found.unsure, "cannot tell")):
        if names:
            given.append(f"{console.counted(len(names), 'image')} {words}")
    shown = printable(source)
    console.log(f"Imported from '{shown}': {', '.join(given)}.")
    if found.unknown:
        first = printable(found.unknown[0])
        console.warn(
            f"{console.counted(len(found.unknown), 'name')} in '{shown}' could not be matched to "
            f"one image of the folder, such as '{first}'"
        )


def _tell(address: str) -> None:
    console.tell(f"Labelling page: {address}")
    console.log("Every decision is saved as it is made. Ctrl-C closes the page.")


def _ended(session: LabellingSession, config: LabelConfig) -> dict[str, Any]:
    """What there is now, said and given back."""
    progress = session.progress()
    log = str(session.log.path)
    console.log(
        f"{console.counted(progress.n_labelled, 'image')} of {progress.n_images:,} labelled in "
        f"{console.counted(len(progress.classes), 'class')}, saved in '{printable(log)}'."
    )
    table = config.export is not None and Path(config.export).suffix.lower() not in FOREIGN
    if table and config.export is not None and len(progress.classes) > 1:
        console.log(f"Next: {shell_line('featx', 'fit', as_argument(config.export))}")
    return {
        "folder": config.folder, "log": log, "images": progress.n_images,
        "labelled": progress.n_labelled, "classes": progress.classes, "export": config.export,
    }  # fmt: skip
