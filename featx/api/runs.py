"""A run on disk: written beside its final place, synced, then renamed."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from featx import console
from featx.artifact import Model, save_model
from featx.artifact.folder import MODEL
from featx.config import FinetuneConfig, FitConfig, RunConfig, dump_config
from featx.errors import UsageError
from featx.extraction import Failure
from featx.files import cut_name, write_atomic
from featx.fitting import Predictions
from featx.formats import write_rows
from featx.ours import FolderKind, read_json
from featx.outputs import Output
from featx.replacing import built_folder, recover
from featx.reporting.card import CARD, Carded, write_card
from featx.reporting.summaries.curve import CURVE_COLUMNS, curve_rows
from featx.shell import as_argument, shell_line
from featx.system_errors import in_words

__all__ = ["RUN", "RunContents", "Table", "again_command", "run_folder", "run_output", "write_run"]

#: Names of the files in a run, by any version, beside those of its model.
FILES = frozenset(
    {"config.yaml", "results.json", "environment.json", "failures.csv", "predictions.csv"}
    | {"learning_curve.csv", "curves.csv", "report.html", "log.jsonl", "metrics.json"}
)

#: Columns and rows.
Table = tuple[Sequence[str], Sequence[Sequence[Any]]]


@dataclass(frozen=True)
class RunContents:
    """Everything a run folder holds.

    ``section`` of the configuration names the run; ``tables`` are further files, by name.
    """

    config: RunConfig
    results: Mapping[str, Any]
    failures: Sequence[Failure]
    predictions: Predictions
    model: Model
    section: str = "fit"
    tables: Mapping[str, Table] = field(default_factory=dict)


def run_folder(dataset: str, section: FitConfig | FinetuneConfig) -> Path:
    """Where a run will be written; refuses to replace one unasked, before anything is spent."""
    name = section.name
    if name is None:
        source = Path(os.path.abspath(dataset))  # noqa: PTH100 - "." and ".." have no name
        name = f"{cut_name(source.stem, 64)}-{time.strftime('%Y%m%d-%H%M%S')}"
    if Path(name).name != name or name in {"", ".", ".."}:
        raise UsageError(f"--name {name!r} must be a plain folder name, without slashes.")
    folder = Path(section.runs) / name
    recover(folder)
    if os.path.lexists(folder) and not section.overwrite:
        raise UsageError(
            f"The run {str(folder)!r} exists.", hint="Give another --name, or --overwrite."
        )
    return folder


def run_output(folder: Path, section: FitConfig | FinetuneConfig) -> Output:
    """A run to be claimed for the length of the command that makes it."""
    return Output(folder, "--runs", RUN, section.overwrite, section.runs)


def write_run(folder: Path, contents: RunContents) -> None:
    """Write a run folder whole or not at all, in place of a run that is there.

    Parameters
    ----------
    folder : Path
        Its final place, which is claimed: see `run_output`.

    Raises
    ------
    OSError
        The disk is full or cannot be written; an old run is untouched.
    """
    with built_folder(folder, RUN) as building:
        _fill(building, contents, shown=folder)


def _is_run(folder: Path) -> bool:
    return (
        "classes" in read_json(folder / "results.json")
        and (folder / "config.yaml").is_file()
        and (folder / "predictions.csv").is_file()
        and MODEL.is_one(folder / "model")
    )


def _knows(folder: Path) -> Callable[[str], bool]:
    in_model = MODEL.knows(folder / "model")

    def known(name: str) -> bool:
        inside = name.removeprefix("model/")
        return name in FILES or (inside != name and in_model(inside))

    return known


RUN = FolderKind("a run", _is_run, _knows, room_bytes=1 << 22)


def _fill(folder: Path, contents: RunContents, *, shown: Path) -> None:
    reopen = f"# {again_command(shown, contents.section)}\n"
    environment = _environment()
    write_atomic(folder / "config.yaml", (reopen + dump_config(contents.config)).encode())
    write_atomic(folder / "results.json", _json(contents.results))
    write_atomic(folder / "environment.json", _json(environment))
    rows = [[f.id, f.path, f.sha256 or "", f.reason] for f in contents.failures]
    write_rows(folder / "failures.csv", ["id", "path", "sha256", "reason"], rows)
    predictions = contents.predictions
    write_rows(folder / "predictions.csv", predictions.columns, predictions.rows())
    if (curve := contents.results.get("learning_curve")) is not None:
        write_rows(folder / "learning_curve.csv", CURVE_COLUMNS, curve_rows(curve))
    for name, (columns, values) in contents.tables.items():
        write_rows(folder / name, columns, values)
    save_model(contents.model, folder / "model")
    _add_card(folder / "model", contents, environment, shown)


def again_command(folder: Path, section: str) -> str:
    """What makes a run again, whose settings are in ``section`` of its configuration."""
    config = as_argument(folder / "config.yaml")
    return shell_line("featx", "run", config, "--set", f"{section}.overwrite=true")


def _add_card(
    model: Path, contents: RunContents, environment: Mapping[str, Any], shown: Path
) -> None:
    """Write the model's card beside it; one that cannot be made costs nothing but itself."""
    try:
        card = write_card(
            Carded(
                name=shown.name,
                results=contents.results,
                environment=environment,
                document=json.loads((model / "model.json").read_bytes()),
                asked=contents.config.model_dump(mode="json", exclude_defaults=True),
                command=again_command(shown, contents.section),
            )
        )
    except Exception as error:
        console.warn(f"the model has no card ({in_words(error)})")
        return
    write_atomic(model / CARD, card.encode("utf-8", "backslashreplace"))


def _json(document: Mapping[str, Any]) -> bytes:
    return (json.dumps(document, indent=2, allow_nan=False) + "\n").encode()


def _environment() -> dict[str, Any]:
    """What could make the same command give another number elsewhere."""
    packages = ("featx", "torch", "torchvision", "timm", "scikit-learn", "imbalanced-learn",
                "numpy", "scipy", "pillow")  # fmt: skip
    return {
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "versions": {name: importlib.metadata.version(name) for name in packages},
    }
