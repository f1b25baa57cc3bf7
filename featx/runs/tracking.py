"""``--mlflow``: a finished run in MLflow too. The run is whole before anything is sent."""

from __future__ import annotations

import logging
import os
import re
import time
import warnings
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from featx import console
from featx.errors import MissingExtraError, UsageError
from featx.files import make_directory, printable
from featx.ours import FolderKind
from featx.outputs import Output, Used, check_clear, check_writable
from featx.runs.finished import Run
from featx.runs.tracked import Tracked, describe_run

EXPERIMENT = "featx"
ARTEFACTS = ("config.yaml", "results.json", "environment.json", "report.html", "model")
#: Runs are added to what is there; nothing is replaced.
FOLDER = FolderKind("runs", lambda folder: True, lambda folder: lambda name: True, in_place=True)
MOST_AT_ONCE = 100  # parameters or tags of one request


def check_tracking(target: str | None, used: Sequence[Used] = ()) -> None:
    """Refuse what could not be logged, before anything is spent.

    Parameters
    ----------
    target : str or None
        As `track_run` takes it.
    used : sequence of Used
        What a folder may not be, nor lie inside.

    Raises
    ------
    MissingExtraError
        MLflow is not installed.
    UsageError
        ``target`` is a ``file:`` address, which MLflow no longer writes, a file, or a folder that
        cannot be written or is used for something else.
    """
    if target is None:
        return
    if find_spec("mlflow") is None:
        raise MissingExtraError("--mlflow", "mlflow")
    if target.startswith("file:"):
        raise UsageError(
            f"--mlflow {printable(target)!r}: MLflow no longer writes plain files.",
            hint="Give the folder itself (a database is made in it), or a server's address.",
        )
    if not _is_address(target) and Path(target).exists() and not Path(target).is_dir():
        raise UsageError(
            f"--mlflow {printable(target)!r} is a file.",
            hint="Give a folder, a server such as http://host:5000, or sqlite:///FILE.",
        )
    if not _is_address(target):
        output = Output(target, "--mlflow", FOLDER)
        check_clear(output, used)
        check_writable(output)


def track_run(target: str | None, run: Run) -> None:
    """Log a finished run; one that cannot be logged is said, and is whole all the same.

    Parameters
    ----------
    target : str or None
        Address of a tracking server or database, or a folder; None logs nothing.
    run : Run

    Notes
    -----
    The experiment is ``$MLFLOW_EXPERIMENT_NAME``, by default ``featx``.
    """
    if target is None:
        return
    started, shown = time.perf_counter(), printable(str(without_password(target)))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of MLflow's own dependencies
            name = _log(target, run.folder, describe_run(run))
    except Exception as error:
        reason = " ".join(str(error).split())[:300]
        console.warn(
            f"the run in {printable(str(run.folder))} is complete, but MLflow at {shown} did not "
            f"take it ({type(error).__name__}: {printable(reason)})"
        )
        return
    elapsed_s = time.perf_counter() - started
    console.log(f"Logged to MLflow at {shown} as {name} in {elapsed_s:.1f} s")


def _log(target: str, folder: Path, run: Tracked) -> str:
    """Send it, and say under which name it is there."""
    # Read when MLflow is imported. A server that is gone is to be said soon, and nobody is to be
    # told that a run was made but those it is sent to.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    from mlflow import MlflowClient

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    client = MlflowClient(tracking_uri=_address(target))
    experiment = os.environ.get("MLFLOW_EXPERIMENT_NAME") or EXPERIMENT
    known = client.get_experiment_by_name(experiment)
    if known is None:
        place = None if _is_address(target) else (Path(target).absolute() / "artifacts").as_uri()
        number = client.create_experiment(experiment, artifact_location=place)
    else:
        number = known.experiment_id
    made = client.create_run(number, run_name=printable(folder.name)[:250])
    key = made.info.run_id
    try:
        _send(client, key, run)
        for name in ARTEFACTS:
            if (folder / name).is_dir():
                client.log_artifacts(key, str(folder / name), name)
            elif (folder / name).exists():
                client.log_artifact(key, str(folder / name))
    except BaseException:
        client.set_terminated(key, status="FAILED")
        raise
    client.set_terminated(key)
    return f"{experiment}/{made.info.run_name} ({key})"


def _send(client: Any, key: str, run: Tracked) -> None:
    from mlflow.entities import Metric, Param, RunTag

    now = int(time.time() * 1000)
    metrics = [Metric(name, value, now, 0) for name, value in run.metrics.items()]
    metrics += [Metric(c.key, c.value, now, c.step) for c in run.curves]
    sent: dict[str, list[Any]] = {
        "params": [Param(name, text) for name, text in run.parameters.items()],
        "tags": [RunTag(name, text) for name, text in run.tags.items()],
        "metrics": metrics,
    }
    for kind, entries in sent.items():
        for start in range(0, len(entries), MOST_AT_ONCE):
            client.log_batch(key, **{kind: entries[start : start + MOST_AT_ONCE]})


def _is_address(target: str) -> bool:
    return "://" in target or target.startswith("databricks")


def _address(target: str) -> str:
    """A server's or database's address; of a folder that of the database in it."""
    if _is_address(target):
        return target
    folder = Path(target).absolute()
    make_directory(folder)
    return f"sqlite:///{folder}/mlflow.db"


def without_password(target: str | None) -> str | None:
    """An address without the name and password in it: what a run may keep."""
    return None if target is None else re.sub(r"(?<=://)[^/]*@", "", target)
