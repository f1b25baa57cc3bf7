"""Whatever is changed in a run, it is read, or a RunError names the file."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import featx
from featx.errors import RunError
from featx.formats import write_rows
from featx.formats.csv import parse_rows

OLD = Path(__file__).parent / "old"
DOCUMENTS = {k: json.loads((OLD / k / "results.json").read_text()) for k in ("fit", "finetune")}
TABLE = parse_rows((OLD / "fit" / "predictions.csv").read_bytes())
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
VALUES = (
    SCALARS
    | st.just(10**400)
    | st.lists(SCALARS, max_size=3)
    | st.dictionaries(st.text(max_size=5), SCALARS, max_size=3)
)
NUMBERS = ["-1", "-7", "1" * 30, "nan", "inf", "1e400", "+", "'-"]
CELLS = st.text(max_size=6) | st.sampled_from(NUMBERS)
few = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


def places(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where every value of a document is."""
    if place:
        yield place
    if isinstance(value, dict | list):
        inside = value.items() if isinstance(value, dict) else enumerate(value)
        for key, each in inside:
            yield from places(each, (*place, key))


PLACES = {kind: list(places(document)) for kind, document in DOCUMENTS.items()}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(OLD / "fit", tmp_path / "run"))


def read(folder: Path) -> None:
    """All of it, or an error that names the file and says what to do."""
    fault = None
    try:
        run = featx.load_run(folder)
        assert run.results.document() is not None
        assert run.levels is not None
    except RunError as error:
        fault = error
    if fault is not None:
        assert str(folder) in fault.message
        assert fault.hint in {"Fit the run again with --overwrite.", "pip install --upgrade featx"}


@few
@given(st.data())
def test_any_value_of_the_results(folder: Path, data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(sorted(DOCUMENTS)))
    document = copy.deepcopy(DOCUMENTS[kind])
    *above, key = data.draw(st.sampled_from(PLACES[kind]))
    inside = document
    for step in above:
        inside = inside[step]
    if data.draw(st.booleans()):
        inside[key] = data.draw(VALUES)
    else:
        del inside[key]
    (folder / "results.json").write_text(json.dumps(document))
    read(folder)


@few
@given(st.data())
def test_any_cell_of_the_predictions(folder: Path, data: st.DataObject) -> None:
    columns, rows = TABLE
    table = [list(columns), *([*row] for row in rows)]
    i = data.draw(st.integers(0, 3))
    table[i][data.draw(st.integers(0, len(columns) - 1))] = data.draw(CELLS)
    (folder / "predictions.csv").unlink()
    write_rows(folder / "predictions.csv", table[0], table[1:])
    read(folder)
